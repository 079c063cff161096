/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_CPUSET_PRIVATE_H
#define _LINUX_CPUSET_PRIVATE_H

/*
 * What cpusets say about private NUMA nodes, for those who let tasks use them.
 *
 * Three questions have three answers that are not to be mixed:
 *
 * - May this task make something that uses the node: a memory policy, a mount,
 *   a migration? Only if the node is granted to it, which is asked here, or it
 *   has CAP_SYS_NICE in the initial user namespace; and if it is offered.
 * - Is the node offered to the task? It is in task_struct::mems_allowed, and in
 *   cpuset_mems_allowed().
 * - May this request for pages have memory of it? The page allocator looks
 *   whether the node is offered, for each request with __GFP_PRIVATE and
 *   __GFP_HARDWALL.
 */

#include <linux/nodemask.h>

struct task_struct;

#if defined(CONFIG_PRIVATE_NODES) && defined(CONFIG_CPUSETS)

/**
 * cpuset_private_granted - the private nodes that were granted to a task
 * @task: the task
 * @nodes: set to the nodes that its cpuset offers, and that a privileged write
 *	to cpuset.mems of this cpuset or of one above it has named
 *
 * Without CONFIG_CPUSETS, and in the legacy hierarchy, there are none.
 *
 * Context: Any but NMI; takes no lock. The answer may be outdated as soon as it is
 * there.
 */
void cpuset_private_granted(struct task_struct *task, nodemask_t *nodes);

#else

static inline void cpuset_private_granted(struct task_struct *task,
					  nodemask_t *nodes)
{
	nodes_clear(*nodes);
}

#endif

#endif /* _LINUX_CPUSET_PRIVATE_H */
