// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for memory that is absent from the direct map: what a request gets,
 * what is left of it when it is freed, that all of it comes back, and that nobody
 * else meets it.
 */

#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/fault-inject.h>
#include <linux/gfp.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/kmermap.h>
#include <linux/kmsg_dump.h>
#include <linux/kthread.h>
#include <linux/llist.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/page-isolation.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/set_memory.h>
#include <linux/sizes.h>
#include <linux/sprintf.h>
#include <linux/suspend.h>
#include <linux/swap.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/unmapped.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#include <trace/events/kmem.h>

#include <asm/sections.h>

#include "../internal.h"
#include "../mermap.h"
#include "../page_alloc.h"
#include "../unmapped.h"
#include "unmapped_fixture.h"

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");

#define MANY		1024
/* How often two threads are after the same block before all memory is checked. */
#define RACES		50
/* Pages of order 8, which take their time to be erased. */
#define MANY_LARGE	128

static int unmapped_test_init(struct kunit *test)
{
	if (!unmapped_pages_enabled())
		kunit_skip(test, "needs a direct map of large pages");

	/* Each begins with nothing, and without somebody's failure before. */
	unmapped_release_all();
	msleep(20);

	return 0;
}

static void unmapped_test_exit(struct kunit *test)
{
	if (unmapped_pages_enabled())
		expect_consistent(test);
}

/*
 * What a request gets
 */

/* Three times: from a block that has just left, and from what was freed. */
static void all_orders_are_absent_and_zero(struct kunit *test)
{
	unsigned int order, round;

	for (round = 0; round < 3; round++) {
		for (order = 0; order <= pageblock_order; order++) {
			struct page *page = alloc_pages_unmapped(GFP_KERNEL, order);

			KUNIT_ASSERT_NOT_NULL(test, page);
			check_pages(test, page, order);
			fill_all(test, page, order);
			__free_pages(page, order);
		}
		unmapped_erase_all();
	}
	expect_nothing_left(test);
}

/* What was in a block when it left must not be read by who gets it. */
static void expect_erased_block(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);

	KUNIT_ASSERT_NOT_NULL(test, page);
	check_pages(test, page, pageblock_order);
	__free_pages(page, pageblock_order);
	expect_nothing_left(test);
}

/* Whichever block leaves then, there was something in it. */
static void blocks_leave_with_contents(struct kunit *test)
{
	struct page *page, *next;
	unsigned int i, nr = 0;
	LIST_HEAD(filled);

	/* Nothing is reclaimed, and nobody woken, for the last ones. */
	while ((page = alloc_pages(__GFP_NOWARN, pageblock_order))) {
		memset64(page_address(page), PATTERN, PMD_SIZE / sizeof(u64));
		list_add(&page->lru, &filled);
		nr++;
	}
	list_for_each_entry_safe(page, next, &filled, lru) {
		list_del(&page->lru);
		__free_pages(page, pageblock_order);
	}
	KUNIT_ASSERT_GT(test, nr, 8);

	for (i = 0; i < 8; i++)
		expect_erased_block(test);
}

static void many_pages_come_back_erased(struct kunit *test)
{
	struct page **pages = kunit_kcalloc(test, MANY, sizeof(*pages), GFP_KERNEL);
	unsigned int i, round;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < MANY; i++) {
			pages[i] = alloc_pages_unmapped(GFP_KERNEL, 0);
			KUNIT_ASSERT_NOT_NULL(test, pages[i]);
			check_pages(test, pages[i], 0);
			KUNIT_EXPECT_TRUE(test, fill(pages[i], PATTERN + i));
		}
		for (i = 0; i < MANY; i++)
			__free_page(pages[i]);
	}
	expect_nothing_left(test);
}

static void folios_are_large(struct kunit *test)
{
	struct folio *folio = folio_alloc_unmapped(GFP_KERNEL | __GFP_ACCOUNT, 4);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, folio_order(folio), 4);
	check_pages(test, &folio->page, 4);
	fill_all(test, &folio->page, 4);
	folio_put(folio);
	expect_nothing_left(test);
}

/* Freed together, with others in between. The last one is none of ours. */
static void batches_of_folios_are_erased(struct kunit *test)
{
	unsigned long erased = unmapped_sum(UNMAPPED_ERASED);
	struct folio_batch batch;
	unsigned int i;

	folio_batch_init(&batch);
	for (i = 0; i < 10; i++) {
		struct folio *folio = i % 3 ? folio_alloc(GFP_KERNEL, 0) :
					      folio_alloc_unmapped(GFP_KERNEL, 0);

		KUNIT_ASSERT_NOT_NULL(test, folio);
		if (i % 3 == 0)
			KUNIT_EXPECT_TRUE(test, fill(&folio->page, PATTERN));
		if (i == 9)
			folio_put(folio);
		else
			folio_batch_add(&batch, folio);
	}
	erased = unmapped_sum(UNMAPPED_ERASED);
	folios_put(&batch);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ERASED), erased + 3);
	expect_nothing_left(test);
}

/*
 * CPUs keep no lists of these orders. They are found to be dirty under zone->lock,
 * so that nobody but the worker, or who needs pages, can erase them.
 */
static void orders_without_lists_are_erased(struct kunit *test)
{
	unsigned long erased = unmapped_sum(UNMAPPED_ERASED), nr = 0;
	struct folio_batch batch;
	unsigned int order;

	folio_batch_init(&batch);
	for (order = 4; order < pageblock_order; order++) {
		struct folio *folio = folio_alloc_unmapped(GFP_KERNEL, order);
		struct page *page = alloc_pages_unmapped(GFP_KERNEL, order);

		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_ASSERT_NOT_NULL(test, page);
		fill_all(test, &folio->page, order);
		fill_all(test, page, order);
		folio_batch_add(&batch, folio);
		erased = unmapped_sum(UNMAPPED_ERASED);
		__free_pages(page, order);
		expect_erased(test, erased + (1UL << order));
		nr += 1UL << order;
	}
	erased = unmapped_sum(UNMAPPED_ERASED);
	folios_put(&batch);
	expect_erased(test, erased + nr);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ERASED), erased + nr);
	expect_consistent(test);
	expect_nothing_left(test);
}

static void bulk_requests_are_served(struct kunit *test)
{
	struct page *pages[8] = {};
	unsigned long nr, i;

	nr = alloc_pages_bulk(GFP_KERNEL | __GFP_UNMAPPED, ARRAY_SIZE(pages), pages);
	KUNIT_EXPECT_GE(test, nr, 1);
	for (i = 0; i < nr; i++) {
		check_pages(test, pages[i], 0);
		__free_page(pages[i]);
	}
	expect_nothing_left(test);
}

/* They are zero in any case: who asks for that must not have them cleared by address. */
static void zeroed_requests(struct kunit *test)
{
	unsigned int order, round;
	struct page *page;

	for (round = 0; round < 2; round++)
		for (order = 0; order <= pageblock_order; order += 3) {
			page = alloc_pages_unmapped(GFP_KERNEL | __GFP_ZERO, order);
			KUNIT_ASSERT_NOT_NULL(test, page);
			check_pages(test, page, order);
			fill_all(test, page, order);
			__free_pages(page, order);
		}
	expect_nothing_left(test);
}

static void expect_folio(struct kunit *test, struct folio *folio, unsigned int order)
{
	KUNIT_EXPECT_NOT_NULL(test, folio);
	if (!folio)
		return;
	KUNIT_EXPECT_EQ(test, folio_order(folio), order);
	check_pages(test, &folio->page, order);
	fill_all(test, &folio->page, order);
	folio_put(folio);
}

/* Whoever takes flags for pages, as the page cache does, need not know about it. */
static void functions_that_pass_flags_on(struct kunit *test)
{
	gfp_t gfp = GFP_KERNEL | __GFP_UNMAPPED;
	struct page *page;

	expect_folio(test, filemap_alloc_folio(gfp, 0, NULL), 0);
	expect_folio(test, filemap_alloc_folio(gfp, 2, NULL), 2);
	expect_folio(test, __folio_alloc_node(gfp, 1, numa_mem_id()), 1);
	page = alloc_pages_node(numa_mem_id(), gfp, 0);
	KUNIT_EXPECT_NOT_NULL(test, page);
	if (page) {
		check_pages(test, page, 0);
		__free_page(page);
	}
	expect_nothing_left(test);
}

/* Not even what is erased: who has it is behind a lock. */
static void nolock_requests_get_nothing(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0), *other;

	KUNIT_ASSERT_NOT_NULL(test, page);
	kunit_warning_suppress(test) {
		/* Debug kernels warn of any flag that it does not know. */
		other = alloc_pages_nolock(__GFP_UNMAPPED, numa_mem_id(), 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, IS_ENABLED(CONFIG_DEBUG_VM));
	}
	KUNIT_EXPECT_NULL(test, other);
	if (other)
		__free_page(other);
	__free_page(page);
	expect_nothing_left(test);
}

/* There is an address, as of all pages, but nothing can be had there. */
static void addresses_fault(struct kunit *test)
{
	unsigned long addr;
	u64 word = 0;

	kunit_warning_suppress(test) {
		addr = __get_free_page(GFP_KERNEL | __GFP_UNMAPPED);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, IS_ENABLED(CONFIG_DEBUG_VM));
	}
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_EXPECT_TRUE(test, page_is_unmapped(virt_to_page((void *)addr)));
	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&word, (void *)addr, sizeof(word)),
			-EFAULT);
	free_page(addr);
	expect_nothing_left(test);
}

/* It maps them itself, but would have to write to them before. */
static void vmalloc_does_not_take_it(struct kunit *test)
{
	unsigned long i;
	void *p;

	kunit_warning_suppress(test) {
		/* It tells of the flag, once in a boot. */
		p = __vmalloc(4 * PAGE_SIZE, GFP_KERNEL | __GFP_UNMAPPED);
	}
	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_FALSE(test, page_is_unmapped(vmalloc_to_page(p + i * PAGE_SIZE)));
	vfree(p);
	KUNIT_EXPECT_EQ(test, blocks(), 0);
}

/* Who cannot sleep gets what is there. */
static void atomic_requests(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_ATOMIC | __GFP_NOWARN, 0), *other;

	KUNIT_EXPECT_NULL(test, page);
	page = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	other = alloc_pages_unmapped(GFP_ATOMIC | __GFP_NOWARN, 0);
	KUNIT_ASSERT_NOT_NULL(test, other);
	check_pages(test, other, 0);
	__free_page(other);
	__free_page(page);
	expect_nothing_left(test);
}

/* 64 pages were erased for the first request. What is raw is for who can wait. */
static void nothing_is_erased_for_who_cannot_wait(struct kunit *test)
{
	unsigned long erased, rounds;
	struct page *pages[80];
	unsigned int nr;

	/* Some of them are at hand for this CPU alone. */
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	pages[0] = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, pages[0]);
	KUNIT_EXPECT_GE(test, page_zone(pages[0])->unmapped->nr_raw, pageblock_nr_pages - 64);
	erased = unmapped_sum(UNMAPPED_ERASED);
	rounds = unmapped_sum(UNMAPPED_ROUNDS);
	for (nr = 1; nr < ARRAY_SIZE(pages); nr++) {
		pages[nr] = alloc_pages_unmapped(GFP_ATOMIC | __GFP_NOWARN, 0);
		if (!pages[nr])
			break;
		check_pages(test, pages[nr], 0);
	}
	KUNIT_EXPECT_EQ(test, nr, 64);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ERASED), erased);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ROUNDS), rounds);
	while (nr)
		__free_page(pages[--nr]);
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	expect_nothing_left(test);
}

/* Who is part of reclaim can have it as well, and must not wait for who takes blocks out. */
static void reclaim_gets_what_is_erased(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0), *other, *large;
	unsigned int noreclaim;

	KUNIT_ASSERT_NOT_NULL(test, page);
	noreclaim = memalloc_noreclaim_save();
	other = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 0);
	large = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, pageblock_order);
	memalloc_noreclaim_restore(noreclaim);
	KUNIT_EXPECT_NULL(test, large);
	KUNIT_EXPECT_NOT_NULL(test, other);
	if (other) {
		check_pages(test, other, 0);
		__free_page(other);
	}
	if (large)
		__free_pages(large, pageblock_order);
	__free_page(page);
	expect_nothing_left(test);
}

static void expect_refused_loudly(struct kunit *test, gfp_t gfp, unsigned int order)
{
	struct page *page;

	kunit_warning_suppress(test) {
		page = alloc_pages_unmapped(gfp, order);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_NULL(test, page);
	if (page)
		__free_pages(page, order);
}

/* What has no meaning together with it is not served by something else. */
static void refused_requests(struct kunit *test)
{
	struct page *page;
	unsigned int noreclaim;

	expect_refused_loudly(test, GFP_KERNEL | __GFP_DMA, 0);
	expect_refused_loudly(test, GFP_KERNEL | __GFP_DMA32, 0);
	expect_refused_loudly(test, GFP_KERNEL | __GFP_MOVABLE, 0);
	expect_refused_loudly(test, GFP_KERNEL | __GFP_RECLAIMABLE, 0);
	expect_refused_loudly(test, GFP_KERNEL | __GFP_NOFAIL, 0);
	if (__GFP_PRIVATE)
		expect_refused_loudly(test, GFP_KERNEL | __GFP_PRIVATE, 0);
	if (pageblock_order < MAX_PAGE_ORDER)
		expect_refused_loudly(test, GFP_KERNEL, pageblock_order + 1);
	KUNIT_EXPECT_NULL(test, alloc_contig_pages(1, GFP_KERNEL | __GFP_UNMAPPED,
						   numa_mem_id(), NULL));
	KUNIT_EXPECT_EQ(test, alloc_contig_range(0, 1, ACR_FLAGS_NONE,
						 GFP_KERNEL | __GFP_UNMAPPED), -EINVAL);

	/* In reclaim nothing leaves. */
	noreclaim = memalloc_noreclaim_save();
	page = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 0);
	memalloc_noreclaim_restore(noreclaim);
	KUNIT_EXPECT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, blocks(), 0);
}

/* Nor by who needs memory with a mapping and was given the flag. */
static void slab_does_not_take_it(struct kunit *test)
{
	void *p;

	kunit_warning_suppress(test) {
		p = kmalloc(4 * PAGE_SIZE, GFP_KERNEL | __GFP_UNMAPPED);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 0);
	}
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_FALSE(test, page_is_unmapped(virt_to_page(p)));
	kfree(p);
	KUNIT_EXPECT_EQ(test, blocks(), 0);
}

static void ordinary_requests_get_mapped_pages(struct kunit *test)
{
	struct page *secret = alloc_pages_unmapped(GFP_KERNEL, 0);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, secret);
	for (i = 0; i < MANY; i++) {
		struct page *page = alloc_pages(GFP_KERNEL, i % (pageblock_order + 1));

		if (!page)
			break;
		KUNIT_EXPECT_FALSE(test, page_is_unmapped(page));
		KUNIT_EXPECT_TRUE(test, kernel_page_present(page));
		__free_pages(page, i % (pageblock_order + 1));
	}
	__free_page(secret);
	expect_nothing_left(test);
}

static void kernel_image_stays(struct kunit *test)
{
	unsigned long start = pageblock_start_pfn(PHYS_PFN(__pa_symbol(_text)));
	unsigned long pfn, end = PHYS_PFN(__pa_symbol(_end));
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_FALSE(test, unmapped_is_image(page));
	for (pfn = start; pfn < end; pfn += pageblock_nr_pages) {
		KUNIT_EXPECT_FALSE(test, page_is_unmapped(pfn_to_page(pfn)));
		/* What is free of it looks as any other memory. */
		KUNIT_EXPECT_TRUE(test, unmapped_is_image(pfn_to_page(pfn)));
	}
	KUNIT_EXPECT_FALSE(test, unmapped_is_image(pfn_to_page(start - pageblock_nr_pages)));
	KUNIT_EXPECT_FALSE(test, unmapped_is_image(pfn_to_page(pfn)));
	__free_pages(page, pageblock_order);
	expect_nothing_left(test);
}

/*
 * Who frees
 */

/* Freed as ranges, of each order, after each page was prepared by itself. */
static void ranges_are_erased(struct kunit *test)
{
	unsigned long before, nr = pageblock_nr_pages;
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(test, page);
	split_page(page, pageblock_order);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_TRUE(test, fill(page + i, PATTERN));
	before = free_unmapped();
	free_contig_range(page_to_pfn(page) + 1, nr - 1);
	free_contig_range(page_to_pfn(page), 1);
	unmapped_erase_all();
	KUNIT_EXPECT_EQ(test, free_unmapped(), before + nr);
	/* All that is free is looked at. */
	expect_consistent(test);

	expect_erased_block(test);
}

/* A block beside an unmapped one, all of it allocated. */
static bool neighbour(struct page *block)
{
	unsigned long pfn = page_to_pfn(block) ^ pageblock_nr_pages;
	unsigned int try;

	if (!pfn_to_online_page(pfn) || page_zone(pfn_to_page(pfn)) != page_zone(block))
		return false;
	for (try = 0; try < 3; try++)
		if (!alloc_contig_range(pfn, pfn + pageblock_nr_pages, ACR_FLAGS_NONE,
					GFP_KERNEL))
			return true;

	return false;
}

/* One array for pages of both kinds, which are contiguous. */
static void mixed_arrays_are_told_apart(struct kunit *test)
{
	unsigned long i, n = 0, nr = 2 * pageblock_nr_pages, first;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	struct page *held[16], *block = NULL;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	while (n < ARRAY_SIZE(held)) {
		block = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
		KUNIT_ASSERT_NOT_NULL(test, block);
		if (neighbour(block))
			break;
		held[n++] = block;
		block = NULL;
	}
	while (n)
		__free_pages(held[--n], pageblock_order);
	KUNIT_ASSERT_NOT_NULL(test, block);

	split_page(block, pageblock_order);
	first = page_to_pfn(block) & ~pageblock_nr_pages;
	for (i = 0; i < nr; i++) {
		pages[i] = pfn_to_page(first + i);
		KUNIT_EXPECT_TRUE(test, fill(pages[i], PATTERN));
	}
	free_pages_bulk(pages, nr);
	unmapped_erase_all();
	drain_all_pages(NULL);
	expect_consistent(test);
	expect_nothing_left(test);
}

/* In a task they are erased before __free_page() is done. */
static void tasks_erase_in_place(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0);
	unsigned long erased, deferred;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, fill(page, PATTERN));
	erased = unmapped_sum(UNMAPPED_ERASED);
	deferred = unmapped_sum(UNMAPPED_DEFERRED);
	__free_page(page);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ERASED), erased + 1);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_DEFERRED), deferred);
	expect_nothing_left(test);
}

/*
 * Who looks at pages by pfn may have a reference when the owner frees: then the page is
 * neither free nor erased until that is dropped, and it is erased by who does so.
 */
static void the_last_one_erases(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0);
	unsigned long erased, deferred;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, fill(page, PATTERN));
	KUNIT_EXPECT_TRUE(test, get_page_unless_zero(page));
	erased = unmapped_sum(UNMAPPED_ERASED);
	__free_page(page);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ERASED), erased);
	KUNIT_EXPECT_EQ(test, differ(page, PATTERN), 0);
	/* Nobody can have its block meanwhile. */
	KUNIT_EXPECT_FALSE(test, unmapped_release_block(page));
	KUNIT_EXPECT_TRUE(test, page_is_unmapped(page));

	erased = unmapped_sum(UNMAPPED_ERASED);
	deferred = unmapped_sum(UNMAPPED_DEFERRED);
	put_page(page);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ERASED), erased + 1);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_DEFERRED), deferred);
	expect_nothing_left(test);
}

/* Of one that is no folio all but the first page are free at once, in parts. */
static void parts_are_erased(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 3);
	unsigned long erased, before;

	KUNIT_ASSERT_NOT_NULL(test, page);
	fill_all(test, page, 3);
	KUNIT_EXPECT_TRUE(test, get_page_unless_zero(page));
	erased = unmapped_sum(UNMAPPED_ERASED);
	before = free_unmapped();
	__free_pages(page, 3);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ERASED), erased + 7);
	KUNIT_EXPECT_EQ(test, free_unmapped(), before + 7);
	KUNIT_EXPECT_EQ(test, differ(page, PATTERN), 0);
	put_page(page);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ERASED), erased + 8);
	KUNIT_EXPECT_EQ(test, free_unmapped(), before + 8);
	/* All that is free is looked at. */
	expect_consistent(test);
	expect_nothing_left(test);
}

/* With interrupts off nothing can be erased; what is freed waits for a worker. */
static void interrupts_off(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0), *other;
	unsigned long flags;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, fill(page, PATTERN));

	local_irq_save(flags);
	__free_page(page);
	other = alloc_pages_unmapped(GFP_ATOMIC | __GFP_NOWARN, 0);
	local_irq_restore(flags);

	if (other) {
		check_pages(test, other, 0);
		__free_page(other);
	}
	expect_nothing_left(test);
}

struct freeing {
	struct irq_work	work;
	struct page	*page;
};

static void free_in_irq(struct irq_work *work)
{
	struct freeing *freeing = container_of(work, struct freeing, work);

	__free_page(freeing->page);
}

static void free_in_a_hard_interrupt(struct kunit *test)
{
	struct freeing freeing = { .work = IRQ_WORK_INIT_HARD(free_in_irq) };
	unsigned long deferred;
	unsigned int i;

	for (i = 0; i < 10; i++) {
		freeing.page = alloc_pages_unmapped(GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, freeing.page);
		KUNIT_EXPECT_TRUE(test, fill(freeing.page, PATTERN));
		deferred = unmapped_sum(UNMAPPED_DEFERRED);
		irq_work_queue(&freeing.work);
		irq_work_sync(&freeing.work);
		KUNIT_EXPECT_GT(test, unmapped_sum(UNMAPPED_DEFERRED), deferred);
	}
	expect_nothing_left(test);
}

static void alloc_in_irq(struct irq_work *work)
{
	struct freeing *freeing = container_of(work, struct freeing, work);

	freeing->page = alloc_pages_unmapped(GFP_ATOMIC | __GFP_NOWARN, 0);
}

struct soft {
	struct work_struct	work;
	struct page		*page;
	bool			free;
};

static void do_in_softirq(struct work_struct *work)
{
	struct soft *soft = container_of(work, struct soft, work);

	if (soft->free)
		__free_page(soft->page);
	else
		soft->page = alloc_pages_unmapped(GFP_ATOMIC | __GFP_NOWARN, 0);
}

static void in_softirq_do(struct soft *soft, bool free)
{
	soft->free = free;
	INIT_WORK_ONSTACK(&soft->work, do_in_softirq);
	queue_work(system_bh_wq, &soft->work);
	flush_work(&soft->work);
	destroy_work_on_stack(&soft->work);
}

/* A hard one, and a softirq, get pages and give them back, which are erased after that. */
static void requests_in_interrupts(struct kunit *test)
{
	struct freeing hard = { .work = IRQ_WORK_INIT_HARD(alloc_in_irq) };
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0);
	unsigned long erased, deferred;
	struct soft soft = {};

	KUNIT_ASSERT_NOT_NULL(test, page);
	irq_work_queue(&hard.work);
	irq_work_sync(&hard.work);
	in_softirq_do(&soft, false);
	KUNIT_EXPECT_NOT_NULL(test, hard.page);
	KUNIT_EXPECT_NOT_NULL(test, soft.page);
	if (hard.page) {
		check_pages(test, hard.page, 0);
		__free_page(hard.page);
	}
	if (soft.page) {
		check_pages(test, soft.page, 0);
		KUNIT_EXPECT_TRUE(test, fill(soft.page, PATTERN));
		erased = unmapped_sum(UNMAPPED_ERASED);
		deferred = unmapped_sum(UNMAPPED_DEFERRED);
		in_softirq_do(&soft, true);
		/* Not there: a task that is interrupted may have the windows. */
		KUNIT_EXPECT_GT(test, unmapped_sum(UNMAPPED_DEFERRED), deferred);
		expect_erased(test, erased + 1);
	}
	__free_page(page);
	expect_nothing_left(test);
}

static void free_from_anywhere(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, fill(page, PATTERN));
	free_pages_nolock(page, 0);
	expect_nothing_left(test);
}

/*
 * Whoever frees without waiting for zone->lock leaves the page to the next one who has
 * it, who frees something else: that page must not get on a list for it.
 */
static void freed_while_the_lock_is_held(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 5);
	struct page *next = alloc_pages_unmapped(GFP_KERNEL, 5);
	unsigned long erased, before;
	struct zone *zone;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_NOT_NULL(test, next);
	zone = page_zone(page);
	KUNIT_ASSERT_PTR_EQ(test, page_zone(next), zone);
	fill_all(test, page, 5);
	fill_all(test, next, 5);
	before = free_unmapped();
	erased = unmapped_sum(UNMAPPED_ERASED);

	scoped_guard(spinlock_irqsave, &zone->lock)
		free_pages_nolock(page, 5);
	__free_pages(next, 5);
	KUNIT_EXPECT_TRUE(test, llist_empty(&zone->trylock_free_pages));
	expect_erased(test, erased + 64);
	unmapped_erase_flush();
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ERASED), erased + 64);
	KUNIT_EXPECT_EQ(test, free_unmapped(), before + 64);
	/* All that is free is looked at. */
	expect_consistent(test);
	expect_nothing_left(test);
}

/* A worker erases what nobody waits for. */
static void the_worker_erases(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0);
	unsigned long before;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, fill(page, PATTERN));
	before = unmapped_sum(UNMAPPED_ERASED);
	local_irq_disable();
	__free_page(page);
	local_irq_enable();
	expect_erased(test, before + 1);
	expect_nothing_left(test);
}

/*
 * What comes back
 */

/*
 * Pages at hand for another CPU are just being drained, or a worker erases what an
 * earlier case has freed: then a block is not whole, for longer than is waited for
 * it on a machine that is busy.
 */
static bool block_comes_back(struct page *page)
{
	unsigned int try;

	for (try = 0; try < MAX_TRIES; try++)
		if (unmapped_release_block(page))
			return true;

	return false;
}

static void everything_comes_back(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0);

	KUNIT_ASSERT_NOT_NULL(test, page);
	unmapped_release_all();
	KUNIT_EXPECT_EQ(test, blocks(), 1);
	check_pages(test, page, 0);
	KUNIT_EXPECT_FALSE(test, unmapped_release_block(page));
	__free_page(page);

	KUNIT_EXPECT_TRUE(test, block_comes_back(page));
	KUNIT_EXPECT_EQ(test, blocks(), 0);
	KUNIT_EXPECT_EQ(test, free_unmapped(), 0);
	KUNIT_EXPECT_FALSE(test, page_is_unmapped(page));
	KUNIT_EXPECT_TRUE(test, kernel_page_present(page));
}

/*
 * What reads memory for debuggers, /proc/kcore, /dev/mem and BPF does so without a fault,
 * and gets nothing: of pages in use, free ones, and raw ones.
 */
static void probe_reads_see_nothing(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0), *block;
	unsigned long i, seen = 0;
	u64 word = 0;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, fill(page, PATTERN));
	block = pfn_to_page(pageblock_start_pfn(page_to_pfn(page)));
	for (i = 0; i < pageblock_nr_pages; i++)
		seen += !copy_from_kernel_nofault(&word, page_address(block + i),
						  sizeof(word));
	KUNIT_EXPECT_EQ(test, seen, 0);
	KUNIT_EXPECT_EQ(test, copy_to_kernel_nofault(page_address(page), &word,
						     sizeof(word)), -EFAULT);
	KUNIT_EXPECT_EQ(test, differ(page, PATTERN), 0);

	/* When the block is back, so is what can be read, and it is nothing of that. */
	__free_page(page);
	KUNIT_EXPECT_TRUE(test, block_comes_back(page));
	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&word, page_address(page),
						       sizeof(word)), 0);
	KUNIT_EXPECT_NE(test, word, PATTERN);
	expect_nothing_left(test);
}

/*
 * The worst that a peak can leave behind is a page in each block. Those cannot come back,
 * but all others do, and so do these when their pages are freed.
 */
static void a_page_keeps_its_block(struct kunit *test)
{
	unsigned long before, held = 0, nr = 16 * pageblock_nr_pages, i;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	struct page *kept[16] = {};

	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < nr; i++) {
		pages[i] = alloc_pages_unmapped(GFP_KERNEL, 0);
		if (!pages[i])
			break;
	}
	KUNIT_EXPECT_EQ(test, i, nr);
	nr = i;
	/* The first of each of half the blocks, whichever pages came from them. */
	for (i = 0; i < nr; i++) {
		unsigned long at, pfn = pageblock_start_pfn(page_to_pfn(pages[i]));

		for (at = 0; at < held; at++)
			if (pageblock_start_pfn(page_to_pfn(kept[at])) == pfn)
				break;
		if (at == held && held < ARRAY_SIZE(kept) / 2)
			kept[held++] = pages[i];
		else
			__free_page(pages[i]);
	}
	unmapped_erase_flush();
	before = free_unmapped();
	unmapped_release_all();
	kunit_info(test, "%lu pages in use keep %lu blocks, %lu kB of which %lu are free\n",
		   held, blocks(), blocks() * PMD_SIZE / SZ_1K,
		   free_unmapped() * PAGE_SIZE / SZ_1K);
	KUNIT_EXPECT_EQ(test, blocks(), held);
	KUNIT_EXPECT_EQ(test, free_unmapped(), held * (pageblock_nr_pages - 1));
	KUNIT_EXPECT_GE(test, before, free_unmapped());
	for (i = 0; i < held; i++)
		check_pages(test, kept[i], 0);
	while (held)
		__free_page(kept[--held]);
	expect_nothing_left(test);
}

/* Nothing of what was written is there after it. */
static void blocks_come_back_erased(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
	unsigned long i, found = 0, word;
	unsigned long *data;

	KUNIT_ASSERT_NOT_NULL(test, page);
	fill_all(test, page, pageblock_order);
	__free_pages(page, pageblock_order);
	KUNIT_EXPECT_TRUE(test, block_comes_back(page));
	KUNIT_EXPECT_TRUE(test, kernel_page_present(page));
	/* It is free: KASAN would object. */
	data = page_address(page);
	for (i = 0; i < PMD_SIZE / sizeof(*data); i++) {
		word = READ_ONCE_NOCHECK(data[i]);
		found += word >= PATTERN && word < PATTERN + pageblock_nr_pages;
	}
	KUNIT_EXPECT_EQ(test, found, 0);
}

static void isolation_maps_what_is_free(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0);
	unsigned long start, end;
	int err = -EBUSY;
	unsigned int try;

	KUNIT_ASSERT_NOT_NULL(test, page);
	start = pageblock_start_pfn(page_to_pfn(page));
	end = start + pageblock_nr_pages;

	KUNIT_EXPECT_EQ(test, start_isolate_page_range(start, end,
						       PB_ISOLATE_MODE_OTHER), -EBUSY);
	check_pages(test, page, 0);
	__free_page(page);

	/* Once it is mapped, it may be given to somebody before it is isolated. */
	for (try = 0; err && try < MAX_TRIES; try++)
		err = start_isolate_page_range(start, end, PB_ISOLATE_MODE_OTHER);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_FALSE(test, page_is_unmapped(page));
	KUNIT_EXPECT_TRUE(test, kernel_page_present(page));
	if (!err) {
		/* It is not to be had now, with or without mapping. */
		KUNIT_EXPECT_EQ(test, get_pageblock_migratetype(page),
				MIGRATE_ISOLATE);
		undo_isolate_page_range(start, end);
	}
	expect_nothing_left(test);
}

/* What is in use cannot be copied, though it may look as if it could. */
static void pages_in_use_are_unmovable(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0);
	unsigned long step = 1;

	KUNIT_ASSERT_NOT_NULL(test, page);
	SetPageLRU(page);
	KUNIT_EXPECT_TRUE(test, page_is_unmovable(page_zone(page), page,
						  PB_ISOLATE_MODE_OTHER, &step));
	ClearPageLRU(page);
	__free_page(page);
	expect_nothing_left(test);
}

/* Compaction and page reporting take free pages for their contents. */
static void free_pages_are_not_isolated(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
	unsigned int order = pageblock_order, isolated = 0;

	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_pages(page, pageblock_order);
	unmapped_erase_all();
	scoped_guard(spinlock_irqsave, &page_zone(page)->lock) {
		/* It may be the second half of a larger one. */
		if (PageBuddy(page)) {
			order = buddy_order(page);
			isolated = __isolate_free_page(page, order);
		}
	}
	KUNIT_EXPECT_EQ(test, isolated, 0);
	expect_nothing_left(test);
}

/* Their blocks are neither what compaction empties nor what it fills. */
static void compaction_leaves_them_alone(struct kunit *test)
{
#ifdef CONFIG_COMPACTION
	struct compact_control cc = { .mode = MIGRATE_SYNC, .ignore_block_suitable = true };
	unsigned int unmapped;
	struct page *page;

	for (unmapped = 0; unmapped < 2; unmapped++) {
		page = unmapped ? alloc_pages_unmapped(GFP_KERNEL, 0) :
				  alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, page);
		KUNIT_EXPECT_EQ(test, suitable_migration_source(&cc, page), !unmapped);
		KUNIT_EXPECT_EQ(test, suitable_migration_target(&cc, page), !unmapped);
		__free_page(page);
	}
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_COMPACTION");
#endif
}

static void contiguous_ranges_can_be_had(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
	unsigned long start;
	int err = -EBUSY;
	unsigned int try;

	KUNIT_ASSERT_NOT_NULL(test, page);
	start = page_to_pfn(page);
	KUNIT_EXPECT_NE(test, alloc_contig_range(start, start + pageblock_nr_pages,
						 ACR_FLAGS_NONE, GFP_KERNEL), 0);
	__free_pages(page, pageblock_order);
	for (try = 0; err && try < MAX_TRIES; try++)
		err = alloc_contig_range(start, start + pageblock_nr_pages,
					 ACR_FLAGS_NONE, GFP_KERNEL);
	KUNIT_EXPECT_EQ(test, err, 0);
	if (!err) {
		KUNIT_EXPECT_TRUE(test, kernel_page_present(page));
		free_contig_range(start, pageblock_nr_pages);
	}
	expect_nothing_left(test);
}

/* Who looks at a block without zone->lock does not know what it is under it. */
static void blocks_given_back_are_not_taken(struct kunit *test)
{
	unsigned int i;

	/* Somebody may get the block before it is looked at, but not each time. */
	for (i = 0; i < 8; i++) {
		struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);

		KUNIT_ASSERT_NOT_NULL(test, page);
		__free_pages(page, pageblock_order);
		KUNIT_EXPECT_TRUE(test, block_comes_back(page));
		KUNIT_ASSERT_FALSE(test, unmapped_take_this(page_zone(page), page));
		KUNIT_EXPECT_EQ(test, page_zone(page)->unmapped->nr_returning, 0);
		KUNIT_EXPECT_TRUE(test, kernel_page_present(page));
	}
	expect_nothing_left(test);
}

/* Not while blocks are asked for, or there would be none to be had. */
static bool racing;

static int release_while_racing(void *data)
{
	struct zone *zone;

	while (!kthread_should_stop()) {
		if (READ_ONCE(racing)) {
			for_each_populated_zone(zone)
				unmapped_release(zone, 1);
		}
		cond_resched();
	}

	return 0;
}

static void stop_thread(void *task)
{
	kthread_stop(task);
}

/* The same blocks are taken by who shrinks the pools, and by who isolates them. */
static void race_for_blocks(struct kunit *test)
{
	unsigned long start;
	struct page *page;
	unsigned int i;

	for (i = 0; i < RACES; i++) {
		page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
		KUNIT_ASSERT_NOT_NULL(test, page);
		start = page_to_pfn(page);
		WRITE_ONCE(racing, true);
		__free_pages(page, pageblock_order);
		/* Who gets it has it mapped, and it may be neither of both. */
		if (!alloc_contig_range(start, start + pageblock_nr_pages,
					ACR_FLAGS_NONE, GFP_KERNEL | __GFP_NOWARN)) {
			KUNIT_EXPECT_FALSE(test, page_is_unmapped(page));
			KUNIT_EXPECT_TRUE(test, kernel_page_present(page));
			free_contig_range(start, pageblock_nr_pages);
		}
		WRITE_ONCE(racing, false);
	}
}

static void blocks_are_given_back_once(struct kunit *test)
{
	struct task_struct *task;
	struct zone *zone;
	unsigned int round;

	for (round = 0; round < 4; round++) {
		task = kthread_run(release_while_racing, NULL, "unmapped/release");
		KUNIT_ASSERT_FALSE(test, IS_ERR(task));
		KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, stop_thread, task), 0);
		race_for_blocks(test);
		kunit_release_action(test, stop_thread, task);
		/* All memory is looked at, which has to be quiet for that. */
		expect_consistent(test);
	}
	expect_nothing_left(test);
	for_each_populated_zone(zone) {
		if (!zone->unmapped)
			continue;
		KUNIT_EXPECT_EQ(test, zone->unmapped->nr_returning, 0);
		KUNIT_EXPECT_EQ(test, zone->unmapped->nr_raw, 0);
	}
}

static void the_shrinker_gives_back(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
	unsigned int try;

	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_pages(page, pageblock_order);
	unmapped_erase_all();
	KUNIT_EXPECT_GE(test, blocks(), 1);
	for (try = 0; try < MAX_TRIES && blocks(); try++)
		drop_slab();
	KUNIT_EXPECT_EQ(test, blocks(), 0);
}

/* A pass over page cache at the lowest priority takes nothing, and a few take little. */
static void page_cache_does_not_empty_it(struct kunit *test)
{
	unsigned long before, after;
	struct page *pages[8];
	unsigned int i, pass;
	int nid;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_pages(pages[i], pageblock_order);
	unmapped_erase_flush();
	before = blocks();
	KUNIT_EXPECT_GE(test, before, ARRAY_SIZE(pages));

	for (pass = 0; pass < 8; pass++)
		for_each_online_node(nid)
			shrink_slab(GFP_KERNEL, nid, root_mem_cgroup, DEF_PRIORITY);
	after = blocks();
	KUNIT_EXPECT_GT(test, after, before / 2);

	/* When it is tight all of it goes. */
	for (pass = 0; pass < MAX_TRIES && blocks(); pass++)
		for_each_online_node(nid)
			shrink_slab(GFP_KERNEL, nid, root_mem_cgroup, 0);
	KUNIT_EXPECT_EQ(test, blocks(), 0);
	expect_nothing_left(test);
}

/*
 * Who reclaims counts what he is told of. Slabs that go along are told of as well, so
 * they go before.
 */
static void reclaim_is_told(struct kunit *test)
{
	struct reclaim_state *before = current->reclaim_state;
	struct reclaim_state rs = {};
	struct page *pages[8];
	unsigned int i, pass;
	int nid;

	for (pass = 0; pass < 3; pass++)
		drop_slab();
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_pages(pages[i], pageblock_order);
	unmapped_erase_flush();

	current->reclaim_state = &rs;
	for (pass = 0; pass < MAX_TRIES && blocks(); pass++)
		for_each_online_node(nid)
			shrink_slab(GFP_KERNEL, nid, root_mem_cgroup, 0);
	current->reclaim_state = before;
	KUNIT_EXPECT_EQ(test, blocks(), 0);
	KUNIT_EXPECT_GE(test, rs.reclaimed, ARRAY_SIZE(pages) * pageblock_nr_pages);
	expect_nothing_left(test);
}

/* One page that a CPU keeps, or a block that is partly raw, is not worth a block. */
static void the_shrinker_gathers(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0);
	unsigned int pass;
	int nid;

	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_page(page);
	KUNIT_EXPECT_GE(test, blocks(), 1);
	for (pass = 0; pass < MAX_TRIES && blocks(); pass++)
		for_each_online_node(nid)
			shrink_slab(GFP_KERNEL, nid, root_mem_cgroup, 0);
	KUNIT_EXPECT_EQ(test, blocks(), 0);
	expect_nothing_left(test);
}

static unsigned long oom_freed;

/* The last one, so that nobody is killed for this test, whatever there was. */
static int oom_last(struct notifier_block *nb, unsigned long action, void *freed)
{
	oom_freed = *(unsigned long *)freed;
	*(unsigned long *)freed += 1;

	return NOTIFY_OK;
}

static void nobody_is_killed_for_it(struct kunit *test)
{
	struct notifier_block last = { .notifier_call = oom_last, .priority = INT_MIN };
	struct oom_control oc = { .gfp_mask = GFP_KERNEL };
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order), *used;

	KUNIT_ASSERT_NOT_NULL(test, page);
	used = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, used);
	__free_pages(page, pageblock_order);

	KUNIT_ASSERT_EQ(test, register_oom_notifier(&last), 0);
	mutex_lock(&oom_lock);
	KUNIT_EXPECT_TRUE(test, out_of_memory(&oc));
	mutex_unlock(&oom_lock);
	unregister_oom_notifier(&last);

	KUNIT_EXPECT_GE(test, oom_freed, pageblock_nr_pages);
	KUNIT_EXPECT_EQ(test, blocks(), 1);
	check_pages(test, used, 0);
	__free_page(used);
	expect_nothing_left(test);
}

/*
 * What is given may be of no use for who is short of memory. As others get it again each
 * time, somebody has to be killed in the end.
 */
static void somebody_is_killed_in_the_end(struct kunit *test)
{
	struct notifier_block last = { .notifier_call = oom_last, .priority = INT_MIN };
	struct oom_control oc = { .gfp_mask = GFP_KERNEL };
	unsigned int round, given = 0, late = 0;
	struct page *page;

	msleep(1100);
	KUNIT_ASSERT_EQ(test, register_oom_notifier(&last), 0);
	for (round = 0; round < 40 && !late; round++) {
		unsigned long start = jiffies;

		page = alloc_pages_unmapped(GFP_KERNEL, 0);
		KUNIT_EXPECT_NOT_NULL(test, page);
		if (!page)
			break;
		__free_page(page);
		mutex_lock(&oom_lock);
		KUNIT_EXPECT_TRUE(test, out_of_memory(&oc));
		mutex_unlock(&oom_lock);
		KUNIT_EXPECT_EQ(test, blocks(), 0);
		given += oom_freed >= pageblock_nr_pages;
		late += time_after(jiffies, start + HZ / 2);
	}
	if (!late) {
		KUNIT_EXPECT_GE(test, given, 8);
		KUNIT_EXPECT_LT(test, given, round);
		KUNIT_EXPECT_LT(test, oom_freed, pageblock_nr_pages);
	}

	/* Later it is worth a try again. */
	msleep(1100);
	page = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_EXPECT_NOT_NULL(test, page);
	if (page)
		__free_page(page);
	mutex_lock(&oom_lock);
	KUNIT_EXPECT_TRUE(test, out_of_memory(&oc));
	mutex_unlock(&oom_lock);
	unregister_oom_notifier(&last);
	KUNIT_EXPECT_GE(test, oom_freed, pageblock_nr_pages);
	if (late)
		kunit_skip(test, "this machine is too slow to be short of memory often");
}

/*
 * A free block that is on the list of this CPU gets a type that it must keep. It is taken
 * from there by who takes blocks out.
 */
static struct page *block_of_type(struct kunit *test, int migratetype)
{
	struct page *block;
	unsigned int try;

	/* Whose list it is on. */
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	for (try = 0; try < MAX_TRIES; try++) {
		block = alloc_pages(GFP_KERNEL, pageblock_order);
		KUNIT_ASSERT_NOT_NULL(test, block);
		__free_pages(block, pageblock_order);
		guard(spinlock_irqsave)(&page_zone(block)->lock);
		if (is_free_buddy_page(block) || page_count(block))
			continue;
		unmapped_set_type(block, freetype_of(migratetype));
		/* As reserve_highatomic_pageblock() does. */
		if (migratetype == MIGRATE_HIGHATOMIC)
			page_zone(block)->nr_reserved_highatomic += pageblock_nr_pages;
		return block;
	}

	return NULL;
}

static void expect_block_stays(struct kunit *test, int migratetype, acr_flags_t how)
{
	struct page *block = block_of_type(test, migratetype), *page;
	unsigned long pfn, reserved;
	struct zone *zone;
	int err = -EBUSY;
	unsigned int try;

	KUNIT_ASSERT_NOT_NULL(test, block);
	zone = page_zone(block);
	reserved = zone->nr_reserved_highatomic;
	page = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 0);
	KUNIT_EXPECT_FALSE(test, page_is_unmapped(block));
	KUNIT_EXPECT_EQ(test, get_pageblock_migratetype(block), migratetype);
	KUNIT_EXPECT_EQ(test, zone->nr_reserved_highatomic, reserved);
	KUNIT_EXPECT_TRUE(test, kernel_page_present(block));
	if (page)
		__free_page(page);

	pfn = page_to_pfn(block);
	for (try = 0; err && try < MAX_TRIES; try++)
		err = alloc_contig_range(pfn, pfn + pageblock_nr_pages, how, GFP_KERNEL);
	KUNIT_ASSERT_EQ(test, err, 0);
	scoped_guard(spinlock_irqsave, &zone->lock) {
		unmapped_set_type(block, freetype_of(MIGRATE_MOVABLE));
		if (migratetype == MIGRATE_HIGHATOMIC)
			zone->nr_reserved_highatomic -= pageblock_nr_pages;
	}
	free_contig_range(pfn, pageblock_nr_pages);
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	msleep(20);
	expect_consistent(test);
	expect_nothing_left(test);
}

/* Their sizes are counted in blocks, which can be on the list of a CPU by now. */
static void blocks_of_reserves_stay(struct kunit *test)
{
	expect_block_stays(test, MIGRATE_HIGHATOMIC, ACR_FLAGS_NONE);
}

/* They belong to a device, which wants them back as they are. */
static void blocks_of_cma_stay(struct kunit *test)
{
#ifdef CONFIG_CMA
	unsigned long before = global_zone_page_state(NR_FREE_CMA_PAGES);

	expect_block_stays(test, MIGRATE_CMA, ACR_FLAGS_CMA);
	KUNIT_EXPECT_LT(test, abs_diff(global_zone_page_state(NR_FREE_CMA_PAGES), before),
			pageblock_nr_pages / 2);
#else
	kunit_skip(test, "needs CONFIG_CMA");
#endif
}

static void hibernation_needs_it_mapped(struct kunit *test)
{
#ifdef CONFIG_PM_SLEEP
	static const unsigned long actions[][2] = {
		{ PM_HIBERNATION_PREPARE, PM_POST_HIBERNATION },
		{ PM_RESTORE_PREPARE, PM_POST_RESTORE },
	};
	struct page *page, *other;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		page = alloc_pages_unmapped(GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, page);
		KUNIT_EXPECT_EQ(test, notifier_to_errno(unmapped_pm(NULL, actions[i][0], NULL)),
				-EBUSY);
		/* Then nothing is suspended: blocks leave. */
		other = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
		KUNIT_EXPECT_NOT_NULL(test, other);
		if (other)
			__free_pages(other, pageblock_order);
		__free_page(page);

		KUNIT_EXPECT_EQ(test, notifier_to_errno(unmapped_pm(NULL, actions[i][0], NULL)),
				0);
		KUNIT_EXPECT_EQ(test, blocks(), 0);
		other = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 0);
		KUNIT_EXPECT_NULL(test, other);
		if (other)
			__free_page(other);
		unmapped_pm(NULL, actions[i][1], NULL);

		page = alloc_pages_unmapped(GFP_KERNEL, 0);
		KUNIT_EXPECT_NOT_NULL(test, page);
		if (page)
			__free_page(page);
		expect_nothing_left(test);
	}
#else
	kunit_skip(test, "needs CONFIG_PM_SLEEP");
#endif
}

/* Frees many pages that only the worker erases. Returns the one that it comes to at last. */
static struct page *leave_to_the_worker(struct kunit *test, struct page **pages)
{
	unsigned int i, nr;

	for (nr = 0; nr < MANY_LARGE; nr++) {
		pages[nr] = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 8);
		if (!pages[nr])
			break;
	}
	KUNIT_ASSERT_GE(test, nr, 16);
	for (i = 0; i < nr; i++)
		__free_pages(pages[i], 8);
	/* It has begun, and is far from its end. */
	usleep_range(1000, 2000);

	return pages[0];
}

/*
 * The worker takes a list of all that is dirty, which may be a lot: it is in use by nobody,
 * and who wants blocks back has to wait for it.
 */
static void what_is_being_erased_comes_back(struct kunit *test)
{
#ifdef CONFIG_PM_SLEEP
	struct page **pages = kunit_kcalloc(test, MANY_LARGE, sizeof(*pages), GFP_KERNEL);
	struct page *last;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	last = leave_to_the_worker(test, pages);
	KUNIT_EXPECT_TRUE(test, unmapped_release_block(last));
	KUNIT_EXPECT_FALSE(test, page_is_unmapped(last));

	leave_to_the_worker(test, pages);
	KUNIT_EXPECT_EQ(test, notifier_to_errno(unmapped_pm(NULL, PM_HIBERNATION_PREPARE,
							    NULL)), 0);
	KUNIT_EXPECT_EQ(test, blocks(), 0);
	unmapped_pm(NULL, PM_POST_HIBERNATION, NULL);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_PM_SLEEP");
#endif
}

static void larger_mappings_are_rebuilt(struct kunit *test)
{
	struct page *page;
	unsigned long before;

	/* The worker may be about to do it for blocks of earlier cases. */
	unmapped_collapse_flush();
	page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_pages(page, pageblock_order);
	before = unmapped_sum(UNMAPPED_COLLAPSES);
	expect_nothing_left(test);
	/* If that took as long as the worker waits, it has been there. */
	unmapped_collapse_flush();
	KUNIT_EXPECT_GT(test, unmapped_sum(UNMAPPED_COLLAPSES), before);
	/* Once for all that came back. */
	before = unmapped_sum(UNMAPPED_COLLAPSES);
	unmapped_collapse();
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_COLLAPSES), before);
	KUNIT_EXPECT_TRUE(test, kernel_page_present(page));
}

/* Splits of pages of 2M since boot. */
static unsigned long splits_of_blocks(struct kunit *test)
{
#ifdef CONFIG_X86_64
	unsigned long *events = kunit_kcalloc(test, NR_VM_EVENT_ITEMS, sizeof(*events),
					      GFP_KERNEL), n;

	KUNIT_ASSERT_NOT_NULL(test, events);
	all_vm_events(events);
	n = events[DIRECT_MAP_LEVEL2_SPLIT];
	kunit_kfree(test, events);

	return n;
#else
	return 0;
#endif
}

/* However often memory goes and comes, its mappings are as large as they were. */
static void nothing_is_split(struct kunit *test)
{
	unsigned int i, cycles = IS_ENABLED(CONFIG_KASAN) ? 100 : 1000;
	unsigned long splits, left, returned, before = blocks();
	struct page *page;

	if (!IS_ENABLED(CONFIG_X86_64) || !IS_ENABLED(CONFIG_VM_EVENT_COUNTERS))
		kunit_skip(test, "needs an architecture that counts splits");
	splits = splits_of_blocks(test);
	left = unmapped_sum(UNMAPPED_LEFT);
	returned = unmapped_sum(UNMAPPED_RETURNED);
	for (i = 0; i < cycles; i++) {
		/* A whole block, or a part of it, so that the rest is erased to come back. */
		page = alloc_pages_unmapped(GFP_KERNEL, i % 8 ? 0 : pageblock_order);
		KUNIT_ASSERT_NOT_NULL(test, page);
		__free_pages(page, i % 8 ? 0 : pageblock_order);
		unmapped_erase_all();
		unmapped_release_all();
		cond_resched();
	}
	/* It did happen each time, and nothing has been lost. */
	KUNIT_EXPECT_GE(test, unmapped_sum(UNMAPPED_LEFT), left + cycles / 2);
	expect_nothing_left(test);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_LEFT) - left + before,
			unmapped_sum(UNMAPPED_RETURNED) - returned);
	KUNIT_EXPECT_EQ(test, splits_of_blocks(test), splits);
}

/* Some at hand, and some on its list of dirty ones. */
static void a_cpu_leaves_with_pages(struct kunit *test)
{
	unsigned int cpu = cpumask_last(cpu_online_mask);
	unsigned long deferred;
	struct page *pages[16];
	unsigned int i;

	if (!cpu)
		kunit_skip(test, "needs two CPUs");
	/* What this CPU has at hand goes with it, so be there. */
	set_cpus_allowed_ptr(current, cpumask_of(cpu));
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_pages_unmapped(GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
		KUNIT_EXPECT_TRUE(test, fill(pages[i], PATTERN));
	}
	for (i = 0; i < ARRAY_SIZE(pages) / 2; i++)
		__free_page(pages[i]);
	/* Until a worker comes, on another CPU, or who wants all that is free. */
	deferred = unmapped_sum(UNMAPPED_DEFERRED);
	local_irq_disable();
	for (; i < ARRAY_SIZE(pages); i++)
		__free_page(pages[i]);
	local_irq_enable();
	set_cpus_allowed_ptr(current, cpumask_of(0));
	KUNIT_ASSERT_EQ(test, remove_cpu(cpu), 0);
	KUNIT_EXPECT_GE(test, unmapped_sum(UNMAPPED_DEFERRED),
			deferred + ARRAY_SIZE(pages) / 2);
	expect_nothing_left(test);
	KUNIT_EXPECT_EQ(test, add_cpu(cpu), 0);

	/* It has windows again. */
	set_cpus_allowed_ptr(current, cpumask_of(cpu));
	pages[0] = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_EXPECT_NOT_NULL(test, pages[0]);
	if (pages[0]) {
		check_pages(test, pages[0], 0);
		__free_page(pages[0]);
	}
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	expect_nothing_left(test);
}

/* Its windows are made when it comes, for the first time. */
static void a_cpu_comes_later(struct kunit *test)
{
	unsigned int cpu = cpumask_first_andnot(cpu_present_mask, cpu_online_mask);
	unsigned long deferred;
	struct page *page;

	if (cpu >= nr_cpu_ids)
		kunit_skip(test, "needs a CPU that is offline");
	KUNIT_ASSERT_EQ(test, add_cpu(cpu), 0);
	set_cpus_allowed_ptr(current, cpumask_of(cpu));
	page = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_EXPECT_NOT_NULL(test, page);
	if (page) {
		check_pages(test, page, 0);
		deferred = unmapped_sum(UNMAPPED_DEFERRED);
		__free_page(page);
		KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_DEFERRED), deferred);
	}
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	expect_nothing_left(test);
}

/*
 * What is counted
 */

static void free_memory_does_not_have_it(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
	unsigned long free, available, order, listed = 0, mapped = 0;
	struct zone *zone;

	KUNIT_ASSERT_NOT_NULL(test, page);
	zone = page_zone(page);
	__free_pages(page, pageblock_order);
	unmapped_erase_all();

	KUNIT_EXPECT_GE(test, free_unmapped(), pageblock_nr_pages);
	KUNIT_EXPECT_GE(test, unmapped_available(), pageblock_nr_pages);
	for (order = pageblock_order; order < NR_PAGE_ORDERS; order++)
		listed += zone->unmapped->nr_free[order] << order;
	KUNIT_EXPECT_GE(test, listed, pageblock_nr_pages);

	/* It is in one of the two, and then in the other. */
	drain_all_pages(zone);
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		mapped += zone->free_area[order].nr_free << order;
	free = zone_page_state_snapshot(zone, NR_FREE_PAGES);
	KUNIT_EXPECT_LT(test, abs_diff(mapped, free), pageblock_nr_pages / 2);
	available = unmapped_available();
	unmapped_release_all();
	KUNIT_EXPECT_EQ(test, unmapped_available(), 0);
	KUNIT_EXPECT_GE(test, zone_page_state_snapshot(zone, NR_FREE_PAGES) +
			pageblock_nr_pages / 2, free + available);
}

struct traced {
	unsigned int	seen;
	unsigned int	wrong;
};

static void see_locked(void *data, struct page *page, unsigned int order,
		       int migratetype, int percpu_refill)
{
	struct traced *traced = data;

	if (!page || !page_is_unmapped(page))
		return;
	traced->seen++;
	traced->wrong += migratetype != MIGRATE_UNMOVABLE;
}

static void see_alloc(void *data, struct page *page, unsigned int order, gfp_t gfp,
		      int migratetype)
{
	see_locked(data, page, order, migratetype, 0);
}

/* Programs that read traces have a name for each of those, and no more. */
static void tracepoints_have_a_migratetype(struct kunit *test)
{
#ifdef CONFIG_TRACEPOINTS
	struct traced locked = {}, alloc = {};
	struct page *page;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, register_trace_mm_page_alloc_zone_locked(see_locked, &locked), 0);
	KUNIT_EXPECT_EQ(test, register_trace_mm_page_alloc(see_alloc, &alloc), 0);
	for (i = 0; i < 3; i++) {
		/* From the lists, which CPUs have none of for this order. */
		page = alloc_pages_unmapped(GFP_KERNEL, 5);
		if (page)
			__free_pages(page, 5);
	}
	unregister_trace_mm_page_alloc(see_alloc, &alloc);
	unregister_trace_mm_page_alloc_zone_locked(see_locked, &locked);
	tracepoint_synchronize_unregister();

	KUNIT_EXPECT_GE(test, locked.seen, 3);
	KUNIT_EXPECT_EQ(test, locked.wrong, 0);
	KUNIT_EXPECT_GE(test, alloc.seen, 3);
	KUNIT_EXPECT_EQ(test, alloc.wrong, 0);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_TRACEPOINTS");
#endif
}

/* Under zone->lock what is counted is what is on lists, but for what is just added up. */
static bool counts_fit(struct zone *zone)
{
	unsigned long pages = 0, in_blocks = 0, nr;
	unsigned int order;

	guard(spinlock_irqsave)(&zone->lock);
	for (order = 0; order < NR_PAGE_ORDERS; order++) {
		nr = zone->free_area[order].nr_free << order;
		pages += nr;
		if (order >= pageblock_order)
			in_blocks += nr;
	}
	/* What is isolated is on lists, and not free. */
	nr = list_count_nodes(free_area_list(&zone->free_area[pageblock_order],
					     freetype_of(MIGRATE_ISOLATE)));

	return !nr && zone_page_state_snapshot(zone, NR_FREE_PAGES) == pages &&
	       zone_page_state_snapshot(zone, NR_FREE_PAGES_BLOCKS) == in_blocks;
}

/* Another CPU may be adding up what it has counted. */
static bool counts_come_to_fit(struct zone *zone)
{
	unsigned int try;

	for (try = 0; try < MAX_TRIES; try++)
		if (counts_fit(zone))
			return true;

	return false;
}

/* Watermarks, and who keeps whole blocks free, must not count on what nobody can have. */
static void blocks_are_counted_apart(struct kunit *test)
{
	struct page *pages[4];
	struct zone *zone;
	unsigned int i;

	for_each_populated_zone(zone)
		KUNIT_EXPECT_TRUE(test, counts_come_to_fit(zone));
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	for_each_populated_zone(zone)
		KUNIT_EXPECT_TRUE(test, counts_come_to_fit(zone));
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_pages(pages[i], pageblock_order);
	unmapped_erase_flush();
	/* On lists as whole blocks, and as larger pages. */
	for_each_populated_zone(zone)
		KUNIT_EXPECT_TRUE(test, counts_come_to_fit(zone));
	expect_nothing_left(test);
	for_each_populated_zone(zone)
		KUNIT_EXPECT_TRUE(test, counts_come_to_fit(zone));
}

/* In kB, as all of that file. */
static void meminfo_has_a_line(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
	unsigned long kb = 0, shown = 0;
	unsigned int try;
	char text[64];

	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_pages(page, pageblock_order);
	unmapped_erase_flush();
	/* What CPUs have counted is added to it now and then. */
	for (try = 0; try < MAX_TRIES; try++) {
		struct seq_file m = { .buf = text, .size = sizeof(text) - 1 };

		shown = global_zone_page_state(NR_FREE_UNMAPPED);
		memset(text, 0, sizeof(text));
		unmapped_report_meminfo(&m);
		if (sscanf(text, "UnmappedFree: %lu kB", &kb) != 1 ||
		    kb == shown * (PAGE_SIZE / 1024))
			break;
	}
	KUNIT_EXPECT_GE(test, shown, pageblock_nr_pages / 2);
	KUNIT_EXPECT_EQ(test, kb, shown * (PAGE_SIZE / 1024));
	expect_nothing_left(test);
}

static void cpus_are_drained(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0);
	struct zone *zone;
	unsigned int cpu, n = 0;

	KUNIT_ASSERT_NOT_NULL(test, page);
	zone = page_zone(page);
	__free_page(page);
	for_each_possible_cpu(cpu)
		n += per_cpu_ptr(zone->unmapped->pcp, cpu)->count;
	KUNIT_EXPECT_GE(test, n, 1);

	zone_pcp_disable(zone);
	n = 0;
	for_each_possible_cpu(cpu)
		n += per_cpu_ptr(zone->unmapped->pcp, cpu)->count;
	KUNIT_EXPECT_EQ(test, n, 0);
	page = alloc_pages_unmapped(GFP_KERNEL, 0);
	if (page)
		__free_page(page);
	n = 0;
	for_each_possible_cpu(cpu)
		n += per_cpu_ptr(zone->unmapped->pcp, cpu)->count;
	zone_pcp_enable(zone);
	KUNIT_EXPECT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, n, 0);
	expect_nothing_left(test);
}

static unsigned int cached(struct zone *zone)
{
	unsigned int cpu, n = 0;

	for_each_possible_cpu(cpu)
		n += per_cpu_ptr(zone->unmapped->pcp, cpu)->count;

	return n;
}

static unsigned int cached_ordinary(struct zone *zone)
{
	unsigned int cpu, n = 0;

	for_each_possible_cpu(cpu)
		n += per_cpu_ptr(zone->per_cpu_pageset, cpu)->count;

	return n;
}

/* Who wants pages that CPUs keep looks first at which have some, of any kind. */
static void cpus_without_others_are_drained(struct kunit *test)
{
	struct zone *zone = NULL;
	unsigned int try, left = 0, seen = 0;
	struct page *page;

	for (try = 0; try < MAX_TRIES && seen < 3; try++) {
		page = alloc_pages_unmapped(GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, page);
		zone = page_zone(page);
		drain_all_pages(zone);
		__free_page(page);
		/* Others may have freed something. Then this shows nothing. */
		if (!cached(zone) || cached_ordinary(zone))
			continue;
		seen++;
		drain_all_pages(seen & 1 ? zone : NULL);
		left += cached(zone);
	}
	KUNIT_EXPECT_GT(test, seen, 0);
	KUNIT_EXPECT_EQ(test, left, 0);
	expect_nothing_left(test);
}

static unsigned int lines_with(const char *text)
{
	static char line[512];
	struct kmsg_dump_iter iter;
	unsigned int n = 0;
	size_t len;

	kmsg_dump_rewind(&iter);
	while (kmsg_dump_get_line(&iter, false, line, sizeof(line) - 1, &len)) {
		line[len] = '\0';
		n += !!strstr(line, text);
	}

	return n;
}

/* Reports of memory shortage have it, where nodes and zones are that have some. */
static void shortage_is_reported(struct kunit *test)
{
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0);
	char want[64];
	unsigned int before;

	KUNIT_ASSERT_NOT_NULL(test, page);
	snprintf(want, sizeof(want), "unmapped: Node %d %s total:%lukB free:",
		 page_to_nid(page), page_zone(page)->name,
		 page_zone(page)->unmapped->nr_blocks << (pageblock_order + PAGE_SHIFT - 10));
	before = lines_with(want);
	__show_mem(0, NULL, MAX_NR_ZONES - 1);
	KUNIT_EXPECT_EQ(test, lines_with(want), before + 1);
	__free_page(page);
	expect_nothing_left(test);
	/* Who has none has no line. */
	__show_mem(0, NULL, MAX_NR_ZONES - 1);
	KUNIT_EXPECT_EQ(test, lines_with(want), before + 1);
}

/* As in batch_size(): more of a small node would be missed by others. */
static unsigned long most_blocks(int nid)
{
	unsigned long most = want_init_on_alloc(0) ? 4 : 32;

	return min(most, max(1UL, node_present_pages(nid) / 64 / pageblock_nr_pages));
}

/*
 * With demand each round, which is one flush, takes more blocks than the last one.
 * Returns whether one of some has taken several. Not if this machine is so slow that
 * it does not look like demand.
 */
static bool some_leave_together(struct kunit *test)
{
	unsigned long left, rounds, together = 0;
	struct page *pages[12];
	unsigned int i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		left = unmapped_sum(UNMAPPED_LEFT);
		rounds = unmapped_sum(UNMAPPED_ROUNDS);
		pages[i] = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, pageblock_order);
		if (!pages[i])
			break;
		nr++;
		left = unmapped_sum(UNMAPPED_LEFT) - left;
		/* Nobody else asks meanwhile. */
		KUNIT_EXPECT_LE(test, unmapped_sum(UNMAPPED_ROUNDS), rounds + 1);
		KUNIT_EXPECT_LE(test, left, most_blocks(page_to_nid(pages[i])));
		together = max(together, left);
	}
	while (nr)
		__free_pages(pages[--nr], pageblock_order);
	unmapped_erase_flush();

	return together > 1;
}

static void blocks_leave_together(struct kunit *test)
{
	unsigned int try;

	if (most_blocks(numa_mem_id()) < 2)
		kunit_skip(test, "needs a larger node");
	for (try = 0; try < 10; try++) {
		if (some_leave_together(test))
			break;
		unmapped_release_all();
	}
	KUNIT_EXPECT_LT(test, try, 10);
	expect_nothing_left(test);
}

/* Whatever writes to memory that is freed or allocated: it is not to be met by these. */
static void many_blocks_leave(struct kunit *test)
{
	struct page *page, *next;
	unsigned int i, nr = 0;
	LIST_HEAD(held);

	for (i = 0; i < 64; i++) {
		page = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, pageblock_order);
		if (!page)
			break;
		nr++;
		KUNIT_EXPECT_FALSE(test, kernel_page_present(page));
		KUNIT_EXPECT_FALSE(test, kernel_page_present(page + pageblock_nr_pages - 1));
		KUNIT_EXPECT_EQ(test, differ(page, 0), 0);
		KUNIT_EXPECT_EQ(test, differ(page + pageblock_nr_pages - 1, 0), 0);
		list_add(&page->lru, &held);
	}
	/* A machine for tests has more, even if not all of it is free. */
	KUNIT_EXPECT_GE(test, nr, 32);
	list_for_each_entry_safe(page, next, &held, lru) {
		list_del(&page->lru);
		__free_pages(page, pageblock_order);
	}
	expect_nothing_left(test);
}

/* The first page does not wait for all of its block, or for all blocks that left. */
static void a_request_erases_little(struct kunit *test)
{
	unsigned long erased = unmapped_sum(UNMAPPED_ERASED);
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0), *large;
	struct zone *zone;

	KUNIT_ASSERT_NOT_NULL(test, page);
	zone = page_zone(page);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ERASED) - erased, 64);
	KUNIT_EXPECT_GE(test, READ_ONCE(zone->unmapped->nr_raw), pageblock_nr_pages - 64);

	/* What is larger gets what it needs, from where the block is still raw. */
	erased = unmapped_sum(UNMAPPED_ERASED);
	large = alloc_pages_unmapped(GFP_KERNEL, 7);
	KUNIT_EXPECT_NOT_NULL(test, large);
	KUNIT_EXPECT_LE(test, unmapped_sum(UNMAPPED_ERASED) - erased, 64 + 128);
	if (large) {
		check_pages(test, large, 7);
		__free_pages(large, 7);
	}
	__free_page(page);
	expect_nothing_left(test);
}

/*
 * What fails
 */

static void broken_pages_are_not_used(struct kunit *test)
{
	struct page *page, *bad, *p, *next;
	unsigned long n = 0;
	LIST_HEAD(held);

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "needs CONFIG_MEMORY_FAILURE");
	page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_pages(page, pageblock_order);
	unmapped_erase_all();
	/* While it is free, as memory_failure() does before anything else. */
	bad = page + 77;
	SetPageHWPoison(bad);

	KUNIT_EXPECT_FALSE(test, unmapped_release_block(page));
	/* Of what left together, all others do. */
	unmapped_release_all();
	KUNIT_EXPECT_EQ(test, blocks(), 1);
	KUNIT_EXPECT_TRUE(test, page_is_unmapped(page));
	KUNIT_EXPECT_FALSE(test, kernel_page_present(bad));
	while (blocks() == 1) {
		p = alloc_pages_unmapped(GFP_KERNEL, 0);
		if (!p)
			break;
		KUNIT_EXPECT_PTR_NE(test, p, bad);
		n += pageblock_start_pfn(page_to_pfn(p)) == page_to_pfn(page);
		list_add(&p->lru, &held);
	}
	/* All the others of the block are. */
	KUNIT_EXPECT_EQ(test, n, pageblock_nr_pages - 1);
	list_for_each_entry_safe(p, next, &held, lru) {
		list_del(&p->lru);
		__free_page(p);
	}
	unmapped_release_all();
	KUNIT_EXPECT_EQ(test, blocks(), 1);

	/* Nobody has it. */
	ClearPageHWPoison(bad);
	KUNIT_EXPECT_TRUE(test, fill(bad, 0));
	scoped_guard(spinlock_irqsave, &page_zone(bad)->lock)
		unmapped_give(page_zone(bad), bad, 0);
	expect_nothing_left(test);
}

/* It may be the next one that this CPU gives out. */
static void broken_pages_at_hand(struct kunit *test)
{
	struct page *bad, *page;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "needs CONFIG_MEMORY_FAILURE");
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	bad = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, bad);
	__free_page(bad);
	SetPageHWPoison(bad);
	page = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_EXPECT_NOT_NULL(test, page);
	KUNIT_EXPECT_PTR_NE(test, page, bad);
	set_cpus_allowed_ptr(current, cpu_possible_mask);

	/* Nobody has it. */
	ClearPageHWPoison(bad);
	if (page != bad) {
		KUNIT_EXPECT_TRUE(test, fill(bad, 0));
		guard(spinlock_irqsave)(&page_zone(bad)->lock);
		unmapped_give(page_zone(bad), bad, 0);
	}
	if (page)
		__free_page(page);
	expect_nothing_left(test);
}

/* Memory offline takes other broken pages along. These would have to be mapped for it. */
static void broken_blocks_do_not_go_offline(struct kunit *test)
{
	struct page *page, *bad;
	unsigned long start;
	unsigned int mode;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "needs CONFIG_MEMORY_FAILURE");
	page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_pages(page, pageblock_order);
	unmapped_erase_flush();
	start = page_to_pfn(page);
	bad = page + pageblock_nr_pages - 1;
	SetPageHWPoison(bad);

	for (mode = 0; mode < 2; mode++) {
		KUNIT_EXPECT_EQ(test, start_isolate_page_range(start, start + pageblock_nr_pages,
							       mode ? PB_ISOLATE_MODE_MEM_OFFLINE :
								      PB_ISOLATE_MODE_OTHER),
				-EBUSY);
		KUNIT_EXPECT_TRUE(test, page_is_unmapped(page));
		KUNIT_EXPECT_FALSE(test, kernel_page_present(bad));
	}
	KUNIT_EXPECT_EQ(test, page_zone(page)->unmapped->nr_returning, 0);

	/* Whether it is still on a list with others depends on who has looked at it. */
	unmapped_release_all();
	KUNIT_EXPECT_EQ(test, blocks(), 1);
	KUNIT_EXPECT_EQ(test, free_unmapped(), pageblock_nr_pages - 1);
	ClearPageHWPoison(bad);
	KUNIT_EXPECT_TRUE(test, fill(bad, 0));
	scoped_guard(spinlock_irqsave, &page_zone(bad)->lock)
		unmapped_give(page_zone(bad), bad, 0);
	expect_nothing_left(test);
}

/* The same by memory_failure(), of pages that are cached, raw, and in use. */
static void memory_failures_are_final(struct kunit *test)
{
#ifdef CONFIG_MEMORY_FAILURE
	struct page *block, *page, *next, *bad[3];
	unsigned long n = 0;
	unsigned int i;
	LIST_HEAD(held);

	page = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	bad[0] = page;
	bad[1] = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, bad[1]);
	block = pfn_to_page(pageblock_start_pfn(page_to_pfn(page)));
	bad[2] = block + pageblock_nr_pages - 1;
	KUNIT_ASSERT_PTR_EQ(test, block,
			    pfn_to_page(pageblock_start_pfn(page_to_pfn(bad[1]))));
	__free_page(bad[0]);
	KUNIT_ASSERT_TRUE(test, page_is_unmapped(bad[2]));
	/* Of what left together, all others return. */
	unmapped_release(page_zone(block), ULONG_MAX);
	KUNIT_ASSERT_EQ(test, blocks(), 1);

	KUNIT_EXPECT_EQ(test, memory_failure(page_to_pfn(bad[0]), MF_SW_SIMULATED), 0);
	KUNIT_EXPECT_NE(test, memory_failure(page_to_pfn(bad[1]), MF_SW_SIMULATED), 0);
	KUNIT_EXPECT_NE(test, memory_failure(page_to_pfn(bad[2]), MF_SW_SIMULATED), 0);
	__free_page(bad[1]);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		KUNIT_EXPECT_TRUE(test, PageHWPoison(bad[i]));
		/* What has not been erased does not become usable. */
		KUNIT_EXPECT_NE(test, unpoison_memory(page_to_pfn(bad[i])), 0);
	}

	while (blocks() == 1) {
		page = alloc_pages_unmapped(GFP_KERNEL, 0);
		if (!page)
			break;
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			KUNIT_EXPECT_PTR_NE(test, page, bad[i]);
		n += pageblock_start_pfn(page_to_pfn(page)) == page_to_pfn(block);
		list_add(&page->lru, &held);
	}
	KUNIT_EXPECT_EQ(test, n, pageblock_nr_pages - ARRAY_SIZE(bad));
	list_for_each_entry_safe(page, next, &held, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
	KUNIT_EXPECT_FALSE(test, unmapped_release_block(block));
	unmapped_release_all();
	KUNIT_EXPECT_EQ(test, blocks(), 1);

	/* Nobody has them. */
	ClearPageHWPoisonTakenOff(bad[0]);
	set_page_count(bad[0], 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		KUNIT_EXPECT_FALSE(test, kernel_page_present(bad[i]));
		ClearPageHWPoison(bad[i]);
		num_poisoned_pages_sub(page_to_pfn(bad[i]), 1);
		KUNIT_EXPECT_TRUE(test, fill(bad[i], 0));
		guard(spinlock_irqsave)(&page_zone(block)->lock);
		unmapped_give(page_zone(block), bad[i], 0);
	}
	expect_consistent(test);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_MEMORY_FAILURE");
#endif
}

/* Who looks at pages that are free takes them for a moment. Broken ones do not go back. */
static void checks_leave_out_what_is_broken(struct kunit *test)
{
#ifdef CONFIG_DEBUG_UNMAPPED
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
	struct zone *zone;

	KUNIT_ASSERT_NOT_NULL(test, page);
	zone = page_zone(page);
	__free_pages(page, pageblock_order);
	unmapped_erase_flush();
	KUNIT_EXPECT_EQ(test, unmapped_check(zone), 0);
	KUNIT_EXPECT_TRUE(test, PageBuddy(page));
	SetPageHWPoison(page);
	KUNIT_EXPECT_EQ(test, unmapped_check(zone), 0);
	KUNIT_EXPECT_FALSE(test, PageBuddy(page));
	ClearPageHWPoison(page);
	scoped_guard(spinlock_irqsave, &zone->lock)
		if (!PageBuddy(page))
			unmapped_give(zone, page, 0);
	expect_consistent(test);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_DEBUG_UNMAPPED");
#endif
}

#ifdef CONFIG_DEBUG_UNMAPPED
static int use_pools(void *data)
{
	unsigned int *got = data, order = 0;

	while (!kthread_should_stop()) {
		struct page *page = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, order);

		if (page) {
			__free_pages(page, order);
			(*got)++;
		}
		order = (order + 1) % (pageblock_order + 1);
		if (!order)
			unmapped_release_all();
		cond_resched();
	}

	return 0;
}
#endif

/* A check of a system that is in use finds faults, not what changes meanwhile. */
static void checks_while_it_is_used(struct kunit *test)
{
#ifdef CONFIG_DEBUG_UNMAPPED
	unsigned int got = 0, last, checks, errors = 0;
	unsigned long end = jiffies + 3 * HZ;
	struct task_struct *task;
	struct zone *zone;

	task = kthread_run(use_pools, &got, "unmapped/use");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (checks = 0; time_before(jiffies, end) || checks < 10; checks++) {
		last = READ_ONCE(got);
		for_each_populated_zone(zone)
			errors += unmapped_check(zone);
		while (READ_ONCE(got) == last && time_before(jiffies, end + WORKER_TIME))
			usleep_range(500, 1000);
	}
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, errors, 0);
	KUNIT_EXPECT_GE(test, got, 10);
	expect_consistent(test);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_DEBUG_UNMAPPED");
#endif
}

/* Nothing leaves: then there is nothing, and all is as it was. */
static void blocks_that_cannot_leave(struct kunit *test)
{
#ifdef CONFIG_FAIL_UNMAPPED
	struct page *page, *other;
	unsigned long start;
	unsigned int try;
	bool late;

	/* For a while nobody tries again. This may be too slow to see that. */
	for (try = 0; try < MAX_TRIES; try++) {
		start = jiffies;
		inject(&fail_unmapped, -1);
		page = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 0);
		stop_injecting(&fail_unmapped);
		other = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 0);
		late = time_after_eq(jiffies, start + max(HZ / 64, 1));
		KUNIT_EXPECT_NULL(test, page);
		if (other)
			__free_page(other);
		unmapped_release_all();
		if (!other || !late)
			break;
	}
	KUNIT_EXPECT_NULL(test, other);
	KUNIT_EXPECT_EQ(test, blocks(), 0);
	expect_consistent(test);

	msleep(1100);
	page = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	check_pages(test, page, 0);
	__free_page(page);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_FAIL_UNMAPPED");
#endif
}

#ifdef CONFIG_FAIL_UNMAPPED
/* How often blocks were to leave, since inject(). */
static int tries(int times)
{
	return times - atomic_read(&fail_unmapped.times);
}
#endif

/*
 * Where no block can leave each request would look for one, and each takes time. It is
 * tried after 16 ms, and after twice as long each time, up to a second.
 */
static void failures_are_not_repeated(struct kunit *test)
{
#ifdef CONFIG_FAIL_UNMAPPED
	unsigned long start, requests = 0, took, got = 0;
	int times = 100000;
	struct page *page;

	start = jiffies;
	inject(&fail_unmapped, times);
	do {
		page = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 0);
		if (page) {
			__free_page(page);
			got++;
		}
		requests++;
		/* Less than the shortest time that nobody tries. */
		usleep_range(2000, 4000);
	} while (time_before(jiffies, start + 3 * HZ) || requests < 100);
	took = (jiffies - start) / HZ + 1;
	fail_unmapped.probability = 0;
	KUNIT_EXPECT_EQ(test, got, 0);
	/*
	 * 16, 32, 64 ... ms, then each second. Each time twice: at first without, and
	 * then with reclaim.
	 */
	KUNIT_EXPECT_LE(test, tries(times), 2 * (8 + (int)took));
	KUNIT_EXPECT_GE(test, tries(times), 2);
	atomic_set(&fail_unmapped.times, 0);

	/* After that it is as before. */
	msleep(1100);
	page = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_page(page);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_FAIL_UNMAPPED");
#endif
}

#ifdef CONFIG_FAIL_UNMAPPED
/* Fail so often that the next 200 ms are for others. Returns when they began. */
static unsigned long fail_for_long(struct kunit *test, gfp_t gfp)
{
	struct page *page;
	unsigned int i;

	/* The next failure is to be the first one. */
	msleep(300);
	page = alloc_pages_unmapped(GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_page(page);
	unmapped_erase_flush();
	unmapped_release_all();

	inject(&fail_unmapped, -1);
	for (i = 0; i < 5; i++) {
		if (i)
			msleep(10 << i);
		page = alloc_pages_unmapped(gfp | __GFP_NOWARN, 0);
		KUNIT_EXPECT_NULL(test, page);
	}
	stop_injecting(&fail_unmapped);

	return jiffies;
}
#endif

/*
 * Who may not reclaim, or not much, has no better way than to fail. That is no reason for
 * those who may not to try, but it is the other way round.
 */
static void failures_are_of_an_effort(struct kunit *test)
{
#ifdef CONFIG_FAIL_UNMAPPED
	static const struct {
		gfp_t fails, asks;
		bool served;
	} efforts[] = {
		{ GFP_USER | __GFP_NORETRY, GFP_USER | __GFP_NORETRY, false },
		{ GFP_USER | __GFP_NORETRY, GFP_NOFS, true },
		{ GFP_USER | __GFP_NORETRY, GFP_KERNEL, true },
		{ GFP_NOIO, GFP_NOFS, false },
		{ GFP_NOIO, GFP_KERNEL, true },
		{ GFP_KERNEL, GFP_USER | __GFP_NORETRY, false },
		{ GFP_KERNEL, GFP_NOIO, false },
		{ GFP_KERNEL, GFP_USER, false },
		{ GFP_KERNEL, GFP_KERNEL | __GFP_RETRY_MAYFAIL, true },
		{ GFP_KERNEL | __GFP_RETRY_MAYFAIL, GFP_KERNEL, false },
	};
	struct page *page;
	unsigned int i, try;
	bool late;

	msleep(1100);
	for (i = 0; i < ARRAY_SIZE(efforts); i++) {
		for (try = 0; try < 10; try++) {
			unsigned long start = fail_for_long(test, efforts[i].fails);

			page = alloc_pages_unmapped(efforts[i].asks | __GFP_NOWARN, 0);
			late = time_after_eq(jiffies, start + (max(HZ / 64, 1) << 4) - 2);
			if (page)
				__free_page(page);
			/* It may be served if time is over, which shows nothing. */
			if (!late)
				break;
		}
		KUNIT_EXPECT_FALSE(test, late);
		KUNIT_EXPECT_EQ_MSG(test, !!page, efforts[i].served, "row %u", i);
	}
	msleep(300);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_FAIL_UNMAPPED");
#endif
}

struct waiting {
	struct completion	ready;
	struct completion	done;
	struct page		*page;
	gfp_t			gfp;
	int			nid;
};

static int ask_for_a_page(void *data)
{
	struct waiting *w = data;

	allow_signal(SIGKILL);
	complete(&w->ready);
	w->page = alloc_pages_node(w->nid, w->gfp | __GFP_UNMAPPED | __GFP_THISNODE, 0);
	complete(&w->done);

	return 0;
}

/*
 * Ask while somebody takes blocks out, which is here who runs the test. Returns
 * whether there was an answer after so many ticks.
 */
static bool answered(struct kunit *test, struct waiting *w, bool kill,
		     unsigned long ticks)
{
	int nid = numa_mem_id();
	struct mutex *lock = unmapped_node_lock(nid);
	struct task_struct *task;
	bool in_time;

	w->nid = nid;
	w->page = NULL;
	init_completion(&w->ready);
	init_completion(&w->done);
	task = kthread_create(ask_for_a_page, w, "unmapped/ask");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);

	mutex_lock(lock);
	wake_up_process(task);
	wait_for_completion(&w->ready);
	if (kill) {
		/* Mostly it waits for the lock by then. Before that is as good. */
		msleep(20);
		send_sig(SIGKILL, task, 1);
	}
	in_time = wait_for_completion_timeout(&w->done, ticks);
	mutex_unlock(lock);
	if (!in_time)
		wait_for_completion(&w->done);
	put_task_struct(task);

	return in_time;
}

static void free_answer(struct waiting *w)
{
	if (w->page)
		__free_page(w->page);
	w->page = NULL;
	unmapped_erase_flush();
	unmapped_release_all();
}

/* Its memory is what somebody wants, so it must not wait for some. */
static void who_waits_can_be_killed(struct kunit *test)
{
	struct waiting w = { .gfp = GFP_KERNEL };

	/* If nobody kills it, it does wait, and then has its turn. */
	KUNIT_EXPECT_FALSE(test, answered(test, &w, false, HZ / 2));
	KUNIT_EXPECT_NOT_NULL(test, w.page);
	free_answer(&w);

	KUNIT_EXPECT_TRUE(test, answered(test, &w, true, WORKER_TIME));
	KUNIT_EXPECT_NULL(test, w.page);
	free_answer(&w);
	expect_nothing_left(test);
}

/* Who has the lock may reclaim, and wait for what such a request holds. */
static void others_do_not_wait(struct kunit *test)
{
	static const gfp_t flags[] = { GFP_NOFS, GFP_NOIO };
	struct waiting w = {};
	struct page *page;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		w.gfp = flags[i];
		KUNIT_EXPECT_TRUE(test, answered(test, &w, false, WORKER_TIME));
		KUNIT_EXPECT_NULL(test, w.page);
		free_answer(&w);
		/* When nobody has it, they get blocks as all do. */
		page = alloc_pages_unmapped(flags[i], 0);
		KUNIT_EXPECT_NOT_NULL(test, page);
		if (page)
			__free_page(page);
		expect_nothing_left(test);
	}
}

#define TOLD	"no memory without mapping"

/* Fails, and must not be told. It would not be if something was told a moment ago. */
static void expect_silence(struct kunit *test, struct page *page, unsigned int before)
{
	KUNIT_EXPECT_NULL(test, page);
	if (page)
		__free_page(page);
	KUNIT_EXPECT_EQ(test, lines_with(TOLD), before);
}

/* Who asks again later, or gives up, has not met a shortage of memory. */
static void only_shortage_is_told(struct kunit *test)
{
	unsigned int before = lines_with(TOLD);
	struct waiting w = { .gfp = GFP_KERNEL };

	KUNIT_EXPECT_TRUE(test, answered(test, &w, true, WORKER_TIME));
	expect_silence(test, w.page, before);
	w.gfp = GFP_NOFS;
	KUNIT_EXPECT_TRUE(test, answered(test, &w, false, WORKER_TIME));
	expect_silence(test, w.page, before);
	expect_silence(test, alloc_pages_unmapped(GFP_ATOMIC, 0), before);
#ifdef CONFIG_PM_SLEEP
	KUNIT_EXPECT_EQ(test, notifier_to_errno(unmapped_pm(NULL, PM_HIBERNATION_PREPARE,
							    NULL)), 0);
	expect_silence(test, alloc_pages_unmapped(GFP_KERNEL, 0), before);
	unmapped_pm(NULL, PM_POST_HIBERNATION, NULL);
#endif
	expect_nothing_left(test);
}

static void shortage_is_told(struct kunit *test)
{
#ifdef CONFIG_FAIL_UNMAPPED
	unsigned int before = lines_with(TOLD), try;
	unsigned long start;
	struct page *page;

	inject(&fail_unmapped, -1);
	start = jiffies;
	expect_silence(test, alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 0), before);
	page = alloc_pages_unmapped(GFP_KERNEL, 0);
	/* If this is slow it was tried again. */
	if (time_before(jiffies, start + max(HZ / 64, 1)))
		expect_silence(test, page, before);
	before = lines_with(TOLD);
	/* Reports are at least 10 s apart, whatever they are about. */
	for (try = 0; try < 15 && lines_with(TOLD) == before; try++) {
		msleep(1100);
		page = alloc_pages_unmapped(GFP_KERNEL, 0);
		KUNIT_EXPECT_NULL(test, page);
	}
	stop_injecting(&fail_unmapped);
	KUNIT_EXPECT_EQ(test, lines_with(TOLD), before + 1);
	msleep(1100);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_FAIL_UNMAPPED");
#endif
}

/* Without a window a page stays dirty, and is nobody's. */
static void pages_that_cannot_be_erased(struct kunit *test)
{
#ifdef CONFIG_FAIL_MERMAP
	struct page *pages[20], *page;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_pages_unmapped(GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
		KUNIT_EXPECT_TRUE(test, fill(pages[i], PATTERN));
	}
	inject(&fail_mermap, -1);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_page(pages[i]);
	/* From what was erased before. */
	page = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 0);
	stop_injecting(&fail_mermap);
	if (page) {
		check_pages(test, page, 0);
		__free_page(page);
	}
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_FAIL_MERMAP");
#endif
}

#ifdef CONFIG_FAIL_MERMAP
/* Free pages so that they stay dirty for as long as windows fail. */
static void free_dirty(struct page *page, unsigned int order)
{
	inject(&fail_mermap, -1);
	__free_pages(page, order);
}
#endif

/* Nobody but who looks at all CPUs, not only at those online, finds what it has left. */
static void a_cpu_leaves_with_dirty_pages(struct kunit *test)
{
#ifdef CONFIG_FAIL_MERMAP
	unsigned int i, cpu = cpumask_last(cpu_online_mask);
	unsigned long erased;
	struct page *pages[8];
	int err;

	if (!cpu)
		kunit_skip(test, "needs two CPUs");
	set_cpus_allowed_ptr(current, cpumask_of(cpu));
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_pages_unmapped(GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
		KUNIT_EXPECT_TRUE(test, fill(pages[i], PATTERN));
	}
	erased = unmapped_sum(UNMAPPED_ERASED);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		free_dirty(pages[i], 0);
	set_cpus_allowed_ptr(current, cpumask_of(0));
	/* The worker cannot erase them either until it is gone. */
	err = remove_cpu(cpu);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ERASED), erased);
	stop_injecting(&fail_mermap);
	KUNIT_EXPECT_EQ(test, err, 0);

	expect_nothing_left(test);
	KUNIT_EXPECT_GE(test, unmapped_sum(UNMAPPED_ERASED), erased + ARRAY_SIZE(pages));
	if (!err)
		KUNIT_EXPECT_EQ(test, add_cpu(cpu), 0);
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_FAIL_MERMAP");
#endif
}

/* If there is no window for the worker, there may be one later, and nobody else asks. */
static void the_worker_tries_again(struct kunit *test)
{
#ifdef CONFIG_FAIL_MERMAP
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 0);
	unsigned long erased, deferred;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, fill(page, PATTERN));
	erased = unmapped_sum(UNMAPPED_ERASED);
	deferred = unmapped_sum(UNMAPPED_DEFERRED);
	free_dirty(page, 0);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_DEFERRED), deferred + 1);
	/* It has been there at least once, in vain. */
	msleep(300);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ERASED), erased);
	stop_injecting(&fail_mermap);
	expect_erased(test, erased + 1);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_FAIL_MERMAP");
#endif
}

/* A memory error in a page that waits for being erased: it is not written any more. */
static void broken_dirty_pages(struct kunit *test)
{
#if defined(CONFIG_FAIL_MERMAP) && defined(CONFIG_MEMORY_FAILURE)
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, 3), *bad, *p, *next;
	unsigned long n = 0, before;
	unsigned int i, at;
	LIST_HEAD(held);

	KUNIT_ASSERT_NOT_NULL(test, page);
	fill_all(test, page, 3);
	bad = page + 5;
	before = free_unmapped();
	free_dirty(page, 3);
	KUNIT_EXPECT_EQ(test, free_unmapped(), before + 8);
	SetPageHWPoison(bad);
	stop_injecting(&fail_mermap);
	unmapped_erase_flush();

	/* The others are free, and zero. This one is as it was, and counted by nobody. */
	KUNIT_EXPECT_EQ(test, free_unmapped(), before + 7);
	KUNIT_EXPECT_EQ(test, differ(bad, PATTERN + 5), 0);
	for (at = 0; at < 8; at++)
		if (at != 5)
			KUNIT_EXPECT_EQ(test, differ(page + at, 0), 0);
	KUNIT_EXPECT_FALSE(test, PageBuddy(bad));
	KUNIT_EXPECT_FALSE(test, unmapped_release_block(page));

	unmapped_release_all();
	KUNIT_ASSERT_EQ(test, blocks(), 1);
	for (i = 0; i < pageblock_nr_pages && blocks() == 1; i++) {
		p = alloc_pages_unmapped(GFP_KERNEL, 0);
		if (!p)
			break;
		KUNIT_EXPECT_PTR_NE(test, p, bad);
		n += pageblock_start_pfn(page_to_pfn(p)) ==
		     pageblock_start_pfn(page_to_pfn(page));
		list_add(&p->lru, &held);
	}
	KUNIT_EXPECT_EQ(test, n, pageblock_nr_pages - 1);
	list_for_each_entry_safe(p, next, &held, lru) {
		list_del(&p->lru);
		__free_page(p);
	}

	/* Nobody has it. */
	ClearPageHWPoison(bad);
	KUNIT_EXPECT_TRUE(test, fill(bad, 0));
	scoped_guard(spinlock_irqsave, &page_zone(bad)->lock)
		unmapped_give(page_zone(bad), bad, 0);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_FAIL_MERMAP and CONFIG_MEMORY_FAILURE");
#endif
}

/* A page that nobody can erase keeps its block out of the direct map, and nothing else. */
static void dirty_pages_keep_their_block(struct kunit *test)
{
#ifdef CONFIG_FAIL_MERMAP
	struct page *page = alloc_pages_unmapped(GFP_KERNEL, pageblock_order);
	unsigned long start;

	KUNIT_ASSERT_NOT_NULL(test, page);
	fill_all(test, page, pageblock_order);
	start = page_to_pfn(page);
	free_dirty(page, pageblock_order);
	KUNIT_EXPECT_FALSE(test, unmapped_release_block(page));
	KUNIT_EXPECT_EQ(test, start_isolate_page_range(start, start + pageblock_nr_pages,
						       PB_ISOLATE_MODE_OTHER), -EBUSY);
	unmapped_release_all();
	KUNIT_EXPECT_EQ(test, blocks(), 1);
	KUNIT_EXPECT_TRUE(test, page_is_unmapped(page));
	KUNIT_EXPECT_FALSE(test, kernel_page_present(page));
	stop_injecting(&fail_mermap);

	KUNIT_EXPECT_TRUE(test, block_comes_back(page));
	KUNIT_EXPECT_TRUE(test, kernel_page_present(page));
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_FAIL_MERMAP");
#endif
}

#ifdef CONFIG_FAULT_INJECTION
/* After a failure nobody tries for a while, until it has been in vain for the last time. */
static bool some_can_leave(void)
{
	struct page *page;
	unsigned int try;

	for (try = 0; try < MAX_TRIES; try++) {
		page = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 0);
		if (page) {
			__free_page(page);
			return true;
		}
		msleep(20);
	}

	return false;
}

/* Ask for a page when the @nth step fails. Returns whether there was one that did. */
static bool fail_step(struct kunit *test, unsigned int nth, unsigned int *served)
{
	struct page *page;
	bool failed;

	current->fail_nth = nth;
	page = alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 0);
	failed = !current->fail_nth;
	current->fail_nth = 0;
	if (!page)
		return failed;

	++*served;
	check_pages(test, page, 0);
	KUNIT_EXPECT_TRUE(test, fill(page, PATTERN));
	/* And when it is freed, for which a window is needed. */
	current->fail_nth = 1;
	__free_page(page);
	current->fail_nth = 0;

	return failed;
}
#endif

/* Whatever fails on the way to a page: there is none, or a good one, and nothing is lost. */
static void failures_at_each_step(struct kunit *test)
{
#if defined(CONFIG_FAIL_UNMAPPED) && defined(CONFIG_FAIL_MERMAP)
	unsigned int nth, served = 0;

	/* Without a stack in the log for each. */
	inject(&fail_unmapped, 0);
	stop_injecting(&fail_unmapped);
	inject(&fail_mermap, 0);
	stop_injecting(&fail_mermap);

	for (nth = 1; nth < 100; nth++) {
		KUNIT_ASSERT_TRUE(test, some_can_leave());
		/* All steps again, from a block that is mapped. */
		expect_nothing_left(test);
		if (!fail_step(test, nth, &served))
			break;
		expect_consistent(test);
	}
	/* The block, its leaving, and four windows for what is erased of it, at least. */
	KUNIT_EXPECT_GT(test, nth, 6);
	KUNIT_EXPECT_LT(test, nth, 100);
	/* The last one, without a failure, was served. */
	KUNIT_EXPECT_GE(test, served, 1);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_FAIL_UNMAPPED and CONFIG_FAIL_MERMAP");
#endif
}

static struct kunit_case unmapped_test_cases[] = {
	KUNIT_CASE_SLOW(all_orders_are_absent_and_zero),
	KUNIT_CASE_SLOW(blocks_leave_with_contents),
	KUNIT_CASE_SLOW(many_pages_come_back_erased),
	KUNIT_CASE(folios_are_large),
	KUNIT_CASE(batches_of_folios_are_erased),
	KUNIT_CASE(orders_without_lists_are_erased),
	KUNIT_CASE(bulk_requests_are_served),
	KUNIT_CASE(zeroed_requests),
	KUNIT_CASE(functions_that_pass_flags_on),
	KUNIT_CASE(nolock_requests_get_nothing),
	KUNIT_CASE(addresses_fault),
	KUNIT_CASE(vmalloc_does_not_take_it),
	KUNIT_CASE(atomic_requests),
	KUNIT_CASE(nothing_is_erased_for_who_cannot_wait),
	KUNIT_CASE(reclaim_gets_what_is_erased),
	KUNIT_CASE(refused_requests),
	KUNIT_CASE(slab_does_not_take_it),
	KUNIT_CASE(ordinary_requests_get_mapped_pages),
	KUNIT_CASE(kernel_image_stays),
	KUNIT_CASE(ranges_are_erased),
	KUNIT_CASE_SLOW(mixed_arrays_are_told_apart),
	KUNIT_CASE(tasks_erase_in_place),
	KUNIT_CASE(the_last_one_erases),
	KUNIT_CASE(parts_are_erased),
	KUNIT_CASE(interrupts_off),
	KUNIT_CASE(free_in_a_hard_interrupt),
	KUNIT_CASE(requests_in_interrupts),
	KUNIT_CASE(free_from_anywhere),
	KUNIT_CASE(freed_while_the_lock_is_held),
	KUNIT_CASE(the_worker_erases),
	KUNIT_CASE(everything_comes_back),
	KUNIT_CASE(probe_reads_see_nothing),
	KUNIT_CASE(a_page_keeps_its_block),
	KUNIT_CASE(blocks_come_back_erased),
	KUNIT_CASE(isolation_maps_what_is_free),
	KUNIT_CASE(pages_in_use_are_unmovable),
	KUNIT_CASE(free_pages_are_not_isolated),
	KUNIT_CASE(compaction_leaves_them_alone),
	KUNIT_CASE(contiguous_ranges_can_be_had),
	KUNIT_CASE(blocks_given_back_are_not_taken),
	KUNIT_CASE_SLOW(blocks_are_given_back_once),
	KUNIT_CASE(the_shrinker_gives_back),
	KUNIT_CASE(the_shrinker_gathers),
	KUNIT_CASE(reclaim_is_told),
	KUNIT_CASE(page_cache_does_not_empty_it),
	KUNIT_CASE(nobody_is_killed_for_it),
	KUNIT_CASE_SLOW(somebody_is_killed_in_the_end),
	KUNIT_CASE(blocks_of_reserves_stay),
	KUNIT_CASE(blocks_of_cma_stay),
	KUNIT_CASE(hibernation_needs_it_mapped),
	KUNIT_CASE_SLOW(what_is_being_erased_comes_back),
	KUNIT_CASE(larger_mappings_are_rebuilt),
	KUNIT_CASE_SLOW(nothing_is_split),
	KUNIT_CASE(a_cpu_leaves_with_pages),
	KUNIT_CASE(a_cpu_comes_later),
	KUNIT_CASE(free_memory_does_not_have_it),
	KUNIT_CASE(tracepoints_have_a_migratetype),
	KUNIT_CASE(blocks_are_counted_apart),
	KUNIT_CASE(meminfo_has_a_line),
	KUNIT_CASE(cpus_are_drained),
	KUNIT_CASE(cpus_without_others_are_drained),
	KUNIT_CASE(shortage_is_reported),
	KUNIT_CASE_SLOW(blocks_leave_together),
	KUNIT_CASE_SLOW(many_blocks_leave),
	KUNIT_CASE(a_request_erases_little),
	KUNIT_CASE(broken_pages_are_not_used),
	KUNIT_CASE(broken_pages_at_hand),
	KUNIT_CASE(broken_blocks_do_not_go_offline),
	KUNIT_CASE(memory_failures_are_final),
	KUNIT_CASE(checks_leave_out_what_is_broken),
	KUNIT_CASE_SLOW(checks_while_it_is_used),
	KUNIT_CASE_SLOW(blocks_that_cannot_leave),
	KUNIT_CASE_SLOW(failures_are_not_repeated),
	KUNIT_CASE_SLOW(failures_are_of_an_effort),
	KUNIT_CASE(who_waits_can_be_killed),
	KUNIT_CASE(others_do_not_wait),
	KUNIT_CASE(only_shortage_is_told),
	KUNIT_CASE_SLOW(shortage_is_told),
	KUNIT_CASE(pages_that_cannot_be_erased),
	KUNIT_CASE(a_cpu_leaves_with_dirty_pages),
	KUNIT_CASE(the_worker_tries_again),
	KUNIT_CASE(broken_dirty_pages),
	KUNIT_CASE(dirty_pages_keep_their_block),
	KUNIT_CASE_SLOW(failures_at_each_step),
	{}
};

static struct kunit_suite unmapped_test_suite = {
	.name = "unmapped",
	.init = unmapped_test_init,
	.exit = unmapped_test_exit,
	.test_cases = unmapped_test_cases,
};

static int unmapped_off_init(struct kunit *test)
{
	if (unmapped_pages_enabled())
		kunit_skip(test, "needs a machine without, or unmapped_pages=off");

	return 0;
}

/* Who asks has another way: it is no reason for a warning that there is none. */
static void off_is_quiet(struct kunit *test)
{
	struct page *page, *atomic;

	kunit_warning_suppress(test) {
		page = alloc_pages_unmapped(GFP_KERNEL, 0);
		atomic = alloc_pages_unmapped(GFP_ATOMIC, pageblock_order);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 0);
	}
	KUNIT_EXPECT_NULL(test, page);
	KUNIT_EXPECT_NULL(test, atomic);
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_FAILED), 0);
	KUNIT_EXPECT_EQ(test, blocks(), 0);
	KUNIT_EXPECT_EQ(test, free_unmapped(), 0);
	KUNIT_EXPECT_EQ(test, unmapped_release_all(), 0);
	expect_consistent(test);
}

static struct kunit_case unmapped_off_cases[] = {
	KUNIT_CASE(off_is_quiet),
	{}
};

static struct kunit_suite unmapped_off_suite = {
	.name = "unmapped_off",
	.init = unmapped_off_init,
	.test_cases = unmapped_off_cases,
};
kunit_test_suites(&unmapped_test_suite, &unmapped_off_suite);

MODULE_DESCRIPTION("Tests for memory that is absent from the direct map");
MODULE_LICENSE("GPL");
