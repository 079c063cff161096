// SPDX-License-Identifier: GPL-2.0
/* An array as big as each structure: `nm -S` tells the sizes, without debug information. Never linked. */
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/mm_types.h>
#include <linux/mmzone.h>
#include <linux/page_ext.h>
#include <linux/sched.h>

#define SIZE(type)	char size_##type[sizeof(struct type)]
#define NUMBER(name)	char number_##name[name]

/* Each page, pageblock, section */
SIZE(page);
SIZE(folio);
SIZE(page_ext);
SIZE(mem_section);
NUMBER(NR_PAGEBLOCK_BITS);

/* Each zone and node; the per-CPU ones once more for each CPU */
SIZE(zone);
SIZE(free_area);
SIZE(per_cpu_pages);
SIZE(per_cpu_zonestat);
SIZE(pglist_data);
SIZE(per_cpu_nodestat);
SIZE(lruvec);
NUMBER(NR_PCP_LISTS);
NUMBER(MIGRATE_TYPES);

/* Each mm, VMA, task, memory policy, mapping, memory cgroup */
SIZE(mm_struct);
SIZE(vm_area_struct);
SIZE(task_struct);
SIZE(mempolicy);
SIZE(address_space);
SIZE(mem_cgroup);
SIZE(mem_cgroup_per_node);
