// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that a task allocates and that may be somebody else's: those that it
 * faults in for another process, those that lie beside its own in a cluster of
 * swap, and all of them at swapoff. A policy that names private nodes is for who
 * was allowed to use them, and not for these.
 *
 * Locking: none. What is returned here instead is never changed or freed.
 */
#include <linux/mempolicy.h>
#include <linux/private_node.h>
#include <linux/private_policy.h>

#include "private_others.h"

/* What a task has that never set one, before NUMA balancing is thought of */
static struct mempolicy policy_of_others = {
	.refcnt = ATOMIC_INIT(1),
	.mode = MPOL_LOCAL,
};

/**
 * mpol_of_others - the policy for pages that may be somebody else's
 * @pol: the policy of who asks for them
 *
 * Context: Any. The result needs no reference if it is not @pol.
 * Return: @pol if it is an ordinary one, otherwise one that is as by default.
 */
struct mempolicy *mpol_of_others(struct mempolicy *pol)
{
	if (private_nodes_enabled() && mpol_is_private(pol))
		return &policy_of_others;
	return pol;
}
