// SPDX-License-Identifier: GPL-2.0
/*
 * Private NUMA nodes in cpusets of the default hierarchy, see cpuset-private.h.
 *
 * Locking is that of cpusets: masks are written under cpuset_mutex and
 * callback_lock, and read under either.
 *
 * What is granted is read without a lock, as everybody may read /proc/PID/status,
 * and reclaim asks all the time. CS_MEMS_GRANT is about the mems_allowed that was
 * written with it, so they are read together:
 *
 *   update_nodemask(), under callback_lock    __cpuset_private_granted()
 *   private_grants is odd                     private_grants even?
 *   mems_allowed, CS_MEMS_GRANT               CS_MEMS_GRANT, mems_allowed of the
 *                                             cpuset and of those above it
 *   private_grants is even                    private_grants the same? Or again
 *
 * effective_mems, which follows, belongs to no bit: it is read last, and what it
 * says of a node is as old as it was read. A node that is not in there is not
 * granted, and the page allocator looks whether it is offered in any case.
 */
#include <linux/cpuset_private.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/kernfs.h>
#include <linux/preempt.h>
#include <linux/private_nodemask.h>
#include <linux/rcupdate.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/seqlock.h>
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

/* Written under callback_lock */
static seqcount_t private_grants = SEQCNT_ZERO(private_grants);

/*
 * Until cpuset_private_take_writer(), in which both are together again: nobody sees
 * of a mask that names private nodes who wrote the one before it.
 */
void cpuset_private_begin_mask(void)
{
	preempt_disable_nested();
	write_seqcount_begin(&private_grants);
}

/* The trial cpuset's mask is that of @cs now. */
void cpuset_private_take_writer(struct cpuset *cs, const struct cpuset *trialcs)
{
	assign_bit(CS_MEMS_GRANT, &cs->flags,
		   test_bit(CS_MEMS_GRANT, &trialcs->flags));
	write_seqcount_end(&private_grants);
	preempt_enable_nested();
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

/* @cs stays for as long as this takes. */
void __cpuset_private_granted(struct cpuset *cs, nodemask_t *nodes)
{
	unsigned int seq;
	struct cpuset *up;

	do {
		seq = read_seqcount_begin(&private_grants);
		nodes_clear(*nodes);
		for (up = cs; parent_cs(up); up = parent_cs(up)) {
			if (test_bit(CS_MEMS_GRANT, &up->flags))
				nodes_or(*nodes, *nodes, up->mems_allowed);
		}
	} while (read_seqcount_retry(&private_grants, seq));

	nodes_and(*nodes, *nodes, cs->effective_mems);
	nodes_keep_private(nodes);
}

/* As for all who look at @mems, it is as old as it was read. */
void __cpuset_private_drop_ungranted(struct cpuset *cs, nodemask_t *mems)
{
	nodemask_t granted;

	__cpuset_private_granted(cs, &granted);
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
	__cpuset_private_granted(task_cs(task), nodes);
	rcu_read_unlock();
}

void __cpuset_private_status(struct seq_file *m, struct task_struct *task)
{
	nodemask_t nodes;

	cpuset_private_granted(task, &nodes);
	seq_printf(m, "Mems_private_list:\t%*pbl\n", nodemask_pr_args(&nodes));
}
