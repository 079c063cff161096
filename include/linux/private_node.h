/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_PRIVATE_NODE_H
#define _LINUX_PRIVATE_NODE_H

/*
 * Private NUMA nodes: memory that is in the buddy allocator, and that only
 * requests with __GFP_PRIVATE can get.
 *
 * This is the contract with firmware code that reserves nodes at boot, and
 * with drivers that claim them and give them memory. What only mm/ needs is
 * in mm/private_node.h. See Documentation/mm/private_nodes.rst.
 */

#include <linux/bits.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/jump_label.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/range.h>

struct attribute_group;
struct module;
struct private_node;
struct seq_file;

/**
 * enum private_node_state - what a node id is to the registry
 * @PRIVATE_NODE_FREE: an ordinary node id; memory added to it is ordinary
 * @PRIVATE_NODE_RESERVED: private by decision at boot, without an owner:
 *	memory that anybody adds to it becomes private
 * @PRIVATE_NODE_CLAIMED: private, has an owner and no memory; only the owner
 *	can add memory
 * @PRIVATE_NODE_ONLINE: private, and has memory (or memory blocks that are
 *	offline), with or without an owner
 *
 * A node moves from FREE or RESERVED to CLAIMED by private_node_claim(), and
 * back to where it came from by private_node_release(). Adding memory makes
 * it ONLINE, removing the last memory block takes it back. Whether a node is
 * private never changes while it has memory.
 */
enum private_node_state {
	PRIVATE_NODE_FREE,
	PRIVATE_NODE_RESERVED,
	PRIVATE_NODE_CLAIMED,
	PRIVATE_NODE_ONLINE,
};

/*
 * Features: services of mm/ that an owner lets act on its memory. All of them
 * are off by default. What each of them turns on is said in
 * Documentation/mm/private_nodes.rst.
 */
/* User space may name the node in a memory policy and migrate to and from it */
#define PRIVATE_NODE_USER	BIT(0)
/* The memory may be reclaimed and compacted */
#define PRIVATE_NODE_RECLAIM	BIT(1)
/*
 * The node is a target of demotion, for cgroups that were granted it; needs
 * PRIVATE_NODE_RECLAIM
 */
#define PRIVATE_NODE_DEMOTION	BIT(2)
/* Long-term pins (FOLL_LONGTERM) are allowed */
#define PRIVATE_NODE_LTPIN	BIT(3)

#define PRIVATE_NODE_FEATURES	(PRIVATE_NODE_USER | PRIVATE_NODE_RECLAIM | \
				 PRIVATE_NODE_DEMOTION | PRIVATE_NODE_LTPIN)

/**
 * struct private_node_ops - callbacks to the owner of a private node
 * @released: The last memory of node @nid went offline. Called with
 *	device_hotplug_lock and mem_hotplug_lock held, may sleep, and may call
 *	nothing that adds or removes memory.
 *
 * Each callback is optional.
 */
struct private_node_ops {
	void (*released)(int nid);
};

/**
 * struct private_node_desc - what an owner says when it claims a node
 * @name: who it is, shown in messages and in /proc/iomem as
 *	"System RAM (@name)"; at most PRIVATE_NODE_NAME_MAX bytes of printable
 *	ASCII without parentheses; copied
 * @features: PRIVATE_NODE_* bits
 * @keep_reserved_features: a node that was reserved at boot keeps the features
 *	that it was reserved with; @features is for other nodes
 * @adistance: abstract distance of the memory, as in <linux/memory-tiers.h>;
 *	greater than zero
 * @ops: callbacks, or NULL; has to stay valid until the node is released
 * @owner: the module that has @ops; pinned until the node is released if
 *	@ops is set
 */
struct private_node_desc {
	const char *name;
	unsigned long features;
	bool keep_reserved_features;
	int adistance;
	const struct private_node_ops *ops;
	struct module *owner;
};

#define PRIVATE_NODE_NAME_MAX	32

#ifdef CONFIG_PRIVATE_NODES

DECLARE_STATIC_KEY_FALSE(private_nodes_key);
extern nodemask_t private_nodes_mask;

/**
 * private_nodes_enabled - is or was there a private node since boot?
 *
 * Context: Any.
 * Return: false, by one static branch, as long as no node was private.
 */
static __always_inline bool private_nodes_enabled(void)
{
	return static_branch_unlikely(&private_nodes_key);
}

/**
 * node_is_private - is this node private?
 * @nid: a node id, or NUMA_NO_NODE
 *
 * The answer is the decision (reserved or claimed), not whether memory is
 * there: N_MEMORY_PRIVATE says that. It cannot change while the node has
 * memory, so for the node of a page that the caller holds it is stable.
 *
 * Context: Any. Without such a page, device_hotplug_lock keeps an ordinary node
 * ordinary; a private one without memory can be given back at any time.
 * Return: true if memory of @nid is or would be private.
 */
static __always_inline bool node_is_private(int nid)
{
	return private_nodes_enabled() && nid >= 0 && nid < MAX_NUMNODES &&
	       node_isset(nid, private_nodes_mask);
}

/**
 * private_nodes_have_memory - does any private node have memory online?
 *
 * Context: Any; device_hotplug_lock makes the answer stable.
 * Return: true if one has.
 */
static inline bool private_nodes_have_memory(void)
{
	return num_node_state(N_MEMORY_PRIVATE) > 0;
}

/**
 * private_node_reserve - decide at boot that a node is private
 * @nid: a node without memory and without CPUs
 * @window: the range of physical addresses the node is meant for, or NULL
 *	for a node of the pool
 * @features: PRIVATE_NODE_* bits for memory that is added without an owner,
 *	and for sysfs until there is one
 *
 * To be called while node_possible_map is built, before slab is available. A
 * second call for the same node replaces @window and @features. A reserved
 * node that turns out to have CPUs or memory at the end of boot becomes an
 * ordinary node again, with a message.
 *
 * Context: Boot, one CPU.
 * Return: 0, or -EINVAL: @nid is not below MAX_NUMNODES, @features has a bit
 * that is not known or DEMOTION without RECLAIM.
 */
int __init private_node_reserve(int nid, const struct range *window,
				unsigned long features);

/**
 * private_node_unreserve_all - forget all reservations
 *
 * For architectures that try several ways to find their NUMA nodes, each of
 * which starts from nothing.
 *
 * Context: Boot, one CPU, as private_node_reserve().
 */
void __init private_node_unreserve_all(void);

/**
 * private_node_claim - become the owner of a node
 * @nid: a possible node without memory, without CPUs and without an owner;
 *	reserved or not
 * @desc: who claims it and for what; not used after the return
 *
 * Until private_node_release(), memory of @nid is private, and only the owner
 * can add some.
 *
 * Context: Process, may sleep. Takes device_hotplug_lock; waits for nothing
 * else, and for that no longer than until a fatal signal.
 * Return: a handle, or an ERR_PTR():
 * * -EINVAL: @nid is not possible; @desc has no name or a bad one, a feature
 *   that is not known, DEMOTION without RECLAIM, or an adistance below 1
 * * -EBUSY: the node has memory (memory blocks that are offline count), has
 *   CPUs (possible ones count), or has an owner
 * * -EINTR: a fatal signal came while memory hotplug was waited for
 * * -ENODEV: the module of @desc is going away
 * * -ENOMEM: no memory for the handle
 * * -EOPNOTSUPP: the kernel is built without private nodes
 */
struct private_node *private_node_claim(int nid,
					const struct private_node_desc *desc);

/**
 * private_node_claim_reserved - become the owner of some reserved node
 * @hint: a physical address of the memory that will be added
 * @desc: as for private_node_claim()
 *
 * Takes a node that was reserved for a window that has @hint in it, else one
 * of the pool. A node that was reserved for another window is not taken.
 *
 * Context: As private_node_claim().
 * Return: as private_node_claim(), and -ENOSPC: no such node is left. Not
 * -EBUSY.
 */
struct private_node *private_node_claim_reserved(u64 hint,
						 const struct private_node_desc *desc);

/**
 * private_node_release - give a node back
 * @pn: the handle; invalid after success
 *
 * The node becomes what it was before the claim, reserved or ordinary.
 *
 * Context: Process, may sleep, but does not wait for anybody who adds or
 * removes memory. Not from a callback of &struct private_node_ops.
 * Return: 0, or -EBUSY: the node has memory (memory blocks that are offline
 * count); it stays claimed. -EOPNOTSUPP without private nodes.
 */
int private_node_release(struct private_node *pn);

/**
 * private_node_nid - which node is it?
 * @pn: the handle
 *
 * Context: Any.
 * Return: the node id.
 */
int private_node_nid(const struct private_node *pn);

/**
 * private_node_set_features - change what services may act on the node
 * @pn: the handle
 * @features: PRIVATE_NODE_* bits
 * @adistance: as in &struct private_node_desc
 *
 * Context: Process, may sleep. Takes device_hotplug_lock.
 * Return: 0, or -EINVAL: a value is bad; -EBUSY: the node has memory; -EINTR:
 * a fatal signal came first. Nothing has changed then. -EOPNOTSUPP without
 * private nodes.
 */
int private_node_set_features(struct private_node *pn, unsigned long features,
			      int adistance);

/**
 * private_node_add_memory - plug memory into a private node
 * @pn: the handle
 * @ranges: physical addresses, each aligned to memory_block_size_bytes() at
 *	both ends (@end is inclusive)
 * @nr_ranges: how many
 *
 * Adds the ranges as driver-managed memory, with the memmap in ordinary
 * memory, and onlines them in ZONE_MOVABLE. Either all of it is online
 * afterwards or nothing has been added: what had been added before an error is
 * taken offline and removed again. (If that fails, because somebody got a page
 * in the meantime and it can neither be freed nor migrated, this is said in
 * the log, and private_node_remove_memory() of the same ranges can be tried
 * later; after -EEXIST, without a range that has memory of somebody else.)
 *
 * If the caller has requested a resource for a range, it must not be
 * IORESOURCE_BUSY, as for add_memory_driver_managed().
 *
 * Calls that add, remove or release for the same node must not overlap; the
 * owner sees to that.
 *
 * Context: Process, may sleep. Takes device_hotplug_lock.
 * Return: 0, or
 * * -EINVAL: no range, or one that is empty or not aligned
 * * -EEXIST: a range has memory or a busy resource
 * * -E2BIG: a range is beyond what the kernel can map
 * * -EINTR: a fatal signal came while other memory hotplug was waited for
 * * -ENOMEM: no memory for the memmap or for other metadata
 * * what a memory or node notifier returned
 * * -EOPNOTSUPP: the kernel is built without private nodes
 */
int private_node_add_memory(struct private_node *pn,
			    const struct range *ranges, unsigned int nr_ranges);

/**
 * private_node_remove_memory - unplug memory from a private node
 * @pn: the handle
 * @ranges: ranges, or parts of ranges, that were added; aligned as there
 * @nr_ranges: how many
 *
 * Takes the memory offline, which migrates pages in use to ordinary nodes,
 * and removes it. Either all of it is gone afterwards, or none. The node
 * stays claimed. A range without a single memory block is skipped: that is how
 * private_node_add_memory() leaves some of them if it fails and its undo fails,
 * too. As for all memory, a page in ZONE_MOVABLE that cannot be moved
 * for the moment is waited for, until there is a signal; an owner frees its
 * own pages first.
 *
 * Context: Process, may sleep. Takes device_hotplug_lock.
 * Return: 0, or
 * * -EINVAL: no range, or one that is empty or not aligned; a range has memory,
 *   but not all of it is there and of this node; no range has memory
 * * -EBUSY: a page in a kernel zone can neither be freed nor migrated
 * * -EINTR: a signal is pending
 * * -ENOMEM
 * * what a memory or node notifier returned
 * * -EOPNOTSUPP: the kernel is built without private nodes
 */
int private_node_remove_memory(struct private_node *pn,
			       const struct range *ranges,
			       unsigned int nr_ranges);

/**
 * private_node_state - what is this node to the registry?
 * @nid: a node id
 *
 * Context: Process, may sleep. Takes device_hotplug_lock.
 * Return: the state; PRIVATE_NODE_FREE also for node ids that are not possible.
 */
enum private_node_state private_node_state(int nid);

/**
 * private_node_features - the features of a private node
 * @nid: a node id
 *
 * Context: Any. They do not change while the node has memory.
 * Return: PRIVATE_NODE_* bits; 0 for a node that is not private.
 */
unsigned long private_node_features(int nid);

/**
 * private_node_is_reserved - was this node reserved at boot?
 * @nid: a node id, or NUMA_NO_NODE
 *
 * It stays reserved, whoever claims it.
 *
 * Context: Any, after boot. The answer does not change.
 * Return: true if it was.
 */
bool private_node_is_reserved(int nid);

/**
 * private_node_reserved_features - the features a node was reserved with
 * @nid: a node id, or NUMA_NO_NODE
 *
 * These are its features whenever it has no owner.
 *
 * Context: Any, after boot. The answer does not change.
 * Return: PRIVATE_NODE_* bits; 0 for a node that was not reserved.
 */
unsigned long private_node_reserved_features(int nid);

/**
 * private_node_report_meminfo - the lines of /proc/meminfo
 * @m: where they go
 *
 * Context: Process.
 */
void private_node_report_meminfo(struct seq_file *m);

/*
 * What each node has in sysfs: private_meminfo. A node becomes private, and
 * ordinary again, while its files are there; it says 0 then.
 */
extern const struct attribute_group private_node_attr_group;

#else /* CONFIG_PRIVATE_NODES */

static __always_inline bool private_nodes_enabled(void)
{
	return false;
}

static __always_inline bool node_is_private(int nid)
{
	return false;
}

static inline bool private_nodes_have_memory(void)
{
	return false;
}

static inline int private_node_reserve(int nid, const struct range *window,
				       unsigned long features)
{
	return -EOPNOTSUPP;
}

static inline void private_node_unreserve_all(void) {}

static inline struct private_node *
private_node_claim(int nid, const struct private_node_desc *desc)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline struct private_node *
private_node_claim_reserved(u64 hint, const struct private_node_desc *desc)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline int private_node_release(struct private_node *pn)
{
	return -EOPNOTSUPP;
}

static inline int private_node_nid(const struct private_node *pn)
{
	return NUMA_NO_NODE;
}

static inline int private_node_set_features(struct private_node *pn,
					    unsigned long features,
					    int adistance)
{
	return -EOPNOTSUPP;
}

static inline int private_node_add_memory(struct private_node *pn,
					  const struct range *ranges,
					  unsigned int nr_ranges)
{
	return -EOPNOTSUPP;
}

static inline int private_node_remove_memory(struct private_node *pn,
					     const struct range *ranges,
					     unsigned int nr_ranges)
{
	return -EOPNOTSUPP;
}

static inline enum private_node_state private_node_state(int nid)
{
	return PRIVATE_NODE_FREE;
}

static inline unsigned long private_node_features(int nid)
{
	return 0;
}

static inline bool private_node_is_reserved(int nid)
{
	return false;
}

static inline unsigned long private_node_reserved_features(int nid)
{
	return 0;
}

static inline void private_node_report_meminfo(struct seq_file *m) {}

#endif /* CONFIG_PRIVATE_NODES */

/**
 * zone_is_private_node - does this zone belong to a private node?
 * @zone: the zone
 *
 * Context: As node_is_private().
 * Return: true if it does.
 */
static __always_inline bool zone_is_private_node(const struct zone *zone)
{
	return private_nodes_enabled() && node_is_private(zone_to_nid(zone));
}

/**
 * folio_is_private_node - is this folio memory of a private node?
 * @folio: the folio
 *
 * Not to be confused with folio_test_private(), which is about folio->private.
 * A device can have memory in ZONE_DEVICE of a node that is private because of
 * another device: its pages are not in the page allocator, and not private.
 *
 * Context: Any; the caller holds a reference, or knows by other means that
 * the memory cannot be unplugged.
 * Return: true if it is.
 */
static __always_inline bool folio_is_private_node(const struct folio *folio)
{
	return private_nodes_enabled() && node_is_private(folio_nid(folio)) &&
	       !folio_is_zone_device(folio);
}

#endif /* _LINUX_PRIVATE_NODE_H */
