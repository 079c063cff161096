// SPDX-License-Identifier: GPL-2.0
/*
 * Boot-time reservation of NUMA nodes for private (specific-purpose) memory.
 *
 * Which node ids are possible is decided before any driver runs, and a driver
 * can only bring private memory to a node that is possible and has no other
 * memory. So nodes are set aside here, while node_possible_map is made, and
 * handed to the registry of private nodes, which gives them to drivers. See
 * Documentation/admin-guide/mm/private-nodes.rst and the boot parameter
 * numa_spm=.
 *
 * All of it runs on one CPU during boot. Nothing is locked.
 */

#define pr_fmt(fmt) "numa_spm: " fmt

#include <linux/acpi.h>
#include <linux/init.h>
#include <linux/kstrtox.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/numa_memblks.h>
#include <linux/numa_spm.h>
#include <linux/printk.h>
#include <linux/private_node.h>
#include <linux/private_node_admin.h>
#include <linux/range.h>
#include <linux/string.h>

#include <asm/numa.h>

/*
 * What is wanted: the pool, nodes for windows beside the window's own, the
 * windows' own nodes, nodes by number, and the features of all of these.
 */
struct numa_spm_config {
	unsigned int pool;
	unsigned int per_window;
	bool mark_windows;
	nodemask_t nodes;
	unsigned long features;
};

static struct numa_spm_config numa_spm_config __initdata = {
	.pool = CONFIG_NUMA_SPM_POOL,
	.per_window = CONFIG_NUMA_SPM_PER_CFMWS,
	.mark_windows = IS_ENABLED(CONFIG_NUMA_SPM_CFMWS_DEFAULT),
};

struct numa_spm_window {
	struct range range;
	int nid;
};

/*
 * Windows with a node made for them are at most as many as nodes. Of the
 * others as many are kept: each can only ask for nodes, and there are no more.
 */
static struct numa_spm_window numa_spm_windows[2 * MAX_NUMNODES] __initdata;
static unsigned int numa_spm_nr_windows __initdata;
static unsigned int numa_spm_nr_described __initdata;

static bool numa_spm_numa_off __initdata;

static int __init numa_spm_parse_count(const char *value, unsigned int *count)
{
	unsigned int parsed;

	if (kstrtouint(value, 10, &parsed) || parsed >= MAX_NUMNODES)
		return -EINVAL;
	*count = parsed;
	return 0;
}

/* The part of an option "name=value" after the name, if it has that name. */
static const char * __init numa_spm_value(const char *option, const char *name)
{
	size_t len = str_has_prefix(option, name);

	return len ? option + len : NULL;
}

static int __init numa_spm_parse_option(const char *option,
					struct numa_spm_config *config)
{
	const char *value;

	if (!strcmp(option, "off")) {
		*config = (struct numa_spm_config) {};
		return 0;
	}
	value = numa_spm_value(option, "pool=");
	if (value)
		return numa_spm_parse_count(value, &config->pool);
	if (!strcmp(option, "cfmws")) {
		config->mark_windows = true;
		return 0;
	}
	value = numa_spm_value(option, "cfmws=");
	if (value) {
		config->mark_windows = true;
		return numa_spm_parse_count(value, &config->per_window);
	}
	value = numa_spm_value(option, "features=");
	if (value)
		return private_node_parse_features(value, &config->features);
	value = numa_spm_value(option, "node=");
	if (value && !nodelist_parse(value, config->nodes) &&
	    !nodes_empty(config->nodes))
		return 0;
	return -EINVAL;
}

/* A parameter with a bad option changes nothing, not even by its good ones. */
static int __init numa_spm_setup(char *str)
{
	struct numa_spm_config config = numa_spm_config;
	char *option;

	if (!str)
		str = "";
	do {
		/* A list of nodes has commas of its own, so it comes last. */
		if (str_has_prefix(str, "node=")) {
			option = str;
			str = NULL;
		} else {
			option = strsep(&str, ",");
		}
		if (numa_spm_parse_option(option, &config)) {
			pr_err("parameter ignored, bad option: \"%s\"\n", option);
			return -EINVAL;
		}
	} while (str);
	numa_spm_config = config;
	return 0;
}
early_param("numa_spm", numa_spm_setup);

void __init numa_spm_reset(void)
{
	private_node_unreserve_all();
	numa_spm_nr_windows = 0;
	numa_spm_nr_described = 0;
	/* Read here: some architectures set it when they fall back to one node. */
	numa_spm_numa_off = numa_off;
}

void __init numa_spm_add_window(int nid, u64 start, u64 end)
{
	struct numa_spm_window *window;

	if (nid == NUMA_NO_NODE && numa_spm_nr_described++ >= MAX_NUMNODES)
		return;
	if (numa_spm_nr_windows >= ARRAY_SIZE(numa_spm_windows))
		return;
	window = &numa_spm_windows[numa_spm_nr_windows++];
	window->range = (struct range) { .start = start, .end = end - 1 };
	window->nid = nid;
}

static bool __init numa_spm_has_memory(const struct numa_meminfo *mi, int nid)
{
	for (int i = 0; i < mi->nr_blks; i++)
		if (mi->blk[i].nid == nid && mi->blk[i].start < mi->blk[i].end)
			return true;
	return false;
}

/*
 * Reserve a node that is there without us. With numa=fake, the node that was
 * made for a window may be an emulated one now, or none.
 */
static void __init numa_spm_mark(const struct numa_meminfo *mi, int nid,
				 const struct range *window, nodemask_t *reserved)
{
	if (!node_possible(nid))
		pr_warn("node %d not reserved: it is not possible\n", nid);
	else if (numa_spm_has_memory(mi, nid))
		pr_warn("node %d not reserved: it has memory\n", nid);
	else if (!private_node_reserve(nid, window, numa_spm_config.features))
		node_set(nid, *reserved);
}

/*
 * Make a node and reserve it. It comes after all others, and is none that ACPI
 * has given to a proximity domain, whether that domain is used or not.
 */
static bool __init numa_spm_make(const struct range *window, nodemask_t *reserved)
{
	unsigned int nid;

	nid = find_last_bit(node_possible_map.bits, MAX_NUMNODES) + 1;
	while (nid < MAX_NUMNODES && IS_ENABLED(CONFIG_ACPI_NUMA) &&
	       node_to_pxm(nid) >= 0)
		nid++;
	if (nid >= MAX_NUMNODES ||
	    private_node_reserve(nid, window, numa_spm_config.features))
		return false;
	node_set(nid, node_possible_map);
	node_set(nid, *reserved);
	return true;
}

void __init numa_spm_reserve(const struct numa_meminfo *mi)
{
	/* A node by number is for the memory that it has in firmware's tables. */
	const struct range nowhere = { .start = U64_MAX, .end = U64_MAX };
	const struct numa_spm_config *config = &numa_spm_config;
	nodemask_t reserved = NODE_MASK_NONE;
	struct numa_spm_window *window;
	unsigned int missing = 0;
	unsigned int i;
	int nid;

	if (!config->pool && !config->per_window && !config->mark_windows &&
	    nodes_empty(config->nodes))
		return;

	if (numa_spm_numa_off) {
		pr_info("NUMA is off, no nodes reserved\n");
		return;
	}

	for_each_node_mask(nid, config->nodes)
		numa_spm_mark(mi, nid, &nowhere, &reserved);

	for (window = numa_spm_windows;
	     window < numa_spm_windows + numa_spm_nr_windows; window++) {
		if (config->mark_windows && window->nid != NUMA_NO_NODE)
			numa_spm_mark(mi, window->nid, &window->range, &reserved);
		for (i = 0; i < config->per_window; i++)
			missing += !numa_spm_make(&window->range, &reserved);
	}

	if ((config->mark_windows || config->per_window) && !numa_spm_nr_windows)
		pr_warn("no CXL window has a node: there is none, or no SRAT\n");

	for (i = 0; i < config->pool; i++)
		missing += !numa_spm_make(NULL, &reserved);

	if (missing)
		pr_warn("%u nodes are missing: there are %d at most\n", missing,
			MAX_NUMNODES);
	if (nodes_empty(reserved))
		pr_info("no nodes reserved\n");
	else
		pr_info("reserved for private memory: nodes %*pbl\n",
			nodemask_pr_args(&reserved));
}
