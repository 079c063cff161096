// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests for the parts of page_owner that decide without looking at the machine:
 * what a text does to a filter and how a filter becomes text, where a walk goes
 * next, which stacks wait to be listed, and how the pages of stacks are counted.
 * Nothing here needs page_owner=on.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/jiffies.h>
#include <linux/math.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "../page_owner_count.h"
#include "../page_owner_filter.h"
#include "../page_owner_pending.h"
#include "../page_owner_walk.h"

/*
 * Parser. Only nodes 0 and 1 have memory here, or node 0 if there cannot be more.
 */

struct filter_row {
	const char *text;
	size_t len;
	int error;
	enum page_owner_print_mode mode;
	/* Bit mask of the nodes, 0 if there is no node filter. */
	unsigned long nodes;
	/* The handle, 0 if there is no filter for it. */
	depot_stack_handle_t handle;
	/* Number of possible nodes that it takes, if that is not in @nodes. */
	unsigned int possible;
};

#define ACCEPT(string, print_mode, node_bits)				\
	{								\
		.text = string, .len = sizeof(string) - 1,		\
		.mode = PAGE_OWNER_PRINT_##print_mode,			\
		.nodes = node_bits					\
	}

#define ACCEPT_HANDLE(string, print_mode, node_bits, number)		\
	{								\
		.text = string, .len = sizeof(string) - 1,		\
		.mode = PAGE_OWNER_PRINT_##print_mode,			\
		.nodes = node_bits, .handle = number			\
	}

#define REJECT(string, number, possible_nodes)				\
	{								\
		.text = string, .len = sizeof(string) - 1,		\
		.error = number, .possible = possible_nodes		\
	}

static const struct filter_row filter_rows[] = {
	/* Nothing, and separators. */
	ACCEPT("", STACK, 0),
	ACCEPT(" ", STACK, 0),
	ACCEPT(" \t\n\n ", STACK, 0),
	/* Modes. */
	ACCEPT("mode=stack", STACK, 0),
	ACCEPT("mode=handle\n", HANDLE, 0),
	ACCEPT("\t mode=handle \t", HANDLE, 0),
	ACCEPT("mode=stack_handle", STACK_HANDLE, 0),
	ACCEPT("mode=count", COUNT, 0),
	REJECT("mode=", -EINVAL, 1),
	REJECT("mode", -EINVAL, 1),
	REJECT("mode=Stack", -EINVAL, 1),
	REJECT("MODE=stack", -EINVAL, 1),
	REJECT("mode =stack", -EINVAL, 1),
	REJECT("mode= stack", -EINVAL, 1),
	REJECT("mode=stack_", -EINVAL, 1),
	REJECT("mode=stac", -EINVAL, 1),
	REJECT("mode=handle,nid=0", -EINVAL, 1),
	REJECT("mode=handle\r\n", -EINVAL, 1),
	/* Nodes. */
	ACCEPT("nid=0", STACK, 0x1),
	ACCEPT("nid=1", STACK, 0x2),
	ACCEPT("nid=0,1", STACK, 0x3),
	ACCEPT("nid=1,0", STACK, 0x3),
	ACCEPT("nid=0-1", STACK, 0x3),
	ACCEPT("nid=00", STACK, 0x1),
	ACCEPT("nid=0,", STACK, 0x1),
	ACCEPT("nid=,0", STACK, 0x1),
	ACCEPT("nid=0,,1,", STACK, 0x3),
	ACCEPT("nid=0-0", STACK, 0x1),
	/* Every first one of each two. */
	{ "nid=0-1:1/2", 11, 0, PAGE_OWNER_PRINT_STACK, 0x1, 0, 2 },
	ACCEPT("nid=0\r\n", STACK, 0x1),
	ACCEPT("nid=0\v1", STACK, 0x3),
	REJECT("nid=", -EINVAL, 1),
	REJECT("nid", -EINVAL, 1),
	REJECT("nid=,", -EINVAL, 1),
	REJECT("nid=-1", -EINVAL, 1),
	REJECT("nid=+0", -EINVAL, 1),
	REJECT("nid=0x0", -EINVAL, 1),
	REJECT("nid=a", -EINVAL, 1),
	REJECT("nid=1-0", -EINVAL, 1),
	REJECT("nid=0-", -EINVAL, 1),
	REJECT("nid=-0", -EINVAL, 1),
	REJECT("nid=0--1", -EINVAL, 1),
	REJECT("nid=0;1", -EINVAL, 1),
	REJECT("nid= 0", -EINVAL, 1),
	REJECT("nid=0 1", -EINVAL, 1),
	REJECT("nid=0 foo", -EINVAL, 1),
	/* Possible nodes without memory. */
	REJECT("nid=2", -EINVAL, 3),
	REJECT("nid=3", -EINVAL, 4),
	REJECT("nid=0,2", -EINVAL, 3),
	REJECT("nid=0-3:1/2", -EINVAL, 4),
	REJECT("nid=63", -EINVAL, 64),
	REJECT("nid=al", -EINVAL, 1),
	REJECT("nid=alle", -EINVAL, 1),
	REJECT("nid=all,x", -EINVAL, 1),
	REJECT("nid=N", -EINVAL, 3),
	REJECT("nid=0-N", -EINVAL, 3),
	/* Nodes that cannot be. */
	REJECT("nid=1024", -ERANGE, 1),
	REJECT("nid=65535", -ERANGE, 1),
	REJECT("nid=0,1024", -ERANGE, 1),
	REJECT("nid=4294967296", -EOVERFLOW, 1),
	REJECT("nid=99999999999", -EOVERFLOW, 1),
	/* No nodes. */
	ACCEPT("nid=all", STACK, 0),
	ACCEPT("nid=0 nid=all", STACK, 0),
	ACCEPT("nid=all nid=0", STACK, 0x1),
	/* Handles. */
	ACCEPT_HANDLE("handle=1", STACK, 0, 1),
	ACCEPT_HANDLE("handle=4587525\n", STACK, 0, 4587525),
	ACCEPT_HANDLE("handle=4294967295", STACK, 0, U32_MAX),
	ACCEPT_HANDLE("handle=007", STACK, 0, 7),
	ACCEPT_HANDLE("handle=all", STACK, 0, 0),
	ACCEPT_HANDLE("handle=1 handle=2", STACK, 0, 2),
	ACCEPT_HANDLE("handle=1 handle=all", STACK, 0, 0),
	ACCEPT_HANDLE("handle=all handle=1", STACK, 0, 1),
	ACCEPT_HANDLE("handle=1 nid=0 mode=count", COUNT, 0x1, 1),
	REJECT("handle", -EINVAL, 1),
	REJECT("handle=", -EINVAL, 1),
	REJECT("handle=0", -EINVAL, 1),
	REJECT("handle=00", -EINVAL, 1),
	REJECT("handle=-1", -EINVAL, 1),
	REJECT("handle=+1", -EINVAL, 1),
	REJECT("handle=0x1", -EINVAL, 1),
	REJECT("handle=1,2", -EINVAL, 1),
	REJECT("handle=1-2", -EINVAL, 1),
	REJECT("handle=x", -EINVAL, 1),
	REJECT("handle=All", -EINVAL, 1),
	REJECT("handle=all,1", -EINVAL, 1),
	REJECT("handle= 1", -EINVAL, 1),
	REJECT("handle=4294967296", -ERANGE, 1),
	REJECT("handle=99999999999999999999", -ERANGE, 1),
	/* All keys, in any order, and repeated. */
	ACCEPT("mode=handle nid=0", HANDLE, 0x1),
	ACCEPT("nid=0\tmode=handle\n", HANDLE, 0x1),
	ACCEPT("nid=0 nid=1", STACK, 0x2),
	{ "nid=1 nid=0", 11, 0, PAGE_OWNER_PRINT_STACK, 0x1, 0, 2 },
	ACCEPT("mode=stack mode=handle", HANDLE, 0),
	ACCEPT("mode=handle mode=stack", STACK, 0),
	/* Other keys. */
	REJECT("foo", -EINVAL, 1),
	REJECT("foo=1", -EINVAL, 1),
	REJECT("print_mode=handle", -EINVAL, 1),
	/* The end of the text. */
	ACCEPT("nid=0\0garbage", STACK, 0x1),
	ACCEPT("mode=handle\0 nid=0", HANDLE, 0),
	/* All is void if the last token is bad. */
	REJECT("mode=stack foo", -EINVAL, 1),
	REJECT("mode=stack nid=0 mode=bad", -EINVAL, 1),
	REJECT("mode=stack nid=0 nid=1024", -ERANGE, 1),
	REJECT("nid=0 mode=stack nid=", -EINVAL, 1),
	REJECT("mode=stack handle=1 foo", -EINVAL, 1),
	REJECT("mode=stack nid=all handle=1 handle=", -EINVAL, 1),
};

static void filter_row_name(const struct filter_row *row, char *name)
{
	snprintf(name, KUNIT_PARAM_DESC_SIZE, "'%*pEcns'", (int)row->len,
		 row->text);
}

KUNIT_ARRAY_PARAM(filter, filter_rows, filter_row_name);

static bool filters_equal(const struct page_owner_filter *a,
			  const struct page_owner_filter *b)
{
	return a->print_mode == b->print_mode && a->handle == b->handle &&
	       a->nid_filter_enabled == b->nid_filter_enabled &&
	       nodes_equal(a->nid_filter, b->nid_filter);
}

/* As a write does it: one token after the other, on a copy. */
static int apply_text(struct kunit *test, struct page_owner_filter *filter,
		      const char *text, size_t len, const nodemask_t *allowed)
{
	struct page_owner_filter copy = *filter;
	char *rest, *token;
	int ret;

	rest = kunit_kzalloc(test, len + 1, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, rest);
	memcpy(rest, text, len);

	while ((token = strsep(&rest, PAGE_OWNER_FILTER_SEPARATORS))) {
		struct page_owner_filter before = copy;

		if (!*token)
			continue;
		ret = page_owner_filter_parse_token(token, &copy, allowed);
		if (ret) {
			KUNIT_EXPECT_TRUE_MSG(test, filters_equal(&copy, &before),
					      "refused, but changed the filter");
			return ret;
		}
	}
	*filter = copy;

	return 0;
}

static void set_nodes(nodemask_t *nodes, unsigned long bits)
{
	int nid;

	nodes_clear(*nodes);
	for (nid = 0; nid < min(BITS_PER_LONG, MAX_NUMNODES); nid++) {
		if (bits & BIT(nid))
			node_set(nid, *nodes);
	}
}

static void text_gives_filter(struct kunit *test)
{
	const struct filter_row *row = test->param_value;
	struct page_owner_filter filter = { .print_mode = PAGE_OWNER_PRINT_STACK };
	struct page_owner_filter earlier = { .print_mode = PAGE_OWNER_PRINT_HANDLE };
	nodemask_t allowed, expected;
	unsigned int possible;
	int ret;

	possible = max(row->possible, fls_long(row->nodes));
	if (possible > MAX_NUMNODES)
		kunit_skip(test, "needs %u possible nodes", possible);

	set_nodes(&allowed, 0x3);
	ret = apply_text(test, &filter, row->text, row->len, &allowed);
	KUNIT_EXPECT_EQ(test, ret, row->error);

	if (!row->error) {
		set_nodes(&expected, row->nodes);
		KUNIT_EXPECT_EQ(test, filter.print_mode, row->mode);
		KUNIT_EXPECT_EQ(test, filter.handle, row->handle);
		KUNIT_EXPECT_EQ(test, filter.nid_filter_enabled, !!row->nodes);
		KUNIT_EXPECT_TRUE(test, nodes_equal(filter.nid_filter, expected));
		return;
	}

	/* What was set before has to stay: the mode, the nodes and the handle. */
	set_nodes(&earlier.nid_filter, 0x1);
	earlier.nid_filter_enabled = true;
	earlier.handle = 42;
	filter = earlier;
	ret = apply_text(test, &filter, row->text, row->len, &allowed);
	KUNIT_EXPECT_EQ(test, ret, row->error);
	KUNIT_EXPECT_TRUE(test, filters_equal(&filter, &earlier));
}

/* A filter as text gives the same filter, whatever was set before. */
static void filter_survives_as_text(struct kunit *test)
{
	const struct filter_row *row = test->param_value;
	struct page_owner_filter filter = { .print_mode = PAGE_OWNER_PRINT_STACK };
	struct page_owner_filter again = { .print_mode = PAGE_OWNER_PRINT_HANDLE,
					   .nid_filter_enabled = true,
					   .handle = 42 };
	nodemask_t allowed;
	char *text;
	int len;

	if (max(row->possible, fls_long(row->nodes)) > MAX_NUMNODES)
		kunit_skip(test, "needs more possible nodes");

	text = kunit_kzalloc(test, PAGE_OWNER_FILTER_TEXT_LEN, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	set_nodes(&allowed, 0x3);
	set_nodes(&again.nid_filter, 0x1);
	apply_text(test, &filter, row->text, row->len, &allowed);

	len = page_owner_filter_format(&filter, text, PAGE_OWNER_FILTER_TEXT_LEN);
	KUNIT_EXPECT_EQ(test, len, (int)strlen(text));
	KUNIT_EXPECT_EQ(test, apply_text(test, &again, text, len, &allowed), 0);
	KUNIT_EXPECT_TRUE_MSG(test, filters_equal(&again, &filter), "%s", text);
}

static void text_names_each_part(struct kunit *test)
{
	struct page_owner_filter filter = { .print_mode = PAGE_OWNER_PRINT_STACK };
	char text[64];

	page_owner_filter_format(&filter, text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, "mode=stack nid=all handle=all");

	filter.print_mode = PAGE_OWNER_PRINT_COUNT;
	set_nodes(&filter.nid_filter, 0x1);
	filter.nid_filter_enabled = true;
	filter.handle = U32_MAX;
	page_owner_filter_format(&filter, text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, "mode=count nid=0 handle=4294967295");
}

/* The text that takes most room: each other node, so that there are no ranges. */
static void longest_text_has_room(struct kunit *test)
{
	struct page_owner_filter filter = {
		.print_mode = PAGE_OWNER_PRINT_STACK_HANDLE,
		.nid_filter_enabled = true,
		.handle = U32_MAX,
	};
	char *text;
	int nid;

	text = kunit_kzalloc(test, PAGE_OWNER_FILTER_TEXT_LEN, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	for (nid = 0; nid < MAX_NUMNODES; nid += 2)
		node_set(nid, filter.nid_filter);

	page_owner_filter_format(&filter, text, PAGE_OWNER_FILTER_TEXT_LEN);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, " handle=4294967295"));
}

/* What is not mentioned stays, so two writes can set the two parts. */
static void parts_are_set_one_by_one(struct kunit *test)
{
	struct page_owner_filter filter = { .print_mode = PAGE_OWNER_PRINT_STACK };
	nodemask_t allowed;

	set_nodes(&allowed, 0x1);
	KUNIT_EXPECT_EQ(test, apply_text(test, &filter, "nid=0", 5, &allowed), 0);
	KUNIT_EXPECT_EQ(test, apply_text(test, &filter, "mode=handle", 11,
					 &allowed), 0);
	KUNIT_EXPECT_EQ(test, filter.print_mode, PAGE_OWNER_PRINT_HANDLE);
	KUNIT_EXPECT_TRUE(test, filter.nid_filter_enabled);
	KUNIT_EXPECT_TRUE(test, nodes_equal(filter.nid_filter, allowed));
}

/* The limit must not forbid to name each node, with the longest mode. */
static void every_node_can_be_named(struct kunit *test)
{
	struct page_owner_filter filter = { .print_mode = PAGE_OWNER_PRINT_STACK };
	size_t len = 0;
	nodemask_t all;
	char *text;
	int nid;

	text = kunit_kzalloc(test, PAGE_OWNER_FILTER_MAX_LEN + 1, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);

	len += scnprintf(text, PAGE_OWNER_FILTER_MAX_LEN + 1,
			 "mode=stack_handle nid=");
	nodes_clear(all);
	for (nid = 0; nid < MAX_NUMNODES; nid++) {
		node_set(nid, all);
		len += scnprintf(text + len, PAGE_OWNER_FILTER_MAX_LEN + 1 - len,
				 "%d,", nid);
	}
	/* Not cut short. */
	KUNIT_EXPECT_LT(test, len, PAGE_OWNER_FILTER_MAX_LEN);

	KUNIT_EXPECT_EQ(test, apply_text(test, &filter, text, len, &all), 0);
	KUNIT_EXPECT_EQ(test, filter.print_mode, PAGE_OWNER_PRINT_STACK_HANDLE);
	KUNIT_EXPECT_TRUE(test, nodes_equal(filter.nid_filter, all));
}

/*
 * Windows.
 */

#define MAX_SPANS	3

struct window_row {
	const char *name;
	unsigned long pfn;
	struct page_owner_window spans[MAX_SPANS];
	struct page_owner_window expected;
};

#define NONE	{ ULONG_MAX, ULONG_MAX }

static const struct window_row window_rows[] = {
	{ "no span", 5, { }, NONE },
	{ "before", 5, { { 10, 20 } }, { 10, 20 } },
	{ "at start", 10, { { 10, 20 } }, { 10, 20 } },
	{ "within", 15, { { 10, 20 } }, { 15, 20 } },
	{ "last PFN", 19, { { 10, 20 } }, { 19, 20 } },
	{ "at end", 20, { { 10, 20 } }, NONE },
	{ "behind", 25, { { 10, 20 } }, NONE },
	{ "gap", 25, { { 10, 20 }, { 30, 40 } }, { 30, 40 } },
	{ "first of two", 5, { { 10, 20 }, { 30, 40 } }, { 10, 20 } },
	{ "in the second", 35, { { 10, 20 }, { 30, 40 } }, { 35, 40 } },
	{ "neighbours", 19, { { 10, 20 }, { 20, 30 } }, { 19, 20 } },
	{ "overlap, before", 5, { { 10, 30 }, { 20, 40 } }, { 10, 30 } },
	{ "overlap, both", 25, { { 10, 30 }, { 20, 40 } }, { 25, 40 } },
	{ "overlap, second", 35, { { 10, 30 }, { 20, 40 } }, { 35, 40 } },
	{ "one in another", 5, { { 10, 40 }, { 20, 30 } }, { 10, 40 } },
	{ "same start", 5, { { 10, 20 }, { 10, 40 } }, { 10, 40 } },
	{ "twice the same", 5, { { 10, 20 }, { 10, 20 } }, { 10, 20 } },
	{ "node without memory", 5, { { 0, 0 }, { 10, 20 } }, { 10, 20 } },
	{ "empty span", 5, { { 7, 7 }, { 10, 20 } }, { 10, 20 } },
	{ "empty span at PFN", 5, { { 5, 5 } }, NONE },
	{ "size not yet known", 5, { { 30, 20 }, { 10, 20 } }, { 10, 20 } },
	{ "three", 0, { { 50, 60 }, { 10, 20 }, { 30, 40 } }, { 10, 20 } },
	{ "from 0", 0, { { 0, 20 } }, { 0, 20 } },
	{ "top", ULONG_MAX - 2, { { 0, ULONG_MAX } },
	  { ULONG_MAX - 2, ULONG_MAX } },
	{ "beyond the top", ULONG_MAX, { { 0, ULONG_MAX } }, NONE },
};

static void window_row_name(const struct window_row *row, char *name)
{
	strscpy(name, row->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(window, window_rows, window_row_name);

/* Whatever the order of the spans, that is, of the numbers of the nodes. */
static void window_is_the_next_range(struct kunit *test)
{
	static const int orders[][MAX_SPANS] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	const struct window_row *row = test->param_value;
	int order, i;

	for (order = 0; order < ARRAY_SIZE(orders); order++) {
		struct page_owner_window window = PAGE_OWNER_NO_WINDOW;

		for (i = 0; i < MAX_SPANS; i++) {
			const struct page_owner_window *span =
				&row->spans[orders[order][i]];

			page_owner_window_add(&window, row->pfn, span->start,
					      span->end);
		}
		KUNIT_EXPECT_EQ_MSG(test, window.start, row->expected.start,
				    "order %d", order);
		KUNIT_EXPECT_EQ_MSG(test, window.end, row->expected.end,
				    "order %d", order);
	}
}

#define SMALL_MACHINE	64

/* Going from window to window has to visit each PFN of each span once. */
static void windows_cover_random_spans(struct kunit *test)
{
	struct page_owner_window spans[4];
	DECLARE_BITMAP(expected, SMALL_MACHINE);
	DECLARE_BITMAP(visited, SMALL_MACHINE);
	struct rnd_state rnd;
	int round, i;

	prandom_seed_state(&rnd, 1);
	for (round = 0; round < 1000; round++) {
		unsigned long pfn = 0;
		int windows = 0;

		bitmap_zero(expected, SMALL_MACHINE);
		bitmap_zero(visited, SMALL_MACHINE);
		for (i = 0; i < ARRAY_SIZE(spans); i++) {
			unsigned int start = prandom_u32_state(&rnd) % SMALL_MACHINE;
			unsigned int size = prandom_u32_state(&rnd) %
					    (SMALL_MACHINE - start);

			spans[i].start = start;
			spans[i].end = start + size;
			bitmap_set(expected, start, size);
		}

		for (;;) {
			struct page_owner_window window = PAGE_OWNER_NO_WINDOW;

			for (i = 0; i < ARRAY_SIZE(spans); i++)
				page_owner_window_add(&window, pfn,
						      spans[i].start,
						      spans[i].end);
			if (window.start == ULONG_MAX)
				break;
			KUNIT_ASSERT_GE(test, window.start, pfn);
			KUNIT_ASSERT_GT(test, window.end, window.start);
			KUNIT_ASSERT_LE(test, window.end, SMALL_MACHINE);
			bitmap_set(visited, window.start,
				   window.end - window.start);
			pfn = window.end;
			windows++;
		}
		KUNIT_EXPECT_TRUE_MSG(test,
				      bitmap_equal(visited, expected, SMALL_MACHINE),
				      "round %d: visited %*pbl, not %*pbl", round,
				      SMALL_MACHINE, visited,
				      SMALL_MACHINE, expected);
		/* No more than there are ends: the cost is that of the nodes. */
		KUNIT_EXPECT_LE(test, windows, (int)ARRAY_SIZE(spans));
	}
}

/*
 * Blocks.
 */

static void block_of_one_node_is_decided_at_once(struct kunit *test)
{
	nodemask_t nodes;

	set_nodes(&nodes, 0x1);
	KUNIT_EXPECT_EQ(test, page_owner_judge_block(0, 0, &nodes),
			PAGE_OWNER_TAKE_BLOCK);
	nodes_clear(nodes);
	KUNIT_EXPECT_EQ(test, page_owner_judge_block(0, 0, &nodes),
			PAGE_OWNER_SKIP_BLOCK);

	nodes_clear(nodes);
	node_set(MAX_NUMNODES - 1, nodes);
	KUNIT_EXPECT_EQ(test, page_owner_judge_block(MAX_NUMNODES - 1,
						     MAX_NUMNODES - 1, &nodes),
			PAGE_OWNER_TAKE_BLOCK);
}

static void block_of_two_nodes_is_looked_at(struct kunit *test)
{
	nodemask_t nodes;
	unsigned long bits;

	if (MAX_NUMNODES < 2)
		kunit_skip(test, "needs 2 possible nodes");

	for (bits = 0; bits <= 0x3; bits++) {
		set_nodes(&nodes, bits);
		KUNIT_EXPECT_EQ(test, page_owner_judge_block(0, 1, &nodes),
				PAGE_OWNER_CHECK_PAGES);
		KUNIT_EXPECT_EQ(test, page_owner_judge_block(1, 0, &nodes),
				PAGE_OWNER_CHECK_PAGES);
	}
}

/* Poison must neither skip a block nor get to the node mask. */
static void block_with_poison_is_looked_at(struct kunit *test)
{
	nodemask_t nodes;
	unsigned long bits;

	for (bits = 0; bits <= 0x1; bits++) {
		set_nodes(&nodes, bits);
		KUNIT_EXPECT_EQ(test,
				page_owner_judge_block(NUMA_NO_NODE, 0, &nodes),
				PAGE_OWNER_CHECK_PAGES);
		KUNIT_EXPECT_EQ(test,
				page_owner_judge_block(0, NUMA_NO_NODE, &nodes),
				PAGE_OWNER_CHECK_PAGES);
		KUNIT_EXPECT_EQ(test,
				page_owner_judge_block(NUMA_NO_NODE, NUMA_NO_NODE,
						       &nodes),
				PAGE_OWNER_CHECK_PAGES);
	}
}

/*
 * Steps within a block.
 */

static void buddy_page_is_one_step(struct kunit *test)
{
	unsigned long pfn = MAX_ORDER_NR_PAGES;
	unsigned long far = 4 * MAX_ORDER_NR_PAGES;
	unsigned long order;

	for (order = 0; order <= MAX_PAGE_ORDER; order++)
		KUNIT_EXPECT_EQ(test, page_owner_skip_buddy(pfn, order, far),
				pfn + (1UL << order));
}

static void garbage_buddy_order_is_no_step(struct kunit *test)
{
	static const unsigned long orders[] = {
		MAX_PAGE_ORDER + 1, 31, 32, 63, 64, 65, INT_MAX, ULONG_MAX,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++)
		KUNIT_EXPECT_EQ_MSG(test, page_owner_skip_buddy(7, orders[i], 1000),
				    8UL, "order %lu", orders[i]);
}

static void buddy_step_ends_at_the_end(struct kunit *test)
{
	unsigned long end = 2 * MAX_ORDER_NR_PAGES;

	KUNIT_EXPECT_EQ(test, page_owner_skip_buddy(end - 1, MAX_PAGE_ORDER, end),
			end);
	KUNIT_EXPECT_EQ(test, page_owner_skip_buddy(end - 3, 1, end), end - 1);
	KUNIT_EXPECT_EQ(test, page_owner_skip_buddy(end - 3, 2, end), end);
	KUNIT_EXPECT_EQ(test,
			page_owner_skip_buddy(ULONG_MAX - 1, MAX_PAGE_ORDER,
					      ULONG_MAX),
			ULONG_MAX);
}

/* 18 is the order of 1 GiB, for which HugeTLB has compound pages. */
static void head_is_aligned_to_its_order(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, page_owner_is_head(7, 0));
	KUNIT_EXPECT_FALSE(test, page_owner_is_head(7, 1));
	KUNIT_EXPECT_TRUE(test, page_owner_is_head(8, 3));
	KUNIT_EXPECT_FALSE(test, page_owner_is_head(8, 4));
	KUNIT_EXPECT_TRUE(test, page_owner_is_head(0, BITS_PER_LONG - 1));
	/* Garbage must not be shifted by. */
	KUNIT_EXPECT_FALSE(test, page_owner_is_head(0, BITS_PER_LONG));
	KUNIT_EXPECT_FALSE(test, page_owner_is_head(0, USHRT_MAX));
}

static void tails_are_one_step(struct kunit *test)
{
	unsigned long head = 1UL << 20;
	unsigned long far = 1UL << 21;
	unsigned int order;

	for (order = 1; order <= 18; order++) {
		unsigned long next = head + (1UL << order);

		KUNIT_EXPECT_EQ(test, page_owner_skip_tails(head + 1, order, far),
				next);
		KUNIT_EXPECT_EQ(test, page_owner_skip_tails(next - 1, order, far),
				next);
	}
	/* A page of order 0 that is a tail has been split just now. */
	KUNIT_EXPECT_EQ(test, page_owner_skip_tails(head + 1, 0, far), head + 2);
}

static void tail_step_ends_at_the_end(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, page_owner_skip_tails(1025, 18, 2048), 2048UL);
	KUNIT_EXPECT_EQ(test, page_owner_skip_tails(2047, 18, 2048), 2048UL);
	KUNIT_EXPECT_EQ(test, page_owner_skip_tails(ULONG_MAX - 1, 9, ULONG_MAX),
			ULONG_MAX);
	KUNIT_EXPECT_EQ(test, page_owner_skip_tails(5, BITS_PER_LONG - 1, 64),
			64UL);
	KUNIT_EXPECT_EQ(test, page_owner_skip_tails(5, BITS_PER_LONG, 64), 6UL);
	KUNIT_EXPECT_EQ(test, page_owner_skip_tails(5, USHRT_MAX, 64), 6UL);
}

static void untracked_memory_is_one_step(struct kunit *test)
{
	unsigned long unit = PAGE_OWNER_TRACKED_UNIT;

	KUNIT_EXPECT_EQ(test, page_owner_skip_untracked(0), unit);
	KUNIT_EXPECT_EQ(test, page_owner_skip_untracked(1), unit);
	KUNIT_EXPECT_EQ(test, page_owner_skip_untracked(unit - 1), unit);
	KUNIT_EXPECT_EQ(test, page_owner_skip_untracked(unit), 2 * unit);
}

/*
 * Pending stacks. They are only pointers here, to bytes of an array.
 */

#define NR_PASSERS	4

struct pending_test {
	struct page_owner_pending pending;
	char records[PAGE_OWNER_PENDING_SLOTS + 1];
	DECLARE_BITMAP(taken, PAGE_OWNER_PENDING_SLOTS + 1);
};

/* Adds what it holds, and holds what it took: a number, or -1 for none. */
struct passer {
	struct work_struct work;
	struct pending_test *pt;
	unsigned long end;	/* In jiffies */
	int held;
};

static struct pending_test *alloc_pending_test(struct kunit *test)
{
	struct pending_test *pt;

	pt = kunit_kzalloc(test, sizeof(*pt), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pt);
	return pt;
}

static bool add_number(struct pending_test *pt, int nr)
{
	return page_owner_pending_add(&pt->pending, (void *)&pt->records[nr]);
}

/* Return: a number that was taken out, -1 if there was none. */
static int take_number(struct pending_test *pt)
{
	struct stack_record *record = page_owner_pending_take(&pt->pending);

	return record ? (char *)record - pt->records : -1;
}

static void mark_taken(struct kunit *test, struct pending_test *pt, int nr)
{
	KUNIT_ASSERT_GE(test, nr, 0);
	KUNIT_ASSERT_LT(test, nr, (int)sizeof(pt->records));
	KUNIT_EXPECT_FALSE_MSG(test, test_bit(nr, pt->taken), "taken twice: %d", nr);
	set_bit(nr, pt->taken);
}

/* Return: how many could be taken, each marked in taken. */
static int take_all(struct kunit *test, struct pending_test *pt)
{
	int nr, count = 0;

	while ((nr = take_number(pt)) != -1) {
		mark_taken(test, pt, nr);
		count++;
	}

	return count;
}

static void pending_stack_is_taken_once(struct kunit *test)
{
	struct pending_test *pt = alloc_pending_test(test);

	KUNIT_EXPECT_NULL(test, page_owner_pending_take(&pt->pending));
	KUNIT_EXPECT_TRUE(test, add_number(pt, 3));
	KUNIT_EXPECT_TRUE(test, add_number(pt, 5));
	KUNIT_EXPECT_EQ(test, atomic_read(&pt->pending.nr), 2);

	/* In any order, but not the same one again. */
	mark_taken(test, pt, take_number(pt));
	mark_taken(test, pt, take_number(pt));
	KUNIT_EXPECT_TRUE(test, test_bit(3, pt->taken));
	KUNIT_EXPECT_TRUE(test, test_bit(5, pt->taken));
	KUNIT_EXPECT_EQ(test, atomic_read(&pt->pending.nr), 0);
	KUNIT_EXPECT_NULL(test, page_owner_pending_take(&pt->pending));
}

static void pending_overflow_is_counted(struct kunit *test)
{
	struct pending_test *pt = alloc_pending_test(test);
	int i;

	for (i = 0; i < PAGE_OWNER_PENDING_SLOTS; i++)
		KUNIT_ASSERT_TRUE(test, add_number(pt, i));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->pending.nr_lost), 0);

	KUNIT_EXPECT_FALSE(test, add_number(pt, i));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->pending.nr_lost), 1);
	KUNIT_EXPECT_EQ(test, page_owner_pending_missing(&pt->pending),
			PAGE_OWNER_PENDING_SLOTS + 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&pt->pending.nr),
			PAGE_OWNER_PENDING_SLOTS);

	/* The others are all there, and the lost one is not. */
	KUNIT_EXPECT_EQ(test, take_all(test, pt), PAGE_OWNER_PENDING_SLOTS);
	KUNIT_EXPECT_FALSE(test, test_bit(i, pt->taken));
}

static void pending_slots_are_used_again(struct kunit *test)
{
	struct pending_test *pt = alloc_pending_test(test);
	int i;

	for (i = 0; i < PAGE_OWNER_PENDING_SLOTS; i++)
		KUNIT_ASSERT_TRUE(test, add_number(pt, i));
	KUNIT_ASSERT_NOT_NULL(test, page_owner_pending_take(&pt->pending));
	KUNIT_EXPECT_TRUE(test, add_number(pt, i));
	KUNIT_EXPECT_EQ(test, take_all(test, pt), PAGE_OWNER_PENDING_SLOTS);
	KUNIT_EXPECT_TRUE(test, test_bit(i, pt->taken));
}

static void pass_on(struct work_struct *work)
{
	struct passer *passer = container_of(work, struct passer, work);

	while (time_before(jiffies, passer->end)) {
		if (passer->held != -1 && add_number(passer->pt, passer->held))
			passer->held = -1;
		if (passer->held == -1)
			passer->held = take_number(passer->pt);
		cond_resched();
	}
}

/*
 * Everybody wants the same few slots. In the end each number is either held by
 * one or in one slot.
 */
static void nothing_is_lost_or_doubled(struct kunit *test)
{
	struct pending_test *pt = alloc_pending_test(test);
	struct passer *passers;
	int i, nr = 0;

	passers = kunit_kcalloc(test, NR_PASSERS, sizeof(*passers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, passers);

	for (i = 0; i < NR_PASSERS; i++) {
		INIT_WORK(&passers[i].work, pass_on);
		passers[i].pt = pt;
		passers[i].end = jiffies + HZ;
		passers[i].held = i;
	}
	for (i = 0; i < NR_PASSERS; i++)
		queue_work(system_dfl_wq, &passers[i].work);
	for (i = 0; i < NR_PASSERS; i++)
		flush_work(&passers[i].work);

	for (i = 0; i < NR_PASSERS; i++) {
		if (passers[i].held == -1)
			continue;
		mark_taken(test, pt, passers[i].held);
		nr++;
	}
	nr += take_all(test, pt);

	KUNIT_EXPECT_EQ(test, nr, NR_PASSERS);
	KUNIT_EXPECT_EQ(test, bitmap_weight(pt->taken, sizeof(pt->records)), NR_PASSERS);
	KUNIT_EXPECT_EQ(test, atomic_read(&pt->pending.nr), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->pending.nr_lost), 0);
}

/*
 * Counts.
 */

static struct page_owner_counts new_counts(struct kunit *test, unsigned int bits)
{
	struct page_owner_counts counts = { .bits = bits };

	counts.slots = kunit_kcalloc(test, 1UL << bits, sizeof(*counts.slots),
				     GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, counts.slots);

	return counts;
}

static bool count_page(struct page_owner_counts *counts,
		       depot_stack_handle_t handle, unsigned int order)
{
	struct page_owner_count *count = page_owner_counts_slot(counts, handle);

	if (!count)
		return false;
	count->nr_records++;
	count->nr_pages += 1UL << order;

	return true;
}

static void pages_are_added_up(struct kunit *test)
{
	struct page_owner_counts counts = new_counts(test, 3);

	KUNIT_EXPECT_TRUE(test, count_page(&counts, 7, 0));
	KUNIT_EXPECT_TRUE(test, count_page(&counts, U32_MAX, 9));
	KUNIT_EXPECT_TRUE(test, count_page(&counts, 7, 2));
	KUNIT_EXPECT_EQ(test, counts.nr_used, 2);

	page_owner_counts_sort(&counts);
	KUNIT_EXPECT_EQ(test, counts.slots[0].handle, U32_MAX);
	KUNIT_EXPECT_EQ(test, counts.slots[0].nr_records, 1);
	KUNIT_EXPECT_EQ(test, counts.slots[0].nr_pages, 512);
	KUNIT_EXPECT_EQ(test, counts.slots[1].handle, 7);
	KUNIT_EXPECT_EQ(test, counts.slots[1].nr_records, 2);
	KUNIT_EXPECT_EQ(test, counts.slots[1].nr_pages, 5);
}

/* A full table refuses new handles and goes on with those that it has. */
static void full_table_still_counts(struct kunit *test)
{
	struct page_owner_counts counts = new_counts(test, 3);
	depot_stack_handle_t handle = 1;

	while (count_page(&counts, handle, 0))
		handle++;
	KUNIT_EXPECT_EQ(test, counts.nr_used, 6);
	KUNIT_EXPECT_EQ(test, handle, 7);
	KUNIT_EXPECT_TRUE(test, page_owner_counts_full(&counts));
	KUNIT_EXPECT_TRUE(test, count_page(&counts, 6, 0));
	KUNIT_EXPECT_FALSE(test, count_page(&counts, 7, 0));
	KUNIT_EXPECT_EQ(test, counts.nr_used, 6);
}

static void free_counts_action(void *data)
{
	struct page_owner_counts *counts = data;

	kvfree(counts->slots);
}

#define NR_HANDLES	1000

/* As a read does it: the table grows whenever it is full, the first time from none. */
static void growing_loses_no_page(struct kunit *test)
{
	unsigned long *expected, sum = 0, total = 0;
	struct page_owner_counts *counts;
	depot_stack_handle_t handle;
	struct rnd_state rnd;
	unsigned int i, order;

	counts = kunit_kzalloc(test, sizeof(*counts), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, counts);
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, free_counts_action, counts), 0);
	expected = kunit_kcalloc(test, NR_HANDLES, sizeof(*expected), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, expected);
	KUNIT_ASSERT_TRUE(test, page_owner_counts_grow(counts));

	prandom_seed_state(&rnd, 1);
	for (i = 0; i < 20 * NR_HANDLES; i++) {
		handle = 1 + prandom_u32_state(&rnd) % NR_HANDLES;
		order = prandom_u32_state(&rnd) % 10;
		while (!count_page(counts, handle, order)) {
			unsigned int nr_used = counts->nr_used;

			KUNIT_ASSERT_TRUE(test, page_owner_counts_grow(counts));
			KUNIT_ASSERT_EQ(test, counts->nr_used, nr_used);
		}
		expected[handle - 1] += 1UL << order;
		total += 1UL << order;
	}
	/* It had to grow, or this was no test. */
	KUNIT_EXPECT_GT(test, counts->bits, PAGE_OWNER_COUNT_BITS);

	page_owner_counts_sort(counts);
	for (i = 0; i < counts->nr_used; i++) {
		handle = counts->slots[i].handle;
		KUNIT_ASSERT_GE(test, handle, 1);
		KUNIT_ASSERT_LE(test, handle, NR_HANDLES);
		KUNIT_EXPECT_EQ(test, counts->slots[i].nr_pages,
				expected[handle - 1]);
		if (i)
			KUNIT_EXPECT_LE(test, counts->slots[i].nr_pages,
					counts->slots[i - 1].nr_pages);
		sum += counts->slots[i].nr_pages;
	}
	/* So none is there twice, or missing. */
	KUNIT_EXPECT_EQ(test, sum, total);
}

static struct kunit_case page_owner_test_cases[] = {
	KUNIT_CASE_PARAM(text_gives_filter, filter_gen_params),
	KUNIT_CASE_PARAM(filter_survives_as_text, filter_gen_params),
	KUNIT_CASE(text_names_each_part),
	KUNIT_CASE(longest_text_has_room),
	KUNIT_CASE(parts_are_set_one_by_one),
	KUNIT_CASE(every_node_can_be_named),
	KUNIT_CASE_PARAM(window_is_the_next_range, window_gen_params),
	KUNIT_CASE(windows_cover_random_spans),
	KUNIT_CASE(block_of_one_node_is_decided_at_once),
	KUNIT_CASE(block_of_two_nodes_is_looked_at),
	KUNIT_CASE(block_with_poison_is_looked_at),
	KUNIT_CASE(buddy_page_is_one_step),
	KUNIT_CASE(garbage_buddy_order_is_no_step),
	KUNIT_CASE(buddy_step_ends_at_the_end),
	KUNIT_CASE(head_is_aligned_to_its_order),
	KUNIT_CASE(tails_are_one_step),
	KUNIT_CASE(tail_step_ends_at_the_end),
	KUNIT_CASE(untracked_memory_is_one_step),
	KUNIT_CASE(pending_stack_is_taken_once),
	KUNIT_CASE(pending_overflow_is_counted),
	KUNIT_CASE(pending_slots_are_used_again),
	KUNIT_CASE_SLOW(nothing_is_lost_or_doubled),
	KUNIT_CASE(pages_are_added_up),
	KUNIT_CASE(full_table_still_counts),
	KUNIT_CASE(growing_loses_no_page),
	{}
};

static struct kunit_suite page_owner_test_suite = {
	.name = "page_owner",
	.test_cases = page_owner_test_cases,
};
kunit_test_suite(page_owner_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("Tests for filters, walk and stacks of page_owner");
MODULE_LICENSE("GPL");
