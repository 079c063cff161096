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
 * A node that is reserved or claimed. All fields are protected by
 * device_hotplug_lock. An object without an owner is a reserved node.
 */
struct private_node {
	/* In private_nodes, as long as the node is reserved or claimed */
	struct list_head list;
	int nid;
	/* The task that adds memory for the owner right now, or NULL */
	struct task_struct *adder;
	/* What a reserved node is meant for; empty for a node of the pool */
	struct range window;
	/* Of the owner; empty name: there is none */
	char name[PRIVATE_NODE_NAME_MAX + 1];
	char res_name[sizeof("System RAM ()") + PRIVATE_NODE_NAME_MAX];
	int adistance;
	const struct private_node_ops *ops;
	struct module *owner;
};

/* mm/private_node.c; the caller holds device_hotplug_lock */
struct private_node *private_node_find(int nid);
bool private_node_has_owner(const struct private_node *pn);
bool private_node_has_memory(int nid);

/* mm/private_zonelist.c */
int private_zonelists_alloc(void);
void __private_zonelists_build(pg_data_t *pgdat);
gfp_t __private_confine_gfp(gfp_t gfp, int nid, const nodemask_t *nodemask,
			    unsigned int alloc_flags);
nodemask_t *__private_confine_nodes(gfp_t gfp, int nid, nodemask_t *nodemask);
void private_node_close(int nid, bool closed);
bool private_zone_closed(const struct zone *zone);
bool private_zone_allowed(const struct zone *zone, gfp_t gfp,
			  const nodemask_t *nodemask);
struct page *private_alloc_frozen(gfp_t gfp, unsigned int order, int nid,
				  nodemask_t *nodemask,
				  unsigned int alloc_flags);

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
 * @alloc_flags: ALLOC_* flags, of which ALLOC_NOLOCK matters
 *
 * A request that goes on with __GFP_PRIVATE has a nodemask: the one of its
 * caller, or just @nid, then together with __GFP_THISNODE. A request that
 * names no private node is an ordinary one and loses the key. Doing it twice
 * is doing it once.
 *
 * Context: Any.
 * Return: the flags to go on with; @gfp if it has no key.
 */
static __always_inline gfp_t private_confine(gfp_t gfp, int nid,
					     nodemask_t **nodemask,
					     unsigned int alloc_flags)
{
	if (unlikely(gfp & __GFP_PRIVATE)) {
		gfp = __private_confine_gfp(gfp, nid, *nodemask, alloc_flags);
		*nodemask = __private_confine_nodes(gfp, nid, *nodemask);
	}
	return gfp;
}

/* mm/private_hotplug.c */
int private_node_check_add(int nid);
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
#define private_confine(gfp, nid, nodemask, alloc_flags)	(gfp)
#define private_unconfined(gfp, alloc_flags)			false

static inline struct page *private_alloc_frozen(gfp_t gfp, unsigned int order,
						int nid, nodemask_t *nodemask,
						unsigned int alloc_flags)
{
	return NULL;
}

static inline bool private_zone_closed(const struct zone *zone)
{
	return false;
}

static inline bool private_zone_allowed(const struct zone *zone, gfp_t gfp,
					const nodemask_t *nodemask)
{
	return true;
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
