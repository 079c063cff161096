// SPDX-License-Identifier: GPL-2.0
/*
 * Debug checks of the mermap: windows are ended by those who made them, and
 * pages change their owner when no window to them is open, and after the
 * mermap_mm_flush() of each mm that they were mapped in.
 *
 * Each page has a record: how many windows to it are open, and which mms owe a
 * flush, with the time when their last window ended. Time is the number of
 * windows that have ended so far. An mm knows the time of its last flush.
 * Records outlive an mm, which is fine: no TLB can have its translations any
 * more, and a new mm with the same id begins with a later flush.
 */

#include <linux/atomic.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/page_ext.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "mermap.h"

/* Of so many mms that owe a flush a page knows. Of more, the first are kept. */
#define MERMAP_DEBTORS	2

struct mermap_record {
	s64	seq[MERMAP_DEBTORS];
	u32	id[MERMAP_DEBTORS];
	u32	windows;
};

/* Pages are mapped on several CPUs at a time, and in interrupts. */
#define MERMAP_LOCK_BITS	6

static raw_spinlock_t mermap_locks[1 << MERMAP_LOCK_BITS] = {
	[0 ... (1 << MERMAP_LOCK_BITS) - 1] =
		__RAW_SPIN_LOCK_UNLOCKED(mermap_locks),
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

static bool mermap_flushed(u32 id, s64 seq)
{
	struct mermap *m;

	guard(rcu)();
	m = xa_load(&mermap_ids, id);

	return !m || seq <= atomic64_read(&m->flushed_seq);
}

/* An mm has had a window. Nobody's debt gives way but one that has been paid. */
static void mermap_owe(struct mermap_record *record, u32 id, s64 seq)
{
	int i, at = -1;

	for (i = 0; i < MERMAP_DEBTORS; i++) {
		if (record->id[i] == id) {
			record->seq[i] = max(record->seq[i], seq);
			return;
		}
		if (at < 0 && (!record->id[i] ||
			       mermap_flushed(record->id[i], record->seq[i])))
			at = i;
	}
	if (at < 0) {
		pr_warn_once("mermap: a page is owed a flush by more than %d mms, and not all are checked\n",
			     MERMAP_DEBTORS);
		return;
	}
	record->id[at] = id;
	record->seq[at] = seq;
}

/* What happens to the record of a page. */
struct mermap_event {
	enum { MERMAP_OPENS, MERMAP_ENDS, MERMAP_CHECK } what;
	u32	id;
	s64	seq;
	/* For MERMAP_CHECK: what was wrong. */
	bool	open, owed;
};

static void mermap_update(struct mermap_record *record, struct mermap_event *event)
{
	int i;

	switch (event->what) {
	case MERMAP_OPENS:
		record->windows++;
		break;
	case MERMAP_ENDS:
		record->windows--;
		if (event->id)
			mermap_owe(record, event->id, event->seq);
		break;
	case MERMAP_CHECK:
		event->open = record->windows;
		event->owed = false;
		for (i = 0; i < MERMAP_DEBTORS; i++) {
			if (record->id[i] &&
			    !mermap_flushed(record->id[i], record->seq[i]))
				event->owed = true;
			/* Once is enough, and the next owner owes nothing. */
			record->id[i] = 0;
		}
		break;
	}
}

static void mermap_record(struct page *page, struct mermap_event *event)
{
	raw_spinlock_t *lock = &mermap_locks[hash_long(page_to_pfn(page),
						       MERMAP_LOCK_BITS)];
	struct page_ext *page_ext = page_ext_get(page);
	unsigned long flags;

	if (!page_ext)
		return;

	raw_spin_lock_irqsave(lock, flags);
	mermap_update(page_ext_data(page_ext, &mermap_debug_ops), event);
	raw_spin_unlock_irqrestore(lock, flags);
	page_ext_put(page_ext);
}

static void mermap_record_pages(struct page *page, unsigned int nr,
				struct mermap_event *event)
{
	/* The locks are not for NMIs. A window of an NMI also ends there. */
	if (in_nmi())
		return;
	for (; nr; nr--, page++)
		mermap_record(page, event);
}

void mermap_debug_get(struct mermap *m, struct mermap_cpu *c, unsigned int first,
		      struct page *page, unsigned int nr)
{
	struct mermap_event event = { .what = MERMAP_OPENS };

	if (!READ_ONCE(mermap_used))
		WRITE_ONCE(mermap_used, true);
	/* What user code can look at speculatively has to be flushed. */
	WARN_ON_ONCE(READ_ONCE(m->private) && in_task() && current->mm &&
		     current->mm->mermap == m && !(current->flags & PF_KTHREAD));
	c->windows[first].owner = current;
	c->windows[first].page = page;
	mermap_record_pages(page, nr, &event);
}

bool mermap_debug_may_put(struct mermap_cpu *c, unsigned int first)
{
	return c->windows[first].owner == current;
}

void mermap_debug_put(struct mermap *m, struct mermap_cpu *c,
		      unsigned int first, unsigned int nr)
{
	struct mermap_event event = {
		.what = MERMAP_ENDS,
		.id = READ_ONCE(m->private) ? 0 : m->id,
		.seq = atomic64_inc_return(&mermap_seq),
	};

	c->windows[first].owner = NULL;
	mermap_record_pages(c->windows[first].page, nr, &event);
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

/* Each kind of fault has its own limit, so that none hides the other. */
static void mermap_report(struct page *page, const struct mermap_event *event)
{
	static DEFINE_RATELIMIT_STATE(open, 5 * HZ, 20);
	static DEFINE_RATELIMIT_STATE(owed, 5 * HZ, 20);

	if (event->open && __ratelimit(&open))
		WARN(1, "mermap: pfn %lx changes its owner with a window open\n",
		     page_to_pfn(page));
	if (event->owed && __ratelimit(&owed))
		WARN(1, "mermap: pfn %lx changes its owner without mermap_mm_flush()\n",
		     page_to_pfn(page));
}

void __mermap_check_owner(struct page *page, unsigned long nr)
{
	struct mermap_event event = { .what = MERMAP_CHECK };

	if (likely(!READ_ONCE(mermap_used)) || in_nmi())
		return;

	for (; nr; nr--, page++) {
		mermap_record(page, &event);
		if (unlikely(event.open || event.owed))
			mermap_report(page, &event);
		event.open = false;
		event.owed = false;
	}
}
