/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_PAGE_OWNER_WALK_H
#define _MM_PAGE_OWNER_WALK_H
/*
 * Where a walk over the pages of some nodes goes next. These functions decide by
 * what they are given: none reads struct page or any other state of the machine.
 *
 * A walk never goes back and never stands still: what follows a PFN is above it.
 */
#include <linux/align.h>
#include <linux/bits.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/numa.h>

/* PFNs from @start up to, but not including, @end. */
struct page_owner_window {
	unsigned long start;
	unsigned long end;
};

/* No window: any PFN comes before it. */
#define PAGE_OWNER_NO_WINDOW	\
	((struct page_owner_window){ .start = ULONG_MAX, .end = ULONG_MAX })

/* Memory has page_ext, or has it not, in whole units of this size. */
#ifdef CONFIG_SPARSEMEM
#define PAGE_OWNER_TRACKED_UNIT		PAGES_PER_SECTION
#else
#define PAGE_OWNER_TRACKED_UNIT		MAX_ORDER_NR_PAGES
#endif

/* What is known about all pages of a block. */
enum page_owner_verdict {
	PAGE_OWNER_SKIP_BLOCK,		/* None is wanted. */
	PAGE_OWNER_TAKE_BLOCK,		/* All are wanted. */
	PAGE_OWNER_CHECK_PAGES,		/* Look at each of them. */
};

/**
 * page_owner_window_add() - Consider a span of PFNs in the choice of a window.
 * @window: What the spans so far have led to, PAGE_OWNER_NO_WINDOW at first.
 * @pfn: The PFN to go on from.
 * @start: First PFN of the span.
 * @end: First PFN behind the span.
 *
 * When all spans have been added, @window is the first range of PFNs to be
 * looked at: it starts at @pfn or above, each of its PFNs is in a span, and no
 * PFN between @pfn and its start is. Spans may overlap, which leaves the rest of
 * a longer one for the next window.
 */
static inline void page_owner_window_add(struct page_owner_window *window,
					 unsigned long pfn,
					 unsigned long start, unsigned long end)
{
	start = max(start, pfn);
	if (start >= end || start > window->start)
		return;

	if (start < window->start || end > window->end)
		window->end = end;
	window->start = start;
}

/**
 * page_owner_judge_block() - Decide for all pages of a pageblock at once.
 * @first_nid: Node of the first page, NUMA_NO_NODE if it is not known.
 * @last_nid: Node of the last page, NUMA_NO_NODE if it is not known.
 * @nodes: The nodes whose pages are wanted.
 *
 * Nodes that interleave may share a pageblock, but there is at most one change
 * of node in it, as everywhere in mm.
 *
 * Return: What to do with the block. If nothing can be said, the nodes of its
 * pages have to be looked at one by one.
 */
static inline enum page_owner_verdict
page_owner_judge_block(int first_nid, int last_nid, const nodemask_t *nodes)
{
	if (first_nid == NUMA_NO_NODE || first_nid != last_nid)
		return PAGE_OWNER_CHECK_PAGES;

	return node_isset(first_nid, *nodes) ? PAGE_OWNER_TAKE_BLOCK :
					       PAGE_OWNER_SKIP_BLOCK;
}

/**
 * page_owner_skip_buddy() - Step over a free page of the buddy allocator.
 * @pfn: Its PFN.
 * @order: Its order, which may be garbage as it is read without lock.
 * @end: A PFN not to be passed, above @pfn.
 *
 * Return: The next PFN.
 */
static inline unsigned long page_owner_skip_buddy(unsigned long pfn,
						  unsigned long order,
						  unsigned long end)
{
	if (order > MAX_PAGE_ORDER)
		return pfn + 1;

	return pfn + min(1UL << order, end - pfn);
}

/**
 * page_owner_is_head() - Tell whether an allocation can start at a page.
 * @pfn: Its PFN.
 * @order: Order of the allocation, which may be garbage if it has changed.
 *
 * Return: Whether it can.
 */
static inline bool page_owner_is_head(unsigned long pfn, unsigned int order)
{
	return order < BITS_PER_LONG && IS_ALIGNED(pfn, 1UL << order);
}

/**
 * page_owner_skip_tails() - Step over the rest of a compound page.
 * @pfn: PFN of a tail page.
 * @order: Order of the allocation, which may be garbage if it has changed.
 * @end: A PFN not to be passed, above @pfn.
 *
 * Return: The next PFN, where an allocation of @order can start.
 */
static inline unsigned long page_owner_skip_tails(unsigned long pfn,
						  unsigned int order,
						  unsigned long end)
{
	unsigned long nr;

	if (order >= BITS_PER_LONG)
		return pfn + 1;

	nr = 1UL << order;
	return pfn + min(nr - (pfn & (nr - 1)), end - pfn);
}

/**
 * page_owner_skip_untracked() - Step over memory that has no page_ext.
 * @pfn: A PFN without page_ext.
 *
 * Return: The next PFN that may have it.
 */
static inline unsigned long page_owner_skip_untracked(unsigned long pfn)
{
	return ALIGN(pfn + 1, PAGE_OWNER_TRACKED_UNIT);
}

#endif /* _MM_PAGE_OWNER_WALK_H */
