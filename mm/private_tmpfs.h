/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mpol= of tmpfs for private nodes, see mm/private_tmpfs.c.
 */
#ifndef __MM_PRIVATE_TMPFS_H
#define __MM_PRIVATE_TMPFS_H

#include <linux/mempolicy.h>
#include <linux/nodemask.h>
#include <linux/types.h>

#ifdef CONFIG_PRIVATE_NODES
unsigned short private_mount_flags(const char *flags);
int private_mount_mode(const char *mode, const char *flags);
bool private_mount_refuses(int mode, const char *flags);
bool private_mount_has_memory(const nodemask_t *nodes, const char *flags);
void private_mount_set_nodes(struct mempolicy *pol, const nodemask_t *nodes);
void private_mount_failed(const char *flags, const nodemask_t *nodes, int err);
#else
static inline unsigned short private_mount_flags(const char *flags)
{
	return 0;
}

static inline int private_mount_mode(const char *mode, const char *flags)
{
	return -EINVAL;
}

static inline bool private_mount_refuses(int mode, const char *flags)
{
	return false;
}

static inline bool private_mount_has_memory(const nodemask_t *nodes,
					    const char *flags)
{
	return false;
}

static inline void private_mount_set_nodes(struct mempolicy *pol,
					   const nodemask_t *nodes) {}
static inline void private_mount_failed(const char *flags,
					const nodemask_t *nodes, int err) {}
#endif

#endif /* __MM_PRIVATE_TMPFS_H */
