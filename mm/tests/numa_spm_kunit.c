// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for nodes that were reserved at boot for private memory. What is
 * there to be tested depends on the boot parameter numa_spm=; the tests skip
 * without it.
 */
#include <kunit/test.h>
#include <linux/acpi.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/topology.h>

static bool numa_spm_is_reserved(int nid)
{
	return private_node_state(nid) == PRIVATE_NODE_RESERVED;
}

static void numa_spm_test_reserved_nodes_are_private(struct kunit *test)
{
	int nid, count = 0;

	for (nid = 0; nid < MAX_NUMNODES; nid++) {
		if (!numa_spm_is_reserved(nid))
			continue;
		count++;
		KUNIT_EXPECT_TRUE_MSG(test, node_possible(nid), "node %d", nid);
		KUNIT_EXPECT_TRUE_MSG(test, node_is_private(nid), "node %d", nid);
		KUNIT_EXPECT_FALSE_MSG(test, node_state(nid, N_MEMORY),
				       "node %d", nid);
		KUNIT_EXPECT_FALSE_MSG(test, node_state(nid, N_CPU),
				       "node %d", nid);
		KUNIT_EXPECT_LT_MSG(test, nid, nr_node_ids, "node %d", nid);
	}
	if (!count)
		kunit_skip(test, "no reserved node: boot with numa_spm=pool=1");
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
	KUNIT_CASE(numa_spm_test_reserved_nodes_are_private),
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
