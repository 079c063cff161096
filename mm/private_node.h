/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What mm/ needs to know of private NUMA nodes: the hooks in the page
 * allocator, in memory hotplug and in the accounting of memory. All of them
 * are constant or empty without CONFIG_PRIVATE_NODES.
 *
 * The contract with firmware code and drivers is in
 * include/linux/private_node.h.
 */
#ifndef __MM_PRIVATE_NODE_H
#define __MM_PRIVATE_NODE_H

#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/vmstat.h>

#ifdef CONFIG_MEMORY_HOTPLUG
/* mm/memory_hotplug.c; the caller holds device_hotplug_lock */
int add_memory_driver_managed_locked(int nid, u64 start, u64 size,
				     const char *resource_name, mhp_t mhp_flags,
				     enum mmop online_type);
int offline_and_remove_memory_ranges_locked(const struct range *ranges,
					    unsigned int nr_ranges);
#endif

#ifdef CONFIG_PRIVATE_NODES

/*
 * Nodes of a mask that has few, as those of private nodes have. A distribution's
 * masks have room for a thousand, of which the machine may have two: who
 * allocates does not look at the others.
 */
#define for_each_node_of_few(nid, mask)				\
	for_each_set_bit(nid, (mask).bits, nr_node_ids)

/* mm/private_node.c; what it orders is told there */
extern struct mutex private_nodes_lock;

/*
 * A node that is reserved or claimed. An object without an owner is a reserved
 * node. Fields are written under private_nodes_lock, but for @owner_adds and
 * what private_node_set_features() sets. The owner reads his without, and so
 * does who holds device_hotplug_lock for a node that has memory.
 */
struct private_node {
	/* In private_nodes, as long as the node is reserved or claimed */
	struct list_head list;
	int nid;
	/* Memory is added for the owner right now; under device_hotplug_lock */
	bool owner_adds;
	/* What a reserved node is meant for; empty for a node of the pool */
	struct range window;
	/* Of the owner; empty name: there is none */
	char name[PRIVATE_NODE_NAME_MAX + 1];
	char res_name[sizeof("System RAM ()") + PRIVATE_NODE_NAME_MAX];
	int adistance;
	const struct private_node_ops *ops;
	struct module *owner;
};

/* mm/private_node.c; the caller holds private_nodes_lock */
struct private_node *private_node_find(int nid);

/* mm/private_node.c; see there for who may call them */
bool private_node_has_owner(const struct private_node *pn);
bool private_node_has_memory(int nid);
void private_node_note_ordinary(int nid);

/* mm/private_node.c */
bool __private_zone_keeps_no_lists(const struct zone *zone);

/* mm/private_zonelist.c */
int private_zonelists_alloc(void);
void __private_zonelists_build(pg_data_t *pgdat);
unsigned long private_zone_listed(const struct zone *zone);
gfp_t __private_confine(gfp_t gfp, int nid, nodemask_t **nodemask);
void private_node_close(int nid, bool closed);
bool private_zone_closed(const struct zone *zone);
bool private_zone_allowed(const struct zone *zone, gfp_t gfp,
			  const nodemask_t *nodemask);
struct page *private_alloc_frozen(gfp_t gfp, unsigned int order, int nid,
				  nodemask_t *nodemask,
				  unsigned int alloc_flags);

/*
 * For what __alloc_frozen_pages_noprof() has in line. As it tests for the key, too,
 * gcc would make a call of it.
 */
#define __private_inline	__always_inline

/* The request has the key, and has not been through private_alloc_frozen(). */
#define private_unconfined(gfp, alloc_flags)				\
	(unlikely((gfp) & __GFP_PRIVATE) && !((alloc_flags) & ALLOC_CONFINED))

/**
 * private_zonelists_build - build the lists that only __GFP_PRIVATE reaches
 * @pgdat: the node whose lists are built
 *
 * Context: The writer section of zonelist_update_seq, interrupts off.
 */
static inline void private_zonelists_build(pg_data_t *pgdat)
{
	__private_zonelists_build(pgdat);
}

/**
 * private_confine - make a request with the key one that names its nodes
 * @gfp: the flags of the request
 * @nid: the node it prefers
 * @nodemask: the nodes it may use, or a pointer to NULL; may be replaced
 *
 * A request that goes on with __GFP_PRIVATE has a nodemask: the one of its
 * caller, or just @nid, then together with __GFP_THISNODE. That has no node in
 * it if @nid is not private. Doing it twice is doing it once.
 *
 * Context: Any.
 * Return: the flags to go on with. Those of an ordinary request if @gfp has no
 * key, or __GFP_NOFAIL with it, which is a bug.
 */
static __always_inline gfp_t private_confine(gfp_t gfp, int nid,
					     nodemask_t **nodemask)
{
	if (unlikely(gfp & __GFP_PRIVATE))
		return __private_confine(gfp, nid, nodemask);
	return gfp;
}

/**
 * private_zone_refuses - must this request not take pages from this zone?
 * @zone: the zone
 * @alloc_flags: flags of the request
 *
 * No list leads a request without the key to a zone of a private node, but it
 * can have a pointer to the zone from when the node was ordinary. It was
 * preempted, or slept in reclaim or compaction, while all memory of the node
 * went, the node was claimed, and memory came. As nothing knows of such a
 * request, each place where pages leave the buddy allocator looks again, under
 * zone->lock. The decision is older than the first page that the zone got as a
 * private one, which was put there under the lock, too: whoever can see a page
 * sees the decision.
 *
 * These places are:
 *
 * - rmqueue_bulk(), which fills the lists of CPUs. It asks here.
 * - rmqueue_buddy(), after which rmqueue() asks here. Who holds a page can do so
 *   without the lock; then it goes back.
 * - A list of a CPU has pages that somebody freed, and nothing looks when they
 *   are taken. So a private zone whose node was ordinary before keeps none, see
 *   private_zone_keeps_no_lists(). The lists of others are safe, as there can
 *   be no such pointer: none was ever in a list.
 * - task_capc(), by which direct compaction captures a page that is freed.
 * - alloc_contig_range(), which isolates its range first. While it is isolated
 *   it cannot go offline; then it is looked at, see private_range_allowed().
 * - __isolate_free_page() for compaction, which puts the pages back into the
 *   zone they are from, and for page reporting, which skips private zones.
 *
 * Page allocation in bulk takes pages from lists of CPUs, and fills them, as
 * others do. node_reclaim(), kswapd and kcompactd take no pages. What slept in
 * reclaim with such a pointer may finish the pass that it is in, over LRU lists
 * that have pages of the owner by then; it does not get them.
 *
 * The other way round, a request with the key that finds the node ordinary, or
 * with another owner, had named it; its page is looked at, too, see
 * private_alloc_frozen().
 *
 * Inline, as a call would cost the fast path of others a register.
 *
 * Context: Under zone->lock, or with a page of the zone in hand.
 * Return: true if it gets nothing.
 */
#define private_zone_refuses(zone, alloc_flags)				\
	(zone_is_private_node(zone) && !((alloc_flags) & ALLOC_CONFINED))

/**
 * private_zone_keeps_no_lists - must no page be left on the lists of CPUs?
 * @zone: the zone
 *
 * The zone is private, and its node had ordinary memory at some time since
 * boot: see private_zone_refuses(). Its lists are as small as those of the
 * boot, which never have a page when their lock is free.
 *
 * Context: Any. Stable while the node has memory.
 * Return: true if so.
 */
static inline bool private_zone_keeps_no_lists(const struct zone *zone)
{
	return zone_is_private_node(zone) && __private_zone_keeps_no_lists(zone);
}

/**
 * private_page_allowed - may this request keep the page that it got?
 * @page: the page
 * @gfp: the flags of the request, confined
 * @nodemask: its nodes
 *
 * Context: Any; the caller has the page.
 * Return: true if so. Always for a request without the key.
 */
static inline bool private_page_allowed(const struct page *page, gfp_t gfp,
					const nodemask_t *nodemask)
{
	return !(gfp & __GFP_PRIVATE) ||
	       private_zone_allowed(page_zone(page), gfp, nodemask);
}

/**
 * private_range_allowed - may this request have the range that it isolated?
 * @page: the first page of it
 * @zone: its zone as it was before
 * @gfp: the flags of the request
 *
 * Isolated memory is not free for private_node_remove_idle_memory(), which is
 * why a closed node is none to take a range of.
 *
 * Context: Process; the range is isolated, and so it stays online.
 * Return: true if so.
 */
static inline bool private_range_allowed(const struct page *page,
					 const struct zone *zone, gfp_t gfp)
{
	if (page_zone(page) != zone)
		return false;
	return !zone_is_private_node(zone) ||
	       ((gfp & __GFP_PRIVATE) && !private_zone_closed(zone));
}

/**
 * private_migration_gfp - flags to allocate the target of a migration with
 * @gfp: as the one who migrates wants it
 * @add: what the kind of folio adds
 *
 * A request with the key and without __GFP_HARDWALL is one of an owner in the
 * kernel, whom cpusets do not bind. It does not become one of a user because a
 * folio is large.
 *
 * Context: Any.
 * Return: both.
 */
static inline gfp_t private_migration_gfp(gfp_t gfp, gfp_t add)
{
	if ((gfp & __GFP_PRIVATE) && !(gfp & __GFP_HARDWALL))
		add &= ~__GFP_HARDWALL;
	return gfp | add;
}

/* mm/private_hotplug.c */
int private_node_check_add(int nid);
bool private_node_leaves(int nid);
int private_node_remove_memory_locked(struct private_node *pn,
				      const struct range *ranges,
				      unsigned int nr_ranges);

/* mm/private_poison.c */
#ifdef CONFIG_MEMORY_FAILURE
unsigned long private_node_lost_pages(int nid);
#else
static inline unsigned long private_node_lost_pages(int nid)
{
	return 0;
}
#endif

/**
 * node_memory_state - the state of a node that has memory
 * @nid: the node
 *
 * Context: As node_is_private().
 * Return: N_MEMORY_PRIVATE or N_MEMORY.
 */
static inline enum node_states node_memory_state(int nid)
{
	return node_is_private(nid) ? N_MEMORY_PRIVATE : N_MEMORY;
}

/**
 * nodes_with_any_memory - the nodes that have memory, private or not
 * @nodes: set to them
 *
 * For those who look at memory; those who allocate want N_MEMORY.
 *
 * Context: Any. The answer may be outdated unless memory hotplug is locked.
 */
static inline void nodes_with_any_memory(nodemask_t *nodes)
{
	nodes_or(*nodes, node_states[N_MEMORY], node_states[N_MEMORY_PRIVATE]);
}

/* mm/private_stat.c */
extern atomic_long_t private_managed_pages;
unsigned long __private_free_pages(void);
unsigned long __private_file_pages(void);
unsigned long __private_low_wmark_pages(void);

/**
 * private_account_managed - count pages that come to or leave a private node
 * @page: the first of them
 * @count: how many, negative if they leave
 *
 * Context: Any.
 * Return: true if they are private and have been counted, false if they belong
 * in totalram_pages().
 */
static inline bool private_account_managed(const struct page *page, long count)
{
	if (!private_nodes_enabled() || !node_is_private(page_to_nid(page)))
		return false;
	atomic_long_add(count, &private_managed_pages);
	return true;
}

/**
 * private_total_pages - how many pages the allocator has on private nodes
 *
 * Context: Any.
 * Return: the number of pages.
 */
static inline unsigned long private_total_pages(void)
{
	return atomic_long_read(&private_managed_pages);
}

/**
 * private_free_pages - how many pages of NR_FREE_PAGES are private
 *
 * Context: Any.
 * Return: the number of pages.
 */
static inline unsigned long private_free_pages(void)
{
	return private_nodes_enabled() ? __private_free_pages() : 0;
}

/**
 * ordinary_free_pages - NR_FREE_PAGES without those that are private
 *
 * What global_zone_page_state(NR_FREE_PAGES) is for who does not ask for
 * private memory. The two sums are not made at the same instant.
 *
 * Context: Any.
 * Return: the number of pages.
 */
static inline unsigned long ordinary_free_pages(void)
{
	unsigned long pages = global_zone_page_state(NR_FREE_PAGES);

	return pages - min(pages, private_free_pages());
}

/**
 * private_file_pages - how many pages of the file LRU lists are private
 *
 * Context: Any.
 * Return: the number of pages.
 */
static inline unsigned long private_file_pages(void)
{
	return private_nodes_enabled() ? __private_file_pages() : 0;
}

/**
 * private_low_wmark_pages - the low watermarks of all private zones
 *
 * Context: Any.
 * Return: the number of pages.
 */
static inline unsigned long private_low_wmark_pages(void)
{
	return private_nodes_enabled() ? __private_low_wmark_pages() : 0;
}

#else /* CONFIG_PRIVATE_NODES */

static inline void private_zonelists_build(pg_data_t *pgdat) {}

/* A macro, as to take the address of the nodemask changes the caller's code. */
#define private_confine(gfp, nid, nodemask)		(gfp)
#define __private_inline	inline
#define private_unconfined(gfp, alloc_flags)		false

static inline struct page *private_alloc_frozen(gfp_t gfp, unsigned int order,
						int nid, nodemask_t *nodemask,
						unsigned int alloc_flags)
{
	return NULL;
}

static inline bool private_zone_refuses(const struct zone *zone,
					unsigned int alloc_flags)
{
	return false;
}

static inline bool private_zone_keeps_no_lists(const struct zone *zone)
{
	return false;
}

static inline bool private_page_allowed(const struct page *page, gfp_t gfp,
					const nodemask_t *nodemask)
{
	return true;
}

static inline bool private_range_allowed(const struct page *page,
					 const struct zone *zone, gfp_t gfp)
{
	return true;
}

static inline gfp_t private_migration_gfp(gfp_t gfp, gfp_t add)
{
	return gfp | add;
}

static inline int private_node_check_add(int nid)
{
	return 0;
}

static inline enum node_states node_memory_state(int nid)
{
	return N_MEMORY;
}

static inline void nodes_with_any_memory(nodemask_t *nodes)
{
	*nodes = node_states[N_MEMORY];
}

static inline bool private_account_managed(const struct page *page, long count)
{
	return false;
}

/* Macros, as what functions return changes the order in which gcc adds. */
#define ordinary_free_pages()		global_zone_page_state(NR_FREE_PAGES)
#define private_file_pages()		0UL
#define private_low_wmark_pages()	0UL

#endif /* CONFIG_PRIVATE_NODES */

#endif /* __MM_PRIVATE_NODE_H */
