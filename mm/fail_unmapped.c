// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection for pools of unmapped memory, see Documentation/fault-injection/.
 *
 * What is allocated for them fails by fail_page_alloc and failslab, and windows
 * by fail_mermap. This is for what is left: that blocks do not leave the direct
 * map.
 */

#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/init.h>
#include <linux/mm.h>

#include <kunit/visibility.h>

#include "unmapped.h"

struct fault_attr fail_unmapped = FAULT_ATTR_INITIALIZER;
EXPORT_SYMBOL_IF_KUNIT(fail_unmapped);

bool unmapped_should_fail(void)
{
	return should_fail(&fail_unmapped, 1);
}

static int __init fail_unmapped_debugfs(void)
{
	fault_create_debugfs_attr("fail_unmapped", NULL, &fail_unmapped);

	return 0;
}
late_initcall(fail_unmapped_debugfs);
