/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_PRIVATE_POLICY_H
#define _LINUX_PRIVATE_POLICY_H

/*
 * Memory policies that name private nodes (MPOL_F_PRIVATE), for those who have
 * to know one from others. How they allocate is in mm/private_mempolicy.c.
 */

#include <linux/mempolicy.h>
#include <linux/private_node.h>

#ifdef CONFIG_PRIVATE_NODES

/**
 * mpol_is_private - does this policy name private nodes?
 * @pol: the policy, or NULL
 *
 * Context: Any. It does not change.
 * Return: true if it does.
 */
static inline bool mpol_is_private(const struct mempolicy *pol)
{
	return pol && (pol->flags & MPOL_F_PRIVATE);
}

void __mpol_drop_private(void);

/**
 * mpol_drop_private - the task does what whoever set its policy could not
 *
 * A task policy that names private nodes is dropped. It decides where the
 * program gets SIGBUS, and whose memory it uses.
 *
 * Context: Process, about itself.
 */
static inline void mpol_drop_private(void)
{
	if (private_nodes_enabled())
		__mpol_drop_private();
}

#else /* CONFIG_PRIVATE_NODES */

static inline bool mpol_is_private(const struct mempolicy *pol)
{
	return false;
}

static inline void mpol_drop_private(void) {}

#endif /* CONFIG_PRIVATE_NODES */

#endif /* _LINUX_PRIVATE_POLICY_H */
