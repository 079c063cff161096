// SPDX-License-Identifier: GPL-2.0
/*
 * Private nodes, for those who let an administrator decide: the names that
 * features have in boot parameters and sysfs, and unplugging that does not
 * wait for anybody. The registry itself is in mm/private_node.c.
 *
 * No state, and no locks but those of the page allocator and the registry.
 */
#include <linux/array_size.h>
#include <linux/build_bug.h>
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/private_node.h>
#include <linux/private_node_admin.h>
#include <linux/sprintf.h>
#include <linux/string.h>
#include <linux/vmstat.h>

#include "internal.h"
#include "page_alloc.h"
#include "private_node.h"

static const char * const private_feature_names[] = {
	[const_ilog2(PRIVATE_NODE_USER)] = "user",
	[const_ilog2(PRIVATE_NODE_RECLAIM)] = "reclaim",
	[const_ilog2(PRIVATE_NODE_DEMOTION)] = "demotion",
	[const_ilog2(PRIVATE_NODE_LTPIN)] = "ltpin",
};
static_assert(BIT(ARRAY_SIZE(private_feature_names)) - 1 == PRIVATE_NODE_FEATURES);

/* The bit of the feature whose name the first @len bytes of @word are, or -1 */
static int private_feature_find(const char *word, size_t len)
{
	for (int bit = 0; bit < ARRAY_SIZE(private_feature_names); bit++) {
		if (strlen(private_feature_names[bit]) == len &&
		    !strncmp(word, private_feature_names[bit], len))
			return bit;
	}
	return -1;
}

int private_node_parse_features(const char *buf, unsigned long *features)
{
	unsigned long parsed = 0;
	const char *end;
	size_t len;
	int bit;

	buf = skip_spaces(buf);
	end = buf + strlen(buf);
	while (end > buf && isspace(end[-1]))
		end--;

	if (end - buf == strlen("none") && !strncmp(buf, "none", end - buf)) {
		*features = 0;
		return 0;
	}

	for (;;) {
		for (len = 0; buf + len < end && buf[len] != '+'; len++)
			;
		bit = private_feature_find(buf, len);
		if (bit < 0 || parsed & BIT(bit))
			return -EINVAL;
		parsed |= BIT(bit);
		if (buf + len == end)
			break;
		buf += len + 1;
	}

	if (parsed & PRIVATE_NODE_DEMOTION && !(parsed & PRIVATE_NODE_RECLAIM))
		return -EINVAL;
	*features = parsed;
	return 0;
}
EXPORT_SYMBOL_GPL(private_node_parse_features);

int private_node_print_features(char *buf, size_t size, unsigned long features)
{
	int len = 0;

	for (int bit = 0; bit < ARRAY_SIZE(private_feature_names); bit++) {
		if (features & BIT(bit))
			len += scnprintf(buf + len, size - len, "%s%s",
					 len ? "+" : "",
					 private_feature_names[bit]);
	}
	return len ?: scnprintf(buf, size, "none");
}
EXPORT_SYMBOL_GPL(private_node_print_features);

#ifdef CONFIG_MEMORY_FAILURE
/*
 * A page that failed is not free and in nobody's hands: it was taken from the
 * buddy allocator, or has not been put back into it when it was freed.
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

static unsigned long private_node_lost_pages(int nid)
{
	struct private_lost lost = { .nid = nid };

	lock_device_hotplug();
	for_each_memory_block(&lost, private_block_lost);
	unlock_device_hotplug();
	return lost.nr_pages;
}
#else
static unsigned long private_node_lost_pages(int nid)
{
	return 0;
}
#endif

/* Is no page of the node in use? The answer can be old when it comes. */
static bool private_node_is_idle(int nid)
{
	unsigned long managed = 0, free = 0;
	struct zone *zone;

	for_each_populated_zone(zone) {
		if (zone_to_nid(zone) != nid)
			continue;
		drain_all_pages(zone);
		managed += zone_managed_pages(zone);
		free += zone_page_state_snapshot(zone, NR_FREE_PAGES);
	}
	/* Going offline passes pages that failed. */
	return free == managed || free + private_node_lost_pages(nid) == managed;
}

int private_node_remove_idle_memory(struct private_node *pn,
				    const struct range *ranges,
				    unsigned int nr_ranges)
{
	const int nid = private_node_nid(pn);
	int ret = -EBUSY;

	/*
	 * Or a page that is taken when the answer has been given could keep
	 * offline_pages() waiting, perhaps in a thread that gets no signals.
	 */
	private_node_close(nid, true);
	if (private_node_is_idle(nid))
		ret = private_node_remove_memory(pn, ranges, nr_ranges);
	private_node_close(nid, false);
	return ret;
}
EXPORT_SYMBOL_GPL(private_node_remove_idle_memory);
