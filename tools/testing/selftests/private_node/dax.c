// SPDX-License-Identifier: GPL-2.0
/* Files, lists of nodes, dax devices and user namespaces */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dax.h"

ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	size_t len = 0;
	ssize_t got = 0;

	if (fd < 0)
		return -1;
	while (len < size - 1 && (got = read(fd, buf + len, size - 1 - len)) > 0)
		len += got;
	close(fd);
	if (got < 0)
		return -1;
	buf[len] = '\0';
	return len;
}

int write_fd(int fd, const char *text)
{
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : errno;
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int error;

	if (fd < 0)
		return errno;
	error = write_fd(fd, text);
	close(fd);
	return error;
}

int driver_write(const char *driver, const char *file, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), DAX "/drivers/%s/%s", driver, file);
	return write_file(path, text);
}

int dax_write(const char *name, const char *attr, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), DAX "/devices/%s/%s", name, attr);
	return write_file(path, text);
}

const char *dax_read(const char *name, const char *attr)
{
	static char buf[256];
	char path[512];

	snprintf(path, sizeof(path), DAX "/devices/%s/%s", name, attr);
	if (read_file(path, buf, sizeof(buf)) < 0)
		return "?";
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

void dax_driver(const char *name, char *driver, size_t size)
{
	char path[512], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), DAX "/devices/%s/driver", name);
	len = readlink(path, target, sizeof(target) - 1);
	*driver = '\0';
	if (len < 0)
		return;
	target[len] = '\0';
	snprintf(driver, size, "%s", strrchr(target, '/') + 1);
}

bool dax_is_ours(const char *name)
{
	char driver[32];

	dax_driver(name, driver, sizeof(driver));
	return !strcmp(driver, OURS);
}

bool list_has(const char *list, int nid)
{
	char buf[4096], *word, *rest = buf;

	snprintf(buf, sizeof(buf), "%s", list);
	while ((word = strsep(&rest, ",\n"))) {
		int first, last;
		int fields = sscanf(word, "%d-%d", &first, &last);

		if (fields == 1)
			last = first;
		if (fields >= 1 && first <= nid && nid <= last)
			return true;
	}
	return false;
}

bool node_in(const char *list, int nid)
{
	char path[64], buf[4096];

	snprintf(path, sizeof(path), NODES "/%s", list);
	return read_file(path, buf, sizeof(buf)) >= 0 && list_has(buf, nid);
}

int namespace_enter(void)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return errno;
	return write_file("/proc/self/setgroups", "deny") ?:
	       write_file("/proc/self/uid_map", "0 0 1") ?:
	       write_file("/proc/self/gid_map", "0 0 1");
}
