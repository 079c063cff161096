// SPDX-License-Identifier: GPL-2.0
/*
 * Pools of memory that is absent from the direct map, for __GFP_UNMAPPED.
 *
 * Whole pageblocks leave the direct map, several with one TLB flush, and come
 * back when memory is short, or when somebody needs just them. What is free of
 * them is on lists of the buddy allocator that no other request looks at.
 *
 * A block is
 *   mapped      of any freetype but ours
 *   leaving     allocated by us. Then its freetype is set, which is what makes
 *               everybody else leave it alone
 *   raw         not all of it has been erased
 *   in the pool each page is free, at hand for a CPU, in use, or dirty
 *   returning   taken off its list whole, and about to be mapped
 *
 * Invariant: a page of a block of FREETYPE_UNMAPPED that is not leaving or
 * returning is in no direct map and in no TLB, and what is free, or at hand for
 * a CPU, is zero.
 *
 * Locking: freetypes, lists and counts are under zone->lock. unmapped_pcp.lock
 * nests outside of that. A mutex of each node is held while blocks leave, and
 * memory is allocated meanwhile: so nothing that runs in reclaim takes it, and who
 * keeps out of file systems only tries.
 * Blocks return without it. Nothing is allocated, flushed or mapped under
 * zone->lock. Larger mappings are rebuilt by a worker, which takes the memory
 * hotplug lock: so nobody waits for it. See Documentation/mm/unmapped.rst.
 */

#define pr_fmt(fmt) "unmapped: " fmt

#include <linux/cpuset.h>
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kmermap.h>
#include <linux/kstrtox.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/oom.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/set_memory.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include <linux/swap.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <asm/sections.h>

#include <kunit/visibility.h>

#include "internal.h"
#include "page_alloc.h"
#include "private_node.h"
#include "private_reclaim.h"
#include "unmapped.h"

/* Radix trees and XArrays keep their marks beside GFP flags. */
static_assert(__GFP_BITS_SHIFT + XA_MAX_MARKS <= BITS_PER_TYPE(gfp_t));

/* So many blocks leave with one flush, if there is demand. */
#define MAX_BLOCKS		32
/* If blocks last no longer than that, each, the next ones are more. */
#define DEMAND_TIME		(HZ / 10)
/* After a failure, and after the last of many. */
#define MIN_BACKOFF		max(HZ / 64, 1)
#define MAX_BACKOFF		HZ
/* What is erased at least of a raw block: a page of this order. */
#define RAW_ORDER		6
/* Pages of order 0 that a CPU keeps, and how many it takes at once. */
#define PCP_HIGH		64
#define PCP_BATCH		32
#define MAX_ROUNDS		8
/* So many blocks of the kernel image are put aside for one that is not. */
#define MAX_IMAGE		4
/* For pages that a task is just erasing, while their block is wanted. */
#define RELEASE_TIME		max(HZ / 5, 2)
/* So often in a row, at most a second apart, memory shortage is told of blocks. */
#define MAX_OOM_ROUNDS		16
/* Larger mappings are rebuilt so long after the first of some blocks came back. */
#define COLLAPSE_TIME		(10 * HZ)
#define MAX_COLLAPSE		32

/* How much is done for a block: who failed is no reason not to do more than he did. */
enum effort {
	EFFORT_NONE,		/* nothing is reclaimed */
	EFFORT_NO_IO,		/* only what needs no file system and no device */
	EFFORT_RECLAIM,
	EFFORT_RETRY,		/* and again, as long as there is progress */
	NR_EFFORTS
};

/**
 * struct unmapped_backoff - After a failure nobody tries again for some time
 * @delay: How long. 0 if blocks have left since. Changed under the node's lock.
 * @until: When somebody may try again. Changed under the node's lock.
 */
struct unmapped_backoff {
	unsigned long	delay;
	unsigned long	until;
};

/**
 * struct unmapped_node - How blocks of a node leave
 * @lock:    Held by who takes blocks out.
 * @last:    When blocks left last. Under @lock.
 * @batch:   How many that were. Under @lock.
 * @count:   How often blocks have left. Changed under @lock.
 * @backoff: For each effort, after failures of that one or of more.
 */
struct unmapped_node {
	struct mutex		lock;
	unsigned long		last;
	unsigned int		batch;
	unsigned long		count;
	struct unmapped_backoff	backoff[NR_EFFORTS];
};

static struct unmapped_node unmapped_nodes[MAX_NUMNODES];

static DEFINE_STATIC_KEY_FALSE(unmapped_key);
static bool unmapped_off __initdata;
static bool unmapped_suspended;

DEFINE_PER_CPU(struct unmapped_events, unmapped_events);

/**
 * unmapped_pages_enabled() - Check whether __GFP_UNMAPPED can be served at all
 *
 * Context: Any context.
 *
 * Return: True if the machine can take blocks out of its direct map.
 */
bool unmapped_pages_enabled(void)
{
	return static_branch_unlikely(&unmapped_key);
}
EXPORT_SYMBOL_GPL(unmapped_pages_enabled);

/* Who asks for a migratetype has no use for more than that. */
enum migratetype
get_pfnblock_migratetype(const struct page *page, unsigned long pfn)
{
	return freetype_migratetype(get_pfnblock_freetype(page, pfn));
}

/**
 * page_is_unmapped() - Check whether the direct map has a page
 * @page: A page of the page allocator.
 *
 * Context: Any context. The answer is reliable for who has a reference to @page,
 * or holds the lock of its zone.
 *
 * Return: True if the page is absent from the direct map as all of its block is.
 */
bool page_is_unmapped(const struct page *page)
{
	return freetype_is_unmapped(get_pageblock_freetype(page));
}
EXPORT_SYMBOL_GPL(page_is_unmapped);

/*
 * The pages that a CPU has at hand
 */

static struct unmapped_zone *zone_pool(struct zone *zone)
{
	/* Pairs with smp_store_release() in unmapped_zone_prepare(). */
	return smp_load_acquire(&zone->unmapped);
}

/* Blocks of other nodes than the one that is locked come by nodemasks. */
static DEFINE_MUTEX(unmapped_zone_mutex);

static struct unmapped_zone *new_pool(void)
{
	struct unmapped_zone *uz = kzalloc_obj(*uz, GFP_KERNEL);
	int cpu;

	if (!uz)
		return NULL;
	INIT_LIST_HEAD(&uz->raw);
	uz->pcp = alloc_percpu(struct unmapped_pcp);
	if (!uz->pcp) {
		kfree(uz);
		return NULL;
	}
	for_each_possible_cpu(cpu) {
		struct unmapped_pcp *pcp = per_cpu_ptr(uz->pcp, cpu);

		spin_lock_init(&pcp->lock);
		INIT_LIST_HEAD(&pcp->list);
	}

	return uz;
}

static bool unmapped_zone_prepare(struct zone *zone)
{
	struct unmapped_zone *uz;
	unsigned int noio;

	guard(mutex)(&unmapped_zone_mutex);
	if (zone->unmapped)
		return true;

	/*
	 * Requests wait for this mutex that keep reclaim from file systems and
	 * devices, so nobody may reclaim from those under it.
	 */
	noio = memalloc_noio_save();
	uz = new_pool();
	memalloc_noio_restore(noio);
	if (!uz)
		return false;
	/* Complete. Pairs with smp_load_acquire() in zone_pool(). */
	smp_store_release(&zone->unmapped, uz);

	return true;
}

/* zone_pcp_disable() wants nothing on lists of CPUs. */
static int pcp_room(struct zone *zone, int wanted)
{
	struct per_cpu_pages *pcp = raw_cpu_ptr(zone->per_cpu_pageset);

	return READ_ONCE(pcp->high_max) ? wanted : 0;
}

/**
 * unmapped_cache() - Keep an erased page for the next request of this CPU
 * @page: The page, of order 0. It stays counted as it is.
 *
 * Context: Any but NMI.
 *
 * Return: False if it has to go on a list.
 */
bool unmapped_cache(struct page *page)
{
	struct zone *zone = page_zone(page);
	struct unmapped_zone *uz = zone_pool(zone);
	struct unmapped_pcp *pcp;
	unsigned long flags;
	bool cached = false;

	if (zone_to_nid(zone) != numa_mem_id())
		return false;
	pcp = raw_cpu_ptr(uz->pcp);
	/* Mostly so when many are freed. It is no fault to miss that there is room. */
	if (READ_ONCE(pcp->count) >= PCP_HIGH ||
	    !spin_trylock_irqsave(&pcp->lock, flags))
		return false;
	/* Under the lock: who disables these lists takes it after that. */
	if (pcp->count < PCP_HIGH && pcp_room(zone, 1)) {
		list_add(&page->pcp_list, &pcp->list);
		pcp->count++;
		cached = true;
	}
	spin_unlock_irqrestore(&pcp->lock, flags);

	return cached;
}

/* All or none of some pages that belong to the zone, as unmapped_cache() does. */
static bool cache_batch(struct zone *zone, struct list_head *batch, int nr)
{
	struct unmapped_pcp *pcp = raw_cpu_ptr(zone_pool(zone)->pcp);
	unsigned long flags;
	bool cached = false;

	/* This may be another CPU by now. */
	if (zone_to_nid(zone) != numa_mem_id() ||
	    !spin_trylock_irqsave(&pcp->lock, flags))
		return false;
	if (pcp->count + nr <= PCP_HIGH && pcp_room(zone, 1)) {
		list_splice(batch, &pcp->list);
		pcp->count += nr;
		cached = true;
	}
	spin_unlock_irqrestore(&pcp->lock, flags);

	return cached;
}

static struct page *take_cached(struct zone *zone)
{
	struct unmapped_zone *uz = zone_pool(zone);
	struct unmapped_pcp *pcp;
	struct page *page = NULL;
	unsigned long flags;

	if (!uz)
		return NULL;
	pcp = raw_cpu_ptr(uz->pcp);
	if (!spin_trylock_irqsave(&pcp->lock, flags))
		return NULL;
	if (pcp->count) {
		page = list_first_entry(&pcp->list, struct page, pcp_list);
		list_del(&page->pcp_list);
		pcp->count--;
		mod_zone_page_state(zone, NR_FREE_UNMAPPED, -1);
	}
	spin_unlock_irqrestore(&pcp->lock, flags);

	return page;
}

/* See unmapped_drain(). */
void __unmapped_drain(unsigned int cpu, struct zone *zone)
{
	struct unmapped_pcp *pcp = per_cpu_ptr(zone->unmapped->pcp, cpu);
	struct page *page, *next;

	guard(spinlock_irqsave)(&pcp->lock);
	if (!pcp->count)
		return;
	guard(spinlock)(&zone->lock);
	list_for_each_entry_safe(page, next, &pcp->list, pcp_list) {
		list_del(&page->pcp_list);
		/* The list counts it again. */
		unmapped_account(zone, -1);
		unmapped_give(zone, page, 0);
	}
	pcp->count = 0;
}

/*
 * Taking pages
 */

/*
 * Under zone->lock: take pages of order 0, as large as they are found, and the smallest
 * first. At hand for a CPU they count as free. Returns how many that are.
 */
static unsigned int take_batch(struct zone *zone, struct list_head *batch,
			       unsigned int wanted)
{
	struct unmapped_zone *uz = zone->unmapped;
	unsigned int n = 0, order, i;
	struct page *page;

	lockdep_assert_held(&zone->lock);
	while (n < wanted) {
		for (order = 0; order < NR_PAGE_ORDERS && !uz->nr_free[order]; order++)
			;
		if (order == NR_PAGE_ORDERS)
			break;
		order = min_t(unsigned int, order, ilog2(wanted - n));
		page = unmapped_take(zone, order);
		if (!page)
			break;
		for (i = 0; i < 1U << order; i++)
			list_add_tail(&page[i].pcp_list, batch);
		n += 1U << order;
	}
	if (n)
		unmapped_account(zone, n);

	return n;
}

static struct page *take_free(struct zone *zone, unsigned int order)
{
	struct page *page, *more, *next;
	LIST_HEAD(batch);
	int n = 0;

	if (!zone_pool(zone))
		return NULL;

	scoped_guard(spinlock_irqsave, &zone->lock) {
		if (!order && zone_to_nid(zone) == numa_mem_id())
			n = pcp_room(zone, PCP_BATCH);
		if (!n)
			return unmapped_take(zone, order);
		n = take_batch(zone, &batch, n);
		if (!n)
			return NULL;
		page = list_first_entry(&batch, struct page, pcp_list);
		list_del(&page->pcp_list);
		unmapped_account(zone, -1);
		n--;
	}

	if (n && !cache_batch(zone, &batch, n)) {
		guard(spinlock_irqsave)(&zone->lock);
		list_for_each_entry_safe(more, next, &batch, pcp_list) {
			list_del(&more->pcp_list);
			unmapped_account(zone, -1);
			unmapped_give(zone, more, 0);
		}
	}

	return page;
}

/*
 * Raw blocks are on their list by the first page that has not been erased. Those
 * before it are in the pool. Who has taken one off is the only one to know it.
 */
static unsigned long raw_pages(struct page *raw)
{
	unsigned long pfn = page_to_pfn(raw);

	return pageblock_end_pfn(pfn) - pfn;
}

static bool raw_as_a_whole(struct page *raw)
{
	return raw_pages(raw) == pageblock_nr_pages;
}

static void del_raw(struct zone *zone, struct page *raw)
{
	list_del(&raw->lru);
	zone->unmapped->nr_raw -= raw_pages(raw);
	zone->unmapped->nr_whole -= raw_as_a_whole(raw);
}

/* Under zone->lock. What is partly raw goes to the front. */
static void add_raw(struct zone *zone, struct page *raw)
{
	struct unmapped_zone *uz = zone->unmapped;

	if (raw_as_a_whole(raw))
		list_add_tail(&raw->lru, &uz->raw);
	else
		list_add(&raw->lru, &uz->raw);
	uz->nr_raw += raw_pages(raw);
	uz->nr_whole += raw_as_a_whole(raw);
}

/* Take a block of which there is still enough raw for a page of @order. */
static struct page *take_raw(struct zone *zone, unsigned int order)
{
	struct unmapped_zone *uz = zone_pool(zone);
	struct page *raw;

	if (!uz || !READ_ONCE(uz->nr_raw))
		return NULL;
	guard(spinlock_irqsave)(&zone->lock);
	list_for_each_entry(raw, &uz->raw, lru) {
		unsigned long pfn = page_to_pfn(raw);

		if (ALIGN(pfn, 1UL << order) < pageblock_end_pfn(pfn)) {
			del_raw(zone, raw);
			return raw;
		}
	}

	return NULL;
}

/*
 * Erase the next part of a raw block, up to the end of a page of @order. The
 * rest goes back.
 */
static bool erase_raw(struct zone *zone, struct page *raw, unsigned int order)
{
	unsigned long pfn = page_to_pfn(raw), end = pageblock_end_pfn(pfn);
	unsigned long size = 1UL << max(order, RAW_ORDER);
	unsigned long stop = min(ALIGN(pfn, size) + size, end);
	bool done = unmapped_erase(raw, stop - pfn);

	guard(spinlock_irqsave)(&zone->lock);
	if (done) {
		/* The lists count them again. */
		unmapped_account(zone, -(long)(stop - pfn));
		for (; pfn < stop; pfn += 1UL << RAW_ORDER)
			unmapped_give_good(zone, pfn_to_page(pfn), RAW_ORDER);
	}
	if (pfn < end)
		add_raw(zone, pfn_to_page(pfn));

	return done;
}

/*
 * Blocks leave the direct map
 */

/* The kernel image is another mapping of what it is made of. */
VISIBLE_IF_KUNIT
bool unmapped_is_image(struct page *block)
{
	phys_addr_t start = page_to_phys(block);

	return start < __pa_symbol(roundup((unsigned long)_end, PMD_SIZE)) &&
	       start + PMD_SIZE > __pa_symbol(_text);
}

static bool map_block(struct page *block)
{
	/* It was mapped by an entry of this size. Nothing has to be allocated. */
	return !WARN_ON_ONCE(set_direct_map_valid_noflush(block, pageblock_nr_pages,
							  true));
}

/* A block that has left, and that cannot be ours, is an ordinary one again. */
static void put_block(struct page *block)
{
	/* If it cannot be mapped it is lost, and that has been told. */
	if (map_block(block))
		__free_pages(block, pageblock_order);
}

/* Make a block that is out of the direct map ours, or give it back. */
static bool add_block(struct page *block)
{
	struct zone *zone = page_zone(block);
	bool frozen, good;

	scoped_guard(spinlock_irqsave, &zone->lock) {
		/*
		 * Not an isolated one, nor one of a reserve, whose size is
		 * counted in blocks.
		 */
		good = freetype_has_pcp_list(get_pageblock_freetype(block));
		if (good) {
			unmapped_set_type(block, FREETYPE_UNMAPPED);
			unmapped_count_blocks(zone, 1, 0);
		}
	}
	if (!good) {
		put_block(block);
		return false;
	}

	/*
	 * Whoever looks at pages by pfn may have a reference for a moment. When
	 * it is freed, nobody touches the contents from here on.
	 */
	frozen = page_ref_freeze(block, 1);
	good = frozen && free_pages_prepare(block, pageblock_order);

	scoped_guard(spinlock_irqsave, &zone->lock) {
		if (good) {
			unmapped_account(zone, pageblock_nr_pages);
			add_raw(zone, block);
			return true;
		}
		unmapped_set_type(block, freetype_of(MIGRATE_MOVABLE));
		unmapped_count_blocks(zone, -1, 0);
	}
	/* Pages that were found to be bad are lost, as elsewhere, but mapped. */
	if (frozen)
		map_block(block);
	else
		put_block(block);

	return false;
}

static bool above_high_watermark(int nid, gfp_t gfp)
{
	struct zoneref *z;
	struct zone *zone;

	for_each_zone_zonelist_nodemask(zone, z, node_zonelist(nid, gfp),
					gfp_zone(gfp), NULL) {
		if (zone_to_nid(zone) != nid)
			continue;
		if (zone_watermark_ok(zone, 0, high_wmark_pages(zone) +
				      pageblock_nr_pages, gfp_zone(gfp), 0))
			return true;
	}

	return false;
}

/* Allocate blocks to take out: the first as the request says, others cheaply. */
static unsigned int get_blocks(struct page **blocks, unsigned int nr, gfp_t gfp,
			       int nid, nodemask_t *nodemask)
{
	gfp_t cheap = (gfp & ~__GFP_DIRECT_RECLAIM) | __GFP_THISNODE |
		      __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_NOWARN;
	struct page *block, *next;
	unsigned int got = 0, try;
	LIST_HEAD(image);

	for (try = 0; try < nr + MAX_IMAGE && got < nr; try++) {
		if (got && !above_high_watermark(nid, gfp))
			break;
		block = __alloc_pages(got ? cheap : gfp, pageblock_order, nid,
				      got ? NULL : nodemask, ALLOC_DEFAULT);
		if (!block)
			break;
		if (unmapped_is_image(block)) {
			/* Not given back yet, or it would be the next one, too. */
			list_add(&block->lru, &image);
			continue;
		}
		if (!unmapped_zone_prepare(page_zone(block))) {
			__free_pages(block, pageblock_order);
			break;
		}
		nid = page_to_nid(block);
		blocks[got++] = block;
	}
	list_for_each_entry_safe(block, next, &image, lru)
		__free_pages(block, pageblock_order);

	return got;
}

static unsigned int batch_size(struct unmapped_node *node, int nid)
{
	unsigned int most = MAX_BLOCKS;

	/* There the allocator erases them all in this request. */
	if (want_init_on_alloc(0))
		most = 4;
	most = min(most, max(1UL, node_present_pages(nid) / 64 / pageblock_nr_pages));
	/* As long as each of the last ones has served, so that more do not count less. */
	if (time_before(jiffies, node->last + DEMAND_TIME * node->batch))
		node->batch = min(node->batch * 2, most);
	else
		node->batch = max(node->batch / 2, 1U);

	return node->batch;
}

static enum effort effort_of(gfp_t gfp)
{
	if (!(gfp & __GFP_DIRECT_RECLAIM))
		return EFFORT_NONE;
	if ((gfp & (__GFP_IO | __GFP_FS)) != (__GFP_IO | __GFP_FS))
		return EFFORT_NO_IO;

	return gfp & __GFP_RETRY_MAYFAIL ? EFFORT_RETRY : EFFORT_RECLAIM;
}

static bool may_convert(int nid, gfp_t gfp)
{
	struct unmapped_backoff *b = &unmapped_nodes[nid].backoff[effort_of(gfp)];

	return !READ_ONCE(unmapped_suspended) &&
	       time_after_eq(jiffies, READ_ONCE(b->until));
}

/* Under the node's lock. With the same effort, or with less, it would not be better. */
static void back_off(struct unmapped_node *node, gfp_t gfp)
{
	struct unmapped_backoff *b = node->backoff, *last = b + effort_of(gfp);

	lockdep_assert_held(&node->lock);
	for (; b <= last; b++) {
		WRITE_ONCE(b->delay, clamp(b->delay * 2, (unsigned long)MIN_BACKOFF,
					   (unsigned long)MAX_BACKOFF));
		WRITE_ONCE(b->until, jiffies + b->delay);
	}
}

/* Under the node's lock: the next failure is the first one. */
static void forget_failures(struct unmapped_node *node)
{
	unsigned int i;

	lockdep_assert_held(&node->lock);
	for (i = 0; i < NR_EFFORTS; i++)
		WRITE_ONCE(node->backoff[i].delay, 0);
}

/*
 * Who has the lock may be in reclaim, and wait there for what the caller holds, if
 * that is why the request keeps reclaim from file systems or devices.
 */
static bool lock_node(struct unmapped_node *node, gfp_t gfp)
{
	if ((gfp & (__GFP_IO | __GFP_FS)) != (__GFP_IO | __GFP_FS))
		return mutex_trylock(&node->lock);

	return !mutex_lock_killable(&node->lock);
}

/*
 * Take blocks out of the direct map, first of all of a node. If that fails, and it
 * was not only @cheap as there is another way, nobody who would do no more tries
 * again for some time, so that memory that is fragmented is not compacted for each
 * page. Returns whether there are some now, or an error if nothing was tried:
 * -EAGAIN as others have failed on that node, or -EBUSY as this one must not wait.
 */
static int convert(int nid, gfp_t gfp, nodemask_t *nodemask, bool cheap)
{
	struct unmapped_node *node = &unmapped_nodes[nid];
	struct page *blocks[MAX_BLOCKS];
	unsigned long count = READ_ONCE(node->count);
	unsigned int i, nr, added = 0;
	unsigned int noio;
	int out;

	if (!may_convert(nid, gfp))
		return -EAGAIN;
	if (!lock_node(node, gfp))
		return -EBUSY;
	/* What somebody else has just taken out is for all who waited. */
	if (node->count != count) {
		mutex_unlock(&node->lock);
		return 1;
	}
	/* While this waited, others may have failed, or hibernation begun. */
	if (!may_convert(nid, gfp)) {
		mutex_unlock(&node->lock);
		return -EAGAIN;
	}

	nr = get_blocks(blocks, batch_size(node, nid), gfp, nid, nodemask);
	if (nr) {
		/* Other mappings of what was free go before that, not later. */
		vm_unmap_aliases();
		/* Large entries are split with GFP_KERNEL. */
		noio = memalloc_noio_save();
		out = unmapped_should_fail() ? -ENOMEM :
					       set_direct_map_pmds_invalid(blocks, nr);
		memalloc_noio_restore(noio);

		for (i = 0; i < nr; i++) {
			if ((int)i < out)
				added += add_block(blocks[i]);
			else
				__free_pages(blocks[i], pageblock_order);
		}
	}

	if (added) {
		node->last = jiffies;
		WRITE_ONCE(node->count, node->count + 1);
		forget_failures(node);
		unmapped_event(UNMAPPED_ROUNDS, 1);
		unmapped_event(UNMAPPED_LEFT, added);
	} else if (!cheap) {
		back_off(node, gfp);
	}
	mutex_unlock(&node->lock);

	return !!added;
}

/*
 * Blocks come back
 */

/*
 * Blocks that came back, for the worker: any page of each 1G that they are in. It
 * is only about pfns: the memory may have been removed meanwhile.
 */
static DEFINE_SPINLOCK(collapse_lock);
static struct page *collapse_pages[MAX_COLLAPSE];
static unsigned int nr_collapse;

/**
 * unmapped_collapse() - Rebuild larger mappings where blocks have come back
 *
 * Context: Process context. Takes the memory hotplug lock for reading.
 */
void unmapped_collapse(void)
{
	struct page *pages[MAX_COLLAPSE];
	unsigned int nr;

	scoped_guard(spinlock_irqsave, &collapse_lock) {
		nr = nr_collapse;
		memcpy(pages, collapse_pages, nr * sizeof(*pages));
		nr_collapse = 0;
	}
	if (!nr)
		return;
	collapse_direct_map_pmds(pages, nr);
	unmapped_event(UNMAPPED_COLLAPSES, 1);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_collapse);

static void collapse_work_fn(struct work_struct *work)
{
	unmapped_collapse();
}

static DECLARE_DELAYED_WORK(collapse_work, collapse_work_fn);

#if IS_ENABLED(CONFIG_KUNIT)
/* For tests, which cannot wait as long as the worker does. May sleep. */
void unmapped_collapse_flush(void)
{
	flush_delayed_work(&collapse_work);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_collapse_flush);

/* For tests, which take the place of who takes blocks out. */
struct mutex *unmapped_node_lock(int nid)
{
	return &unmapped_nodes[nid].lock;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_node_lock);
#endif

static void collapse_later(struct page *block)
{
	unsigned long pud = page_to_pfn(block) >> (PUD_SHIFT - PAGE_SHIFT);
	unsigned int i;

	scoped_guard(spinlock_irqsave, &collapse_lock) {
		for (i = 0; i < nr_collapse; i++)
			if (page_to_pfn(collapse_pages[i]) >>
			    (PUD_SHIFT - PAGE_SHIFT) == pud)
				break;
		/* Without room it has to wait for another block to come back. */
		if (i == nr_collapse && i < MAX_COLLAPSE)
			collapse_pages[nr_collapse++] = block;
	}
	queue_delayed_work(system_dfl_wq, &collapse_work, COLLAPSE_TIME);
}

/*
 * A block that is off all lists, and not counted. Its contents are zero, or
 * ordinary old data. The direct map must not have pages again that are broken,
 * so a block with one stays, and what is good of it is free.
 */
static bool return_block(struct zone *zone, struct page *block)
{
	if (unmapped_poisoned(block, pageblock_order)) {
		bool erased = unmapped_erase(block, pageblock_nr_pages);

		guard(spinlock_irqsave)(&zone->lock);
		unmapped_count_blocks(zone, 0, -1);
		if (erased)
			unmapped_give_good(zone, block, pageblock_order);
		else
			unmapped_divert(zone, block, pageblock_order);
		return false;
	}
	/* It is lost, and that has been told. */
	if (!map_block(block))
		return false;
	unmapped_give_back(zone, block);
	unmapped_event(UNMAPPED_RETURNED, 1);
	collapse_later(block);

	return true;
}

static struct page *take_whole(struct zone *zone)
{
	struct unmapped_zone *uz = zone_pool(zone);
	struct page *block;

	guard(spinlock_irqsave)(&zone->lock);
	/* What is partly raw is at the front. */
	block = list_last_entry_or_null(&uz->raw, struct page, lru);
	if (block && raw_as_a_whole(block)) {
		del_raw(zone, block);
		unmapped_account(zone, -(long)pageblock_nr_pages);
	} else {
		block = unmapped_take(zone, pageblock_order);
	}
	if (block)
		unmapped_count_blocks(zone, 0, 1);

	return block;
}

/**
 * unmapped_release() - Map blocks again of which nothing is in use
 * @zone: A zone.
 * @nr: How many.
 *
 * Needs no memory and waits for nobody.
 *
 * Context: Process context, also in reclaim.
 *
 * Return: How many that were.
 */
unsigned long unmapped_release(struct zone *zone, unsigned long nr)
{
	unsigned long done = 0;
	struct page *block;

	if (!zone_pool(zone))
		return 0;
	for (; done < nr; done++) {
		block = take_whole(zone);
		if (!block)
			break;
		if (!return_block(zone, block))
			done--;
	}

	return done;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_release);

/* What is in the way of whole blocks: pages at hand, dirty ones, raw parts. */
static void gather(struct zone *zone)
{
	struct page *raw;
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		unmapped_drain(cpu, zone);
	for (;;) {
		scoped_guard(spinlock_irqsave, &zone->lock) {
			raw = list_first_entry_or_null(&zone->unmapped->raw,
						       struct page, lru);
			if (!raw || raw_as_a_whole(raw))
				return;
			del_raw(zone, raw);
		}
		if (!erase_raw(zone, raw, pageblock_order))
			return;
	}
}

/**
 * unmapped_release_all() - Map all blocks again of which nothing is in use
 *
 * Context: Process context, also in reclaim.
 *
 * Return: How many that were.
 */
unsigned long unmapped_release_all(void)
{
	unsigned long done = 0;
	struct zone *zone;

	unmapped_erase_all();
	for_each_populated_zone(zone) {
		if (!zone_pool(zone))
			continue;
		gather(zone);
		done += unmapped_release(zone, ULONG_MAX);
	}

	return done;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_release_all);

/*
 * Who wants a block has looked at it without zone->lock: by now others may have
 * mapped it, and its pages may be free, on lists of another type.
 */
VISIBLE_IF_KUNIT
bool unmapped_take_this(struct zone *zone, struct page *block)
{
	struct page *raw;

	guard(spinlock_irqsave)(&zone->lock);
	if (!page_is_unmapped(block))
		return false;
	list_for_each_entry(raw, &zone->unmapped->raw, lru) {
		if (raw != block)
			continue;
		del_raw(zone, raw);
		unmapped_account(zone, -(long)pageblock_nr_pages);
		unmapped_count_blocks(zone, 0, 1);
		return true;
	}
	if (!unmapped_take_block(zone, block))
		return false;
	unmapped_count_blocks(zone, 0, 1);

	return true;
}

static bool in_use(struct page *block)
{
	unsigned long i;

	for (i = 0; i < pageblock_nr_pages; i++)
		if (page_count(block + i) || PageHWPoison(block + i))
			return true;

	return false;
}

/**
 * unmapped_release_block() - Map the block of a page again
 * @page: A page of the block.
 *
 * Context: Process context. May sleep.
 *
 * Return: False if something of it is in use, or has been poisoned.
 */
bool unmapped_release_block(struct page *page)
{
	struct page *block = pfn_to_page(pageblock_start_pfn(page_to_pfn(page)));
	struct zone *zone = page_zone(block);
	unsigned long end = jiffies + RELEASE_TIME;

	if (!zone_pool(zone))
		return true;
	while (!in_use(block)) {
		unmapped_erase_all();
		gather(zone);
		if (unmapped_take_this(zone, block))
			return return_block(zone, block);
		if (!page_is_unmapped(block))
			return true;
		if (time_after(jiffies, end))
			break;
		/* Others are erasing part of it, or mapping it. Let them run. */
		schedule_timeout_uninterruptible(1);
	}

	return !page_is_unmapped(block);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_release_block);

/* Free memory of a zone that comes back if it is wanted: whole blocks. */
static unsigned long zone_available(struct zone *zone)
{
	struct unmapped_zone *uz = zone_pool(zone);
	unsigned long pages;
	unsigned int order;

	if (!uz)
		return 0;
	pages = READ_ONCE(uz->nr_whole) << pageblock_order;
	for (order = pageblock_order; order < NR_PAGE_ORDERS; order++)
		pages += READ_ONCE(uz->nr_free[order]) << order;

	return pages;
}

/**
 * unmapped_available() - What the system could have if it is short of memory
 *
 * Context: Any context.
 *
 * Return: Pages of blocks that are not mapped, and of which nothing is in use.
 */
unsigned long unmapped_available(void)
{
	unsigned long pages = 0;
	struct zone *zone;

	for_each_populated_zone(zone)
		pages += zone_available(zone);

	return pages;
}

/*
 * What gather() puts on lists, which may be all that keeps some blocks: pages that
 * CPUs have at hand, and the rest of blocks that are partly raw.
 */
static unsigned long zone_scattered(struct zone *zone)
{
	struct unmapped_zone *uz = zone_pool(zone);
	unsigned long pages, whole;
	unsigned int cpu;

	if (!uz)
		return 0;
	pages = READ_ONCE(uz->nr_raw);
	whole = READ_ONCE(uz->nr_whole) << pageblock_order;
	/* Both may be changing. */
	pages -= min(pages, whole);
	for_each_possible_cpu(cpu)
		pages += READ_ONCE(per_cpu_ptr(uz->pcp, cpu)->count);

	return pages;
}

static unsigned long unmapped_shrink_count(struct shrinker *shrinker,
					   struct shrink_control *sc)
{
	pg_data_t *pgdat = NODE_DATA(sc->nid);
	unsigned long n = 0;
	int i;

	for (i = 0; i < MAX_NR_ZONES; i++) {
		struct zone *zone = &pgdat->node_zones[i];

		if (populated_zone(zone))
			n += zone_available(zone) + zone_scattered(zone);
	}

	return n ?: SHRINK_EMPTY;
}

static unsigned long unmapped_shrink_scan(struct shrinker *shrinker,
					  struct shrink_control *sc)
{
	unsigned long nr = DIV_ROUND_UP(sc->nr_to_scan, pageblock_nr_pages);
	pg_data_t *pgdat = NODE_DATA(sc->nid);
	unsigned long done = 0;
	int i;

	for (i = 0; i < MAX_NR_ZONES && done < nr; i++) {
		struct zone *zone = &pgdat->node_zones[i];

		if (!populated_zone(zone) || !zone_pool(zone))
			continue;
		done += unmapped_release(zone, nr - done);
		if (done < nr) {
			gather(zone);
			done += unmapped_release(zone, nr - done);
		}
	}
	sc->nr_scanned = nr * pageblock_nr_pages;
	if (!done)
		return SHRINK_STOP;
	/* They are free, which nobody else tells who reclaims. */
	mm_account_reclaimed_pages(done * pageblock_nr_pages);

	return done * pageblock_nr_pages;
}

/*
 * What comes back may be of nodes that the task must not use that is short of memory,
 * and others may use it there again, so that there is always something to give. That
 * is not to keep the task going forever.
 *
 * Context: oom_lock is held, which is for the variables as well.
 */
static int unmapped_oom(struct notifier_block *nb, unsigned long action, void *freed)
{
	unsigned long done = unmapped_release_all();
	static unsigned int rounds;
	static unsigned long last;

	lockdep_assert_held(&oom_lock);
	if (!done)
		return NOTIFY_OK;
	if (time_after(jiffies, last + HZ))
		rounds = 0;
	last = jiffies;
	if (rounds++ < MAX_OOM_ROUNDS)
		*(unsigned long *)freed += done * pageblock_nr_pages;

	return NOTIFY_OK;
}

static struct notifier_block unmapped_oom_nb = {
	.notifier_call = unmapped_oom,
};

/*
 * For who wants all that can be had: pages that were freed while a CPU had them in
 * a batch for the LRU are still in use, and others may be erasing some. Returns how
 * many blocks are left. May sleep.
 */
static unsigned long release_patiently(void)
{
	unsigned long blocks, end;
	struct zone *zone;

	lru_add_drain_all();
	end = jiffies + RELEASE_TIME;
	for (;;) {
		unmapped_release_all();
		blocks = 0;
		for_each_populated_zone(zone)
			if (zone_pool(zone))
				blocks += READ_ONCE(zone->unmapped->nr_blocks);
		if (!blocks || time_after(jiffies, end))
			return blocks;
		schedule_timeout_uninterruptible(1);
	}
}

/* The image of hibernation is written and read through the direct map. */
VISIBLE_IF_KUNIT
int unmapped_pm(struct notifier_block *nb, unsigned long action, void *data)
{
	unsigned long blocks;
	int nid;

	switch (action) {
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		WRITE_ONCE(unmapped_suspended, true);
		/* Who takes blocks out has seen it, or is done. */
		for_each_online_node(nid) {
			mutex_lock(&unmapped_nodes[nid].lock);
			mutex_unlock(&unmapped_nodes[nid].lock);
		}
		blocks = release_patiently();
		if (!blocks)
			return NOTIFY_OK;
		pr_info("cannot hibernate: memory of %lu blocks is in use without mapping\n",
			blocks);
		WRITE_ONCE(unmapped_suspended, false);
		return notifier_from_errno(-EBUSY);
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		WRITE_ONCE(unmapped_suspended, false);
		break;
	}

	return NOTIFY_DONE;
}

/*
 * Requests
 */

/* What has no meaning together with __GFP_UNMAPPED, or not yet. */
#define UNMAPPED_REFUSED	(__GFP_DMA | __GFP_DMA32 | __GFP_MOVABLE |	\
				 __GFP_RECLAIMABLE | __GFP_NOFAIL | __GFP_PRIVATE)

/*
 * @cpuset says that zones have to be looked up in the cpuset of the task, and @cheap
 * that there is another way, so that nothing is reclaimed for this one. @failed is
 * set if all of what may be done was done, which is worth to be told.
 */
struct request {
	gfp_t		gfp;
	unsigned int	order;
	nodemask_t	*nodemask;
	bool		cpuset;
	bool		cheap;
	bool		failed;
	struct zoneref	*preferred;
};

static bool zone_allowed(const struct request *rq, struct zone *zone)
{
	return !rq->cpuset || cpuset_zone_allowed(zone, rq->gfp);
}

/* Take from the zones of the preferred node, or from those of all the others. */
static struct page *take_from(const struct request *rq, bool local)
{
	int nid = zonelist_node_idx(rq->preferred);
	struct zoneref *z = rq->preferred;
	struct page *page = NULL;
	struct zone *zone;

	for_next_zone_zonelist_nodemask(zone, z, gfp_zone(rq->gfp), rq->nodemask) {
		if ((zone_to_nid(zone) == nid) != local || !zone_allowed(rq, zone))
			continue;
		if (!rq->order && zone_to_nid(zone) == numa_mem_id())
			page = take_cached(zone);
		if (!page)
			page = take_free(zone, rq->order);
		if (page)
			return page;
	}

	return NULL;
}

/*
 * Erase something of raw blocks that are there already, of the nodes of take_from().
 * Returns 0 if there is none, and an error if it cannot be erased: then more of it
 * is no help.
 */
static int erase_from(const struct request *rq, bool local)
{
	int nid = zonelist_node_idx(rq->preferred);
	struct zoneref *z = rq->preferred;
	struct zone *zone;
	struct page *raw;

	for_next_zone_zonelist_nodemask(zone, z, gfp_zone(rq->gfp), rq->nodemask) {
		if ((zone_to_nid(zone) == nid) != local || !zone_allowed(rq, zone))
			continue;
		raw = take_raw(zone, rq->order);
		if (raw)
			return erase_raw(zone, raw, rq->order) ? 1 : -EAGAIN;
	}

	return 0;
}

/* Local memory, mapped or not, comes before remote pools. */
static int make_local(const struct request *rq, gfp_t gfp)
{
	int nid = zonelist_node_idx(rq->preferred);
	int made = erase_from(rq, true);

	if (made || !may_convert(nid, gfp) || !above_high_watermark(nid, gfp) ||
	    convert(nid, gfp, NULL, true) <= 0)
		return made;

	return erase_from(rq, true);
}

/*
 * Blocks are allocated with the effort of the request, but they are a lot of
 * memory: none of the reserves is for that.
 */
#define BLOCK_MASK	((GFP_RECLAIM_MASK & ~(__GFP_HIGH | __GFP_MEMALLOC)) |	\
			 __GFP_HARDWALL | __GFP_THISNODE)

/*
 * Take blocks out with the effort @gfp. Who failed on a node may have had no other,
 * and is no reason to fail here: then it is passed over, and the first one that
 * nobody has failed on lately is the only one to be tried. Returns as convert() does.
 */
static int make_block(const struct request *rq, gfp_t gfp)
{
	struct zoneref *z = rq->preferred;
	int nid = NUMA_NO_NODE, made = -EAGAIN;
	struct zone *zone;

	for_next_zone_zonelist_nodemask(zone, z, gfp_zone(rq->gfp), rq->nodemask) {
		if (zone_to_nid(zone) == nid || !zone_allowed(rq, zone))
			continue;
		nid = zone_to_nid(zone);
		made = convert(nid, gfp, rq->nodemask, rq->cheap);
		if (made != -EAGAIN)
			break;
		gfp |= __GFP_THISNODE;
	}

	return made;
}

static struct page *take_or_make(struct request *rq)
{
	gfp_t block = (rq->gfp & BLOCK_MASK) | __GFP_NOWARN | __GFP_NOMEMALLOC;
	gfp_t cheap = block & ~__GFP_DIRECT_RECLAIM;
	int nid = zonelist_node_idx(rq->preferred);
	struct page *page;
	int round, made;

	/*
	 * Who has another way does not pay for reclaim and compaction. If requests
	 * fail for longer, kswapd and kcompactd work for those that come later.
	 */
	if (rq->gfp & __GFP_NORETRY) {
		struct unmapped_backoff *b = &unmapped_nodes[nid].backoff[EFFORT_NONE];

		if (READ_ONCE(b->delay) < MAX_BACKOFF)
			cheap &= ~__GFP_KSWAPD_RECLAIM;
		block = cheap;
	}

	/*
	 * Dirty pages are of any node and order, so to have erased some is not to
	 * have what is wanted: once, and what follows does not depend on it.
	 */
	if (unmapped_erase_some()) {
		page = take_from(rq, true);
		if (page)
			return page;
	}

	/* What is made here may be taken by others before. */
	for (round = 0; round < MAX_ROUNDS; round++) {
		made = make_local(rq, cheap | __GFP_THISNODE);
		if (made > 0) {
			page = take_from(rq, true);
			if (page)
				return page;
			continue;
		}
		page = take_from(rq, false);
		if (page)
			return page;
		if (!made)
			made = erase_from(rq, false);
		if (made > 0) {
			page = take_from(rq, false);
			if (page)
				return page;
			continue;
		}
		if (made < 0)
			break;
		made = make_block(rq, rq->cheap ? cheap : block);
		/* That has been told when somebody did try. */
		if (made < 0)
			return NULL;
		if (!made)
			break;
	}
	rq->failed = true;

	return NULL;
}

static struct page *take(struct request *rq, bool may_sleep)
{
	struct page *page = take_from(rq, true);

	if (page) {
		unmapped_event(UNMAPPED_HITS, 1);
		return page;
	}
	unmapped_event(UNMAPPED_MISSES, 1);

	return may_sleep ? take_or_make(rq) : take_from(rq, false);
}

/* Whoever poisoned a page while it was free wants it out of use. */
static struct page *take_good(struct request *rq, bool may_sleep)
{
	struct page *page;

	rq->failed = !zonelist_zone(rq->preferred);
	if (rq->failed)
		return NULL;
	while ((page = take(rq, may_sleep)) && unmapped_poisoned(page, rq->order)) {
		struct zone *zone = page_zone(page);

		guard(spinlock_irqsave)(&zone->lock);
		unmapped_give_good(zone, page, rq->order);
	}

	return page;
}

/*
 * First from the nodes of the task's cpuset, then, for the kernel's own use, from
 * those of the next one above that is exclusive, as the page allocator does it.
 */
static struct page *take_allowed(struct request *rq, gfp_t gfp, int nid,
				 nodemask_t *nodemask, bool may_sleep)
{
	struct zonelist *zonelist = node_zonelist(nid, gfp);
	struct page *page;

	rq->gfp = gfp;
	rq->nodemask = nodemask;
	if (cpusets_enabled()) {
		rq->cpuset = nodemask || !in_task();
		if (!rq->cpuset)
			rq->nodemask = &cpuset_current_mems_allowed;
		rq->gfp |= __GFP_HARDWALL;
		rq->cheap = !(gfp & __GFP_HARDWALL);
	}
	/* With a nodemask it need not be of @nid. */
	rq->preferred = first_zones_zonelist(zonelist, gfp_zone(gfp), rq->nodemask);
	page = take_good(rq, may_sleep);
	if (page || !rq->cheap)
		return page;

	rq->gfp = gfp;
	rq->nodemask = nodemask;
	rq->cpuset = true;
	rq->cheap = false;
	rq->preferred = first_zones_zonelist(zonelist, gfp_zone(gfp), rq->nodemask);

	return take_good(rq, may_sleep);
}

/**
 * unmapped_alloc_frozen() - Serve a request with __GFP_UNMAPPED
 * @gfp: Its flags, after gfp_allowed_mask and current_gfp_context().
 * @order: Its order.
 * @nid: The node that it prefers.
 * @nodemask: The nodes that it may use, or NULL.
 * @alloc_flags: As for __alloc_frozen_pages_noprof().
 *
 * No watermark is looked at but when blocks leave: NR_FREE_PAGES has nothing of
 * what is in the pools.
 *
 * Context: As @gfp says.
 *
 * Return: Pages that are zero and absent from the direct map, or NULL.
 */
struct page *unmapped_alloc_frozen(gfp_t gfp, unsigned int order, int nid,
				   nodemask_t *nodemask, unsigned int alloc_flags)
{
	bool may_sleep = gfpflags_allow_blocking(gfp) &&
			 !(current->flags & PF_MEMALLOC);
	struct request rq = { .order = order };
	unsigned int cookie;
	struct page *page;

	if (WARN_ON_ONCE(gfp & UNMAPPED_REFUSED) ||
	    WARN_ON_ONCE(order > pageblock_order))
		return NULL;
	if (!unmapped_pages_enabled() || (alloc_flags & ALLOC_NOLOCK))
		return NULL;
	might_alloc(gfp);
	if (should_fail_alloc_page(gfp, order))
		return NULL;

	do {
		cookie = read_mems_allowed_begin();
		page = take_allowed(&rq, gfp, nid, nodemask, may_sleep);
	} while (!page && read_mems_allowed_retry(cookie));

	if (!page) {
		unmapped_event(UNMAPPED_FAILED, 1);
		if (may_sleep && rq.failed)
			warn_alloc(gfp, nodemask, "no memory without mapping: order:%u",
				   order);
		return NULL;
	}

	return unmapped_hand_out(page, order, gfp, alloc_flags,
				 zonelist_zone(rq.preferred));
}

/* The page allocator has one test for what it does not serve itself. */
struct page *apart_alloc_frozen(gfp_t gfp, unsigned int order, int nid,
				nodemask_t *nodemask, unsigned int alloc_flags)
{
	if (gfp & __GFP_UNMAPPED)
		return unmapped_alloc_frozen(gfp, order, nid, nodemask, alloc_flags);

	return private_alloc_reclaim(gfp, order, nid, nodemask, alloc_flags);
}

/*
 * What is shown and set
 */

/* Since boot. */
unsigned long unmapped_sum(enum unmapped_event event)
{
	unsigned long n = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		n += READ_ONCE(per_cpu(unmapped_events, cpu).n[event]);

	return n;
}

/**
 * unmapped_report_meminfo() - Print the line of /proc/meminfo
 * @m: The file.
 *
 * It is not in the meminfo files of nodes, as programs look up each line of those
 * and fail at one that they do not know. vmstat has it there.
 *
 * Context: Process context.
 */
void unmapped_report_meminfo(struct seq_file *m)
{
	seq_printf(m, "UnmappedFree:   %8lu kB\n",
		   K(global_zone_page_state(NR_FREE_UNMAPPED)));
}

/**
 * unmapped_show_zone() - Print what a zone has of memory without mapping
 * @zone: The zone.
 *
 * For reports of memory shortage, where all else that is free has lines.
 *
 * Context: Any context.
 */
void unmapped_show_zone(struct zone *zone)
{
	struct unmapped_zone *uz = zone_pool(zone);
	unsigned long blocks;

	if (!uz)
		return;
	blocks = READ_ONCE(uz->nr_blocks);
	if (blocks)
		pr_warn("Node %d %s total:%lukB free:%lukB raw:%lukB\n",
			zone_to_nid(zone), zone->name, K(blocks << pageblock_order),
			K(zone_page_state(zone, NR_FREE_UNMAPPED)),
			K(READ_ONCE(uz->nr_raw)));
}

static const char * const event_names[NR_UNMAPPED_EVENTS] = {
	[UNMAPPED_ROUNDS]	= "rounds",
	[UNMAPPED_LEFT]		= "blocks_left",
	[UNMAPPED_RETURNED]	= "blocks_returned",
	[UNMAPPED_COLLAPSES]	= "collapses",
	[UNMAPPED_HITS]		= "hits",
	[UNMAPPED_MISSES]	= "misses",
	[UNMAPPED_FAILED]	= "failed",
	[UNMAPPED_ERASED]	= "pages_erased",
	[UNMAPPED_DEFERRED]	= "frees_deferred",
};

static int stats_show(struct seq_file *m, void *v)
{
	struct zone *zone;
	int i;

	for (i = 0; i < NR_UNMAPPED_EVENTS; i++)
		seq_printf(m, "%s %lu\n", event_names[i], unmapped_sum(i));
	for_each_populated_zone(zone) {
		struct unmapped_zone *uz = zone_pool(zone);

		if (!uz)
			continue;
		seq_printf(m, "node %d zone %s: blocks %lu raw_pages %lu free_pages %lu\n",
			   zone_to_nid(zone), zone->name, READ_ONCE(uz->nr_blocks),
			   READ_ONCE(uz->nr_raw),
			   zone_page_state_snapshot(zone, NR_FREE_UNMAPPED));
	}

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int release_set(void *data, u64 value)
{
	release_patiently();

	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(release_fops, NULL, release_set, "%llu\n");

static int __init unmapped_setup(char *str)
{
	bool on;

	if (kstrtobool(str, &on))
		return 0;
	unmapped_off = !on;

	return 1;
}
__setup("unmapped_pages=", unmapped_setup);

static int __init unmapped_init(void)
{
	struct shrinker *shrinker;
	struct dentry *dir;
	unsigned int i;
	int nid;

	if (unmapped_off)
		return 0;
	/* Half a block, or small entries that another option wants. */
	if (pageblock_order != PMD_ORDER || debug_pagealloc_enabled() ||
	    !can_set_direct_map()) {
		pr_info("not available: needs a direct map of large pages\n");
		return 0;
	}
	/* Nothing could be erased. */
	if (!kmermap_available()) {
		pr_info("not available: needs windows of the kernel's own\n");
		return 0;
	}

	for (nid = 0; nid < MAX_NUMNODES; nid++) {
		mutex_init(&unmapped_nodes[nid].lock);
		unmapped_nodes[nid].batch = 1;
		unmapped_nodes[nid].last = jiffies - DEMAND_TIME;
		for (i = 0; i < NR_EFFORTS; i++)
			unmapped_nodes[nid].backoff[i].until = jiffies;
	}

	shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE, "mm-unmapped");
	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = unmapped_shrink_count;
	shrinker->scan_objects = unmapped_shrink_scan;
	shrinker->batch = pageblock_nr_pages;
	shrinker_register(shrinker);

	register_oom_notifier(&unmapped_oom_nb);
	pm_notifier(unmapped_pm, 0);

	dir = debugfs_create_dir("unmapped", NULL);
	debugfs_create_file("stats", 0400, dir, NULL, &stats_fops);
	debugfs_create_file_unsafe("release", 0200, dir, NULL, &release_fops);

	static_branch_enable(&unmapped_key);

	return 0;
}
late_initcall(unmapped_init);
