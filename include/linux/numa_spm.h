/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_NUMA_SPM_H
#define _LINUX_NUMA_SPM_H

/*
 * Nodes for private memory that are set aside while the map of possible nodes
 * is made: the hooks in NUMA initialisation. What is wanted comes from the
 * configuration and from the boot parameter numa_spm=.
 */

#include <linux/init.h>
#include <linux/numa_memblks.h>
#include <linux/types.h>

struct numa_meminfo;

#ifdef CONFIG_NUMA_SPM

/**
 * numa_spm_reset - begin an attempt to find the NUMA nodes
 *
 * Forgets what an attempt before has reserved: each one starts from nothing.
 *
 * Context: Boot, one CPU, before the attempt parses anything.
 */
void __init numa_spm_reset(void);

/**
 * numa_spm_add_window - there is a window of addresses for memory devices
 * @nid: the node that was made for the window, or NUMA_NO_NODE if firmware
 *	describes the window's memory itself
 * @start: first address
 * @end: first address after the window
 *
 * Context: Boot, one CPU, while firmware tables are parsed.
 */
void __init numa_spm_add_window(int nid, u64 start, u64 end);

/**
 * numa_spm_reserve - reserve the nodes that are wanted
 * @mi: the memory of all nodes
 *
 * Adds nodes to node_possible_map.
 *
 * Context: Boot, one CPU, when node_possible_map is otherwise complete and
 * NUMA emulation has been set up.
 */
void __init numa_spm_reserve(const struct numa_meminfo *mi);

#else /* CONFIG_NUMA_SPM */

static inline void numa_spm_reset(void) {}
static inline void numa_spm_add_window(int nid, u64 start, u64 end) {}
static inline void numa_spm_reserve(const struct numa_meminfo *mi) {}

#endif /* CONFIG_NUMA_SPM */

#endif /* _LINUX_NUMA_SPM_H */
