/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_PRIVATE_TASK_H
#define _LINUX_PRIVATE_TASK_H

#include <linux/types.h>

/*
 * What a task knows of private nodes. Nobody else looks at it. Without
 * CONFIG_PRIVATE_NODES it has no size.
 */
struct private_task {
#ifdef CONFIG_PRIVATE_NODES
	bool	for_others;	/* what it allocates, see mm/private_others.h */
#endif
};

#endif /* _LINUX_PRIVATE_TASK_H */
