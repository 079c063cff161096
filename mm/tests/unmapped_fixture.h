/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests of memory that is absent from the direct map have in common: pages are
 * looked at and filled through windows, and nothing is to be left at the end.
 */
#ifndef __MM_TESTS_UNMAPPED_FIXTURE_H
#define __MM_TESTS_UNMAPPED_FIXTURE_H

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/fault-inject.h>
#include <linux/jiffies.h>
#include <linux/kmermap.h>
#include <linux/mm.h>
#include <linux/set_memory.h>
#include <linux/string.h>
#include <linux/unmapped.h>
#include <linux/vmstat.h>

#include "../unmapped.h"

#define PATTERN		0x5ec7e75ec7e7ULL

/* What is free can be in the hands of who drains or migrates for a moment. */
#define MAX_TRIES	100
/* A worker has long been there by then, even in an emulator that is busy. */
#define WORKER_TIME	(10 * HZ)

/* How many words of a page are not @want. All of them if it cannot be looked at. */
static inline unsigned int differ(struct page *page, u64 want)
{
	unsigned int i, n = PAGE_SIZE / sizeof(u64), bad = 0;
	struct mermap_alloc *alloc;
	struct kmermap k;

	if (!kmermap_begin(&k))
		return n;
	alloc = kmermap_map(page, 1, MERMAP_RO);
	if (IS_ERR(alloc)) {
		bad = n;
	} else {
		const u64 *data = mermap_addr(alloc);

		for (i = 0; i < n; i++)
			bad += READ_ONCE(data[i]) != want;
		kmermap_unmap(alloc);
	}
	kmermap_end(&k);

	return bad;
}

static inline bool fill(struct page *page, u64 what)
{
	struct mermap_alloc *alloc;
	struct kmermap k;

	if (!kmermap_begin(&k))
		return false;
	alloc = kmermap_map(page, 1, MERMAP_RW);
	if (!IS_ERR(alloc)) {
		memset64(mermap_addr(alloc), what, PAGE_SIZE / sizeof(u64));
		kmermap_unmap(alloc);
	}
	kmermap_end(&k);

	return !IS_ERR(alloc);
}

static inline void fill_all(struct kunit *test, struct page *page, unsigned int order)
{
	unsigned long i;

	for (i = 0; i < 1UL << order; i++)
		KUNIT_EXPECT_TRUE(test, fill(page + i, PATTERN + i));
}

static inline unsigned long free_unmapped(void)
{
	struct zone *zone;
	unsigned long n = 0;

	for_each_populated_zone(zone)
		n += zone_page_state_snapshot(zone, NR_FREE_UNMAPPED);

	return n;
}

static inline unsigned long blocks(void)
{
	struct zone *zone;
	unsigned long n = 0;

	for_each_populated_zone(zone)
		if (zone->unmapped)
			n += zone->unmapped->nr_blocks;

	return n;
}

/* Everything that these tests have had comes back, or they are wrong. */
static inline void expect_nothing_left(struct kunit *test)
{
	unmapped_erase_flush();
	unmapped_release_all();
	KUNIT_EXPECT_EQ(test, blocks(), 0);
	KUNIT_EXPECT_EQ(test, free_unmapped(), 0);
}

static inline void expect_consistent(struct kunit *test)
{
#ifdef CONFIG_DEBUG_UNMAPPED
	struct zone *zone;

	unmapped_erase_flush();
	for_each_populated_zone(zone)
		KUNIT_EXPECT_EQ_MSG(test, unmapped_check(zone), 0, "node %d %s",
				    zone_to_nid(zone), zone->name);
#endif
}

/* Wait for the worker to have erased so many pages since boot. */
static inline void expect_erased(struct kunit *test, unsigned long sum)
{
	unsigned long end = jiffies + WORKER_TIME;

	while (unmapped_sum(UNMAPPED_ERASED) < sum && time_before(jiffies, end))
		msleep(20);
	KUNIT_EXPECT_GE(test, unmapped_sum(UNMAPPED_ERASED), sum);
}

#ifdef CONFIG_FAULT_INJECTION
static inline void inject(struct fault_attr *attr, int times)
{
	attr->probability = 100;
	attr->interval = 1;
	attr->verbose = 0;
	atomic_set(&attr->space, 0);
	atomic_set(&attr->times, times);
}

static inline void stop_injecting(struct fault_attr *attr)
{
	attr->probability = 0;
	atomic_set(&attr->times, 0);
}
#endif

static inline void check_pages(struct kunit *test, struct page *page, unsigned int order)
{
	unsigned long i;

	for (i = 0; i < 1UL << order; i++) {
		KUNIT_EXPECT_TRUE(test, page_is_unmapped(page + i));
		KUNIT_EXPECT_FALSE(test, kernel_page_present(page + i));
		KUNIT_EXPECT_EQ_MSG(test, differ(page + i, 0), 0, "page %lu", i);
	}
	/* Whoever decides by migratetypes knows no more than that. */
	KUNIT_EXPECT_EQ(test, get_pageblock_migratetype(page), MIGRATE_UNMOVABLE);
}

#endif /* __MM_TESTS_UNMAPPED_FIXTURE_H */
