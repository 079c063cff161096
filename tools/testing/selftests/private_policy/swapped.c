// SPDX-License-Identifier: GPL-2.0
/*
 * Test swap on a device that rotates: what is read because it lies beside a page
 * that is wanted is somebody else's, who did not ask for a private node.
 *
 * README says which change of the kernel each case is for.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "common.h"

#define PAGES		64
#define LEN		(PAGES * page)
#define CLUSTER		"/proc/sys/vm/page-cluster"

/* What a neighbour is asked, in one byte, and answers, in one long */
enum {
	PAGE_OUT, COUNT_CACHED, TOUCH, COUNT_ON_P, END
};

/* A process that has pages, and does with them what it is told */
struct neighbour {
	pid_t pid;
	int to, from;
};

static char *area;

/* One page to swap. Pages that are on lists of another CPU take a while. */
static bool page_out(char *addr)
{
	for (int i = 0; i < 200 && !in_swap(addr); i++) {
		madvise(addr, page, MADV_PAGEOUT);
		if (!in_swap(addr))
			usleep(10000);
	}
	return in_swap(addr);
}

/* Pages of an area that are in memory, or have been read from swap */
static long cached(void)
{
	unsigned char seen[PAGES];
	long count = 0;

	if (mincore(area, LEN, seen))
		return -1;
	for (int i = 0; i < PAGES; i++)
		count += seen[i] & 1;
	return count;
}

/* Have the bytes the value that was written? */
static bool intact(char value)
{
	for (int i = 0; i < PAGES; i++)
		if (area[i * page] != value)
			return false;
	return true;
}

static void fill_area(char value)
{
	for (int i = 0; i < PAGES; i++)
		memset(area + i * page, value, page);
}

static long answer(char what, int *next)
{
	switch (what) {
	case PAGE_OUT:
		return page_out(area + (*next)++ * page);
	case COUNT_CACHED:
		return cached();
	case TOUCH:
		return intact('n');
	default:
		return count_on(area, LEN, P);
	}
}

/* All on one CPU, so that pages are given places in swap in the order of time. */
static int one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

static int neighbour_start(struct neighbour *n)
{
	int to[2], from[2], next = 0;
	char what;

	if (pipe(to) || pipe(from))
		return 1;
	n->pid = fork();
	if (!n->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		area = map(LEN);
		fill_area('n');
		while (read(to[0], &what, 1) == 1 && what != END) {
			long said = answer(what, &next);

			if (write(from[1], &said, sizeof(said)) != sizeof(said))
				break;
		}
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	n->to = to[1];
	n->from = from[0];
	return n->pid < 0;
}

static long ask(struct neighbour *n, char what)
{
	long said = -1;

	if (write(n->to, &what, 1) != 1 ||
	    read(n->from, &said, sizeof(said)) != sizeof(said))
		return -1;
	return said;
}

static void neighbour_stop(struct neighbour *n)
{
	char what = END;

	if (n->pid <= 0)
		return;
	if (write(n->to, &what, 1) != 1)
		kill(n->pid, SIGKILL);
	wait_for(n->pid);
	close(n->to);
	close(n->from);
}

/*
 * Pages of both, one of his and one of ours in turn, in swap. His comes first, so
 * that of the processes with something there ours is the first to be asked. What
 * has been written to a disk stays in memory until that is wanted.
 */
static bool both_out(struct neighbour *n)
{
	for (int i = 0; i < PAGES; i++)
		if (ask(n, PAGE_OUT) != 1 || !page_out(area + i * page))
			return false;
	for (int i = 0; i < 200; i++) {
		if (!cached() && !ask(n, COUNT_CACHED))
			return true;
		write_file(CGROUP "/both/memory.reclaim", "1M");
		usleep(10000);
	}
	ksft_print_msg("%ld and %ld pages are still in memory\n", cached(),
		       ask(n, COUNT_CACHED));
	return false;
}

/* A disk that rotates; swap in memory is read by who waits for it, and alone */
static bool find_disk(char *path, unsigned long *size)
{
	char text[32];
	glob_t found;
	bool good = false;

	if (glob("/sys/block/*/queue/rotational", 0, NULL, &found))
		return false;
	for (size_t i = 0; i < found.gl_pathc && !good; i++) {
		char *name = found.gl_pathv[i] + strlen("/sys/block/");

		if (!strncmp(name, "zram", 4) ||
		    read_file(found.gl_pathv[i], text, sizeof(text)) <= 0 || *text != '1')
			continue;
		snprintf(path, 64, "/sys/block/%.*s/size", (int)strcspn(name, "/"), name);
		if (read_file(path, text, sizeof(text)) <= 0)
			continue;
		*size = strtoul(text, NULL, 0) << 9;
		snprintf(path, 64, "/dev/%.*s", (int)strcspn(name, "/"), name);
		good = *size >= 64UL << 20;
	}
	globfree(&found);
	return good;
}

FIXTURE(swapped)
{
	struct neighbour his;
	long cluster;
};

FIXTURE_SETUP(swapped)
{
	if (geteuid())
		SKIP(return, "needs root");
	if (!*dev_p)
		SKIP(return, "needs a dax device whose memory is not in use, and dax_private");
	ASSERT_EQ(0, dax_write(dev_p, "state", "unplugged"));
	P = dax_plug(dev_p, "user+reclaim");
	ASSERT_LE(0, P);
	self->cluster = number_in(CLUSTER, "");
	ASSERT_EQ(0, write_file(CLUSTER, "3"));
	ASSERT_EQ(0, one_cpu());
	ASSERT_EQ(0, cgroups_mount("+memory"));
	ASSERT_EQ(0, cgroup_make("both", NULL));
	ASSERT_EQ(0, cgroup_enter("both"));
	ASSERT_EQ(0, neighbour_start(&self->his));
	area = map(LEN);
	fill_area('m');
}

FIXTURE_TEARDOWN(swapped)
{
	char text[16];

	if (!*dev_p || geteuid())
		return;
	neighbour_stop(&self->his);
	cgroup_enter("");
	cgroups_remove();
	snprintf(text, sizeof(text), "%ld", self->cluster);
	write_file(CLUSTER, text);
}

/* By a fault: this takes a disk that is waited for. */
TEST_F_TIMEOUT(swapped, neighbours_are_not_brought_along, TIMEOUT)
{
	unsigned long size;
	char path[64];

	if (!find_disk(path, &size))
		SKIP(return, "needs a disk that rotates, without anything on it");
	ASSERT_TRUE(swap_on_device(path, size));
	ASSERT_TRUE(both_out(&self->his));
	ASSERT_EQ(0, bind_range(area, LEN, MPOL_BIND | SV, nodes(P, -1), 0));
	EXPECT_TRUE(intact('m'));
	EXPECT_LT(0, count_on(area, LEN, P));
	/* Some of his have been read, but to where his go. */
	EXPECT_LT(0, ask(&self->his, COUNT_CACHED));
	EXPECT_EQ(1, ask(&self->his, TOUCH));
	EXPECT_EQ(0, ask(&self->his, COUNT_ON_P));
	swapoff(path);
}

int main(int argc, char **argv)
{
	return RUN_TESTS(argc, argv);
}
