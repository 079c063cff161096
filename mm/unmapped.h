/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_UNMAPPED_H
#define _MM_UNMAPPED_H

/* What the page allocator has to do with memory that is not mapped. */

#include <linux/gfp.h>
#include <linux/mmzone.h>
#include <linux/unmapped.h>

struct folio_batch;

#include "freetype.h"

/* Between mapping a block and isolating it somebody may have taken it again. */
#define UNMAPPED_ISOLATE_TRIES	8

#ifdef CONFIG_UNMAPPED_PAGES

#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <linux/vmstat.h>

/*
 * Unmovable memory that is absent from the direct map. The value after it is left
 * for movable memory of that kind: ask freetype_is_unmapped(), do not compare.
 */
#define FREETYPE_UNMAPPED	__freetype(MIGRATE_TYPES)

/* What is stored for a pageblock has three bits. */
static_assert(NR_FREETYPES - 1 <= PAGEBLOCK_MIGRATETYPE_MASK);
/* So that freetype_is_special() is one compare. */
static_assert(MIGRATE_ISOLATE == MIGRATE_TYPES - 1);

static inline bool freetype_is_unmapped(freetype_t ft)
{
	return freetype_index(ft) >= MIGRATE_TYPES;
}

/* The name of the lists of an index. */
static inline const char *freetype_name(int index)
{
	return index < MIGRATE_TYPES ? migratetype_names[index] : "Unmapped";
}

/**
 * struct unmapped_pcp - Erased pages of order 0 that a CPU has at hand
 * @lock:  Nests outside of zone->lock. Tried where pages are handed out or
 *         freed, taken by who drains.
 * @count: How many are on @list.
 * @list:  By page->pcp_list.
 */
struct unmapped_pcp {
	spinlock_t		lock;
	int			count;
	struct list_head	list;
};

/**
 * struct unmapped_zone - What a zone has of memory that is not mapped
 * @raw:          Blocks of which not all has been erased, by page->lru of the
 *                first page that has not been. What is partly raw comes first.
 * @nr_raw:       Pages of @raw that have not been erased.
 * @nr_whole:     Blocks of @raw of which none has been.
 * @nr_blocks:    Blocks of the zone that are FREETYPE_UNMAPPED.
 * @nr_returning: Those of them that may be mapped, as they are about to be
 *                given back.
 * @nr_free:      Entries on the free list of each order.
 * @changes:      Goes up with @nr_blocks, @nr_returning and @nr_free, under
 *                CONFIG_DEBUG_UNMAPPED.
 * @pcp:          For each possible CPU.
 *
 * All but @pcp is under zone->lock, and read without it by who only wants to know
 * about how much there is. area->nr_free has nothing of it: it is for requests
 * that can have mapped memory, and what is guessed about those.
 */
struct unmapped_zone {
	struct list_head		raw;
	unsigned long			nr_raw;
	unsigned long			nr_whole;
	unsigned long			nr_blocks;
	unsigned long			nr_returning;
	unsigned long			nr_free[NR_PAGE_ORDERS];
	unsigned long			changes;
	struct unmapped_pcp __percpu	*pcp;
};

/* What is counted, for the file in debugfs. */
enum unmapped_event {
	UNMAPPED_ROUNDS,	/* blocks left, with one flush */
	UNMAPPED_LEFT,		/* so many blocks */
	UNMAPPED_RETURNED,	/* blocks came back */
	UNMAPPED_COLLAPSES,	/* larger mappings were looked for after that */
	UNMAPPED_HITS,		/* requests that found an erased page */
	UNMAPPED_MISSES,	/* requests that had to erase, or to take blocks out */
	UNMAPPED_FAILED,	/* requests that got nothing */
	UNMAPPED_ERASED,	/* pages that were erased */
	UNMAPPED_DEFERRED,	/* frees that were left to the worker */
	NR_UNMAPPED_EVENTS
};

struct unmapped_events {
	unsigned long	n[NR_UNMAPPED_EVENTS];
};

DECLARE_PER_CPU(struct unmapped_events, unmapped_events);

static inline void unmapped_event(enum unmapped_event event, unsigned long n)
{
	this_cpu_add(unmapped_events.n[event], n);
}

/*
 * Requests that are served apart from all others, with one test for both. Those
 * for private memory come through here twice.
 */
#define apart_request(gfp, alloc_flags)					\
	(unlikely((gfp) & (__GFP_PRIVATE | __GFP_UNMAPPED)) &&		\
	 !((alloc_flags) & ALLOC_CONFINED))

/* mm/unmapped.c */
struct page *apart_alloc_frozen(gfp_t gfp, unsigned int order, int nid,
				nodemask_t *nodemask, unsigned int alloc_flags);
struct page *unmapped_alloc_frozen(gfp_t gfp, unsigned int order, int nid,
				   nodemask_t *nodemask,
				   unsigned int alloc_flags);
void __unmapped_drain(unsigned int cpu, struct zone *zone);
bool unmapped_release_block(struct page *page);
unsigned long unmapped_release(struct zone *zone, unsigned long nr);
unsigned long unmapped_release_all(void);
unsigned long unmapped_available(void);
void unmapped_collapse(void);
void unmapped_show_zone(struct zone *zone);
bool unmapped_cache(struct page *page);
unsigned long unmapped_sum(enum unmapped_event event);
#if IS_ENABLED(CONFIG_KUNIT)
int unmapped_pm(struct notifier_block *nb, unsigned long action, void *data);
bool unmapped_is_image(struct page *block);
bool unmapped_take_this(struct zone *zone, struct page *block);
void unmapped_collapse_flush(void);
struct mutex *unmapped_node_lock(int nid);
void unmapped_erase_flush(void);
#endif

/* mm/unmapped_erase.c */
void unmapped_free(struct page *page, unsigned int order, bool nolock);
void unmapped_free_folios(struct folio_batch *folios, unsigned int first,
			  unsigned int order);
void unmapped_divert(struct zone *zone, struct page *page, unsigned int order);
bool unmapped_erase(struct page *page, unsigned long nr);
void unmapped_erase_all(void);
bool unmapped_erase_some(void);
bool unmapped_poisoned(struct page *page, unsigned int order);
void unmapped_give_good(struct zone *zone, struct page *page, unsigned int order);

/* mm/page_alloc.c, all but the last two under zone->lock */
struct page *unmapped_take(struct zone *zone, unsigned int order);
bool unmapped_take_block(struct zone *zone, struct page *block);
void unmapped_give(struct zone *zone, struct page *page, unsigned int order);
void unmapped_set_type(struct page *block, freetype_t freetype);
void unmapped_give_back(struct zone *zone, struct page *block);
struct page *unmapped_hand_out(struct page *page, unsigned int order, gfp_t gfp,
			       unsigned int alloc_flags, struct zone *preferred);

/* Under zone->lock: what is free, cached, dirty or raw is counted here. */
static inline void unmapped_account(struct zone *zone, long nr_pages)
{
	__mod_zone_page_state(zone, NR_FREE_UNMAPPED, nr_pages);
}

/* Under zone->lock, for who checks all of the zone without it. */
static inline void unmapped_changed(struct zone *zone)
{
	if (IS_ENABLED(CONFIG_DEBUG_UNMAPPED))
		zone->unmapped->changes++;
}

/* Under zone->lock: entries of a free list that come or go. */
static inline void unmapped_listed(struct zone *zone, unsigned int order, int nr)
{
	zone->unmapped->nr_free[order] += nr;
	unmapped_changed(zone);
}

/* Under zone->lock: blocks that come and go, and those that are about to go. */
static inline void unmapped_count_blocks(struct zone *zone, int nr, int returning)
{
	zone->unmapped->nr_blocks += nr;
	zone->unmapped->nr_returning += returning;
	unmapped_changed(zone);
}

/* The hook of drain_pages_zone(). */
static inline void unmapped_drain(unsigned int cpu, struct zone *zone)
{
	/* Pairs with smp_store_release() in unmapped_zone_prepare(). */
	if (unlikely(smp_load_acquire(&zone->unmapped)))
		__unmapped_drain(cpu, zone);
}

/* Whether there is something to drain, for who has not to be sure. */
static inline bool unmapped_cached(unsigned int cpu, struct zone *zone)
{
	/* Pairs with smp_store_release() in unmapped_zone_prepare(). */
	struct unmapped_zone *uz = smp_load_acquire(&zone->unmapped);

	return uz && READ_ONCE(per_cpu_ptr(uz->pcp, cpu)->count);
}

#else /* !CONFIG_UNMAPPED_PAGES */

static inline bool freetype_is_unmapped(freetype_t ft) { return false; }
static inline const char *freetype_name(int index)
{
	return migratetype_names[index];
}

#define apart_request		private_unconfined
#define apart_alloc_frozen	private_alloc_reclaim

static inline void unmapped_free(struct page *page, unsigned int order,
				 bool nolock) { }
static inline void unmapped_free_folios(struct folio_batch *folios,
					unsigned int first, unsigned int order) { }
static inline void unmapped_divert(struct zone *zone, struct page *page,
				   unsigned int order) { }
static inline bool unmapped_erase(struct page *page, unsigned long nr)
{
	return false;
}

static inline bool unmapped_release_block(struct page *page) { return true; }
static inline unsigned long unmapped_available(void) { return 0; }
static inline void unmapped_account(struct zone *zone, long nr_pages) { }
static inline void unmapped_listed(struct zone *zone, unsigned int order,
				   int nr) { }
static inline void unmapped_drain(unsigned int cpu, struct zone *zone) { }
static inline bool unmapped_cached(unsigned int cpu, struct zone *zone)
{
	return false;
}

static inline void unmapped_show_zone(struct zone *zone) { }

#endif /* CONFIG_UNMAPPED_PAGES */

#ifdef CONFIG_DEBUG_UNMAPPED
unsigned long unmapped_check(struct zone *zone);
#endif

#ifdef CONFIG_FAIL_UNMAPPED
extern struct fault_attr fail_unmapped;
bool unmapped_should_fail(void);
#else
static inline bool unmapped_should_fail(void) { return false; }
#endif

#endif /* _MM_UNMAPPED_H */
