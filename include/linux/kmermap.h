/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_KMERMAP_H
#define _LINUX_KMERMAP_H

/*
 * Windows of the kernel's own: the mermap in an mm that no process has. For who
 * has to look at pages without a mapping on behalf of nobody, or in a kernel
 * thread. See Documentation/mm/mermap.rst.
 */

#include <linux/mermap.h>

/* How much can be mapped by one kmermap_map(), which is what is guaranteed. */
#define KMERMAP_PAGES	16

/**
 * struct kmermap - The use of the kernel's own mm by a task
 * @prev: What was loaded before.
 *
 * Two windows can be open at the same time, for a source and a target.
 */
struct kmermap {
	struct mm_struct	*prev;
};

bool kmermap_available(void);
bool kmermap_begin(struct kmermap *k);
struct mermap_alloc *kmermap_map(struct page *page, unsigned int nr,
				 enum mermap_access access);
void kmermap_unmap(struct mermap_alloc *alloc);
void kmermap_end(struct kmermap *k);

#endif /* _LINUX_KMERMAP_H */
