/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hooks of private nodes in migration: who may have pages moved to one, and
 * which. All of them are constant or empty without CONFIG_PRIVATE_NODES. See
 * mm/private_migrate.c.
 */
#ifndef __MM_PRIVATE_MIGRATE_H
#define __MM_PRIVATE_MIGRATE_H

#include <linux/errno.h>
#include <linux/gfp_types.h>
#include <linux/mm_types.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>

#include "internal.h"
#include "private_mempolicy.h"

#ifdef CONFIG_PRIVATE_NODES

/* mm/private_migrate.c */
int __private_target_check(int nid, const nodemask_t *offered);
bool __private_target_nodes(nodemask_t *nodes, const nodemask_t *offered);
void __private_target_allow(struct migration_target_control *mtc);
struct folio *private_target_alloc(const struct migration_target_control *mtc,
				   const struct folio *src, gfp_t gfp,
				   unsigned int order, int nid);

/**
 * private_target_check - may this task move pages to a node without N_MEMORY?
 * @nid: the node
 * @offered: what the task whose pages they are may use, as
 *	cpuset_mems_allowed() has it
 * @permitted: what was permitted last, NUMA_NO_NODE at first
 *
 * Asked for each page of a list, hence @permitted.
 *
 * Context: Process, without a lock; asks for a capability if it has to.
 * Return: 0, or the first that is true:
 * * -ENODEV: it has no private memory, or its owner does not let users in
 * * -EACCES: it is not in @offered
 * * -EPERM: the task may not name it, see private_policy_permit()
 */
static inline int private_target_check(int nid, const nodemask_t *offered,
				       int *permitted)
{
	int err;

	if (!private_nodes_enabled())
		return -ENODEV;
	if (nid == *permitted)
		return 0;
	err = __private_target_check(nid, offered);
	if (!err)
		*permitted = nid;
	return err;
}

/**
 * private_target_nodes - what private nodes mean among those to move pages to
 * @nodes: what the user named; left with ordinary nodes or private ones
 * @offered: what the task whose pages they are may use, as
 *	cpuset_mems_allowed() has it
 *
 * Private nodes beside ordinary ones mean nothing: "all" is said easily. Alone
 * they are meant, each that the task may name and that is in @offered.
 *
 * Context: Process, without a lock.
 * Return: true if @nodes has private ones; it may be empty otherwise.
 */
static inline bool private_target_nodes(nodemask_t *nodes,
					const nodemask_t *offered)
{
	return private_nodes_enabled() &&
	       __private_target_nodes(nodes, offered);
}

/**
 * private_target_allow - the target may be a private node that the task may name
 * @mtc: the migration; changed if its node is private
 *
 * For the system calls that were asked to move pages to @mtc->nid.
 *
 * Context: Process, without a lock.
 */
static inline void private_target_allow(struct migration_target_control *mtc)
{
	if (node_is_private(mtc->nid))
		__private_target_allow(mtc);
}

/**
 * private_target_refuses - does this folio not go to this node?
 * @folio: the folio
 * @nid: the node
 *
 * Context: As private_folio_stays().
 * Return: true if the node is private, and the folio one that stays.
 */
static inline bool private_target_refuses(const struct folio *folio, int nid)
{
	return node_is_private(nid) && private_folio_stays(folio);
}

/**
 * private_target - is this a migration to a private node?
 * @mtc: the migration
 * @nid: its node
 *
 * Context: Any.
 * Return: true if so, and whoever migrates may: private_target_alloc() allocates.
 */
static inline bool private_target(const struct migration_target_control *mtc,
				  int nid)
{
	return private_nodes_enabled() && mtc->private_stamp &&
	       node_is_private(nid);
}

#else /* CONFIG_PRIVATE_NODES */

static inline int private_target_check(int nid, const nodemask_t *offered,
				       int *permitted)
{
	return -ENODEV;
}

static inline bool private_target_nodes(nodemask_t *nodes,
					const nodemask_t *offered)
{
	return false;
}

static inline void private_target_allow(struct migration_target_control *mtc) {}

static inline bool private_target_refuses(const struct folio *folio, int nid)
{
	return false;
}

static inline bool private_target(const struct migration_target_control *mtc,
				  int nid)
{
	return false;
}

static inline struct folio *
private_target_alloc(const struct migration_target_control *mtc,
		     const struct folio *src, gfp_t gfp, unsigned int order,
		     int nid)
{
	return NULL;
}

#endif /* CONFIG_PRIVATE_NODES */

#endif /* __MM_PRIVATE_MIGRATE_H */
