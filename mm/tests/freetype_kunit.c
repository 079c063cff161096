// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for freetypes: what they are, and that all free memory of the
 * machine is on the lists that it should be on, also while a pageblock changes
 * its type.
 */

#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/page-isolation.h>
#include <linux/pageblock-flags.h>
#include <linux/spinlock.h>

#include "../internal.h"
#include "../page_alloc.h"
#include "../unmapped.h"

/* Lists can be long, and zone->lock is held. */
#define MAX_PAGES_LOOKED_AT	4096

/* What was just freed can be in use again when it is to be isolated. */
#define MAX_TRIES		100

/* What can be wrong with a list. */
struct findings {
	unsigned long	pages;
	unsigned long	wrong_type;
	unsigned long	wrong_order;
	unsigned long	not_free;
};

static void look_at_list(struct zone *zone, unsigned int order, freetype_t ft,
			 struct findings *found)
{
	unsigned int left = MAX_PAGES_LOOKED_AT;
	struct page *page;

	guard(spinlock_irqsave)(&zone->lock);
	list_for_each_entry(page, free_area_list(&zone->free_area[order], ft),
			    buddy_list) {
		if (!left--)
			break;
		found->pages++;
		if (!PageBuddy(page))
			found->not_free++;
		else if (buddy_order(page) != order)
			found->wrong_order++;
		if (!freetypes_equal(get_pageblock_freetype(page), ft))
			found->wrong_type++;
	}
}

static bool on_list(struct zone *zone, struct page *page, unsigned int order,
		    freetype_t ft)
{
	struct page *p;

	lockdep_assert_held(&zone->lock);
	list_for_each_entry(p, free_area_list(&zone->free_area[order], ft),
			    buddy_list)
		if (p == page)
			return true;

	return false;
}

/* Whether @page is free, and on a list of @ft as part of a page of any order. */
static bool free_and_on_list(struct page *page, freetype_t ft)
{
	struct zone *zone = page_zone(page);
	unsigned long pfn = page_to_pfn(page);
	unsigned int order;

	guard(spinlock_irqsave)(&zone->lock);
	for (order = 0; order < NR_PAGE_ORDERS; order++) {
		struct page *head = page - (pfn & ((1UL << order) - 1));

		if (PageBuddy(head) && buddy_order(head) == order)
			return on_list(zone, head, order, ft);
	}

	return false;
}

static void migratetypes_come_first(struct kunit *test)
{
	int mt;

	for (mt = 0; mt < MIGRATE_TYPES; mt++) {
		KUNIT_EXPECT_EQ(test, freetype_index(freetype_of(mt)), mt);
		KUNIT_EXPECT_EQ(test, freetype_migratetype(freetype_of(mt)), mt);
	}
	KUNIT_EXPECT_GE(test, NR_FREETYPES, MIGRATE_TYPES);
	/* What a pageblock has room for. */
	KUNIT_EXPECT_LE(test, NR_FREETYPES - 1, (int)PAGEBLOCK_MIGRATETYPE_MASK);
}

static void equal_to_themselves_only(struct kunit *test)
{
	int a, b;

	for (a = 0; a < MIGRATE_TYPES; a++)
		for (b = 0; b < MIGRATE_TYPES; b++)
			KUNIT_EXPECT_EQ_MSG(test, a == b,
					    freetypes_equal(freetype_of(a),
							    freetype_of(b)),
					    "%d and %d", a, b);
}

static void kinds_of_freetypes(struct kunit *test)
{
	int mt;

	for (mt = 0; mt < MIGRATE_TYPES; mt++) {
		freetype_t ft = freetype_of(mt);

		KUNIT_EXPECT_EQ(test, freetype_is_mergeable(ft),
				mt == MIGRATE_UNMOVABLE ||
				mt == MIGRATE_MOVABLE ||
				mt == MIGRATE_RECLAIMABLE);
		KUNIT_EXPECT_EQ(test, freetype_has_pcp_list(ft),
				mt < MIGRATE_PCPTYPES);
		KUNIT_EXPECT_EQ(test, freetype_is_special(ft),
				is_migrate_isolate(mt));
	}
}

/* It is listed by itself, and unmovable for whoever decides by migratetypes. */
static void unmapped_is_a_kind_of_its_own(struct kunit *test)
{
#ifdef CONFIG_UNMAPPED_PAGES
	freetype_t ft = FREETYPE_UNMAPPED;
	unsigned int order;
	struct zone *zone;
	int mt;

	KUNIT_EXPECT_TRUE(test, freetype_is_unmapped(ft));
	KUNIT_EXPECT_TRUE(test, freetype_is_special(ft));
	KUNIT_EXPECT_FALSE(test, freetype_is_mergeable(ft));
	KUNIT_EXPECT_FALSE(test, freetype_has_pcp_list(ft));
	KUNIT_EXPECT_EQ(test, freetype_migratetype(ft), MIGRATE_UNMOVABLE);
	KUNIT_EXPECT_LT(test, freetype_index(ft), NR_FREETYPES);
	for (mt = 0; mt < MIGRATE_TYPES; mt++) {
		KUNIT_EXPECT_FALSE(test, freetypes_equal(ft, freetype_of(mt)));
		KUNIT_EXPECT_FALSE(test, freetype_is_unmapped(freetype_of(mt)));
	}
	for_each_populated_zone(zone)
		for (order = 0; order < NR_PAGE_ORDERS; order++)
			KUNIT_EXPECT_PTR_EQ(test,
					    free_area_list(&zone->free_area[order], ft),
					    free_area_list(&zone->free_area[order],
							   freetype_of(MIGRATE_TYPES - 1)) + 1);
#else
	kunit_skip(test, "needs CONFIG_UNMAPPED_PAGES");
#endif
}

/* Each order of each zone has lists for all freetypes, and none twice. */
static void lists_are_distinct(struct kunit *test)
{
	struct list_head *list;
	unsigned int order;
	struct zone *zone;
	int mt;

	for_each_populated_zone(zone) {
		unsigned int n = 0;

		for_each_free_list(list, zone, order)
			n += !!list;
		KUNIT_EXPECT_EQ(test, n, NR_PAGE_ORDERS * NR_FREETYPES);

		for (mt = 1; mt < MIGRATE_TYPES; mt++)
			KUNIT_EXPECT_PTR_EQ(test,
					    free_area_list(&zone->free_area[0],
							   freetype_of(mt)),
					    free_area_list(&zone->free_area[0],
							   freetype_of(mt - 1)) + 1);
	}
}

static void free_pages_are_on_their_list(struct kunit *test)
{
	struct findings found = {};
	unsigned int order;
	struct zone *zone;
	int mt;

	for_each_populated_zone(zone)
		for (order = 0; order < NR_PAGE_ORDERS; order++)
			for (mt = 0; mt < MIGRATE_TYPES; mt++)
				look_at_list(zone, order, freetype_of(mt),
					     &found);

	KUNIT_EXPECT_GT(test, found.pages, 0);
	KUNIT_EXPECT_EQ(test, found.wrong_type, 0);
	KUNIT_EXPECT_EQ(test, found.wrong_order, 0);
	KUNIT_EXPECT_EQ(test, found.not_free, 0);
}

/*
 * Isolate the second pageblock of two that are buddies, while it is free: by
 * itself, or as a part of a free page that has both. False if somebody else took
 * it, or if there is no memory.
 */
static bool isolate_second(struct page **first, bool both)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_MOVABLE,
					pageblock_order + 1);
	unsigned long pfn, second;

	if (!page)
		return false;
	*first = page;
	pfn = page_to_pfn(page);
	second = pfn + pageblock_nr_pages;

	split_page(page, pageblock_order + 1);
	free_contig_range(second, pageblock_nr_pages);
	if (both)
		free_contig_range(pfn, pageblock_nr_pages);
	/* On no list of a CPU, so that isolation finds it. */
	drain_all_pages(page_zone(page));

	if (!start_isolate_page_range(second, second + pageblock_nr_pages,
				      PB_ISOLATE_MODE_OTHER)) {
		if (free_and_on_list(pfn_to_page(second),
				     freetype_of(MIGRATE_ISOLATE)))
			return true;
		undo_isolate_page_range(second, second + pageblock_nr_pages);
	}
	if (!both)
		free_contig_range(pfn, pageblock_nr_pages);

	return false;
}

static void check_isolation(struct kunit *test, bool both)
{
	struct page *first = NULL, *second;
	unsigned long pfn;
	unsigned int try;
	freetype_t ft;

	if (pageblock_order >= MAX_PAGE_ORDER)
		kunit_skip(test, "no free page has two pageblocks");

	for (try = 0; try < MAX_TRIES; try++)
		if (isolate_second(&first, both))
			break;
	KUNIT_ASSERT_LT(test, try, MAX_TRIES);

	second = first + pageblock_nr_pages;
	pfn = page_to_pfn(second);
	ft = get_pfnblock_freetype(second, pfn);
	KUNIT_EXPECT_TRUE(test,
			  freetypes_equal(ft, freetype_of(MIGRATE_ISOLATE)));
	KUNIT_EXPECT_TRUE(test, freetype_is_special(ft));

	ft = get_pageblock_freetype(first);
	KUNIT_EXPECT_FALSE(test, freetype_is_special(ft));
	KUNIT_EXPECT_FALSE(test, free_and_on_list(first,
						  freetype_of(MIGRATE_ISOLATE)));

	undo_isolate_page_range(pfn, pfn + pageblock_nr_pages);

	/* By now it may have been taken. */
	ft = get_pageblock_freetype(second);
	KUNIT_EXPECT_FALSE(test, freetype_is_special(ft));
	KUNIT_EXPECT_FALSE(test, free_and_on_list(second,
						  freetype_of(MIGRATE_ISOLATE)));
	free_pages_are_on_their_list(test);

	if (!both)
		free_contig_range(page_to_pfn(first), pageblock_nr_pages);
}

static void isolated_blocks_change_lists(struct kunit *test)
{
	check_isolation(test, false);
}

static void isolated_parts_of_pages_change_lists(struct kunit *test)
{
	check_isolation(test, true);
}

static struct kunit_case freetype_test_cases[] = {
	KUNIT_CASE(migratetypes_come_first),
	KUNIT_CASE(equal_to_themselves_only),
	KUNIT_CASE(kinds_of_freetypes),
	KUNIT_CASE(unmapped_is_a_kind_of_its_own),
	KUNIT_CASE(lists_are_distinct),
	KUNIT_CASE(free_pages_are_on_their_list),
	KUNIT_CASE(isolated_blocks_change_lists),
	KUNIT_CASE(isolated_parts_of_pages_change_lists),
	{}
};

static struct kunit_suite freetype_test_suite = {
	.name = "freetype",
	.test_cases = freetype_test_cases,
};
kunit_test_suite(freetype_test_suite);

MODULE_DESCRIPTION("Tests for the types of free memory");
MODULE_LICENSE("GPL");
