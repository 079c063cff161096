/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_MERMAP_H
#define _LINUX_MERMAP_H

/*
 * The mermap: ephemeral mappings of pages, for one CPU, in an mm.
 *
 * A page that has no mapping in the kernel, or whose mapping must not be used,
 * can be looked at through a window that exists for an instant, on one CPU and
 * in the page tables of one mm. There is no lock and no IPI in making or ending
 * a window. See Documentation/mm/mermap.rst.
 */

#include <linux/mm_types.h>

#ifdef CONFIG_MERMAP

#include <linux/mermap_types.h>
#include <linux/percpu.h>

#include <asm/mermap.h>

int mermap_mm_prepare(struct mm_struct *mm);
int mermap_mm_prepare_private(struct mm_struct *mm);
void mermap_mm_flush(struct mm_struct *mm);
void __mermap_mm_teardown(struct mm_struct *mm);

/* What may be done with the pages of a window. */
enum mermap_access {
	MERMAP_RO,
	MERMAP_RW,
};

struct mermap_alloc *__mermap_get(struct mm_struct *mm, struct page *page,
				  unsigned long size, enum mermap_access access);
struct mermap_alloc *__mermap_get_reserved(struct mm_struct *mm,
					   struct page *page,
					   enum mermap_access access);
void __mermap_put(struct mm_struct *mm, struct mermap_alloc *alloc);

struct mermap_alloc *mermap_get(struct page *page, unsigned long size,
				enum mermap_access access);
struct mermap_alloc *mermap_get_reserved(struct page *page,
					 enum mermap_access access);
void mermap_put(struct mermap_alloc *alloc);

/**
 * mermap_addr() - The address of a window
 * @alloc: What mermap_get() returned; not an error.
 *
 * The address is for the task that has the window, and no other. It is not in
 * the direct map: virt_to_page() and __pa() give nonsense, which
 * virt_addr_valid() need not see on 32-bit machines, and DMA cannot use it.
 *
 * Context: Any context.
 *
 * Return: The address of the first byte of the first page.
 */
static inline void *mermap_addr(struct mermap_alloc *alloc)
{
	return (void *)((unsigned long)alloc & PAGE_MASK);
}

/**
 * mermap_cpu_base() - Where the windows of a CPU start
 * @cpu: A possible CPU.
 *
 * Context: Any context.
 *
 * Return: An address, the same in every mm.
 */
static inline unsigned long mermap_cpu_base(unsigned int cpu)
{
	return MERMAP_BASE_ADDR +
	       (unsigned long)cpu * arch_mermap_cpu_pages() * PAGE_SIZE;
}

/**
 * mermap_cpu_end() - Where the windows of a CPU end
 * @cpu: A possible CPU.
 *
 * Context: Any context.
 *
 * Return: An address, exclusive, the same in every mm.
 */
static inline unsigned long mermap_cpu_end(unsigned int cpu)
{
	return mermap_cpu_base(cpu + 1);
}

/**
 * mermap_ready() - Check that windows can be made on this CPU
 * @mm: An mm that the caller has a reference to, or NULL.
 *
 * If the caller can migrate, the answer may be about another CPU than the one
 * that it uses then.
 *
 * Context: Any context.
 *
 * Return: True if mermap_mm_prepare() has set up @mm for this CPU.
 */
static inline bool mermap_ready(struct mm_struct *mm)
{
	struct mermap *m;

	if (!mm)
		return false;
	/* Pairs with the cmpxchg() in mermap_create(). */
	m = smp_load_acquire(&mm->mermap);

	return m && READ_ONCE(raw_cpu_ptr(m->cpu)->ptes);
}

/**
 * mermap_mm_init() - Give a new mm no mermap
 * @mm: An mm that nobody else can see yet, possibly a copy of another one.
 *
 * Context: Any context.
 */
static inline void mermap_mm_init(struct mm_struct *mm)
{
	mm->mermap = NULL;
}

/**
 * mermap_mm_teardown() - Free the mermap of an mm
 * @mm: An mm to which there are no more references.
 *
 * The page tables are freed with the page directory.
 *
 * Context: Any context in which an mm can be freed.
 */
static inline void mermap_mm_teardown(struct mm_struct *mm)
{
	if (unlikely(mm->mermap))
		__mermap_mm_teardown(mm);
}

#else /* !CONFIG_MERMAP */

static inline void mermap_mm_init(struct mm_struct *mm) { }
static inline void mermap_mm_teardown(struct mm_struct *mm) { }

#endif /* CONFIG_MERMAP */

#ifdef CONFIG_DEBUG_MERMAP

extern struct page_ext_operations mermap_debug_ops;

void __mermap_check_owner(struct page *page, unsigned long nr);

/**
 * mermap_check_owner() - Warn if pages change their owner too early
 * @page: First page.
 * @nr: Number of pages.
 *
 * For where pages go from one owner to another: when they are freed to whoever
 * hands them out, when they are handed out, and when they are taken away. It
 * warns if a window to one is open, or if a TLB may still map it.
 *
 * Context: Any context. In an NMI it does nothing.
 */
static inline void mermap_check_owner(struct page *page, unsigned long nr)
{
	__mermap_check_owner(page, nr);
}

#else /* !CONFIG_DEBUG_MERMAP */

/* A macro, as the compiler cannot leave out what an argument reads. */
#define mermap_check_owner(page, nr)	do { } while (0)

#endif /* CONFIG_DEBUG_MERMAP */

#endif /* _LINUX_MERMAP_H */
