// SPDX-License-Identifier: GPL-2.0
/*
 * Private nodes, for those who let an administrator decide: the names that
 * features have in boot parameters and sysfs, and unplugging that does not
 * wait for pages. The registry itself is in mm/private_node.c.
 *
 * No state. Lock order: device_hotplug_lock, then pcp_batch_high_lock, as when
 * memory goes offline.
 */
#include <linux/array_size.h>
#include <linux/build_bug.h>
#include <linux/ctype.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/memory.h>
#include <linux/minmax.h>
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

/*
 * How many pages of the node are in use? With the node closed they do not get
 * more. Under device_hotplug_lock, so that no memory is on its way offline.
 */
static unsigned long private_node_used_pages(int nid)
{
	unsigned long used = 0;
	struct zone *zone;

	for_each_populated_zone(zone) {
		if (zone_to_nid(zone) != nid)
			continue;
		/*
		 * Not drain_all_pages(): it passes the list of a CPU that gets
		 * its first page just now. Memory going offline does the same.
		 */
		zone_pcp_disable(zone);
		used += zone_managed_pages(zone) -
			zone_page_state_snapshot(zone, NR_FREE_PAGES);
		zone_pcp_enable(zone);
	}
	/* Going offline passes pages that failed. */
	return used ? used - min(used, private_node_lost_pages(nid)) : 0;
}

static bool private_node_closed(int nid)
{
	return private_zone_closed(&NODE_DATA(nid)->node_zones[ZONE_MOVABLE]);
}

void private_node_stop(struct private_node *pn, bool stop)
{
	private_node_close(private_node_nid(pn), stop);
}
EXPORT_SYMBOL_GPL(private_node_stop);

int private_node_remove_idle_memory(struct private_node *pn,
				    const struct range *ranges,
				    unsigned int nr_ranges,
				    unsigned long *nr_used)
{
	const int nid = private_node_nid(pn);
	unsigned long used;
	bool closed;
	int ret;

	*nr_used = 0;
	ret = lock_device_hotplug_killable();
	if (ret)
		return ret;
	/*
	 * Or a page that is taken when the answer has been given could keep
	 * offline_pages() waiting, perhaps in a thread that gets no signals.
	 */
	closed = private_node_closed(nid);
	private_node_close(nid, true);
	used = private_node_used_pages(nid);
	if (used)
		ret = -EBUSY;
	else
		ret = private_node_remove_memory_locked(pn, ranges, nr_ranges);
	if (!closed)
		private_node_close(nid, false);
	unlock_device_hotplug();

	*nr_used = used;
	return ret;
}
EXPORT_SYMBOL_GPL(private_node_remove_idle_memory);
