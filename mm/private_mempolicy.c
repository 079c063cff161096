// SPDX-License-Identifier: GPL-2.0
/*
 * Memory policies with MPOL_F_PRIVATE: they name private nodes, alone or beside
 * ordinary ones.
 *
 * The policy object:
 *  - w.user_nodemask is what the user named, for ever (the flag needs
 *    MPOL_F_STATIC_NODES), but for private nodes that he could not name.
 *  - private_stamp says which nodes of these numbers he meant.
 *  - nodes has ordinary nodes alone: those of user_nodemask that the task has
 *    or, if there are none, all that it has. That is as true as of any policy:
 *    not all are rebound when a node goes, and it can come back private. An
 *    ordinary request gets none of its memory even so.
 *
 * So whatever looks at nodes needs not know of private policies: kernel memory
 * of a task with such a policy, slab, page tables, hugetlb, bulk allocation and
 * NUMA balancing get ordinary memory as by an ordinary policy, and rebinding
 * remaps ordinary nodes. The private part needs no rebinding. It is looked at
 * when a folio is allocated, and that in one place, folio_alloc_mpol(): there
 * a movable request gets the key, and with it user_nodemask.
 *
 * Locking: user_nodemask and private_stamp do not change after the policy was
 * made, and are read without a lock. nodes is read as others read it, under
 * read_mems_allowed_begin().
 */
#define pr_fmt(fmt) "private_node: " fmt

#include <linux/cpuset.h>
#include <linux/gfp.h>
#include <linux/hugetlb.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/private_node.h>
#include <linux/private_nodemask.h>
#include <linux/private_policy.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>

#include "internal.h"
#include "page_alloc.h"
#include "private_mempolicy.h"
#include "private_node.h"
#include "private_policy.h"

/* It is in a hole: there are many policies. */
static_assert(offsetof(struct mempolicy, w) ==
	      ALIGN(offsetofend(struct mempolicy, home_node), sizeof(long)));

struct mempolicy *__private_policy_new(struct mempolicy *pol, nodemask_t *nodes)
{
	int err;

	/* Before anything is looked up: see the table in private_policy.c. */
	pol->private_stamp = private_policy_stamp();
	err = private_policy_permit(nodes);
	if (!err)
		return pol;
	mpol_put(pol);
	return ERR_PTR(err);
}

/**
 * private_policy_any_ordinary - nodes for what is not for private ones
 * @pol: a new policy that names no ordinary node that the task has
 *
 * They are all that the task has, if it is a private policy.
 *
 * Context: The task's alloc_lock or mmap_lock is held.
 * Return: 0, or -EINVAL: an ordinary policy, or the task has none.
 */
int private_policy_any_ordinary(struct mempolicy *pol)
{
	if (!mpol_is_private(pol))
		return -EINVAL;
	return nodes_and(pol->nodes, cpuset_current_mems_allowed,
			 node_states[N_MEMORY]) ? 0 : -EINVAL;
}

int __private_policy_check_range(struct mm_struct *mm, unsigned long start,
				 unsigned long end)
{
	VMA_ITERATOR(vmi, mm, start);
	struct vm_area_struct *vma;

	mmap_assert_locked(mm);
	for_each_vma_range(vmi, vma, end) {
		if (is_vm_hugetlb_page(vma))
			return -EINVAL;
	}
	return 0;
}

/**
 * private_policy_strict - has this policy nothing but private nodes?
 * @pol: a policy, or NULL
 *
 * Context: Any.
 * Return: true if it is one of MPOL_BIND that names no ordinary node.
 */
bool private_policy_strict(const struct mempolicy *pol)
{
	return mpol_is_private(pol) && pol->mode == MPOL_BIND &&
	       !nodes_intersects(pol->w.user_nodemask, node_states[N_MEMORY]);
}

/**
 * private_folio_stays - is this one that nobody brings to a private node?
 * @folio: what is to be moved
 *
 * The page cache is everybody's, and a page that KSM has merged is that of some.
 * Neither is brought to a private node because one who may use that has it
 * mapped. Of huge pages of hugetlbfs a private node has none. What is on a
 * private node already was put there by who may.
 *
 * Context: Any; the caller knows that the folio is not freed.
 * Return: true if so.
 */
bool private_folio_stays(const struct folio *folio)
{
	if (folio_is_private_node(folio))
		return false;
	if (folio_test_hugetlb(folio) || folio_test_ksm(folio))
		return true;
	return !folio_test_anon(folio) && !folio_test_swapbacked(folio);
}

/*
 * The ordinary nodes that the user named, not those that he got for want of any.
 * Not every policy is rebound when a node goes: one that has come back private
 * may still be there.
 */
static void private_policy_ordinary(const struct mempolicy *pol,
				    nodemask_t *nodes)
{
	nodes_and(*nodes, pol->nodes, pol->w.user_nodemask);
	nodes_drop_private(nodes);
}

bool __private_policy_alone(const struct mempolicy *pol)
{
	nodemask_t ordinary;

	private_policy_ordinary(pol, &ordinary);
	return nodes_empty(ordinary);
}

/**
 * private_policy_alloc_beside - allocate by a private policy without its key
 * @gfp: flags of the request
 * @order: of the folio
 * @pol: the policy
 * @ilx: interleave index
 * @nid: the node of the caller
 *
 * For a folio that private_policy_leaves_folio() is about: it moves to the
 * ordinary nodes that the user named beside private ones.
 *
 * Context: As folio_alloc_mpol().
 * Return: a folio, or NULL, if he named none, too.
 */
struct folio *private_policy_alloc_beside(gfp_t gfp, unsigned int order,
					  const struct mempolicy *pol,
					  pgoff_t ilx, int nid)
{
	struct mempolicy ordinary = {
		.refcnt = ATOMIC_INIT(1),
		.mode = pol->mode,
		.flags = pol->flags & ~MPOL_F_PRIVATE,
		.home_node = pol->home_node,
		.w.user_nodemask = pol->w.user_nodemask,
	};

	private_policy_ordinary(pol, &ordinary.nodes);
	if (nodes_empty(ordinary.nodes))
		return NULL;
	return folio_alloc_mpol(gfp, order, &ordinary, ilx, nid);
}

static gfp_t private_gfp(gfp_t gfp)
{
	gfp &= ~(__GFP_THISNODE | __GFP_NOFAIL);
	return gfp | __GFP_PRIVATE | __GFP_HARDWALL | __GFP_NOWARN;
}

/*
 * Ask with the key. The pages of a private node are movable; a page that is to
 * be pinned is asked for as such where private_usable() has left nodes for it.
 */
static struct page *private_alloc_keyed(gfp_t gfp, unsigned int order, int nid,
					nodemask_t *nodes)
{
	const unsigned int pin = current->flags & PF_MEMALLOC_PIN;
	struct page *page;

	current->flags &= ~PF_MEMALLOC_PIN;
	page = __alloc_frozen_pages_noprof(gfp, order, nid, nodes, ALLOC_DEFAULT);
	current->flags |= pin;
	return page;
}

/*
 * What is free, and nothing done for it: neither are lists of CPUs collected
 * nor is anything reclaimed, and no reserve of an ordinary node is touched.
 */
static struct page *private_alloc_free(gfp_t gfp, unsigned int order, int nid,
				       nodemask_t *nodes)
{
	gfp = private_gfp(gfp) & ~__GFP_DIRECT_RECLAIM;
	return private_alloc_keyed(gfp | __GFP_NOMEMALLOC, order, nid, nodes);
}

/*
 * Of nodes of either kind. Not inlined: CONFIG_INIT_STACK_ALL_ZERO has the mask,
 * which is as large as there can be nodes, cleared by who has it on the stack.
 */
static noinline_for_stack struct page *
private_alloc_either(gfp_t gfp, unsigned int order, const struct mempolicy *pol,
		     int nid, const nodemask_t *usable)
{
	nodemask_t nodes;

	private_policy_ordinary(pol, &nodes);
	nodes_or(nodes, nodes, *usable);
	return private_alloc_free(gfp, order, nid, &nodes);
}

/* MPOL_BIND and MPOL_PREFERRED_MANY: what is near comes first, of either kind. */
static struct page *private_alloc_nearest(gfp_t gfp, unsigned int order,
					  const struct mempolicy *pol, int nid,
					  nodemask_t *usable)
{
	struct page *page;

	if (pol->home_node != NUMA_NO_NODE)
		nid = pol->home_node;

	/* Where no ordinary node was named, pol->nodes has none of those named. */
	if (bitmap_intersects(pol->nodes.bits, pol->w.user_nodemask.bits,
			      nr_node_ids)) {
		page = private_alloc_either(gfp, order, pol, nid, usable);
		if (page || pol->mode == MPOL_PREFERRED_MANY)
			return page;
	} else if (pol->mode == MPOL_PREFERRED_MANY) {
		return private_alloc_free(gfp, order, nid, usable);
	}
	return private_alloc_keyed(private_gfp(gfp), order, nid, usable);
}

/* The interleaving ones: the index picks a node of either kind. */
static noinline_for_stack struct page *
private_alloc_interleave(gfp_t gfp, unsigned int order,
			 const struct mempolicy *pol, pgoff_t ilx,
			 const nodemask_t *usable)
{
	struct page *page = NULL;
	nodemask_t nodes;
	int nid;

	private_policy_ordinary(pol, &nodes);
	nodes_or(nodes, nodes, *usable);
	nid = mpol_interleave_nid(pol->mode, &nodes, ilx);
	if (node_isset(nid, *usable)) {
		nodes = nodemask_of_node(nid);
		page = private_alloc_free(gfp, order, nid, &nodes);
	}
	/* A private node has lists as well, of the ordinary ones near it. */
	if (!page)
		page = __alloc_frozen_pages_noprof(gfp, order, nid, NULL,
						   ALLOC_DEFAULT);
	return page;
}

/*
 * The private nodes for this request. What is pinned for long must be where it
 * can stay.
 */
static bool private_usable(const struct mempolicy *pol, nodemask_t *usable)
{
	int nid;

	if (!private_policy_usable(&pol->w.user_nodemask, pol->private_stamp,
				   usable))
		return false;
	if (!(current->flags & PF_MEMALLOC_PIN))
		return true;
	for_each_node_mask(nid, *usable) {
		if (!(private_node_features(nid) & PRIVATE_NODE_LTPIN))
			node_clear(nid, *usable);
	}
	return !nodes_empty(*usable);
}

/**
 * private_policy_alloc - allocate a folio by a private policy
 * @gfp: flags of the request, with __GFP_COMP
 * @order: of the folio
 * @pol: the policy; private_policy_places() said yes
 * @ilx: interleave index
 * @nid: the node of the caller
 *
 * The place that sets the key for users.
 *
 * Context: As folio_alloc_mpol().
 * Return: the page, not refcounted; NULL: there is none;
 * PRIVATE_POLICY_ORDINARY: go on by the ordinary part of the policy.
 */
struct page *private_policy_alloc(gfp_t gfp, unsigned int order,
				  struct mempolicy *pol, pgoff_t ilx, int nid)
{
	const bool interleave = pol->mode == MPOL_INTERLEAVE ||
				pol->mode == MPOL_WEIGHTED_INTERLEAVE;
	unsigned int cpuset_mems_cookie;
	bool replaced = false;
	nodemask_t usable;
	struct page *page;

	if (interleave && ilx == NO_INTERLEAVE_INDEX)
		return PRIVATE_POLICY_ORDINARY;

again:
	cpuset_mems_cookie = read_mems_allowed_begin();
	if (!private_usable(pol, &usable)) {
		if (read_mems_allowed_retry(cpuset_mems_cookie))
			goto again;
		return PRIVATE_POLICY_ORDINARY;
	}

	if (interleave)
		page = private_alloc_interleave(gfp, order, pol, ilx, &usable);
	else
		page = private_alloc_nearest(gfp, order, pol, nid, &usable);

	if (page) {
		if (private_policy_knows(page_to_nid(page), pol->private_stamp))
			return page;
		/* The node was replaced, and is not usable any more. */
		free_frozen_pages(page, order);
		if (replaced)
			return PRIVATE_POLICY_ORDINARY;
		replaced = true;
		goto again;
	}
	if (read_mems_allowed_retry(cpuset_mems_cookie))
		goto again;

	/* That one was given all that others are. */
	if (interleave)
		return NULL;
	if (!private_policy_strict(pol) || (gfp & __GFP_NOFAIL))
		return PRIVATE_POLICY_ORDINARY;
	/* Was there nothing because the node is going, or has gone? */
	if (!private_usable(pol, &usable) || private_nodes_leaving(&usable))
		return PRIVATE_POLICY_ORDINARY;
	return NULL;
}

void __private_policy_hint(const nodemask_t *named)
{
	static DEFINE_RATELIMIT_STATE(limit, 60 * HZ, 1);
	nodemask_t nodes;

	nodes_and(nodes, *named, node_states[N_MEMORY_PRIVATE]);
	if (nodes_empty(nodes))
		return;
	ratelimit_set_flags(&limit, RATELIMIT_MSG_ON_RELEASE);
	if (__ratelimit(&limit))
		pr_info("%s[%d] named node %*pbl, which is private: that takes MPOL_F_PRIVATE, as private_bind has it\n",
			current->comm, task_pid_nr(current),
			nodemask_pr_args(&nodes));
}

void __mpol_drop_private(void)
{
	if (mpol_is_private(current->mempolicy))
		mpol_put_task_policy(current);
}
