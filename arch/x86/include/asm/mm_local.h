/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_MM_LOCAL_H
#define _ASM_X86_MM_LOCAL_H

/*
 * The mm-local region: kernel mappings that every mm has of its own, from
 * MM_LOCAL_BASE_ADDR to MM_LOCAL_END_ADDR. An mm has page tables there only
 * once it uses the region. They are freed with the page directory.
 */

#include <linux/mm.h>

#ifdef CONFIG_MM_LOCAL_REGION

int mm_local_populate(struct mm_struct *mm, unsigned long start,
		      unsigned long end);
int mm_local_share_ldt(struct mm_struct *mm);
void __mm_local_exit(struct mm_struct *mm);

/**
 * mm_local_exit() - Free the page tables of the mm-local region
 * @mm: An mm that is not loaded on any CPU and never will be again.
 *
 * Context: Any context in which a page directory can be freed.
 */
static inline void mm_local_exit(struct mm_struct *mm)
{
	if (unlikely(mm_flags_test(MMF_MM_LOCAL, mm)))
		__mm_local_exit(mm);
}

#else /* !CONFIG_MM_LOCAL_REGION */

static inline void mm_local_exit(struct mm_struct *mm) { }

#endif /* CONFIG_MM_LOCAL_REGION */

#endif /* _ASM_X86_MM_LOCAL_H */
