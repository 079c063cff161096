// SPDX-License-Identifier: GPL-2.0
/* Fault injection for the mermap, see Documentation/fault-injection/. */

#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/init.h>

#include <kunit/visibility.h>

#include "mermap.h"

struct fault_attr fail_mermap = FAULT_ATTR_INITIALIZER;
EXPORT_SYMBOL_IF_KUNIT(fail_mermap);

struct fault_attr fail_mermap_prepare = FAULT_ATTR_INITIALIZER;
EXPORT_SYMBOL_IF_KUNIT(fail_mermap_prepare);

static int __init fail_mermap_debugfs(void)
{
	fault_create_debugfs_attr("fail_mermap", NULL, &fail_mermap);
	fault_create_debugfs_attr("fail_mermap_prepare", NULL,
				  &fail_mermap_prepare);

	return 0;
}
late_initcall(fail_mermap_debugfs);
