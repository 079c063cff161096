// SPDX-License-Identifier: GPL-2.0
/*
 * Tests for private NUMA nodes: the registry, who gets their memory, how it
 * comes and goes, and what it must not change for others.
 *
 * The tests claim nodes that have neither memory nor CPUs, and plug memory that
 * the parameter memory= names: physical addresses of two ranges of two memory
 * blocks each, that belong to two different such nodes, and that nothing else
 * uses. On a machine for tests, memmap=<size>$<address> provides them.
 *
 * One node has its first block in ZONE_MOVABLE and its second in ZONE_NORMAL,
 * so that no request can miss it because of its zone. Each case leaves the
 * machine as it was: the actions that undo its steps fail the case if they
 * fail.
 */
#define pr_fmt(fmt) "private_node_kunit: " fmt

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/cpu.h>
#include <linux/cpuset.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/hugetlb.h>
#include <linux/ioport.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mempolicy.h>
#include <linux/migrate.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/node.h>
#include <linux/notifier.h>
#include <linux/numa.h>
#include <linux/page-isolation.h>
#include <linux/pagemap.h>
#include <linux/page_reporting.h>
#include <linux/page_frag_cache.h>
#include <linux/prandom.h>
#include <linux/private_node.h>
#include <linux/pseudo_fs.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include <linux/swap.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/writeback.h>
#include <linux/xarray.h>

#include "../internal.h"
#include "../page_alloc.h"
#include "../private_node.h"
#include "../slab.h"

#define NR_OWNERS	2
#define NR_BLOCKS	2
#define GFP_TRY		(GFP_HIGHUSER_MOVABLE | __GFP_NOWARN)
#define GFP_KEY		(GFP_TRY | __GFP_PRIVATE)
#define GFP_OWNER	(GFP_KERNEL | __GFP_NOWARN | __GFP_PRIVATE)

static unsigned long long memory[NR_OWNERS];
static int nr_memory;
module_param_array(memory, ullong, &nr_memory, 0444);
MODULE_PARM_DESC(memory, "Physical addresses of two unused ranges of two memory blocks");

static unsigned long seed;
module_param(seed, ulong, 0644);
MODULE_PARM_DESC(seed, "Seed of the randomised case, 0 for any");

static unsigned int draws = 20000;
module_param(draws, uint, 0644);
MODULE_PARM_DESC(draws, "Requests of each task in the randomised case");

/* One owner with its memory */
struct owner {
	struct private_node_desc desc;
	struct private_node *pn;
	int nid;
	struct range blocks[NR_BLOCKS];
	bool plugged[NR_BLOCKS];
	/* As it was before anything was plugged */
	bool online;
	unsigned long totalram;
};

struct fixture {
	struct owner owners[NR_OWNERS];
	int ordinary;			/* some ordinary node */
};

/* ---- Nodes, memory, and how to get rid of them ---- */

static bool node_has_cpu(int nid)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		if (cpu_to_node(cpu) == nid)
			return true;
	}
	return false;
}

static bool node_has_memory(int nid)
{
	bool has;

	lock_device_hotplug();
	has = private_node_has_memory(nid);
	unlock_device_hotplug();
	return has;
}

static int private_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	int i, nid;

	KUNIT_ASSERT_NOT_NULL(test, f);
	test->priv = f;
	f->ordinary = first_memory_node;
	for (i = 0; i < NR_OWNERS; i++) {
		f->owners[i].nid = NUMA_NO_NODE;
		f->owners[i].desc = (struct private_node_desc) {
			.name = i ? "kunit-b" : "kunit-a",
			.adistance = 1000,
		};
	}

	i = 0;
	for_each_node(nid) {
		if (i < NR_OWNERS && !node_has_cpu(nid) &&
		    private_node_state(nid) == PRIVATE_NODE_FREE &&
		    !node_has_memory(nid))
			f->owners[i++].nid = nid;
	}
	if (i < NR_OWNERS)
		kunit_skip(test, "needs two possible nodes without memory and CPUs");
	return 0;
}

/* Cases that plug memory */
static void require_memory(struct kunit *test)
{
	const unsigned long block = memory_block_size_bytes();
	struct fixture *f = test->priv;
	int i, b;

	if (nr_memory < NR_OWNERS)
		kunit_skip(test, "needs private_node_kunit.memory=");
	for (i = 0; i < NR_OWNERS; i++) {
		f->owners[i].nid = phys_to_target_node(memory[i]);
		KUNIT_ASSERT_GE_MSG(test, f->owners[i].nid, 0,
				    "%#llx belongs to no node", memory[i]);
		for (b = 0; b < NR_BLOCKS; b++) {
			f->owners[i].blocks[b].start = memory[i] + b * block;
			f->owners[i].blocks[b].end = memory[i] +
						     (b + 1) * block - 1;
		}
		f->owners[i].online = node_online(f->owners[i].nid);
		f->owners[i].totalram = totalram_pages();
	}
	KUNIT_ASSERT_NE(test, f->owners[0].nid, f->owners[1].nid);
}

static void release_action(void *arg)
{
	struct owner *o = arg;
	int ret = o->pn ? private_node_release(o->pn) : 0;

	if (ret)
		KUNIT_FAIL(kunit_get_current_test(), "release: %d", ret);
	/* A case that claims twice has two of these. */
	o->pn = NULL;
}

static void claim(struct kunit *test, int i)
{
	struct fixture *f = test->priv;
	struct owner *o = &f->owners[i];

	o->pn = private_node_claim(o->nid, &o->desc);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, o->pn);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, release_action, o), 0);
}

static void release(struct kunit *test, int i)
{
	struct fixture *f = test->priv;
	struct owner *o = &f->owners[i];

	KUNIT_EXPECT_EQ(test, private_node_release(o->pn), 0);
	o->pn = NULL;
}

static void unplug_action(void *arg)
{
	struct owner *o = arg;
	int b, ret;

	for (b = 0; b < NR_BLOCKS; b++) {
		if (!o->plugged[b])
			continue;
		ret = private_node_remove_memory(o->pn, &o->blocks[b], 1);
		if (ret)
			KUNIT_FAIL(kunit_get_current_test(), "unplug: %d", ret);
		o->plugged[b] = false;
	}
}

static void plug(struct kunit *test, int i, int nr_blocks)
{
	struct fixture *f = test->priv;
	struct owner *o = &f->owners[i];
	int b;

	KUNIT_ASSERT_EQ(test, private_node_add_memory(o->pn, o->blocks, nr_blocks), 0);
	for (b = 0; b < nr_blocks; b++)
		o->plugged[b] = true;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unplug_action, o), 0);
}

static int online_as(struct memory_block *mem, void *arg)
{
	int ret = device_offline(&mem->dev);

	if (ret < 0)
		return ret;
	mem->online_type = *(enum mmop *)arg;
	return device_online(&mem->dev);
}

static void to_kernel_zone(struct kunit *test, const struct range *range)
{
	enum mmop type = MMOP_ONLINE_KERNEL;
	int ret;

	lock_device_hotplug();
	ret = walk_memory_blocks(range->start, range_len(range), &type,
				 online_as);
	unlock_device_hotplug();
	KUNIT_ASSERT_EQ(test, ret, 0);
}

/* Both owners with memory; the first has both zones, the second one block */
static void plug_all(struct kunit *test)
{
	struct fixture *f = test->priv;

	require_memory(test);
	claim(test, 0);
	claim(test, 1);
	plug(test, 0, NR_BLOCKS);
	to_kernel_zone(test, &f->owners[0].blocks[1]);
	plug(test, 1, 1);
}

static struct zone *movable_of(int nid)
{
	return &NODE_DATA(nid)->node_zones[ZONE_MOVABLE];
}

/*
 * The pages of a zone that are in the buddy allocator. The counters are not as
 * exact: what a CPU has counted is in none of them while it is on its way from
 * one to the other. Nor are pages while they go from a list of a CPU to the
 * buddy allocator, but that happens under zone->lock.
 */
static unsigned long zone_free_pages(struct zone *zone)
{
	unsigned long flags, pages = 0;
	unsigned int order;

	lru_add_drain_all();
	drain_all_pages(zone);
	spin_lock_irqsave(&zone->lock, flags);
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		pages += zone->free_area[order].nr_free << order;
	spin_unlock_irqrestore(&zone->lock, flags);
	return pages;
}

static void expect_all_free(struct kunit *test, int nid)
{
	struct zone *zone;
	int i;

	for (i = 0; i < MAX_NR_ZONES; i++) {
		zone = &NODE_DATA(nid)->node_zones[i];
		if (populated_zone(zone))
			KUNIT_EXPECT_EQ_MSG(test, zone_free_pages(zone),
					    zone_managed_pages(zone), "zone %s",
					    zone->name);
	}
}

/* ---- The registry ---- */

struct bad_desc {
	const char *what;
	struct private_node_desc desc;
};

static void refuses_bad_descriptions(struct kunit *test)
{
	static const struct bad_desc bad[] = {
		{ "no name", { .adistance = 1 } },
		{ "empty name", { .name = "", .adistance = 1 } },
		{ "parenthesis", { .name = "a)", .adistance = 1 } },
		{ "newline", { .name = "a\nb", .adistance = 1 } },
		{ "not ASCII", { .name = "\xc3\xa9", .adistance = 1 } },
		{ "long name", { .name = "0123456789abcdef0123456789abcdefX", .adistance = 1 } },
		{ "unknown feature", { .name = "a", .adistance = 1, .features = BIT(4) } },
		{ "demotion alone", { .name = "a", .adistance = 1,
				      .features = PRIVATE_NODE_DEMOTION } },
		{ "no distance", { .name = "a" } },
		{ "negative distance", { .name = "a", .adistance = -1 } },
	};
	struct fixture *f = test->priv;
	const int nid = f->owners[0].nid;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR(private_node_claim(nid, &bad[i].desc)),
				    -EINVAL, "%s", bad[i].what);
		KUNIT_EXPECT_EQ_MSG(test,
				    PTR_ERR(private_node_claim_reserved(0, &bad[i].desc)),
				    -EINVAL, "%s", bad[i].what);
	}
	KUNIT_EXPECT_FALSE(test, node_is_private(nid));
	KUNIT_EXPECT_EQ(test, private_node_state(nid), PRIVATE_NODE_FREE);
}

static void refuses_bad_nodes(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct private_node_desc *desc = &f->owners[0].desc;
	int nid;

	KUNIT_EXPECT_EQ(test, PTR_ERR(private_node_claim(NUMA_NO_NODE, desc)), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(private_node_claim(-2, desc)), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(private_node_claim(MAX_NUMNODES, desc)), -EINVAL);
	for (nid = 0; nid < MAX_NUMNODES; nid++) {
		if (!node_possible(nid))
			KUNIT_EXPECT_EQ(test, PTR_ERR(private_node_claim(nid, desc)),
					-EINVAL);
		else if (node_state(nid, N_MEMORY) || node_has_cpu(nid))
			KUNIT_EXPECT_EQ(test, PTR_ERR(private_node_claim(nid, desc)),
					-EBUSY);
	}
	for_each_node_state(nid, N_MEMORY)
		KUNIT_EXPECT_FALSE(test, node_is_private(nid));
}

static void claims_and_releases(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0], *b = &f->owners[1];

	a->desc.features = PRIVATE_NODE_USER | PRIVATE_NODE_LTPIN;
	/* There are none here. */
	a->desc.keep_reserved_features = true;
	claim(test, 0);
	KUNIT_EXPECT_TRUE(test, node_is_private(a->nid));
	KUNIT_EXPECT_FALSE(test, node_is_private(b->nid));
	KUNIT_EXPECT_FALSE(test, node_is_private(f->ordinary));
	KUNIT_EXPECT_FALSE(test, node_is_private(NUMA_NO_NODE));
	KUNIT_EXPECT_FALSE(test, node_is_private(MAX_NUMNODES));
	KUNIT_EXPECT_EQ(test, private_node_state(a->nid), PRIVATE_NODE_CLAIMED);
	KUNIT_EXPECT_EQ(test, private_node_nid(a->pn), a->nid);
	KUNIT_EXPECT_EQ(test, private_node_features(a->nid),
			PRIVATE_NODE_USER | PRIVATE_NODE_LTPIN);
	KUNIT_EXPECT_EQ(test, private_node_features(b->nid), 0);

	/* One owner at a time */
	KUNIT_EXPECT_EQ(test, PTR_ERR(private_node_claim(a->nid, &b->desc)), -EBUSY);
	claim(test, 1);

	/* Only the claim itself makes memory private. */
	KUNIT_EXPECT_FALSE(test, node_state(a->nid, N_MEMORY_PRIVATE));

	release(test, 0);
	KUNIT_EXPECT_FALSE(test, node_is_private(a->nid));
	KUNIT_EXPECT_EQ(test, private_node_state(a->nid), PRIVATE_NODE_FREE);
	KUNIT_EXPECT_EQ(test, private_node_features(a->nid), 0);
	KUNIT_EXPECT_TRUE(test, node_is_private(b->nid));

	a->desc.features = 0;
	claim(test, 0);
	KUNIT_EXPECT_EQ(test, private_node_features(a->nid), 0);
}

/* Where a request gets its page from, which goes back, or NUMA_NO_NODE */
static int nid_of_request(gfp_t gfp, int nid, nodemask_t *nodemask)
{
	struct page *page = __alloc_pages(gfp, 0, nid, nodemask, ALLOC_DEFAULT);

	if (!page)
		return NUMA_NO_NODE;
	nid = page_to_nid(page);
	__free_page(page);
	return nid;
}

/* Ways to ask with the key */
static const gfp_t keyed[] = {
	GFP_KEY, GFP_KEY | __GFP_THISNODE, GFP_OWNER, GFP_OWNER | __GFP_MEMALLOC,
	GFP_ATOMIC | __GFP_NOWARN | __GFP_PRIVATE,
};

/* That nothing has been plugged yet does not make a request ordinary. */
static void nothing_before_memory_has_come(struct kunit *test)
{
	struct fixture *f = test->priv;
	nodemask_t own, mixed;
	int i, nid;

	require_memory(test);
	nid = f->owners[0].nid;
	if (private_node_zonelist(nid, 0) != NODE_DATA(nid)->node_zonelists)
		kunit_skip(test, "needs a boot in which no private node has had memory");

	claim(test, 0);
	own = nodemask_of_node(nid);
	mixed = own;
	node_set(f->ordinary, mixed);
	for (i = 0; i < ARRAY_SIZE(keyed); i++) {
		KUNIT_EXPECT_EQ_MSG(test, nid_of_request(keyed[i], nid, NULL),
				    NUMA_NO_NODE, "case %d", i);
		KUNIT_EXPECT_EQ_MSG(test, nid_of_request(keyed[i], nid, &own),
				    NUMA_NO_NODE, "case %d", i);
		KUNIT_EXPECT_EQ_MSG(test, nid_of_request(keyed[i], f->ordinary, &own),
				    NUMA_NO_NODE, "case %d", i);
		KUNIT_EXPECT_EQ_MSG(test, nid_of_request(keyed[i], f->ordinary, &mixed),
				    f->ordinary, "case %d", i);
	}
#ifdef CONFIG_CONTIG_ALLOC
	KUNIT_EXPECT_NULL(test, alloc_contig_pages(2, GFP_OWNER, nid, NULL));
	KUNIT_EXPECT_NULL(test, alloc_contig_pages(2, GFP_OWNER, nid, &own));
#endif
}

static void changes_features_without_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];

	require_memory(test);
	claim(test, 0);
	KUNIT_EXPECT_EQ(test, private_node_set_features(a->pn, PRIVATE_NODE_RECLAIM |
							PRIVATE_NODE_DEMOTION, 5), 0);
	KUNIT_EXPECT_EQ(test, private_node_set_features(a->pn, PRIVATE_NODE_DEMOTION, 5),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, private_node_set_features(a->pn, BIT(4), 5), -EINVAL);
	KUNIT_EXPECT_EQ(test, private_node_set_features(a->pn, 0, 0), -EINVAL);
	plug(test, 0, 1);
	KUNIT_EXPECT_EQ(test, private_node_set_features(a->pn, 0, 5), -EBUSY);
	KUNIT_EXPECT_EQ(test, private_node_features(a->nid),
			PRIVATE_NODE_RECLAIM | PRIVATE_NODE_DEMOTION);
}

static void pool_is_empty(struct kunit *test)
{
	struct fixture *f = test->priv;
	int nid;

	for_each_node(nid) {
		if (private_node_state(nid) == PRIVATE_NODE_RESERVED)
			kunit_skip(test, "needs a boot without reserved nodes");
	}
	KUNIT_EXPECT_EQ(test, PTR_ERR(private_node_claim_reserved(0, &f->owners[0].desc)),
			-ENOSPC);
}

/* ---- Adding and removing memory ---- */

static void memory_comes_and_goes(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	const unsigned long pages = memory_block_size_bytes() >> PAGE_SHIFT;
	unsigned long total = private_total_pages();
	struct range mixed[2];
	struct zone *zone;
	int round;

	require_memory(test);
	claim(test, 0);
	zone = movable_of(a->nid);
	KUNIT_EXPECT_PTR_EQ(test, zone_for_pfn_range(MMOP_ONLINE, a->nid, NULL,
						     PHYS_PFN(memory[0]), pages), zone);

	for (round = 0; round < 3; round++) {
		plug(test, 0, NR_BLOCKS);
		KUNIT_EXPECT_EQ(test, private_node_state(a->nid), PRIVATE_NODE_ONLINE);
		KUNIT_EXPECT_TRUE(test, node_state(a->nid, N_MEMORY_PRIVATE));
		KUNIT_EXPECT_FALSE(test, node_state(a->nid, N_MEMORY));
		KUNIT_EXPECT_FALSE(test, node_state(a->nid, N_NORMAL_MEMORY));
		/* All of it is there for the owner: the memmap is elsewhere. */
		KUNIT_EXPECT_EQ(test, zone_managed_pages(zone), NR_BLOCKS * pages);
		KUNIT_EXPECT_EQ(test, NODE_DATA(a->nid)->node_present_pages,
				NR_BLOCKS * pages);
		KUNIT_EXPECT_EQ(test, private_total_pages(), total + NR_BLOCKS * pages);
		KUNIT_EXPECT_NULL(test, NODE_DATA(a->nid)->kswapd);
#ifdef CONFIG_COMPACTION
		KUNIT_EXPECT_NULL(test, NODE_DATA(a->nid)->kcompactd);
#endif
		KUNIT_EXPECT_EQ(test, private_node_release(a->pn), -EBUSY);
		KUNIT_EXPECT_TRUE(test, node_is_private(a->nid));

		KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, &a->blocks[0], 1), 0);
		a->plugged[0] = false;
		KUNIT_EXPECT_EQ(test, private_node_state(a->nid), PRIVATE_NODE_ONLINE);
		KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, &a->blocks[0], 1),
				-EINVAL);
		/* Of two ranges, one of which is not there any more, the other goes. */
		KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, a->blocks, 2), 0);
		a->plugged[1] = false;
		KUNIT_EXPECT_EQ(test, private_node_state(a->nid), PRIVATE_NODE_CLAIMED);
		KUNIT_EXPECT_FALSE(test, node_state(a->nid, N_MEMORY_PRIVATE));
		KUNIT_EXPECT_FALSE(test, populated_zone(zone));
		KUNIT_EXPECT_EQ(test, private_total_pages(), total);
		KUNIT_EXPECT_TRUE(test, node_is_private(a->nid));
	}

	/* That of another owner does not go. */
	claim(test, 1);
	plug(test, 0, 1);
	plug(test, 1, 1);
	mixed[0] = a->blocks[0];
	mixed[1] = f->owners[1].blocks[0];
	KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, &mixed[1], 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, mixed, 2), -EINVAL);
	KUNIT_EXPECT_EQ(test, private_node_state(a->nid), PRIVATE_NODE_ONLINE);
	KUNIT_EXPECT_EQ(test, private_node_state(f->owners[1].nid), PRIVATE_NODE_ONLINE);
}

static void kernel_zone_is_private_too(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	struct page *page;

	require_memory(test);
	claim(test, 0);
	plug(test, 0, 1);
	to_kernel_zone(test, &a->blocks[0]);
	KUNIT_EXPECT_TRUE(test, populated_zone(&NODE_DATA(a->nid)->node_zones[ZONE_NORMAL]));
	KUNIT_EXPECT_FALSE(test, node_state(a->nid, N_MEMORY));
	KUNIT_EXPECT_FALSE(test, node_state(a->nid, N_NORMAL_MEMORY));
	KUNIT_EXPECT_TRUE(test, node_state(a->nid, N_MEMORY_PRIVATE));

	page = __alloc_pages(GFP_KERNEL | __GFP_PRIVATE, 0, a->nid, NULL, ALLOC_DEFAULT);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, page_to_nid(page), a->nid);
	__free_page(page);
}

static void refuses_bad_ranges(struct kunit *test)
{
	const unsigned long block = memory_block_size_bytes();
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	struct range bad[] = {
		{ memory[0] + PAGE_SIZE, memory[0] + block - 1 },
		{ memory[0], memory[0] + block - PAGE_SIZE - 1 },
		{ memory[0] + block, memory[0] - 1 },
		{ memory[0] + block - 1, memory[0] },
		/* Its length is none. */
		{ 0, U64_MAX },
	};
	struct range twice[2];
	int i;

	require_memory(test);
	claim(test, 0);
	KUNIT_EXPECT_EQ(test, private_node_add_memory(a->pn, a->blocks, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, a->blocks, 0), -EINVAL);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		KUNIT_EXPECT_EQ_MSG(test, private_node_add_memory(a->pn, &bad[i], 1),
				    -EINVAL, "%d", i);
		KUNIT_EXPECT_EQ_MSG(test, private_node_remove_memory(a->pn, &bad[i], 1),
				    -EINVAL, "%d", i);
	}
	/* Nothing to remove, and not ours */
	KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, a->blocks, 1), -EINVAL);
	bad[0] = (struct range){ 0, block - 1 };
	KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, bad, 1), -EINVAL);
	/* The second range is there already: the first must not stay. */
	twice[0] = a->blocks[0];
	twice[1] = a->blocks[0];
	KUNIT_EXPECT_EQ(test, private_node_add_memory(a->pn, twice, 2), -EEXIST);
	KUNIT_EXPECT_EQ(test, private_node_state(a->nid), PRIVATE_NODE_CLAIMED);
}

static void only_the_owner_adds(struct kunit *test)
{
	const unsigned long block = memory_block_size_bytes();
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0], *b = &f->owners[1];

	require_memory(test);
	claim(test, 0);
	claim(test, 1);
	KUNIT_EXPECT_EQ(test, add_memory(a->nid, memory[0], block, MHP_NONE), -EBUSY);
	KUNIT_EXPECT_EQ(test, add_memory_driver_managed(a->nid, memory[0], block,
							"System RAM (kunit)", MHP_NONE),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, private_node_state(a->nid), PRIVATE_NODE_CLAIMED);

	plug(test, 0, 1);
	KUNIT_EXPECT_EQ(test, private_node_remove_memory(b->pn, a->blocks, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, add_memory(a->nid, a->blocks[1].start, block, MHP_NONE),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, private_node_state(b->nid), PRIVATE_NODE_CLAIMED);
}

/* An ordinary node with memory cannot become private, blocks offline or not. */
static void ordinary_memory_stays_ordinary(struct kunit *test)
{
	const unsigned long block = memory_block_size_bytes();
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	enum mmop type = MMOP_ONLINE_MOVABLE;
	struct page *page;
	int ret;

	require_memory(test);
	ret = add_memory(a->nid, memory[0], block, MHP_NONE);
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(private_node_claim(a->nid, &a->desc)), -EBUSY);

	lock_device_hotplug();
	ret = walk_memory_blocks(memory[0], block, &type, online_as);
	unlock_device_hotplug();
	KUNIT_EXPECT_GE(test, ret, 0);
	KUNIT_EXPECT_TRUE(test, node_state(a->nid, N_MEMORY));
	KUNIT_EXPECT_EQ(test, PTR_ERR(private_node_claim(a->nid, &a->desc)), -EBUSY);
	page = __alloc_pages(GFP_TRY | __GFP_THISNODE, 0, a->nid, NULL, ALLOC_DEFAULT);
	KUNIT_EXPECT_NOT_NULL(test, page);
	if (page)
		__free_page(page);
	KUNIT_EXPECT_EQ(test, offline_and_remove_memory(memory[0], block), 0);

	/* And now it can, and what used to find it does not any more. */
	claim(test, 0);
	plug(test, 0, 1);
	page = __alloc_pages(GFP_TRY | __GFP_THISNODE, 0, a->nid, NULL, ALLOC_DEFAULT);
	KUNIT_EXPECT_NULL(test, page);
	page = __alloc_pages(GFP_TRY, 0, a->nid, NULL, ALLOC_DEFAULT);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_NE(test, page_to_nid(page), a->nid);
	__free_page(page);
}

static void a_stuck_page_keeps_all_as_it_is(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	struct page *page;

	require_memory(test);
	claim(test, 0);
	plug(test, 0, NR_BLOCKS);
	to_kernel_zone(test, &a->blocks[1]);

	/* In a kernel zone, and nobody can move it. In ZONE_MOVABLE one waits. */
	page = __alloc_pages(GFP_KERNEL | __GFP_PRIVATE, 0, a->nid, NULL, ALLOC_DEFAULT);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, a->blocks, NR_BLOCKS), -EBUSY);
	KUNIT_EXPECT_EQ(test, private_node_state(a->nid), PRIVATE_NODE_ONLINE);
	KUNIT_EXPECT_EQ(test, NODE_DATA(a->nid)->node_present_pages,
			NR_BLOCKS * (memory_block_size_bytes() >> PAGE_SHIFT));
	KUNIT_EXPECT_TRUE(test, populated_zone(movable_of(a->nid)));
	KUNIT_EXPECT_EQ(test, private_node_release(a->pn), -EBUSY);
	__free_page(page);
	KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, a->blocks, NR_BLOCKS), 0);
	a->plugged[0] = false;
	a->plugged[1] = false;
}

/* ---- What fails half-way ---- */

static int plug_all_blocks(struct owner *o)
{
	return private_node_add_memory(o->pn, o->blocks, NR_BLOCKS);
}

static int unplug_all_blocks(struct owner *o)
{
	return private_node_remove_memory(o->pn, o->blocks, NR_BLOCKS);
}

static int count_online(struct memory_block *mem, void *arg)
{
	int *online = arg;

	*online += mem->state == MEM_ONLINE;
	return 0;
}

static bool is_mapped(const void *addr)
{
	char byte;

	pagefault_disable();
	__get_kernel_nofault(&byte, addr, char, fault);
	pagefault_enable();
	return true;
fault:
	pagefault_enable();
	return false;
}

/* Everything that memory hotplug has for the owner's blocks is there, or nothing */
static void expect_plugged(struct kunit *test, struct owner *o, bool plugged)
{
	const unsigned long pages = plugged ? NR_BLOCKS *
				    (memory_block_size_bytes() >> PAGE_SHIFT) : 0;
	int b, online = 0;

	KUNIT_EXPECT_EQ(test, private_node_state(o->nid),
			plugged ? PRIVATE_NODE_ONLINE : PRIVATE_NODE_CLAIMED);
	KUNIT_EXPECT_EQ(test, node_state(o->nid, N_MEMORY_PRIVATE), plugged);
	KUNIT_EXPECT_EQ(test, populated_zone(movable_of(o->nid)), plugged);
	KUNIT_EXPECT_EQ(test, zone_managed_pages(movable_of(o->nid)), pages);
	KUNIT_EXPECT_EQ(test, movable_of(o->nid)->spanned_pages, pages);
	KUNIT_EXPECT_EQ(test, NODE_DATA(o->nid)->node_present_pages, pages);
	KUNIT_EXPECT_EQ(test, private_total_pages(), pages);
	KUNIT_EXPECT_EQ(test, totalram_pages(), o->totalram);

	/* The node and its folder in sysfs go with the last memory. */
	KUNIT_EXPECT_EQ(test, node_online(o->nid), plugged || o->online);
	KUNIT_EXPECT_EQ(test, !!node_devices[o->nid], plugged || o->online);

	for (b = 0; b < NR_BLOCKS; b++) {
		const struct range *range = &o->blocks[b];

		KUNIT_EXPECT_EQ(test, region_intersects(range->start, range_len(range),
							IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE),
				plugged ? REGION_INTERSECTS : REGION_DISJOINT);
		KUNIT_EXPECT_EQ(test, pfn_in_present_section(PHYS_PFN(range->start)), plugged);
		KUNIT_EXPECT_EQ(test, is_mapped(__va(range->start)), plugged);
		walk_memory_blocks(range->start, range_len(range), &online, count_online);
	}
	KUNIT_EXPECT_EQ(test, online, plugged ? NR_BLOCKS : 0);
	if (plugged)
		expect_all_free(test, o->nid);
}

/* A plug that was tried with something failing worked after all, or left nothing. */
static void expect_plug_undone(struct kunit *test, struct owner *o, int ret)
{
	expect_plugged(test, o, !ret);
	if (!ret)
		KUNIT_EXPECT_EQ(test, unplug_all_blocks(o), 0);
}

/* An unplug that was tried with something failing worked after all, or left all. */
static void expect_unplug_undone(struct kunit *test, struct owner *o, int ret)
{
	expect_plugged(test, o, ret);
	if (!ret)
		KUNIT_EXPECT_EQ(test, plug_all_blocks(o), 0);
}

/* Fails a step of memory hotplug on the node under test; 0 is an action, too */
#define NO_ACTION	(~0UL)

struct veto {
	unsigned long memory_action;
	unsigned long node_action;
	int after;			/* so many times it passes */
};

static struct {
	int nid;
	struct veto veto;
	int hits;
} vetoed;

static int veto_decide(void)
{
	if (vetoed.veto.after-- > 0)
		return NOTIFY_OK;
	vetoed.hits++;
	return notifier_from_errno(-EPROTO);
}

static int veto_memory(struct notifier_block *nb, unsigned long action, void *arg)
{
	struct memory_notify *mn = arg;

	if (action != vetoed.veto.memory_action ||
	    phys_to_target_node(PFN_PHYS(mn->start_pfn)) != vetoed.nid)
		return NOTIFY_OK;
	return veto_decide();
}

static int veto_node(struct notifier_block *nb, unsigned long action, void *arg)
{
	struct node_notify *nn = arg;

	if (action != vetoed.veto.node_action || nn->nid != vetoed.nid)
		return NOTIFY_OK;
	return veto_decide();
}

static struct notifier_block veto_memory_nb = { .notifier_call = veto_memory };
static struct notifier_block veto_node_nb = { .notifier_call = veto_node };

static void veto_end(void *unused)
{
	unregister_memory_notifier(&veto_memory_nb);
	unregister_node_notifier(&veto_node_nb);
}

static void veto_begin(struct kunit *test, int nid)
{
	vetoed.nid = nid;
	vetoed.veto = (struct veto){ NO_ACTION, NO_ACTION };
	KUNIT_ASSERT_EQ(test, register_memory_notifier(&veto_memory_nb), 0);
	KUNIT_ASSERT_EQ(test, register_node_notifier(&veto_node_nb), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, veto_end, NULL), 0);
}

/* The error of @step with @veto, which has to be reached */
static int with_veto(struct kunit *test, struct owner *o, const struct veto *veto,
		     int (*step)(struct owner *o))
{
	int ret;

	vetoed.veto = *veto;
	vetoed.hits = 0;
	ret = step(o);
	vetoed.veto = (struct veto){ NO_ACTION, NO_ACTION };
	KUNIT_EXPECT_EQ(test, vetoed.hits, 1);
	return ret;
}

static int no_zonelists(void)
{
	return -ENOMEM;
}

static void a_failed_plug_leaves_nothing(struct kunit *test)
{
	static const struct veto vetoes[] = {
		{ NO_ACTION, NODE_ADDING_FIRST_MEMORY },
		{ MEM_GOING_ONLINE, NO_ACTION },
		{ MEM_GOING_ONLINE, NO_ACTION, .after = 1 },
	};
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	int i, ret;

	require_memory(test);
	claim(test, 0);

	kunit_activate_static_stub(test, private_zonelists_alloc, no_zonelists);
	KUNIT_EXPECT_EQ(test, plug_all_blocks(a), -ENOMEM);
	kunit_deactivate_static_stub(test, private_zonelists_alloc);
	expect_plugged(test, a, false);

	veto_begin(test, a->nid);
	for (i = 0; i < ARRAY_SIZE(vetoes); i++) {
		ret = with_veto(test, a, &vetoes[i], plug_all_blocks);
		KUNIT_EXPECT_EQ_MSG(test, ret, -EPROTO, "veto %d", i);
		expect_plug_undone(test, a, ret);
	}
	plug(test, 0, NR_BLOCKS);
	expect_plugged(test, a, true);
}

static int online_movable(struct memory_block *mem, void *unused)
{
	mem->online_type = MMOP_ONLINE_MOVABLE;
	return device_online(&mem->dev);
}

static const struct range *onlined_early;

/* The second range cannot be added, and udev has brought the first online by then. */
static int no_second_range(void)
{
	int ret;

	if (!pfn_in_present_section(PHYS_PFN(onlined_early->start)))
		return 0;
	ret = walk_memory_blocks(onlined_early->start, range_len(onlined_early), NULL,
				 online_movable);
	if (ret)
		KUNIT_FAIL(kunit_get_current_test(), "online: %d", ret);
	return -ENOMEM;
}

/* When even the undo of a plug fails, what it left can be removed later. */
static void a_failed_undo_can_be_made_up_for(struct kunit *test)
{
	static const struct veto veto = { MEM_GOING_OFFLINE, NO_ACTION };
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0], *b = &f->owners[1];
	struct range mixed[2];

	require_memory(test);
	claim(test, 0);
	claim(test, 1);
	plug(test, 1, 1);
	veto_begin(test, a->nid);

	onlined_early = &a->blocks[0];
	kunit_activate_static_stub(test, private_zonelists_alloc, no_second_range);
	KUNIT_EXPECT_EQ(test, with_veto(test, a, &veto, plug_all_blocks), -ENOMEM);
	kunit_deactivate_static_stub(test, private_zonelists_alloc);
	a->plugged[0] = true;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unplug_action, a), 0);
	KUNIT_EXPECT_EQ(test, private_node_release(a->pn), -EBUSY);
	KUNIT_EXPECT_EQ(test, NODE_DATA(a->nid)->node_present_pages,
			memory_block_size_bytes() >> PAGE_SHIFT);

	/* Not together with memory of others, nor with a part of a range */
	mixed[0] = a->blocks[0];
	mixed[1] = b->blocks[0];
	KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, mixed, 2), -EINVAL);
	mixed[0].end = a->blocks[1].end;
	KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, mixed, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, private_node_state(a->nid), PRIVATE_NODE_ONLINE);

	a->plugged[0] = unplug_all_blocks(a);
	KUNIT_ASSERT_FALSE(test, a->plugged[0]);
	unplug_action(b);
	expect_plugged(test, a, false);
	plug(test, 0, NR_BLOCKS);
	expect_plugged(test, a, true);
}

static void a_failed_unplug_leaves_all(struct kunit *test)
{
	static const struct veto vetoes[] = {
		{ MEM_GOING_OFFLINE, NO_ACTION },
		{ MEM_GOING_OFFLINE, NO_ACTION, .after = 1 },
		{ NO_ACTION, NODE_REMOVING_LAST_MEMORY },
	};
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	int i, ret;

	require_memory(test);
	claim(test, 0);
	plug(test, 0, NR_BLOCKS);
	veto_begin(test, a->nid);
	for (i = 0; i < ARRAY_SIZE(vetoes); i++) {
		ret = with_veto(test, a, &vetoes[i], unplug_all_blocks);
		KUNIT_EXPECT_EQ_MSG(test, ret, -EPROTO, "veto %d", i);
		expect_unplug_undone(test, a, ret);
	}
}

#ifdef CONFIG_FAULT_INJECTION
static void require_failing_allocations(struct kunit *test)
{
	struct page *page;
	void *ptr;

	current->fail_nth = 1;
	ptr = kmalloc(64, GFP_KERNEL);
	current->fail_nth = 1;
	page = alloc_page(GFP_KERNEL);
	current->fail_nth = 0;
	kfree(ptr);
	if (page)
		__free_page(page);
	if (ptr || page)
		kunit_skip(test,
			   "needs failslab and fail_page_alloc with ignore-gfp-wait=N and min-order=0");
}

/*
 * Let the first allocation of @step fail, then the second, and so on, until it
 * has no more. Some can be done without, large pages for the memmap are.
 */
static void fail_each_allocation(struct kunit *test, struct owner *o,
				 int (*step)(struct owner *o),
				 void (*expect_undone)(struct kunit *test, struct owner *o,
						       int ret))
{
	unsigned int nth, left, failed = 0;
	int ret;

	for (nth = 1;; nth++) {
		current->fail_nth = nth;
		ret = step(o);
		left = current->fail_nth;
		current->fail_nth = 0;
		if (left)
			break;
		if (ret) {
			failed++;
			/* A resource does not tell why it failed, some notifiers do not. */
			if (ret != -EEXIST && ret != -EPERM)
				KUNIT_EXPECT_EQ_MSG(test, ret, -ENOMEM, "allocation %u", nth);
		}
		expect_undone(test, o, ret);
		if (test->status == KUNIT_FAILURE)
			KUNIT_FAIL_AND_ABORT(test, "allocation %u, error %d", nth, ret);
	}
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_GT(test, failed, 0);
	kunit_info(test, "%u of %u allocations are needed", failed, nth - 1);
}

/* All blocks are neighbours. */
static int plug_one_range(struct owner *o)
{
	const struct range range = {
		.start = o->blocks[0].start, .end = o->blocks[NR_BLOCKS - 1].end,
	};

	return private_node_add_memory(o->pn, &range, 1);
}

static void fail_each_plug(struct kunit *test, struct owner *o,
			   int (*plug)(struct owner *o))
{
	int b;

	fail_each_allocation(test, o, plug, expect_plug_undone);
	for (b = 0; b < NR_BLOCKS; b++)
		o->plugged[b] = true;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unplug_action, o), 0);
	expect_plugged(test, o, true);
}

static void any_allocation_of_a_plug_may_fail(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];

	require_memory(test);
	require_failing_allocations(test);

	current->fail_nth = 1;
	a->pn = private_node_claim(a->nid, &a->desc);
	current->fail_nth = 0;
	KUNIT_EXPECT_EQ(test, PTR_ERR(a->pn), -ENOMEM);
	KUNIT_EXPECT_FALSE(test, node_is_private(a->nid));

	claim(test, 0);
	fail_each_plug(test, a, plug_all_blocks);
}

/* Some of its sections are there when another cannot be. */
static void any_allocation_of_a_long_plug_may_fail(struct kunit *test)
{
	struct fixture *f = test->priv;

	require_memory(test);
	require_failing_allocations(test);
	claim(test, 0);
	fail_each_plug(test, &f->owners[0], plug_one_range);
}

static void any_allocation_of_an_unplug_may_fail(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	int b;

	require_memory(test);
	require_failing_allocations(test);
	claim(test, 0);
	plug(test, 0, NR_BLOCKS);
	fail_each_allocation(test, a, unplug_all_blocks, expect_unplug_undone);
	for (b = 0; b < NR_BLOCKS; b++)
		a->plugged[b] = false;
	expect_plugged(test, a, false);
}

/*
 * Shadow of KASAN for memory that goes online has its address. What is left there
 * of an area that could not be filled would be freed twice, see mm/vmalloc.c.
 */
static void a_failed_area_is_free_at_once(struct kunit *test)
{
	const unsigned long size = 8 * PAGE_SIZE;
	/* In the middle: others begin at either end. */
	const unsigned long addr =
		PAGE_ALIGN(VMALLOC_START + (VMALLOC_END - VMALLOC_START) / 2);
	unsigned int nth, left, failed = 0;
	bool stays;
	void *ptr;

	require_failing_allocations(test);
	KUNIT_ASSERT_NULL(test, find_vm_area((void *)addr));
	for (nth = 1;; nth++) {
		current->fail_nth = nth;
		ptr = __vmalloc_node_range(size, 1, addr, addr + size + PAGE_SIZE,
					   GFP_KERNEL | __GFP_NOWARN, PAGE_KERNEL, 0,
					   NUMA_NO_NODE, __builtin_return_address(0));
		stays = !ptr && find_vm_area((void *)addr);
		left = current->fail_nth;
		current->fail_nth = 0;
		KUNIT_EXPECT_FALSE_MSG(test, stays, "allocation %u", nth);
		failed += !ptr && !left;
		vfree(ptr);
		/* Nobody else can have the address then. */
		vm_unmap_aliases();
		if (left)
			break;
	}
	KUNIT_EXPECT_NOT_NULL(test, ptr);
	KUNIT_EXPECT_GT(test, failed, 0);
}
#endif

static int released_nid = NUMA_NO_NODE;

static void note_released(int nid)
{
	released_nid = nid;
}

static void owner_hears_of_the_end(struct kunit *test)
{
	static const struct private_node_ops ops = { .released = note_released };
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];

	require_memory(test);
	a->desc.ops = &ops;
	claim(test, 0);
	plug(test, 0, NR_BLOCKS);
	released_nid = NUMA_NO_NODE;
	KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, &a->blocks[0], 1), 0);
	a->plugged[0] = false;
	KUNIT_EXPECT_EQ(test, released_nid, NUMA_NO_NODE);
	KUNIT_EXPECT_EQ(test, private_node_remove_memory(a->pn, &a->blocks[1], 1), 0);
	a->plugged[1] = false;
	KUNIT_EXPECT_EQ(test, released_nid, a->nid);
}

/* ---- Zonelists ---- */

static int count_private(struct zonelist *zonelist, int *total)
{
	struct zoneref *z;
	struct zone *zone;
	int found = 0;

	*total = 0;
	for_each_zone_zonelist(zone, z, zonelist, MAX_NR_ZONES - 1) {
		++*total;
		found += node_is_private(zone_to_nid(zone));
	}
	return found;
}

static void no_ordinary_list_has_a_private_zone(struct kunit *test)
{
	int nid, list, total, i;
	struct zoneref *zoneref;

	plug_all(test);
	for_each_node(nid) {
		for (list = 0; list < MAX_ZONELISTS; list++) {
			KUNIT_EXPECT_EQ_MSG(test,
					    count_private(&NODE_DATA(nid)->node_zonelists[list],
							  &total),
					    0, "node %d list %d", nid, list);
			if (list == ZONELIST_FALLBACK)
				KUNIT_EXPECT_GT_MSG(test, total, 0, "node %d", nid);
			else if (node_is_private(nid))
				KUNIT_EXPECT_EQ_MSG(test, total, 0, "node %d", nid);

			/*
			 * Nor is there one behind the end, where a reader gets
			 * to if the list grows under it: lists shrink by one
			 * zone at a time, and the end takes its place.
			 */
			zoneref = NODE_DATA(nid)->node_zonelists[list]._zonerefs;
			for (i = total; i < MAX_ZONES_PER_ZONELIST + 1; i++)
				KUNIT_EXPECT_NULL(test, zoneref[i].zone);
		}
	}
}

/* Nearest first, and of equals the ones after @nid first, as in other lists */
static void expect_by_distance(struct kunit *test, int nid)
{
	int node, distance, last = 0;
	struct zoneref *z;
	struct zone *zone;

	for_each_zone_zonelist(zone, z, node_zonelist(nid, GFP_KEY), MAX_NR_ZONES - 1) {
		node = zone_to_nid(zone);
		distance = node == nid ? 0 : 2 * node_distance(nid, node) + (node < nid);
		KUNIT_EXPECT_GE_MSG(test, distance, last, "node %d in the list of node %d",
				    node, nid);
		last = distance;
	}
}

static void private_lists_are_complete(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0], *b = &f->owners[1];
	int nid, total, first;

	plug_all(test);
	for_each_node(nid) {
		expect_by_distance(test, nid);
		/* Two zones of the first owner and one of the second */
		KUNIT_EXPECT_EQ_MSG(test, count_private(node_zonelist(nid, GFP_KEY), &total),
				    3, "node %d", nid);
		KUNIT_EXPECT_GT(test, total, 3);
		first = zonelist_node_idx(node_zonelist(nid, GFP_KEY)->_zonerefs);
		if (node_state(nid, N_MEMORY) || node_state(nid, N_MEMORY_PRIVATE))
			KUNIT_EXPECT_EQ(test, first, nid);
	}
	KUNIT_EXPECT_EQ(test, count_private(node_zonelist(a->nid, GFP_KEY | __GFP_THISNODE),
					    &total), 2);
	KUNIT_EXPECT_EQ(test, total, 2);
	KUNIT_EXPECT_EQ(test, count_private(node_zonelist(b->nid, GFP_KEY | __GFP_THISNODE),
					    &total), 1);
	KUNIT_EXPECT_EQ(test, total, 1);
	KUNIT_EXPECT_EQ(test, count_private(node_zonelist(f->ordinary,
							  GFP_KEY | __GFP_THISNODE),
					    &total), 0);

	/* The zone that kernel allocations are said to fit in is not theirs. */
	KUNIT_EXPECT_LE(test, policy_zone, ZONE_NORMAL);
}

/* ---- Who gets what: all ways to allocate, with all they can be given ---- */

struct request {
	gfp_t gfp;
	int nid;
	nodemask_t *nodemask;
};

/* What was allocated: pages of which the nodes are checked, and how to free it */
struct grant {
	void *ptr;
	struct page *pages[4];
	int nr;
};

struct entry {
	const char *name;
	bool (*alloc)(const struct request *r, struct grant *g);
	void (*free)(struct grant *g);
	bool takes_gfp;			/* with any flags, the key among them */
	bool takes_nid;
	bool takes_nodemask;
	bool sleeps;
	bool may_fail;			/* __GFP_NOFAIL is not for this */
	/*
	 * It takes a PFN from a zone, lets go of the zone, and does not notice
	 * that the memory goes offline, on whatever kind of node.
	 */
	bool races_offline;
};

static bool one_page(struct grant *g, struct page *page)
{
	g->pages[0] = page;
	g->nr = page ? 1 : 0;
	return page;
}

static bool virt_page(struct grant *g, void *ptr)
{
	g->ptr = ptr;
	return one_page(g, ptr ? virt_to_page(ptr) : NULL);
}

static bool vmap_page(struct grant *g, void *ptr)
{
	g->ptr = ptr;
	return one_page(g, ptr ? vmalloc_to_page(ptr) : NULL);
}

static void free_one(struct grant *g) { __free_page(g->pages[0]); }
static void free_frozen(struct grant *g) { free_frozen_pages(g->pages[0], 0); }
static void free_folio(struct grant *g) { folio_put(page_folio(g->pages[0])); }
static void free_kmalloc(struct grant *g) { kfree(g->ptr); }
static void free_kv(struct grant *g) { kvfree(g->ptr); }

static void free_bulk(struct grant *g)
{
	while (g->nr)
		__free_page(g->pages[--g->nr]);
}

static bool try_alloc_pages(const struct request *r, struct grant *g)
{
	return one_page(g, alloc_pages(r->gfp, 0));
}

static bool try_alloc_pages_node(const struct request *r, struct grant *g)
{
	return one_page(g, alloc_pages_node(r->nid, r->gfp, 0));
}

static bool try__alloc_pages(const struct request *r, struct grant *g)
{
	return one_page(g, __alloc_pages(r->gfp, 0, r->nid, r->nodemask, ALLOC_DEFAULT));
}

static bool try__alloc_frozen_pages(const struct request *r, struct grant *g)
{
	return one_page(g, __alloc_frozen_pages(r->gfp, 0, r->nid, r->nodemask, ALLOC_DEFAULT));
}

static bool try_alloc_frozen_pages(const struct request *r, struct grant *g)
{
	return one_page(g, alloc_frozen_pages(r->gfp, 0));
}

static bool try_folio_alloc(const struct request *r, struct grant *g)
{
	return one_page(g, (struct page *)folio_alloc(r->gfp, 0));
}

static bool try_folio_alloc_mpol(const struct request *r, struct grant *g)
{
	return one_page(g, (struct page *)folio_alloc_mpol(r->gfp, 0, get_task_policy(current), 0,
							   r->nid));
}

static bool try__folio_alloc(const struct request *r, struct grant *g)
{
	return one_page(g, (struct page *)__folio_alloc(r->gfp, 0, r->nid, r->nodemask));
}

static bool try__folio_alloc_large(const struct request *r, struct grant *g)
{
	return one_page(g, (struct page *)__folio_alloc(r->gfp, 4, r->nid, r->nodemask));
}

static bool try__folio_alloc_node(const struct request *r, struct grant *g)
{
	return one_page(g, (struct page *)__folio_alloc_node(r->gfp, 0, r->nid));
}

static bool try_bulk(const struct request *r, struct grant *g)
{
	g->nr = __alloc_pages_bulk(r->gfp, r->nid, r->nodemask, ARRAY_SIZE(g->pages), g->pages);
	return g->nr;
}

static bool try_bulk_node(const struct request *r, struct grant *g)
{
	g->nr = alloc_pages_bulk_node(r->gfp, r->nid, ARRAY_SIZE(g->pages), g->pages);
	return g->nr;
}

static bool try_bulk_mempolicy(const struct request *r, struct grant *g)
{
	g->nr = alloc_pages_bulk_mempolicy(r->gfp, ARRAY_SIZE(g->pages), g->pages);
	return g->nr;
}

static bool try_get_free_pages(const struct request *r, struct grant *g)
{
	return virt_page(g, (void *)__get_free_pages(r->gfp & ~__GFP_HIGHMEM, 0));
}

static bool try_get_zeroed_page(const struct request *r, struct grant *g)
{
	return virt_page(g, (void *)get_zeroed_page(r->gfp & ~__GFP_HIGHMEM));
}

static bool try_exact(const struct request *r, struct grant *g)
{
	return virt_page(g, alloc_pages_exact(PAGE_SIZE, r->gfp & ~__GFP_HIGHMEM));
}

static bool try_exact_nid(const struct request *r, struct grant *g)
{
	return virt_page(g, alloc_pages_exact_nid(r->nid, PAGE_SIZE, r->gfp & ~__GFP_HIGHMEM));
}

static void free_exact(struct grant *g)
{
	free_pages_exact(g->ptr, PAGE_SIZE);
}

static bool try_nolock(const struct request *r, struct grant *g)
{
	return one_page(g, alloc_pages_nolock(0, r->nid, 0));
}

static void free_nolock(struct grant *g)
{
	free_pages_nolock(g->pages[0], 0);
}

#ifdef CONFIG_CONTIG_ALLOC
static bool try_contig(const struct request *r, struct grant *g)
{
	const gfp_t allowed = GFP_HIGHUSER_MOVABLE | __GFP_NOWARN | __GFP_THISNODE | __GFP_PRIVATE;

	/* A whole block: less is asking for trouble at the start of a zone. */
	return one_page(g, alloc_contig_pages(pageblock_nr_pages, r->gfp & allowed, r->nid,
					      r->nodemask));
}

static void free_contig(struct grant *g)
{
	free_contig_range(page_to_pfn(g->pages[0]), pageblock_nr_pages);
}
#endif

static bool try_kmalloc_node(const struct request *r, struct grant *g)
{
	return virt_page(g, kmalloc_node(64, GFP_KERNEL | (r->gfp & __GFP_THISNODE), r->nid));
}

static bool try_kmalloc_large_node(const struct request *r, struct grant *g)
{
	return virt_page(g, kmalloc_node(4 * PAGE_SIZE, GFP_KERNEL, r->nid));
}

static bool try_kvmalloc_node(const struct request *r, struct grant *g)
{
	void *ptr = kvmalloc_node(4 * PAGE_SIZE, GFP_KERNEL, r->nid);

	return is_vmalloc_addr(ptr) ? vmap_page(g, ptr) : virt_page(g, ptr);
}

static bool try_vmalloc_node(const struct request *r, struct grant *g)
{
	return vmap_page(g, vmalloc_node(PAGE_SIZE, r->nid));
}

static bool try_page_frag(const struct request *r, struct grant *g)
{
	struct page_frag_cache cache = {};
	bool got = virt_page(g, page_frag_alloc(&cache, 64, r->gfp & ~__GFP_HIGHMEM));

	/* The fragment holds on to its page; the next one gets a new page. */
	page_frag_cache_drain(&cache);
	return got;
}

static void free_frag(struct grant *g)
{
	page_frag_free(g->ptr);
}

static bool try_percpu(const struct request *r, struct grant *g)
{
	int __percpu *counter = alloc_percpu(int);
	void *ptr;

	g->ptr = (void __force *)counter;
	if (!counter)
		return false;
	ptr = per_cpu_ptr(counter, 0);
	return one_page(g, is_vmalloc_addr(ptr) ? vmalloc_to_page(ptr) : virt_to_page(ptr));
}

static void free_percpu_grant(struct grant *g)
{
	free_percpu((int __percpu __force *)g->ptr);
}

static int idle_thread(void *unused)
{
	return 0;
}

static bool try_kthread(const struct request *r, struct grant *g)
{
	struct task_struct *task = kthread_create_on_node(idle_thread, NULL, r->nid, "kunit");

	if (IS_ERR(task))
		return false;
	g->ptr = task;
	g->pages[0] = is_vmalloc_addr(task_stack_page(task)) ?
		      vmalloc_to_page(task_stack_page(task)) :
		      virt_to_page(task_stack_page(task));
	g->pages[1] = virt_to_page(task);
	g->nr = 2;
	return true;
}

static void free_kthread(struct grant *g)
{
	kthread_stop(g->ptr);
}

#ifdef CONFIG_HUGETLB_PAGE
static bool try_hugetlb(const struct request *r, struct grant *g)
{
	const gfp_t gfp = htlb_alloc_mask(&default_hstate) | __GFP_NOWARN | __GFP_NORETRY |
			  (r->gfp & (__GFP_THISNODE | __GFP_PRIVATE));

	return one_page(g, (struct page *)alloc_hugetlb_folio_nodemask(&default_hstate, r->nid,
								       r->nodemask, gfp, true));
}
#endif

static const struct entry entries[] = {
	{ "alloc_pages", try_alloc_pages, free_one, .takes_gfp = true },
	{ "alloc_pages_node", try_alloc_pages_node, free_one,
	  .takes_gfp = true, .takes_nid = true },
	{ "__alloc_pages", try__alloc_pages, free_one,
	  .takes_gfp = true, .takes_nid = true, .takes_nodemask = true },
	{ "__alloc_frozen_pages", try__alloc_frozen_pages, free_frozen,
	  .takes_gfp = true, .takes_nid = true, .takes_nodemask = true },
	{ "alloc_frozen_pages", try_alloc_frozen_pages, free_frozen, .takes_gfp = true },
	{ "folio_alloc", try_folio_alloc, free_folio, .takes_gfp = true },
	/* The policy has the last word, not the node. */
	{ "folio_alloc_mpol", try_folio_alloc_mpol, free_folio, .takes_gfp = true },
	{ "__folio_alloc", try__folio_alloc, free_folio,
	  .takes_gfp = true, .takes_nid = true, .takes_nodemask = true },
	{ "__folio_alloc of order 4", try__folio_alloc_large, free_folio, .takes_gfp = true,
	  .takes_nid = true, .takes_nodemask = true, .may_fail = true },
	{ "__folio_alloc_node", try__folio_alloc_node, free_folio,
	  .takes_gfp = true, .takes_nid = true },
	{ "__alloc_pages_bulk", try_bulk, free_bulk,
	  .takes_gfp = true, .takes_nid = true, .takes_nodemask = true },
	{ "alloc_pages_bulk_node", try_bulk_node, free_bulk,
	  .takes_gfp = true, .takes_nid = true },
	{ "alloc_pages_bulk_mempolicy", try_bulk_mempolicy, free_bulk, .takes_gfp = true },
	{ "__get_free_pages", try_get_free_pages, free_one, .takes_gfp = true },
	{ "get_zeroed_page", try_get_zeroed_page, free_one, .takes_gfp = true },
	{ "alloc_pages_exact", try_exact, free_exact, .takes_gfp = true },
	{ "alloc_pages_exact_nid", try_exact_nid, free_exact,
	  .takes_gfp = true, .takes_nid = true },
	{ "alloc_pages_nolock", try_nolock, free_nolock, .takes_nid = true },
#ifdef CONFIG_CONTIG_ALLOC
	{ "alloc_contig_pages", try_contig, free_contig, .takes_gfp = true, .takes_nid = true,
	  .takes_nodemask = true, .sleeps = true, .may_fail = true, .races_offline = true },
#endif
	{ "kmalloc_node", try_kmalloc_node, free_kmalloc, .takes_nid = true, .sleeps = true },
	{ "kmalloc_node of 4 pages", try_kmalloc_large_node, free_kmalloc,
	  .takes_nid = true, .sleeps = true },
	{ "kvmalloc_node", try_kvmalloc_node, free_kv, .takes_nid = true, .sleeps = true },
	{ "vmalloc_node", try_vmalloc_node, free_kv, .takes_nid = true, .sleeps = true },
	{ "page_frag_alloc", try_page_frag, free_frag, .takes_gfp = true },
	{ "alloc_percpu", try_percpu, free_percpu_grant, .sleeps = true },
	{ "kthread_create_on_node", try_kthread, free_kthread,
	  .takes_nid = true, .sleeps = true },
#ifdef CONFIG_HUGETLB_PAGE
	{ "alloc_hugetlb_folio_nodemask", try_hugetlb, free_folio, .takes_gfp = true,
	  .takes_nid = true, .takes_nodemask = true, .sleeps = true, .may_fail = true },
#endif
};

/* Is a page of @nid what @r, through @e, may have got? */
static bool granted_rightly(const struct entry *e, const struct request *r, int nid)
{
	const nodemask_t *nodemask = e->takes_nodemask ? r->nodemask : NULL;

	/* With __GFP_NOFAIL the key is a bug, and nothing that opens anything. */
	if (!e->takes_gfp || !(r->gfp & __GFP_PRIVATE) || r->gfp & __GFP_NOFAIL)
		return !node_is_private(nid);

	/* What was named, and nothing else: neither another's memory nor ordinary one */
	if (nodemask && !node_isset(nid, *nodemask))
		return false;
	if (nodemask && !(r->gfp & __GFP_THISNODE))
		return true;
	return e->takes_nid && nid == r->nid && (nodemask || node_is_private(nid));
}

/* Allocate, look, free. Returns whether there was something to look at. */
static bool check_entry(struct kunit *test, const struct entry *e, const struct request *r,
			const char *context)
{
	struct grant g = {};
	int i;

	if (!e->alloc(r, &g))
		return false;
	for (i = 0; i < g.nr; i++) {
		if (!granted_rightly(e, r, page_to_nid(g.pages[i])))
			KUNIT_FAIL(test, "%s, %s: gfp %pGg, node %d, nodemask %*pbl got node %d",
				   e->name, context, &r->gfp, r->nid,
				   nodemask_pr_args(r->nodemask), page_to_nid(g.pages[i]));
	}
	e->free(&g);
	return true;
}

enum {
	MASK_NULL,
	MASK_OWN,
	MASK_OTHER,
	MASK_BOTH,
	MASK_MIXED,
	MASK_ORDINARY,
	MASK_EMPTY,
	MASK_ALL,
	NR_MASKS
};

static nodemask_t *make_mask(struct fixture *f, int kind, nodemask_t *mask)
{
	nodes_clear(*mask);
	switch (kind) {
	case MASK_NULL:
		return NULL;
	case MASK_OWN:
		node_set(f->owners[0].nid, *mask);
		break;
	case MASK_OTHER:
		node_set(f->owners[1].nid, *mask);
		break;
	case MASK_BOTH:
		node_set(f->owners[0].nid, *mask);
		node_set(f->owners[1].nid, *mask);
		break;
	case MASK_MIXED:
		node_set(f->owners[0].nid, *mask);
		node_set(f->ordinary, *mask);
		break;
	case MASK_ORDINARY:
		node_set(f->ordinary, *mask);
		break;
	case MASK_EMPTY:
		break;
	case MASK_ALL:
		nodes_setall(*mask);
		break;
	}
	return mask;
}

static const gfp_t gfps[] = {
	GFP_KERNEL,
	GFP_ATOMIC,
	GFP_NOWAIT,
	GFP_HIGHUSER_MOVABLE,
	GFP_HIGHUSER_MOVABLE | __GFP_THISNODE,
	GFP_KERNEL | __GFP_THISNODE,
	GFP_KERNEL | __GFP_NOFAIL,
	GFP_KERNEL | __GFP_NOFAIL | __GFP_THISNODE,
	GFP_KERNEL | __GFP_MEMALLOC,
	GFP_ATOMIC | __GFP_NOMEMALLOC,
	GFP_HIGHUSER_MOVABLE | __GFP_WRITE,
	GFP_TRANSHUGE_LIGHT & ~__GFP_COMP,
};

/*
 * An ordinary request that must not fail and may use only private nodes waits
 * for ever, as it does on nodes without memory.
 */
static bool hopeless(const struct request *r)
{
	nodemask_t left = node_states[N_MEMORY];

	/* With the key it is a bug of the caller, and may not wait. */
	if (!(r->gfp & __GFP_NOFAIL) || r->gfp & __GFP_PRIVATE)
		return false;
	if (r->nodemask)
		nodes_and(left, left, *r->nodemask);
	return r->gfp & __GFP_THISNODE ? !node_isset(r->nid, left) : nodes_empty(left);
}

enum { IN_TASK, IN_MEMALLOC, IN_NOFS, IN_PIN, NR_CONTEXTS };

static const char * const context_names[NR_CONTEXTS] = {
	[IN_TASK] = "task",
	[IN_MEMALLOC] = "PF_MEMALLOC",
	[IN_NOFS] = "NOFS",
	[IN_PIN] = "pinning",
};

static unsigned int enter_context(int context)
{
	switch (context) {
	case IN_MEMALLOC:
		return memalloc_noreclaim_save();
	case IN_NOFS:
		return memalloc_nofs_save();
	case IN_PIN:
		return memalloc_pin_save();
	}
	return 0;
}

static void leave_context(int context, unsigned int flags)
{
	switch (context) {
	case IN_MEMALLOC:
		memalloc_noreclaim_restore(flags);
		break;
	case IN_NOFS:
		memalloc_nofs_restore(flags);
		break;
	case IN_PIN:
		memalloc_pin_restore(flags);
		break;
	}
}

static unsigned int check_all(struct kunit *test, const struct entry *e, gfp_t key)
{
	struct fixture *f = test->priv;
	const int nids[] = { f->owners[0].nid, f->owners[1].nid, f->ordinary };
	unsigned int grants = 0, flags;
	nodemask_t mask;
	int i, n, m, c;

	for (c = 0; c < NR_CONTEXTS; c++) {
		for (i = 0; i < ARRAY_SIZE(gfps); i++) {
			if (i && !e->takes_gfp)
				break;
			if (e->may_fail && gfps[i] & __GFP_NOFAIL)
				continue;
			/* These are slow, and take the zone and the node at most. */
			if (e->sleeps && (c || !(!i || gfps[i] & __GFP_THISNODE ||
						 gfps[i] == GFP_HIGHUSER_MOVABLE)))
				continue;
			for (n = 0; n < ARRAY_SIZE(nids); n++) {
				for (m = 0; m < NR_MASKS; m++) {
					struct request r = {
						.gfp = gfps[i] | __GFP_NOWARN | key,
						.nid = nids[n],
						.nodemask = make_mask(f, m, &mask),
					};

					if (m && !e->takes_nodemask)
						break;
					if (hopeless(&r))
						continue;
					/* Such a request may not be made there at all. */
					if (c == IN_MEMALLOC && r.gfp & __GFP_NOFAIL)
						continue;
					flags = enter_context(c);
					grants += check_entry(test, e, &r, context_names[c]);
					leave_context(c, flags);
					cond_resched();
				}
			}
		}
	}
	return grants;
}

static void no_key_no_private_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	int i;

	plug_all(test);
	for (i = 0; i < ARRAY_SIZE(entries); i++)
		KUNIT_EXPECT_GT_MSG(test, check_all(test, &entries[i], 0), 0,
				    "%s never got anything", entries[i].name);
	expect_all_free(test, f->owners[0].nid);
	expect_all_free(test, f->owners[1].nid);
}

static void the_key_opens_what_is_named(struct kunit *test)
{
	struct fixture *f = test->priv;
	int i;

	plug_all(test);
	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		if (!entries[i].takes_gfp)
			continue;
		/* __GFP_NOFAIL with the key is a bug of the caller. */
		kunit_warning_suppress(test)
			KUNIT_EXPECT_GT_MSG(test, check_all(test, &entries[i], __GFP_PRIVATE), 0,
					    "%s never got anything", entries[i].name);
	}
	expect_all_free(test, f->owners[0].nid);
	expect_all_free(test, f->owners[1].nid);
}

/* Every way that takes the key and a node does get private memory. */
static void the_key_is_enough(struct kunit *test)
{
	struct fixture *f = test->priv;
	int i, o;

	plug_all(test);
	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		const struct entry *e = &entries[i];

		if (!e->takes_gfp || !e->takes_nid)
			continue;
		for (o = 0; o < NR_OWNERS; o++) {
			struct request r = { .gfp = GFP_KEY, .nid = f->owners[o].nid };
			struct grant g = {};

			/* These take no movable memory, and the second has nothing else. */
			if (o == 1 && strstr(e->name, "exact"))
				continue;
			/* No pool of huge pages, no grant: it takes one of the node itself. */
			KUNIT_EXPECT_TRUE_MSG(test, e->alloc(&r, &g), "%s on node %d",
					      e->name, r.nid);
			if (!g.nr)
				continue;
			KUNIT_EXPECT_EQ_MSG(test, page_to_nid(g.pages[0]), r.nid, "%s", e->name);
			e->free(&g);
		}
	}
}

/* Loops of this shape are in many places, and always will be. */
static void node_loops_fail_on_private_nodes(struct kunit *test)
{
	const nodemask_t allowed = cpuset_current_mems_allowed;
	nodemask_t wider = allowed;
	const nodemask_t * const masks[] = {
		&node_states[N_ONLINE], &node_states[N_POSSIBLE], &node_states[N_MEMORY],
		&wider,
	};
	struct fixture *f = test->priv;
	struct page *page;
	int i, nid;

	plug_all(test);
	/* As if somebody had let the task use them */
	node_set(f->owners[0].nid, wider);
	node_set(f->owners[1].nid, wider);
	set_mems_allowed(wider);
	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		for_each_node_mask(nid, *masks[i]) {
			page = alloc_pages_node(nid, GFP_KERNEL | __GFP_THISNODE, 0);
			if (node_state(nid, N_MEMORY))
				KUNIT_EXPECT_NOT_NULL(test, page);
			else
				KUNIT_EXPECT_NULL_MSG(test, page, "node %d", nid);
			if (page)
				__free_page(page);
		}
	}
	set_mems_allowed(allowed);
}

static void kmalloc_ignores_the_key(struct kunit *test)
{
	struct fixture *f = test->priv;
	void *ptr;

	plug_all(test);
	ptr = kmalloc_node(64, GFP_KERNEL | __GFP_PRIVATE, f->owners[0].nid);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	KUNIT_EXPECT_FALSE(test, node_is_private(page_to_nid(virt_to_page(ptr))));
	kfree(ptr);
	ptr = kmalloc_node(8 * PAGE_SIZE, GFP_KERNEL | __GFP_PRIVATE, f->owners[0].nid);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	KUNIT_EXPECT_FALSE(test, node_is_private(page_to_nid(virt_to_page(ptr))));
	kfree(ptr);
}

/* Nor does it wait for ever, with whatever it can be combined. */
static void nofail_with_the_key_is_ordinary(struct kunit *test)
{
	static const gfp_t more[] = { 0, __GFP_THISNODE, __GFP_HARDWALL };
	struct fixture *f = test->priv;
	nodemask_t mask, *nodemask;
	struct page *page;
	int i, m, n;

	plug_all(test);
	kunit_warning_suppress(test) {
		for (i = 0; i < ARRAY_SIZE(more); i++) {
			for (m = 0; m < NR_MASKS; m++) {
				for (n = 0; n < 2; n++) {
					nodemask = make_mask(f, m, &mask);
					page = __alloc_pages(GFP_KERNEL | __GFP_NOFAIL |
							     __GFP_PRIVATE | more[i], 0,
							     n ? f->ordinary : f->owners[0].nid,
							     nodemask, ALLOC_DEFAULT);
					KUNIT_EXPECT_NOT_NULL(test, page);
					if (!page)
						continue;
					KUNIT_EXPECT_FALSE_MSG(test,
							       node_is_private(page_to_nid(page)),
							       "case %d %d %d", i, m, n);
					__free_page(page);
				}
			}
		}
	}
}

/* What a request becomes before it goes anywhere */
static void requests_are_confined(struct kunit *test)
{
	struct fixture *f = test->priv;
	const int own = f->owners[0].nid;
	const struct {
		int nid, mask;
		gfp_t gfp;
		bool keeps_key, thisnode;
		int result;		/* MASK_OWN may stand for the node alone */
	} cases[] = {
		/* A nodemask is kept, whatever node is preferred, and has the last word. */
		{ own, MASK_OWN, GFP_KEY, true, false, MASK_OWN },
		{ f->ordinary, MASK_OTHER, GFP_KEY, true, false, MASK_OTHER },
		{ f->ordinary, MASK_MIXED, GFP_KEY, true, false, MASK_MIXED },
		{ own, MASK_ALL, GFP_KEY, true, false, MASK_ALL },
		{ own, MASK_ORDINARY, GFP_KEY, true, false, MASK_ORDINARY },
		{ own, MASK_EMPTY, GFP_KEY, true, false, MASK_EMPTY },
		/* Without one it is the node, or none if that is not private. */
		{ own, MASK_NULL, GFP_KEY, true, true, MASK_OWN },
		{ own, MASK_NULL, GFP_KERNEL | __GFP_PRIVATE, true, true, MASK_OWN },
		{ f->ordinary, MASK_NULL, GFP_KEY, true, true, MASK_EMPTY },
		/* Not without the key */
		{ own, MASK_NULL, GFP_TRY, false, false, MASK_NULL },
		{ own, MASK_OWN, GFP_TRY, false, false, MASK_OWN },
	};
	nodemask_t mask, expected, *nodemask, *expected_mask;
	gfp_t gfp, expected_gfp;
	int i, twice;

	plug_all(test);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		nodemask = make_mask(f, cases[i].mask, &mask);
		expected_mask = make_mask(f, cases[i].result, &expected);
		expected_gfp = cases[i].gfp;
		if (!cases[i].keeps_key)
			expected_gfp &= ~__GFP_PRIVATE;
		if (cases[i].thisnode)
			expected_gfp |= __GFP_THISNODE;

		gfp = cases[i].gfp;
		for (twice = 0; twice < 2; twice++) {
			gfp = private_confine(gfp, cases[i].nid, &nodemask);
			KUNIT_EXPECT_EQ_MSG(test, gfp, expected_gfp, "case %d", i);
			KUNIT_EXPECT_EQ_MSG(test, !!nodemask, !!expected_mask, "case %d", i);
			if (nodemask && expected_mask)
				KUNIT_EXPECT_TRUE_MSG(test, nodes_equal(*nodemask, expected),
						      "case %d", i);
		}
	}
}

#ifdef CONFIG_CPUSETS
static void cpusets_off(void *unused)
{
	cpus_read_lock();
	cpuset_dec();
	cpus_read_unlock();
}

/* As if there were a cpuset beside the top one */
static void cpusets_on(struct kunit *test)
{
	cpus_read_lock();
	cpuset_inc();
	cpus_read_unlock();
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, cpusets_off, NULL), 0);
}

static void mems_back(void *allowed)
{
	current->mems_allowed = *(nodemask_t *)allowed;
}

/* This task runs in a cpuset that has the node no more, whatever it was before. */
static void not_granted(struct kunit *test, int nid)
{
	nodemask_t *allowed = kunit_kmalloc(test, sizeof(*allowed), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, allowed);
	*allowed = current->mems_allowed;
	cpusets_on(test);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, mems_back, allowed), 0);
	node_clear(nid, current->mems_allowed);
}
#else
static void cpusets_on(struct kunit *test) {}
static void not_granted(struct kunit *test, int nid) {}
#endif

/* ---- Exhaustion ---- */

static unsigned long exhaust_by(gfp_t gfp, struct list_head *list, int nid,
				nodemask_t *nodemask)
{
	unsigned long nr = 0;
	struct page *page;
	int order;

	for (order = MAX_PAGE_ORDER; order >= 0; order--) {
		while ((page = __alloc_pages(gfp | __GFP_COMP, order, nid, nodemask,
					     ALLOC_DEFAULT))) {
			list_add(&page->lru, list);
			nr += 1UL << order;
			cond_resched();
		}
	}
	return nr;
}

/* An owner in the kernel does it, whom no cpuset binds. */
static unsigned long exhaust(struct list_head *list, int nid, nodemask_t *nodemask)
{
	return exhaust_by(GFP_KEY & ~__GFP_HARDWALL, list, nid, nodemask);
}

static unsigned long free_list_of_pages(struct list_head *list, int nid)
{
	struct page *page, *next;
	unsigned long wrong = 0;

	list_for_each_entry_safe(page, next, list, lru) {
		wrong += page_to_nid(page) != nid;
		__free_pages(page, compound_order(page));
	}
	return wrong;
}

/*
 * Pages that CPUs have freed and not added to the counters yet, at most. Up to a
 * second later a node that had none left by its watermarks has these.
 */
static unsigned long hidden_pages(int nid)
{
	unsigned long hidden = 0;
	struct zone *zone;
	int cpu;

	for (zone = NODE_DATA(nid)->node_zones;
	     zone < NODE_DATA(nid)->node_zones + MAX_NR_ZONES; zone++) {
		if (!populated_zone(zone))
			continue;
		for_each_online_cpu(cpu)
			hidden += per_cpu_ptr(zone->per_cpu_zonestats,
					      cpu)->stat_threshold;
	}
	return hidden;
}

/* Ask for the memory of a node that has none left. How often was another's given? */
static unsigned long ask_desperately(gfp_t gfp, int nid, nodemask_t *mask,
				     struct list_head *list)
{
	unsigned long wrong = 0;
	unsigned int flags;
	struct page *page;
	int m, c;

	for (c = 0; c < NR_CONTEXTS; c++) {
		for (m = 0; m < 2; m++) {
			flags = enter_context(c);
			page = __alloc_pages(gfp, 0, nid, m ? mask : NULL, ALLOC_DEFAULT);
			leave_context(c, flags);
			/* A last page may have been left, never another's. */
			if (!page)
				continue;
			wrong += page_to_nid(page) != nid;
			list_add(&page->lru, list);
		}
	}
	return wrong;
}

/* The memory of the one is gone: nothing may come from the other. */
static void exhaustion_stays_with_the_owner(struct kunit *test)
{
	static const gfp_t desperate[] = {
		GFP_KEY, GFP_KEY | __GFP_MEMALLOC, GFP_KEY | __GFP_HIGH,
		GFP_ATOMIC | __GFP_NOWARN | __GFP_PRIVATE,
		GFP_KERNEL | __GFP_NOWARN | __GFP_PRIVATE,
		GFP_KEY | __GFP_RETRY_MAYFAIL, GFP_KEY | __GFP_THISNODE,
	};
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0], *b = &f->owners[1];
	nodemask_t mask, both;
	unsigned long nr, other, wrong = 0;
	unsigned int flags;
	struct page *page;
	LIST_HEAD(list);
	LIST_HEAD(more);
	int i;

	plug_all(test);
	mask = nodemask_of_node(a->nid);
	nr = exhaust(&list, a->nid, &mask);
	KUNIT_EXPECT_GT(test, nr, 0);
	other = zone_free_pages(movable_of(b->nid));

	/* Down to the last page, where no watermark is heeded */
	flags = memalloc_noreclaim_save();
	nr += exhaust(&list, a->nid, &mask);
	memalloc_noreclaim_restore(flags);

	/* Once more with cpusets, one of which may have changed for all a request knows */
	kunit_warning_suppress(test) {
		for (i = 0; i < 2 * ARRAY_SIZE(desperate); i++) {
			if (i == ARRAY_SIZE(desperate))
				cpusets_on(test);
			wrong += ask_desperately(desperate[i % ARRAY_SIZE(desperate)], a->nid,
						 &mask, &list);
		}
		/* Nor was another's page found, and given back. */
		KUNIT_EXPECT_EQ(test, KUNIT_SUPPRESSED_WARNING_COUNT(), 0);
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "pages of another node");
	KUNIT_EXPECT_EQ(test, zone_free_pages(movable_of(b->nid)), other);

	/* A nodemask with both goes on to the other, and only there. */
	both = mask;
	node_set(b->nid, both);
	page = __alloc_pages(GFP_KEY & ~__GFP_HARDWALL, 0, a->nid, &both, ALLOC_DEFAULT);
	KUNIT_EXPECT_NOT_NULL(test, page);
	if (page) {
		KUNIT_EXPECT_EQ(test, page_to_nid(page), b->nid);
		__free_page(page);
	}

	KUNIT_EXPECT_GT(test, exhaust(&more, b->nid, NULL), 0);
	KUNIT_EXPECT_EQ(test, free_list_of_pages(&more, b->nid), 0);
	KUNIT_EXPECT_EQ(test, free_list_of_pages(&list, a->nid), 0);
	expect_all_free(test, a->nid);
	expect_all_free(test, b->nid);
}

/* The owner asks from an interrupt, or runs in a task that may not use the node. */
struct irq_request {
	struct irq_work work;
	struct completion done;
	int nid;
	struct page *with_key, *without_key;
};

static void request_in_irq(struct irq_work *work)
{
	struct irq_request *r = container_of(work, struct irq_request, work);

	/* Whose cpuset would be asked? That of who was interrupted has no say. */
	r->with_key = __alloc_pages(GFP_ATOMIC | __GFP_HARDWALL | __GFP_NOWARN | __GFP_PRIVATE,
				    0, r->nid, NULL, ALLOC_DEFAULT);
	r->without_key = __alloc_pages(GFP_ATOMIC | __GFP_NOWARN | __GFP_THISNODE, 0, r->nid,
				       NULL, ALLOC_DEFAULT);
	complete(&r->done);
}

static void works_in_interrupts(struct kunit *test)
{
	struct irq_request *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	struct fixture *f = test->priv;

	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		kunit_skip(test, "interrupts do not allocate");
	KUNIT_ASSERT_NOT_NULL(test, r);
	plug_all(test);
	r->nid = f->owners[0].nid;
	not_granted(test, r->nid);
	init_completion(&r->done);
	r->work = IRQ_WORK_INIT(request_in_irq);
	/* It is this task that is interrupted. */
	preempt_disable();
	irq_work_queue(&r->work);
	while (!completion_done(&r->done))
		cpu_relax();
	preempt_enable();
	irq_work_sync(&r->work);

	KUNIT_EXPECT_NULL(test, r->without_key);
	KUNIT_EXPECT_NOT_NULL(test, r->with_key);
	if (r->with_key) {
		KUNIT_EXPECT_EQ(test, page_to_nid(r->with_key), r->nid);
		__free_page(r->with_key);
	}
}

/* With a nodemask of both kinds, the nearer is tried first whatever kswapd does. */
static void mixed_nodemask_prefers_the_nearer(struct kunit *test)
{
	struct fixture *f = test->priv;
	nodemask_t mask = nodemask_of_node(f->ordinary);
	int own;

	plug_all(test);
	own = f->owners[0].nid;
	node_set(own, mask);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, own, &mask), own);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, f->ordinary, &mask), f->ordinary);

	/* Cpusets are not for owners in the kernel. */
	not_granted(test, own);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_OWNER, own, &mask), own);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_OWNER, f->ordinary, &mask), f->ordinary);
}

/* The list of @nid that requests with the key walk, rewritten by the test */
static struct rewritten {
	struct zoneref *zoneref, was;
} rewritten;

static void write_back(void *unused)
{
	*rewritten.zoneref = rewritten.was;
}

/*
 * A walk reads an entry twice, and can see two. Here the first look says that
 * ZONE_MOVABLE is a zone for everybody, as if another had been there then.
 */
static void rewrite_list(struct kunit *test, int nid)
{
	rewritten.zoneref = node_zonelist(nid, GFP_KEY | __GFP_THISNODE)->_zonerefs;
	rewritten.was = *rewritten.zoneref;
	KUNIT_ASSERT_EQ(test, zonelist_zone_idx(rewritten.zoneref), ZONE_MOVABLE);
	rewritten.zoneref->zone_idx = ZONE_NORMAL;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, write_back, NULL), 0);
}

/* Zonelists are rewritten while requests walk them: what they find is looked at. */
static void pages_of_a_rewritten_list_go_back(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct zone *movable, *ordinary;
	nodemask_t own;
	int nid;

	plug_all(test);
	nid = f->owners[1].nid;
	own = nodemask_of_node(nid);
	movable = movable_of(nid);
	ordinary = &NODE_DATA(f->ordinary)->node_zones[ZONE_NORMAL];
	KUNIT_EXPECT_TRUE(test, private_zone_allowed(movable, GFP_KEY, &own));
	KUNIT_EXPECT_FALSE(test, private_zone_allowed(movable, GFP_OWNER, &own));
	KUNIT_EXPECT_FALSE(test, private_zone_allowed(movable_of(f->owners[0].nid),
						      GFP_KEY, &own));
	KUNIT_EXPECT_FALSE(test, private_zone_allowed(ordinary, GFP_KEY, &own));

	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_OWNER, nid, NULL), NUMA_NO_NODE);
	rewrite_list(test, nid);
	/* Each page is a wrong one: it says so, and gives up. */
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, nid_of_request(GFP_NOWAIT | __GFP_NOWARN | __GFP_PRIVATE,
						     nid, NULL), NUMA_NO_NODE);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, nid, NULL), nid);
#ifdef CONFIG_CONTIG_ALLOC
	KUNIT_EXPECT_NULL(test, alloc_contig_pages(pageblock_nr_pages, GFP_OWNER, nid, NULL));
#endif
	expect_all_free(test, nid);
}

static void open_again(void *nid)
{
	private_node_close((long)nid, false);
}

/* Nor can a page be taken from under private_node_remove_idle_memory(). */
static void closed_nodes_give_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	nodemask_t own, mixed;
	int nid;

	plug_all(test);
	nid = f->owners[0].nid;
	own = nodemask_of_node(nid);
	mixed = own;
	node_set(f->ordinary, mixed);

	KUNIT_EXPECT_TRUE(test, private_zone_allowed(movable_of(nid), GFP_KEY, &own));
	private_node_close(nid, true);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, open_again, (void *)(long)nid), 0);

	/* Also if the page has been found already */
	KUNIT_EXPECT_FALSE(test, private_zone_allowed(movable_of(nid), GFP_KEY, &own));
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, nid, NULL), NUMA_NO_NODE);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_OWNER, nid, &own), NUMA_NO_NODE);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, nid, &mixed), f->ordinary);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, f->owners[1].nid, NULL),
			f->owners[1].nid);
#ifdef CONFIG_CONTIG_ALLOC
	KUNIT_EXPECT_NULL(test, alloc_contig_pages(2, GFP_OWNER, nid, NULL));
	KUNIT_EXPECT_EQ(test, alloc_contig_range(movable_of(nid)->zone_start_pfn,
						 movable_of(nid)->zone_start_pfn + 2,
						 ACR_FLAGS_NONE, GFP_OWNER), -EBUSY);
#endif
	private_node_close(nid, false);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, nid, NULL), nid);
	expect_all_free(test, nid);
}

#ifdef CONFIG_CPUSETS
/* Users need the node in their cpuset, an owner in the kernel does not. */
static void hardwall_needs_permission(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int noreclaim;
	int nid;

	plug_all(test);
	nid = f->owners[0].nid;
	not_granted(test, nid);

	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, nid, NULL), NUMA_NO_NODE);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY | __GFP_MEMALLOC, nid, NULL),
			NUMA_NO_NODE);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_ATOMIC | __GFP_HARDWALL | __GFP_NOWARN |
					     __GFP_PRIVATE, nid, NULL), NUMA_NO_NODE);
	current->flags |= PF_EXITING;
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, nid, NULL), NUMA_NO_NODE);
	current->flags &= ~PF_EXITING;
	noreclaim = memalloc_noreclaim_save();
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, nid, NULL), NUMA_NO_NODE);
	memalloc_noreclaim_restore(noreclaim);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_OWNER, nid, NULL), nid);

	/* Maybe it was there before: that is the root cpuset's decision. */
	node_set(nid, current->mems_allowed);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, nid, NULL), nid);
}
#endif

#ifdef CONFIG_CONTIG_ALLOC
static void contig_ranges_need_the_key(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	unsigned long pfn, end;

	plug_all(test);
	pfn = PHYS_PFN(a->blocks[0].start);
	end = pfn + pageblock_nr_pages;
	KUNIT_EXPECT_EQ(test, alloc_contig_range(pfn, end, ACR_FLAGS_NONE,
						 GFP_KERNEL | __GFP_NOWARN), -EPERM);
	expect_all_free(test, a->nid);
	KUNIT_ASSERT_EQ(test, alloc_contig_range(pfn, end, ACR_FLAGS_NONE,
						 GFP_KERNEL | __GFP_NOWARN | __GFP_PRIVATE), 0);
	free_contig_range(pfn, pageblock_nr_pages);
	expect_all_free(test, a->nid);
}

/* Somebody else, such as an unplug, has isolated a block: it stays isolated. */
static void contig_ranges_leave_isolation_alone(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	unsigned long pfn, end;

	plug_all(test);
	pfn = PHYS_PFN(a->blocks[0].start);
	end = pfn + 2 * pageblock_nr_pages;
	KUNIT_ASSERT_EQ(test, start_isolate_page_range(pfn, end, PB_ISOLATE_MODE_OTHER), 0);

	/* The block itself, and a range that begins before it */
	KUNIT_EXPECT_EQ(test, alloc_contig_range(pfn, pfn + pageblock_nr_pages, ACR_FLAGS_NONE,
						 GFP_KERNEL | __GFP_NOWARN | __GFP_PRIVATE),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, alloc_contig_range(end - pageblock_nr_pages,
						 end + pageblock_nr_pages, ACR_FLAGS_NONE,
						 GFP_KERNEL | __GFP_NOWARN | __GFP_PRIVATE),
			-EBUSY);
	KUNIT_EXPECT_TRUE(test, is_migrate_isolate_page(pfn_to_page(pfn)));
	KUNIT_EXPECT_TRUE(test, is_migrate_isolate_page(pfn_to_page(end - pageblock_nr_pages)));
	KUNIT_EXPECT_FALSE(test, is_migrate_isolate_page(pfn_to_page(end)));

	undo_isolate_page_range(pfn, end);
	expect_all_free(test, a->nid);
}
#endif

/* ---- What must not change for others ---- */

struct totals {
	unsigned long totalram, totalreserve, freeram, dirty, background;
	long available;
	int min_free;
	unsigned long marks[MAX_NUMNODES][MAX_NR_ZONES][NR_WMARK];
	long lowmem_reserve[MAX_NUMNODES][MAX_NR_ZONES][MAX_NR_ZONES];
};

static struct totals *read_totals(struct kunit *test)
{
	struct totals *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct sysinfo info;
	int nid, i, j;

	KUNIT_ASSERT_NOT_NULL(test, t);
	si_meminfo(&info);
	t->totalram = info.totalram;
	t->freeram = info.freeram;
	t->totalreserve = totalreserve_pages;
	t->available = si_mem_available();
	t->min_free = min_free_kbytes;
	global_dirty_limits(&t->background, &t->dirty);
	for_each_node_state(nid, N_MEMORY) {
		for (i = 0; i < MAX_NR_ZONES; i++) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[i];

			for (j = 0; j < NR_WMARK; j++)
				t->marks[nid][i][j] = zone->_watermark[j];
			for (j = 0; j < MAX_NR_ZONES; j++)
				t->lowmem_reserve[nid][i][j] = zone->lowmem_reserve[j];
		}
	}
	return t;
}

static void the_system_looks_the_same(struct kunit *test)
{
	const long block = memory_block_size_bytes() >> PAGE_SHIFT;
	struct fixture *f = test->priv;
	struct totals *before, *with, *after;
	struct zone *zone;

	require_memory(test);
	before = read_totals(test);
	claim(test, 0);
	plug(test, 0, NR_BLOCKS);
	to_kernel_zone(test, &f->owners[0].blocks[1]);
	with = read_totals(test);

	KUNIT_EXPECT_EQ(test, with->totalram, before->totalram);
	KUNIT_EXPECT_EQ(test, with->totalreserve, before->totalreserve);
	KUNIT_EXPECT_EQ(test, with->min_free, before->min_free);
	KUNIT_EXPECT_MEMEQ(test, with->marks, before->marks, sizeof(with->marks));
	KUNIT_EXPECT_MEMEQ(test, with->lowmem_reserve, before->lowmem_reserve,
			   sizeof(with->lowmem_reserve));
	/*
	 * These move all the time, for example when KASAN lets go of what it
	 * keeps from being used again, but not upwards by half of what has been
	 * plugged. The limits are 20% and 10% of it.
	 */
	KUNIT_EXPECT_LT(test, with->freeram, before->freeram + block);
	KUNIT_EXPECT_LT(test, with->available, before->available + block);
	KUNIT_EXPECT_LT(test, with->dirty, before->dirty + block / 5);
	KUNIT_EXPECT_LT(test, with->background, before->background + block / 10);

	/* They are counted where they belong. */
	KUNIT_EXPECT_EQ(test, private_total_pages(), 2 * block);
	KUNIT_EXPECT_GT(test, private_free_pages(), 2 * block - block / 16);
	KUNIT_EXPECT_LE(test, private_free_pages(), 2 * block);

	/* Both zones have the small reserve of memory that nobody else needs. */
	zone = movable_of(f->owners[0].nid);
	KUNIT_EXPECT_EQ(test, min_wmark_pages(zone), clamp(block / 1024, 32, 128));
	zone = &NODE_DATA(f->owners[0].nid)->node_zones[ZONE_NORMAL];
	KUNIT_EXPECT_EQ(test, min_wmark_pages(zone), clamp(block / 1024, 32, 128));

	unplug_action(&f->owners[0]);
	after = read_totals(test);
	KUNIT_EXPECT_EQ(test, after->totalram, before->totalram);
	KUNIT_EXPECT_EQ(test, after->totalreserve, before->totalreserve);
	KUNIT_EXPECT_MEMEQ(test, after->marks, before->marks, sizeof(after->marks));
	KUNIT_EXPECT_EQ(test, private_total_pages(), 0);
	KUNIT_EXPECT_EQ(test, private_free_pages(), 0);
}

#ifdef CONFIG_PAGE_REPORTING
/* Counts what a balloon would let the hypervisor take away */
struct reporter {
	struct page_reporting_dev_info dev;
	unsigned long nr_ordinary;
	unsigned long nr_private;
};

static int count_reported(struct page_reporting_dev_info *dev,
			  struct scatterlist *sgl, unsigned int nents)
{
	struct reporter *r = container_of(dev, struct reporter, dev);
	struct scatterlist *sg;
	unsigned int i;

	for_each_sg(sgl, sg, nents, i) {
		if (node_is_private(page_to_nid(sg_page(sg))))
			r->nr_private++;
		else
			r->nr_ordinary++;
	}
	return 0;
}

/* What is free on a private node is not the hypervisor's to take. */
static void free_pages_are_not_reported(struct kunit *test)
{
	struct reporter *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	struct fixture *f = test->priv;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, r);
	plug_all(test);
	r->dev.report = count_reported;
	r->dev.order = PAGE_REPORTING_ORDER_UNSPECIFIED;
	ret = page_reporting_register(&r->dev);
	if (ret == -EBUSY)
		kunit_skip(test, "a balloon reports already");
	KUNIT_ASSERT_EQ(test, ret, 0);
	/* One pass, which takes some pages of each zone. */
	flush_delayed_work(&r->dev.work);
	page_reporting_unregister(&r->dev);

	KUNIT_EXPECT_GT(test, r->nr_ordinary, 0);
	KUNIT_EXPECT_EQ(test, r->nr_private, 0);
	expect_all_free(test, f->owners[0].nid);
	expect_all_free(test, f->owners[1].nid);
}
#endif

static void nobody_hibernates_with_it(struct kunit *test)
{
	struct fixture *f = test->priv;

	require_memory(test);
	if (!hibernation_available())
		kunit_skip(test, "needs CONFIG_HIBERNATION, and nothing else that forbids it");
	claim(test, 0);
	KUNIT_EXPECT_TRUE(test, hibernation_available());
	plug(test, 0, 1);
	KUNIT_EXPECT_FALSE(test, hibernation_available());
	unplug_action(&f->owners[0]);
	KUNIT_EXPECT_TRUE(test, hibernation_available());
}

static void slab_builds_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct kmem_cache *cache;
	int nid;

	require_memory(test);
	nid = f->owners[1].nid;
	cache = kmem_cache_create("private_node_kunit", 64, 0, SLAB_NO_MERGE, NULL);
	KUNIT_ASSERT_NOT_NULL(test, cache);
	claim(test, 1);
	plug(test, 1, 1);
	KUNIT_EXPECT_NULL(test, cache->per_node[nid].node);
	kmem_cache_destroy(cache);
}

/* ---- All of it at once ---- */

#define NR_ALLOCATORS	2
#define NR_HELD		16

struct chaos {
	struct kunit *test;
	struct fixture *f;
	unsigned long seed;
	/* Held for reading from a grant to its entry in owners, and back */
	struct rw_semaphore owned;
	struct xarray owners;		/* pfn -> grant with the key */
	atomic_t running;
	atomic_long_t requests, grants, keyed, plugs;
};

struct allocator {
	struct chaos *c;
	struct rnd_state rnd;
	struct {
		const struct entry *e;
		struct grant g;
	} held[NR_HELD];
};

static u32 draw(struct allocator *a, u32 below)
{
	return prandom_u32_state(&a->rnd) % below;
}

static void chaos_free(struct allocator *a, int slot)
{
	const struct entry *e = a->held[slot].e;
	int i;

	if (!e)
		return;
	down_read(&a->c->owned);
	for (i = 0; i < a->held[slot].g.nr; i++)
		xa_erase(&a->c->owners, page_to_pfn(a->held[slot].g.pages[i]));
	e->free(&a->held[slot].g);
	up_read(&a->c->owned);
	a->held[slot].e = NULL;
}

static void chaos_alloc(struct allocator *a, int slot)
{
	const struct entry *e = &entries[draw(a, ARRAY_SIZE(entries))];
	struct grant *g = &a->held[slot].g;
	int context = draw(a, NR_CONTEXTS);
	struct chaos *c = a->c;
	struct fixture *f = c->f;
	const int nids[] = { f->owners[0].nid, f->owners[1].nid, f->ordinary };
	nodemask_t mask;
	struct request r = {
		.gfp = gfps[draw(a, ARRAY_SIZE(gfps))] | __GFP_NOWARN,
		.nid = nids[draw(a, ARRAY_SIZE(nids))],
		.nodemask = make_mask(f, draw(a, NR_MASKS), &mask),
	};
	unsigned int flags;
	int i, nid;

	/* Neither warnings nor requests that wait for ever */
	r.gfp &= ~__GFP_NOFAIL;
	if (draw(a, 2))
		r.gfp |= __GFP_PRIVATE;
	if (e->races_offline && r.gfp & __GFP_PRIVATE)
		return;
	/* These are slow: more of the others. */
	if (e->sleeps && draw(a, 8))
		return;

	memset(g, 0, sizeof(*g));
	atomic_long_inc(&c->requests);
	down_read(&c->owned);
	flags = enter_context(context);
	if (e->alloc(&r, g)) {
		a->held[slot].e = e;
		atomic_long_inc(&c->grants);
	}
	leave_context(context, flags);
	for (i = 0; a->held[slot].e && i < g->nr; i++) {
		nid = page_to_nid(g->pages[i]);
		if (!granted_rightly(e, &r, nid))
			KUNIT_FAIL(c->test, "%s, %s: gfp %pGg, node %d, nodemask %*pbl got node %d",
				   e->name, context_names[context], &r.gfp, r.nid,
				   nodemask_pr_args(r.nodemask), nid);
		if (!node_is_private(nid))
			continue;
		atomic_long_inc(&c->keyed);
		xa_store(&c->owners, page_to_pfn(g->pages[i]),
			 xa_mk_value(compound_order(g->pages[i])), GFP_KERNEL);
	}
	up_read(&c->owned);
}

static int allocate_at_random(void *arg)
{
	struct allocator *a = arg;
	unsigned int i;
	int slot;

	for (i = 0; i < draws; i++) {
		slot = draw(a, NR_HELD);
		if (a->held[slot].e)
			chaos_free(a, slot);
		else
			chaos_alloc(a, slot);
		cond_resched();
	}
	for (slot = 0; slot < NR_HELD; slot++)
		chaos_free(a, slot);
	atomic_dec(&a->c->running);
	while (!kthread_should_stop())
		schedule_timeout_idle(1);
	return 0;
}

/*
 * Nobody is between a grant and its entry: a page of the node that is not in
 * the buddy allocator has to be in the list. Frozen pages have no reference,
 * hence the look at where a page is, not at its count.
 */
static void every_page_has_an_owner(struct chaos *c, const struct owner *o)
{
	unsigned long pfn, end, nr_wrong = 0;
	struct page *page;
	void *entry;
	int b;

	down_write(&c->owned);
	for (b = 0; b < NR_BLOCKS; b++) {
		if (!o->plugged[b])
			continue;
		pfn = PHYS_PFN(o->blocks[b].start);
		end = PHYS_PFN(o->blocks[b].end + 1);
		/* None is on its way there after this. */
		zone_free_pages(page_zone(pfn_to_page(pfn)));
		while (pfn < end) {
			page = pfn_to_page(pfn);
			entry = xa_load(&c->owners, pfn);
			if (PageBuddy(page)) {
				nr_wrong += !!entry;
				pfn += 1UL << buddy_order(page);
			} else if (entry) {
				pfn += 1UL << xa_to_value(entry);
			} else {
				nr_wrong++;
				pfn++;
			}
		}
	}
	up_write(&c->owned);
	KUNIT_EXPECT_EQ_MSG(c->test, nr_wrong, 0, "pages of node %d without an owner", o->nid);
}

static void chaos_stop(void *task)
{
	kthread_stop(task);
}

static void requests_at_random(struct kunit *test)
{
	struct chaos *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	struct fixture *f = test->priv;
	struct owner *b = &f->owners[1];
	struct allocator *a;
	struct task_struct *task;
	unsigned long until;
	int i, ret;

	KUNIT_ASSERT_NOT_NULL(test, c);
	plug_all(test);
	c->test = test;
	c->f = f;
	c->seed = seed ?: get_random_u32();
	init_rwsem(&c->owned);
	xa_init(&c->owners);
	atomic_set(&c->running, NR_ALLOCATORS);
	if (IS_ENABLED(CONFIG_CPUSETS) && c->seed & 1)
		cpusets_on(test);
	kunit_info(test, "private_node_kunit.seed=%lu draws=%u", c->seed, draws);

	for (i = 0; i < NR_ALLOCATORS; i++) {
		a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, a);
		a->c = c;
		prandom_seed_state(&a->rnd, c->seed + i);
		task = kthread_run(allocate_at_random, a, "private_kunit/%d", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(task));
		KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, chaos_stop, task), 0);
	}

	/*
	 * The second owner comes and goes, which rebuilds all zonelists. With
	 * many draws, the time limit is that of KUnit.
	 */
	until = jiffies + max(600, draws / 50) * HZ;
	while (atomic_read(&c->running) && time_before(jiffies, until)) {
		every_page_has_an_owner(c, &f->owners[0]);
		every_page_has_an_owner(c, b);
		ret = private_node_remove_memory(b->pn, b->blocks, 1);
		if (!ret) {
			b->plugged[0] = false;
			schedule_timeout_idle(HZ / 50);
			ret = private_node_add_memory(b->pn, b->blocks, 1);
			KUNIT_EXPECT_EQ(test, ret, 0);
			b->plugged[0] = !ret;
			atomic_long_inc(&c->plugs);
		} else {
			/* Somebody held a page. */
			KUNIT_EXPECT_EQ(test, ret, -EBUSY);
		}
		schedule_timeout_idle(HZ / 50);
	}
	KUNIT_ASSERT_EQ_MSG(test, atomic_read(&c->running), 0, "still running");

	every_page_has_an_owner(c, &f->owners[0]);
	every_page_has_an_owner(c, b);
	expect_all_free(test, f->owners[0].nid);
	expect_all_free(test, b->nid);
	KUNIT_EXPECT_TRUE(test, xa_empty(&c->owners));
	xa_destroy(&c->owners);
	kunit_info(test, "%ld requests, %ld grants, %ld pages of private nodes, replugged %ld times",
		   atomic_long_read(&c->requests), atomic_long_read(&c->grants),
		   atomic_long_read(&c->keyed), atomic_long_read(&c->plugs));
	KUNIT_EXPECT_GT(test, atomic_long_read(&c->keyed), 0);
}

/* ---- Requests that knew a zone when it was ordinary ---- */

/* Ordinary memory comes to the node, and goes. */
static void be_ordinary_once(struct kunit *test, const struct owner *o)
{
	const unsigned long block = memory_block_size_bytes();
	enum mmop type = MMOP_ONLINE_MOVABLE;
	int ret;

	KUNIT_ASSERT_EQ(test, add_memory(o->nid, o->blocks[0].start, block, MHP_NONE), 0);
	lock_device_hotplug();
	ret = walk_memory_blocks(o->blocks[0].start, block, &type, online_as);
	unlock_device_hotplug();
	KUNIT_EXPECT_GE(test, ret, 0);
	KUNIT_EXPECT_TRUE(test, node_state(o->nid, N_MEMORY));
	KUNIT_ASSERT_EQ(test, offline_and_remove_memory(o->blocks[0].start, block), 0);
}

static unsigned long listed_pages(const struct zone *zone)
{
	unsigned long count = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		count += READ_ONCE(per_cpu_ptr(zone->per_cpu_pageset, cpu)->count);
	return count;
}

/* Leave pages where a CPU keeps them for its next request, if it keeps any */
static void free_some_pages(struct kunit *test, gfp_t gfp, int nid)
{
	struct page *pages[64];
	int i, order;

	for (order = PAGE_ALLOC_COSTLY_ORDER; order >= 0; order--) {
		for (i = 0; i < ARRAY_SIZE(pages); i++) {
			pages[i] = __alloc_pages(gfp, order, nid, NULL, ALLOC_DEFAULT);
			KUNIT_EXPECT_NOT_NULL(test, pages[i]);
		}
		for (i = 0; i < ARRAY_SIZE(pages); i++) {
			if (!pages[i])
				continue;
			/* As those do who cannot take locks */
			if (i % 2)
				free_pages_nolock(pages[i], order);
			else
				__free_pages(pages[i], order);
		}
	}
}

static void forget_zone(void *zoneref)
{
	((struct zoneref *)zoneref)->zone = NULL;
	((struct zoneref *)zoneref)->zone_idx = 0;
}

/*
 * Put @zone into a list of requests without the key that has no other: who
 * walks it is where a task is that took the pointer when the zone was ordinary.
 */
static void know_zone(struct kunit *test, struct zone *zone)
{
	struct zoneref *zoneref = node_zonelist(zone_to_nid(zone), __GFP_THISNODE)->_zonerefs;

	KUNIT_ASSERT_NULL(test, zoneref[0].zone);
	KUNIT_ASSERT_NULL(test, zoneref[1].zone);
	zoneref->zone_idx = zone_idx(zone);
	zoneref->zone = zone;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, forget_zone, zoneref), 0);
}

static void expect_refused(struct kunit *test, struct zone *zone)
{
	static const gfp_t flags[] = {
		GFP_TRY, GFP_TRY | __GFP_NORETRY, GFP_TRY | __GFP_MEMALLOC,
		__GFP_HIGH | __GFP_MOVABLE | __GFP_HIGHMEM | __GFP_NOWARN,
		GFP_KERNEL | __GFP_NOWARN,
	};
	const int nid = zone_to_nid(zone);
	struct page *page, *bulk[4] = {};
	int i, order, nr;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		for (order = 0; order <= MAX_PAGE_ORDER; order++) {
			page = __alloc_pages(flags[i] | __GFP_THISNODE, order, nid, NULL,
					     ALLOC_DEFAULT);
			KUNIT_EXPECT_NULL_MSG(test, page, "%s: order %d, gfp %pGg", zone->name,
					      order, &flags[i]);
			if (page)
				__free_pages(page, order);
		}
		nr = alloc_pages_bulk_node(flags[i] | __GFP_THISNODE, nid, ARRAY_SIZE(bulk), bulk);
		KUNIT_EXPECT_EQ_MSG(test, nr, 0, "%s: gfp %pGg", zone->name, &flags[i]);
		while (nr--) {
			__free_page(bulk[nr]);
			bulk[nr] = NULL;
		}
	}
}

/* Whoever was preempted with a pointer to a zone does not get private pages. */
static void old_pointers_lead_to_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	struct zone *zones;

	require_memory(test);
	be_ordinary_once(test, a);
	plug_all(test);
	zones = NODE_DATA(a->nid)->node_zones;

	free_some_pages(test, GFP_KEY, a->nid);
	free_some_pages(test, GFP_OWNER, a->nid);
	KUNIT_EXPECT_EQ(test, listed_pages(&zones[ZONE_MOVABLE]), 0);
	KUNIT_EXPECT_EQ(test, listed_pages(&zones[ZONE_NORMAL]), 0);

	know_zone(test, &zones[ZONE_MOVABLE]);
	expect_refused(test, &zones[ZONE_MOVABLE]);
	kunit_release_action(test, forget_zone, node_zonelist(a->nid, __GFP_THISNODE)->_zonerefs);
	know_zone(test, &zones[ZONE_NORMAL]);
	expect_refused(test, &zones[ZONE_NORMAL]);

	/* It is not that there is nothing. */
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, a->nid, NULL), a->nid);
	KUNIT_EXPECT_EQ(test, nid_of_request(GFP_OWNER, a->nid, NULL), a->nid);
	expect_all_free(test, a->nid);
}

/* Nobody can have a pointer to a zone that was never ordinary: it has lists. */
static void other_nodes_have_lists(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *b = &f->owners[1];

	require_memory(test);
	claim(test, 1);
	plug(test, 1, 1);
	free_some_pages(test, GFP_KEY, b->nid);
	KUNIT_EXPECT_GT(test, listed_pages(movable_of(b->nid)), 0);
	expect_all_free(test, b->nid);
}

#ifdef CONFIG_COMPACTION
/* A task compacts for itself, and takes the page that becomes free. Not this. */
static void compaction_captures_no_private_page(struct kunit *test)
{
	const unsigned int order = PAGE_ALLOC_COSTLY_ORDER + 1;
	struct fixture *f = test->priv;
	const int nid = f->owners[0].nid;
	struct capture_control capc = {
		.order = order,
		.migratetype = MIGRATE_MOVABLE,
	};
	unsigned long flags;
	struct page *page;

	plug_all(test);
	page = __alloc_pages(GFP_KEY, order, nid, NULL, ALLOC_DEFAULT);
	KUNIT_ASSERT_NOT_NULL(test, page);
	capc.zone = page_zone(page);

	/* Threads of the kernel capture nothing, and interrupts neither here. */
	local_irq_save(flags);
	current->flags &= ~PF_KTHREAD;
	current->capture_control = &capc;
	__free_pages(page, order);
	current->capture_control = NULL;
	current->flags |= PF_KTHREAD;
	local_irq_restore(flags);
	KUNIT_EXPECT_NULL(test, capc.page);
	if (!capc.page)
		expect_all_free(test, nid);
}
#endif

static int compute(void *unused)
{
	unsigned long until = jiffies + 30 * HZ;

	while (!kthread_should_stop() && time_before(jiffies, until)) {
		cpu_relax();
		cond_resched();
	}
	while (!kthread_should_stop())
		schedule_timeout_idle(1);
	return 0;
}

/* A thread that never sleeps, as an unprivileged user can have one, delays nobody. */
static void a_claim_waits_for_no_task(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct task_struct *task;
	unsigned long begin;

	require_memory(test);
	be_ordinary_once(test, &f->owners[0]);
	task = kthread_run(compute, NULL, "private_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, chaos_stop, task), 0);

	begin = jiffies;
	claim(test, 0);
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - begin), 5000);
	kunit_release_action(test, chaos_stop, task);
}

struct claimer {
	struct owner *owner;
	struct completion done;
	struct private_node *pn;
};

static int claim_killably(void *arg)
{
	struct claimer *c = arg;

	allow_signal(SIGKILL);
	c->pn = private_node_claim(c->owner->nid, &c->owner->desc);
	complete(&c->done);
	while (!kthread_should_stop())
		schedule_timeout_uninterruptible(1);
	return 0;
}

/* While somebody unplugs memory that is in use, others wait, but not for ever. */
static void a_claim_can_be_killed(struct kunit *test)
{
	struct claimer *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	struct fixture *f = test->priv;
	struct task_struct *task;
	unsigned long left;

	KUNIT_ASSERT_NOT_NULL(test, c);
	c->owner = &f->owners[0];
	init_completion(&c->done);
	lock_device_hotplug();
	task = kthread_run(claim_killably, c, "private_kunit");
	if (!IS_ERR(task)) {
		/* It waits. */
		left = wait_for_completion_timeout(&c->done, HZ / 5);
		KUNIT_EXPECT_EQ(test, left, 0);
		send_sig(SIGKILL, task, 1);
		left = wait_for_completion_timeout(&c->done, 5 * HZ);
		KUNIT_EXPECT_GT_MSG(test, left, 0, "still waiting");
	}
	unlock_device_hotplug();
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	kthread_stop(task);
	KUNIT_EXPECT_PTR_EQ(test, c->pn, ERR_PTR(-EINTR));
	if (!IS_ERR_OR_NULL(c->pn))
		KUNIT_EXPECT_EQ(test, private_node_release(c->pn), 0);
	KUNIT_EXPECT_FALSE(test, node_is_private(c->owner->nid));
}

struct releaser {
	struct private_node *pn;
	struct completion done;
	int ret;
};

static int release_and_tell(void *arg)
{
	struct releaser *r = arg;

	r->ret = private_node_release(r->pn);
	complete(&r->done);
	while (!kthread_should_stop())
		schedule_timeout_uninterruptible(1);
	return 0;
}

/* Giving back cannot be refused, so it must not wait for who unplugs something else. */
static void a_release_waits_for_no_unplug(struct kunit *test)
{
	struct releaser *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	struct fixture *f = test->priv;
	struct task_struct *task;
	unsigned long left = 0;

	KUNIT_ASSERT_NOT_NULL(test, r);
	claim(test, 0);
	r->pn = f->owners[0].pn;
	init_completion(&r->done);
	lock_device_hotplug();
	task = kthread_run(release_and_tell, r, "private_kunit");
	if (!IS_ERR(task))
		left = wait_for_completion_timeout(&r->done, 5 * HZ);
	unlock_device_hotplug();
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	kthread_stop(task);
	f->owners[0].pn = NULL;
	KUNIT_EXPECT_GT_MSG(test, left, 0, "still waiting");
	KUNIT_EXPECT_EQ(test, r->ret, 0);
	KUNIT_EXPECT_FALSE(test, node_is_private(f->owners[0].nid));
}

struct restless {
	struct owner *owner;
	unsigned int claims, wrong;
};

/* Claims the node whenever nobody has it, and gives it back at once. */
static int claim_and_release(void *arg)
{
	struct restless *r = arg;
	struct private_node *pn;

	while (!kthread_should_stop()) {
		pn = private_node_claim(r->owner->nid, &r->owner->desc);
		if (!IS_ERR(pn)) {
			r->claims++;
			r->wrong += !node_is_private(r->owner->nid);
			r->wrong += node_has_memory(r->owner->nid);
			r->wrong += private_node_release(pn) != 0;
		} else if (PTR_ERR(pn) != -EBUSY) {
			r->wrong++;
		}
		schedule_timeout_uninterruptible(1);
	}
	return 0;
}

/*
 * While a node is claimed and released, others add memory to it: they are
 * refused, or the node is ordinary for as long as their memory is there.
 */
static void others_add_while_claims_come_and_go(struct kunit *test)
{
	const unsigned long block = memory_block_size_bytes();
	struct restless *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	struct fixture *f = test->priv;
	enum mmop type = MMOP_ONLINE_MOVABLE;
	unsigned int added = 0, refused = 0;
	struct task_struct *task;
	unsigned long end;
	int ret;

	require_memory(test);
	KUNIT_ASSERT_NOT_NULL(test, r);
	r->owner = &f->owners[0];
	task = kthread_run(claim_and_release, r, "private_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, chaos_stop, task), 0);

	end = jiffies + 60 * HZ;
	while ((added < 10 || refused < 10) && time_before(jiffies, end)) {
		ret = add_memory(r->owner->nid, memory[0], block, MHP_NONE);
		if (ret == -EBUSY) {
			refused++;
			continue;
		}
		KUNIT_ASSERT_EQ(test, ret, 0);
		added++;
		lock_device_hotplug();
		ret = walk_memory_blocks(memory[0], block, &type, online_as);
		unlock_device_hotplug();
		KUNIT_EXPECT_GE(test, ret, 0);
		KUNIT_EXPECT_EQ(test, private_node_state(r->owner->nid), PRIVATE_NODE_FREE);
		KUNIT_EXPECT_FALSE(test, node_state(r->owner->nid, N_MEMORY_PRIVATE));
		KUNIT_ASSERT_EQ(test, offline_and_remove_memory(memory[0], block), 0);
	}
	kunit_release_action(test, chaos_stop, task);
	kunit_info(test, "%u claims, %u times memory of others, %u times refused\n",
		   r->claims, added, refused);
	KUNIT_EXPECT_GE(test, added, 10);
	KUNIT_EXPECT_GE(test, refused, 10);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_FALSE(test, node_is_private(r->owner->nid));
}

#if defined(CONFIG_HOTPLUG_CPU) && defined(CONFIG_USE_PERCPU_NUMA_NODE_ID)
/* CPUs that are offline belong to a node, too. */
static void offline_cpus_keep_a_node(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	int cpu, nid, ret;

	cpu = cpumask_last(cpu_online_mask);
	if (!cpu || !get_cpu_device(cpu))
		kunit_skip(test, "needs a second CPU");
	ret = remove_cpu(cpu);
	if (ret)
		kunit_skip(test, "CPU %d does not go: %d", cpu, ret);

	nid = cpu_to_node(cpu);
	set_cpu_numa_node(cpu, a->nid);
	a->pn = private_node_claim(a->nid, &a->desc);
	set_cpu_numa_node(cpu, nid);
	KUNIT_EXPECT_EQ(test, add_cpu(cpu), 0);

	KUNIT_EXPECT_PTR_EQ(test, a->pn, ERR_PTR(-EBUSY));
	if (!IS_ERR_OR_NULL(a->pn))
		KUNIT_EXPECT_EQ(test, private_node_release(a->pn), 0);
}
#endif

/* ---- What the key names, and what else may be done to get it ---- */

static void the_key_means_the_node(struct kunit *test)
{
	struct fixture *f = test->priv;
	nodemask_t own, ordinary;
	int i, step, nid;

	plug_all(test);
	nid = f->owners[0].nid;
	own = nodemask_of_node(nid);
	ordinary = nodemask_of_node(f->ordinary);
	/* The node has memory, has none, and is an ordinary one. */
	for (step = 0; step < 3; step++) {
		for (i = 0; i < ARRAY_SIZE(keyed); i++) {
			if (step) {
				KUNIT_EXPECT_EQ_MSG(test, nid_of_request(keyed[i], nid, NULL),
						    NUMA_NO_NODE, "step %d, case %d", step, i);
				KUNIT_EXPECT_EQ_MSG(test, nid_of_request(keyed[i], nid, &own),
						    NUMA_NO_NODE, "step %d, case %d", step, i);
			}
			KUNIT_EXPECT_EQ_MSG(test, nid_of_request(keyed[i], f->ordinary, NULL),
					    NUMA_NO_NODE, "step %d, case %d", step, i);
			KUNIT_EXPECT_EQ_MSG(test, nid_of_request(keyed[i], f->ordinary, &own),
					    step || keyed[i] & __GFP_THISNODE ? NUMA_NO_NODE : nid,
					    "step %d, case %d", step, i);
			KUNIT_EXPECT_EQ_MSG(test, nid_of_request(keyed[i], f->ordinary, &ordinary),
					    f->ordinary, "step %d, case %d", step, i);
		}
		if (!step)
			unplug_action(&f->owners[0]);
		else if (step == 1)
			release(test, 0);
	}
}

/* On a node that was never ordinary, what one CPU has freed is there for another. */
static void lists_of_other_cpus_are_collected(struct kunit *test)
{
	const gfp_t gfp = GFP_KEY & ~__GFP_HARDWALL;
	struct fixture *f = test->priv;
	cpumask_var_t allowed;
	struct zone *zone;
	struct page *page;
	LIST_HEAD(list);
	int first, i, round, nid;

	require_memory(test);
	first = cpumask_first(cpu_online_mask);
	if (cpumask_next(first, cpu_online_mask) >= nr_cpu_ids)
		kunit_skip(test, "needs a second CPU");
	claim(test, 1);
	plug(test, 1, 1);
	nid = f->owners[1].nid;
	zone = movable_of(nid);

	KUNIT_ASSERT_TRUE(test, zalloc_cpumask_var(&allowed, GFP_KERNEL));
	cpumask_copy(allowed, current->cpus_ptr);
	set_cpus_allowed_ptr(current, cpumask_of(first));
	for (round = 0; round < 4; round++) {
		for (i = 0; i < 8192; i++) {
			page = __alloc_pages(gfp, 0, nid, NULL, ALLOC_DEFAULT);
			if (!page)
				break;
			list_add(&page->lru, &list);
		}
		free_list_of_pages(&list, nid);
		INIT_LIST_HEAD(&list);
		cond_resched();
	}
	KUNIT_EXPECT_GT(test, listed_pages(zone), 64);

	set_cpus_allowed_ptr(current, cpumask_of(cpumask_next(first, cpu_online_mask)));
	exhaust(&list, nid, NULL);
	KUNIT_EXPECT_EQ(test, listed_pages(zone), 0);
	set_cpus_allowed_ptr(current, allowed);
	free_cpumask_var(allowed);
	KUNIT_EXPECT_EQ(test, free_list_of_pages(&list, nid), 0);
	expect_all_free(test, nid);
}

/* How many of these requests, which get nothing, took from CPUs what they keep? */
static unsigned int drained_by(gfp_t gfp, unsigned int order, struct zone *zone,
			       unsigned int requests)
{
	const int nid = zone_to_nid(zone);
	unsigned int drained = 0;
	struct page *page;

	while (requests--) {
		/* What is given back is kept, with what else came then. */
		page = __alloc_pages(GFP_KEY & ~__GFP_HARDWALL, 0, nid, NULL, ALLOC_DEFAULT);
		if (page)
			__free_pages(page, 0);
		if (!listed_pages(zone))
			return UINT_MAX;
		page = __alloc_pages(gfp & ~__GFP_HARDWALL, order, nid, NULL, ALLOC_DEFAULT);
		if (page) {
			__free_pages(page, order);
			return UINT_MAX;
		}
		drained += !listed_pages(zone);
	}
	return drained;
}

/* Where memory is fragmented, who asks for large folios does not empty all lists. */
static void large_requests_leave_lists(struct kunit *test)
{
	struct page *page, *next;
	cpumask_var_t allowed;
	unsigned int drained;
	struct zone *zone;
	LIST_HEAD(list);
	LIST_HEAD(rest);
	int i, nid;

	require_memory(test);
	claim(test, 1);
	plug(test, 1, 1);
	zone = movable_of(((struct fixture *)test->priv)->owners[1].nid);
	nid = zone_to_nid(zone);
	for (i = 0; i < 8192; i++) {
		page = __alloc_pages(GFP_KEY & ~__GFP_HARDWALL, 0, nid, NULL, ALLOC_DEFAULT);
		if (page)
			list_add(&page->lru, &list);
	}
	/* What watermarks keep is in large blocks. */
	exhaust_by((GFP_KEY | __GFP_MEMALLOC) & ~__GFP_HARDWALL, &rest, nid, NULL);
	list_for_each_entry_safe(page, next, &list, lru) {
		/* No two beside each other */
		if (page_to_pfn(page) % 4)
			continue;
		list_del(&page->lru);
		__free_pages(page, 0);
	}

	KUNIT_ASSERT_TRUE(test, zalloc_cpumask_var(&allowed, GFP_KERNEL));
	cpumask_copy(allowed, current->cpus_ptr);
	set_cpus_allowed_ptr(current, cpumask_of(cpumask_first(cpu_online_mask)));
	drained = drained_by(GFP_KEY, 2, zone, 512);
	KUNIT_EXPECT_GT(test, drained, 0);
	KUNIT_EXPECT_LT(test, drained, 32);
	/* Nobody else has to suffer from it. */
	KUNIT_EXPECT_EQ(test, drained_by(GFP_KEY | __GFP_RETRY_MAYFAIL, 2, zone, 8), 8);
	set_cpus_allowed_ptr(current, allowed);
	free_cpumask_var(allowed);
	KUNIT_EXPECT_EQ(test, free_list_of_pages(&list, nid), 0);
	KUNIT_EXPECT_EQ(test, free_list_of_pages(&rest, nid), 0);
	expect_all_free(test, nid);
}

/* All of the first owner in one zone for the kernel, large enough for what zones do then */
static struct zone *plug_kernel_zone(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0];
	struct zone *zone;
	int b;

	require_memory(test);
	claim(test, 0);
	plug(test, 0, NR_BLOCKS);
	for (b = 0; b < NR_BLOCKS; b++)
		to_kernel_zone(test, &a->blocks[b]);
	zone = &NODE_DATA(a->nid)->node_zones[ZONE_NORMAL];
	if (zone_managed_pages(zone) / 100 < pageblock_nr_pages)
		kunit_skip(test, "needs memory blocks of %lu pages",
			   pageblock_nr_pages * 100 / NR_BLOCKS);
	return zone;
}

/* What is reserved for atomic requests of high order is used before one fails. */
static void reserves_are_used(struct kunit *test)
{
	const unsigned int order = PAGE_ALLOC_COSTLY_ORDER;
	struct page *page, *next;
	struct zone *zone;
	LIST_HEAD(list);
	int i, nid;

	zone = plug_kernel_zone(test);
	nid = zone_to_nid(zone);
	while ((page = __alloc_pages(GFP_OWNER | __GFP_COMP, order, nid, NULL, ALLOC_DEFAULT)))
		list_add(&page->lru, &list);

	/* Between the low and the min watermark */
	i = 0;
	while (!zone->nr_reserved_highatomic && i++ < 64 && !list_empty(&list)) {
		next = list_last_entry(&list, struct page, lru);
		list_del(&next->lru);
		__free_pages(next, order);
		page = __alloc_pages(GFP_ATOMIC | __GFP_NOWARN | __GFP_COMP | __GFP_PRIVATE, order,
				     nid, NULL, ALLOC_DEFAULT);
		if (page)
			list_add(&page->lru, &list);
	}
	KUNIT_EXPECT_GT(test, zone->nr_reserved_highatomic, 0);
	KUNIT_EXPECT_EQ(test, free_list_of_pages(&list, nid), 0);

	INIT_LIST_HEAD(&list);
	exhaust_by(GFP_OWNER, &list, nid, NULL);
	KUNIT_EXPECT_LE(test, zone->nr_free_highatomic, min_wmark_pages(zone));
	KUNIT_EXPECT_EQ(test, free_list_of_pages(&list, nid), 0);
	expect_all_free(test, nid);
}

/* Mixing kinds of pages in a block raises watermarks until kswapd has run: never here. */
static void watermarks_are_not_boosted(struct kunit *test)
{
	struct page *page, *next;
	struct zone *zone;
	LIST_HEAD(list);
	LIST_HEAD(movable);
	LIST_HEAD(unmovable);
	int i, nid;

	zone = plug_kernel_zone(test);
	nid = zone_to_nid(zone);
	exhaust_by(GFP_OWNER | __GFP_MOVABLE, &list, nid, NULL);
	/* The last are the large ones. Of four of these, keep every other page. */
	for (i = 0; i < 4; i++) {
		page = list_last_entry(&list, struct page, lru);
		KUNIT_EXPECT_GE(test, compound_order(page), pageblock_order);
		list_del(&page->lru);
		__free_pages(page, compound_order(page));
	}
	while ((page = __alloc_pages(GFP_OWNER | __GFP_MOVABLE, 0, nid, NULL, ALLOC_DEFAULT)))
		list_add(&page->lru, &movable);
	list_for_each_entry_safe(page, next, &movable, lru) {
		if (page_to_pfn(page) % 2)
			continue;
		list_del(&page->lru);
		__free_page(page);
	}

	for (i = 0; i < 100; i++) {
		page = __alloc_pages(GFP_OWNER, 0, nid, NULL, ALLOC_DEFAULT);
		KUNIT_EXPECT_NOT_NULL(test, page);
		if (page)
			list_add(&page->lru, &unmovable);
	}
	KUNIT_EXPECT_EQ(test, zone->watermark_boost, 0);
	free_list_of_pages(&unmovable, nid);
	free_list_of_pages(&movable, nid);
	free_list_of_pages(&list, nid);
	expect_all_free(test, nid);
}

/* ---- Pages of files, which can be reclaimed and migrated ---- */

static int cache_init_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, 0x50524956) ? 0 : -ENOMEM;
}

static struct file_system_type cache_fs = {
	.name = "private_node_kunit",
	.init_fs_context = cache_init_fs_context,
	.kill_sb = kill_anon_super,
	.owner = THIS_MODULE,
};

static const struct address_space_operations cache_aops = {
	.migrate_folio = migrate_folio,
};

struct cache {
	struct vfsmount *mnt;
	struct inode *inode;
	pgoff_t end;
};

static void cache_drop(void *arg)
{
	struct cache *cache = arg;

	if (cache->inode)
		iput(cache->inode);
	kern_unmount(cache->mnt);
}

static struct cache *cache_create(struct kunit *test)
{
	struct cache *cache = kunit_kzalloc(test, sizeof(*cache), GFP_KERNEL);
	struct inode *inode;

	KUNIT_ASSERT_NOT_NULL(test, cache);
	cache->mnt = kern_mount(&cache_fs);
	KUNIT_ASSERT_FALSE(test, IS_ERR(cache->mnt));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, cache_drop, cache), 0);
	inode = alloc_anon_inode(cache->mnt->mnt_sb);
	KUNIT_ASSERT_FALSE(test, IS_ERR(inode));
	inode->i_mapping->a_ops = &cache_aops;
	mapping_set_large_folios(inode->i_mapping);
	cache->inode = inode;
	return cache;
}

/* Add a clean folio. Returns false if there is none to be had. */
static bool cache_add(struct kunit *test, struct cache *cache, gfp_t gfp, unsigned int order,
		      int nid)
{
	struct folio *folio = __folio_alloc_node(gfp, order, nid);
	int ret;

	if (!folio)
		return false;
	KUNIT_EXPECT_EQ(test, folio_nid(folio), nid);
	cache->end = round_up(cache->end, 1UL << order);
	ret = filemap_add_folio(cache->inode->i_mapping, folio, cache->end, GFP_KERNEL);
	KUNIT_EXPECT_EQ(test, ret, 0);
	if (!ret) {
		cache->end += 1UL << order;
		folio_mark_uptodate(folio);
		folio_unlock(folio);
	}
	folio_put(folio);
	return !ret;
}

#define NR_CACHED	2048

/* Neither by direct reclaim, nor where vm.zone_reclaim_mode wants it to be tried first */
static void nobody_reclaims_private_pages(struct kunit *test)
{
	const int reclaim_mode = node_reclaim_mode;
	struct fixture *f = test->priv;
	struct cache *cache;
	LIST_HEAD(list);
	int i, nid;

	require_memory(test);
	claim(test, 1);
	plug(test, 1, 1);
	nid = f->owners[1].nid;
	cache = cache_create(test);
	for (i = 0; i < NR_CACHED; i++)
		KUNIT_ASSERT_TRUE(test, cache_add(test, cache, GFP_KEY, 0, nid));
	lru_add_drain_all();
	exhaust(&list, nid, NULL);

	/* With less than this, lru_gen reclaims nothing. */
	node_reclaim_mode = RECLAIM_ZONE | RECLAIM_WRITE | RECLAIM_UNMAP;
	for (i = 0; i < 16; i++)
		KUNIT_EXPECT_EQ(test, nid_of_request(GFP_KEY, nid, NULL), NUMA_NO_NODE);
	node_reclaim_mode = reclaim_mode;
	KUNIT_EXPECT_EQ(test, cache->inode->i_mapping->nrpages, NR_CACHED);

	free_list_of_pages(&list, nid);
	kunit_release_action(test, cache_drop, cache);
	expect_all_free(test, nid);
}

static void remove_ordinary(void *arg)
{
	struct owner *o = arg;
	int ret = offline_and_remove_memory(o->blocks[0].start, range_len(&o->blocks[0]));

	if (ret)
		KUNIT_FAIL(kunit_get_current_test(), "remove: %d", ret);
}

/* If a node of the other kind was named, too, that is reclaimed. */
static void ordinary_nodes_are_reclaimed_for_the_key(struct kunit *test)
{
	const gfp_t no_reclaim = __GFP_HIGHMEM | __GFP_MOVABLE | __GFP_NOWARN | __GFP_THISNODE;
	const gfp_t gfp = (GFP_KEY & ~__GFP_HARDWALL) & ~__GFP_KSWAPD_RECLAIM;
	enum mmop type = MMOP_ONLINE_MOVABLE;
	struct fixture *f = test->priv;
	struct owner *a = &f->owners[0], *b = &f->owners[1];
	unsigned long cached, hidden;
	struct cache *cache;
	struct page *page;
	LIST_HEAD(ordinary);
	LIST_HEAD(private);
	LIST_HEAD(got);
	nodemask_t both;
	int i, ret;

	require_memory(test);
	KUNIT_ASSERT_EQ(test, add_memory(a->nid, a->blocks[0].start, range_len(&a->blocks[0]),
					 MHP_NONE), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, remove_ordinary, a), 0);
	lock_device_hotplug();
	ret = walk_memory_blocks(a->blocks[0].start, range_len(&a->blocks[0]), &type, online_as);
	unlock_device_hotplug();
	KUNIT_ASSERT_GE(test, ret, 0);
	claim(test, 1);
	plug(test, 1, 1);

	cache = cache_create(test);
	for (i = 0; i < NR_CACHED; i++)
		KUNIT_ASSERT_TRUE(test, cache_add(test, cache, GFP_TRY | __GFP_THISNODE, 0,
						  a->nid));
	lru_add_drain_all();
	exhaust_by(no_reclaim, &ordinary, a->nid, NULL);
	/* What other CPUs have on their lists is not always collected at once. */
	do {
		drain_all_pages(NULL);
	} while (exhaust(&private, b->nid, NULL));
	cached = cache->inode->i_mapping->nrpages;
	KUNIT_EXPECT_GT(test, cached, NR_CACHED / 2);
	hidden = hidden_pages(b->nid);
	KUNIT_EXPECT_LT(test, hidden, NR_CACHED / 8);

	both = nodemask_of_node(a->nid);
	node_set(b->nid, both);
	for (i = 0; i < NR_CACHED / 4; i++) {
		page = __alloc_pages(gfp, 0, b->nid, &both, ALLOC_DEFAULT);
		KUNIT_EXPECT_NOT_NULL_MSG(test, page, "request %d", i);
		if (!page)
			break;
		list_add(&page->lru, &got);
	}
	KUNIT_EXPECT_LT(test, cache->inode->i_mapping->nrpages, cached);
	KUNIT_EXPECT_LE(test, free_list_of_pages(&got, a->nid), hidden);
	KUNIT_EXPECT_EQ(test, free_list_of_pages(&ordinary, a->nid), 0);
	KUNIT_EXPECT_EQ(test, free_list_of_pages(&private, b->nid), 0);
	expect_all_free(test, b->nid);
}

#ifdef CONFIG_CONTIG_ALLOC
/* What is in the way of a range goes elsewhere on the node, whatever its size. */
static void contig_ranges_move_within_the_node(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 4 };
	struct fixture *f = test->priv;
	struct address_space *mapping;
	unsigned long pfn;
	struct folio *folio;
	struct cache *cache;
	pgoff_t index;
	int i, nid, ret;

	plug_all(test);
	nid = f->owners[0].nid;
	cache = cache_create(test);
	mapping = cache->inode->i_mapping;
	/* Clean pages would be reclaimed, not moved. */
	mapping_set_unevictable(mapping);
	not_granted(test, nid);
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		KUNIT_ASSERT_TRUE(test, cache_add(test, cache, GFP_KEY & ~__GFP_HARDWALL,
						  orders[i], nid));
		lru_add_drain_all();
		index = cache->end - 1;
		folio = filemap_get_folio(mapping, index);
		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		KUNIT_EXPECT_EQ(test, folio_order(folio), orders[i]);
		pfn = ALIGN_DOWN(folio_pfn(folio), pageblock_nr_pages);
		folio_put(folio);

		ret = alloc_contig_range(pfn, pfn + pageblock_nr_pages, ACR_FLAGS_NONE, GFP_OWNER);
		KUNIT_EXPECT_EQ_MSG(test, ret, 0, "order %u", orders[i]);
		if (!ret)
			free_contig_range(pfn, pageblock_nr_pages);
		folio = filemap_get_folio(mapping, index);
		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		KUNIT_EXPECT_EQ(test, folio_nid(folio), nid);
		KUNIT_EXPECT_EQ(test, folio_order(folio), orders[i]);
		KUNIT_EXPECT_NE_MSG(test, ALIGN_DOWN(folio_pfn(folio), pageblock_nr_pages), pfn,
				    "order %u: still there", orders[i]);
		folio_put(folio);
	}
	kunit_release_action(test, cache_drop, cache);
	expect_all_free(test, nid);
}
#endif

static struct kunit_case private_node_cases[] = {
	KUNIT_CASE(refuses_bad_descriptions),
	KUNIT_CASE(refuses_bad_nodes),
	KUNIT_CASE(claims_and_releases),
	KUNIT_CASE(nothing_before_memory_has_come),
#ifdef CONFIG_FAULT_INJECTION
	/* The first to plug anything, for the zonelists are allocated just once. */
	KUNIT_CASE_SLOW(any_allocation_of_a_plug_may_fail),
	KUNIT_CASE_SLOW(any_allocation_of_a_long_plug_may_fail),
	KUNIT_CASE_SLOW(any_allocation_of_an_unplug_may_fail),
	KUNIT_CASE(a_failed_area_is_free_at_once),
#endif
	KUNIT_CASE(changes_features_without_memory),
	KUNIT_CASE(pool_is_empty),
	KUNIT_CASE_SLOW(memory_comes_and_goes),
	KUNIT_CASE(kernel_zone_is_private_too),
	KUNIT_CASE(refuses_bad_ranges),
	KUNIT_CASE(only_the_owner_adds),
	KUNIT_CASE(ordinary_memory_stays_ordinary),
	KUNIT_CASE(a_stuck_page_keeps_all_as_it_is),
	KUNIT_CASE_SLOW(a_failed_plug_leaves_nothing),
	KUNIT_CASE_SLOW(a_failed_undo_can_be_made_up_for),
	KUNIT_CASE_SLOW(a_failed_unplug_leaves_all),
	KUNIT_CASE(owner_hears_of_the_end),
	KUNIT_CASE(no_ordinary_list_has_a_private_zone),
	KUNIT_CASE(private_lists_are_complete),
	KUNIT_CASE_SLOW(no_key_no_private_memory),
	KUNIT_CASE_SLOW(the_key_opens_what_is_named),
	KUNIT_CASE(the_key_is_enough),
	KUNIT_CASE(node_loops_fail_on_private_nodes),
	KUNIT_CASE(kmalloc_ignores_the_key),
	KUNIT_CASE(nofail_with_the_key_is_ordinary),
	KUNIT_CASE(requests_are_confined),
	KUNIT_CASE_SLOW(exhaustion_stays_with_the_owner),
	KUNIT_CASE(works_in_interrupts),
	KUNIT_CASE(mixed_nodemask_prefers_the_nearer),
	KUNIT_CASE(pages_of_a_rewritten_list_go_back),
	KUNIT_CASE(closed_nodes_give_nothing),
#ifdef CONFIG_CPUSETS
	KUNIT_CASE(hardwall_needs_permission),
#endif
#ifdef CONFIG_CONTIG_ALLOC
	KUNIT_CASE(contig_ranges_need_the_key),
	KUNIT_CASE(contig_ranges_leave_isolation_alone),
#endif
	KUNIT_CASE(the_system_looks_the_same),
	KUNIT_CASE(slab_builds_nothing),
#ifdef CONFIG_PAGE_REPORTING
	KUNIT_CASE(free_pages_are_not_reported),
#endif
	KUNIT_CASE(nobody_hibernates_with_it),
	KUNIT_CASE_SLOW(requests_at_random),
	KUNIT_CASE_SLOW(old_pointers_lead_to_nothing),
	KUNIT_CASE(other_nodes_have_lists),
#ifdef CONFIG_COMPACTION
	KUNIT_CASE(compaction_captures_no_private_page),
#endif
	KUNIT_CASE(a_claim_waits_for_no_task),
	KUNIT_CASE(a_claim_can_be_killed),
	KUNIT_CASE(a_release_waits_for_no_unplug),
	KUNIT_CASE_SLOW(others_add_while_claims_come_and_go),
#if defined(CONFIG_HOTPLUG_CPU) && defined(CONFIG_USE_PERCPU_NUMA_NODE_ID)
	KUNIT_CASE(offline_cpus_keep_a_node),
#endif
	KUNIT_CASE(the_key_means_the_node),
	KUNIT_CASE_SLOW(lists_of_other_cpus_are_collected),
	KUNIT_CASE_SLOW(large_requests_leave_lists),
	KUNIT_CASE_SLOW(reserves_are_used),
	KUNIT_CASE_SLOW(watermarks_are_not_boosted),
	KUNIT_CASE_SLOW(nobody_reclaims_private_pages),
	KUNIT_CASE_SLOW(ordinary_nodes_are_reclaimed_for_the_key),
#ifdef CONFIG_CONTIG_ALLOC
	KUNIT_CASE(contig_ranges_move_within_the_node),
#endif
	{}
};

static struct kunit_suite private_node_suite = {
	.name = "private_node",
	.init = private_init,
	.test_cases = private_node_cases,
};

kunit_test_suite(private_node_suite);

MODULE_DESCRIPTION("KUnit tests for private NUMA nodes");
MODULE_LICENSE("GPL");
