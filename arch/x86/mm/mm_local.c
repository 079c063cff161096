// SPDX-License-Identifier: GPL-2.0
/*
 * Page tables of the mm-local region: the part of the kernel's address space
 * that every mm has of its own.
 *
 * The tables are allocated when something is mapped, like those of user
 * mappings, and are not freed before the page directory is: whoever has a
 * reference to the mm_struct can rely on them, there is one place that frees
 * them on all paths, and no TLB needs a flush then, as nothing can load the
 * page directory any more. An mm without MMF_MM_LOCAL has no tables here.
 *
 * With page table isolation, the user page tables get the LDT's part of the
 * region and nothing else. On 64-bit the two halves therefore have upper
 * tables of their own, which meet in the LDT's PMD table. With PAE it is
 * the entry of the PMD table that is shared, see map_ldt_struct_to_user().
 *
 * Locking: get_locked_pte() copes with concurrent callers. The user tables are
 * changed under context.ldt_usr_sem, or before the mm is in use.
 */

#include <linux/mm.h>
#include <linux/pgalloc.h>

#include <asm/mm_local.h>
#include <asm/pgtable_areas.h>

#include <kunit/visibility.h>

/**
 * mm_local_populate() - Allocate page tables in the mm-local region
 * @mm:    Whose page tables. The caller has a reference.
 * @start: First address, in bytes.
 * @end:   End address, in bytes, exclusive.
 *
 * Make get_locked_pte() and lookups of the range succeed until the last
 * reference to @mm is dropped. The tables are charged to the caller's memory
 * cgroup and counted in @mm. Only the kernel's page tables get them.
 *
 * Context: Process context. May sleep.
 *
 * Return: 0, -ENOMEM if a table cannot be allocated (what has been allocated
 * stays), -EOPNOTSUPP on Xen PV, -EINVAL and a warning if the range is not in
 * the region or @mm is init_mm.
 */
int mm_local_populate(struct mm_struct *mm, unsigned long start,
		      unsigned long end)
{
	unsigned long addr;
	spinlock_t *ptl;
	pte_t *ptep;

	if (WARN_ON_ONCE(mm == &init_mm || start >= end ||
			 start < MM_LOCAL_BASE_ADDR || end > MM_LOCAL_END_ADDR))
		return -EINVAL;
	/* There, page tables are pinned and registered with the hypervisor. */
	if (cpu_feature_enabled(X86_FEATURE_XENPV))
		return -EOPNOTSUPP;

	/* First, so that mm_local_exit() finds what a failure leaves. */
	mm_flags_set(MMF_MM_LOCAL, mm);

	for (addr = start & PMD_MASK; addr < end; addr += PMD_SIZE) {
		ptep = get_locked_pte(mm, addr, &ptl);
		if (!ptep)
			return -ENOMEM;
		pte_unmap_unlock(ptep, ptl);
	}

	return 0;
}

/* Free the page tables that @nr entries of a PMD table point to. */
static void free_pte_tables(struct mm_struct *mm, pmd_t *pmd, unsigned int nr)
{
	pgtable_t pte;

	for (; nr; nr--, pmd++) {
		if (pmd_none(*pmd))
			continue;

		pte = pmd_pgtable(*pmd);
		pmd_clear(pmd);
		pte_free(mm, pte);
		mm_dec_nr_ptes(mm);
	}
}

#ifdef CONFIG_X86_64

static void free_pmd_tables(struct mm_struct *mm, pud_t *pud)
{
	pmd_t *pmd;
	int i;

	for (i = 0; i < PTRS_PER_PUD; i++, pud++) {
		if (pud_none(*pud))
			continue;

		pmd = pud_pgtable(*pud);
		free_pte_tables(mm, pmd, PTRS_PER_PMD);
		pud_clear(pud);
		pmd_free(mm, pmd);
		mm_dec_nr_pmds(mm);
	}
}

/*
 * Free the upper tables below the top-level entry of the region. The tables
 * below the PUD tables belong to the kernel's half.
 */
static void free_upper_tables(struct mm_struct *mm, pgd_t *pgd, bool kernel)
{
	p4d_t *p4d;
	pud_t *pud;
	int i;

	if (pgd_none(*pgd))
		return;

	/* The top-level entry itself if there are four levels. */
	p4d = p4d_offset(pgd, MM_LOCAL_BASE_ADDR);
	for (i = 0; i < PTRS_PER_P4D; i++) {
		if (p4d_none(p4d[i]))
			continue;

		pud = p4d_pgtable(p4d[i]);
		if (kernel)
			free_pmd_tables(mm, pud);
		p4d_clear(&p4d[i]);
		pud_free(mm, pud);
		mm_dec_nr_puds(mm);
	}

	if (pgtable_l5_enabled()) {
		set_pgd(pgd, __pgd(0));
		p4d_free(mm, p4d);
	}
}

void __mm_local_exit(struct mm_struct *mm)
{
	pgd_t *pgd = pgd_offset(mm, MM_LOCAL_BASE_ADDR);

#ifdef CONFIG_MITIGATION_PAGE_TABLE_ISOLATION
	if (cpu_feature_enabled(X86_FEATURE_PTI))
		free_upper_tables(mm, kernel_to_user_pgdp(pgd), false);
#endif
	free_upper_tables(mm, pgd, true);
	mm_flags_clear(MMF_MM_LOCAL, mm);
}
EXPORT_SYMBOL_IF_KUNIT(__mm_local_exit);

#ifdef CONFIG_MITIGATION_PAGE_TABLE_ISOLATION
/**
 * mm_local_share_ldt() - Map the LDT's part of the region for user mode
 * @mm: Whose page tables. The LDT's part has been populated.
 *
 * Give the user page tables upper tables of their own, with the LDT's PMD table
 * as their only entry. What else the region has, now or later, is not mapped
 * in user mode. This takes one page, or two with five levels.
 *
 * Context: Process context, once for an mm. May sleep. The caller has
 * context.ldt_usr_sem, or @mm is not in use yet.
 *
 * Return: 0, or -ENOMEM with nothing changed.
 */
int mm_local_share_ldt(struct mm_struct *mm)
{
	pgd_t *k_pgd = pgd_offset(mm, LDT_BASE_ADDR);
	pgd_t *u_pgd = kernel_to_user_pgdp(k_pgd);
	pud_t *k_pud, *u_pud;
	p4d_t *u_p4d = NULL;

	u_pud = pud_alloc_one(mm, LDT_BASE_ADDR);
	if (!u_pud)
		return -ENOMEM;

	if (pgtable_l5_enabled()) {
		u_p4d = p4d_alloc_one(mm, LDT_BASE_ADDR);
		if (!u_p4d) {
			pud_free(mm, u_pud);
			return -ENOMEM;
		}
	}

	k_pud = pud_offset(p4d_offset(k_pgd, LDT_BASE_ADDR), LDT_BASE_ADDR);
	set_pud(u_pud + pud_index(LDT_BASE_ADDR), *k_pud);

	/* From the bottom up: the top-level entry makes them visible. */
	if (pgtable_l5_enabled()) {
		p4d_populate(mm, u_p4d + p4d_index(LDT_BASE_ADDR), u_pud);
		pgd_populate(mm, u_pgd, u_p4d);
	} else {
		p4d_populate(mm, p4d_offset(u_pgd, LDT_BASE_ADDR), u_pud);
	}
	mm_inc_nr_puds(mm);

	return 0;
}
#endif /* CONFIG_MITIGATION_PAGE_TABLE_ISOLATION */

#else /* !CONFIG_X86_64 */

/* The PMD table is the kernel's, and is freed with the page directory. */
void __mm_local_exit(struct mm_struct *mm)
{
	free_pte_tables(mm, pmd_off(mm, MM_LOCAL_BASE_ADDR),
			(MM_LOCAL_END_ADDR - MM_LOCAL_BASE_ADDR) >> PMD_SHIFT);
	mm_flags_clear(MMF_MM_LOCAL, mm);
}
EXPORT_SYMBOL_IF_KUNIT(__mm_local_exit);

#endif /* CONFIG_X86_64 */
