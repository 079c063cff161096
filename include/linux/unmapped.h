/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_UNMAPPED_H
#define _LINUX_UNMAPPED_H

/*
 * Memory that is absent from the direct map: the kernel cannot reach it but
 * through a window that it makes for the purpose (linux/kmermap.h). Ask for it
 * with __GFP_UNMAPPED, free it as any other. See mm/unmapped.c.
 */

#include <linux/gfp.h>
#include <linux/mm_types.h>

struct seq_file;

#ifdef CONFIG_UNMAPPED_PAGES

bool page_is_unmapped(const struct page *page);
bool unmapped_pages_enabled(void);
void unmapped_report_meminfo(struct seq_file *m);

#else /* !CONFIG_UNMAPPED_PAGES */

/* A macro, so that nothing is left of it. */
#define page_is_unmapped(page)	false
static inline bool unmapped_pages_enabled(void) { return false; }
static inline void unmapped_report_meminfo(struct seq_file *m) { }

#endif /* CONFIG_UNMAPPED_PAGES */

/**
 * alloc_pages_unmapped() - Allocate pages that are absent from the direct map
 * @gfp: As for alloc_pages(), but no zone and no mobility. The pages are zero,
 *       with or without __GFP_ZERO.
 * @order: At most pageblock_order.
 *
 * The task's memory policy and cpuset apply. A request that cannot sleep gets
 * what has been prepared for others, or nothing.
 *
 * Context: Any context, as @gfp says.
 *
 * Return: Pages that page_is_unmapped() is true for, or NULL: also where there is
 * no such memory, see unmapped_pages_enabled().
 */
#define alloc_pages_unmapped(gfp, order)				\
	alloc_pages((gfp) | __GFP_UNMAPPED, order)

/* The same as a folio. */
#define folio_alloc_unmapped(gfp, order)				\
	folio_alloc((gfp) | __GFP_UNMAPPED, order)

#endif /* _LINUX_UNMAPPED_H */
