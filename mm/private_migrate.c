// SPDX-License-Identifier: GPL-2.0
/*
 * Migration to private nodes, for move_pages(2) and migrate_pages(2). Who names
 * a private node there names it, without a flag: pages are moved to nodes of
 * which each is named by its number.
 *
 * It takes what a memory policy takes that names the node, and the cpuset of the
 * task whose pages they are must not leave it out. What is moved is that task's
 * own: anonymous memory and that of tmpfs, see private_folio_stays().
 *
 * The permission is asked for where the user is answered, and once more where
 * the key to the node depends on it: meanwhile an ordinary node can have become
 * private, or a private one that of another owner. From then on the stamp says
 * which node was meant, as for a policy.
 *
 * mbind(2) moves pages by the policy, with folio_alloc_mpol().
 */

#include <linux/cpuset.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/private_nodemask.h>

#include "internal.h"
#include "private_mempolicy.h"
#include "private_migrate.h"
#include "private_policy.h"

int __private_target_check(int nid, const nodemask_t *offered)
{
	nodemask_t named = nodemask_of_node(nid);
	int err;

	if (!node_state(nid, N_MEMORY_PRIVATE) ||
	    !(private_node_features(nid) & PRIVATE_NODE_USER))
		return -ENODEV;
	if (!node_isset(nid, *offered))
		return -EACCES;
	err = private_policy_permit(&named);
	/* It has gone in the meantime. */
	if (err == -EINVAL || err == -EOPNOTSUPP)
		return -ENODEV;
	return err;
}

bool __private_target_nodes(nodemask_t *nodes, const nodemask_t *offered)
{
	nodemask_t private = *nodes, nameable;

	nodes_keep_private(&private);
	nodes_drop_private(nodes);
	if (!nodes_empty(*nodes) || nodes_empty(private))
		return false;

	private_policy_nameable(&nameable);
	nodes_and(private, private, nameable);
	return nodes_and(*nodes, private, *offered);
}

void __private_target_allow(struct migration_target_control *mtc)
{
	/* Before anything is looked up: see the table in private_policy.c. */
	const u32 stamp = private_policy_stamp();
	nodemask_t nameable;

	private_policy_nameable(&nameable);
	if (node_isset(mtc->nid, nameable))
		mtc->private_stamp = stamp;
}

/**
 * private_target_alloc - allocate the target of a migration to a private node
 * @mtc: the migration
 * @src: what is migrated
 * @gfp: flags of the request
 * @order: of the folio
 * @nid: the private node
 *
 * The place that sets the key for users who migrate. The request has
 * __GFP_HARDWALL: the cpuset of the task that migrates is asked, too.
 *
 * Context: As alloc_migration_target(), if private_target() says so.
 * Return: a folio, or NULL: the node is full, has been replaced, or is none for
 * @src.
 */
struct folio *private_target_alloc(const struct migration_target_control *mtc,
				   const struct folio *src, gfp_t gfp,
				   unsigned int order, int nid)
{
	struct folio *dst;

	if (private_folio_stays(src))
		return NULL;
	dst = __folio_alloc(gfp | __GFP_PRIVATE | __GFP_HARDWALL | __GFP_NOWARN,
			    order, nid, mtc->nmask);
	if (dst && !private_policy_knows(folio_nid(dst), mtc->private_stamp)) {
		folio_put(dst);
		dst = NULL;
	}
	return dst;
}
