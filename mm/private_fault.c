// SPDX-License-Identifier: GPL-2.0
/*
 * A private node is full: whose problem is that?
 *
 * The page allocator never kills for it, as nobody but the users of the node
 * could free any of its memory: a request with the key just fails. Who bound
 * himself to it finds out where it is known who asked, in the page fault. A
 * fault from user mode is answered by SIGBUS, at the address that has no memory.
 * A fault in the kernel is a fault of somebody who can be told: get_user_pages()
 * of whatever process, mlock(), MADV_POPULATE, system calls that copy.
 */
#define pr_fmt(fmt) "private_node: " fmt

#include <linux/memcontrol.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/private_policy.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>

#include "private_fault.h"
#include "private_mempolicy.h"
#include "private_policy.h"

static vm_fault_t private_fault_strict(const struct mempolicy *pol,
				       unsigned long address)
{
	nodemask_t nodes;

	/*
	 * There is room, or memory of others, by now. Or there is and was, and
	 * the memory cgroup had none left: its OOM killer has done its work, and
	 * nothing is gained by the message of pagefault_out_of_memory().
	 */
	if (!private_policy_usable(&pol->w.user_nodemask, pol->private_stamp,
				   &nodes) ||
	    private_nodes_leaving(&nodes) || !private_nodes_full(&nodes))
		return VM_FAULT_NOPAGE;
	/* Not because it has left since it was asked whether it leaves? */
	if (!private_policy_usable(&pol->w.user_nodemask, pol->private_stamp,
				   &nodes) || private_nodes_leaving(&nodes))
		return VM_FAULT_NOPAGE;

	pr_info_ratelimited("%s[%d] gets SIGBUS at %#lx: node %*pbl is full, and its memory policy names no other\n",
			    current->comm, task_pid_nr(current), address,
			    nodemask_pr_args(&nodes));
	return VM_FAULT_SIGBUS;
}

vm_fault_t __private_fault_oom(const struct vm_fault *vmf)
{
	vm_fault_t ret = VM_FAULT_OOM;
	struct mempolicy *pol;
	pgoff_t ilx;

	if (!(vmf->flags & FAULT_FLAG_USER))
		return VM_FAULT_OOM;
	/* It may be without memory at any time, see handle_mm_fault(). */
	if (vmf->vma->vm_flags & VM_DROPPABLE)
		return VM_FAULT_OOM;
	/* It waits for somebody who frees memory of the cgroup (version 1). */
	if (task_in_memcg_oom(current))
		return VM_FAULT_OOM;

	pol = get_vma_policy(vmf->vma, vmf->address, 0, &ilx);
	if (private_policy_strict(pol))
		ret = private_fault_strict(pol, vmf->real_address);
	mpol_cond_put(pol);
	return ret;
}
