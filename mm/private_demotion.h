/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hooks of private nodes in memory tiers, demotion and promotion, for nodes
 * whose owner wants memory to be demoted there (PRIVATE_NODE_DEMOTION). All of
 * them are constant or empty without CONFIG_PRIVATE_NODES. See
 * mm/private_demotion.c.
 */
#ifndef __MM_PRIVATE_DEMOTION_H
#define __MM_PRIVATE_DEMOTION_H

#include <linux/err.h>
#include <linux/list.h>
#include <linux/memory-tiers.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/private_nodemask.h>

struct mem_cgroup;

#ifdef CONFIG_PRIVATE_NODES

/* mm/private_demotion.c; the first three under memory_tier_lock */
struct memory_dev_type *private_memtype_alloc(int nid);
struct memory_dev_type *private_memtype(int nid);
void private_memtype_free(int nid);
bool private_node_is_tiered(int nid);
void __private_tier_nodes(nodemask_t *nodes);
unsigned int __private_demote_folios(struct list_head *folios, int nid,
				     nodemask_t *allowed);
bool __private_demotion_only(pg_data_t *pgdat, struct mem_cgroup *memcg);

/**
 * private_tier - does a memory tier have private nodes alone?
 * @nodes: the nodes of the tier
 *
 * Context: Any.
 * Return: true if there is nothing in it for who was not granted something.
 */
static inline bool private_tier(const nodemask_t *nodes)
{
	return private_nodes_enabled() &&
	       !nodes_intersects(*nodes, node_states[N_MEMORY]);
}

/**
 * private_tier_nodes - add the private nodes that are in a memory tier
 * @nodes: the nodes that others are demoted to
 *
 * Context: Under memory_tier_lock.
 */
static inline void private_tier_nodes(nodemask_t *nodes)
{
	if (private_nodes_enabled())
		__private_tier_nodes(nodes);
}

/**
 * private_demote_folios - demote to private nodes what may go there
 * @folios: isolated folios of a memory cgroup; left with what did not go
 * @nid: the node that they are on
 * @allowed: the nodes that they may be demoted to; left without private ones
 *
 * Context: Process, reclaim.
 * Return: how many pages were demoted.
 */
static inline unsigned int private_demote_folios(struct list_head *folios,
						 int nid, nodemask_t *allowed)
{
	if (!nodes_have_private(allowed))
		return 0;
	return __private_demote_folios(folios, nid, allowed);
}

/**
 * private_demotion_only - is there nothing to demote to but private nodes?
 * @pgdat: the node that is reclaimed
 * @memcg: the memory cgroup that is, or NULL
 *
 * What was not demoted is then reclaimed as where nothing is: page cache, and
 * what a private node has no room for.
 *
 * Context: Any; can_demote() said yes.
 * Return: true if so.
 */
static inline bool private_demotion_only(pg_data_t *pgdat,
					 struct mem_cgroup *memcg)
{
	return private_nodes_enabled() && __private_demotion_only(pgdat, memcg);
}

#else /* CONFIG_PRIVATE_NODES */

static inline struct memory_dev_type *private_memtype_alloc(int nid)
{
	return ERR_PTR(-EINVAL);
}

static inline void private_memtype_free(int nid) {}
static inline void private_tier_nodes(nodemask_t *nodes) {}

/* Macros, as to read what they are told changes the caller's code. */
#define private_memtype(nid)				((struct memory_dev_type *)NULL)
#define private_node_is_tiered(nid)			false
#define private_tier(nodes)				false
#define private_demote_folios(folios, nid, allowed)	0
#define private_demotion_only(pgdat, memcg)		false

#endif /* CONFIG_PRIVATE_NODES */

#endif /* __MM_PRIVATE_DEMOTION_H */
