// SPDX-License-Identifier: GPL-2.0
/* What it costs to demote cold memory of a cgroup, by the page: to a private node where there is one, and to a public one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user.h"

#define DRIVERS		"/sys/bus/dax/drivers/"
#define OURS		"dax_private"
#define GROUPS		"/tmp/bench-cgroup"
#define DEMOTION	"/sys/kernel/mm/numa/demotion_enabled"

static char device[256], *name;

static bool try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return written;
}

static void write_to(const char *folder, const char *file, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	if (!try_write(path, text))
		die("%s to %s: %s", text, path, strerror(errno));
}

/* From whatever driver has the device to this one; its memory is not plugged then. */
static void give_to(const char *driver)
{
	char path[512], folder[128];

	snprintf(path, sizeof(path), "%s/state", device);
	try_write(path, "unplugged");
	snprintf(path, sizeof(path), "%s/driver/unbind", device);
	try_write(path, name);
	try_write(DRIVERS OURS "/remove_id", name);
	snprintf(folder, sizeof(folder), DRIVERS "%s", driver);
	write_to(folder, "new_id", name);
	write_to(device, "state", "unplugged");
}

/* The machine's dax device; whether its memory can be that of a private node */
static bool find_device(void)
{
	glob_t found;

	if (glob("/sys/bus/dax/devices/dax*", 0, NULL, &found) || found.gl_pathc != 1)
		die("there is not one dax device");
	snprintf(device, sizeof(device), "%s", found.gl_pathv[0]);
	name = strrchr(device, '/') + 1;
	return !access(DRIVERS OURS, F_OK);
}

/* The cgroup of this process, in which the node is named */
static void enter_group(void)
{
	mkdir(GROUPS, 0700);
	if (mount("none", GROUPS, "cgroup2", 0, NULL))
		die("cgroup2: %s", strerror(errno));
	write_to(GROUPS, "cgroup.subtree_control", "+memory +cpuset");
	mkdir(GROUPS "/job", 0700);
	write_to(GROUPS "/job", "cgroup.procs", "0");
}

static void demote(const char *figure)
{
	enum { ROUNDS = 12, SIZE = 8, TIMES = 4 };
	uint64_t start, before, pages;
	int reclaim, round, i;
	char *area, path[512];

	snprintf(path, sizeof(path), "%s/target_node", device);
	snprintf(path, sizeof(path), "0-1,%ld", read_long(path));
	write_to(GROUPS "/job", "cpuset.mems", path);
	reclaim = open(GROUPS "/job/memory.reclaim", O_WRONLY);
	for (round = 0; round < ROUNDS; round++) {
		area = map_small(SIZE * MIB);
		touch(area, SIZE * MIB, PAGE);
		if (madvise(area, SIZE * MIB, MADV_COLD))
			die("MADV_COLD: %s", strerror(errno));
		for (i = 0; i < TIMES; i++) {
			before = vmstat("pgdemote_proactive");
			start = ticks();
			if (write(reclaim, "1M", 2) != 2)
				die("memory.reclaim: %s", strerror(errno));
			start = ticks() - start;
			pages = vmstat("pgdemote_proactive") - before;
			/* Of the first round, some is about what is done once. */
			if (round && pages)
				print_sample(figure, pages, start);
		}
		munmap(area, SIZE * MIB);
	}
	close(reclaim);
}

int cmd_demote(int argc, char **argv)
{
	const bool private = find_device();

	enter_group();
	write_sysctl(DEMOTION, "1");
	if (private) {
		give_to(OURS);
		write_to(device, "private/features", "reclaim+demotion");
		write_to(device, "state", "online");
		demote("demote");
	}
	give_to("kmem");
	write_to(device, "state", "online_movable");
	if (!private)
		demote("demote");
	demote("demote_public");
	/* The nodes are those that the machine is said to have again. */
	write_to(device, "state", "unplugged");
	return 0;
}
