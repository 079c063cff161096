/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private NUMA nodes in cpusets of the default hierarchy.
 *
 * A private node is offered to the tasks of a cpuset if it is in
 * effective_mems, which the page allocator compares requests with
 * (task_struct::mems_allowed). The root offers all private nodes that have
 * memory, and cpusets without a mask of their own inherit what is offered.
 *
 * It is granted to a cpuset if it is offered, and the cpuset or one above it
 * names it in a cpuset.mems that somebody with CAP_SYS_NICE wrote. This is what
 * system calls ask for which make a task use a private node. Inheriting a node
 * is not enough, as every cpuset does that which has never heard of it.
 *
 * In the legacy hierarchy there are no private nodes: nothing is offered, not
 * even by the root. As in both hierarchies, nobody looks as long as there is the
 * root alone.
 *
 * All of it is empty or constant without CONFIG_PRIVATE_NODES.
 */
#ifndef __CPUSET_PRIVATE_H
#define __CPUSET_PRIVATE_H

#include <linux/kernfs.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/private_nodemask.h>
#include <linux/seq_file.h>

#include "cpuset-internal.h"

#ifdef CONFIG_PRIVATE_NODES

void __cpuset_private_effective(nodemask_t *mems, const struct cpuset *cs,
				const struct cpuset *parent);
void __cpuset_private_keep(nodemask_t *mems, const struct cpuset *cs);
bool __cpuset_private_bind(void);
void __cpuset_private_granted(struct cpuset *cs, nodemask_t *nodes);
void __cpuset_private_drop_ungranted(struct cpuset *cs, nodemask_t *mems);
void __cpuset_private_status(struct seq_file *m, struct task_struct *task);

/* cpuset_private_note_writer - remember in the trial cpuset who writes its mask */
void cpuset_private_note_writer(struct cpuset *trialcs,
				const struct kernfs_open_file *of);

/*
 * cpuset_private_begin_mask - the mask of a cpuset and its writer will change
 * cpuset_private_take_writer - they have: those of the trial cpuset are its own
 *
 * The caller holds callback_lock.
 */
void cpuset_private_begin_mask(void);
void cpuset_private_take_writer(struct cpuset *cs,
				const struct cpuset *trialcs);

/* Both, where only the writer is new */
static inline void cpuset_private_new_writer(struct cpuset *cs,
					     const struct cpuset *trialcs)
{
	cpuset_callback_lock_irq();
	cpuset_private_begin_mask();
	cpuset_private_take_writer(cs, trialcs);
	cpuset_callback_unlock_irq();
}

/* cpuset_private_root - add what the root offers beside N_MEMORY */
static inline void cpuset_private_root(nodemask_t *mems)
{
	if (private_nodes_enabled() && cpuset_v2())
		nodes_or(*mems, *mems, node_states[N_MEMORY_PRIVATE]);
}

/*
 * cpuset_private_effective - correct an effective mask for private nodes
 * @mems: the mask, as computed from those of @cs and @parent without regard to
 *	what kind of nodes they have
 */
static inline void cpuset_private_effective(nodemask_t *mems,
					    const struct cpuset *cs,
					    const struct cpuset *parent)
{
	if (nodes_have_private(&parent->effective_mems))
		__cpuset_private_effective(mems, cs, parent);
}

/* cpuset_private_keep - add the private nodes of @cs that have memory */
static inline void cpuset_private_keep(nodemask_t *mems, const struct cpuset *cs)
{
	if (private_nodes_enabled())
		__cpuset_private_keep(mems, cs);
}

/*
 * cpuset_private_bind - the hierarchy of cpusets has changed
 *
 * Return: true if the effective mask of the root has, too.
 */
static inline bool cpuset_private_bind(void)
{
	return private_nodes_enabled() && __cpuset_private_bind();
}

/*
 * cpuset_private_shown - the effective mask that users see
 * @cs: the cpuset; effective_mems does not change while the caller looks
 * @shown: room for it
 */
static inline const nodemask_t *cpuset_private_shown(struct cpuset *cs,
						     nodemask_t *shown)
{
	nodemask_t granted;

	if (!nodes_have_private(&cs->effective_mems))
		return &cs->effective_mems;
	__cpuset_private_granted(cs, &granted);
	*shown = cs->effective_mems;
	nodes_drop_private(shown);
	nodes_or(*shown, *shown, granted);
	return shown;
}

/* cpuset_private_drop_ungranted - leave private nodes in a mask if granted */
static inline void cpuset_private_drop_ungranted(struct cpuset *cs,
						 nodemask_t *mems)
{
	if (nodes_have_private(mems))
		__cpuset_private_drop_ungranted(cs, mems);
}

/* cpuset_private_status - the line of /proc/PID/status, once there was a node */
static inline void cpuset_private_status(struct seq_file *m,
					 struct task_struct *task)
{
	if (private_nodes_enabled())
		__cpuset_private_status(m, task);
}

#else /* CONFIG_PRIVATE_NODES */

static inline void
cpuset_private_note_writer(struct cpuset *trialcs,
			   const struct kernfs_open_file *of) {}
static inline void cpuset_private_begin_mask(void) {}
static inline void cpuset_private_take_writer(struct cpuset *cs,
					      const struct cpuset *trialcs) {}
static inline void cpuset_private_new_writer(struct cpuset *cs,
					     const struct cpuset *trialcs) {}
static inline void cpuset_private_root(nodemask_t *mems) {}
static inline void cpuset_private_effective(nodemask_t *mems,
					    const struct cpuset *cs,
					    const struct cpuset *parent) {}
static inline void cpuset_private_keep(nodemask_t *mems,
				       const struct cpuset *cs) {}
static inline bool cpuset_private_bind(void) { return false; }

/* A macro, as to take the address of @shown changes the caller's code. */
#define cpuset_private_shown(cs, shown)	((void)sizeof(shown), &(cs)->effective_mems)

static inline void cpuset_private_drop_ungranted(struct cpuset *cs,
						 nodemask_t *mems) {}
static inline void cpuset_private_status(struct seq_file *m,
					 struct task_struct *task) {}

#endif /* CONFIG_PRIVATE_NODES */

#endif /* __CPUSET_PRIVATE_H */
