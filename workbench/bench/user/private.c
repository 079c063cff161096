// SPDX-License-Identifier: GPL-2.0
/* Memory policies whose instructions are counted, and what memory of a private node costs whoever was let in. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "user.h"

#define MPOL_DEFAULT		0
#define MPOL_BIND		2
#define MPOL_PREFERRED_MANY	5
#define MPOL_F_STATIC_NODES	(1 << 15)
#define MPOL_F_PRIVATE		(1 << 12)
#define PRIVATE			(MPOL_F_STATIC_NODES | MPOL_F_PRIVATE)

#define DRIVER	"/sys/bus/dax/drivers/dax_private/"
/* Of the machine bench-private: it has memory, and no CPU. */
#define ORDINARY_NODE	1

/* A task's policy, set and taken back */
int cmd_policies(int argc, char **argv)
{
	enum { SAMPLES = 50, ROUNDS = 100 };
	unsigned long mask = 1;
	uint64_t start;
	int i, round;

	for (i = 0; i < SAMPLES; i++) {
		start = ticks();
		for (round = 0; round < ROUNDS; round++)
			if (syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8 * sizeof(mask)) ||
			    syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0))
				die("set_mempolicy: %s", strerror(errno));
		print_sample("set_mempolicy", ROUNDS, ticks() - start);
	}
	return 0;
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("%s to %s: %s", text, path, strerror(errno));
	close(fd);
}

/* Make the machine's dax device a private node that users may use; returns the node. */
static int plug(void)
{
	char path[256];
	const char *name;
	glob_t found;

	if (glob("/sys/bus/dax/devices/dax*", 0, NULL, &found) || found.gl_pathc != 1)
		die("there is not one dax device");
	name = strrchr(found.gl_pathv[0], '/') + 1;
	snprintf(path, sizeof(path), "%s/driver/unbind", found.gl_pathv[0]);
	if (!access(path, W_OK))
		write_text(path, name);
	write_text(DRIVER "new_id", name);
	snprintf(path, sizeof(path), "%s/private/features", found.gl_pathv[0]);
	write_text(path, "user");
	snprintf(path, sizeof(path), "%s/state", found.gl_pathv[0]);
	write_text(path, "online");
	snprintf(path, sizeof(path), "%s/private/node", found.gl_pathv[0]);
	return read_long(path);
}

static void set_range(void *area, size_t size, int mode, int node)
{
	unsigned long mask = 1UL << node;

	if (syscall(SYS_mbind, area, size, mode, &mask, 8 * sizeof(mask), 0))
		die("mbind of mode %#x to node %d: %s", mode, node, strerror(errno));
}

/* What the faults of a range cost that has this policy; MPOL_DEFAULT: none. */
static uint64_t small_faults(long pages, int mode, int node)
{
	char *area = map_small(pages * PAGE);
	uint64_t start;

	if (mode != MPOL_DEFAULT)
		set_range(area, pages * PAGE, mode, node);
	start = ticks();
	touch(area, pages * PAGE, PAGE);
	start = ticks() - start;
	munmap(area, pages * PAGE);
	return start;
}

static uint64_t huge_fault(int mode, int node)
{
	const size_t huge = 2 * MIB;
	char *map = map_anonymous(2 * huge), *area;
	uint64_t start;

	area = (char *)(((uintptr_t)map + huge - 1) & ~(huge - 1));
	if (madvise(area, huge, MADV_HUGEPAGE))
		die("MADV_HUGEPAGE: %s", strerror(errno));
	set_range(area, huge, mode, node);
	start = ticks();
	touch(area, 1, PAGE);
	start = ticks() - start;
	munmap(map, 2 * huge);
	return start;
}

/* Samples of "for each" are ratios: what the one costs for what the other does. */
int cmd_private(int argc, char **argv)
{
	enum { SAMPLES = 100, PAGES = 64, FILL = 192 };
	uint64_t ordinary, ours;
	int node = plug(), i;

	if (node < 0)
		die("no private node");
	for (i = 0; i < SAMPLES; i++) {
		ordinary = small_faults(PAGES, MPOL_BIND, ORDINARY_NODE);
		ours = small_faults(PAGES, MPOL_BIND | PRIVATE, node);
		print_sample("private_fault", PAGES, ours);
		print_sample("fault_for_each", ordinary, ours);
	}
	for (i = 0; i < SAMPLES / 4; i++) {
		ordinary = huge_fault(MPOL_BIND, ORDINARY_NODE);
		ours = huge_fault(MPOL_BIND | PRIVATE, node);
		print_sample("huge_for_each", ordinary, ours);
	}

	/* All of it and more, which stays mapped. */
	char *area = map_small(FILL * MIB);

	set_range(area, FILL * MIB, MPOL_PREFERRED_MANY | PRIVATE, node);
	touch(area, FILL * MIB, PAGE);
	for (i = 0; i < SAMPLES; i++) {
		ordinary = small_faults(PAGES, MPOL_DEFAULT, 0);
		ours = small_faults(PAGES, MPOL_PREFERRED_MANY | PRIVATE, node);
		print_sample("full_for_each", ordinary, ours);
	}
	return 0;
}
