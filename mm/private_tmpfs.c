// SPDX-License-Identifier: GPL-2.0
/*
 * mpol= of tmpfs for private nodes: the flag "private", which is static in any
 * case and is shown and taken as "static|private", too.
 *
 * Who may mount is asked as for a memory policy, of who mounts. The files have
 * the policy then, and with it the nodes as they were at the mount: whoever may
 * write to them uses the nodes, as far as no cpuset keeps him from them.
 */
#define pr_fmt(fmt) "private_node: " fmt

#include <linux/errno.h>
#include <linux/mempolicy.h>
#include <linux/nodemask.h>
#include <linux/private_policy.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "private_mempolicy.h"
#include "private_tmpfs.h"

/**
 * private_mount_flags - the mode flags that the word "private" stands for
 * @flags: what stands behind "=", or NULL
 *
 * Context: Process.
 * Return: 0 if it is not there.
 */
unsigned short private_mount_flags(const char *flags)
{
	if (flags &&
	    (!strcmp(flags, "private") || !strcmp(flags, "static|private")))
		return MPOL_F_STATIC_NODES | MPOL_F_PRIVATE;
	return 0;
}

/**
 * private_mount_mode - a mode under a name without blanks and parentheses
 * @mode: the name
 * @flags: what stands behind "=", or NULL
 *
 * What scripts and fstab have no trouble with.
 *
 * Context: Process.
 * Return: the mode, or -EINVAL.
 */
int private_mount_mode(const char *mode, const char *flags)
{
	if (!private_mount_flags(flags))
		return -EINVAL;
	if (!strcmp(mode, "prefer_many"))
		return MPOL_PREFERRED_MANY;
	if (!strcmp(mode, "weighted_interleave"))
		return MPOL_WEIGHTED_INTERLEAVE;
	return -EINVAL;
}

/**
 * private_mount_refuses - does this mode not go with "private"?
 * @mode: the mode
 * @flags: what stands behind "=", or NULL
 *
 * Context: Process.
 * Return: true if so.
 */
bool private_mount_refuses(int mode, const char *flags)
{
	return !private_policy_flags_valid(mode, private_mount_flags(flags));
}

/**
 * private_mount_has_memory - may these nodes be named with "private"?
 * @nodes: the nodes
 * @flags: what stands behind "=", or NULL
 *
 * Context: Process.
 * Return: true if it is there, and each node has memory of some kind.
 */
bool private_mount_has_memory(const nodemask_t *nodes, const char *flags)
{
	nodemask_t any;

	nodes_or(any, node_states[N_MEMORY], node_states[N_MEMORY_PRIVATE]);
	return private_mount_flags(flags) && nodes_subset(*nodes, any);
}

/**
 * private_mount_set_nodes - give a policy that was mounted its ordinary nodes
 * @pol: the policy; an ordinary one is left alone
 * @nodes: what was named
 *
 * Each file has them set anew, for who creates it.
 *
 * Context: Process; nobody else has @pol.
 */
void private_mount_set_nodes(struct mempolicy *pol, const nodemask_t *nodes)
{
	if (!mpol_is_private(pol))
		return;
	nodes_and(pol->nodes, *nodes, node_states[N_MEMORY]);
	if (nodes_empty(pol->nodes))
		pol->nodes = node_states[N_MEMORY];
}

/**
 * private_mount_failed - tell why nodes could not be named
 * @flags: what stands behind "=", or NULL
 * @nodes: the nodes
 * @err: what private_policy_permit() said
 *
 * mount(2) has one error for any bad value.
 *
 * Context: Process. Rate-limited.
 */
void private_mount_failed(const char *flags, const nodemask_t *nodes, int err)
{
	const char *why;

	if (!private_mount_flags(flags))
		return;
	switch (err) {
	case -EINVAL:
		why = "none has private memory, or one has no memory";
		break;
	case -EOPNOTSUPP:
		why = "the owner of the memory does not let users in";
		break;
	case -EPERM:
		why = "the cpuset of the task does not grant it, or leaves it out";
		break;
	default:
		return;
	}
	pr_info_ratelimited("%s[%d] cannot mount with mpol= for node %*pbl: %s\n",
			    current->comm, task_pid_nr(current),
			    nodemask_pr_args(nodes), why);
}
