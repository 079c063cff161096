/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hooks of private nodes in reclaim, for nodes whose owner wants their
 * memory to be reclaimed (PRIVATE_NODE_RECLAIM). All of them are constant or
 * empty without CONFIG_PRIVATE_NODES. See mm/private_reclaim.c.
 */
#ifndef __MM_PRIVATE_RECLAIM_H
#define __MM_PRIVATE_RECLAIM_H

#include <linux/gfp.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/shrinker.h>

#include "private_lru.h"

#ifdef CONFIG_PRIVATE_NODES

/* mm/private_reclaim.c */
struct page *private_alloc_reclaim(gfp_t gfp, unsigned int order, int nid,
				   nodemask_t *nodemask,
				   unsigned int alloc_flags);
bool __private_nodes_reclaimed(void);

/**
 * node_is_reclaimed - does this node have memory that is reclaimed?
 * @nid: the node
 *
 * Context: Any. The answer may be outdated unless memory hotplug is locked.
 * Return: true for an ordinary node with memory, and for a private one whose
 * owner wants it.
 */
static inline bool node_is_reclaimed(int nid)
{
	return node_state(nid, N_MEMORY) ||
	       (private_nodes_enabled() && node_state(nid, N_MEMORY_PRIVATE) &&
		!private_node_keeps(nid));
}

/**
 * private_reclaim_zonelist - the zones that a memory cgroup is reclaimed from
 * @nid: the node of the caller
 * @gfp: the flags that reclaim runs with
 *
 * What a memory cgroup has on a private node counts against its limits as the
 * rest does, so it is looked for there as well. The list has the nodes that
 * nobody reclaims, too; shrink_zones() passes them.
 *
 * Context: Any.
 * Return: the list; that of an ordinary request as long as no private node is
 * reclaimed.
 */
static inline struct zonelist *private_reclaim_zonelist(int nid, gfp_t gfp)
{
	if (private_nodes_enabled() && __private_nodes_reclaimed())
		gfp |= __GFP_PRIVATE;
	return node_zonelist(nid, gfp);
}

/**
 * private_shrinker_skips - does this shrinker know nothing of private nodes?
 * @nid: the node that is short of memory
 * @shrinker: the shrinker
 *
 * One that does not know of nodes shrinks what is anywhere. With a private node
 * that is always elsewhere: it has no slab.
 *
 * Context: Any.
 * Return: true if there is nothing to be had from it.
 */
static inline bool private_shrinker_skips(int nid,
					  const struct shrinker *shrinker)
{
	return node_is_private(nid) && !(shrinker->flags & SHRINKER_NUMA_AWARE);
}

#else /* CONFIG_PRIVATE_NODES */

static inline struct page *private_alloc_reclaim(gfp_t gfp, unsigned int order,
						 int nid, nodemask_t *nodemask,
						 unsigned int alloc_flags)
{
	return NULL;
}

/* Macros, as to read what they are told changes the caller's code. */
#define node_is_reclaimed(nid)			node_state(nid, N_MEMORY)
#define private_reclaim_zonelist(nid, gfp)	node_zonelist(nid, gfp)
#define private_shrinker_skips(nid, shrinker)	false

#endif /* CONFIG_PRIVATE_NODES */

#endif /* __MM_PRIVATE_RECLAIM_H */
