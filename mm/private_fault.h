/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a page fault says that got no page, see mm/private_fault.c.
 */
#ifndef __MM_PRIVATE_FAULT_H
#define __MM_PRIVATE_FAULT_H

#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/mm_types.h>
#include <linux/private_node.h>

#ifdef CONFIG_PRIVATE_NODES

vm_fault_t __private_fault_oom(const struct vm_fault *vmf);

/**
 * private_fault_oom - what a fault returns that got no page for the user
 * @vmf: the fault
 *
 * A program that bound its memory to private nodes alone gets SIGBUS when they
 * are full: nobody else can do anything about it, hence nobody is killed. Who
 * faults for it in the kernel gets an error, as everybody else.
 *
 * Context: The allocation of a folio for @vmf has failed, for whatever reason.
 * vmf->vma is locked.
 * Return: VM_FAULT_OOM, or for a user whose memory is bound to private nodes
 * VM_FAULT_SIGBUS, or VM_FAULT_NOPAGE to try again.
 */
static inline vm_fault_t private_fault_oom(const struct vm_fault *vmf)
{
	if (private_nodes_enabled())
		return __private_fault_oom(vmf);
	return VM_FAULT_OOM;
}

/**
 * private_fault_error - what a fault returns to which this error was returned
 * @vmf: the fault
 * @err: the error
 *
 * Context: As private_fault_oom(), if @err is -ENOMEM.
 * Return: as vmf_error(); as private_fault_oom() for -ENOMEM.
 */
static inline vm_fault_t private_fault_error(const struct vm_fault *vmf, int err)
{
	return err == -ENOMEM ? private_fault_oom(vmf) : vmf_error(err);
}

#else /* CONFIG_PRIVATE_NODES */

/* A macro, as what a function returns is compared in another order. */
#define private_fault_oom(vmf)	((void)(vmf), VM_FAULT_OOM)

static inline vm_fault_t private_fault_error(const struct vm_fault *vmf, int err)
{
	return vmf_error(err);
}

#endif /* CONFIG_PRIVATE_NODES */

#endif /* __MM_PRIVATE_FAULT_H */
