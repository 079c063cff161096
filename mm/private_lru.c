// SPDX-License-Identifier: GPL-2.0
/*
 * Folios of private nodes that somebody has taken off the LRU lists to reclaim
 * them, for himself (MADV_PAGEOUT) or as a service (DAMON). It is up to the
 * owner of the node whether that may be done with its memory. Large folios of
 * which a part is given such advice are not split for it, see private_node_keeps().
 */

#include <linux/list.h>
#include <linux/mm.h>

#include "internal.h"
#include "private_lru.h"

/**
 * private_putback_kept - put back what is not reclaimed
 * @folios: the folios, isolated
 *
 * Context: Process, may sleep.
 * Return: how many pages were reclaimed: 0.
 */
unsigned int private_putback_kept(struct list_head *folios)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, folios, lru) {
		list_del(&folio->lru);
		folio_putback_lru(folio);
	}
	return 0;
}
