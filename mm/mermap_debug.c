// SPDX-License-Identifier: GPL-2.0
/*
 * Debug checks of the mermap: windows are ended by those who made them, and
 * pages are freed after the mermap_mm_flush() of the mm that they were mapped
 * in.
 *
 * Each page has a record of the last window it was in: which mm, and when the
 * window ended. Time is the number of windows that have ended so far. An mm
 * knows the time of its last flush. Records outlive an mm, which is fine: no
 * TLB can have its translations any more, and a new mm with the same id begins
 * with a later flush.
 */

#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/page_ext.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "mermap.h"

/* The time while a window exists. */
#define MERMAP_MAPPED	S64_MAX

struct mermap_record {
	s64	seq;
	u32	id;
};

/* What has an id can be looked up under RCU. */
static DEFINE_XARRAY_ALLOC1(mermap_ids);

static atomic64_t mermap_seq;

/* Nothing has to be checked before there is a window. */
static bool mermap_used;

static bool __init mermap_debug_need(void)
{
	return true;
}

struct page_ext_operations mermap_debug_ops = {
	.size = sizeof(struct mermap_record),
	.need = mermap_debug_need,
};

int mermap_debug_create(struct mermap *m)
{
	int err;

	/* An id that nobody finds yet. */
	err = xa_alloc(&mermap_ids, &m->id, NULL, xa_limit_32b, GFP_KERNEL);
	if (err)
		return err;

	/*
	 * Whoever had it before has ended all windows, and that was before the
	 * id was free. Read the time after that, and before records are compared
	 * with it. The xarray's lock orders both.
	 */
	atomic64_set(&m->flushed_seq, mermap_debug_seq());
	err = xa_err(xa_store(&mermap_ids, m->id, m, GFP_KERNEL));
	if (err)
		xa_erase(&mermap_ids, m->id);

	return err;
}

void mermap_debug_free(struct mermap *m)
{
	xa_erase(&mermap_ids, m->id);
	kfree_rcu(m, rcu);
}

static void mermap_record(u32 id, struct page *page, unsigned int nr, s64 seq)
{
	struct mermap_record *record;
	struct page_ext *page_ext;

	for (; nr; nr--, page++) {
		page_ext = page_ext_get(page);
		if (!page_ext)
			continue;
		record = page_ext_data(page_ext, &mermap_debug_ops);
		WRITE_ONCE(record->seq, seq);
		WRITE_ONCE(record->id, id);
		page_ext_put(page_ext);
	}
}

void mermap_debug_get(struct mermap *m, struct mermap_cpu *c, unsigned int first,
		      struct page *page, unsigned int nr)
{
	if (!READ_ONCE(mermap_used))
		WRITE_ONCE(mermap_used, true);
	c->windows[first].owner = current;
	c->windows[first].page = page;
	mermap_record(m->id, page, nr, MERMAP_MAPPED);
}

bool mermap_debug_may_put(struct mermap_cpu *c, unsigned int first)
{
	return c->windows[first].owner == current;
}

void mermap_debug_put(struct mermap *m, struct mermap_cpu *c,
		      unsigned int first, unsigned int nr)
{
	c->windows[first].owner = NULL;
	mermap_record(m->id, c->windows[first].page, nr,
		      atomic64_inc_return(&mermap_seq));
}

u64 mermap_debug_seq(void)
{
	return atomic64_read(&mermap_seq);
}

void mermap_debug_flushed(struct mermap *m, u64 seq)
{
	s64 old = atomic64_read(&m->flushed_seq);

	while (old < (s64)seq &&
	       !atomic64_try_cmpxchg(&m->flushed_seq, &old, seq))
		;
}

static bool mermap_flushed(u32 id, s64 seq)
{
	struct mermap *m;

	guard(rcu)();
	m = xa_load(&mermap_ids, id);

	return !m || seq <= atomic64_read(&m->flushed_seq);
}

void __mermap_check_free(struct page *page, unsigned int order)
{
	struct mermap_record *record;
	struct page_ext *page_ext;
	unsigned long i;
	u32 id;

	if (likely(!READ_ONCE(mermap_used)))
		return;

	for (i = 0; i < 1UL << order; i++) {
		page_ext = page_ext_get(page + i);
		if (!page_ext)
			continue;
		record = page_ext_data(page_ext, &mermap_debug_ops);
		id = READ_ONCE(record->id);
		if (unlikely(id)) {
			WRITE_ONCE(record->id, 0);
			WARN_ONCE(!mermap_flushed(id, READ_ONCE(record->seq)),
				  "mermap: pfn %lx is freed without mermap_mm_flush()\n",
				  page_to_pfn(page + i));
		}
		page_ext_put(page_ext);
	}
}
