/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_MERMAP_OPS_H
#define _ASM_X86_MERMAP_OPS_H

/*
 * What mm/mermap.c, and nobody else, has to know about x86. The state of the TLB
 * is not for modules.
 */

#include <linux/mm_types.h>
#include <linux/pgtable.h>

#include <asm/mm_local.h>
#include <asm/tlb.h>
#include <asm/tlbflush.h>

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
 *
 * Not so in lazy mode, when a kernel thread goes on with the page tables of an
 * mm that it does not use: flush_tlb_func(), in an interrupt, loads those of
 * init_mm instead. Nothing of the kind happens to an mm that is used.
 */
static inline bool arch_mermap_loaded(struct mm_struct *mm)
{
	return this_cpu_read(cpu_tlbstate.loaded_mm) == mm &&
	       !this_cpu_read(cpu_tlbstate_shared.is_lazy);
}

/*
 * How a page is mapped. Not global: with global entries, what other processes
 * have at the address would matter, and the flush of an mm would not reach them.
 */
static inline pgprot_t arch_mermap_pgprot(bool write)
{
	pgprot_t prot = write ? PAGE_KERNEL : PAGE_KERNEL_RO;

	return __pgprot(pgprot_val(prot) & __supported_pte_mask & ~_PAGE_GLOBAL);
}

/*
 * Invalidate @nr pages on this CPU, in the page tables that are loaded.
 *
 * flush_tlb_one_user() would also invalidate them in the user page tables,
 * where they are not. flush_tlb_one_kernel() would in all address spaces.
 *
 * However many there are, flush_tlb_local() would not do: it reads CR3 and
 * writes it back, or goes by the ASID that is loaded, and both can change in an
 * interrupt. That INVLPG works on whichever ASID is current is enough:
 * @mm may have used other ASIDs on this CPU while the pages were mapped, and
 * those are flushed before they are used again: an ASID is only left when it is
 * given to another mm, or for a global one, and neither comes back.
 */
static inline void arch_mermap_flush(unsigned long addr, unsigned int nr)
{
	for (; nr; nr--, addr += PAGE_SIZE)
		invlpg(addr);
}

#endif /* _ASM_X86_MERMAP_OPS_H */
