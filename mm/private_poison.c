// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of private nodes that have failed and that nobody has any more.
 *
 * Such a page is not free, and going offline passes it, so it must not count
 * as one in use. A page that failed while somebody holds it is in use until it
 * is given back.
 */
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/page-flags.h>

#include "internal.h"
#include "private_node.h"

/*
 * It was taken from the buddy allocator, or has not been put back into it when
 * it was freed. After a migration away from it (soft offline of a page in use)
 * it looks like one that somebody holds, and is taken for one.
 */
static bool private_page_is_lost(struct page *page)
{
	if (!PageHWPoison(page))
		return false;
	return page_private(page) == MAGIC_HWPOISON ||
	       (!page_count(page) && !is_free_buddy_page(page));
}

struct private_lost {
	int nid;
	unsigned long nr_pages;
};

static int private_block_lost(struct memory_block *mem, void *arg)
{
	unsigned long pfn = section_nr_to_pfn(mem->start_section_nr);
	unsigned long end = pfn + memory_block_size_bytes() / PAGE_SIZE;
	struct private_lost *lost = arg;

	if (mem->nid != lost->nid || mem->state != MEM_ONLINE ||
	    !atomic_long_read(&mem->nr_hwpoison))
		return 0;
	for (; pfn < end; pfn++)
		lost->nr_pages += private_page_is_lost(pfn_to_page(pfn));
	return 0;
}

/**
 * private_node_lost_pages - how many pages of a node have failed and are nobody's
 * @nid: the node
 *
 * Context: Process, under device_hotplug_lock.
 * Return: the number of pages.
 */
unsigned long private_node_lost_pages(int nid)
{
	struct private_lost lost = { .nid = nid };

	for_each_memory_block(&lost, private_block_lost);
	return lost.nr_pages;
}
