// SPDX-License-Identifier: GPL-2.0
/*
 * Demotion to private nodes, where the owner wants it (PRIVATE_NODE_DEMOTION).
 *
 * Such a node is in the memory tier of the abstract distance that its owner
 * gave. It is a target for the memory of a memory cgroup whose cpuset was granted
 * the node by name, see cpuset_private_granted(), and for that alone: not for
 * who merely inherits, nor for the root, tasks of a legacy hierarchy, or if there
 * are no memory cgroups. Others are demoted as if the node and, if there are only
 * such nodes in it, its tier were not there.
 *
 * What goes is anonymous memory and that of tmpfs. Page cache is everybody's, see
 * private_folio_stays(). A private node comes before ordinary ones of lower tiers,
 * the nearest first. What it has no room for goes on as if it was not there.
 *
 * The grant is asked of the memory cgroup, and not of who reclaims: the request
 * has no __GFP_HARDWALL. It can have ended when the pages arrive, as with any
 * node that a cpuset loses; the write to cpuset.mems that ends it by leaving the
 * node out moves what is there.
 *
 * With NUMA balancing for memory tiers, pages that are used are promoted to
 * ordinary nodes as from others. Nothing is promoted to a private node.
 *
 * Locking: private_memtypes is protected by memory_tier_lock, inside which
 * private_nodes_lock is taken. Whether a node is tiered does not change while it
 * has memory.
 */

#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/memory-tiers.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/private_nodemask.h>
#include <linux/topology.h>

#include "internal.h"
#include "private_demotion.h"
#include "private_mempolicy.h"
#include "private_node.h"

/*
 * The types of private nodes that are in a tier, one for each. They are not what
 * a driver, or the kernel, gave to the node when it was ordinary.
 */
static struct memory_dev_type *private_memtypes[MAX_NUMNODES];

/**
 * private_node_is_tiered - is memory demoted to this private node?
 * @nid: the node
 *
 * Context: Any. It does not change while the node has memory.
 * Return: true if its owner wants it.
 */
bool private_node_is_tiered(int nid)
{
	return private_node_features(nid) & PRIVATE_NODE_DEMOTION;
}

/* 0: it has no owner, and so nobody said where it belongs */
static int private_node_adistance(int nid)
{
	struct private_node *pn;
	int adistance = 0;

	mutex_lock(&private_nodes_lock);
	pn = private_node_find(nid);
	if (pn && private_node_has_owner(pn))
		adistance = pn->adistance;
	mutex_unlock(&private_nodes_lock);
	return adistance;
}

/**
 * private_memtype_alloc - the memory type of a private node
 * @nid: the node; it is in no tier
 *
 * Context: Process, under memory_tier_lock.
 * Return: the type, or an ERR_PTR(): -EINVAL: the node is not to be in a tier;
 * -ENOMEM.
 */
struct memory_dev_type *private_memtype_alloc(int nid)
{
	struct memory_dev_type *memtype;
	int adistance;

	if (!node_state(nid, N_MEMORY_PRIVATE) || !private_node_is_tiered(nid))
		return ERR_PTR(-EINVAL);
	adistance = private_node_adistance(nid);
	if (!adistance)
		return ERR_PTR(-EINVAL);
	memtype = alloc_memory_type(adistance);
	if (!IS_ERR(memtype))
		private_memtypes[nid] = memtype;
	return memtype;
}

/**
 * private_memtype - the memory type that a private node has
 * @nid: a node
 *
 * Context: Under memory_tier_lock.
 * Return: the type; NULL for others.
 */
struct memory_dev_type *private_memtype(int nid)
{
	return private_memtypes[nid];
}

/**
 * private_memtype_free - a node is in no tier any more
 * @nid: the node
 *
 * Context: Under memory_tier_lock. The type is in no list.
 */
void private_memtype_free(int nid)
{
	if (private_memtypes[nid])
		put_memory_type(private_memtypes[nid]);
	private_memtypes[nid] = NULL;
}

void __private_tier_nodes(nodemask_t *nodes)
{
	int nid;

	/* Nobody can be granted one. */
	if (mem_cgroup_disabled())
		return;
	for_each_node_state(nid, N_MEMORY_PRIVATE) {
		if (private_memtypes[nid])
			node_set(nid, *nodes);
	}
}

bool __private_demotion_only(pg_data_t *pgdat, struct mem_cgroup *memcg)
{
	nodemask_t allowed;

	node_get_allowed_targets(pgdat, &allowed);
	mem_cgroup_node_filter_allowed(memcg, &allowed);
	return !nodes_intersects(allowed, node_states[N_MEMORY]);
}

/*
 * The nearest of these nodes, or NUMA_NO_NODE. Those that are about to go are taken
 * out.
 */
static int private_demotion_target(int nid, nodemask_t *nodes)
{
	int target = NUMA_NO_NODE, node;

	nodes_keep_private_memory(nodes);
	for_each_node_mask(node, *nodes) {
		if (private_node_leaves(node)) {
			node_clear(node, *nodes);
			continue;
		}
		if (target == NUMA_NO_NODE ||
		    node_distance(nid, node) < node_distance(nid, target))
			target = node;
	}
	return target;
}

/* As alloc_demote_folio(): kswapd of the nearest is woken before others are used. */
static struct folio *private_demotion_alloc(struct folio *src,
					    unsigned long private)
{
	struct migration_target_control *mtc = (void *)private;
	const unsigned int order = folio_order(src);
	struct folio *dst;

	dst = __folio_alloc(mtc->gfp_mask | __GFP_THISNODE, order, mtc->nid,
			    mtc->nmask);
	if (dst || nodes_weight(*mtc->nmask) == 1)
		return dst;
	return __folio_alloc(mtc->gfp_mask, order, mtc->nid, mtc->nmask);
}

unsigned int __private_demote_folios(struct list_head *folios, int nid,
				     nodemask_t *allowed)
{
	nodemask_t nodes = *allowed;
	/* As others are demoted: what is free, quickly and quietly */
	struct migration_target_control mtc = {
		.gfp_mask = (GFP_HIGHUSER_MOVABLE & ~(__GFP_RECLAIM | __GFP_HARDWALL)) |
			    __GFP_NOMEMALLOC | GFP_NOWAIT | __GFP_PRIVATE,
		.nmask = &nodes,
		.reason = MR_DEMOTION,
	};
	unsigned int nr_succeeded = 0;
	struct folio *folio, *next;
	LIST_HEAD(going);

	nodes_drop_private(allowed);
	mtc.nid = private_demotion_target(nid, &nodes);
	if (mtc.nid == NUMA_NO_NODE)
		return 0;

	list_for_each_entry_safe(folio, next, folios, lru) {
		if (!private_folio_stays(folio))
			list_move_tail(&folio->lru, &going);
	}
	if (!list_empty(&going))
		migrate_pages(&going, private_demotion_alloc, NULL,
			      (unsigned long)&mtc, MIGRATE_ASYNC, MR_DEMOTION,
			      &nr_succeeded);
	list_splice(&going, folios);
	return nr_succeeded;
}
