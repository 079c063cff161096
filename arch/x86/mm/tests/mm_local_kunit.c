// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the mm-local region: who has page tables, who can see what,
 * and that they are gone at the end. What user space sees of it, the LDT under
 * page table isolation, is covered by selftests/x86/ldt_gdt.c.
 */

#include <kunit/test.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/pgalloc.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/mm_local.h>
#include <asm/pgtable_areas.h>

/* An address of the region that is not in the LDT's part, if there is one. */
#ifdef CONFIG_X86_64
#define OTHER_ADDR	LDT_END_ADDR
#elif defined(CONFIG_MERMAP)
#define OTHER_ADDR	MERMAP_BASE_ADDR
#else
#define OTHER_ADDR	0UL
#endif

static void drop_mm(void *mm)
{
	mmdrop(mm);
}

/* An mm that never runs unless the test uses it. */
static struct mm_struct *new_mm(struct kunit *test)
{
	struct mm_struct *mm = mm_alloc();

	KUNIT_ASSERT_NOT_NULL(test, mm);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, drop_mm, mm), 0);

	return mm;
}

/* The PMD entry of an address below a page directory, NULL if there is none. */
static pmd_t *find_pmd(pgd_t *pgd_base, unsigned long addr)
{
	pgd_t *pgd = pgd_base + pgd_index(addr);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud))
		return NULL;
	pmd = pmd_offset(pud, addr);

	return pmd_none(*pmd) ? NULL : pmd;
}

static pte_t *find_pte(struct mm_struct *mm, unsigned long addr)
{
	pmd_t *pmd = find_pmd(mm->pgd, addr);

	return pmd ? pte_offset_kernel(pmd, addr) : NULL;
}

/* The user half of the page tables, or NULL without page table isolation. */
static pgd_t *user_pgd(struct mm_struct *mm)
{
#ifdef CONFIG_MITIGATION_PAGE_TABLE_ISOLATION
	if (boot_cpu_has(X86_FEATURE_PTI))
		return kernel_to_user_pgdp(mm->pgd);
#endif
	return NULL;
}

static void expect_nothing_mapped(struct kunit *test, struct mm_struct *mm)
{
	unsigned long addr;

	for (addr = MM_LOCAL_BASE_ADDR;
	     addr - MM_LOCAL_BASE_ADDR < 2 * PMD_SIZE && addr < MM_LOCAL_END_ADDR;
	     addr += PMD_SIZE) {
		KUNIT_EXPECT_NULL(test, find_pmd(mm->pgd, addr));
		if (user_pgd(mm))
			KUNIT_EXPECT_NULL(test, find_pmd(user_pgd(mm), addr));
	}
#ifdef CONFIG_X86_64
	KUNIT_EXPECT_EQ(test, pgd_val(*pgd_offset(mm, MM_LOCAL_BASE_ADDR)), 0);
	if (user_pgd(mm))
		KUNIT_EXPECT_EQ(test, pgd_val(user_pgd(mm)[pgd_index(MM_LOCAL_BASE_ADDR)]),
				0);
#endif
}

/* An mm that does not use the region has nothing in it, and no flag. */
static void unused(struct kunit *test)
{
	struct mm_struct *mm = new_mm(test);

	KUNIT_EXPECT_FALSE(test, mm_flags_test(MMF_MM_LOCAL, mm));
	expect_nothing_mapped(test, mm);
}

/* Nothing is there that would be copied into every mm, or synchronised. */
static void init_mm_has_none(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, mm_flags_test(MMF_MM_LOCAL, &init_mm));
	expect_nothing_mapped(test, &init_mm);

	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, mm_local_populate(&init_mm, LDT_BASE_ADDR,
							LDT_END_ADDR), -EINVAL);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	expect_nothing_mapped(test, &init_mm);
}

/* Tables are counted, stay when populated again, and are all given back. */
static void populate_and_exit(struct kunit *test)
{
	struct mm_struct *mm = new_mm(test);
	unsigned long before = mm_pgtables_bytes(mm);
	unsigned long tables, addr = OTHER_ADDR ?: LDT_BASE_ADDR;
	pte_t *pte;

	KUNIT_ASSERT_EQ(test, mm_local_populate(mm, addr, addr + PAGE_SIZE), 0);
	KUNIT_EXPECT_TRUE(test, mm_flags_test(MMF_MM_LOCAL, mm));
	pte = find_pte(mm, addr);
	KUNIT_ASSERT_NOT_NULL(test, pte);
	KUNIT_EXPECT_TRUE(test, pte_none(*pte));

	/* P4D tables are not counted, and with PAE the PMD table was there. */
	tables = IS_ENABLED(CONFIG_X86_64) ? 3 : 1;
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(mm) - before,
			tables * PAGE_SIZE);

	/* More in the same table changes nothing. */
	KUNIT_EXPECT_EQ(test, mm_local_populate(mm, addr, addr + PMD_SIZE), 0);
	KUNIT_EXPECT_PTR_EQ(test, find_pte(mm, addr), pte);
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(mm) - before,
			tables * PAGE_SIZE);

	mm_local_exit(mm);
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(mm), before);
	KUNIT_EXPECT_FALSE(test, mm_flags_test(MMF_MM_LOCAL, mm));
	expect_nothing_mapped(test, mm);
}

/* Ranges that cross tables, up to two whole PMD tables away. */
static void populate_many(struct kunit *test)
{
	struct mm_struct *mm = new_mm(test);
	unsigned long before = mm_pgtables_bytes(mm);
	unsigned long start, addr;

	if (!IS_ENABLED(CONFIG_X86_64))
		kunit_skip(test, "needs a region of more than two PMDs");

	/* Two entries before and one after the border of a PUD entry. */
	start = MM_LOCAL_BASE_ADDR + 2 * (PTRS_PER_PMD * PMD_SIZE) -
		2 * PMD_SIZE + PAGE_SIZE;
	KUNIT_ASSERT_EQ(test,
			mm_local_populate(mm, start, start + 2 * PMD_SIZE), 0);
	for (addr = start; addr < start + 2 * PMD_SIZE; addr += PAGE_SIZE)
		if (!find_pte(mm, addr))
			KUNIT_FAIL(test, "no table for %lx\n", addr);
	KUNIT_EXPECT_NULL(test, find_pmd(mm->pgd, start - PMD_SIZE));
	/* Three PTE tables, two PMD tables, one PUD table. */
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(mm) - before, 6 * PAGE_SIZE);

	mm_local_exit(mm);
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(mm), before);
}

/* What is not in the region is refused, and changes nothing. */
static void bad_range(struct kunit *test)
{
	struct mm_struct *mm = new_mm(test);
	unsigned long start = MM_LOCAL_BASE_ADDR, end = MM_LOCAL_END_ADDR;

	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, mm_local_populate(mm, start - 1, end), -EINVAL);
		KUNIT_EXPECT_EQ(test, mm_local_populate(mm, start, end + 1), -EINVAL);
		KUNIT_EXPECT_EQ(test, mm_local_populate(mm, start, start), -EINVAL);
		KUNIT_EXPECT_EQ(test, mm_local_populate(mm, end, start), -EINVAL);
		KUNIT_EXPECT_EQ(test, mm_local_populate(mm, 0, PAGE_SIZE), -EINVAL);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 5);
	}
	KUNIT_EXPECT_FALSE(test, mm_flags_test(MMF_MM_LOCAL, mm));
	expect_nothing_mapped(test, mm);
}

/* The LDT's tables are seen by user mode, and others of the region are not. */
static void user_half(struct kunit *test)
{
	struct mm_struct *mm = new_mm(test);
	unsigned long before = mm_pgtables_bytes(mm);
	unsigned long ldt = LDT_BASE_ADDR, other = OTHER_ADDR;

	if (!user_pgd(mm))
		kunit_skip(test, "needs page table isolation (pti=on)");
	if (!other)
		kunit_skip(test, "the LDT has all of the region");

	/* Others first, so that the upper tables are not those of the LDT. */
	KUNIT_ASSERT_EQ(test, mm_local_populate(mm, other, other + PAGE_SIZE), 0);
	KUNIT_EXPECT_NULL(test, find_pmd(user_pgd(mm), other));

	KUNIT_ASSERT_EQ(test, mm_local_populate(mm, ldt, ldt + PAGE_SIZE), 0);
	KUNIT_EXPECT_NULL(test, find_pmd(user_pgd(mm), ldt));
#if defined(CONFIG_X86_64) && defined(CONFIG_MITIGATION_PAGE_TABLE_ISOLATION)
	KUNIT_ASSERT_EQ(test, mm_local_share_ldt(mm), 0);
	KUNIT_EXPECT_PTR_EQ(test, find_pmd(user_pgd(mm), ldt),
			    find_pmd(mm->pgd, ldt));
	/* PTE 2, PMD 2, PUD 1, and the user half's PUD. */
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(mm) - before, 6 * PAGE_SIZE);
#endif
	KUNIT_EXPECT_NOT_NULL(test, find_pmd(mm->pgd, other));
	KUNIT_EXPECT_NULL(test, find_pmd(user_pgd(mm), other));

	/* Nor what comes later. */
	if (IS_ENABLED(CONFIG_X86_64)) {
		unsigned long far = other + PTRS_PER_PMD * PMD_SIZE;

		KUNIT_ASSERT_EQ(test, mm_local_populate(mm, far, far + 1), 0);
		KUNIT_EXPECT_NOT_NULL(test, find_pmd(mm->pgd, far));
		KUNIT_EXPECT_NULL(test, find_pmd(user_pgd(mm), far));
	}

	mm_local_exit(mm);
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(mm), before);
	if (IS_ENABLED(CONFIG_X86_64))
		expect_nothing_mapped(test, mm);
}

static void free_test_page(void *page)
{
	__free_page(page);
}

/* An mm sees what it has mapped, and no other one does. */
static void other_mm(struct kunit *test)
{
	struct mm_struct *a = new_mm(test), *b = new_mm(test);
	unsigned long addr = OTHER_ADDR ?: LDT_BASE_ADDR;
	struct page *page = alloc_page(GFP_KERNEL);
	pgprot_t prot;
	u32 *data, got;
	pte_t *pte;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_test_page, page), 0);
	data = page_address(page);
	*data = 0x5eed;

	KUNIT_ASSERT_EQ(test, mm_local_populate(a, addr, addr + PAGE_SIZE), 0);
	KUNIT_ASSERT_EQ(test, mm_local_populate(b, addr, addr + PAGE_SIZE), 0);
	prot = __pgprot(pgprot_val(PAGE_KERNEL) & ~_PAGE_GLOBAL);
	pte = find_pte(a, addr);
	KUNIT_ASSERT_NOT_NULL(test, pte);
	set_pte(pte, mk_pte(page, prot));

	kthread_use_mm(a);
	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&got, (void *)addr, sizeof(got)), 0);
	KUNIT_EXPECT_EQ(test, got, 0x5eed);
	kthread_unuse_mm(a);

	kthread_use_mm(b);
	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&got, (void *)addr, sizeof(got)),
			-EFAULT);
	kthread_unuse_mm(b);

	/* Nothing in the region may point to a page that is freed. */
	pte_clear(a, addr, pte);
}

static struct kunit_case mm_local_test_cases[] = {
	KUNIT_CASE(unused),
	KUNIT_CASE(init_mm_has_none),
	KUNIT_CASE(populate_and_exit),
	KUNIT_CASE(populate_many),
	KUNIT_CASE(bad_range),
	KUNIT_CASE(user_half),
	KUNIT_CASE(other_mm),
	{}
};

static struct kunit_suite mm_local_test_suite = {
	.name = "mm_local",
	.test_cases = mm_local_test_cases,
};
kunit_test_suite(mm_local_test_suite);

MODULE_DESCRIPTION("KUnit tests for the mm-local region of x86");
MODULE_LICENSE("GPL");
