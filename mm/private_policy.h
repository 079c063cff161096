/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which private nodes somebody means who named them some time ago, and which he
 * may name at all. See mm/private_policy.c.
 */
#ifndef __MM_PRIVATE_POLICY_H
#define __MM_PRIVATE_POLICY_H

#include <linux/nodemask.h>
#include <linux/types.h>

#ifdef CONFIG_PRIVATE_NODES

u32 private_policy_stamp(void);
bool private_policy_knows(int nid, u32 stamp);
bool private_policy_usable(const nodemask_t *named, u32 stamp,
			   nodemask_t *usable);
bool private_nodes_leaving(const nodemask_t *nodes);
bool private_nodes_full(const nodemask_t *nodes);
int private_policy_permit(nodemask_t *named);
void private_policy_nameable(nodemask_t *nodes);

#endif /* CONFIG_PRIVATE_NODES */

#endif /* __MM_PRIVATE_POLICY_H */
