// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests for page_to_nid_robust(), which reads the node id of a page without
 * knowing whether its struct page is initialised.
 *
 * Most cases build the flags word themselves and need no page. The node id is
 * stored in one of three ways, and each case names the one it needs: in
 * page->flags (nearly all NUMA kernels), in a table indexed by the section
 * number in page->flags (NODE_NOT_IN_PAGE_FLAGS), or not at all (!CONFIG_NUMA).
 */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sprintf.h>
#include <linux/string.h>

#define NID_IN_TABLE	IS_ENABLED(NODE_NOT_IN_PAGE_FLAGS)

#ifdef NODE_NOT_IN_PAGE_FLAGS
/* No flags word may name a section beyond the end of the table. */
static_assert((1UL << SECTIONS_WIDTH) == NR_MEM_SECTIONS);
#endif

static memdesc_flags_t make_flags(unsigned long value)
{
	memdesc_flags_t mdf = { .f = value };

	return mdf;
}

static void expect_in_range(struct kunit *test, unsigned long flags)
{
	int nid = memdesc_nid_robust(make_flags(flags));

	KUNIT_EXPECT_GE_MSG(test, nid, 0, "flags %#lx", flags);
	KUNIT_EXPECT_LT_MSG(test, nid, MAX_NUMNODES, "flags %#lx", flags);
}

static void need_nid_in_flags(struct kunit *test)
{
	if (NODES_WIDTH == 0)
		kunit_skip(test, "needs the node id in page->flags");
}

static void need_nid_in_table(struct kunit *test)
{
	if (!NID_IN_TABLE)
		kunit_skip(test, "needs NODE_NOT_IN_PAGE_FLAGS");
}

static void free_page_action(void *page)
{
	__free_page(page);
}

/* Allocate a page on @nid, which is freed at the end of the test case. */
static struct page *alloc_test_page(struct kunit *test, int nid)
{
	gfp_t gfp = GFP_KERNEL | __GFP_THISNODE;
	struct page *page;
	int ret;

	page = alloc_pages_node(nid, gfp, 0);
	KUNIT_ASSERT_NOT_NULL_MSG(test, page, "no free page on node %d", nid);
	ret = kunit_add_action_or_reset(test, free_page_action, page);
	KUNIT_ASSERT_EQ(test, ret, 0);

	return page;
}

static void poison_has_no_node(struct kunit *test)
{
	struct page page;

	memset(&page, 0xff, sizeof(page));

	KUNIT_EXPECT_EQ(test, page_to_nid_robust(&page), NUMA_NO_NODE);
	KUNIT_EXPECT_EQ(test, memdesc_nid_robust(page.flags), NUMA_NO_NODE);
}

/* Only page->flags counts: the rest of struct page is none of our business. */
static void poison_outside_flags_is_ignored(struct kunit *test)
{
	struct page page;

	memset(&page, 0xff, sizeof(page));
	page.flags = make_flags(0);
	set_page_links(&page, ZONE_NORMAL, 0, 0);

	KUNIT_EXPECT_NE(test, page_to_nid_robust(&page), NUMA_NO_NODE);
}

static const int round_trip_nids[] = { 0, 1, MAX_NUMNODES - 1 };

static void describe_nid(const int *nid, char *description)
{
	snprintf(description, KUNIT_PARAM_DESC_SIZE, "node %d", *nid);
}

KUNIT_ARRAY_PARAM(round_trip, round_trip_nids, describe_nid);

static void set_page_links_round_trip(struct kunit *test)
{
	int nid = *(const int *)test->param_value;
	struct page page;

	need_nid_in_flags(test);

	memset(&page, 0, sizeof(page));
	set_page_links(&page, ZONE_NORMAL, nid, 0);
	KUNIT_EXPECT_EQ(test, page_to_nid_robust(&page), nid);

	/* All flags set but one, so that the word is never poison. */
	memset(&page, 0xff, sizeof(page));
	__clear_bit(PG_locked, &page.flags.f);
	set_page_links(&page, ZONE_NORMAL, nid, 0);
	KUNIT_EXPECT_EQ(test, page_to_nid_robust(&page), nid);
}

/* Poison with one bit cleared is not poison, whichever bit it is. */
static void near_poison_is_in_range(struct kunit *test)
{
	int bit;

	for (bit = 0; bit < BITS_PER_LONG; bit++)
		expect_in_range(test, ~BIT(bit));
}

static void near_poison_keeps_other_nid_bits(struct kunit *test)
{
	int bit;

	need_nid_in_flags(test);

	for (bit = 0; bit < BITS_PER_LONG; bit++) {
		int nid = memdesc_nid_robust(make_flags(~BIT(bit)));
		int expected = MAX_NUMNODES - 1;

		if (bit >= NODES_PGSHIFT && bit < NODES_PGSHIFT + NODES_WIDTH)
			expected &= ~BIT(bit - NODES_PGSHIFT);

		KUNIT_EXPECT_EQ_MSG(test, nid, expected, "bit %d", bit);
	}
}

static void single_bit_is_in_range(struct kunit *test)
{
	int bit;

	for (bit = 0; bit < BITS_PER_LONG; bit++)
		expect_in_range(test, BIT(bit));
}

static void zero_is_node_zero(struct kunit *test)
{
	struct page page;

	if (NID_IN_TABLE)
		kunit_skip(test, "needs the node id not to depend on a table");

	memset(&page, 0, sizeof(page));
	KUNIT_EXPECT_EQ(test, page_to_nid_robust(&page), 0);
}

static void first_and_last_section(struct kunit *test)
{
	need_nid_in_table(test);

	expect_in_range(test, 0);
	expect_in_range(test, SECTIONS_MASK << SECTIONS_PGSHIFT);
}

static void no_numa_means_node_zero(struct kunit *test)
{
	if (IS_ENABLED(CONFIG_NUMA))
		kunit_skip(test, "needs CONFIG_NUMA=n");

	KUNIT_EXPECT_EQ(test, memdesc_nid_robust(make_flags(0)), 0);
	KUNIT_EXPECT_EQ(test, memdesc_nid_robust(make_flags(~BIT(0))), 0);
	KUNIT_EXPECT_EQ(test, memdesc_nid_robust(make_flags(ULONG_MAX)),
			NUMA_NO_NODE);
}

static void real_page_matches_page_to_nid(struct kunit *test)
{
	struct page *page;
	int nid;

	for_each_node_state(nid, N_NORMAL_MEMORY) {
		page = alloc_test_page(test, nid);

		KUNIT_EXPECT_EQ(test, page_to_nid_robust(page), nid);
		KUNIT_EXPECT_EQ(test, page_to_nid_robust(page),
				page_to_nid(page));
	}
}

/*
 * The page is ours, but PFN walkers on other CPUs may look at it any time. To
 * give them little to stumble over, only the flags word is poisoned, and only
 * for the time of one read.
 */
static void real_page_poisoned_and_restored(struct kunit *test)
{
	int first_nid = first_node(node_states[N_NORMAL_MEMORY]);
	struct page *page = alloc_test_page(test, first_nid);
	int poisoned_nid, restored_nid;
	unsigned long irq_flags;
	memdesc_flags_t saved;

	local_irq_save(irq_flags);
	saved = page->flags;
	WRITE_ONCE(page->flags.f, PAGE_POISON_PATTERN);
	poisoned_nid = page_to_nid_robust(page);
	WRITE_ONCE(page->flags.f, saved.f);
	restored_nid = page_to_nid_robust(page);
	local_irq_restore(irq_flags);

	KUNIT_EXPECT_EQ(test, poisoned_nid, NUMA_NO_NODE);
	KUNIT_EXPECT_EQ(test, restored_nid, first_nid);
}

static struct kunit_case page_to_nid_test_cases[] = {
	KUNIT_CASE(poison_has_no_node),
	KUNIT_CASE(poison_outside_flags_is_ignored),
	KUNIT_CASE_PARAM(set_page_links_round_trip, round_trip_gen_params),
	KUNIT_CASE(near_poison_is_in_range),
	KUNIT_CASE(near_poison_keeps_other_nid_bits),
	KUNIT_CASE(single_bit_is_in_range),
	KUNIT_CASE(zero_is_node_zero),
	KUNIT_CASE(first_and_last_section),
	KUNIT_CASE(no_numa_means_node_zero),
	KUNIT_CASE(real_page_matches_page_to_nid),
	KUNIT_CASE(real_page_poisoned_and_restored),
	{}
};

static struct kunit_suite page_to_nid_test_suite = {
	.name = "page_to_nid",
	.test_cases = page_to_nid_test_cases,
};
kunit_test_suite(page_to_nid_test_suite);

MODULE_DESCRIPTION("Tests for reading the node id of a page");
MODULE_LICENSE("GPL");
