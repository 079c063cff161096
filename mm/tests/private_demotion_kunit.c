// SPDX-License-Identifier: GPL-2.0
/*
 * Tests for private nodes in memory tiers: whose memory may be demoted there, and
 * that the tiers of others stay what they are. What is demoted is tested by
 * tools/testing/selftests/private_tier.
 *
 * The cases plug memory that nothing else uses into a node;
 * private_demotion_kunit.memory= says where.
 */
#define pr_fmt(fmt) "private_demotion_kunit: " fmt

#include <kunit/test.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/memory.h>
#include <linux/memory-tiers.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/pagemap.h>
#include <linux/private_node.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>

#include "private_fixture.h"
#include "../internal.h"
#include "../private_demotion.h"
#include "../private_lru.h"

#define FEATURES	(PRIVATE_NODE_RECLAIM | PRIVATE_NODE_DEMOTION)
#define FAST		(MEMTIER_ADISTANCE_DRAM - 2 * MEMTIER_CHUNK_SIZE)
#define SAME		MEMTIER_ADISTANCE_DRAM
#define SLOW		(MEMTIER_ADISTANCE_DRAM + 2 * MEMTIER_CHUNK_SIZE)

static unsigned long long memory;
module_param(memory, ullong, 0444);
MODULE_PARM_DESC(memory, "Physical address of an unused memory block, and another one behind it");

static void plug_with(struct kunit *test, struct fixture *f, unsigned long features,
		      int adistance)
{
	unplug(f);
	KUNIT_ASSERT_EQ(test, private_node_set_features(f->pn, features, adistance), 0);
	plug(test, f);
}

static struct fixture *node_for(struct kunit *test)
{
	struct fixture *f = node_at(test, memory, "kunit-demotion", FEATURES);

	plug_with(test, f, FEATURES, SLOW);
	return f;
}

#ifdef CONFIG_NUMA_MIGRATION
/* Is memory of the first ordinary node demoted to this one, if that is granted? */
static bool is_target(const struct fixture *f)
{
	nodemask_t targets;

	node_get_allowed_targets(NODE_DATA(first_memory_node), &targets);
	return node_isset(f->nid, targets);
}

/* The owner says whether the node is in a tier, and in which. */
static void tiers_are_up_to_the_owner(struct kunit *test)
{
	static const struct {
		unsigned long features;
		int adistance;
		bool target;
	} rows[] = {
		{ FEATURES, SLOW, true }, { FEATURES, FAST, false },
		{ FEATURES, SAME, false }, { PRIVATE_NODE_RECLAIM, SLOW, false },
		{ PRIVATE_NODE_FEATURES, SLOW, true }, { 0, SLOW, false },
	};
	struct fixture *f = node_for(test);
	nodemask_t ordinary = node_states[N_MEMORY];
	int i, next = next_demotion_node(first_memory_node, &ordinary);

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		plug_with(test, f, rows[i].features, rows[i].adistance);
		/* Without memory cgroups nobody can be granted it. */
		KUNIT_EXPECT_EQ_MSG(test, is_target(f),
				    rows[i].target && !mem_cgroup_disabled(),
				    "row %d", i);
		KUNIT_EXPECT_EQ_MSG(test, node_is_toptier(f->nid), !rows[i].target,
				    "row %d", i);
		/* Nothing of it concerns others. */
		KUNIT_EXPECT_TRUE(test, node_is_toptier(first_memory_node));
		KUNIT_EXPECT_EQ(test, next_demotion_node(first_memory_node, &ordinary), next);
		unplug(f);
		KUNIT_EXPECT_FALSE(test, is_target(f));
	}
}
#endif

/* Without a memory cgroup, and for the root, there is no private node. */
static void nobody_is_granted_nothing(struct kunit *test)
{
	struct fixture *f = node_for(test);
	struct mem_cgroup *root;
	nodemask_t mask;

	root = mem_cgroup_iter(NULL, NULL, NULL);
	if (!mem_cgroup_disabled()) {
		mask = node_states[N_MEMORY];
		node_set(f->nid, mask);
		mem_cgroup_node_filter_allowed(NULL, &mask);
		KUNIT_EXPECT_TRUE(test, nodes_equal(mask, node_states[N_MEMORY]));

		node_set(f->nid, mask);
		mem_cgroup_node_filter_allowed(root, &mask);
		KUNIT_EXPECT_FALSE(test, node_isset(f->nid, mask));
	}
	mem_cgroup_iter_break(NULL, root);
}

#ifdef CONFIG_SHMEM
#define NR_PAGES	8

/* A file of tmpfs with pages of ordinary nodes, isolated as reclaim has them */
struct cold {
	struct file *file;
	struct list_head folios;
};

static void put_file(void *file)
{
	fput(file);
}

static void cold_begin(struct kunit *test, struct cold *cold)
{
	struct folio *folio;
	int i;

	INIT_LIST_HEAD(&cold->folios);
	cold->file = shmem_kernel_file_setup("kunit-demotion", NR_PAGES * PAGE_SIZE,
					     EMPTY_VMA_FLAGS);
	KUNIT_ASSERT_FALSE(test, IS_ERR(cold->file));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_file, cold->file), 0);
	for (i = 0; i < NR_PAGES; i++) {
		folio = shmem_read_folio(cold->file->f_mapping, i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		memset_page(folio_page(folio, 0), 0, i + 1, PAGE_SIZE);
		lru_add_drain();
		if (folio_isolate_lru(folio))
			list_add_tail(&folio->lru, &cold->folios);
		folio_put(folio);
	}
	KUNIT_ASSERT_EQ(test, list_count_nodes(&cold->folios), NR_PAGES);
}

/* What is left is put back; each page is intact, and so many are on the node. */
static void cold_end(struct kunit *test, struct cold *cold, int nid, int expected)
{
	struct folio *folio;
	int i, there = 0;

	private_putback_kept(&cold->folios);
	for (i = 0; i < NR_PAGES; i++) {
		folio = shmem_read_folio(cold->file->f_mapping, i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		KUNIT_EXPECT_EQ(test, *(u8 *)folio_address(folio), i + 1);
		there += folio_nid(folio) == nid;
		folio_put(folio);
	}
	KUNIT_EXPECT_EQ(test, there, expected);
}

/* Memory of tmpfs goes, page cache does not. The mask is without the node then. */
static void page_cache_is_left(struct kunit *test)
{
	struct fixture *f = node_for(test);
	struct folio *stays = folio_alloc(GFP_KERNEL, 0);
	nodemask_t allowed = node_states[N_MEMORY];
	struct cold cold;

	KUNIT_ASSERT_NOT_NULL(test, stays);
	node_set(f->nid, allowed);
	cold_begin(test, &cold);
	list_add(&stays->lru, &cold.folios);
	KUNIT_EXPECT_EQ(test, private_demote_folios(&cold.folios, f->ordinary, &allowed),
			NR_PAGES);
	KUNIT_EXPECT_TRUE(test, nodes_equal(allowed, node_states[N_MEMORY]));
	KUNIT_EXPECT_TRUE(test, list_is_singular(&cold.folios));
	KUNIT_EXPECT_PTR_EQ(test, list_first_entry(&cold.folios, struct folio, lru), stays);
	list_del(&stays->lru);
	folio_put(stays);
	cold_end(test, &cold, f->nid, NR_PAGES);
}

struct leaving {
	struct notifier_block block;
	struct cold cold;
	int nid, ordinary;
	unsigned int demoted, calls;
};

static int demote_meanwhile(struct notifier_block *block, unsigned long action, void *arg)
{
	struct leaving *l = container_of(block, struct leaving, block);
	nodemask_t allowed = nodemask_of_node(l->nid);

	if (action == MEM_GOING_OFFLINE && !l->calls++)
		l->demoted = private_demote_folios(&l->cold.folios, l->ordinary, &allowed);
	return NOTIFY_OK;
}

/* One of two blocks is about to go: nothing is brought to the other one, either. */
static void leaving_nodes_are_no_targets(struct kunit *test)
{
	struct fixture *f = node_for(test);
	struct leaving l = { .block.notifier_call = demote_meanwhile };

	if (phys_to_target_node(f->block.end + 1) != f->nid)
		kunit_skip(test, "needs two memory blocks of the node");
	unplug(f);
	f->block.end += memory_block_size_bytes();
	plug(test, f);
	l.nid = f->nid;
	l.ordinary = f->ordinary;
	cold_begin(test, &l.cold);
	KUNIT_ASSERT_EQ(test, register_memory_notifier(&l.block), 0);
	unplug(f);
	unregister_memory_notifier(&l.block);
	KUNIT_EXPECT_GE(test, l.calls, 2);
	KUNIT_EXPECT_EQ(test, l.demoted, 0);
	cold_end(test, &l.cold, f->nid, 0);
}
#endif

static struct kunit_case private_demotion_cases[] = {
#ifdef CONFIG_NUMA_MIGRATION
	KUNIT_CASE_SLOW(tiers_are_up_to_the_owner),
#endif
	KUNIT_CASE(nobody_is_granted_nothing),
#ifdef CONFIG_SHMEM
	KUNIT_CASE(page_cache_is_left),
	KUNIT_CASE_SLOW(leaving_nodes_are_no_targets),
#endif
	{}
};

static struct kunit_suite private_demotion_suite = {
	.name = "private_demotion",
	.test_cases = private_demotion_cases,
};
kunit_test_suite(private_demotion_suite);

MODULE_DESCRIPTION("KUnit tests for private nodes in memory tiers");
MODULE_LICENSE("GPL");
