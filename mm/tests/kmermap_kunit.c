// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for windows of the kernel's own: what they show, that two can be open
 * at once, where there are none, and that nothing is left of them afterwards.
 */

#include <kunit/test.h>
#include <linux/bottom_half.h>
#include <linux/gfp.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/kmermap.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/unmapped.h>
#include <linux/workqueue.h>

#include <asm/mermap_ops.h>

#include "../mermap.h"
#include "unmapped_fixture.h"

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");

#define ORDER	get_order(KMERMAP_PAGES * PAGE_SIZE)

static int kmermap_test_init(struct kunit *test)
{
	if (!kmermap_available())
		kunit_skip(test, "needs windows of the kernel's own");

	return 0;
}

static void put_pages(void *data)
{
	__free_pages(data, ORDER);
}

/* Mapped ones, so that there is another way to look at them. */
static struct page *new_pages(struct kunit *test)
{
	struct page *page = alloc_pages(GFP_KERNEL, ORDER);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_pages, page), 0);
	memset(page_address(page), 0, KMERMAP_PAGES * PAGE_SIZE);

	return page;
}

/*
 * Nothing may fail with an assertion between begin and end: preemption is off there.
 * So what is found is told afterwards.
 */

/* As many pages as are guaranteed, in their order, and what is written arrives. */
static void windows_show_all_pages(struct kunit *test)
{
	struct page *page = new_pages(test);
	unsigned int i, wrong = 0;
	struct mermap_alloc *alloc;
	bool begun, mapped = false;
	struct kmermap k;

	for (i = 0; i < KMERMAP_PAGES; i++)
		*(u64 *)page_address(page + i) = PATTERN + i;
	begun = kmermap_begin(&k);
	if (begun) {
		/* Page after page by one to read them, and by one to write to them. */
		alloc = kmermap_map(page, KMERMAP_PAGES, MERMAP_RO);
		mapped = !IS_ERR(alloc);
		if (mapped) {
			for (i = 0; i < KMERMAP_PAGES; i++)
				wrong += READ_ONCE(*(u64 *)(mermap_addr(alloc) + i * PAGE_SIZE)) !=
					 PATTERN + i;
			kmermap_unmap(alloc);
			alloc = kmermap_map(page, KMERMAP_PAGES, MERMAP_RW);
			mapped = !IS_ERR(alloc);
		}
		if (mapped) {
			for (i = 0; i < KMERMAP_PAGES; i++)
				((u64 *)(mermap_addr(alloc) + i * PAGE_SIZE))[1] = PATTERN - i;
			kmermap_unmap(alloc);
		}
		kmermap_end(&k);
	}
	KUNIT_EXPECT_TRUE(test, begun);
	KUNIT_EXPECT_TRUE(test, mapped);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	for (i = 0; mapped && i < KMERMAP_PAGES; i++)
		KUNIT_EXPECT_EQ(test, ((u64 *)page_address(page + i))[1], PATTERN - i);
}

/* A source and a target, which neither is in the direct map: what migration needs. */
static void two_windows_for_a_copy(struct kunit *test)
{
	struct mermap_alloc *src, *dst;
	struct page *from, *to;
	bool both = false;
	struct kmermap k;

	if (!unmapped_pages_enabled())
		kunit_skip(test, "needs a direct map of large pages");
	from = alloc_pages_unmapped(GFP_KERNEL, 0);
	to = alloc_pages_unmapped(GFP_KERNEL, 0);
	if (!from || !to || !fill(from, PATTERN))
		KUNIT_FAIL(test, "no pages to copy");

	if (from && to && kmermap_begin(&k)) {
		src = kmermap_map(from, 1, MERMAP_RO);
		dst = kmermap_map(to, 1, MERMAP_RW);
		both = !IS_ERR(src) && !IS_ERR(dst) && mermap_addr(src) != mermap_addr(dst);
		if (both)
			memcpy(mermap_addr(dst), mermap_addr(src), PAGE_SIZE);
		if (!IS_ERR(dst))
			kmermap_unmap(dst);
		if (!IS_ERR(src))
			kmermap_unmap(src);
		kmermap_end(&k);
	}
	KUNIT_EXPECT_TRUE(test, both);
	if (both) {
		KUNIT_EXPECT_EQ(test, differ(to, PATTERN), 0);
		KUNIT_EXPECT_EQ(test, differ(from, PATTERN), 0);
	}
	if (from)
		__free_page(from);
	if (to)
		__free_page(to);
	expect_nothing_left(test);
}

/* An address that somebody has kept leads nowhere, also while the tables are loaded. */
static void windows_are_gone(struct kunit *test)
{
	struct page *page = new_pages(test);
	struct mermap_alloc *alloc;
	long during = -1, after = 0;
	struct kmermap k;
	void *addr;
	u64 word;

	if (kmermap_begin(&k)) {
		alloc = kmermap_map(page, 1, MERMAP_RO);
		if (!IS_ERR(alloc)) {
			addr = mermap_addr(alloc);
			during = copy_from_kernel_nofault(&word, addr, sizeof(word));
			kmermap_unmap(alloc);
			after = copy_from_kernel_nofault(&word, addr, sizeof(word));
		}
		kmermap_end(&k);
	}
	KUNIT_EXPECT_EQ(test, during, 0);
	KUNIT_EXPECT_NE(test, after, 0);
}

static bool begins(void)
{
	struct kmermap k;

	if (!kmermap_begin(&k))
		return false;
	kmermap_end(&k);

	return true;
}

struct elsewhere {
	struct irq_work		hard;
	struct work_struct	soft;
	bool			begun;
};

static void begin_in_irq(struct irq_work *work)
{
	container_of(work, struct elsewhere, hard)->begun = begins();
}

static void begin_in_softirq(struct work_struct *work)
{
	container_of(work, struct elsewhere, soft)->begun = begins();
}

/* Whoever was interrupted may be in the middle of it, or of loading another mm. */
static void refused_outside_of_tasks(struct kunit *test)
{
	struct elsewhere e = { .hard = IRQ_WORK_INIT_HARD(begin_in_irq), .begun = true };
	unsigned long flags;
	bool begun;

	irq_work_queue(&e.hard);
	irq_work_sync(&e.hard);
	KUNIT_EXPECT_FALSE(test, e.begun);

	e.begun = true;
	INIT_WORK_ONSTACK(&e.soft, begin_in_softirq);
	queue_work(system_bh_wq, &e.soft);
	flush_work(&e.soft);
	destroy_work_on_stack(&e.soft);
	KUNIT_EXPECT_FALSE(test, e.begun);

	local_irq_save(flags);
	begun = begins();
	local_irq_restore(flags);
	KUNIT_EXPECT_FALSE(test, begun);

	/* That softirqs are off is no reason. */
	local_bh_disable();
	begun = begins();
	local_bh_enable();
	KUNIT_EXPECT_TRUE(test, begun);
}

/* A second one would unload the first. To be refused changes nothing. */
static void refused_within_another(struct kunit *test)
{
	int before = preempt_count(), inside = 0, refused = 0, after;
	bool begun, again = true;
	struct kmermap k;

	begun = kmermap_begin(&k);
	if (begun) {
		inside = preempt_count();
		again = begins();
		refused = preempt_count();
		/* So that a refusal that keeps it off does not end here. */
		preempt_count_set(inside);
		kmermap_end(&k);
	}
	after = preempt_count();
	KUNIT_EXPECT_TRUE(test, begun);
	KUNIT_EXPECT_FALSE(test, again);
	KUNIT_EXPECT_EQ(test, refused, inside);
	KUNIT_EXPECT_EQ(test, after, before);
	KUNIT_EXPECT_TRUE(test, begins());
}

/* Who frees for a process has its mm loaded before and after. */
static void the_mm_before_is_back(struct kunit *test)
{
	struct mm_struct *mm = mm_alloc();
	bool begun, before, during = true, after;
	struct kmermap k;

	KUNIT_ASSERT_NOT_NULL(test, mm);
	kthread_use_mm(mm);
	preempt_disable();
	before = arch_mermap_loaded(mm);
	begun = kmermap_begin(&k);
	if (begun) {
		during = arch_mermap_loaded(mm);
		kmermap_end(&k);
	}
	after = arch_mermap_loaded(mm);
	preempt_enable();
	kthread_unuse_mm(mm);
	mmput(mm);

	KUNIT_EXPECT_TRUE(test, begun);
	KUNIT_EXPECT_TRUE(test, before);
	KUNIT_EXPECT_FALSE(test, during);
	KUNIT_EXPECT_TRUE(test, after);
}

/* More than is guaranteed is not tried, not even if there is room. */
static void larger_ones_are_refused(struct kunit *test)
{
	struct page *page = new_pages(test);
	struct mermap_alloc *alloc = NULL;
	struct kmermap k;

	kunit_warning_suppress(test) {
		if (kmermap_begin(&k)) {
			alloc = kmermap_map(page, KMERMAP_PAGES + 1, MERMAP_RO);
			if (!IS_ERR(alloc))
				kmermap_unmap(alloc);
			kmermap_end(&k);
		}
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(alloc), -EINVAL);
}

/*
 * No program runs with these tables, so nobody has to flush: a page that was erased
 * is an ordinary one for CONFIG_DEBUG_MERMAP when it is handed out, and freed, again.
 */
static void nothing_is_owed(struct kunit *test)
{
	struct page *page;
	unsigned int i;

	if (!IS_ENABLED(CONFIG_DEBUG_MERMAP))
		kunit_skip(test, "needs CONFIG_DEBUG_MERMAP");
	if (!unmapped_pages_enabled())
		kunit_skip(test, "needs a direct map of large pages");
	kunit_warning_suppress(test) {
		for (i = 0; i < 4; i++) {
			page = alloc_pages_unmapped(GFP_KERNEL, 0);
			if (!page)
				break;
			/* Each look is a window, and so is the erasing. */
			fill(page, PATTERN);
			mermap_check_owner(page, 1);
			__free_page(page);
		}
		KUNIT_EXPECT_EQ(test, i, 4);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 0);
	}
	expect_nothing_left(test);
}

/* Without room there is an error and no window, and nothing else has changed. */
static void injected_failures(struct kunit *test)
{
#ifdef CONFIG_FAIL_MERMAP
	struct page *page = new_pages(test);
	struct mermap_alloc *alloc = NULL;
	struct kmermap k;
	bool begun;

	inject(&fail_mermap, -1);
	begun = kmermap_begin(&k);
	if (begun) {
		alloc = kmermap_map(page, 1, MERMAP_RO);
		if (!IS_ERR(alloc))
			kmermap_unmap(alloc);
		kmermap_end(&k);
	}
	stop_injecting(&fail_mermap);
	KUNIT_EXPECT_TRUE(test, begun);
	KUNIT_EXPECT_TRUE(test, IS_ERR(alloc));
	KUNIT_EXPECT_LT(test, differ(page, 0), (unsigned int)(PAGE_SIZE / sizeof(u64)));
#else
	kunit_skip(test, "needs CONFIG_FAIL_MERMAP");
#endif
}

static struct kunit_case kmermap_test_cases[] = {
	KUNIT_CASE(windows_show_all_pages),
	KUNIT_CASE(two_windows_for_a_copy),
	KUNIT_CASE(windows_are_gone),
	KUNIT_CASE(refused_outside_of_tasks),
	KUNIT_CASE(refused_within_another),
	KUNIT_CASE(the_mm_before_is_back),
	KUNIT_CASE(larger_ones_are_refused),
	KUNIT_CASE(nothing_is_owed),
	KUNIT_CASE(injected_failures),
	{}
};

static struct kunit_suite kmermap_test_suite = {
	.name = "kmermap",
	.init = kmermap_test_init,
	.test_cases = kmermap_test_cases,
};
kunit_test_suite(kmermap_test_suite);

MODULE_DESCRIPTION("Tests for windows of the kernel's own");
MODULE_LICENSE("GPL");
