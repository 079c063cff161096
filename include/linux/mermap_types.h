/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_MERMAP_TYPES_H
#define _LINUX_MERMAP_TYPES_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include <asm/page.h>

struct page;
struct task_struct;

/*
 * Windows that a CPU can have in an mm at the same time, if all are of one
 * page. There is one page more, for mermap_get_reserved().
 */
#define MERMAP_NR_ALLOCS	63

/* A window. What it points to is an address and a size, not an object. */
struct mermap_alloc;

/* For the debug checks: who mapped what, in the entry of the first page. */
struct mermap_window {
	struct task_struct	*owner;
	struct page		*page;
};

/**
 * struct mermap_cpu - The windows of a CPU in an mm
 * @used:          A bit for each page of the CPU that is mapped, or that it
 *                 does not have. Changed on this CPU, with preemption disabled.
 * @reserved_used: The reserved page is mapped. Changed on this CPU, with
 *                 interrupts disabled.
 * @ptes:          Entry of the first page; NULL until all of this structure is
 *                 set up. Published by mermap_prepare_cpu().
 * @epoch:         How many windows have been unmapped. Changed on this CPU.
 * @windows:       What the debug checks know about the window at a page.
 */
struct mermap_cpu {
	u64			used;
	bool			reserved_used;
	pte_t			*ptes;
	atomic64_t		epoch;
#ifdef CONFIG_DEBUG_MERMAP
	struct mermap_window	windows[MERMAP_NR_ALLOCS + 1];
#endif
};

/**
 * struct mermap - The mermap of an mm
 * @cpu:         A part for each possible CPU.
 * @lock:        Taken to set up parts. Nests outside of page-table locks.
 * @flushed:     The sum of all epochs at the last mermap_mm_flush().
 * @private:     Never runs user code, see mermap_mm_prepare_private().
 * @id:          Names the mm in the records of the debug checks.
 * @flushed_seq: The same as @flushed for the debug checks.
 * @rcu:         Lets the debug checks look at @flushed_seq at any time.
 */
struct mermap {
	struct mermap_cpu __percpu	*cpu;
	struct mutex			lock;
	atomic64_t			flushed;
	bool				private;
#ifdef CONFIG_DEBUG_MERMAP
	u32				id;
	atomic64_t			flushed_seq;
	struct rcu_head			rcu;
#endif
};

#endif /* _LINUX_MERMAP_TYPES_H */
