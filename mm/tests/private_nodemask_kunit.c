// SPDX-License-Identifier: GPL-2.0
/*
 * Tests for the two parts of a nodemask, see include/linux/private_nodemask.h.
 *
 * The tests claim a node that has neither memory nor CPUs and give it back.
 */
#define pr_fmt(fmt) "private_nodemask_kunit: " fmt

#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/cpuset.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/prandom.h>
#include <linux/private_node.h>
#include <linux/private_nodemask.h>
#include <linux/sched.h>

#define NR_MASKS	1000

static const struct private_node_desc desc = {
	.name = "kunit-nodemask",
	.adistance = 1000,
};

static void release_action(void *arg)
{
	if (private_node_release(arg))
		KUNIT_FAIL(kunit_get_current_test(), "the node was not released");
}

/* Claims some node. */
static struct private_node *claim_some(struct kunit *test)
{
	struct private_node *pn = ERR_PTR(-EBUSY);
	int nid;

	for_each_node(nid) {
		if (private_node_state(nid) != PRIVATE_NODE_FREE)
			continue;
		pn = private_node_claim(nid, &desc);
		if (!IS_ERR(pn))
			break;
	}
	if (IS_ERR(pn))
		kunit_skip(test, "needs a possible node without memory and CPUs");
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, release_action, pn), 0);
	return pn;
}

static void set_nodes(struct task_struct *task, int one, int other)
{
#ifdef CONFIG_CPUSETS
	nodes_clear(task->mems_allowed);
	node_set(one, task->mems_allowed);
	node_set(other, task->mems_allowed);
#endif
}

static void each_node_is_in_one_part(struct kunit *test)
{
	nodemask_t mask, room, ordinary, private, both;
	struct rnd_state rnd;
	int i, nid, claimed;

	claimed = private_node_nid(claim_some(test));
	prandom_seed_state(&rnd, 13);
	for (i = 0; i < NR_MASKS; i++) {
		nodes_clear(mask);
		for (nid = 0; nid < MAX_NUMNODES; nid++) {
			if (prandom_u32_state(&rnd) & 1)
				node_set(nid, mask);
		}
		ordinary = *ordinary_nodes(&mask, &room);
		KUNIT_EXPECT_EQ(test, nodes_weight_ordinary(&mask),
				nodes_weight(ordinary));
		private = mask;
		nodes_keep_private(&private);

		KUNIT_ASSERT_FALSE(test, nodes_intersects(ordinary, private));
		nodes_or(both, ordinary, private);
		KUNIT_ASSERT_TRUE(test, nodes_equal(both, mask));
		for_each_node_mask(nid, ordinary)
			KUNIT_ASSERT_FALSE(test, node_is_private(nid));
		for_each_node_mask(nid, private)
			KUNIT_ASSERT_TRUE(test, node_is_private(nid));
		KUNIT_ASSERT_EQ(test, node_isset(claimed, private),
				node_isset(claimed, mask));
		KUNIT_ASSERT_EQ(test, nodes_have_private(&mask), !nodes_empty(private));

		both = mask;
		nodes_drop_private(&both);
		KUNIT_ASSERT_TRUE(test, nodes_equal(both, ordinary));
	}
}

/* Those who show memory look at both kinds, in the order of the nodes. */
static void nodes_with_memory_of_either_kind(struct kunit *test)
{
	nodemask_t both;
	int nid, next;

	nodes_or(both, node_states[N_MEMORY], node_states[N_MEMORY_PRIVATE]);
	next = first_node(both);
	KUNIT_EXPECT_EQ(test, first_node_with_any_memory(), next);
	for_each_node_with_any_memory(nid) {
		KUNIT_ASSERT_EQ(test, nid, next);
		next = next_node(nid, both);
	}
	KUNIT_EXPECT_EQ(test, next, MAX_NUMNODES);
	for (nid = 0; nid < MAX_NUMNODES; nid++)
		KUNIT_EXPECT_EQ(test, node_has_any_memory(nid),
				node_isset(nid, both));
}

/* The OOM killer looks for somebody whose memory is of use. */
static void a_private_node_is_nothing_in_common(struct kunit *test)
{
	struct task_struct *one, *other;
	const int claimed = private_node_nid(claim_some(test));
	const int a = claimed ? 0 : 1, b = claimed == 2 ? 3 : 2;

	if (!IS_ENABLED(CONFIG_CPUSETS))
		kunit_skip(test, "needs CONFIG_CPUSETS");
	one = kunit_kzalloc(test, sizeof(*one), GFP_KERNEL);
	other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, one);
	KUNIT_ASSERT_NOT_NULL(test, other);

	set_nodes(one, a, claimed);
	set_nodes(other, b, claimed);
	KUNIT_EXPECT_FALSE(test, cpuset_mems_allowed_intersects(one, other));
	set_nodes(other, a, a);
	KUNIT_EXPECT_TRUE(test, cpuset_mems_allowed_intersects(one, other));
	KUNIT_EXPECT_TRUE(test, cpuset_mems_allowed_intersects(other, one));
}

/* The parts follow the decision, and nobody wrote the mask in between. */
static void the_decision_moves_a_node(struct kunit *test)
{
	const nodemask_t *part;
	struct private_node *pn;
	nodemask_t mask, room;
	int nid;

	pn = claim_some(test);
	nid = private_node_nid(pn);
	mask = nodemask_of_node(nid);
	part = ordinary_nodes(&mask, &room);
	KUNIT_EXPECT_TRUE(test, nodes_empty(*part));
	KUNIT_EXPECT_TRUE(test, nodes_have_private(&mask));

	kunit_release_action(test, release_action, pn);
	part = ordinary_nodes(&mask, &room);
	KUNIT_EXPECT_TRUE(test, node_isset(nid, *part));
	KUNIT_EXPECT_FALSE(test, nodes_have_private(&mask));

	pn = private_node_claim(nid, &desc);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pn);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, release_action, pn), 0);
	part = ordinary_nodes(&mask, &room);
	KUNIT_EXPECT_TRUE(test, nodes_empty(*part));
}

static struct kunit_case private_nodemask_cases[] = {
	KUNIT_CASE(each_node_is_in_one_part),
	KUNIT_CASE(the_decision_moves_a_node),
	KUNIT_CASE(nodes_with_memory_of_either_kind),
	KUNIT_CASE(a_private_node_is_nothing_in_common),
	{}
};

static struct kunit_suite private_nodemask_suite = {
	.name = "private_nodemask",
	.test_cases = private_nodemask_cases,
};

kunit_test_suite(private_nodemask_suite);

MODULE_DESCRIPTION("KUnit tests for the parts of a nodemask");
MODULE_LICENSE("GPL");
