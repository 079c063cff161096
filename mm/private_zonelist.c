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
#include <linux/cpumask.h>
#include <linux/cpuset.h>
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/percpu.h>
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
 * A user (__GFP_HARDWALL) needs permission for a private node, in whatever state
 * the task is. An owner in the kernel is not bound by the cpuset of the task that
 * it happens to run in.
 */
static bool private_needs_permission(gfp_t gfp)
{
	return cpusets_enabled() && (gfp & __GFP_HARDWALL) && !in_interrupt();
}

/* May a request have pages of this private node now? */
static bool private_node_open(int nid, bool needs_permission)
{
	if (node_isset(nid, private_closed_nodes))
		return false;
	return !needs_permission ||
	       node_isset(nid, cpuset_current_mems_allowed);
}

/*
 * Is there a private node in @nodemask, and may the request have pages of all that
 * there are? That is the rule, and spares a copy of the mask without the others.
 */
static bool private_all_open(gfp_t gfp, const nodemask_t *nodemask)
{
	const bool needs_permission = private_needs_permission(gfp);
	bool any = false;
	int nid;

	for_each_node_of_few(nid, private_nodes_mask) {
		if (!node_isset(nid, *nodemask))
			continue;
		if (!private_node_open(nid, needs_permission))
			return false;
		any = true;
	}
	return any;
}

/* The nodes of @nodemask that the request may have pages of now, if any */
static bool private_open_nodes(nodemask_t *open, gfp_t gfp,
			       const nodemask_t *nodemask)
{
	const bool needs_permission = private_needs_permission(gfp);
	int nid;

	*open = *nodemask;
	for_each_node_of_few(nid, private_nodes_mask) {
		if (!private_node_open(nid, needs_permission))
			node_clear(nid, *open);
	}
	return !nodes_empty(*open);
}

/* How often lists may have been rewritten under a request before it fails */
#define PRIVATE_TRIES	8

/*
 * One walk of the list. Returns true if @page is the answer: a page, or NULL for
 * nothing; otherwise it was another node's.
 */
static bool private_alloc_walk(gfp_t gfp, unsigned int order, int nid,
			       nodemask_t *open, unsigned int alloc_flags,
			       struct page **page)
{
	*page = __alloc_frozen_pages_noprof(gfp, order, nid, open,
					    alloc_flags | ALLOC_CONFINED);
	if (!*page || private_zone_allowed(page_zone(*page), gfp, open))
		return true;
	free_frozen_pages(*page, order);
	return false;
}

/* As often as it takes; @open is for the nodes that are open, may be @nodemask. */
static struct page *private_alloc_confined(gfp_t gfp, unsigned int order, int nid,
					   const nodemask_t *nodemask,
					   unsigned int alloc_flags,
					   nodemask_t *open)
{
	unsigned int tries = 0;
	struct page *page;

	while (private_open_nodes(open, gfp, nodemask)) {
		if (private_alloc_walk(gfp, order, nid, open, alloc_flags,
				       &page))
			return page;
		if (WARN_ON_ONCE(++tries == PRIVATE_TRIES))
			break;
	}
	return NULL;
}

/**
 * private_zone_listed - how many pages of a zone are on the lists of CPUs
 * @zone: the zone
 *
 * A list can grow to an eighth of its zone.
 *
 * Context: Any. Nothing is locked: pages come and go meanwhile.
 * Return: the number of pages.
 */
unsigned long private_zone_listed(const struct zone *zone)
{
	unsigned long pages = 0;
	int cpu;

	for_each_online_cpu(cpu)
		pages += READ_ONCE(per_cpu_ptr(zone->per_cpu_pageset,
					       cpu)->count);
	return pages;
}

/*
 * Of a node, how often in a row large requests have found that what CPUs keep is
 * not what it lacks, and how many requests are to pass the lists. Written without
 * a lock: what gets lost is one look more or less.
 */
static struct {
	u8 in_vain;
	u8 passes;
} private_collections[MAX_NUMNODES];

/* At most so many requests pass the lists, as a power of two */
#define PRIVATE_PASSES_MAX	6

/*
 * May this request have what all CPUs keep of the node? For a page it may. A
 * large folio can lack just one, but as a rule the node is fragmented, and whoever
 * asked goes on with a smaller one: in each of his faults, which would leave no CPU
 * its lists. So the more often it was in vain, the fewer of them look, as it is
 * with compaction. Who insists (__GFP_RETRY_MAYFAIL) is not put off.
 */
static bool private_may_drain(int nid, gfp_t gfp, unsigned int order)
{
	u8 passes;

	if (!order || (gfp & __GFP_RETRY_MAYFAIL))
		return true;
	passes = READ_ONCE(private_collections[nid].passes);
	if (!passes)
		return true;
	WRITE_ONCE(private_collections[nid].passes, passes - 1);
	return false;
}

/* After a request that may be put off; @drained is what was taken from CPUs. */
static void private_note_drained(const nodemask_t *drained, bool in_vain)
{
	unsigned int shift;
	int nid;

	for_each_node_mask(nid, *drained) {
		shift = READ_ONCE(private_collections[nid].in_vain);
		shift = in_vain ? min(shift + 1, PRIVATE_PASSES_MAX) : 0;
		WRITE_ONCE(private_collections[nid].in_vain, shift);
		WRITE_ONCE(private_collections[nid].passes, BIT(shift) - 1);
	}
}

/*
 * Give the buddy allocator what CPUs keep of private zones of these nodes, where
 * they have something. @drained is set to the nodes of which they had.
 */
static void private_drain_lists(const nodemask_t *nodemask, gfp_t gfp,
				unsigned int order, nodemask_t *drained)
{
	struct zone *zone;
	int nid;

	nodes_clear(*drained);
	for_each_populated_zone(zone) {
		nid = zone_to_nid(zone);
		if (!zone_is_private_node(zone) || !node_isset(nid, *nodemask) ||
		    !private_zone_listed(zone))
			continue;
		if (!node_isset(nid, *drained) &&
		    !private_may_drain(nid, gfp, order))
			continue;
		drain_all_pages(zone);
		node_set(nid, *drained);
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

static bool private_may_collect(gfp_t gfp)
{
	return gfpflags_allow_blocking(gfp) &&
	       !(current->flags & PF_MEMALLOC);
}

/*
 * Not all nodes are open, or they have nothing on their free lists: then that has
 * been @tried. Not inlined, see private_alloc_either().
 */
static noinline_for_stack struct page *
private_alloc_rest(gfp_t gfp, unsigned int order, int nid,
		   const nodemask_t *nodemask, unsigned int alloc_flags,
		   bool tried)
{
	const bool may_collect = private_may_collect(gfp);
	const bool may_reclaim = may_collect &&
				 nodes_intersects(*nodemask, node_states[N_MEMORY]);
	nodemask_t open, drained;
	struct page *page;

	if (!tried) {
		/* Only the last try says that it failed. */
		page = private_alloc_confined(may_collect ? gfp | __GFP_NOWARN : gfp,
					      order, nid, nodemask, alloc_flags,
					      &open);
		if (page)
			return page;
	}
	if (!may_collect)
		return NULL;

	nodes_andnot(open, *nodemask, node_states[N_MEMORY]);
	private_drain_lists(&open, gfp, order, &drained);
	page = private_alloc_confined(may_reclaim ? gfp | __GFP_NOWARN : gfp,
				      order, nid, &open,
				      alloc_flags | ALLOC_COLLECTED, &open);
	if (order)
		private_note_drained(&drained, !page);
	if (page || !may_reclaim)
		return page;

	if (!private_open_nodes(&open, gfp, nodemask))
		return NULL;
	nodes_and(open, open, node_states[N_MEMORY]);
	if (nodes_empty(open))
		return NULL;
	return private_alloc_ordinary(gfp, order, nid, &open, alloc_flags);
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
 * get at it by reclaim. A request that may sleep collects it once; one of higher
 * order passes the lists most of the time if that was in vain before, unless it
 * has __GFP_RETRY_MAYFAIL. If it has named ordinary nodes, too, those are
 * reclaimed then, by a request without the key; the OOM killer is not called.
 *
 * Context: As __alloc_frozen_pages_noprof(); gets nothing with ALLOC_NOLOCK.
 * Return: a page of a node that was named, or NULL. Ordinary memory of any node
 * for a request with __GFP_NOFAIL, which is a bug.
 */
struct page *private_alloc_frozen(gfp_t gfp, unsigned int order, int nid,
				  nodemask_t *nodemask, unsigned int alloc_flags)
{
	bool tried = false;
	struct page *page;

	if (alloc_flags & ALLOC_NOLOCK)
		return NULL;

	gfp = private_confine(gfp, nid, &nodemask);
	if (!(gfp & __GFP_PRIVATE))
		return __alloc_frozen_pages_noprof(gfp, order, nid, nodemask,
						   alloc_flags);

	if (private_all_open(gfp, nodemask)) {
		const bool may_collect = private_may_collect(gfp);

		/* Only the last try says that it failed. */
		tried = private_alloc_walk(may_collect ? gfp | __GFP_NOWARN : gfp,
					   order, nid, nodemask, alloc_flags,
					   &page);
		if (tried && (page || !may_collect))
			return page;
	}
	return private_alloc_rest(gfp, order, nid, nodemask, alloc_flags, tried);
}
