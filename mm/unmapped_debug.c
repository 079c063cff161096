// SPDX-License-Identifier: GPL-2.0
/*
 * Check what mm/unmapped.c promises, for all memory of a zone:
 *
 *   a page of a block of FREETYPE_UNMAPPED is absent from the direct map, and a
 *   free page of any other block is not, unless debug_pagealloc wants it
 *   what is on the lists of FREETYPE_UNMAPPED is in such blocks, and is zero
 *   the counts are those of what there is, those of all other lists as well
 *
 * What is compared with what was found in all the blocks is wrong only if the pools
 * of the zone have not changed meanwhile. Then it is looked at again, some times.
 *
 * Locking: zone->lock, for one pageblock or the lists of one order at a time. To be
 * looked at through a window, pages are taken off their list, as that needs
 * interrupts on. Those that turn out to be broken do not come back to it.
 */

#define pr_fmt(fmt) "unmapped: " fmt

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kmermap.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/set_memory.h>
#include <linux/string.h>

#include <kunit/visibility.h>

#include "internal.h"
#include "page_alloc.h"
#include "unmapped.h"

/* So often is it tried to find the pools of a zone as they were at the beginning. */
#define MAX_PASSES	4

/*
 * What has been found in a zone, while it was as of @changes. There is a doubt if it
 * is not so, and the last one is told if nothing has changed.
 */
struct found {
	unsigned long	changes;
	unsigned long	errors;
	unsigned long	doubts;
	const char	*doubt;
	unsigned long	blocks;
	unsigned long	present;
	unsigned long	listed[NR_PAGE_ORDERS];
};

static void error(struct found *found, const char *what, unsigned long pfn)
{
	found->errors++;
	pr_err_ratelimited("pfn %lx: %s\n", pfn, what);
}

static void doubt(struct found *found, const char *what)
{
	found->doubts++;
	found->doubt = what;
}

static void check_block(struct zone *zone, unsigned long start, struct found *found)
{
	unsigned long pfn = start, end = min(pageblock_end_pfn(start),
					     zone_end_pfn(zone));
	bool present = false, unmapped;

	guard(spinlock_irqsave)(&zone->lock);
	unmapped = page_is_unmapped(pfn_to_page(start));
	found->blocks += unmapped;
	while (pfn < end) {
		struct page *page = pfn_to_page(pfn);

		if (unmapped)
			present |= kernel_page_present(page);
		if (!PageBuddy(page)) {
			pfn++;
			continue;
		}
		if (unmapped)
			found->listed[buddy_order(page)]++;
		else if (!debug_pagealloc_enabled() && !kernel_page_present(page))
			error(found, "it is free, and not mapped", pfn);
		pfn += 1UL << buddy_order(page);
	}
	found->present += present;
}

static void check_order(struct zone *zone, unsigned int order, struct found *found)
{
	struct free_area *area = &zone->free_area[order];
	unsigned long nr = 0;
	unsigned int type;
	struct page *page;

	guard(spinlock_irqsave)(&zone->lock);
	list_for_each_entry(page, free_area_list(area, FREETYPE_UNMAPPED), buddy_list) {
		nr++;
		if (!page_is_unmapped(page))
			error(found, "it is on a list of unmapped memory",
			      page_to_pfn(page));
	}
	if (nr != zone->unmapped->nr_free[order])
		error(found, "wrong count of a list, order as pfn", order);
	if (nr != found->listed[order])
		doubt(found, "free pages on no list");
	nr = 0;
	for (type = 0; type < MIGRATE_TYPES; type++)
		nr += list_count_nodes(free_area_list(area, freetype_of(type)));
	if (nr != area->nr_free)
		error(found, "wrong count of mapped pages, order as pfn", order);
}

/* Returns false if the zone has changed, so that it is not known. */
static bool check_lists(struct zone *zone, struct found *found)
{
	unsigned int order;

	for (order = 0; order < NR_PAGE_ORDERS; order++)
		check_order(zone, order, found);

	guard(spinlock_irqsave)(&zone->lock);
	if (zone->unmapped->changes != found->changes)
		return false;
	if (zone->unmapped->nr_blocks != found->blocks)
		doubt(found, "wrong count of blocks");
	/* Those that are about to be given back may be mapped. */
	if (zone->unmapped->nr_returning < found->present)
		doubt(found, "mapped pages in blocks that are not");
	if (found->doubts)
		error(found, found->doubt, zone->zone_start_pfn);

	return true;
}

static bool is_zero(struct page *page)
{
	struct mermap_alloc *alloc;
	bool zero = false;
	struct kmermap k;

	if (!kmermap_begin(&k))
		return false;
	alloc = kmermap_map(page, 1, MERMAP_RO);
	if (!IS_ERR(alloc)) {
		zero = !memchr_inv(mermap_addr(alloc), 0, PAGE_SIZE);
		kmermap_unmap(alloc);
	}
	kmermap_end(&k);

	return zero;
}

/* Take all pages of an order, look at them, and put them back. */
static void check_zero(struct zone *zone, unsigned int order, struct found *found)
{
	struct page *page, *next;
	unsigned long i;
	LIST_HEAD(taken);

	do {
		guard(spinlock_irqsave)(&zone->lock);
		page = NULL;
		if (!list_empty(free_area_list(&zone->free_area[order],
					       FREETYPE_UNMAPPED)))
			page = unmapped_take(zone, order);
		if (page)
			list_add(&page->buddy_list, &taken);
	} while (page);

	list_for_each_entry_safe(page, next, &taken, buddy_list) {
		for (i = 0; i < 1UL << order; i++)
			if (!is_zero(page + i) && !PageHWPoison(page + i))
				error(found, "it is free, and not zero",
				      page_to_pfn(page + i));
		list_del(&page->buddy_list);
		scoped_guard(spinlock_irqsave, &zone->lock)
			unmapped_give_good(zone, page, order);
		cond_resched();
	}
}

/* Returns whether nothing has changed meanwhile. */
static bool check_pass(struct zone *zone, struct found *found)
{
	unsigned long pfn;

	if (zone->unmapped) {
		guard(spinlock_irqsave)(&zone->lock);
		found->changes = zone->unmapped->changes;
	}
	for (pfn = zone->zone_start_pfn; pfn < zone_end_pfn(zone);
	     pfn = pageblock_end_pfn(pfn)) {
		struct page *page = pfn_to_online_page(pfn);

		if (page && page_zone(page) == zone)
			check_block(zone, pfn, found);
		cond_resched();
	}
	if (zone->unmapped)
		return check_lists(zone, found);
	if (found->blocks)
		error(found, "blocks are not mapped", zone->zone_start_pfn);

	return true;
}

/**
 * unmapped_check() - Check what is not mapped, and what is free, of a zone
 * @zone: A populated zone.
 *
 * Context: Process context. May sleep. Memory must not be removed meanwhile.
 *
 * Return: How many errors there were, which have been logged.
 */
unsigned long unmapped_check(struct zone *zone)
{
	struct found found;
	unsigned int order, pass = 0;
	bool same;

	do {
		found = (struct found){};
		same = check_pass(zone, &found);
	} while (!same && !found.errors && ++pass < MAX_PASSES);
	if (zone->unmapped)
		for (order = 0; order < NR_PAGE_ORDERS; order++)
			check_zero(zone, order, &found);

	return found.errors;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_check);

static int check_get(void *data, u64 *value)
{
	unsigned long errors = 0;
	struct zone *zone;

	get_online_mems();
	for_each_populated_zone(zone)
		errors += unmapped_check(zone);
	put_online_mems();
	*value = errors;

	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(check_fops, check_get, NULL, "%llu\n");

static int __init unmapped_debug_init(void)
{
	debugfs_create_file_unsafe("unmapped_check", 0400, NULL, NULL, &check_fops);

	return 0;
}
late_initcall(unmapped_debug_init);
