/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_PRIVATE_NODEMASK_H
#define _LINUX_PRIVATE_NODEMASK_H

/*
 * The two parts of a nodemask: ordinary nodes, and private ones. And the nodes
 * that have memory of either kind, for those who show memory.
 *
 * A mask that says what a task may use (task_struct::mems_allowed, the masks of
 * cpusets) can have nodes of both kinds. Who places, remaps, migrates to,
 * counts or prints nodes means the ordinary part of such a mask: no ordinary
 * request gets memory of the rest, and the user did not mean it unless he named
 * it.
 *
 * Private is what node_is_private() says: the decision, not the memory. A node
 * that was in a mask as an ordinary one drops out of the ordinary part as soon
 * as it is claimed, whenever the mask itself is written again.
 *
 * Without CONFIG_PRIVATE_NODES, and by one static branch as long as no node was
 * private, the ordinary part is all of the mask.
 */

#include <linux/minmax.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/private_node.h>

#ifdef CONFIG_PRIVATE_NODES

/**
 * ordinary_nodes - the ordinary part of a nodemask that is left as it is
 * @nodes: the mask
 * @part: room for the part; of no meaning to the caller afterwards
 *
 * Context: Any. As long as @nodes must not change, as the result may be @nodes
 * itself.
 * Return: a mask that has the nodes of @nodes that are not private.
 */
static inline const nodemask_t *ordinary_nodes(const nodemask_t *nodes,
					       nodemask_t *part)
{
	if (!private_nodes_enabled())
		return nodes;
	nodes_andnot(*part, *nodes, private_nodes_mask);
	return part;
}

/**
 * nodes_weight_ordinary - how many nodes of a nodemask are ordinary?
 * @nodes: the mask
 *
 * Context: Any.
 * Return: the number.
 */
static inline unsigned int nodes_weight_ordinary(const nodemask_t *nodes)
{
	if (!private_nodes_enabled())
		return nodes_weight(*nodes);
	return bitmap_weight_andnot(nodes->bits, private_nodes_mask.bits,
				    MAX_NUMNODES);
}

/**
 * nodes_drop_private - make a nodemask its ordinary part
 * @nodes: the mask
 *
 * Context: Any; the caller may write @nodes.
 */
static inline void nodes_drop_private(nodemask_t *nodes)
{
	if (private_nodes_enabled())
		nodes_andnot(*nodes, *nodes, private_nodes_mask);
}

/**
 * nodes_keep_private - make a nodemask its private part
 * @nodes: the mask
 *
 * Context: Any; the caller may write @nodes.
 */
static inline void nodes_keep_private(nodemask_t *nodes)
{
	if (private_nodes_enabled())
		nodes_and(*nodes, *nodes, private_nodes_mask);
	else
		nodes_clear(*nodes);
}

/**
 * nodes_keep_private_memory - make a nodemask its private nodes with memory
 * @nodes: the mask
 *
 * Context: Any; the caller may write @nodes. The answer may be outdated unless
 * memory hotplug is locked.
 * Return: true if there is one.
 */
static inline bool nodes_keep_private_memory(nodemask_t *nodes)
{
	nodes_keep_private(nodes);
	return nodes_and(*nodes, *nodes, node_states[N_MEMORY_PRIVATE]);
}

/**
 * nodes_have_private - is a private node in a nodemask?
 * @nodes: the mask
 *
 * Context: Any.
 * Return: true if there is one.
 */
static inline bool nodes_have_private(const nodemask_t *nodes)
{
	return private_nodes_enabled() &&
	       nodes_intersects(*nodes, private_nodes_mask);
}

/**
 * node_has_any_memory - does this node have memory, private or not?
 * @nid: the node
 *
 * For those who look at memory; those who allocate want N_MEMORY.
 *
 * Context: Any. The answer may be outdated unless memory hotplug is locked.
 * Return: true if it has.
 */
static inline bool node_has_any_memory(int nid)
{
	return node_state(nid, N_MEMORY) ||
	       (private_nodes_enabled() && node_state(nid, N_MEMORY_PRIVATE));
}

/**
 * next_node_with_any_memory - the next node that has memory, private or not
 * @nid: the node to begin after, or NUMA_NO_NODE
 *
 * Context: As node_has_any_memory().
 * Return: the node, or MAX_NUMNODES.
 */
static inline int next_node_with_any_memory(int nid)
{
	int next = next_node(nid, node_states[N_MEMORY]);

	if (private_nodes_enabled())
		next = min_t(int, next,
			     next_node(nid, node_states[N_MEMORY_PRIVATE]));
	return next;
}

#define first_node_with_any_memory()	next_node_with_any_memory(NUMA_NO_NODE)

/**
 * for_each_node_with_any_memory - walk the nodes that have memory of any kind
 * @nid: the node
 */
#define for_each_node_with_any_memory(nid)				\
	for ((nid) = first_node_with_any_memory();			\
	     (nid) < MAX_NUMNODES; (nid) = next_node_with_any_memory(nid))

#else /* CONFIG_PRIVATE_NODES */

/* A macro, as to take the address of @part changes the caller's code. */
#define ordinary_nodes(nodes, part)	((void)sizeof(part),		\
					 (const nodemask_t *)(nodes))

static inline unsigned int nodes_weight_ordinary(const nodemask_t *nodes)
{
	return nodes_weight(*nodes);
}

static inline void nodes_drop_private(nodemask_t *nodes) {}

static inline void nodes_keep_private(nodemask_t *nodes)
{
	nodes_clear(*nodes);
}

static inline bool nodes_keep_private_memory(nodemask_t *nodes)
{
	nodes_clear(*nodes);
	return false;
}

static inline bool nodes_have_private(const nodemask_t *nodes)
{
	return false;
}

#define node_has_any_memory(nid)		node_state(nid, N_MEMORY)
#define first_node_with_any_memory()		first_memory_node
#define next_node_with_any_memory(nid)		next_memory_node(nid)
#define for_each_node_with_any_memory(nid)	for_each_node_state(nid, N_MEMORY)

#endif /* CONFIG_PRIVATE_NODES */

#endif /* _LINUX_PRIVATE_NODEMASK_H */
