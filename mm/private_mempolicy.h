/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hooks of MPOL_F_PRIVATE in mm/mempolicy.c. All of them are constant or
 * empty without CONFIG_PRIVATE_NODES. See mm/private_mempolicy.c.
 */
#ifndef __MM_PRIVATE_MEMPOLICY_H
#define __MM_PRIVATE_MEMPOLICY_H

#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/private_policy.h>

/* For the answer of private_policy_alloc() that the policy is an ordinary one */
#define PRIVATE_POLICY_ORDINARY		ERR_PTR(-ENOENT)

#ifdef CONFIG_PRIVATE_NODES

/* mm/mempolicy.c */
#define VISIBLE_IF_PRIVATE_NODES
int mpol_interleave_nid(unsigned short mode, const nodemask_t *nodes,
			pgoff_t ilx);

/* mm/private_mempolicy.c */
struct mempolicy *__private_policy_new(struct mempolicy *pol, nodemask_t *nodes);
int private_policy_any_ordinary(struct mempolicy *pol);
int __private_policy_check_range(struct mm_struct *mm, unsigned long start,
				 unsigned long end);
bool private_folio_stays(const struct folio *folio);
bool __private_policy_alone(const struct mempolicy *pol);
struct folio *private_policy_alloc_beside(gfp_t gfp, unsigned int order,
					  const struct mempolicy *pol,
					  pgoff_t ilx, int nid);
bool private_policy_strict(const struct mempolicy *pol);
struct page *private_policy_alloc(gfp_t gfp, unsigned int order,
				  struct mempolicy *pol, pgoff_t ilx, int nid);
void __private_policy_hint(const nodemask_t *nodes);

/**
 * private_policy_flags_valid - may a policy have these flags?
 * @mode: its mode
 * @flags: its flags
 *
 * MPOL_PREFERRED turns into a node for all requests of the task; with one node
 * MPOL_PREFERRED_MANY is the same to users.
 *
 * Context: Any.
 * Return: false if MPOL_F_PRIVATE does not go with the rest.
 */
static inline bool private_policy_flags_valid(unsigned short mode,
					      unsigned short flags)
{
	if (!(flags & MPOL_F_PRIVATE))
		return true;
	switch (mode) {
	case MPOL_BIND:
	case MPOL_PREFERRED_MANY:
	case MPOL_INTERLEAVE:
	case MPOL_WEIGHTED_INTERLEAVE:
		return (flags & MPOL_F_STATIC_NODES) &&
		       !(flags & (MPOL_F_RELATIVE_NODES |
				  MPOL_F_NUMA_BALANCING));
	default:
		return false;
	}
}

/**
 * private_policy_mode - take a mode that names private nodes for what it is
 * @mode: what a user said, without the flags of all kernels; set to the mode
 * @flags: these flags; MPOL_F_PRIVATE is added
 *
 * To be called if @mode is none: with the flag in it that is so, and who does
 * not use it is not asked.
 *
 * Context: Any.
 * Return: 0, or -EINVAL if there is no such mode, or not with these flags.
 */
static inline int private_policy_mode(int *mode, unsigned short *flags)
{
	if (!(*mode & MPOL_F_PRIVATE))
		return -EINVAL;
	*mode &= ~MPOL_F_PRIVATE;
	*flags |= MPOL_F_PRIVATE;
	if ((unsigned int)*mode >= MPOL_MAX ||
	    !private_policy_flags_valid(*mode, *flags))
		return -EINVAL;
	return 0;
}

/**
 * private_policy_new - complete a new policy
 * @pol: the policy, NULL or an error
 * @nodes: what the user named; private nodes that he may not name are taken out,
 *	unless that is all of them
 *
 * Context: Process, without a lock; asks for a capability if it has to.
 * Return: @pol, always if it is no private policy. Otherwise an error of
 * private_policy_permit(), and @pol has been put.
 */
static inline struct mempolicy *private_policy_new(struct mempolicy *pol,
						   nodemask_t *nodes)
{
	if (IS_ERR(pol) || !mpol_is_private(pol))
		return pol;
	return __private_policy_new(pol, nodes);
}

/**
 * private_policy_check_range - can a range have this policy?
 * @pol: the policy, or NULL
 * @mm: whose range it is
 * @start: its first address
 * @end: its end
 *
 * Context: Under mmap_lock.
 * Return: 0, or -EINVAL if it is a private policy and there are huge pages of
 * hugetlbfs in the range, of which private nodes have none.
 */
static inline int private_policy_check_range(const struct mempolicy *pol,
					     struct mm_struct *mm,
					     unsigned long start,
					     unsigned long end)
{
	return mpol_is_private(pol) ?
	       __private_policy_check_range(mm, start, end) : 0;
}

/**
 * private_policy_same - are two equal policies of the same age?
 * @a: a policy
 * @b: one with the same flags
 *
 * Of different ages they can mean different nodes of the same number.
 *
 * Context: Any.
 * Return: true if so.
 */
static inline bool private_policy_same(const struct mempolicy *a,
				       const struct mempolicy *b)
{
	return !mpol_is_private(a) || a->private_stamp == b->private_stamp;
}

/**
 * private_policy_alone - does this policy name no ordinary node to move to?
 * @pol: the policy; NULL: that of the task
 *
 * Context: Nobody rebinds the policy.
 * Return: true if it names private nodes, and of others none that the task has.
 */
static inline bool private_policy_alone(const struct mempolicy *pol)
{
	if (!private_nodes_enabled())
		return false;
	if (!pol)
		pol = get_task_policy(current);
	return mpol_is_private(pol) && __private_policy_alone(pol);
}

/**
 * private_policy_leaves_folio - does this policy not move such a folio?
 * @pol: the policy
 * @folio: what is to be moved by it
 *
 * Context: The caller has isolated the folio.
 * Return: true if the private nodes of @pol are not for @folio.
 */
static inline bool private_policy_leaves_folio(const struct mempolicy *pol,
					       const struct folio *folio)
{
	return private_nodes_enabled() && mpol_is_private(pol) &&
	       private_folio_stays(folio);
}

/**
 * private_policy_places - does a policy place this folio on private nodes?
 * @pol: the policy
 * @gfp: flags of the request
 *
 * The question before the key is set for users. Private memory is for movable
 * memory alone, whatever zone it is in: not for what the kernel or a device
 * keeps.
 *
 * Context: Any.
 * Return: true if private_policy_alloc() is to be asked.
 */
static __always_inline bool private_policy_places(struct mempolicy *pol,
						  gfp_t gfp)
{
	return private_nodes_enabled() && unlikely(mpol_is_private(pol)) &&
	       (gfp & __GFP_MOVABLE);
}

/**
 * private_policy_hint - tell who was refused that the nodes are private
 * @nodes: what was named without MPOL_F_PRIVATE
 *
 * Context: Any. Rate-limited.
 */
static inline void private_policy_hint(const nodemask_t *nodes)
{
	if (private_nodes_enabled())
		__private_policy_hint(nodes);
}

#else /* CONFIG_PRIVATE_NODES */

/* Not called, and so it is not there. */
#define VISIBLE_IF_PRIVATE_NODES	static __maybe_unused

static inline bool private_policy_flags_valid(unsigned short mode,
					      unsigned short flags)
{
	return true;
}

static inline int private_policy_mode(int *mode, unsigned short *flags)
{
	return -EINVAL;
}

static inline struct mempolicy *private_policy_new(struct mempolicy *pol,
						   nodemask_t *nodes)
{
	return pol;
}

static inline int private_policy_any_ordinary(struct mempolicy *pol)
{
	return -EINVAL;
}

static inline int private_policy_check_range(const struct mempolicy *pol,
					     struct mm_struct *mm,
					     unsigned long start,
					     unsigned long end)
{
	return 0;
}

static inline bool private_policy_same(const struct mempolicy *a,
				       const struct mempolicy *b)
{
	return true;
}

static inline bool private_folio_stays(const struct folio *folio)
{
	return false;
}

static inline bool private_policy_alone(const struct mempolicy *pol)
{
	return false;
}

static inline bool private_policy_leaves_folio(const struct mempolicy *pol,
					       const struct folio *folio)
{
	return false;
}

static inline struct folio *
private_policy_alloc_beside(gfp_t gfp, unsigned int order,
			    const struct mempolicy *pol, pgoff_t ilx, int nid)
{
	return NULL;
}

static inline bool private_policy_strict(const struct mempolicy *pol)
{
	return false;
}

static __always_inline bool private_policy_places(struct mempolicy *pol,
						  gfp_t gfp)
{
	return false;
}

static inline struct page *
private_policy_alloc(gfp_t gfp, unsigned int order, struct mempolicy *pol,
		     pgoff_t ilx, int nid)
{
	return PRIVATE_POLICY_ORDINARY;
}

static inline void private_policy_hint(const nodemask_t *nodes) {}
static inline void private_policy_nameable(nodemask_t *nodes) {}

#endif /* CONFIG_PRIVATE_NODES */

#endif /* __MM_PRIVATE_MEMPOLICY_H */
