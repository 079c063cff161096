/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files, lists of nodes, dax devices and user namespaces: what the tests of private
 * nodes have in common, those of private_policy, too.
 */
#ifndef PRIVATE_NODE_DAX_H
#define PRIVATE_NODE_DAX_H

#include <stdbool.h>
#include <sys/types.h>

#define DAX		"/sys/bus/dax"
#define NODES		"/sys/devices/system/node"
#define OURS		"dax_private"

/* Returns the length, or -1. */
ssize_t read_file(const char *path, char *buf, size_t size);
/* These return 0, or the errno. */
int write_fd(int fd, const char *text);
int write_file(const char *path, const char *text);
int driver_write(const char *driver, const char *file, const char *text);
int dax_write(const char *name, const char *attr, const char *text);
/* The value without its newline; "?" if it cannot be read. */
const char *dax_read(const char *name, const char *attr);
/* The driver of a device, "" for none. */
void dax_driver(const char *name, char *driver, size_t size);
bool dax_is_ours(const char *name);
/* Is this node in a list of nodes, such as "0,2-3"? */
bool list_has(const char *list, int nid);
/* Is it in one of the lists of /sys/devices/system/node? */
bool node_in(const char *list, int nid);
/* From root to root of a user namespace, in mounts of its own; 0, or the errno */
int namespace_enter(void);

#endif
