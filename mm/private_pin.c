// SPDX-License-Identifier: GPL-2.0
/*
 * Long-term pins (FOLL_LONGTERM) of memory of private nodes: by devices, of
 * vfio, RDMA and io_uring. They keep memory from being unplugged, so the owner
 * of a node has to allow them (PRIVATE_NODE_LTPIN).
 *
 * If he does not, whoever asked for the node by a memory policy is told: with
 * his data elsewhere he would not have what he asked for. Policies of others do
 * not name the node. If a page of theirs is there all the same, because it was
 * moved, they are not to notice, and it is migrated as it is from ZONE_MOVABLE.
 *
 * If he does, the pages stay, and new ones are allocated there, see
 * private_usable() in mm/private_mempolicy.c. get_user_pages_fast() takes them
 * for pages of ZONE_MOVABLE that nobody may pin, and leaves them to the slow
 * path.
 */

#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/page-isolation.h>
#include <linux/pagemap.h>
#include <linux/private_node.h>
#include <linux/private_policy.h>
#include <linux/sched.h>
#include <linux/shmem_fs.h>

#include "internal.h"
#include "private_pin.h"
#include "private_policy.h"

static bool private_policy_refuses_pins(const struct mempolicy *pol)
{
	nodemask_t usable;
	int nid;

	if (!mpol_is_private(pol) ||
	    !private_policy_usable(&pol->w.user_nodemask, pol->private_stamp,
				   &usable))
		return false;
	for_each_node_mask(nid, usable) {
		if (private_node_features(nid) & PRIVATE_NODE_LTPIN)
			return false;
	}
	return true;
}

/* Memory of a kind that is never on a private node is not that of its policy. */
static bool private_policy_places(struct vm_area_struct *vma)
{
	if (is_vm_hugetlb_page(vma))
		return false;
	return !(vma->vm_flags & VM_SHARED) || vma_is_shmem(vma);
}

bool __private_pin_refused(struct vm_area_struct *vma, unsigned long address)
{
	struct mempolicy *pol;
	bool refused;
	pgoff_t ilx;

	if (!private_policy_places(vma))
		return false;
	pol = get_vma_policy(vma, address, 0, &ilx);
	refused = private_policy_refuses_pins(pol);
	mpol_cond_put(pol);
	return refused;
}

bool __private_file_pin_refused(struct file *file, loff_t pos)
{
	struct mempolicy *pol;
	bool refused;

	if (!shmem_file(file))
		return false;
	pol = mpol_shared_policy_lookup(&SHMEM_I(file_inode(file))->policy,
					pos >> PAGE_SHIFT);
	refused = private_policy_refuses_pins(pol ?: get_task_policy(current));
	mpol_cond_put(pol);
	return refused;
}

bool __private_folio_pinnable(struct folio *folio)
{
	return (private_node_features(folio_nid(folio)) & PRIVATE_NODE_LTPIN) &&
	       !is_migrate_isolate(folio_migratetype(folio));
}
