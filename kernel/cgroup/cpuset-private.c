// SPDX-License-Identifier: GPL-2.0
/*
 * Private NUMA nodes in cpusets of the default hierarchy, see cpuset-private.h.
 *
 * Locking is that of cpusets: masks are written under cpuset_mutex and
 * callback_lock, and read under either. CS_MEMS_GRANT belongs to mems_allowed.
 */
#include <linux/cpuset_private.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/kernfs.h>
#include <linux/private_nodemask.h>
#include <linux/rcupdate.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/user_namespace.h>

#include "cpuset-internal.h"
#include "cpuset-private.h"

/*
 * The writer is who opened the file, as for other files of cgroups: a task that
 * is more privileged cannot be made to write for him. Nobody is refused
 * anything here, so that there is nothing to audit.
 */
void cpuset_private_note_writer(struct cpuset *trialcs,
				const struct kernfs_open_file *of)
{
	bool grant = !security_capable(of->file->f_cred, &init_user_ns,
				       CAP_SYS_NICE, CAP_OPT_NOAUDIT);

	assign_bit(CS_MEMS_GRANT, &trialcs->flags, grant);
}

/*
 * Ordinary nodes are those that @cs names and its parent has, or all of the
 * parent's if there is none, so that no task is without. Private nodes are
 * inherited only by who names nothing at all.
 */
void __cpuset_private_effective(nodemask_t *mems, const struct cpuset *cs,
				const struct cpuset *parent)
{
	nodemask_t private;

	lockdep_assert_cpuset_lock_held();

	if (nodes_empty(cs->mems_allowed))
		return;

	nodes_and(*mems, cs->mems_allowed, parent->effective_mems);
	private = *mems;
	nodes_keep_private(&private);
	nodes_drop_private(mems);
	if (nodes_empty(*mems)) {
		*mems = parent->effective_mems;
		nodes_drop_private(mems);
	}
	nodes_or(*mems, *mems, private);
}

void __cpuset_private_keep(nodemask_t *mems, const struct cpuset *cs)
{
	nodemask_t private;

	nodes_and(private, cs->effective_mems, node_states[N_MEMORY_PRIVATE]);
	nodes_or(*mems, *mems, private);
}

/*
 * There is no cpuset but the root when this is called, with cpuset_mutex and
 * callback_lock held.
 */
bool __cpuset_private_bind(void)
{
	const nodemask_t before = top_cpuset.effective_mems;

	lockdep_assert_cpuset_lock_held();

	nodes_drop_private(&top_cpuset.effective_mems);
	cpuset_private_root(&top_cpuset.effective_mems);
	return !nodes_equal(before, top_cpuset.effective_mems);
}

/* The caller holds callback_lock. */
void __cpuset_private_granted(struct cpuset *cs, nodemask_t *nodes)
{
	const struct cpuset *offers = cs;

	nodes_clear(*nodes);
	for (; parent_cs(cs); cs = parent_cs(cs)) {
		if (test_bit(CS_MEMS_GRANT, &cs->flags))
			nodes_or(*nodes, *nodes, cs->mems_allowed);
	}
	nodes_and(*nodes, *nodes, offers->effective_mems);
	nodes_keep_private(nodes);
}

/*
 * Has nobody with the capability written a private node of @mems? Looks without
 * a lock, as the caller has, and with the same right: the answer was true at
 * some time while it looked.
 */
static bool cpuset_private_none_granted(struct cpuset *cs, const nodemask_t *mems)
{
	nodemask_t private = *mems;

	nodes_keep_private(&private);
	for (; parent_cs(cs); cs = parent_cs(cs)) {
		if (test_bit(CS_MEMS_GRANT, &cs->flags) &&
		    nodes_intersects(cs->mems_allowed, private))
			return false;
	}
	return true;
}

/* Reclaim asks this all the time: only who was granted a node takes the lock. */
void __cpuset_private_drop_ungranted(struct cpuset *cs, nodemask_t *mems)
{
	nodemask_t granted;

	if (cpuset_private_none_granted(cs, mems)) {
		nodes_drop_private(mems);
		return;
	}

	cpuset_callback_lock_irq();
	__cpuset_private_granted(cs, &granted);
	cpuset_callback_unlock_irq();

	/* As for all who look at @mems, it is as old as it was read. */
	nodes_and(granted, granted, *mems);
	nodes_drop_private(mems);
	nodes_or(*mems, *mems, granted);
}

void cpuset_private_granted(struct task_struct *task, nodemask_t *nodes)
{
	if (!private_nodes_enabled()) {
		nodes_clear(*nodes);
		return;
	}

	rcu_read_lock();
	cpuset_callback_lock_irq();
	__cpuset_private_granted(task_cs(task), nodes);
	cpuset_callback_unlock_irq();
	rcu_read_unlock();
}

void __cpuset_private_status(struct seq_file *m, struct task_struct *task)
{
	nodemask_t nodes;

	cpuset_private_granted(task, &nodes);
	seq_printf(m, "Mems_private_list:\t%*pbl\n", nodemask_pr_args(&nodes));
}
