// SPDX-License-Identifier: GPL-2.0
/*
 * Private nodes by name: what the number of a node means that a user named, and
 * who may name it. Memory policies and mounts keep such names for a long time,
 * in which the node can be unplugged and plugged again, by another owner and
 * for others than before. Three questions are asked, and never mixed:
 *
 *  - May this task make something that names the node? Asked by system calls,
 *    see private_policy_permit(). The owner has to let users in
 *    (PRIVATE_NODE_USER), and the task needs the grant of its cpuset or
 *    CAP_SYS_NICE in the initial user namespace.
 *  - May this request have memory of it? Asked for each, see
 *    private_policy_usable(). What a name was made with does not matter then:
 *    it is like an open file, inherited by fork and exec. But a cpuset that
 *    leaves the node out wins, at once.
 *  - Is it the same node? A node is born when its first memory comes on line,
 *    which gives it the next number. Who names nodes keeps a stamp, the number
 *    of the last birth before, and means no node that is younger.
 *
 * Locking: births are written under device_hotplug_lock and mem_hotplug_lock.
 * They are read without a lock, together with N_MEMORY_PRIVATE:
 *
 *   a node comes                          a name is used
 *   private_birth[nid] = n                node in N_MEMORY_PRIVATE?
 *   smp_wmb()                             smp_rmb()
 *   node_set_state(N_MEMORY_PRIVATE)      private_birth[nid] <= stamp?
 *
 *   private_births = n (release)          stamp = private_births (acquire)
 *   node_set_state(N_MEMORY_PRIVATE)      node in N_MEMORY_PRIVATE?
 *
 * A name that is made while the node is replaced may be one of neither. It is
 * never one of memory that came after it.
 */
#define pr_fmt(fmt) "private_node: " fmt

#include <linux/capability.h>
#include <linux/cpuset.h>
#include <linux/cpuset_private.h>
#include <linux/init.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/page-isolation.h>
#include <linux/private_node.h>
#include <linux/private_nodemask.h>
#include <linux/sched.h>
#include <linux/user_namespace.h>
#include <linux/vmstat.h>

#include "internal.h"
#include "page_alloc.h"
#include "private_node.h"
#include "private_policy.h"

/* Of the youngest node */
static u32 private_births;
/* When each node was born; 0: before any name */
static u32 private_birth[MAX_NUMNODES] __read_mostly;

/* The node that a memory block is taken offline of. One at a time is. */
static int private_leaving_nid = NUMA_NO_NODE;

/*
 * After four billions of births there are no more numbers: what is born then is
 * younger than any stamp.
 */
static void private_node_born(int nid)
{
	u32 birth = private_births;

	if (birth < U32_MAX)
		birth++;
	WRITE_ONCE(private_birth[nid], birth);
	/* Pairs with smp_load_acquire() in private_policy_stamp() */
	smp_store_release(&private_births, birth);
	/* Before N_MEMORY_PRIVATE; pairs with smp_rmb() in private_policy_usable() */
	smp_wmb();
}

static int private_birth_notify(struct notifier_block *self,
				unsigned long action, void *arg)
{
	const int nid = ((struct node_notify *)arg)->nid;

	if (action == NODE_ADDING_FIRST_MEMORY && node_is_private(nid))
		private_node_born(nid);
	return NOTIFY_OK;
}

/*
 * A block that goes offline has no isolated pages any more when the node still
 * has it. Nobody may take the node for full then.
 */
static int private_leave_notify(struct notifier_block *self,
				unsigned long action, void *arg)
{
	const struct memory_notify *mem = arg;

	switch (action) {
	case MEM_GOING_OFFLINE:
		WRITE_ONCE(private_leaving_nid,
			   page_to_nid(pfn_to_page(mem->start_pfn)));
		break;
	case MEM_CANCEL_OFFLINE:
	case MEM_OFFLINE:
		WRITE_ONCE(private_leaving_nid, NUMA_NO_NODE);
		break;
	}
	return NOTIFY_OK;
}

static int __init private_policy_init(void)
{
	hotplug_node_notifier(private_birth_notify, DEFAULT_CALLBACK_PRI);
	hotplug_memory_notifier(private_leave_notify, DEFAULT_CALLBACK_PRI);
	return 0;
}
core_initcall(private_policy_init);

/**
 * private_policy_stamp - the age of nodes that are named now
 *
 * To be called before anything is looked up about the nodes.
 *
 * Context: Any.
 * Return: what private_policy_usable() wants to know.
 */
u32 private_policy_stamp(void)
{
	/* Pairs with smp_store_release() in private_node_born() */
	return min(smp_load_acquire(&private_births), U32_MAX - 1);
}

/**
 * private_policy_knows - was this node there when it was named?
 * @nid: the node
 * @stamp: of the name
 *
 * Context: Any. The caller has a page of the node, and so the node stays what
 * it is; without one the answer may be outdated.
 * Return: true if so. Always for an ordinary node.
 */
bool private_policy_knows(int nid, u32 stamp)
{
	return !node_is_private(nid) || READ_ONCE(private_birth[nid]) <= stamp;
}

/* Does the owner let users in? */
static bool private_node_of_users(int nid)
{
	return private_node_features(nid) & PRIVATE_NODE_USER;
}

/*
 * Does no cpuset keep the node from the task? As long as there is the root
 * alone, none does, and private_alloc_frozen() does not ask either.
 */
static bool private_node_offered(int nid)
{
	return !cpusets_enabled() ||
	       node_isset(nid, cpuset_current_mems_allowed);
}

/* Leave those whose owner lets users in. */
static void private_nodes_of_users(nodemask_t *nodes)
{
	int nid;

	for_each_node_mask(nid, *nodes) {
		if (!private_node_of_users(nid))
			node_clear(nid, *nodes);
	}
}

/* Leave those that no cpuset keeps from the task. */
static void private_nodes_offered(nodemask_t *nodes)
{
	if (cpusets_enabled())
		nodes_and(*nodes, *nodes, cpuset_current_mems_allowed);
}

/**
 * private_policy_usable - which private nodes a name stands for now
 * @named: what the user named
 * @stamp: when
 * @usable: set to the nodes that a request of this task may have memory of
 *
 * Not part of it are nodes that are younger than the name, of an owner who does
 * not let users in, that a cpuset keeps from the task, and those that give
 * nothing because they are about to go or have been stopped.
 *
 * Context: Process. All of it can change at any time: a page that the caller
 * gets has to be looked at, see private_policy_knows(), and if there is none,
 * read_mems_allowed_retry() tells whether cpusets are why.
 * Return: true if there is one.
 */
bool private_policy_usable(const nodemask_t *named, u32 stamp,
			   nodemask_t *usable)
{
	bool found = false;
	int nid;

	nodes_clear(*usable);
	for_each_node_of_few(nid, node_states[N_MEMORY_PRIVATE]) {
		if (!node_isset(nid, *named) || !private_node_offered(nid) ||
		    !private_node_of_users(nid))
			continue;
		/* Pairs with smp_wmb() in private_node_born() */
		smp_rmb();
		if (!private_policy_knows(nid, stamp) ||
		    private_zone_closed(NODE_DATA(nid)->node_zones))
			continue;
		node_set(nid, *usable);
		found = true;
	}
	return found;
}

static bool private_zone_leaves(const struct zone *zone)
{
	return populated_zone(zone) &&
	       READ_ONCE(zone->nr_isolate_pageblock);
}

/**
 * private_nodes_leaving - is memory being taken from one of these nodes?
 * @nodes: private nodes
 *
 * Context: Any.
 * Return: true if a part of a node, or all of it, is about to go offline or is
 * isolated for another reason. A request that found nothing may have found that.
 */
bool private_nodes_leaving(const nodemask_t *nodes)
{
	const struct zone *zone;
	int nid;

	for_each_node_mask(nid, *nodes) {
		if (private_node_leaves(nid) ||
		    READ_ONCE(private_leaving_nid) == nid)
			return true;
		for (zone = NODE_DATA(nid)->node_zones;
		     zone < NODE_DATA(nid)->node_zones + MAX_NR_ZONES; zone++) {
			if (private_zone_leaves(zone))
				return true;
		}
	}
	return false;
}

/*
 * How many pages a zone may have that its counter of free pages does not show,
 * as CPUs have not added them yet.
 */
static long private_zone_hidden(const struct zone *zone)
{
	long hidden = 0;
	int cpu;

	for_each_online_cpu(cpu)
		hidden += per_cpu_ptr(zone->per_cpu_zonestats,
				      cpu)->stat_threshold;
	return hidden;
}

/*
 * For the last try of a request for one page, see private_alloc_frozen(). It goes
 * by the counter of free pages, and what it collects from CPUs can be hidden from
 * that for a second or more. Then the zone is full: to say that it has room would
 * make the task fault again and again.
 */
static bool private_zone_full(struct zone *zone)
{
	const long listed = private_zone_listed(zone);
	const long pages = zone_page_state(zone, NR_FREE_PAGES) +
			   max(listed - private_zone_hidden(zone), 0L);

	return !__zone_watermark_ok(zone, 0, min_wmark_pages(zone),
				    ZONE_MOVABLE,
				    ALLOC_WMARK_MIN | ALLOC_COLLECTED, pages);
}

/**
 * private_nodes_full - do these nodes have no page for a user?
 * @nodes: private nodes
 *
 * What is on the lists of CPUs is counted, as the next request collects it. The
 * one of which this is asked may have failed for another reason than the node, a
 * limit of its memory cgroup, and then nobody has collected it.
 *
 * Context: Any.
 * Return: true if all are full.
 */
bool private_nodes_full(const nodemask_t *nodes)
{
	struct zone *zone;
	int nid;

	for_each_node_mask(nid, *nodes) {
		for (zone = NODE_DATA(nid)->node_zones;
		     zone < NODE_DATA(nid)->node_zones + MAX_NR_ZONES; zone++) {
			if (populated_zone(zone) && !private_zone_full(zone))
				return false;
		}
	}
	return true;
}

/**
 * private_policy_permit - may this task name these nodes?
 * @named: what the user named; ordinary nodes in it do not matter. If one of
 *	the private nodes may be named, those that may not are taken out.
 *
 * Nobody asks again whether the task may use a node, only whether a cpuset
 * keeps it out. So a name must not outlive what was refused: a task could name
 * a node that it was not granted beside one that it was, and go to a cpuset that
 * inherits both.
 *
 * Context: Process; not under a lock that a security module would not like.
 * Asks for a capability if it has to. private_policy_stamp() was called before:
 * what comes later is younger than the name.
 * Return: 0: at least one of them; otherwise the first that is true:
 * * -EINVAL: none has private memory
 * * -EOPNOTSUPP: no owner lets users in
 * * -EPERM: the cpuset of the task leaves them out, or it was not granted any
 *   and the task does not have CAP_SYS_NICE
 */
int private_policy_permit(nodemask_t *named)
{
	nodemask_t nodes, granted;

	nodes_and(nodes, *named, node_states[N_MEMORY_PRIVATE]);
	if (nodes_empty(nodes))
		return -EINVAL;
	private_nodes_of_users(&nodes);
	if (nodes_empty(nodes))
		return -EOPNOTSUPP;
	private_nodes_offered(&nodes);
	if (nodes_empty(nodes))
		return -EPERM;

	cpuset_private_granted(current, &granted);
	if (!nodes_subset(nodes, granted) && !capable(CAP_SYS_NICE)) {
		nodes_and(nodes, nodes, granted);
		if (nodes_empty(nodes))
			return -EPERM;
	}

	/* Also without those that have no memory yet, or whose owner lets nobody in */
	nodes_drop_private(named);
	nodes_or(*named, *named, nodes);
	return 0;
}

/**
 * private_policy_nameable - the nodes that this task may name
 * @nodes: set to them
 *
 * Context: Process, as private_policy_permit().
 */
void private_policy_nameable(nodemask_t *nodes)
{
	nodemask_t granted;

	*nodes = node_states[N_MEMORY_PRIVATE];
	private_nodes_of_users(nodes);
	private_nodes_offered(nodes);
	if (nodes_empty(*nodes) ||
	    ns_capable_noaudit(&init_user_ns, CAP_SYS_NICE))
		return;
	cpuset_private_granted(current, &granted);
	nodes_and(*nodes, *nodes, granted);
}
