// SPDX-License-Identifier: GPL-2.0
/*
 * Tests for what private memory must not change: every figure of the system
 * that is made of all free pages or of all zones, and what memory hotplug does
 * with memory by kind. For each there is a case that plugs private memory in a
 * movable and in a kernel zone and looks at the figure before and after.
 *
 * The tests need memory that nothing else uses, of a node that has neither
 * other memory nor CPUs: memory= is the physical address of two memory blocks
 * of it. On a machine for tests, memmap=<size>$<address> provides them. Some
 * cases need a boot parameter more, which they name when they skip.
 */
#define pr_fmt(fmt) "private_node_totals_kunit: " fmt

#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/align.h>
#include <linux/cpuset.h>
#include <linux/damon.h>
#include <linux/device.h>
#include <linux/hugetlb.h>
#include <linux/ioport.h>
#include <linux/kexec.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/node.h>
#include <linux/notifier.h>
#include <linux/private_node.h>
#include <linux/sizes.h>
#include <linux/swap.h>
#include <linux/uaccess.h>
#include <linux/writeback.h>

#include "../damon/ops-common.h"
#include "../internal.h"
#include "../private_node.h"

#define NR_BLOCKS	2

static unsigned long long memory;
module_param(memory, ullong, 0444);
MODULE_PARM_DESC(memory, "Physical address of two unused memory blocks of a node without other memory");

/* The node under test: who claimed it, and what of it has memory */
struct fixture {
	struct private_node *pn;
	int nid;
	int ordinary;			/* some node with ordinary memory */
	struct range blocks[NR_BLOCKS];
	bool plugged[NR_BLOCKS];
};

static const struct private_node_desc desc = {
	.name = "kunit-totals",
	.adistance = 1000,
};

static u64 block_size(void)
{
	return memory_block_size_bytes();
}

static unsigned long block_pages(void)
{
	return memory_block_size_bytes() >> PAGE_SHIFT;
}

static int totals_init(struct kunit *test)
{
	struct fixture *f;
	int b;

	if (!memory)
		kunit_skip(test, "needs private_node_totals_kunit.memory=");
	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	test->priv = f;
	f->nid = phys_to_target_node(memory);
	f->ordinary = first_memory_node;
	KUNIT_ASSERT_GE_MSG(test, f->nid, 0, "%#llx belongs to no node", memory);
	for (b = 0; b < NR_BLOCKS; b++) {
		f->blocks[b].start = memory + b * block_size();
		f->blocks[b].end = f->blocks[b].start + block_size() - 1;
	}
	return 0;
}

/* ---- Memory comes and goes ---- */

static void release_action(void *arg)
{
	struct fixture *f = arg;
	int ret = f->pn ? private_node_release(f->pn) : 0;

	if (ret)
		KUNIT_FAIL(kunit_get_current_test(), "release: %d", ret);
	f->pn = NULL;
}

static void claim(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->pn = private_node_claim(f->nid, &desc);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f->pn);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, release_action, f), 0);
}

static void unplug_action(void *arg)
{
	struct fixture *f = arg;
	int b, ret;

	for (b = 0; b < NR_BLOCKS; b++) {
		if (!f->plugged[b])
			continue;
		ret = offline_and_remove_memory(f->blocks[b].start, block_size());
		if (ret)
			KUNIT_FAIL(kunit_get_current_test(), "unplug: %d", ret);
		f->plugged[b] = false;
	}
}

static void unplug_at_end(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unplug_action, test->priv), 0);
}

static void plug(struct kunit *test)
{
	struct fixture *f = test->priv;
	int b;

	KUNIT_ASSERT_EQ(test, private_node_add_memory(f->pn, f->blocks, NR_BLOCKS), 0);
	for (b = 0; b < NR_BLOCKS; b++)
		f->plugged[b] = true;
	unplug_at_end(test);
}

static int block_online(struct memory_block *mem, void *arg)
{
	int ret;

	mem->online_type = *(enum mmop *)arg;
	ret = device_online(&mem->dev);
	return ret < 0 ? ret : 0;
}

static int block_offline(struct memory_block *mem, void *arg)
{
	int ret = device_offline(&mem->dev);

	return ret < 0 ? ret : 0;
}

static int online_block(struct fixture *f, int b, enum mmop type)
{
	int ret;

	lock_device_hotplug();
	ret = walk_memory_blocks(f->blocks[b].start, block_size(), NULL, block_offline);
	if (!ret)
		ret = walk_memory_blocks(f->blocks[b].start, block_size(), &type,
					 block_online);
	unlock_device_hotplug();
	return ret;
}

/* The first block in ZONE_MOVABLE, the second one in a kernel zone */
static void plug_both_zones(struct kunit *test)
{
	struct fixture *f = test->priv;

	claim(test);
	plug(test);
	KUNIT_ASSERT_EQ(test, online_block(f, 1, MMOP_ONLINE_KERNEL), 0);
	KUNIT_ASSERT_TRUE(test, populated_zone(&NODE_DATA(f->nid)->node_zones[ZONE_MOVABLE]));
	KUNIT_ASSERT_TRUE(test, populated_zone(&NODE_DATA(f->nid)->node_zones[ZONE_NORMAL]));
}

/* This test is the owner, so that what is found stays. */
static struct private_node *find(int nid)
{
	guard(mutex)(&private_nodes_lock);
	return private_node_find(nid);
}

/*
 * As ACPI or a write to "probe" add memory. A node that has an owner takes it
 * from nobody else, so this poses as the owner.
 */
static int add_block(struct fixture *f, int b, int id, mhp_t flags)
{
	struct private_node *pn;
	int ret;

	lock_device_hotplug();
	pn = find(f->nid);
	if (pn)
		pn->owner_adds = true;
	ret = __add_memory(id, f->blocks[b].start, block_size(), flags);
	if (pn)
		pn->owner_adds = false;
	if (!ret)
		f->plugged[b] = true;
	unlock_device_hotplug();
	return ret;
}

/* ---- Figures that are sums over all nodes ---- */

/*
 * A figure and how much it moves by itself, in pages of private memory: the
 * slack has to be much less than what the figure would change by.
 */
static void unchanged(struct kunit *test, unsigned long (*figure)(void),
		      unsigned long slack)
{
	unsigned long before, with, after;

	before = figure();
	plug_both_zones(test);
	with = figure();
	KUNIT_EXPECT_LE(test, with, before + slack);
	KUNIT_EXPECT_GE(test, with + slack, before);
	unplug_action(test->priv);
	after = figure();
	KUNIT_EXPECT_LE(test, after, before + slack);
	KUNIT_EXPECT_GE(test, after + slack, before);
}

/* What is free moves all the time, not by half of a block. */
static unsigned long free_slack(void)
{
	return block_pages() / 2;
}

static unsigned long read_freeram(void)
{
	struct sysinfo info;

	si_meminfo(&info);
	return info.freeram;
}

static unsigned long read_totalram(void)
{
	struct sysinfo info;

	si_meminfo(&info);
	return info.totalram;
}

static unsigned long read_available(void)
{
	return si_mem_available();
}

static unsigned long read_dirty(void)
{
	unsigned long background, dirty;

	global_dirty_limits(&background, &dirty);
	return dirty;
}

static unsigned long read_background(void)
{
	unsigned long background, dirty;

	global_dirty_limits(&background, &dirty);
	return background;
}

static unsigned long read_totalreserve(void)
{
	return totalreserve_pages;
}

static unsigned long read_buffer_pages(void)
{
	return nr_free_buffer_pages();
}

static void free_memory(struct kunit *test)
{
	unchanged(test, read_freeram, free_slack());
}

static void total_memory(struct kunit *test)
{
	unchanged(test, read_totalram, 0);
}

static void available_memory(struct kunit *test)
{
	unchanged(test, read_available, free_slack());
}

/* 20% and 10% of what can be dirty */
static void dirty_limit(struct kunit *test)
{
	unchanged(test, read_dirty, free_slack() / 5);
}

static void background_limit(struct kunit *test)
{
	unchanged(test, read_background, free_slack() / 10);
}

static void reserves(struct kunit *test)
{
	unchanged(test, read_totalreserve, 0);
}

static void buffer_pages(struct kunit *test)
{
	unchanged(test, read_buffer_pages, 0);
}

static void strict_overcommit(struct kunit *test)
{
	unchanged(test, vm_commit_limit, 0);
}

/* The largest mapping of heuristic overcommit: no mapping gets private memory. */
static void heuristic_overcommit(struct kunit *test)
{
	unsigned long largest;

	if (sysctl_overcommit_memory != OVERCOMMIT_GUESS)
		kunit_skip(test, "needs vm.overcommit_memory=0");
	largest = totalram_pages() + total_swap_pages;
	KUNIT_EXPECT_EQ(test, __vm_enough_memory(NULL, largest + 1, 0), -ENOMEM);
	plug_both_zones(test);
	KUNIT_EXPECT_EQ(test, __vm_enough_memory(NULL, largest + 1, 0), -ENOMEM);
	KUNIT_EXPECT_EQ(test, __vm_enough_memory(NULL, largest, 0), 0);
	/* What is granted is counted, what is refused is not. */
	vm_unacct_memory(largest);
}

#ifdef CONFIG_DAMON
static unsigned long read_damon_free_rate(void)
{
	unsigned long rate = 0;

	damos_get_wmark_metric_value(DAMOS_WMARK_FREE_MEM_RATE, &rate);
	return rate;
}

/* In thousandths of all memory */
static void damon_watermark(struct kunit *test)
{
	KUNIT_EXPECT_GT(test, read_damon_free_rate(), 0);
	unchanged(test, read_damon_free_rate,
		  free_slack() * 1000 / totalram_pages());
}
#endif

/* ---- Figures that are made again when memory comes ---- */

static unsigned long saved_user_reserve, saved_admin_reserve;

static void restore_reserves(void *unused)
{
	sysctl_user_reserve_kbytes = saved_user_reserve;
	sysctl_admin_reserve_kbytes = saved_admin_reserve;
}

static void save_reserves(struct kunit *test)
{
	saved_user_reserve = sysctl_user_reserve_kbytes;
	saved_admin_reserve = sysctl_admin_reserve_kbytes;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, restore_reserves, NULL), 0);
}

/* What an administrator wrote stays. */
static void reserves_of_the_administrator(struct kunit *test)
{
	save_reserves(test);
	sysctl_user_reserve_kbytes = 4321;
	sysctl_admin_reserve_kbytes = 1234;
	plug_both_zones(test);
	KUNIT_EXPECT_EQ(test, sysctl_user_reserve_kbytes, 4321);
	KUNIT_EXPECT_EQ(test, sysctl_admin_reserve_kbytes, 1234);

	/* Nor is it more than there is when private memory goes. */
	sysctl_user_reserve_kbytes = ULONG_MAX;
	sysctl_admin_reserve_kbytes = ULONG_MAX;
	unplug_action(test->priv);
	KUNIT_EXPECT_EQ(test, sysctl_user_reserve_kbytes, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, sysctl_admin_reserve_kbytes, ULONG_MAX);
}

static void hog_action(void *list)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, (struct list_head *)list, lru) {
		list_del(&page->lru);
		__free_pages(page, MAX_PAGE_ORDER);
	}
}

/* Leave others @size bytes of ordinary memory, until the end of the test. */
static void hog_but(struct kunit *test, unsigned long size)
{
	const gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN;
	struct list_head *list = kunit_kzalloc(test, sizeof(*list), GFP_KERNEL);
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, list);
	INIT_LIST_HEAD(list);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, hog_action, list), 0);
	if (totalram_pages() > SZ_4G >> PAGE_SHIFT)
		kunit_skip(test, "needs at most 4 GiB of memory");
	while (read_freeram() > size >> PAGE_SHIFT) {
		page = alloc_pages(gfp, MAX_PAGE_ORDER);
		if (!page)
			break;
		list_add(&page->lru, list);
	}
	KUNIT_ASSERT_LE(test, read_freeram(), (size + SZ_64M) >> PAGE_SHIFT);
}

/* When ordinary memory comes they are made of what ordinary memory is free. */
static void reserves_of_the_system(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long expected;
	struct memory_notify mn = { .nr_pages = block_pages() };

	save_reserves(test);
	plug_both_zones(test);
	KUNIT_ASSERT_EQ(test, read_totalram(), totalram_pages());
	/* A whole block, as those who listen expect it. */
	mn.start_pfn = ALIGN(NODE_DATA(f->ordinary)->node_start_pfn, block_pages());
	while (!pfn_to_online_page(mn.start_pfn))
		mn.start_pfn += block_pages();
	/* With more, the administrator's is at its maximum in any case. */
	hog_but(test, SZ_128M + SZ_32M);
	sysctl_user_reserve_kbytes = 1;
	sysctl_admin_reserve_kbytes = 1;
	KUNIT_EXPECT_EQ(test, notifier_to_errno(memory_notify(MEM_ONLINE, &mn)), 0);
	expected = K(read_freeram()) / 32;
	KUNIT_EXPECT_LE(test, sysctl_user_reserve_kbytes, expected + K(free_slack()) / 32);
	KUNIT_EXPECT_GE(test, sysctl_user_reserve_kbytes + K(free_slack()) / 32, expected);
	KUNIT_EXPECT_LE(test, sysctl_admin_reserve_kbytes, expected + K(free_slack()) / 32);
	KUNIT_EXPECT_GE(test, sysctl_admin_reserve_kbytes + K(free_slack()) / 32, expected);
}

/* When ordinary memory goes, a reserve is no more than what is free of it. */
static void reserves_when_memory_goes(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum mmop type = MMOP_ONLINE_MOVABLE;
	unsigned long reserve;

	save_reserves(test);
	claim(test);
	KUNIT_ASSERT_EQ(test, private_node_add_memory(f->pn, f->blocks, 1), 0);
	f->plugged[0] = true;
	unplug_at_end(test);
	KUNIT_ASSERT_EQ(test, add_block(f, 1, f->ordinary, 0), 0);
	lock_device_hotplug();
	KUNIT_EXPECT_EQ(test, walk_memory_blocks(f->blocks[1].start, block_size(),
						 &type, block_online), 0);
	unlock_device_hotplug();

	/* More than is left without the block, less than with what is private. */
	reserve = K(read_freeram() - block_pages() / 2);
	sysctl_user_reserve_kbytes = reserve;
	sysctl_admin_reserve_kbytes = reserve;
	KUNIT_ASSERT_EQ(test, offline_and_remove_memory(f->blocks[1].start, block_size()), 0);
	f->plugged[1] = false;
	KUNIT_EXPECT_LE(test, sysctl_user_reserve_kbytes, SZ_128K);
	KUNIT_EXPECT_LE(test, sysctl_admin_reserve_kbytes, SZ_8K);
}

struct marks {
	unsigned long marks[MAX_NUMNODES][MAX_NR_ZONES][NR_WMARK];
	long lowmem_reserve[MAX_NUMNODES][MAX_NR_ZONES][MAX_NR_ZONES];
	int min_free;
};

static struct marks *read_marks(struct kunit *test)
{
	struct marks *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	int nid, i, j;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->min_free = min_free_kbytes;
	for_each_node_state(nid, N_MEMORY) {
		for (i = 0; i < MAX_NR_ZONES; i++) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[i];

			for (j = 0; j < NR_WMARK; j++)
				m->marks[nid][i][j] = zone->_watermark[j];
			for (j = 0; j < MAX_NR_ZONES; j++)
				m->lowmem_reserve[nid][i][j] = zone->lowmem_reserve[j];
		}
	}
	return m;
}

static void watermarks(struct kunit *test)
{
	struct marks *before, *with;

	before = read_marks(test);
	plug_both_zones(test);
	with = read_marks(test);
	KUNIT_EXPECT_MEMEQ(test, with->marks, before->marks, sizeof(with->marks));
}

static void lowmem_reserves(struct kunit *test)
{
	struct marks *before, *with;

	before = read_marks(test);
	plug_both_zones(test);
	with = read_marks(test);
	KUNIT_EXPECT_MEMEQ(test, with->lowmem_reserve, before->lowmem_reserve,
			   sizeof(with->lowmem_reserve));
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static int saved_min_free;

static void restore_min_free(void *unused)
{
	min_free_kbytes = saved_min_free;
	setup_per_zone_wmarks();
}

/* khugepaged asks for some pageblocks for each zone; 5% of memory at most. */
static void min_free_of_khugepaged(struct kunit *test)
{
	int before;

	saved_min_free = min_free_kbytes;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, restore_min_free, NULL), 0);
	min_free_kbytes = 1024;
	set_recommended_min_free_kbytes();
	before = min_free_kbytes;
	plug_both_zones(test);
	min_free_kbytes = 1024;
	set_recommended_min_free_kbytes();
	KUNIT_EXPECT_EQ(test, min_free_kbytes, before);
}
#endif

/* ---- Auto-movable: how much memory may come to ZONE_MOVABLE ---- */

static bool is_movable_for(int nid, unsigned long pages)
{
	/* The zones of this node do not matter, only how many pages come. */
	struct zone *zone = zone_for_pfn_range(MMOP_ONLINE, nid, NULL, 0, pages);

	return zone_idx(zone) == ZONE_MOVABLE;
}

static unsigned long movable_limit(void)
{
	unsigned long low = 0, high = 64 * totalram_pages();

	while (low < high) {
		unsigned long middle = low + (high - low + 1) / 2;

		if (is_movable_for(first_memory_node, middle))
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static void require_auto_movable(struct kunit *test)
{
	if (!movable_limit())
		kunit_skip(test, "needs memory_hotplug.online_policy=auto-movable");
}

/* With auto_movable_numa_aware=0: else the limit is that of the node. */
static void auto_movable_zones(struct kunit *test)
{
	require_auto_movable(test);
	unchanged(test, movable_limit, 0);
}

/* As virtio-mem adds memory, to a node that is reserved */
static void auto_movable_groups(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long before;
	int mgid;

	require_auto_movable(test);
	before = movable_limit();
	claim(test);
	mgid = memory_group_register_dynamic(f->nid, block_pages());
	KUNIT_ASSERT_GE(test, mgid, 0);
	KUNIT_EXPECT_EQ(test, add_block(f, 0, mgid, MHP_NID_IS_MGID), 0);
	if (f->plugged[0]) {
		KUNIT_EXPECT_EQ(test, online_block(f, 0, MMOP_ONLINE_MOVABLE), 0);
		KUNIT_EXPECT_TRUE(test, node_state(f->nid, N_MEMORY_PRIVATE));
		KUNIT_EXPECT_EQ(test, movable_limit(), before);
		unplug_action(f);
	}
	KUNIT_EXPECT_EQ(test, memory_group_unregister(mgid), 0);
}

/* ---- What is on a private node and looks like ordinary pages ---- */

struct node_item {
	struct pglist_data *pgdat;
	enum node_stat_item item;
	long pages;
};

static void uncount_action(void *arg)
{
	struct node_item *i = arg;

	mod_node_page_state(i->pgdat, i->item, -i->pages);
}

/* Pages that are only counted */
static void count(struct kunit *test, int nid, enum node_stat_item item, long pages)
{
	struct node_item *i = kunit_kzalloc(test, sizeof(*i), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, i);
	i->pgdat = NODE_DATA(nid);
	i->item = item;
	i->pages = pages;
	mod_node_page_state(i->pgdat, i->item, i->pages);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, uncount_action, i), 0);
}

static void file_pages_are_not_available(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long available, dirty;

	plug_both_zones(test);
	available = read_available();
	dirty = read_dirty();
	count(test, f->nid, NR_INACTIVE_FILE, 8 * block_pages());
	count(test, f->nid, NR_ACTIVE_FILE, 8 * block_pages());
	KUNIT_EXPECT_LT(test, read_available(), available + block_pages());
	KUNIT_EXPECT_LT(test, read_dirty(), dirty + block_pages() / 5);
}

static void undo_low_wmark(void *zone)
{
	((struct zone *)zone)->_watermark[WMARK_LOW] -= 4 * block_pages();
}

/* MemAvailable leaves page cache up to the low watermarks of who reclaims it. */
static void watermarks_are_not_missed(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct zone *zone = &NODE_DATA(f->nid)->node_zones[ZONE_MOVABLE];
	unsigned long available;

	plug_both_zones(test);
	/* So much that the watermarks are less than half of it. */
	count(test, f->ordinary, NR_INACTIVE_FILE, 64 * block_pages());
	available = read_available();
	zone->_watermark[WMARK_LOW] += 4 * block_pages();
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, undo_low_wmark, zone), 0);
	KUNIT_EXPECT_GT(test, read_available() + block_pages(), available);
}

/* Page cache is not to be dirty there, however much is free. */
static void nothing_is_dirtyable(struct kunit *test)
{
	struct fixture *f = test->priv;

	plug_both_zones(test);
	KUNIT_EXPECT_TRUE(test, node_dirty_ok(NODE_DATA(f->nid)));
	/* More than a CPU counts for itself before others see it */
	count(test, f->nid, NR_FILE_DIRTY, block_pages() / 64);
	KUNIT_EXPECT_FALSE(test, node_dirty_ok(NODE_DATA(f->nid)));
}

static void a_node_without_memory_for_others(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct sysinfo info;

	plug_both_zones(test);
	si_meminfo_node(&info, f->nid);
	KUNIT_EXPECT_EQ(test, info.totalram, 0);
	KUNIT_EXPECT_EQ(test, info.freeram, 0);
	si_meminfo_node(&info, f->ordinary);
	KUNIT_EXPECT_GT(test, info.totalram, 0);
	KUNIT_EXPECT_GT(test, info.freeram, 0);
}

/* A device of the node that has its memory for itself */
static void pages_of_devices_are_not_private(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct dev_pagemap *pgmap;
	struct page *page;
	void *addr;

	if (!IS_ENABLED(CONFIG_ZONE_DEVICE))
		kunit_skip(test, "needs CONFIG_ZONE_DEVICE");
	pgmap = kunit_kzalloc(test, sizeof(*pgmap), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pgmap);
	claim(test);
	pgmap->type = MEMORY_DEVICE_GENERIC;
	pgmap->range = f->blocks[0];
	pgmap->nr_range = 1;
	addr = memremap_pages(pgmap, f->nid);
	KUNIT_ASSERT_FALSE(test, IS_ERR(addr));
	page = phys_to_page(memory);
	KUNIT_EXPECT_EQ(test, page_to_nid(page), f->nid);
	KUNIT_EXPECT_FALSE(test, folio_is_private_node(page_folio(page)));
	memunmap_pages(pgmap);

	plug(test);
	KUNIT_EXPECT_TRUE(test, folio_is_private_node(page_folio(phys_to_page(memory))));
}

/* ---- Memory hotplug ---- */

/* Memory blocks come one after the other; the node has memory once. */
static struct {
	int nid;
	int count[NODE_REMOVED_LAST_MEMORY + 1];
} seen;

static int count_node_actions(struct notifier_block *nb, unsigned long action, void *arg)
{
	struct node_notify *nn = arg;

	if (nn->nid == seen.nid && action < ARRAY_SIZE(seen.count))
		seen.count[action]++;
	return NOTIFY_OK;
}

static struct notifier_block count_node_nb = { .notifier_call = count_node_actions };

static void stop_counting(void *unused)
{
	unregister_node_notifier(&count_node_nb);
}

static void memory_comes_once(struct kunit *test)
{
	struct fixture *f = test->priv;

	seen.nid = f->nid;
	memset(seen.count, 0, sizeof(seen.count));
	KUNIT_ASSERT_EQ(test, register_node_notifier(&count_node_nb), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, stop_counting, NULL), 0);
	claim(test);
	plug(test);
	KUNIT_EXPECT_EQ(test, seen.count[NODE_ADDING_FIRST_MEMORY], 1);
	KUNIT_EXPECT_EQ(test, seen.count[NODE_ADDED_FIRST_MEMORY], 1);
	unplug_action(f);
	KUNIT_EXPECT_EQ(test, seen.count[NODE_REMOVING_LAST_MEMORY], 1);
	KUNIT_EXPECT_EQ(test, seen.count[NODE_REMOVED_LAST_MEMORY], 1);
}

/*
 * As if boot had reserved the node and had no memory for its object: when it is
 * released, nobody knows any more which window it is for. No window is the pool.
 */
static void an_unknown_window_is_no_pool(struct kunit *test)
{
	struct fixture *f = test->priv;

	claim(test);
	KUNIT_EXPECT_NE(test, find(f->nid)->window.end, 0);
}

static void the_memmap_is_elsewhere(struct kunit *test)
{
	struct fixture *f = test->priv;

	if (!mhp_supports_memmap_on_memory())
		kunit_skip(test, "needs memory_hotplug.memmap_on_memory=1");

	/* What the flag does to an ordinary node: it has less memory. */
	KUNIT_ASSERT_EQ(test, add_block(f, 0, f->nid, MHP_MEMMAP_ON_MEMORY), 0);
	unplug_at_end(test);
	KUNIT_ASSERT_EQ(test, online_block(f, 0, MMOP_ONLINE_MOVABLE), 0);
	KUNIT_EXPECT_LT(test, zone_managed_pages(&NODE_DATA(f->nid)->node_zones[ZONE_MOVABLE]),
			block_pages());
	unplug_action(f);

	claim(test);
	KUNIT_ASSERT_EQ(test, add_block(f, 0, f->nid, MHP_MEMMAP_ON_MEMORY), 0);
	unplug_at_end(test);
	KUNIT_ASSERT_EQ(test, online_block(f, 0, MMOP_ONLINE_MOVABLE), 0);
	KUNIT_EXPECT_EQ(test, zone_managed_pages(&NODE_DATA(f->nid)->node_zones[ZONE_MOVABLE]),
			block_pages());
}

#ifdef CONFIG_KEXEC_FILE
/* Can a segment of kexec_file_load() lie in the first block? */
static int kexec_finds_room(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct kexec_buf kbuf = {
		.memsz = PAGE_SIZE,
		.buf_align = PAGE_SIZE,
		.buf_min = f->blocks[0].start,
		.buf_max = f->blocks[0].end,
		.mem = KEXEC_BUF_MEM_UNKNOWN,
		.image = kunit_kzalloc(test, sizeof(*kbuf.image), GFP_KERNEL),
	};

	KUNIT_ASSERT_NOT_NULL(test, kbuf.image);
	kbuf.image->no_cma = true;
	return kexec_locate_mem_hole(&kbuf);
}

/* Whoever added it */
static void kexec_leaves_it_alone(struct kunit *test)
{
	struct fixture *f = test->priv;

	KUNIT_EXPECT_EQ(test, kexec_finds_room(test), -EADDRNOTAVAIL);
	KUNIT_ASSERT_EQ(test, add_block(f, 0, f->nid, MHP_NONE), 0);
	unplug_at_end(test);
	KUNIT_EXPECT_EQ(test, kexec_finds_room(test), 0);
	unplug_action(f);

	claim(test);
	KUNIT_ASSERT_EQ(test, add_block(f, 0, f->nid, MHP_NONE), 0);
	unplug_at_end(test);
	KUNIT_EXPECT_EQ(test, kexec_finds_room(test), -EADDRNOTAVAIL);
	unplug_action(f);
	plug(test);
	KUNIT_EXPECT_EQ(test, kexec_finds_room(test), -EADDRNOTAVAIL);
}
#endif

#ifdef CONFIG_X86_64
static bool is_mapped(const void *addr)
{
	char byte;

	return !copy_from_kernel_nofault(&byte, addr, 1);
}

/* To add what is there in part fails, and takes nothing away from its owner. */
static void a_failed_addition_unmaps_its_own(struct kunit *test)
{
	struct mhp_params params = { .pgprot = pgprot_mhp(PAGE_KERNEL) };
	struct fixture *f = test->priv;
	int b, ret;

	for (b = 0; b < NR_BLOCKS; b++) {
		KUNIT_ASSERT_EQ(test, add_block(f, b, f->nid, MHP_NONE), 0);
		unplug_at_end(test);
		mem_hotplug_begin();
		ret = arch_add_memory(f->nid, memory, NR_BLOCKS * block_size(), &params);
		mem_hotplug_done();
		KUNIT_EXPECT_EQ(test, ret, -EEXIST);
		KUNIT_EXPECT_TRUE(test, is_mapped(__va(f->blocks[b].start)));
		KUNIT_EXPECT_TRUE(test, is_mapped(__va(f->blocks[b].end)));
		KUNIT_EXPECT_FALSE(test, is_mapped(__va(f->blocks[!b].start)));
		KUNIT_EXPECT_FALSE(test, is_mapped(__va(f->blocks[!b].end)));
		KUNIT_EXPECT_FALSE(test,
				   pfn_in_present_section(PHYS_PFN(f->blocks[!b].start)));
		unplug_action(f);
		KUNIT_EXPECT_FALSE(test, is_mapped(__va(f->blocks[b].start)));
	}
}
#endif

#if defined(CONFIG_MEMORY_FAILURE) && defined(CONFIG_MIGRATION)
/* The page of the mapping, without a reference */
static struct page *page_at(struct kunit *test, unsigned long addr)
{
	struct page *page = NULL;

	KUNIT_EXPECT_EQ(test, get_user_pages_fast(addr, 1, FOLL_WRITE, &page), 1);
	if (page)
		put_page(page);
	return page;
}

static int move_page(struct kunit *test, unsigned long addr, int nid)
{
	struct migration_target_control mtc = {
		.nid = nid,
		.gfp_mask = GFP_KERNEL | __GFP_HIGHMEM | __GFP_MOVABLE | __GFP_THISNODE |
			    __GFP_PRIVATE,
		.reason = MR_SYSCALL,
	};
	struct page *page = NULL;
	bool isolated;
	LIST_HEAD(list);

	lru_add_drain_all();
	KUNIT_ASSERT_EQ(test, get_user_pages_fast(addr, 1, FOLL_WRITE, &page), 1);
	isolated = isolate_folio_to_list(page_folio(page), &list);
	put_page(page);
	KUNIT_ASSERT_TRUE(test, isolated);
	return migrate_pages(&list, alloc_migration_target, NULL, (unsigned long)&mtc,
			     MIGRATE_SYNC, MR_SYSCALL, NULL);
}

/* As if the first cpuset had been made, or the last one was gone. */
#ifdef CONFIG_CPUSETS
static void cpusets_switch(bool on)
{
	if (on)
		static_branch_inc(&cpusets_enabled_key);
	else
		static_branch_dec(&cpusets_enabled_key);
}
#else
static void cpusets_switch(bool on) {}
#endif

/*
 * A page that has to be replaced is replaced by one of the same node, also if the
 * task that asks for it was not granted the node: it is no user of it.
 */
static void soft_offline_stays_on_the_node(struct kunit *test)
{
	nodemask_t mems = cpuset_current_mems_allowed;
	struct fixture *f = test->priv;
	unsigned long addr, pfn;
	struct page *page;
	int value = 0;

	plug_both_zones(test);
	addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_EQ(test, put_user(42, (int __user *)addr), 0);
	KUNIT_ASSERT_EQ(test, move_page(test, addr, f->nid), 0);
	page = page_at(test, addr);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, page_to_nid(page), f->nid);

	cpusets_switch(true);
	set_mems_allowed(node_states[N_MEMORY]);
	pfn = page_to_pfn(page);
	KUNIT_EXPECT_EQ(test, soft_offline_page(pfn, 0), 0);
	set_mems_allowed(mems);
	cpusets_switch(false);
	page = page_at(test, addr);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_NE(test, page_to_pfn(page), pfn);
	KUNIT_EXPECT_EQ(test, page_to_nid(page), f->nid);
	KUNIT_EXPECT_EQ(test, get_user(value, (int __user *)addr), 0);
	KUNIT_EXPECT_EQ(test, value, 42);
	KUNIT_EXPECT_EQ(test, unpoison_memory(pfn), 0);
	KUNIT_EXPECT_EQ(test, vm_munmap(addr, PAGE_SIZE), 0);
}
#endif

static struct kunit_case private_node_totals_cases[] = {
	KUNIT_CASE(total_memory),
	KUNIT_CASE(free_memory),
	KUNIT_CASE(available_memory),
	KUNIT_CASE(dirty_limit),
	KUNIT_CASE(background_limit),
	KUNIT_CASE(reserves),
	KUNIT_CASE(buffer_pages),
	KUNIT_CASE(strict_overcommit),
	KUNIT_CASE(heuristic_overcommit),
#ifdef CONFIG_DAMON
	KUNIT_CASE(damon_watermark),
#endif
	KUNIT_CASE(reserves_of_the_administrator),
	KUNIT_CASE(reserves_of_the_system),
	KUNIT_CASE(reserves_when_memory_goes),
	KUNIT_CASE(watermarks),
	KUNIT_CASE(lowmem_reserves),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(min_free_of_khugepaged),
#endif
	KUNIT_CASE(auto_movable_zones),
	KUNIT_CASE(auto_movable_groups),
	KUNIT_CASE(file_pages_are_not_available),
	KUNIT_CASE(watermarks_are_not_missed),
	KUNIT_CASE(nothing_is_dirtyable),
	KUNIT_CASE(a_node_without_memory_for_others),
	KUNIT_CASE(pages_of_devices_are_not_private),
	KUNIT_CASE(memory_comes_once),
	KUNIT_CASE(an_unknown_window_is_no_pool),
	KUNIT_CASE(the_memmap_is_elsewhere),
#ifdef CONFIG_KEXEC_FILE
	KUNIT_CASE(kexec_leaves_it_alone),
#endif
#ifdef CONFIG_X86_64
	KUNIT_CASE(a_failed_addition_unmaps_its_own),
#endif
#if defined(CONFIG_MEMORY_FAILURE) && defined(CONFIG_MIGRATION)
	KUNIT_CASE(soft_offline_stays_on_the_node),
#endif
	{}
};

static struct kunit_suite private_node_totals_suite = {
	.name = "private_node_totals",
	.init = totals_init,
	.test_cases = private_node_totals_cases,
};

kunit_test_suite(private_node_totals_suite);

MODULE_DESCRIPTION("KUnit tests for what private memory must not change");
MODULE_LICENSE("GPL");
