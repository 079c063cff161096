/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_MERMAP_H
#define _ASM_X86_MERMAP_H

/* What mm/mermap.c has to know about x86. */

#include <linux/cpufeature.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/threads.h>

#include <asm/mm_local.h>
#include <asm/pgtable_areas.h>
#include <asm/tlb.h>
#include <asm/tlbflush.h>

/* From here on it is cheaper to flush everything, as in flush_tlb_mm_range(). */
#define MERMAP_FLUSH_CEILING	33

#ifdef CONFIG_X86_64
static_assert(NR_CPUS * 64UL <= MERMAP_PAGES);
#endif

/*
 * How many pages a CPU has, as a bitmap of them fits in a u64. Eight CPUs share
 * a page table. With PAE there is one page table for all.
 */
static inline unsigned int arch_mermap_cpu_pages(void)
{
	if (IS_ENABLED(CONFIG_X86_64))
		return 64;

	return min(64U, MERMAP_PAGES / nr_cpu_ids);
}

/* With PAE, each CPU has to have at least a few pages. */
static inline bool arch_mermap_supported(void)
{
	return arch_mermap_cpu_pages() >= 8 &&
	       !cpu_feature_enabled(X86_FEATURE_XENPV);
}

/* Allocate page tables, which stay where they are until @mm is freed. */
static inline int arch_mermap_populate(struct mm_struct *mm,
				       unsigned long start, unsigned long end)
{
	return mm_local_populate(mm, start, end);
}

/*
 * Whether the page tables of @mm are in use on this CPU, and not, for example,
 * those of a temporary mm. For a task that cannot migrate the answer stays true
 * while it runs: the scheduler does not know about temporary mms.
 */
static inline bool arch_mermap_loaded(struct mm_struct *mm)
{
	return this_cpu_read(cpu_tlbstate.loaded_mm) == mm;
}

/*
 * Check a protection, and make it fit for the mermap. It must not be global:
 * with global entries, what other processes have at the address would matter,
 * and the flush of an mm would not reach them.
 */
static inline bool arch_mermap_pgprot(pgprot_t *prot)
{
	pgprotval_t val = pgprot_val(*prot);

	if (!(val & _PAGE_PRESENT) || (val & _PAGE_USER))
		return false;
	if ((__supported_pte_mask & _PAGE_NX) && !(val & _PAGE_NX))
		return false;

	*prot = __pgprot(val & __supported_pte_mask & ~_PAGE_GLOBAL);

	return true;
}

/*
 * Invalidate @nr pages on this CPU, in the page tables that are loaded.
 *
 * flush_tlb_one_user() would also invalidate them in the user page tables,
 * where they are not. flush_tlb_one_kernel() would in all address spaces.
 *
 * @mm may have used other ASIDs on this CPU while the pages were mapped. Those
 * are flushed before they are used again: an ASID is only left when it is
 * given to another mm, or for a global one, and neither comes back.
 */
static inline void arch_mermap_flush(unsigned long addr, unsigned int nr)
{
	if (nr > MERMAP_FLUSH_CEILING) {
		guard(preempt)();
		flush_tlb_local();
		return;
	}

	for (; nr; nr--, addr += PAGE_SIZE)
		invlpg(addr);
}

#endif /* _ASM_X86_MERMAP_H */
