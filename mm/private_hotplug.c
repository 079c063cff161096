// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of private nodes: who may add some, and how an owner adds and
 * removes it.
 *
 * What kind of memory a node has was decided by the registry before the first
 * byte is added, hence memory hotplug looks only at the node. Whoever onlines
 * a memory block of a private node, and in which zone, it is private.
 *
 * See include/linux/private_node.h for the interface and
 * Documentation/mm/private_nodes.rst for the concept.
 *
 * Locking: device_hotplug_lock, as for all memory hotplug.
 */
#define pr_fmt(fmt) "private_node: " fmt

#include <linux/device.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/limits.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/node.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/range.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "private_node.h"

/**
 * private_node_check_add - may the caller add memory to this node?
 * @nid: the node
 *
 * Context: Process, under device_hotplug_lock, which has to be held until the
 * memory is there.
 * Return: 0, also for an ordinary node; -EBUSY: the node has an owner who is
 * not the caller; -ENOMEM: no memory for the zonelists.
 */
int private_node_check_add(int nid)
{
	struct private_node *pn;
	bool private;
	int ret = 0;

	if (!node_is_private(nid))
		return 0;

	/* It may be given back meanwhile; then it is ordinary, or unowned. */
	mutex_lock(&private_nodes_lock);
	private = node_is_private(nid);
	pn = private_node_find(nid);
	if (pn && private_node_has_owner(pn) && !pn->owner_adds) {
		pr_info("%s[%d] cannot add memory to node %d of %s\n",
			current->comm, task_pid_nr(current), nid, pn->name);
		ret = -EBUSY;
	}
	mutex_unlock(&private_nodes_lock);
	if (ret || !private)
		return ret;
	return private_zonelists_alloc();
}

static int private_ranges_check(const struct range *ranges,
				unsigned int nr_ranges)
{
	const u64 block = memory_block_size_bytes();
	unsigned int i;

	if (!nr_ranges)
		return -EINVAL;
	for (i = 0; i < nr_ranges; i++) {
		if (ranges[i].end < ranges[i].start ||
		    ranges[i].end == U64_MAX ||
		    !IS_ALIGNED(ranges[i].start, block) ||
		    !IS_ALIGNED(ranges[i].end + 1, block))
			return -EINVAL;
	}
	return 0;
}

static int private_block_online(struct memory_block *mem, void *arg)
{
	int ret;

	mem->online_type = MMOP_ONLINE_MOVABLE;
	ret = device_online(&mem->dev);
	/* 1: somebody else was faster, say udev */
	return ret < 0 ? ret : 0;
}

/*
 * All of it or, but for what the log tells, nothing. Under device_hotplug_lock,
 * which is held from the first range to the last: nobody sees a part of it.
 */
static int private_ranges_add(struct private_node *pn,
			      const struct range *ranges, unsigned int nr_ranges)
{
	unsigned int i, added;
	int ret = 0, undone;

	pn->owner_adds = true;
	for (added = 0; added < nr_ranges && !ret; added++)
		ret = add_memory_driver_managed_locked(pn->nid,
						       ranges[added].start,
						       range_len(&ranges[added]),
						       pn->res_name, MHP_NONE,
						       MMOP_OFFLINE);
	pn->owner_adds = false;
	if (ret)
		added--;

	for (i = 0; i < nr_ranges && !ret; i++)
		ret = walk_memory_blocks(ranges[i].start, range_len(&ranges[i]),
					 NULL, private_block_online);
	if (!ret || !added)
		return ret;

	undone = offline_and_remove_memory_ranges_locked(ranges, added);
	if (undone)
		pr_warn("node %d keeps memory that could not be added completely: %pe\n",
			pn->nid, ERR_PTR(undone));
	return ret;
}

int private_node_add_memory(struct private_node *pn,
			    const struct range *ranges, unsigned int nr_ranges)
{
	int ret;

	ret = private_ranges_check(ranges, nr_ranges);
	if (ret)
		return ret;

	ret = lock_device_hotplug_killable();
	if (ret)
		return ret;
	ret = private_ranges_add(pn, ranges, nr_ranges);
	unlock_device_hotplug();
	return ret;
}
EXPORT_SYMBOL_GPL(private_node_add_memory);

struct private_count {
	int nid;
	u64 size;	/* of all memory blocks */
	u64 own;	/* of those of the node */
};

static int private_block_count(struct memory_block *mem, void *arg)
{
	struct private_count *count = arg;

	count->size += memory_block_size_bytes();
	if (mem->nid == count->nid)
		count->own += memory_block_size_bytes();
	return 0;
}

/*
 * Write to @plugged those of the ranges that are memory of the node, each block
 * of them, and leave out those without any block. Returns how many there are,
 * or -EINVAL if another range has blocks or if there is none. Under
 * device_hotplug_lock.
 */
static int private_ranges_of_node(int nid, const struct range *ranges,
				  unsigned int nr_ranges, struct range *plugged)
{
	unsigned int i;
	int nr = 0;

	for (i = 0; i < nr_ranges; i++) {
		struct private_count count = { .nid = nid };

		walk_memory_blocks(ranges[i].start, range_len(&ranges[i]),
				   &count, private_block_count);
		if (!count.size)
			continue;
		if (count.own != range_len(&ranges[i]))
			return -EINVAL;
		plugged[nr++] = ranges[i];
	}
	return nr ?: -EINVAL;
}

/* Nodes that are being unplugged, or a part of them. Bits are set atomically. */
static nodemask_t private_leaving_nodes;

/**
 * private_node_leaves - does the owner of this node unplug memory right now?
 * @nid: the node
 *
 * Memory goes block by block. In between nothing else tells that what is left
 * will go, too.
 *
 * Context: Any. Not outdated under device_hotplug_lock.
 * Return: true if so.
 */
bool private_node_leaves(int nid)
{
	return node_isset(nid, private_leaving_nodes);
}

/* private_node_remove_memory() for who holds device_hotplug_lock */
int private_node_remove_memory_locked(struct private_node *pn,
				      const struct range *ranges,
				      unsigned int nr_ranges)
{
	struct range *plugged;
	int ret;

	ret = private_ranges_check(ranges, nr_ranges);
	if (ret)
		return ret;

	plugged = kmalloc_objs(*plugged, nr_ranges);
	if (!plugged)
		return -ENOMEM;
	ret = private_ranges_of_node(pn->nid, ranges, nr_ranges, plugged);
	if (ret > 0) {
		node_set(pn->nid, private_leaving_nodes);
		ret = offline_and_remove_memory_ranges_locked(plugged, ret);
		node_clear(pn->nid, private_leaving_nodes);
	}
	kfree(plugged);
	return ret;
}

int private_node_remove_memory(struct private_node *pn,
			       const struct range *ranges,
			       unsigned int nr_ranges)
{
	int ret;

	ret = lock_device_hotplug_killable();
	if (ret)
		return ret;
	ret = private_node_remove_memory_locked(pn, ranges, nr_ranges);
	unlock_device_hotplug();
	return ret;
}
EXPORT_SYMBOL_GPL(private_node_remove_memory);

static int private_node_notify(struct notifier_block *self,
			       unsigned long action, void *arg)
{
	const int nid = ((struct node_notify *)arg)->nid;
	void (*released)(int nid) = NULL;
	struct private_node *pn;

	if (!node_is_private(nid)) {
		if (action == NODE_ADDING_FIRST_MEMORY)
			private_node_note_ordinary(nid);
		return NOTIFY_OK;
	}

	switch (action) {
	case NODE_ADDED_FIRST_MEMORY:
		pr_info("node %d has memory\n", nid);
		mutex_lock(&private_nodes_lock);
		pn = private_node_find(nid);
		if (!pn || !private_node_has_owner(pn))
			pr_warn("node %d was reserved by numa_spm= and has no owner: its memory is private, and nobody allocates it\n",
				nid);
		mutex_unlock(&private_nodes_lock);
		break;
	case NODE_REMOVED_LAST_MEMORY:
		pr_info("node %d has no memory any more\n", nid);
		mutex_lock(&private_nodes_lock);
		pn = private_node_find(nid);
		if (pn && pn->ops)
			released = pn->ops->released;
		mutex_unlock(&private_nodes_lock);
		/* Blocks are left, so that the owner cannot go. */
		if (released)
			released(nid);
		break;
	}
	return NOTIFY_OK;
}

static int __init private_hotplug_init(void)
{
	hotplug_node_notifier(private_node_notify, DEFAULT_CALLBACK_PRI);
	return 0;
}
core_initcall(private_hotplug_init);
