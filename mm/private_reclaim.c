// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of private memory, where the owner wants it (PRIVATE_NODE_RECLAIM).
 *
 * Such a node has a kswapd and a kcompactd, which come and go with its memory;
 * memory cgroups are reclaimed from it as from other nodes; and a request with
 * the key that finds it full reclaims and compacts it, in private_alloc_reclaim().
 * What is on a node whose owner does not want it stays, whoever reclaims: see
 * private_node_keeps().
 *
 * A private node has no page cache and no slab. What goes is anonymous memory
 * and that of tmpfs, so it takes swap, or another node to demote to.
 *
 * Reclaim itself has no key: whatever it allocates, and whatever shrinkers do,
 * takes ordinary memory.
 *
 * Features do not change while a node has memory; they are read without a lock.
 */

#include <linux/gfp.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/sched.h>

#include "internal.h"
#include "page_alloc.h"
#include "private_node.h"
#include "private_reclaim.h"

bool __private_nodes_reclaimed(void)
{
	int nid;

	for_each_node_state(nid, N_MEMORY_PRIVATE) {
		if (!private_node_keeps(nid))
			return true;
	}
	return false;
}

/* Is this one of those nodes of @nodemask that are reclaimed? @nid is private. */
static bool private_node_to_reclaim(int nid, const nodemask_t *nodemask)
{
	return node_isset(nid, *nodemask) && !private_node_keeps(nid);
}

static bool private_any_to_reclaim(const nodemask_t *nodemask)
{
	int nid;

	for_each_node_of_few(nid, node_states[N_MEMORY_PRIVATE]) {
		if (private_node_to_reclaim(nid, nodemask))
			return true;
	}
	return false;
}

/* What is free, without a reserve, and without a word if there is nothing */
static gfp_t private_gfp_free(gfp_t gfp)
{
	return (gfp & ~__GFP_DIRECT_RECLAIM) | __GFP_NOMEMALLOC | __GFP_NOWARN;
}

/*
 * Nobody is killed for it. One of a costly order fails before anybody would be,
 * and must not be made one that tries harder.
 */
static gfp_t private_gfp_reclaim(gfp_t gfp, unsigned int order)
{
	if (!(gfp & __GFP_NORETRY) && order <= PAGE_ALLOC_COSTLY_ORDER)
		gfp |= __GFP_RETRY_MAYFAIL;
	return gfp;
}

/* What was free is gone. Not inlined, see private_alloc_either(). */
static noinline_for_stack struct page *
private_alloc_reclaimed(gfp_t gfp, unsigned int order, int nid,
			nodemask_t *nodemask, const nodemask_t *named,
			unsigned int alloc_flags)
{
	nodemask_t nodes = NODE_MASK_NONE;
	struct page *page;
	bool last;
	int id;

	for_each_node_of_few(id, node_states[N_MEMORY_PRIVATE]) {
		if (private_node_to_reclaim(id, named))
			node_set(id, nodes);
	}
	if (nodes_empty(nodes))
		return private_alloc_frozen(gfp, order, nid, nodemask,
					    alloc_flags);

	last = nodes_subset(*named, nodes);
	page = private_alloc_frozen(private_gfp_reclaim(gfp, order) |
				    (last ? 0 : __GFP_NOWARN), order, nid,
				    &nodes, alloc_flags | ALLOC_PRIVATE_RECLAIM);
	if (page || last)
		return page;
	return private_alloc_frozen(gfp, order, nid, nodemask, alloc_flags);
}

/**
 * private_alloc_reclaim - allocate pages with __GFP_PRIVATE
 * @gfp: flags, with that
 * @order: of the pages
 * @nid: the node that the request prefers
 * @nodemask: the nodes it may use, or NULL
 * @alloc_flags: ALLOC_* flags, as __alloc_frozen_pages_noprof() has them
 *
 * A request that may sleep takes what is free first, which wakes kswapd where
 * it is little. Then those of its private nodes are reclaimed and compacted
 * whose owner wants it. Only if that was in vain, or if none does, comes what
 * private_alloc_frozen() can do: pages that are kept for others, and the
 * ordinary nodes that were named. So these are reclaimed last, but before
 * anything is said to be full.
 *
 * Direct compaction does not capture what it frees, see private_zone_refuses();
 * the request looks for it on the free lists.
 *
 * Context: As __alloc_frozen_pages_noprof().
 * Return: as private_alloc_frozen().
 */
struct page *private_alloc_reclaim(gfp_t gfp, unsigned int order, int nid,
				   nodemask_t *nodemask, unsigned int alloc_flags)
{
	nodemask_t *named = nodemask;
	struct page *page;

	if ((alloc_flags & ALLOC_NOLOCK) || !gfpflags_allow_blocking(gfp) ||
	    (gfp & __GFP_NOFAIL) || (current->flags & PF_MEMALLOC))
		return private_alloc_frozen(gfp, order, nid, nodemask,
					    alloc_flags);
	private_confine(gfp, nid, &named);
	if (!private_any_to_reclaim(named))
		return private_alloc_frozen(gfp, order, nid, nodemask,
					    alloc_flags);

	page = private_alloc_frozen(private_gfp_free(gfp), order, nid, nodemask,
				    alloc_flags);
	if (page)
		return page;
	return private_alloc_reclaimed(gfp, order, nid, nodemask, named,
				       alloc_flags);
}
