// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests for looking up page_ext, by PFN and by page.
 *
 * A lookup by PFN must not read struct page. A lookup by page may read the
 * section in page->flags if page_to_pfn() does (classic SPARSEMEM), and must
 * not trust it. All pages here are real and ours: a page_ext of a fake page does
 * not exist. Where flags are overwritten, it is for the time of one lookup.
 */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/page_ext.h>
#include <linux/rcupdate.h>

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
