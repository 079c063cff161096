// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for where memory that is absent from the direct map comes from, on a
 * machine with several nodes, and what becomes of it when memory goes and comes.
 */

#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/cpu.h>
#include <linux/cpuset.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched/task.h>
#include <linux/topology.h>
#include <linux/unmapped.h>

#include "../internal.h"
#include "../page_alloc.h"
#include "../shuffle.h"
#include "../unmapped.h"
#include "unmapped_fixture.h"

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");

/* Of each kind, so that two of them are taken for each other sooner or later. */
#define SHUFFLED	16
#define SHUFFLES	5

/* The node of the test's CPU, and another one. */
static int here, there;

static struct page *alloc_from(int nid, gfp_t gfp, unsigned int order)
{
	return alloc_pages_node(nid, gfp | __GFP_UNMAPPED | __GFP_NOWARN, order);
}

static void forget_failures(int nid)
{
	struct page *page;
	unsigned int try;

	for (try = 0; try < MAX_TRIES; try++) {
		page = alloc_from(nid, GFP_KERNEL | __GFP_THISNODE, 0);
		if (page) {
			__free_page(page);
			return;
		}
		msleep(20);
	}
}

static int unmapped_nodes_init(struct kunit *test)
{
	if (!unmapped_pages_enabled())
		kunit_skip(test, "needs a direct map of large pages");

	/* A test that failed in the middle has left that. */
	set_mems_allowed(node_states[N_MEMORY]);
	/* Not all CPUs of the node: emulated nodes have the same ones. */
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	here = numa_mem_id();
	there = next_node_in(here, node_states[N_MEMORY]);
	if (here == there)
		kunit_skip(test, "needs two nodes with memory");
	/* Of earlier cases, after which nobody tries for a while, or longer. */
	forget_failures(here);
	forget_failures(there);
	unmapped_release_all();

	return 0;
}

static void unmapped_nodes_exit(struct kunit *test)
{
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	if (unmapped_pages_enabled())
		expect_consistent(test);
}

/* Let a node have erased pages in its pool. */
static void warm(struct kunit *test, int nid)
{
	struct page *page = alloc_from(nid, GFP_KERNEL | __GFP_THISNODE, pageblock_order);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, page_to_nid(page), nid);
	__free_pages(page, pageblock_order);
	unmapped_erase_all();
}

static void free_list(struct list_head *pages, unsigned int order)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		__free_pages(page, order);
	}
}

static void expect_from(struct kunit *test, struct page *page, int nid)
{
	KUNIT_EXPECT_NOT_NULL(test, page);
	if (!page)
		return;
	KUNIT_EXPECT_EQ(test, page_to_nid(page), nid);
	check_pages(test, page, 0);
	__free_page(page);
}

/*
 * Where it comes from
 */

/* What is ready on another node is farther away than what has to be made here. */
static void local_memory_comes_first(struct kunit *test)
{
	warm(test, there);
	expect_from(test, alloc_pages_unmapped(GFP_KERNEL, 0), here);
	expect_from(test, alloc_from(there, GFP_KERNEL, 0), there);
	expect_nothing_left(test);
}

/* Who cannot wait gets what there is. */
static void atomic_requests_take_what_is_there(struct kunit *test)
{
	warm(test, there);
	expect_from(test, alloc_from(here, GFP_ATOMIC, 0), there);
	KUNIT_EXPECT_NULL(test, alloc_from(here, GFP_ATOMIC | __GFP_THISNODE, 0));
	expect_nothing_left(test);
}

/* The node that is preferred need not be one of those that are allowed. */
static void nodemasks_bind(struct kunit *test)
{
	nodemask_t mask = nodemask_of_node(there);

	expect_from(test, __alloc_pages(GFP_KERNEL | __GFP_UNMAPPED, 0, here, &mask,
					ALLOC_DEFAULT), there);
	unmapped_release_all();
	warm(test, here);
	expect_from(test, __alloc_pages(GFP_KERNEL | __GFP_UNMAPPED, 0, here, &mask,
					ALLOC_DEFAULT), there);
	unmapped_release_all();
	warm(test, here);
	KUNIT_EXPECT_NULL(test, __alloc_pages(GFP_ATOMIC | __GFP_UNMAPPED, 0, here,
					      &mask, ALLOC_DEFAULT));
	expect_nothing_left(test);
}

#ifdef CONFIG_TMPFS
static struct mempolicy *swap_policy(struct mempolicy *policy)
{
	guard(task_lock)(current);
	swap(current->mempolicy, policy);

	return policy;
}
#endif

static void policies_apply(struct kunit *test)
{
#ifdef CONFIG_TMPFS
	struct mempolicy *policy;
	char name[32];

	snprintf(name, sizeof(name), "bind:%d", there);
	KUNIT_ASSERT_EQ(test, mpol_parse_str(name, &policy), 0);
	warm(test, here);

	policy = swap_policy(policy);
	expect_from(test, alloc_pages_unmapped(GFP_KERNEL, 0), there);
	policy = swap_policy(policy);
	mpol_put(policy);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_TMPFS");
#endif
}

#ifdef CONFIG_CPUSETS
static void forget_cpuset(void *unused)
{
	set_mems_allowed(node_states[N_MEMORY]);
	cpus_read_lock();
	cpuset_dec();
	cpus_read_unlock();
}

/* As for a task in a cpuset with that node. */
static void confine_to(struct kunit *test, int nid)
{
	cpus_read_lock();
	cpuset_inc();
	cpus_read_unlock();
	set_mems_allowed(nodemask_of_node(nid));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, forget_cpuset, NULL), 0);
}
#endif

static void cpusets_confine(struct kunit *test)
{
#ifdef CONFIG_CPUSETS
	nodemask_t both = node_states[N_MEMORY];

	warm(test, here);
	confine_to(test, there);
	expect_from(test, alloc_pages_unmapped(GFP_USER, 0), there);
	expect_from(test, alloc_pages_unmapped(GFP_KERNEL, 0), there);
	expect_from(test, __alloc_pages(GFP_USER | __GFP_UNMAPPED, 0, here, &both,
					ALLOC_DEFAULT), there);
	expect_from(test, __alloc_pages(GFP_KERNEL | __GFP_UNMAPPED, 0, here, &both,
					ALLOC_DEFAULT), there);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_CPUSETS");
#endif
}

/* All blocks that a node has, mapped as they are */
static void take_blocks(int nid, struct list_head *held)
{
	struct page *page;

	while ((page = alloc_pages_node(nid, GFP_KERNEL | __GFP_THISNODE |
					__GFP_NORETRY | __GFP_NOWARN, pageblock_order)))
		list_add(&page->lru, held);
}

/* As for other memory, the kernel's own use goes on elsewhere, and a user's fails. */
static void full_cpusets(struct kunit *test)
{
#ifdef CONFIG_CPUSETS
	unsigned long rounds;
	struct page *page;
	LIST_HEAD(held);

	take_blocks(there, &held);
	confine_to(test, there);
	page = alloc_pages_unmapped(GFP_USER | __GFP_NORETRY | __GFP_NOWARN, 0);
	KUNIT_EXPECT_NULL(test, page);
	if (page)
		__free_page(page);

	rounds = unmapped_sum(UNMAPPED_ROUNDS);
	expect_from(test, alloc_pages_unmapped(GFP_KERNEL | __GFP_NOWARN, 0), here);
	/* Not some for each try. */
	KUNIT_EXPECT_EQ(test, unmapped_sum(UNMAPPED_ROUNDS), rounds + 1);
	free_list(&held, pageblock_order);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_CPUSETS");
#endif
}

/* Who can have no other node fails there, and does not keep others from theirs. */
static void failures_are_of_one_node(struct kunit *test)
{
	struct page *page;
	LIST_HEAD(held);

	take_blocks(there, &held);
	page = alloc_from(there, GFP_KERNEL | __GFP_THISNODE | __GFP_NORETRY, 0);
	KUNIT_EXPECT_NULL(test, page);
	if (page)
		__free_page(page);
	/* At once, with the same effort, and then with more. */
	expect_from(test, alloc_from(there, GFP_KERNEL | __GFP_NORETRY, 0), here);
	unmapped_erase_flush();
	unmapped_release_all();
	expect_from(test, alloc_from(there, GFP_KERNEL, 0), here);
	free_list(&held, pageblock_order);
	expect_nothing_left(test);
}

/* The same of the node that has memory, for it was not that which failed. */
static void injected_failures_are_of_one_node(struct kunit *test)
{
#ifdef CONFIG_FAIL_UNMAPPED
	struct page *page;
	unsigned long start;
	unsigned int try;
	bool late;

	/* It is for a while. This may be too slow to see that. */
	for (try = 0; try < MAX_TRIES; try++) {
		start = jiffies;
		inject(&fail_unmapped, -1);
		page = alloc_from(here, GFP_KERNEL | __GFP_THISNODE, 0);
		stop_injecting(&fail_unmapped);
		KUNIT_ASSERT_NULL(test, page);
		page = alloc_from(here, GFP_KERNEL, 0);
		late = time_after_eq(jiffies, start + max(HZ / 64, 1));
		if (!page || page_to_nid(page) == there || !late)
			break;
		__free_page(page);
		page = NULL;
		unmapped_release_all();
	}
	expect_from(test, page, there);
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_FAIL_UNMAPPED");
#endif
}

/*
 * Memory that goes and comes
 */

static int online_block(struct memory_block *mem, void *arg)
{
	mem->online_type = MMOP_ONLINE_KERNEL;

	return device_online(&mem->dev);
}

static int offline_block(struct memory_block *mem, void *arg)
{
	int ret = device_offline(&mem->dev);

	return ret < 0 ? ret : 0;
}

static int change_block(unsigned long start, walk_memory_blocks_func_t change)
{
	int ret;

	lock_device_hotplug();
	ret = walk_memory_blocks(PFN_PHYS(start), memory_block_size_bytes(), NULL,
				 change);
	unlock_device_hotplug();

	return ret;
}

/* A part of a node that can go, after it has gone and come once: all of it is free. */
static unsigned long free_part(struct kunit *test, int nid)
{
	unsigned long pfn, size = PHYS_PFN(memory_block_size_bytes());
	pg_data_t *pgdat = NODE_DATA(nid);

	for (pfn = ALIGN_DOWN(pgdat_end_pfn(pgdat) - 1, size);
	     pfn >= pgdat->node_start_pfn; pfn -= size) {
		struct page *page = pfn_to_online_page(pfn);

		if (!page || page_to_nid(page) != nid)
			continue;
		if (!change_block(pfn, offline_block)) {
			KUNIT_ASSERT_EQ(test, change_block(pfn, online_block), 0);
			return pfn;
		}
	}
	kunit_skip(test, "needs memory that can go offline");

	return 0;
}

static bool within(struct page *page, unsigned long start)
{
	return page_to_pfn(page) - start < PHYS_PFN(memory_block_size_bytes());
}

static void memory_goes_and_comes(struct kunit *test)
{
	unsigned long start = free_part(test, there), before, pfn;
	struct page *page, *found = NULL;
	int err = -EBUSY;
	unsigned int try;
	LIST_HEAD(held);

	/* Until one is there. */
	while (!found) {
		page = alloc_from(there, GFP_KERNEL | __GFP_THISNODE, pageblock_order);
		if (!page)
			break;
		if (within(page, start))
			found = page;
		else
			list_add(&page->lru, &held);
	}
	KUNIT_EXPECT_NOT_NULL(test, found);
	if (!found) {
		free_list(&held, pageblock_order);
		return;
	}
	free_list(&held, pageblock_order);

	/* At once, and not when a signal comes. */
	before = jiffies;
	KUNIT_EXPECT_EQ(test, change_block(start, offline_block), -EBUSY);
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, before + 30 * HZ));
	check_pages(test, found, pageblock_order);
	fill_all(test, found, pageblock_order);
	__free_pages(found, pageblock_order);

	/*
	 * What it was is not known any more, so look at the addresses alone. What
	 * is mapped may be given to somebody before all of it is isolated.
	 */
	for (try = 0; err && try < MAX_TRIES; try++)
		err = change_block(start, offline_block);
	KUNIT_ASSERT_EQ(test, err, 0);
	for (pfn = start; pfn < start + PHYS_PFN(memory_block_size_bytes()); pfn++)
		KUNIT_EXPECT_TRUE(test, kernel_page_present(pfn_to_page(pfn)));
	KUNIT_EXPECT_EQ(test, change_block(start, online_block), 0);
	for (pfn = start; pfn < start + PHYS_PFN(memory_block_size_bytes());
	     pfn += pageblock_nr_pages)
		KUNIT_EXPECT_FALSE(test, page_is_unmapped(pfn_to_page(pfn)));
	expect_from(test, alloc_from(there, GFP_KERNEL | __GFP_THISNODE, 0), there);
	expect_nothing_left(test);
}

/* As when memory comes. Only pages of one list may change places. */
static void lists_are_shuffled_apart(struct kunit *test)
{
#ifdef CONFIG_SHUFFLE_PAGE_ALLOCATOR
	struct zone *zone = NULL;
	LIST_HEAD(unmovable);
	LIST_HEAD(unmapped);
	unsigned long nr;
	unsigned int i;

	if (pageblock_order == MAX_PAGE_ORDER)
		kunit_skip(test, "needs blocks that are merged");
	for (i = 0; i < SHUFFLED; i++) {
		struct page *one, *two, *other;

		one = alloc_from(there, GFP_KERNEL | __GFP_THISNODE, pageblock_order);
		two = alloc_from(there, GFP_KERNEL | __GFP_THISNODE, pageblock_order);
		other = alloc_pages_node(there, GFP_KERNEL | __GFP_THISNODE | __GFP_NOWARN,
					 MAX_PAGE_ORDER);
		if (one) {
			zone = page_zone(one);
			list_add(&one->lru, &unmapped);
		}
		if (two)
			list_add(&two->lru, &unmapped);
		if (other)
			list_add(&other->lru, &unmovable);
		KUNIT_EXPECT_TRUE(test, one && two && other);
	}
	free_list(&unmapped, pageblock_order);
	free_list(&unmovable, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, zone);
	/* Freed together, they are merged. */
	unmapped_erase_flush();
	for (i = 0; i < SHUFFLES; i++) {
		scoped_guard(spinlock_irqsave, &zone->lock)
			nr = list_count_nodes(free_area_list(&zone->free_area[MAX_PAGE_ORDER],
							     freetype_of(MIGRATE_UNMOVABLE)));
		KUNIT_EXPECT_GT(test, nr, 0);
		KUNIT_EXPECT_GT(test, zone->unmapped->nr_free[MAX_PAGE_ORDER], 0);
		__shuffle_zone(zone);
		expect_consistent(test);
	}
	expect_nothing_left(test);
#else
	kunit_skip(test, "needs CONFIG_SHUFFLE_PAGE_ALLOCATOR");
#endif
}

static struct kunit_case unmapped_nodes_cases[] = {
	KUNIT_CASE(local_memory_comes_first),
	KUNIT_CASE(atomic_requests_take_what_is_there),
	KUNIT_CASE(nodemasks_bind),
	KUNIT_CASE(policies_apply),
	KUNIT_CASE(cpusets_confine),
	KUNIT_CASE_SLOW(full_cpusets),
	KUNIT_CASE_SLOW(failures_are_of_one_node),
	KUNIT_CASE(injected_failures_are_of_one_node),
	KUNIT_CASE_SLOW(memory_goes_and_comes),
	KUNIT_CASE_SLOW(lists_are_shuffled_apart),
	{}
};

static struct kunit_suite unmapped_nodes_suite = {
	.name = "unmapped_nodes",
	.init = unmapped_nodes_init,
	.exit = unmapped_nodes_exit,
	.test_cases = unmapped_nodes_cases,
};
kunit_test_suite(unmapped_nodes_suite);

MODULE_DESCRIPTION("Tests for memory that is absent from the direct map, on several nodes");
MODULE_LICENSE("GPL");
