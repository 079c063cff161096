// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for nodes that were reserved at boot for private memory. What is
 * there to be tested depends on the boot parameter numa_spm=; the tests skip
 * without it. Which nodes it should have reserved is said by the parameter
 * reserved=, a list of node ids, or "none".
 */
#include <kunit/test.h>
#include <linux/acpi.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/string.h>
#include <linux/topology.h>

static char *reserved;
module_param(reserved, charp, 0444);
MODULE_PARM_DESC(reserved, "The nodes that numa_spm= asks for, a list or \"none\"");

/* Reserved, and without an owner */
static bool numa_spm_is_reserved(int nid)
{
	return private_node_state(nid) == PRIVATE_NODE_RESERVED;
}

/* These and no others, whether a driver has claimed some by now or not */
static void numa_spm_test_the_right_nodes_are_reserved(struct kunit *test)
{
	nodemask_t expected = NODE_MASK_NONE;
	bool wanted;
	int nid;

	if (!reserved)
		kunit_skip(test, "needs numa_spm_kunit.reserved=, which nodes numa_spm= asks for");
	if (strcmp(reserved, "none"))
		KUNIT_ASSERT_EQ(test, nodelist_parse(reserved, expected), 0);

	for (nid = 0; nid < MAX_NUMNODES; nid++) {
		wanted = node_isset(nid, expected);
		KUNIT_EXPECT_EQ_MSG(test, private_node_is_reserved(nid), wanted,
				    "node %d", nid);
		if (!wanted) {
			KUNIT_EXPECT_EQ_MSG(test, private_node_reserved_features(nid),
					    0, "node %d", nid);
			continue;
		}
		KUNIT_EXPECT_TRUE_MSG(test, node_possible(nid), "node %d", nid);
		KUNIT_EXPECT_TRUE_MSG(test, node_is_private(nid), "node %d", nid);
		KUNIT_EXPECT_NE_MSG(test, private_node_state(nid),
				    PRIVATE_NODE_FREE, "node %d", nid);
		KUNIT_EXPECT_FALSE_MSG(test, node_state(nid, N_MEMORY),
				       "node %d", nid);
		KUNIT_EXPECT_FALSE_MSG(test, node_state(nid, N_CPU),
				       "node %d", nid);
		KUNIT_EXPECT_LT_MSG(test, nid, nr_node_ids, "node %d", nid);
	}
	KUNIT_EXPECT_FALSE(test, private_node_is_reserved(NUMA_NO_NODE));
	KUNIT_EXPECT_FALSE(test, private_node_is_reserved(MAX_NUMNODES));
}

static void numa_spm_release(void *pn)
{
	private_node_release(pn);
}

/* An owner has its own features or, if it likes, those of the reservation. */
static void numa_spm_test_owner_may_keep_features(struct kunit *test)
{
	struct private_node_desc desc = {
		.name = "numa_spm_kunit",
		.adistance = 1,
	};
	struct private_node *pn;
	unsigned long wanted;
	int nid, keep;

	for_each_node(nid)
		if (numa_spm_is_reserved(nid))
			break;
	if (nid >= MAX_NUMNODES)
		kunit_skip(test, "no reserved node without owner: boot with numa_spm=pool=1");

	wanted = private_node_reserved_features(nid);
	desc.features = wanted ^ PRIVATE_NODE_LTPIN;
	KUNIT_EXPECT_EQ(test, private_node_features(nid), wanted);
	for (keep = 0; keep < 2; keep++) {
		desc.keep_reserved_features = keep;
		pn = private_node_claim(nid, &desc);
		KUNIT_ASSERT_FALSE(test, IS_ERR(pn));
		KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, numa_spm_release, pn), 0);
		KUNIT_EXPECT_EQ_MSG(test, private_node_features(nid),
				    keep ? wanted : desc.features, "keep %d", keep);
		KUNIT_EXPECT_EQ(test, private_node_reserved_features(nid), wanted);
		kunit_release_action(test, numa_spm_release, pn);
		KUNIT_EXPECT_EQ(test, private_node_features(nid), wanted);

		pn = private_node_claim_reserved(0, &desc);
		if (pn == ERR_PTR(-ENOSPC))
			continue;
		KUNIT_ASSERT_FALSE(test, IS_ERR(pn));
		KUNIT_EXPECT_EQ_MSG(test, private_node_features(private_node_nid(pn)),
				    keep ? wanted : desc.features, "keep %d", keep);
		KUNIT_EXPECT_EQ(test, private_node_release(pn), 0);
	}
}

/* All distances but to itself are those of a remote node. */
static void numa_spm_test_made_nodes_are_remote(struct kunit *test)
{
	int nid, other, count = 0;

	for_each_node(nid) {
		if (!numa_spm_is_reserved(nid) || node_to_pxm(nid) != PXM_INVAL)
			continue;
		count++;
		for_each_node(other)
			KUNIT_EXPECT_EQ_MSG(test, node_distance(nid, other),
					    nid == other ? LOCAL_DISTANCE :
							   REMOTE_DISTANCE,
					    "nodes %d and %d", nid, other);
	}
	if (!count)
		kunit_skip(test, "no node without a proximity domain: boot with numa_spm=pool=1");
}

static void numa_spm_test_made_nodes_are_not_real(struct kunit *test)
{
	int nid, count = 0;

	for_each_node(nid) {
		if (node_to_pxm(nid) != PXM_INVAL)
			continue;
		count++;
		KUNIT_EXPECT_FALSE_MSG(test, acpi_node_backed_by_real_pxm(nid),
				       "node %d", nid);
	}
	if (!count)
		kunit_skip(test, "no node without a proximity domain: boot with numa_spm=pool=1");
}

static void numa_spm_test_nodes_of_cpus_are_real(struct kunit *test)
{
	int nid, count = 0;

	for_each_node_state(nid, N_CPU) {
		if (node_to_pxm(nid) == PXM_INVAL)
			continue;
		count++;
		KUNIT_EXPECT_TRUE_MSG(test, acpi_node_backed_by_real_pxm(nid),
				      "node %d", nid);
	}
	if (!count)
		kunit_skip(test, "no proximity domain has CPUs: needs an SRAT");
}

static struct kunit_case numa_spm_test_cases[] = {
	KUNIT_CASE(numa_spm_test_the_right_nodes_are_reserved),
	KUNIT_CASE(numa_spm_test_owner_may_keep_features),
	KUNIT_CASE(numa_spm_test_made_nodes_are_remote),
	KUNIT_CASE(numa_spm_test_made_nodes_are_not_real),
	KUNIT_CASE(numa_spm_test_nodes_of_cpus_are_real),
	{}
};

static struct kunit_suite numa_spm_test_suite = {
	.name = "numa_spm",
	.test_cases = numa_spm_test_cases,
};
kunit_test_suite(numa_spm_test_suite);

MODULE_DESCRIPTION("KUnit tests for nodes reserved for private memory");
MODULE_LICENSE("GPL");
