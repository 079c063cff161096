/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Long-term pins (FOLL_LONGTERM) of memory of private nodes. See
 * mm/private_pin.c.
 */
#ifndef __MM_PRIVATE_PIN_H
#define __MM_PRIVATE_PIN_H

#include <linux/mm.h>
#include <linux/private_node.h>

#ifdef CONFIG_PRIVATE_NODES

bool __private_pin_refused(struct vm_area_struct *vma, unsigned long address);
bool __private_file_pin_refused(struct file *file, loff_t pos);
bool __private_folio_pinnable(struct folio *folio);

/**
 * private_pin_refused - is this no memory to pin for long?
 * @vma: where
 * @address: where in there the pin begins
 *
 * Context: Process; mmap_lock is held.
 * Return: true if the policy for the memory names private nodes, and no owner
 * of those that it means has PRIVATE_NODE_LTPIN.
 */
static inline bool private_pin_refused(struct vm_area_struct *vma,
				       unsigned long address)
{
	return private_nodes_enabled() && __private_pin_refused(vma, address);
}

/**
 * private_file_pin_refused - is this no file to pin memory of for long?
 * @file: a file of tmpfs or hugetlbfs
 * @pos: where in there the pin begins
 *
 * Context: Process.
 * Return: as private_pin_refused(), for memory that is not mapped.
 */
static inline bool private_file_pin_refused(struct file *file, loff_t pos)
{
	return private_nodes_enabled() && __private_file_pin_refused(file, pos);
}

/**
 * private_folio_pinnable - may this folio be pinned for long where it is?
 * @folio: the folio
 *
 * Context: The caller has the folio.
 * Return: as folio_is_longterm_pinnable(). For one of a private node, whether
 * its owner has PRIVATE_NODE_LTPIN, and it is not about to be taken offline.
 */
static inline bool private_folio_pinnable(struct folio *folio)
{
	if (folio_is_private_node(folio))
		return __private_folio_pinnable(folio);
	return folio_is_longterm_pinnable(folio);
}

#else /* CONFIG_PRIVATE_NODES */

static inline bool private_pin_refused(struct vm_area_struct *vma,
				       unsigned long address)
{
	return false;
}

static inline bool private_file_pin_refused(struct file *file, loff_t pos)
{
	return false;
}

static inline bool private_folio_pinnable(struct folio *folio)
{
	return folio_is_longterm_pinnable(folio);
}

#endif /* CONFIG_PRIVATE_NODES */

#endif /* __MM_PRIVATE_PIN_H */
