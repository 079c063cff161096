/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A policy that names private nodes is for the task's own memory. What it does
 * to the mapping of another process, or to everybody's files (swapoff), is
 * placed as by default: see mm/private_others.c.
 *
 * Whose policy places the pages of a tmpfs file that has none: that of the task
 * that makes them, or reads them back from swap. Between private_shmem_begin()
 * and private_shmem_end() the task remembers which it is. They do not nest:
 * nothing in there faults for a user.
 */
#ifndef __MM_PRIVATE_OTHERS_H
#define __MM_PRIVATE_OTHERS_H

#include <linux/mempolicy.h>
#include <linux/mm_types.h>
#include <linux/private_node.h>
#include <linux/sched.h>

#ifdef CONFIG_PRIVATE_NODES

struct mempolicy *mpol_of_others(struct mempolicy *pol);

/**
 * private_shmem_begin - pages of a tmpfs file are made for somebody
 * @mm: who has them mapped, or NULL: nobody in particular
 *
 * Context: Process.
 */
static inline void private_shmem_begin(const struct mm_struct *mm)
{
	if (private_nodes_enabled())
		current->private_nodes.for_others = !mm || mm != current->mm;
}

/**
 * private_shmem_end - and now they have been made
 *
 * Context: Process, after private_shmem_begin().
 */
static inline void private_shmem_end(void)
{
	if (private_nodes_enabled())
		current->private_nodes.for_others = false;
}

/**
 * private_shmem_policy - the policy for a page of a file that has none
 *
 * Context: Process.
 * Return: the policy of the task, or the default; needs no reference.
 */
static inline struct mempolicy *private_shmem_policy(void)
{
	struct mempolicy *pol = get_task_policy(current);

	if (private_nodes_enabled() && current->private_nodes.for_others)
		return mpol_of_others(pol);
	return pol;
}

#else /* CONFIG_PRIVATE_NODES */

static inline struct mempolicy *mpol_of_others(struct mempolicy *pol)
{
	return pol;
}

static inline void private_shmem_begin(const struct mm_struct *mm) {}
static inline void private_shmem_end(void) {}

/* A macro, as what a function returns is compared in another order. */
#define private_shmem_policy()	get_task_policy(current)

#endif /* CONFIG_PRIVATE_NODES */

#endif /* __MM_PRIVATE_OTHERS_H */
