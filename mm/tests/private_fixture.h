/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A private node for a KUnit case: claimed for the test, with the memory block
 * that the parameter memory= of its module names, and given back at its end.
 */
#ifndef __MM_TESTS_PRIVATE_FIXTURE_H
#define __MM_TESTS_PRIVATE_FIXTURE_H

#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/range.h>

struct fixture {
	struct private_node_desc desc;
	struct private_node *pn;
	struct range block;
	bool plugged;
	int nid;
	int ordinary;
};

static inline void unplug(struct fixture *f)
{
	if (f->plugged && private_node_remove_memory(f->pn, &f->block, 1))
		KUNIT_FAIL(kunit_get_current_test(), "unplug");
	f->plugged = false;
}

static inline void plug(struct kunit *test, struct fixture *f)
{
	KUNIT_ASSERT_EQ(test, private_node_add_memory(f->pn, &f->block, 1), 0);
	f->plugged = true;
}

/* The same node, plugged by an owner who allows more, or less */
static inline void plug_again_with(struct kunit *test, struct fixture *f, unsigned long features)
{
	unplug(f);
	KUNIT_ASSERT_EQ(test, private_node_set_features(f->pn, features, 1000), 0);
	plug(test, f);
}

static inline void give_back(void *arg)
{
	struct fixture *f = arg;

	unplug(f);
	if (private_node_release(f->pn))
		KUNIT_FAIL(kunit_get_current_test(), "release");
}

/* Node with the block at @memory, which is KBUILD_MODNAME.memory=, and these features */
static inline struct fixture *node_at(struct kunit *test, unsigned long long memory,
				      const char *name, unsigned long features)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	if (!memory)
		kunit_skip(test, "needs " KBUILD_MODNAME ".memory=");
	f->ordinary = first_memory_node;
	f->nid = phys_to_target_node(memory);
	KUNIT_ASSERT_GE(test, f->nid, 0);
	f->block.start = memory;
	f->block.end = memory + memory_block_size_bytes() - 1;
	f->desc = (struct private_node_desc) {
		.name = name,
		.adistance = 1000,
		.features = features,
	};
	f->pn = private_node_claim(f->nid, &f->desc);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f->pn);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, give_back, f), 0);
	plug(test, f);
	return f;
}

#endif /* __MM_TESTS_PRIVATE_FIXTURE_H */
