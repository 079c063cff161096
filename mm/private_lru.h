/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reclaim of folios of private nodes on request. See mm/private_lru.c.
 */
#ifndef __MM_PRIVATE_LRU_H
#define __MM_PRIVATE_LRU_H

#include <linux/list.h>
#include <linux/private_node.h>

#ifdef CONFIG_PRIVATE_NODES

unsigned int private_putback_kept(struct list_head *folios);

/**
 * private_node_keeps - does nobody reclaim the memory of this node?
 * @nid: a node id
 *
 * Context: Any. The answer may be outdated unless the caller has a folio of the
 * node, or memory hotplug is locked.
 * Return: true if it is private, and its owner did not ask for reclaim.
 */
static inline bool private_node_keeps(int nid)
{
	return node_is_private(nid) &&
	       !(private_node_features(nid) & PRIVATE_NODE_RECLAIM);
}

#else /* CONFIG_PRIVATE_NODES */

/* Macros, as to read what they are told changes the caller's code. */
#define private_node_keeps(nid)		false
#define private_putback_kept(folios)	0

#endif /* CONFIG_PRIVATE_NODES */

#endif /* __MM_PRIVATE_LRU_H */
