/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_PRIVATE_NODE_ADMIN_H
#define _LINUX_PRIVATE_NODE_ADMIN_H

/*
 * Private nodes, for those who let an administrator decide: the names that
 * features have in boot parameters and sysfs, and unplugging that does not
 * wait for anybody. See <linux/private_node.h> for the registry itself.
 */

#include <linux/errno.h>
#include <linux/private_node.h>
#include <linux/range.h>
#include <linux/types.h>

#ifdef CONFIG_PRIVATE_NODES

/**
 * private_node_parse_features - read names of features
 * @buf: names separated by "+", or "none"; white space around is ignored
 * @features: PRIVATE_NODE_* bits, untouched on error
 *
 * Context: Any, also before there is a slab allocator.
 * Return: 0, or -EINVAL: no name, one that is not known or given twice, or
 * "demotion" without "reclaim".
 */
int private_node_parse_features(const char *buf, unsigned long *features);

/**
 * private_node_print_features - write names of features
 * @buf: where to
 * @size: its size in bytes
 * @features: PRIVATE_NODE_* bits
 *
 * Context: Any.
 * Return: how many bytes were written, without the final zero.
 */
int private_node_print_features(char *buf, size_t size, unsigned long features);

/**
 * private_node_stop - give out no more memory of a node, or do so again
 * @pn: the handle
 * @stop: true: requests for memory of the node fail from now on
 *
 * For memory whose device may be gone: what is in use stays where it is, and
 * nobody gets more of it. It has to be undone before the node is released.
 *
 * Context: Process. Calls for the same node must not overlap, and neither with
 * private_node_remove_idle_memory(); the owner sees to that.
 */
void private_node_stop(struct private_node *pn, bool stop);

/**
 * private_node_remove_idle_memory - unplug memory nobody uses
 * @pn: the handle
 * @ranges: as for private_node_remove_memory()
 * @nr_ranges: how many
 * @nr_used: set to how many pages of the node were in use, if it is known
 *
 * As private_node_remove_memory(), but fails at once if memory of the node is
 * online and a page of it is in use. Memory that is offline is just removed.
 * While this runs, requests for memory of the node fail.
 *
 * Context: Process, may sleep. Takes device_hotplug_lock.
 * Return: as private_node_remove_memory(); -EBUSY: a page is in use; -EINTR
 * only after a fatal signal.
 */
int private_node_remove_idle_memory(struct private_node *pn,
				    const struct range *ranges,
				    unsigned int nr_ranges,
				    unsigned long *nr_used);

#else /* CONFIG_PRIVATE_NODES */

static inline int private_node_parse_features(const char *buf,
					      unsigned long *features)
{
	return -EINVAL;
}

static inline int private_node_print_features(char *buf, size_t size,
					      unsigned long features)
{
	return 0;
}

static inline void private_node_stop(struct private_node *pn, bool stop) {}

static inline int
private_node_remove_idle_memory(struct private_node *pn,
				const struct range *ranges,
				unsigned int nr_ranges, unsigned long *nr_used)
{
	*nr_used = 0;
	return -EOPNOTSUPP;
}

#endif /* CONFIG_PRIVATE_NODES */

#endif /* _LINUX_PRIVATE_NODE_ADMIN_H */
