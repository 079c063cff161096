// SPDX-License-Identifier: GPL-2.0
/*
 * The registry of private NUMA nodes: which nodes are private, who owns them,
 * and which services may act on them. It decides; that no ordinary request
 * gets their memory is the work of mm/private_zonelist.c, and that their
 * memory comes and goes is that of mm/private_hotplug.c.
 *
 * See include/linux/private_node.h for the interface and
 * Documentation/mm/private_nodes.rst for the concept.
 *
 * Locking: device_hotplug_lock, which also orders the adding and removing of
 * memory against the decision: a node becomes private under it. Inside it,
 * private_nodes_lock protects the list of nodes and who owns them. A node is
 * given back under private_nodes_lock alone: it has no memory then, and nobody
 * but the owner could add some, so there is nothing to order; and whoever
 * unplugs another node may hold device_hotplug_lock for ever.
 *
 * What is read without these are private_nodes_mask, bit by bit, and the features
 * of a node, all at once: neither changes while the node has memory.
 */
#define pr_fmt(fmt) "private_node: " fmt

#include <linux/cpumask.h>
#include <linux/ctype.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/topology.h>

#include "private_node.h"

/*
 * Enabled by the first private node and never disabled. private_nodes_mask has
 * no bit that matters before: the key is enabled first.
 */
DEFINE_STATIC_KEY_FALSE(private_nodes_key);
EXPORT_SYMBOL_GPL(private_nodes_key);

/*
 * The decision: set under device_hotplug_lock or at boot, cleared under
 * private_nodes_lock by the node's owner, read anywhere
 */
nodemask_t private_nodes_mask __read_mostly;
EXPORT_SYMBOL_GPL(private_nodes_mask);

/*
 * PRIVATE_NODE_FEATURES of the nodes of private_nodes_mask. All of a node are
 * written at once, by who writes that; who allocates for users reads them.
 */
static u8 private_features[MAX_NUMNODES] __read_mostly;
static_assert(PRIVATE_NODE_FEATURES <= U8_MAX);

/* What boot decided: the reserved nodes and, as above, their features */
static nodemask_t private_reserved_mask __ro_after_init;
static u8 private_reserved_features[MAX_NUMNODES] __ro_after_init;

/*
 * The nodes that had ordinary memory at some time since boot. Bits are set under
 * device_hotplug_lock, before the memory is in any list, and never cleared.
 */
static nodemask_t private_once_ordinary __read_mostly;

/*
 * Nobody waits for pages of others under it. Taken inside device_hotplug_lock
 * where both are needed, and inside mem_hotplug_lock, as notifiers ask for the
 * owner; hence no static key is changed under it, see private_node_decide().
 */
DEFINE_MUTEX(private_nodes_lock);

/* All reserved and claimed nodes; protected by private_nodes_lock */
static LIST_HEAD(private_nodes);

/* What private_node_reserve() was told, until there is a slab allocator */
static struct {
	struct range window;
	unsigned long features;
} private_reservations[MAX_NUMNODES] __initdata;

static bool private_features_valid(unsigned long features)
{
	if (features & ~PRIVATE_NODE_FEATURES)
		return false;
	return !(features & PRIVATE_NODE_DEMOTION) ||
	       features & PRIVATE_NODE_RECLAIM;
}

static void private_features_set(int nid, unsigned long features)
{
	WRITE_ONCE(private_features[nid], features);
}

unsigned long private_node_features(int nid)
{
	if (!node_is_private(nid))
		return 0;
	return READ_ONCE(private_features[nid]);
}
EXPORT_SYMBOL_GPL(private_node_features);

bool private_node_is_reserved(int nid)
{
	return nid >= 0 && nid < MAX_NUMNODES &&
	       node_isset(nid, private_reserved_mask);
}
EXPORT_SYMBOL_GPL(private_node_is_reserved);

unsigned long private_node_reserved_features(int nid)
{
	if (!private_node_is_reserved(nid))
		return 0;
	return private_reserved_features[nid];
}
EXPORT_SYMBOL_GPL(private_node_reserved_features);

static bool private_name_valid(const char *name)
{
	size_t i;

	if (!name || !*name)
		return false;
	for (i = 0; name[i]; i++) {
		if (i == PRIVATE_NODE_NAME_MAX || !isascii(name[i]) ||
		    !isprint(name[i]) || name[i] == '(' || name[i] == ')')
			return false;
	}
	return true;
}

static bool private_desc_valid(const struct private_node_desc *desc)
{
	return private_name_valid(desc->name) && desc->adistance > 0 &&
	       private_features_valid(desc->features);
}

static int private_block_of_node(struct memory_block *mem, void *arg)
{
	return mem->nid == *(int *)arg ? -EEXIST : 0;
}

/*
 * Blocks that are offline count: they would come online as what the node is
 * then. The caller holds device_hotplug_lock, or owns the node and adds none.
 */
bool private_node_has_memory(int nid)
{
	return node_present_pages(nid) ||
	       for_each_memory_block(&nid, private_block_of_node);
}

static bool private_node_has_cpus(int nid)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		if (cpu_to_node(cpu) == nid)
			return true;
	}
	return false;
}

struct private_node *private_node_find(int nid)
{
	struct private_node *pn;

	lockdep_assert_held(&private_nodes_lock);
	list_for_each_entry(pn, &private_nodes, list) {
		if (pn->nid == nid)
			return pn;
	}
	return NULL;
}

void private_node_note_ordinary(int nid)
{
	node_set(nid, private_once_ordinary);
}

bool __private_zone_keeps_no_lists(const struct zone *zone)
{
	return node_isset(zone_to_nid(zone), private_once_ordinary);
}

bool private_node_has_owner(const struct private_node *pn)
{
	return pn->name[0];
}

/*
 * Returns the object of a node that nobody else has, or an ERR_PTR(). The
 * caller holds device_hotplug_lock, too.
 */
static struct private_node *
private_node_claim_locked(int nid, const struct private_node_desc *desc)
{
	struct private_node *pn = private_node_find(nid), *new = NULL;

	lockdep_assert_held(&private_nodes_lock);
	if (pn && private_node_has_owner(pn))
		return ERR_PTR(-EBUSY);
	if (private_node_has_memory(nid) || private_node_has_cpus(nid))
		return ERR_PTR(-EBUSY);

	if (!pn) {
		new = kzalloc_obj(*new);
		if (!new)
			return ERR_PTR(-ENOMEM);
		new->nid = nid;
		/*
		 * If @nid is reserved, boot had no memory for the object, and
		 * nobody knows any more what for: not for the pool.
		 */
		new->window = (struct range){ .start = U64_MAX, .end = U64_MAX };
		pn = new;
	}

	if (desc->ops && !try_module_get(desc->owner)) {
		kfree(new);
		return ERR_PTR(-ENODEV);
	}

	strscpy(pn->name, desc->name);
	snprintf(pn->res_name, sizeof(pn->res_name), "System RAM (%s)",
		 desc->name);
	pn->adistance = desc->adistance;
	pn->ops = desc->ops;
	pn->owner = desc->ops ? desc->owner : NULL;
	if (desc->keep_reserved_features && private_node_is_reserved(nid))
		private_features_set(nid, private_node_reserved_features(nid));
	else
		private_features_set(nid, desc->features);

	if (new)
		list_add_tail(&new->list, &private_nodes);
	pr_info("node %d is claimed by %s\n", nid, pn->name);
	return pn;
}

/*
 * The last step of a claim: nobody can give the node back yet. The caller holds
 * device_hotplug_lock, but not private_nodes_lock: the key is enabled under
 * cpu_hotplug_lock, under which memory comes and goes, which asks the registry.
 */
static void private_node_decide(int nid)
{
	if (node_is_private(nid))
		return;
	static_branch_enable(&private_nodes_key);
	node_set(nid, private_nodes_mask);
}

struct private_node *private_node_claim(int nid,
					const struct private_node_desc *desc)
{
	struct private_node *pn;

	if (nid < 0 || nid >= MAX_NUMNODES || !node_possible(nid) ||
	    !private_desc_valid(desc))
		return ERR_PTR(-EINVAL);

	if (lock_device_hotplug_killable())
		return ERR_PTR(-EINTR);
	mutex_lock(&private_nodes_lock);
	pn = private_node_claim_locked(nid, desc);
	mutex_unlock(&private_nodes_lock);
	if (!IS_ERR(pn))
		private_node_decide(nid);
	unlock_device_hotplug();

	return pn;
}
EXPORT_SYMBOL_GPL(private_node_claim);

/* Can @pn be had for memory at @hint? 2: its window has it, 1: pool, 0: no */
static int private_node_rank(const struct private_node *pn, u64 hint)
{
	if (!private_node_is_reserved(pn->nid) || private_node_has_owner(pn) ||
	    private_node_has_memory(pn->nid) || private_node_has_cpus(pn->nid))
		return 0;
	if (!pn->window.end)
		return 1;
	return hint >= pn->window.start && hint <= pn->window.end ? 2 : 0;
}

struct private_node *private_node_claim_reserved(u64 hint,
						 const struct private_node_desc *desc)
{
	struct private_node *pn, *best = NULL;
	int rank, best_rank = 0;

	if (!private_desc_valid(desc))
		return ERR_PTR(-EINVAL);

	if (lock_device_hotplug_killable())
		return ERR_PTR(-EINTR);
	mutex_lock(&private_nodes_lock);
	list_for_each_entry(pn, &private_nodes, list) {
		rank = private_node_rank(pn, hint);
		if (rank > best_rank) {
			best_rank = rank;
			best = pn;
		}
	}
	if (best)
		pn = private_node_claim_locked(best->nid, desc);
	else
		pn = ERR_PTR(-ENOSPC);
	mutex_unlock(&private_nodes_lock);
	if (!IS_ERR(pn))
		private_node_decide(pn->nid);
	unlock_device_hotplug();

	return pn;
}
EXPORT_SYMBOL_GPL(private_node_claim_reserved);

int private_node_release(struct private_node *pn)
{
	struct module *owner;

	if (private_node_has_memory(pn->nid))
		return -EBUSY;

	mutex_lock(&private_nodes_lock);
	pr_info("node %d is released by %s\n", pn->nid, pn->name);
	owner = pn->owner;
	if (private_node_is_reserved(pn->nid)) {
		private_features_set(pn->nid,
				     private_node_reserved_features(pn->nid));
		pn->name[0] = '\0';
		pn->ops = NULL;
		pn->owner = NULL;
	} else {
		private_features_set(pn->nid, 0);
		node_clear(pn->nid, private_nodes_mask);
		list_del(&pn->list);
		kfree(pn);
	}
	mutex_unlock(&private_nodes_lock);
	module_put(owner);
	return 0;
}
EXPORT_SYMBOL_GPL(private_node_release);

int private_node_nid(const struct private_node *pn)
{
	return pn->nid;
}
EXPORT_SYMBOL_GPL(private_node_nid);

int private_node_set_features(struct private_node *pn, unsigned long features,
			      int adistance)
{
	int ret = 0;

	if (!private_features_valid(features) || adistance <= 0)
		return -EINVAL;

	if (lock_device_hotplug_killable())
		return -EINTR;
	if (private_node_has_memory(pn->nid)) {
		ret = -EBUSY;
	} else {
		private_features_set(pn->nid, features);
		pn->adistance = adistance;
	}
	unlock_device_hotplug();

	return ret;
}
EXPORT_SYMBOL_GPL(private_node_set_features);

enum private_node_state private_node_state(int nid)
{
	enum private_node_state state = PRIVATE_NODE_FREE;
	struct private_node *pn;

	if (nid < 0 || nid >= MAX_NUMNODES || !node_possible(nid))
		return PRIVATE_NODE_FREE;

	lock_device_hotplug();
	mutex_lock(&private_nodes_lock);
	if (node_is_private(nid)) {
		pn = private_node_find(nid);
		if (private_node_has_memory(nid))
			state = PRIVATE_NODE_ONLINE;
		else if (pn && private_node_has_owner(pn))
			state = PRIVATE_NODE_CLAIMED;
		else
			state = PRIVATE_NODE_RESERVED;
	}
	mutex_unlock(&private_nodes_lock);
	unlock_device_hotplug();

	return state;
}
EXPORT_SYMBOL_GPL(private_node_state);

int __init private_node_reserve(int nid, const struct range *window,
				unsigned long features)
{
	if (nid < 0 || nid >= MAX_NUMNODES || !private_features_valid(features))
		return -EINVAL;

	private_reservations[nid].window = window ? *window : (struct range){};
	private_reservations[nid].features = features;
	node_set(nid, private_nodes_mask);
	return 0;
}

void __init private_node_unreserve_all(void)
{
	nodes_clear(private_nodes_mask);
}

/* Nothing has read private_nodes_mask yet: the key is still off. */
static int __init private_nodes_init(void)
{
	struct private_node *pn;
	int nid;

	/* Of what comes later, private_node_notify() hears. */
	private_once_ordinary = node_states[N_MEMORY];

	for_each_node_mask(nid, private_nodes_mask) {
		if (!node_possible(nid) || node_state(nid, N_MEMORY) ||
		    private_node_has_cpus(nid)) {
			pr_warn("node %d has memory or CPUs or cannot exist, it stays ordinary\n",
				nid);
			node_clear(nid, private_nodes_mask);
			continue;
		}

		node_set(nid, private_reserved_mask);
		private_reserved_features[nid] = private_reservations[nid].features;
		private_features_set(nid, private_reservations[nid].features);
		/* Without an object the node is private, and not in the pool. */
		pn = kzalloc_obj(*pn);
		if (!pn)
			continue;
		pn->nid = nid;
		pn->window = private_reservations[nid].window;
		list_add_tail(&pn->list, &private_nodes);
	}

	if (nodes_empty(private_nodes_mask))
		return 0;
	pr_info("reserved nodes: %*pbl\n", nodemask_pr_args(&private_nodes_mask));
	static_branch_enable(&private_nodes_key);
	return 0;
}
core_initcall(private_nodes_init);
