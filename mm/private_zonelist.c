// SPDX-License-Identifier: GPL-2.0
/*
 * The zonelists that lead to private nodes, and the confinement of the requests
 * that walk them.
 *
 * No zone of a private node is in the FALLBACK or NOFALLBACK list of any node.
 * A request with __GFP_PRIVATE walks one of two lists of its own instead:
 *
 *   PRIVATE              all nodes with memory, private or not, nearest first
 *   PRIVATE_NOFALLBACK   just the node (with __GFP_THISNODE)
 *
 * Ordinary nodes are in PRIVATE so that one walk serves a nodemask that has
 * both kinds. As it has the private nodes of all owners, nothing walks it
 * without a nodemask, which is what private_confine() is for; and because lists
 * are rewritten while they are walked, pages are looked at before they are
 * given away, see private_alloc_frozen().
 *
 * The lists are allocated when memory is added to a private node for the first
 * time, hence a kernel without private nodes pays a pointer. They are never
 * freed: a request can be on its way through them at any time.
 *
 * See Documentation/mm/private_nodes.rst.
 *
 * Locking: built as the other zonelists are, in the writer section of
 * zonelist_update_seq; the first time before anybody can see them. Allocated
 * under device_hotplug_lock.
 */
#include <kunit/static_stub.h>
#include <linux/bug.h>
#include <linux/cpuset.h>
#include <linux/gfp.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/preempt.h>
#include <linux/private_node.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "internal.h"
#include "page_alloc.h"
#include "private_node.h"

enum {
	PRIVATE_FALLBACK,
	PRIVATE_NOFALLBACK,
	NR_PRIVATE_ZONELISTS
};

struct private_zonelists {
	/* Each is as long as it has to be, not as long as its type */
	struct zonelist *lists[NR_PRIVATE_ZONELISTS];
	/* The node alone, for requests that came without a nodemask */
	nodemask_t self;
};

/*
 * Indexed by node id, or NULL. Set once by private_zonelists_alloc() with
 * release semantics, read by private_zonelists_get() with acquire semantics.
 */
static struct private_zonelists *private_zonelists __read_mostly;

/* What a request names that prefers an ordinary node; nobody writes to it */
static nodemask_t private_no_nodes;

static struct private_zonelists *private_zonelists_get(void)
{
	/* Pairs with smp_store_release() in private_zonelists_alloc() */
	return smp_load_acquire(&private_zonelists);
}

/* The most entries that the list of a node can have, with the end marker */
static size_t private_zonerefs_max(int list)
{
	size_t nr_nodes = list == PRIVATE_FALLBACK ? num_possible_nodes() : 1;

	return nr_nodes * MAX_NR_ZONES + 1;
}

static struct zoneref *private_add_zones(struct zoneref *zoneref, int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	int i;

	for (i = MAX_NR_ZONES - 1; i >= 0; i--) {
		if (!populated_zone(&zones[i]))
			continue;
		zoneref->zone = &zones[i];
		zoneref->zone_idx = i;
		zoneref++;
	}
	return zoneref;
}

static void private_end_zones(struct zoneref *zoneref)
{
	zoneref->zone = NULL;
	zoneref->zone_idx = 0;
}

/* The nearest node of @left, of equals the one after @nid */
static int private_nearest(int nid, const nodemask_t *left)
{
	int best = NUMA_NO_NODE, best_distance = INT_MAX;
	int node, distance;

	for_each_node_mask(node, *left) {
		if (node == nid)
			return node;
		distance = 2 * node_distance(nid, node) + (node < nid);
		if (distance < best_distance) {
			best_distance = distance;
			best = node;
		}
	}
	return best;
}

static void private_build(struct private_zonelists *zl, int nid)
{
	struct zoneref *zoneref;
	nodemask_t left;
	int node;

	nodes_with_any_memory(&left);
	zoneref = zl->lists[PRIVATE_FALLBACK]->_zonerefs;
	while ((node = private_nearest(nid, &left)) != NUMA_NO_NODE) {
		zoneref = private_add_zones(zoneref, node);
		node_clear(node, left);
	}
	private_end_zones(zoneref);

	zoneref = private_add_zones(zl->lists[PRIVATE_NOFALLBACK]->_zonerefs,
				    nid);
	private_end_zones(zoneref);
}

void __private_zonelists_build(pg_data_t *pgdat)
{
	struct private_zonelists *zl = private_zonelists_get();

	if (zl)
		private_build(&zl[pgdat->node_id], pgdat->node_id);
}

static void private_zonelists_free(struct private_zonelists *zl)
{
	int nid, list;

	for_each_node(nid) {
		for (list = 0; list < NR_PRIVATE_ZONELISTS; list++)
			kvfree(zl[nid].lists[list]);
	}
	kvfree(zl);
}

/*
 * Called under device_hotplug_lock, so that no node gets or loses memory
 * between building the lists here and the next time all are built.
 */
int private_zonelists_alloc(void)
{
	struct private_zonelists *zl;
	size_t size;
	int nid, list;

	KUNIT_STATIC_STUB_REDIRECT(private_zonelists_alloc);

	if (private_zonelists_get())
		return 0;

	zl = kvzalloc_objs(*zl, nr_node_ids);
	if (!zl)
		return -ENOMEM;
	for_each_node(nid) {
		for (list = 0; list < NR_PRIVATE_ZONELISTS; list++) {
			size = private_zonerefs_max(list) *
			       sizeof(struct zoneref);
			zl[nid].lists[list] = kvzalloc(size, GFP_KERNEL);
			if (!zl[nid].lists[list]) {
				private_zonelists_free(zl);
				return -ENOMEM;
			}
		}
		node_set(nid, zl[nid].self);
		private_build(&zl[nid], nid);
	}

	/* Pairs with smp_load_acquire() in private_zonelists_get() */
	smp_store_release(&private_zonelists, zl);
	return 0;
}

/**
 * private_node_zonelist - the zonelist of a request with __GFP_PRIVATE
 * @nid: the node that the request prefers
 * @flags: its flags
 *
 * Context: Any.
 * Return: the list. As long as no private node has ever had memory, it is that
 * of a request without the key, which has no zone that the nodemask could want.
 */
struct zonelist *private_node_zonelist(int nid, gfp_t flags)
{
	struct private_zonelists *zl = private_zonelists_get();

	if (!zl)
		return NODE_DATA(nid)->node_zonelists + gfp_zonelist(flags);
	return zl[nid].lists[flags & __GFP_THISNODE ? PRIVATE_NOFALLBACK :
						      PRIVATE_FALLBACK];
}

gfp_t __private_confine(gfp_t gfp, int nid, nodemask_t **nodemask)
{
	struct private_zonelists *zl = private_zonelists_get();

	/*
	 * Nobody makes memory of an owner free: it would wait for ever. As
	 * nobody looks whether it failed, it gets what there is.
	 */
	if (WARN_ON_ONCE(gfp & __GFP_NOFAIL)) {
		if (*nodemask &&
		    !nodes_intersects(**nodemask, node_states[N_MEMORY]))
			*nodemask = NULL;
		return gfp & ~(__GFP_PRIVATE | __GFP_THISNODE);
	}

	if (*nodemask)
		return gfp;
	/* As long as there are no lists, no private node has memory. */
	*nodemask = zl && node_is_private(nid) ? &zl[nid].self :
						 &private_no_nodes;
	return gfp | __GFP_THISNODE;
}

/*
 * Nodes that give no pages, because their memory is about to be removed. An
 * owner does one thing at a time with its node, and bits are set atomically.
 */
static nodemask_t private_closed_nodes;

void private_node_close(int nid, bool closed)
{
	if (closed)
		node_set(nid, private_closed_nodes);
	else
		node_clear(nid, private_closed_nodes);
	/*
	 * A page that has been taken is seen now, or whoever took it sees that
	 * the node is closed. Pairs with smp_mb() in private_zone_closed().
	 */
	smp_mb();
}

bool private_zone_closed(const struct zone *zone)
{
	/* Pairs with smp_mb() in private_node_close() */
	smp_mb();
	return node_isset(zone_to_nid(zone), private_closed_nodes);
}

bool private_zone_allowed(const struct zone *zone, gfp_t gfp,
			  const nodemask_t *nodemask)
{
	return zone_idx(zone) <= gfp_zone(gfp) &&
	       node_isset(zone_to_nid(zone), *nodemask) &&
	       !private_zone_closed(zone);
}

/*
 * The nodes of @nodemask that the request may have pages of now, if any. A user
 * (__GFP_HARDWALL) needs permission for a private node, in whatever state the
 * task is. An owner in the kernel is not bound by the cpuset of the task that
 * it happens to run in.
 */
static bool private_open_nodes(nodemask_t *open, gfp_t gfp,
			       const nodemask_t *nodemask)
{
	int nid;

	nodes_andnot(*open, *nodemask, private_closed_nodes);
	if (cpusets_enabled() && (gfp & __GFP_HARDWALL) && !in_interrupt()) {
		for_each_node_mask(nid, private_nodes_mask) {
			if (!node_isset(nid, cpuset_current_mems_allowed))
				node_clear(nid, *open);
		}
	}
	return !nodes_empty(*open);
}

/* How often lists may have been rewritten under a request before it fails */
#define PRIVATE_TRIES	8

/* One walk of the list; @open is for the nodes that are open, may be @nodemask. */
static struct page *private_alloc_confined(gfp_t gfp, unsigned int order, int nid,
					   const nodemask_t *nodemask,
					   unsigned int alloc_flags,
					   nodemask_t *open)
{
	unsigned int tries = 0;
	struct page *page;

	while (private_open_nodes(open, gfp, nodemask)) {
		page = __alloc_frozen_pages_noprof(gfp, order, nid, open,
						   alloc_flags | ALLOC_CONFINED);
		if (!page || private_zone_allowed(page_zone(page), gfp, open))
			return page;
		free_frozen_pages(page, order);
		if (WARN_ON_ONCE(++tries == PRIVATE_TRIES))
			break;
	}
	return NULL;
}

/*
 * Give the buddy allocator what CPUs keep of private zones of these nodes. A list
 * can grow to an eighth of its zone.
 */
static void private_drain_lists(const nodemask_t *nodemask)
{
	struct zone *zone;

	for_each_populated_zone(zone) {
		if (zone_is_private_node(zone) &&
		    node_isset(zone_to_nid(zone), *nodemask))
			drain_all_pages(zone);
	}
}

/* Ordinary nodes are reclaimed, but nobody is killed for a request that may fail. */
static struct page *private_alloc_ordinary(gfp_t gfp, unsigned int order, int nid,
					   nodemask_t *nodemask,
					   unsigned int alloc_flags)
{
	struct page *page;

	gfp &= ~__GFP_PRIVATE;
	if (!(gfp & __GFP_NORETRY))
		gfp |= __GFP_RETRY_MAYFAIL;
	page = __alloc_frozen_pages_noprof(gfp, order, nid, nodemask, alloc_flags);
	/* It may have forgotten about its nodemask for the sake of the system. */
	if (page && !private_zone_allowed(page_zone(page), gfp, nodemask)) {
		free_frozen_pages(page, order);
		page = NULL;
	}
	return page;
}

/**
 * private_alloc_frozen - allocate pages with __GFP_PRIVATE
 * @gfp: flags, with that
 * @order: of the pages
 * @nid: the node that the request prefers
 * @nodemask: the nodes it may use, or NULL
 * @alloc_flags: ALLOC_* flags, as __alloc_frozen_pages_noprof() has them
 *
 * The walk of a zonelist reads an entry to compare it with the nodemask, and
 * reads it again to use it. In between, memory that comes or goes can have put
 * another zone there. Ordinary requests can live with a page of that. Here it
 * could be another owner's, so it is given back, and the lists are walked as
 * they are now. Each such round takes a change of the memory of some node in
 * the few instructions between the two, hence more than a few in a row are a
 * fault of the kernel: it is reported, and the request fails.
 *
 * Nothing is reclaimed or compacted for the key. But what is free can be out of
 * reach, on lists of other CPUs or reserved for atomic requests, where others
 * get at it by reclaim. A request that may sleep collects it once. If it has
 * named ordinary nodes, too, those are reclaimed then, by a request without the
 * key; the OOM killer is not called.
 *
 * Context: As __alloc_frozen_pages_noprof(); gets nothing with ALLOC_NOLOCK.
 * Return: a page of a node that was named, or NULL. Ordinary memory of any node
 * for a request with __GFP_NOFAIL, which is a bug.
 */
struct page *private_alloc_frozen(gfp_t gfp, unsigned int order, int nid,
				  nodemask_t *nodemask, unsigned int alloc_flags)
{
	bool may_collect, may_reclaim;
	struct page *page;
	nodemask_t open;

	if (alloc_flags & ALLOC_NOLOCK)
		return NULL;

	gfp = private_confine(gfp, nid, &nodemask);
	if (!(gfp & __GFP_PRIVATE))
		return __alloc_frozen_pages_noprof(gfp, order, nid, nodemask,
						   alloc_flags);

	may_collect = gfpflags_allow_blocking(gfp) &&
		      !(current->flags & PF_MEMALLOC);
	may_reclaim = may_collect &&
		      nodes_intersects(*nodemask, node_states[N_MEMORY]);

	/* Only the last try says that it failed. */
	page = private_alloc_confined(may_collect ? gfp | __GFP_NOWARN : gfp,
				      order, nid, nodemask, alloc_flags, &open);
	if (page || !may_collect)
		return page;

	nodes_andnot(open, *nodemask, node_states[N_MEMORY]);
	private_drain_lists(&open);
	page = private_alloc_confined(may_reclaim ? gfp | __GFP_NOWARN : gfp,
				      order, nid, &open,
				      alloc_flags | ALLOC_COLLECTED, &open);
	if (page || !may_reclaim)
		return page;

	if (!private_open_nodes(&open, gfp, nodemask))
		return NULL;
	nodes_and(open, open, node_states[N_MEMORY]);
	if (nodes_empty(open))
		return NULL;
	return private_alloc_ordinary(gfp, order, nid, &open, alloc_flags);
}
