/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_MERMAP_H
#define _ASM_X86_MERMAP_H

/* What users of the mermap have to know about x86; see also asm/mermap_ops.h. */

#include <linux/cpufeature.h>
#include <linux/minmax.h>
#include <linux/pgtable.h>
#include <linux/threads.h>

#include <asm/pgtable_areas.h>

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

#endif /* _ASM_X86_MERMAP_H */
