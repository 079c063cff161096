// SPDX-License-Identifier: GPL-2.0
/*
 * How much private memory there is, for those who have to leave it out of the
 * totals of the system: nobody can count on it who does not ask for it.
 *
 * The sums are made when they are asked for, over the few nodes that are
 * private. See Documentation/mm/private_nodes.rst.
 */
#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/seq_file.h>
#include <linux/sysfs.h>
#include <linux/vmstat.h>

#include "private_node.h"

/* What totalram_pages() is for ordinary memory */
atomic_long_t private_managed_pages __read_mostly;

unsigned long __private_free_pages(void)
{
	unsigned long pages = 0;
	int nid;

	for_each_node_mask(nid, private_nodes_mask)
		pages += sum_zone_node_page_state(nid, NR_FREE_PAGES);
	return pages;
}

unsigned long __private_file_pages(void)
{
	unsigned long pages = 0;
	int nid;

	for_each_node_mask(nid, private_nodes_mask) {
		pages += node_page_state(NODE_DATA(nid), NR_ACTIVE_FILE);
		pages += node_page_state(NODE_DATA(nid), NR_INACTIVE_FILE);
	}
	return pages;
}

unsigned long __private_low_wmark_pages(void)
{
	unsigned long pages = 0;
	struct zone *zone;
	int nid;

	for_each_node_mask(nid, private_nodes_mask) {
		for (zone = NODE_DATA(nid)->node_zones;
		     zone < NODE_DATA(nid)->node_zones + MAX_NR_ZONES; zone++)
			pages += low_wmark_pages(zone);
	}
	return pages;
}

static void private_show_kb(struct seq_file *m, const char *name,
			    unsigned long pages)
{
	seq_put_decimal_ull_width(m, name, pages << (PAGE_SHIFT - 10), 8);
	seq_write(m, " kB\n", 4);
}

#define K(pages) ((pages) << (PAGE_SHIFT - 10))

/*
 * Not in meminfo of the node: programs take what lines there can be from the
 * first node, and stumble over others.
 */
static ssize_t private_meminfo_show(struct device *dev,
				    struct device_attribute *attr, char *buf)
{
	unsigned long managed = 0, free = 0;
	struct zone *zone;
	int nid = dev->id;

	if (node_is_private(nid)) {
		for (zone = NODE_DATA(nid)->node_zones;
		     zone < NODE_DATA(nid)->node_zones + MAX_NR_ZONES; zone++)
			managed += zone_managed_pages(zone);
		free = sum_zone_node_page_state(nid, NR_FREE_PAGES);
	}
	return sysfs_emit(buf,
			  "Node %d PrivateTotal:   %8lu kB\n"
			  "Node %d PrivateFree:    %8lu kB\n",
			  nid, K(managed), nid, K(free));
}
static DEVICE_ATTR_RO(private_meminfo);

#undef K

static struct attribute *private_node_attrs[] = {
	&dev_attr_private_meminfo.attr,
	NULL
};

const struct attribute_group private_node_attr_group = {
	.attrs = private_node_attrs,
};

void private_node_report_meminfo(struct seq_file *m)
{
	private_show_kb(m, "PrivateTotal:   ", private_total_pages());
	private_show_kb(m, "PrivateFree:    ", private_free_pages());
}
