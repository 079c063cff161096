// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests for looking up page_ext, by PFN and by page, and for taking it back when
 * there is not enough memory for a whole block.
 *
 * A lookup by PFN must not read struct page. A lookup by page may read the
 * section in page->flags if page_to_pfn() does (classic SPARSEMEM), and must
 * not trust it. All pages here are real and ours: a page_ext of a fake page does
 * not exist. Where flags are overwritten, it is for the time of one lookup.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <kunit/test-bug.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/page_ext.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "../page_ext_test.h"

#define TEST_ORDER	2

static void free_pages_action(void *page)
{
	__free_pages(page, TEST_ORDER);
}

static struct page *alloc_test_pages(struct kunit *test, int nid)
{
	gfp_t gfp = GFP_KERNEL | __GFP_THISNODE;
	struct page *page;
	int ret;

	page = alloc_pages_node(nid, gfp, TEST_ORDER);
	KUNIT_ASSERT_NOT_NULL_MSG(test, page, "no free pages on node %d", nid);
	ret = kunit_add_action_or_reset(test, free_pages_action, page);
	KUNIT_ASSERT_EQ(test, ret, 0);

	return page;
}

static struct page *alloc_any_test_pages(struct kunit *test)
{
	return alloc_test_pages(test, first_node(node_states[N_NORMAL_MEMORY]));
}

/* The results are compared, never dereferenced, so RCU need not be kept. */
static struct page_ext *lookup_by_pfn(unsigned long pfn)
{
	struct page_ext *page_ext;

	rcu_read_lock();
	page_ext = page_ext_lookup(pfn);
	rcu_read_unlock();

	return page_ext;
}

static struct page_ext *lookup_by_page(struct page *page)
{
	struct page_ext *page_ext = page_ext_get(page);

	page_ext_put(page_ext);
	return page_ext;
}

/* Look up by PFN or by page while the flags of @page are @flags. */
static struct page_ext *lookup_with_flags(struct page *page, unsigned long pfn,
					  bool by_pfn, unsigned long flags)
{
	struct page_ext *page_ext;
	unsigned long irq_flags;
	unsigned long saved;

	local_irq_save(irq_flags);
	saved = READ_ONCE(page->flags.f);
	WRITE_ONCE(page->flags.f, flags);
	page_ext = by_pfn ? lookup_by_pfn(pfn) : lookup_by_page(page);
	WRITE_ONCE(page->flags.f, saved);
	local_irq_restore(irq_flags);

	return page_ext;
}

static void pfn_and_page_give_the_same(struct kunit *test)
{
	struct page *page;
	int nid, i;

	for_each_node_state(nid, N_NORMAL_MEMORY) {
		page = alloc_test_pages(test, nid);

		for (i = 0; i < 1 << TEST_ORDER; i++) {
			unsigned long pfn = page_to_pfn(page + i);

			KUNIT_EXPECT_NOT_NULL(test, lookup_by_pfn(pfn));
			KUNIT_EXPECT_PTR_EQ(test, lookup_by_pfn(pfn),
					    lookup_by_page(page + i));
		}
	}
}

static void next_pfn_has_next_page_ext(struct kunit *test)
{
	unsigned long pfn = page_to_pfn(alloc_any_test_pages(test));
	int i;

	for (i = 1; i < 1 << TEST_ORDER; i++)
		KUNIT_EXPECT_PTR_EQ(test, lookup_by_pfn(pfn + i),
				    page_ext_next(lookup_by_pfn(pfn + i - 1)));
}

static void poison_does_not_matter_by_pfn(struct kunit *test)
{
	struct page *page = alloc_any_test_pages(test);
	unsigned long pfn = page_to_pfn(page);
	struct page_ext *page_ext = lookup_by_pfn(pfn);

	KUNIT_EXPECT_PTR_EQ(test, page_ext,
			    lookup_with_flags(page, pfn, true, ULONG_MAX));
	KUNIT_EXPECT_PTR_EQ(test, page_ext,
			    lookup_with_flags(page, pfn, true, 0));
}

#ifdef SECTION_IN_PAGE_FLAGS
static void poison_does_not_matter_by_page(struct kunit *test)
{
	kunit_skip(test, "needs page_to_pfn() not to read struct page");
}

/* Only the right section may lead to page_ext, and any other one to NULL. */
static void section_in_flags_is_checked(struct kunit *test)
{
	struct page *page = alloc_any_test_pages(test);
	unsigned long pfn = page_to_pfn(page);
	struct page_ext *expected, *page_ext;
	unsigned long nr, flags;

	for (nr = 0; nr <= SECTIONS_MASK; nr++) {
		flags = ~(SECTIONS_MASK << SECTIONS_PGSHIFT);
		flags |= nr << SECTIONS_PGSHIFT;
		expected = NULL;
		if (nr == pfn_to_section_nr(pfn))
			expected = lookup_by_pfn(pfn);

		page_ext = lookup_with_flags(page, pfn, false, flags);
		KUNIT_EXPECT_PTR_EQ_MSG(test, page_ext, expected,
					"section %lu", nr);
	}
}
#else
static void poison_does_not_matter_by_page(struct kunit *test)
{
	struct page *page = alloc_any_test_pages(test);
	unsigned long pfn = page_to_pfn(page);
	struct page_ext *page_ext = lookup_by_pfn(pfn);

	KUNIT_EXPECT_PTR_EQ(test, page_ext,
			    lookup_with_flags(page, pfn, false, ULONG_MAX));
	KUNIT_EXPECT_PTR_EQ(test, page_ext,
			    lookup_with_flags(page, pfn, false, 0));
}

static void section_in_flags_is_checked(struct kunit *test)
{
	kunit_skip(test, "needs the section in page->flags");
}
#endif

static void pfn_beyond_the_end_has_none(struct kunit *test)
{
	/* page_ext comes in units of at most this size. */
	unsigned long unit = MAX_ORDER_NR_PAGES;

#ifdef CONFIG_SPARSEMEM
	unit = PAGES_PER_SECTION;
#endif
	KUNIT_EXPECT_NULL(test, lookup_by_pfn(ALIGN(max_pfn, unit) + unit));
	KUNIT_EXPECT_NULL(test, lookup_by_pfn(ULONG_MAX));
	KUNIT_EXPECT_NULL(test, lookup_by_pfn(ULONG_MAX / 2));
}

#ifdef CONFIG_SPARSEMEM
static void absent_section_has_none(struct kunit *test)
{
	unsigned long pfn;
	int absent = 0;

	for (pfn = 0; pfn < max_pfn; pfn += PAGES_PER_SECTION) {
		if (pfn_in_present_section(pfn))
			continue;
		KUNIT_EXPECT_NULL_MSG(test, lookup_by_pfn(pfn), "PFN %#lx", pfn);
		absent++;
	}

	if (!absent)
		kunit_skip(test, "needs an absent section below the last one");
}
#else
static void absent_section_has_none(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_SPARSEMEM");
}
#endif

#if defined(CONFIG_SPARSEMEM) && defined(CONFIG_MEMORY_HOTPLUG)
/* Sections of a block of memory that gets page_ext for all but the last. */
#define NR_SECTIONS	3

struct rollback {
	unsigned long start;
	int allocated;
	int freed;
	/* RCU, at the time of the failure. */
	struct rcu_gp_seq failed;
};

static unsigned long section_start(const struct rollback *rollback, int i)
{
	return rollback->start + i * PAGES_PER_SECTION;
}

static void *fail_for_the_last_section(size_t size, int nid)
{
	struct kunit *test = kunit_get_current_test();
	struct rollback *rollback = test->priv;
	int i;

	if (rollback->allocated < NR_SECTIONS - 1) {
		rollback->allocated++;
		/* Nobody looks into the page_ext of memory that is not there. */
		return kzalloc(PAGE_SIZE, GFP_KERNEL);
	}

	/* Readers that start before now can have found these. */
	for (i = 0; i < NR_SECTIONS - 1; i++)
		KUNIT_EXPECT_NOT_NULL(test,
				      lookup_by_pfn(section_start(rollback, i)));
	get_state_synchronize_rcu_full(&rollback->failed);

	return NULL;
}

static void check_that_nobody_uses_it(void *addr)
{
	struct kunit *test = kunit_get_current_test();
	struct rollback *rollback = test->priv;
	int i;

	for (i = 0; i < NR_SECTIONS; i++)
		KUNIT_EXPECT_NULL(test,
				  lookup_by_pfn(section_start(rollback, i)));
	KUNIT_EXPECT_TRUE_MSG(test,
			      poll_state_synchronize_rcu_full(&rollback->failed),
			      "freed without a grace period");
	rollback->freed++;
	kfree(addr);
}

/* Return: the number of a section that exists and has no memory, as the next ones. */
static unsigned long find_absent_sections(void)
{
	unsigned long nr = pfn_to_section_nr(ALIGN(max_pfn, PAGES_PER_SECTION));
	unsigned long found = 0;

	for (; nr < NR_MEM_SECTIONS && found < NR_SECTIONS; nr++) {
		struct mem_section *section = __nr_to_section(nr);

		if (!section)
			return 0;
		found = present_section(section) ? 0 : found + 1;
	}

	return found == NR_SECTIONS ? nr - NR_SECTIONS : 0;
}

/* Memory that fails to come online half way must not pull page_ext from under readers. */
static void rollback_waits_for_readers(struct kunit *test)
{
	struct rollback rollback = { };
	unsigned long nr;
	int ret;

	get_online_mems();
	nr = find_absent_sections();
	if (!nr) {
		put_online_mems();
		kunit_skip(test, "needs room for %d sections", NR_SECTIONS);
	}

	rollback.start = section_nr_to_pfn(nr);
	test->priv = &rollback;
	kunit_activate_static_stub(test, alloc_page_ext,
				   fail_for_the_last_section);
	kunit_activate_static_stub(test, free_page_ext,
				   check_that_nobody_uses_it);
	ret = online_sections_page_ext(rollback.start,
				       section_start(&rollback, NR_SECTIONS), 0);
	kunit_deactivate_static_stub(test, free_page_ext);
	kunit_deactivate_static_stub(test, alloc_page_ext);
	put_online_mems();

	KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
	KUNIT_EXPECT_EQ(test, rollback.allocated, NR_SECTIONS - 1);
	KUNIT_EXPECT_EQ(test, rollback.freed, NR_SECTIONS - 1);
}
#else
static void rollback_waits_for_readers(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_SPARSEMEM and CONFIG_MEMORY_HOTPLUG");
}
#endif

/* page_ext exists only if one of its users was enabled at boot. */
static int page_ext_test_init(struct kunit *test)
{
	if (!page_ext_size)
		kunit_skip(test, "needs a user of page_ext, try page_owner=on");

	return 0;
}

static struct kunit_case page_ext_test_cases[] = {
	KUNIT_CASE(pfn_and_page_give_the_same),
	KUNIT_CASE(next_pfn_has_next_page_ext),
	KUNIT_CASE(poison_does_not_matter_by_pfn),
	KUNIT_CASE(poison_does_not_matter_by_page),
	KUNIT_CASE(section_in_flags_is_checked),
	KUNIT_CASE(pfn_beyond_the_end_has_none),
	KUNIT_CASE(absent_section_has_none),
	KUNIT_CASE(rollback_waits_for_readers),
	{}
};

static struct kunit_suite page_ext_test_suite = {
	.name = "page_ext",
	.init = page_ext_test_init,
	.test_cases = page_ext_test_cases,
};
kunit_test_suite(page_ext_test_suite);

MODULE_DESCRIPTION("Tests for looking up page extensions");
MODULE_LICENSE("GPL");
