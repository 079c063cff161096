// SPDX-License-Identifier: GPL-2.0
/*
 * Test demotion to private nodes: of memory of cgroups that were granted the
 * node, and of nothing else, and promotion from there.
 *
 * README says which change of the kernel each case is for.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "holder.h"

#define LRU_GEN		"/sys/kernel/mm/lru_gen/enabled"
#define DEMOTION	"/sys/kernel/mm/numa/demotion_enabled"
#define BALANCING	"/proc/sys/kernel/numa_balancing"
#define FEATURES	"reclaim+demotion"
#define MB		(1UL << 20)
#define HELD		(16 * MB)
#define PAGES		((long)(HELD / page))

/* Wait for something, no longer than @time seconds; whether it came */
#define WAIT_FOR(time, expression)					\
({									\
	int left_ = (time) * 20;					\
									\
	while (!(expression) && left_--)				\
		usleep(50000);						\
	left_ >= 0;							\
})

static int plug(const char *features, const char *adistance)
{
	if (dax_write(dev_p, "state", "unplugged") ||
	    dax_write(dev_p, "private/adistance", adistance))
		return -1;
	P = dax_plug(dev_p, features);
	return P;
}

/* The ordinary nodes with CPUs, and up to two more that are not -1 */
static int set_mems(const char *cgroup, int node, int more)
{
	struct mask mems = nodes(D, D1);

	node_add(&mems, node);
	node_add(&mems, more);
	return cgroup_set_mems(cgroup, &mems);
}

/* Who writes memory.reclaim must not matter. */
static void reclaim_cgroup(const char *cgroup)
{
	for (int i = 0; i < 4; i++)
		cgroup_write(cgroup, "memory.reclaim", "16M");
}

static bool reclaim_from_third(const char *cgroup)
{
	return !IN_CHILD(120, cgroup_enter("third") ||
			 (reclaim_cgroup(cgroup), 0));
}

#define UNMAPPED	"/proc/sys/vm/min_unmapped_ratio"
#define SLAB		"/proc/sys/vm/min_slab_ratio"

/*
 * All cgroups, on the nodes with CPUs; the root's own memory is among it. Nothing
 * is done there unless some page cache is above a limit, or slab.
 */
static void reclaim_nodes(void)
{
	char path[128], unmapped[16] = "", slab[16] = "";

	read_file(UNMAPPED, unmapped, sizeof(unmapped));
	read_file(SLAB, slab, sizeof(slab));
	write_file(UNMAPPED, "0");
	write_file(SLAB, "0");
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), NODES "/node%d/reclaim",
			 D1 < 0 || i % 2 ? D : D1);
		write_file(path, "32M");
	}
	write_file(UNMAPPED, unmapped);
	write_file(SLAB, slab);
}

/* A number of memory.numa_stat: of a kind of memory, on a node */
static long numa_stat(const char *cgroup, const char *kind, int node)
{
	char path[256], text[8192], want[16], *line, *found;

	snprintf(path, sizeof(path), CGROUP "/%s/memory.%s", cgroup, "numa_stat");
	snprintf(want, sizeof(want), " N%d=", node);
	if (read_file(path, text, sizeof(text)) <= 0)
		return -1;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (strncmp(line, kind, strlen(kind)) || line[strlen(kind)] != ' ')
			continue;
		found = strstr(line, want);
		return found ? atol(found + strlen(want)) : -1;
	}
	return -1;
}

/* What is set for a case, and set back: how cold is told, and what is done with it */
struct settings {
	bool switched;
	char generations[16];
	char enabled[16];
	char balancing[16];
};

static const char *settings_missing(const char *generations)
{
	if (geteuid())
		return "needs root";
	if (!*dev_p)
		return "needs a dax device whose memory is not in use, and dax_private";
	if (access(DEMOTION, F_OK))
		return "needs CONFIG_NUMA_MIGRATION";
	if (*generations == 'y' && access(LRU_GEN, F_OK))
		return "needs CONFIG_LRU_GEN";
	return NULL;
}

static bool settings_set(struct settings *old, const char *generations)
{
	old->switched = !access(LRU_GEN, F_OK);
	read_file(BALANCING, old->balancing, sizeof(old->balancing));
	return (!old->switched ||
		(read_file(LRU_GEN, old->generations, sizeof(old->generations)) > 0 &&
		 !write_file(LRU_GEN, generations))) &&
	       read_file(DEMOTION, old->enabled, sizeof(old->enabled)) > 0 &&
	       !write_file(DEMOTION, "1");
}

static void settings_set_back(const struct settings *old)
{
	write_file(DEMOTION, old->enabled);
	if (old->switched)
		write_file(LRU_GEN, old->generations);
	if (*old->balancing)
		write_file(BALANCING, old->balancing);
}

FIXTURE(demotion)
{
	int log;
	long killed;
	bool ready;
	struct settings settings;
	struct holder granted, other;
};

/* What is cold is known by lists, or by generations. */
FIXTURE_VARIANT(demotion)
{
	const char *generations;
};

FIXTURE_VARIANT_ADD(demotion, lists)
{
	.generations = "n",
};

FIXTURE_VARIANT_ADD(demotion, generations)
{
	.generations = "y",
};

FIXTURE_SETUP(demotion)
{
	const char *missing = settings_missing(variant->generations);

	if (missing)
		SKIP(return, "%s", missing);
	if (cgroups_mount("+memory +cpuset")) {
		cgroups_remove();
		SKIP(return, "needs memory cgroups and cpusets of version 2");
	}
	self->ready = true;
	ASSERT_TRUE(settings_set(&self->settings, variant->generations));
	ASSERT_LE(0, plug(FEATURES, "default"));
	ASSERT_EQ(0, cgroup_make("granted", NULL));
	ASSERT_EQ(0, cgroup_make("other", NULL));
	ASSERT_EQ(0, cgroup_make("third", NULL));
	ASSERT_EQ(0, set_mems("granted", P, -1));
	ASSERT_EQ(0, set_mems("third", -1, -1));
	self->log = log_open();
	ASSERT_LE(0, self->log);
	self->killed = number_in("/proc/vmstat", "oom_kill ");
	ASSERT_LE(0, self->killed);
}

FIXTURE_TEARDOWN(demotion)
{
	if (!self->ready)
		return;
	holder_stop(&self->granted);
	holder_stop(&self->other);
	cgroup_remove("granted/below");
	cgroup_remove("granted");
	cgroup_remove("other");
	cgroup_remove("third");
	cgroups_remove();
	settings_set_back(&self->settings);
	EXPECT_EQ(self->killed, number_in("/proc/vmstat", "oom_kill "));
	EXPECT_FALSE(log_has(self->log, "page allocation failure"));
	close(self->log);
}

/*
 * Two cgroups with the same cold memory. One was granted the node, to the other it
 * is merely offered. Whoever reclaims, that of one goes there, of the other stays.
 */
enum who { ROOT, THIRD, WHOLE_NODES, NR_WHO };

static bool reclaim_both(enum who who)
{
	switch (who) {
	case THIRD:
		return reclaim_from_third("granted") && reclaim_from_third("other");
	case WHOLE_NODES:
		reclaim_nodes();
		return true;
	default:
		reclaim_cgroup("granted");
		reclaim_cgroup("other");
		return true;
	}
}

TEST_F_TIMEOUT(demotion, goes_by_grant, TIMEOUT)
{
	for (int huge = 0; huge < 2; huge++) {
		for (int who = 0; who < NR_WHO; who++) {
			ASSERT_TRUE(holder_start(&self->granted, "granted", HELD, -1, huge));
			ASSERT_TRUE(holder_start(&self->other, "other", HELD, -1, huge));
			ASSERT_EQ(0, holder_ask(&self->granted, HOLDER_COUNT, P));
			EXPECT_TRUE(reclaim_both(who));
			EXPECT_LT(PAGES / 2, holder_ask(&self->granted, HOLDER_COUNT, P))
				TH_LOG("huge %d, who %d", huge, who);
			EXPECT_EQ(0, holder_ask(&self->other, HOLDER_COUNT, P));
			EXPECT_LT(PAGES / 2 * (long)page, numa_stat("granted", "anon", P));
			EXPECT_EQ(0, numa_stat("other", "anon", P));
			EXPECT_EQ(1, holder_ask(&self->granted, HOLDER_INTACT, 0));
			EXPECT_EQ(1, holder_ask(&self->other, HOLDER_INTACT, 0));
			EXPECT_EQ(0, holder_stop(&self->granted));
			EXPECT_EQ(0, holder_stop(&self->other));
		}
	}
	EXPECT_LT(0, cgroup_number("granted", "memory.stat", "pgdemote_proactive "));
	EXPECT_EQ(0, cgroup_number("other", "memory.stat", "pgdemote_proactive "));
}

/* Huge pages go as such: the node is empty. */
TEST_F_TIMEOUT(demotion, huge_pages_stay_huge, TIMEOUT)
{
	long huge;

	ASSERT_TRUE(holder_start(&self->granted, "granted", HELD, -1, true));
	huge = cgroup_number("granted", "memory.stat", "anon_thp ");
	EXPECT_LT(0, huge);
	reclaim_cgroup("granted");
	EXPECT_LT(PAGES / 2, holder_ask(&self->granted, HOLDER_COUNT, P));
	EXPECT_EQ(huge, cgroup_number("granted", "memory.stat", "anon_thp "));
	EXPECT_EQ(huge, numa_stat("granted", "anon_thp", P) +
			numa_stat("granted", "anon_thp", D) +
			(D1 < 0 ? 0 : numa_stat("granted", "anon_thp", D1)));
	EXPECT_LT(huge / 2, numa_stat("granted", "anon_thp", P));
}

/* What was granted to a cgroup those below it have, too. */
TEST_F_TIMEOUT(demotion, grants_are_for_those_below, TIMEOUT)
{
	static const char * const controllers[] = { "+memory -cpuset", "+memory +cpuset" };

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, cgroup_write("granted", "cgroup.subtree_control",
					  controllers[i]));
		ASSERT_EQ(0, cgroup_make("granted/below", NULL));
		ASSERT_TRUE(holder_start(&self->granted, "granted/below", HELD, -1, false));
		reclaim_cgroup("granted/below");
		EXPECT_LT(PAGES / 2, holder_ask(&self->granted, HOLDER_COUNT, P))
			TH_LOG("with %s", controllers[i]);
		EXPECT_EQ(0, holder_stop(&self->granted));
		cgroup_remove("granted/below");
	}
}

/* A CPU of the first node, so that memory is from there */
static bool run_on_first_node(void)
{
	char path[64], text[64];
	cpu_set_t cpus;

	snprintf(path, sizeof(path), NODES "/node%d/cpulist", D);
	if (read_file(path, text, sizeof(text)) <= 0)
		return false;
	CPU_ZERO(&cpus);
	CPU_SET(atoi(text), &cpus);
	return !sched_setaffinity(0, sizeof(cpus), &cpus);
}

#define MUCH_FREE	(64 << 10)	/* KiB */

/* Use up the first node, slowly when little is left */
static int eat(void)
{
	const size_t len = 4UL << 30;
	char *area = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t done = 0, step;

	if (area == MAP_FAILED || cgroup_enter("third") ||
	    bind_range(area, len, MPOL_BIND, nodes(D, -1), 0))
		return 1;
	madvise(area, len, MADV_HUGEPAGE);
	while (done < len) {
		step = 2 * MB;
		if (node_kb(D, "MemFree:") < MUCH_FREE) {
			madvise(area + done, len - done, MADV_NOHUGEPAGE);
			step = MB / 4;
			usleep(20000);
		}
		touch(area + done, step);
		done += step;
	}
	return 0;
}

/* kswapd, when the node of both is short of memory */
TEST_F_TIMEOUT(demotion, kswapd_demotes, TIMEOUT)
{
	pid_t eater;

	ASSERT_TRUE(run_on_first_node());
	ASSERT_TRUE(holder_start(&self->granted, "granted", HELD, -1, false));
	ASSERT_TRUE(holder_start(&self->other, "other", HELD, -1, false));
	ASSERT_EQ(PAGES, holder_ask(&self->other, HOLDER_COUNT, D));
	eater = fork();
	if (!eater) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(eat());
	}
	EXPECT_TRUE(WAIT_FOR(120, holder_ask(&self->granted, HOLDER_COUNT, P) > PAGES / 4));
	kill(eater, SIGKILL);
	wait_for(eater);
	EXPECT_LT(0, cgroup_number("granted", "memory.stat", "pgdemote_kswapd "));
	EXPECT_EQ(0, cgroup_number("other", "memory.stat", "pgdemote_kswapd "));
	EXPECT_EQ(0, holder_ask(&self->other, HOLDER_COUNT, P));
	EXPECT_EQ(1, holder_ask(&self->granted, HOLDER_INTACT, 0));
	EXPECT_EQ(1, holder_ask(&self->other, HOLDER_INTACT, 0));
}

/* A full node is passed: what is cold stays or, if there is swap, goes there. */
TEST_F_TIMEOUT(demotion, full_nodes_are_passed, TIMEOUT)
{
	char *all;
	size_t len;

	if (access(ZRAM, F_OK))
		SKIP(return, "needs swap and zram");
	ASSERT_LE(0, plug("user+" FEATURES, "default"));
	ASSERT_EQ(0, set_mems("granted", P, -1));
	all = fill(P, &len);
	ASSERT_NE(NULL, all);
	ASSERT_EQ(0, mlock(all, len));
	for (int swap = 0; swap < 2; swap++) {
		if (swap)
			ASSERT_TRUE(swap_on());
		ASSERT_TRUE(holder_start(&self->granted, "granted", HELD, -1, false));
		reclaim_cgroup("granted");
		EXPECT_GT(PAGES / 8, holder_ask(&self->granted, HOLDER_COUNT, P));
		if (swap) {
			EXPECT_LT(PAGES / 2 * (long)page,
				  cgroup_number("granted", "memory.swap.current", ""));
		} else {
			EXPECT_EQ(PAGES, holder_ask(&self->granted, HOLDER_COUNT, P) +
					 holder_ask(&self->granted, HOLDER_COUNT, D) +
					 holder_ask(&self->granted, HOLDER_COUNT, D1));
		}
		EXPECT_EQ(1, holder_ask(&self->granted, HOLDER_INTACT, 0));
		EXPECT_EQ(0, holder_stop(&self->granted));
	}
	swap_off();
	munmap(all, len);
}

/* Shared memory is whose it is charged to, whoever has it mapped. */
static int fill_as(const char *cgroup, char *area, char what)
{
	if (cgroup_enter(cgroup))
		return 1;
	memset(area, what, HELD);
	return 0;
}

static int reads_as(const char *cgroup, const char *area, char what)
{
	if (cgroup_enter(cgroup))
		return 1;
	for (size_t i = 0; i < HELD; i++)
		if (area[i] != what)
			return 1;
	return 0;
}

TEST_F_TIMEOUT(demotion, shared_memory_goes_by_charge, TIMEOUT)
{
	char *first = mmap(NULL, HELD, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *second = mmap(NULL, HELD, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, first);
	ASSERT_NE(MAP_FAILED, second);
	ASSERT_EQ(0, IN_CHILD(60, fill_as("granted", first, 1)));
	ASSERT_EQ(0, IN_CHILD(60, fill_as("other", second, 2)));
	EXPECT_EQ(0, IN_CHILD(60, reads_as("other", first, 1)));
	EXPECT_EQ(0, IN_CHILD(60, reads_as("granted", second, 2)));
	/* It was used by two, which takes more than once. */
	EXPECT_TRUE(WAIT_FOR(30, (reclaim_cgroup("granted"), reclaim_cgroup("other"),
				  numa_stat("granted", "shmem", P) > (long)HELD / 2)));
	EXPECT_EQ(0, numa_stat("other", "shmem", P));
	EXPECT_EQ(0, IN_CHILD(60, reads_as("other", first, 1)));
	EXPECT_EQ(0, IN_CHILD(60, reads_as("granted", second, 2)));
	/* Who reads it does not bring it back. */
	EXPECT_LT((long)HELD / 2, numa_stat("granted", "shmem", P));
	munmap(first, HELD);
	munmap(second, HELD);
}

/* In another cgroup: what a child writes is its own then, and not on the node. */
static int child_writes(char *area)
{
	const long before = count_on(area, HELD, P);

	if (cgroup_enter("other") || before <= PAGES / 2)
		return 1;
	memset(area, 3, HELD);
	return count_on(area, HELD, P) || numa_stat("other", "anon", P);
}

static int forks(void)
{
	char *area = map(HELD);

	if (!area || cgroup_enter("granted"))
		return 1;
	memset(area, 2, HELD);
	reclaim_cgroup("granted");
	if (count_on(area, HELD, P) <= PAGES / 2 ||
	    IN_CHILD(60, child_writes(area)) || count_on(area, HELD, P) <= PAGES / 2)
		return 1;
	for (size_t i = 0; i < HELD; i++)
		if (area[i] != 2)
			return 1;
	return 0;
}

TEST_F_TIMEOUT(demotion, forks_copy_to_ordinary_nodes, TIMEOUT)
{
	EXPECT_EQ(0, IN_CHILD(120, forks()));
	EXPECT_EQ(0, numa_stat("other", "anon", P));
}

/* The owner does not want pins, nor has the program asked to be on its node. */
static int pins(void)
{
	const size_t len = 16 * page;
	char *area = map(len);
	int ring = ring_open();

	if (!area || ring < 0 || cgroup_enter("granted"))
		return 1;
	memset(area, 5, len);
	reclaim_cgroup("granted");
	if (!count_on(area, len, P))
		return 2;
	if (pin(ring, area, len) || count_on(area, len, P))
		return 3;
	reclaim_cgroup("granted");
	if (count_on(area, len, P) || unpin(ring))
		return 4;
	for (size_t i = 0; i < len; i++)
		if (area[i] != 5)
			return 5;
	return 0;
}

TEST_F_TIMEOUT(demotion, pins_bring_back, TIMEOUT)
{
	int ring = ring_open();

	if (ring < 0)
		SKIP(return, "needs io_uring");
	close(ring);
	EXPECT_EQ(0, IN_CHILD(60, pins()));
}

/* A limit reclaims, too: there is no swap. */
TEST_F_TIMEOUT(demotion, limits_demote, TIMEOUT)
{
	ASSERT_TRUE(holder_start(&self->granted, "granted", HELD, -1, false));
	ASSERT_TRUE(holder_start(&self->other, "other", HELD, -1, false));
	cgroup_write("granted", "memory.high", "4M");
	cgroup_write("other", "memory.high", "4M");
	EXPECT_LT(PAGES / 2, holder_ask(&self->granted, HOLDER_COUNT, P));
	EXPECT_EQ(0, holder_ask(&self->other, HOLDER_COUNT, P));
	cgroup_write("granted", "memory.high", "max");
	cgroup_write("other", "memory.high", "max");
	EXPECT_EQ(1, holder_ask(&self->granted, HOLDER_INTACT, 0));
	EXPECT_EQ(1, holder_ask(&self->other, HOLDER_INTACT, 0));
}

/* Nothing is demoted if the owner does not want it, or nobody does. */
TEST_F_TIMEOUT(demotion, takes_the_feature, TIMEOUT)
{
	for (int feature = 0; feature < 2; feature++) {
		ASSERT_LE(0, plug(feature ? FEATURES : "user+reclaim", "default"));
		ASSERT_EQ(0, write_file(DEMOTION, feature ? "0" : "1"));
		ASSERT_TRUE(holder_start(&self->granted, "granted", HELD, -1, false));
		reclaim_cgroup("granted");
		EXPECT_EQ(0, holder_ask(&self->granted, HOLDER_COUNT, P));
		EXPECT_EQ(0, holder_stop(&self->granted));
	}
}

/* Who copies what the root shows has not been granted anything. */
TEST_F_TIMEOUT(demotion, copies_grant_nothing, TIMEOUT)
{
	char mems[256];

	ASSERT_LT(0, read_file(CGROUP "/cpuset.mems.effective", mems, sizeof(mems)));
	ASSERT_EQ(0, cgroup_write("other", "cpuset.mems", mems));
	ASSERT_TRUE(holder_start(&self->other, "other", HELD, -1, false));
	reclaim_cgroup("other");
	EXPECT_EQ(0, holder_ask(&self->other, HOLDER_COUNT, P));
}

/*
 * The page cache is everybody's, whoever reads a file. It is reclaimed as if there
 * was no such node, and that on request, too. A block device has some.
 */
TEST_F_TIMEOUT(demotion, page_cache_stays, TIMEOUT)
{
	long before, after;
	char *text;
	int fd;

	if (access(ZRAM, F_OK))
		SKIP(return, "needs zram");
	write_file(ZRAM_SYS "reset", "1");
	ASSERT_EQ(0, write_file(ZRAM_SYS "disksize", "64M"));
	ASSERT_EQ(0, cgroup_enter("granted"));
	fd = open(ZRAM, O_RDWR);
	ASSERT_LE(0, fd);
	text = calloc(1, MB);
	ASSERT_NE(NULL, text);
	for (int i = 0; i < 16; i++)
		ASSERT_EQ((ssize_t)MB, write(fd, text, MB));
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(0, cgroup_enter("third"));
	before = cgroup_number("granted", "memory.stat", "file ");
	EXPECT_LE((long)(12 * MB), before);
	reclaim_cgroup("granted");
	after = cgroup_number("granted", "memory.stat", "file ");
	EXPECT_GT(before / 2, after);
	EXPECT_EQ(0, numa_stat("granted", "file", P));
	close(fd);
	free(text);
	cgroup_enter("");
	write_file(ZRAM_SYS "reset", "1");
}

/* A cgroup that loses the node has its memory on ordinary nodes then. */
TEST_F_TIMEOUT(demotion, ends_with_the_grant, TIMEOUT)
{
	ASSERT_TRUE(holder_start(&self->granted, "granted", HELD, -1, false));
	reclaim_cgroup("granted");
	ASSERT_LT(PAGES / 2, holder_ask(&self->granted, HOLDER_COUNT, P));
	ASSERT_EQ(0, set_mems("granted", -1, -1));
	EXPECT_TRUE(WAIT_FOR(30, !holder_ask(&self->granted, HOLDER_COUNT, P)));
	reclaim_cgroup("granted");
	EXPECT_EQ(0, holder_ask(&self->granted, HOLDER_COUNT, P));
	EXPECT_EQ(1, holder_ask(&self->granted, HOLDER_INTACT, 0));
}

/* What is used comes back. */
TEST_F_TIMEOUT(demotion, promotion_brings_back, TIMEOUT)
{
	if (access(BALANCING, F_OK))
		SKIP(return, "needs CONFIG_NUMA_BALANCING");
	ASSERT_EQ(0, write_file(BALANCING, "2"));
	ASSERT_TRUE(holder_start(&self->granted, "granted", HELD, -1, false));
	reclaim_cgroup("granted");
	EXPECT_LT(PAGES / 2, holder_ask(&self->granted, HOLDER_COUNT, P));
	EXPECT_TRUE(WAIT_FOR(120, holder_ask(&self->granted, HOLDER_WRITE, 0) ||
			     holder_ask(&self->granted, HOLDER_COUNT, P) < PAGES / 4));
	EXPECT_EQ(1, holder_ask(&self->granted, HOLDER_INTACT, 0));
}

/* The node goes and comes while memory is demoted. */
TEST_F_TIMEOUT(demotion, unplug_under_load, TIMEOUT)
{
	pid_t child;

	ASSERT_TRUE(holder_start(&self->granted, "granted", HELD, -1, false));
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			reclaim_cgroup("granted");
	}
	for (int i = 0; i < 5; i++) {
		EXPECT_TRUE(WAIT_FOR(30, holder_ask(&self->granted, HOLDER_COUNT, P) > 0));
		EXPECT_EQ(0, dax_write(dev_p, "state", "unplugged"));
		EXPECT_EQ(0, holder_ask(&self->granted, HOLDER_COUNT, P));
		EXPECT_EQ(1, holder_ask(&self->granted, HOLDER_INTACT, 0));
		EXPECT_EQ(P, dax_plug(dev_p, FEATURES));
	}
	kill(child, SIGKILL);
	wait_for(child);
	EXPECT_EQ(1, holder_ask(&self->granted, HOLDER_INTACT, 0));
}

/* Does a tier have these nodes, and no others? */
static bool tier_has(int tier, int node)
{
	char path[128], text[64], want[16];

	snprintf(path, sizeof(path),
		 "/sys/devices/virtual/memory_tiering/memory_tier%d/nodelist", tier);
	snprintf(want, sizeof(want), "%d\n", node);
	return read_file(path, text, sizeof(text)) > 0 && !strcmp(text, want);
}

/* The tier of a node is what its owner says; one above the others is no target. */
TEST_F_TIMEOUT(demotion, tiers_are_up_to_the_owner, TIMEOUT)
{
	ASSERT_LE(0, plug(FEATURES, "1024"));
	EXPECT_TRUE(tier_has(1024 >> 7, P));
	ASSERT_TRUE(holder_start(&self->granted, "granted", HELD, -1, false));
	reclaim_cgroup("granted");
	EXPECT_LT(PAGES / 2, holder_ask(&self->granted, HOLDER_COUNT, P));
	EXPECT_EQ(0, holder_stop(&self->granted));

	ASSERT_LE(0, plug(FEATURES, "128"));
	EXPECT_FALSE(tier_has(1024 >> 7, P));
	EXPECT_TRUE(tier_has(128 >> 7, P));
	ASSERT_TRUE(holder_start(&self->granted, "granted", HELD, -1, false));
	reclaim_cgroup("granted");
	EXPECT_EQ(0, holder_ask(&self->granted, HOLDER_COUNT, P));
	EXPECT_EQ(0, holder_stop(&self->granted));

	ASSERT_LE(0, plug("user+reclaim", "1024"));
	EXPECT_FALSE(tier_has(128 >> 7, P));
	EXPECT_FALSE(tier_has(1024 >> 7, P));
}

/*
 * With a public node below, at the distance that kmem has by default, and ours
 * above the ordinary ones, beside them, in between, beside the public one, and
 * below it: everybody's demotion is what it is without ours.
 */
TEST_F_TIMEOUT(demotion, public_tiers_stay, TIMEOUT)
{
	static const char * const adistances[] = { "128", "576", "1024", "2880", "5000" };
	const int node = dax_number(dev_u, "target_node");
	char want[64];

	if (!*dev_u || access(DAX "/drivers/kmem", F_OK))
		SKIP(return, "needs two dax devices, and kmem");
	ASSERT_TRUE(dax_to_kmem(dev_u));
	ASSERT_LT(0, node_kb(node, "MemTotal:"));
	ASSERT_EQ(0, set_mems("granted", P, node));
	snprintf(want, sizeof(want), "Demotion targets for Node %d: preferred: %d,",
		 D, node);

	for (int i = 0; i < 5; i++) {
		const int goes_to = i < 2 ? node : P;

		/* What is told from here on is with it. */
		ASSERT_EQ(0, dax_write(dev_p, "state", "unplugged"));
		log_has(self->log, "");
		ASSERT_LE(0, plug(FEATURES, adistances[i]));
		EXPECT_TRUE(log_has(self->log, want))
			TH_LOG("at %s", adistances[i]);
		ASSERT_TRUE(holder_start(&self->other, "other", HELD, -1, false));
		ASSERT_TRUE(holder_start(&self->granted, "granted", HELD, -1, false));
		reclaim_cgroup("other");
		EXPECT_LT(PAGES / 2, holder_ask(&self->other, HOLDER_COUNT, node));
		EXPECT_EQ(0, holder_ask(&self->other, HOLDER_COUNT, P));
		/* If more is asked for, what is in between goes on from there. */
		EXPECT_EQ(0, cgroup_write("granted", "memory.reclaim", "4M"));
		EXPECT_LT(0, holder_ask(&self->granted, HOLDER_COUNT, goes_to))
			TH_LOG("at %s", adistances[i]);
		if (i != 2) {
			EXPECT_EQ(0, holder_ask(&self->granted, HOLDER_COUNT,
						goes_to == P ? node : P));
		}
		EXPECT_EQ(1, holder_ask(&self->granted, HOLDER_INTACT, 0));
		EXPECT_EQ(1, holder_ask(&self->other, HOLDER_INTACT, 0));
		EXPECT_EQ(0, holder_stop(&self->other));
		EXPECT_EQ(0, holder_stop(&self->granted));
	}
	EXPECT_TRUE(dax_from_kmem(dev_u));
}

/* Without what can be granted something: the root, or no cgroups that fit */
FIXTURE(nobody)
{
	bool ready, cgroup;
	struct settings settings;
	struct holder holder;
};

FIXTURE_VARIANT(nobody)
{
	const char *generations;
};

FIXTURE_VARIANT_ADD(nobody, lists)
{
	.generations = "n",
};

FIXTURE_VARIANT_ADD(nobody, generations)
{
	.generations = "y",
};

FIXTURE_SETUP(nobody)
{
	const char *missing = settings_missing(variant->generations);

	if (missing)
		SKIP(return, "%s", missing);
	if (!*dev_u || access(DAX "/drivers/kmem", F_OK))
		SKIP(return, "needs two dax devices, and kmem");
	self->ready = true;
	self->cgroup = !cgroups_mount("+memory");
	ASSERT_TRUE(settings_set(&self->settings, variant->generations));
	ASSERT_TRUE(dax_to_kmem(dev_u));
	ASSERT_LE(0, plug(FEATURES, "default"));
}

FIXTURE_TEARDOWN(nobody)
{
	if (!self->ready)
		return;
	holder_stop(&self->holder);
	if (self->cgroup)
		cgroup_remove("held");
	cgroups_remove();
	settings_set_back(&self->settings);
	EXPECT_TRUE(dax_from_kmem(dev_u));
}

/* They have the public node as a target, so something was done. */
TEST_F_TIMEOUT(nobody, the_root_has_no_target, TIMEOUT)
{
	const int node = dax_number(dev_u, "target_node");

	ASSERT_TRUE(holder_start(&self->holder, "", HELD, -1, false));
	reclaim_nodes();
	EXPECT_LT(PAGES / 2, holder_ask(&self->holder, HOLDER_COUNT, node));
	EXPECT_EQ(0, holder_ask(&self->holder, HOLDER_COUNT, P));
	EXPECT_EQ(1, holder_ask(&self->holder, HOLDER_INTACT, 0));
}

TEST_F_TIMEOUT(nobody, cgroups_without_cpuset_have_none, TIMEOUT)
{
	const int node = dax_number(dev_u, "target_node");

	if (!self->cgroup)
		SKIP(return, "needs memory cgroups of version 2");
	ASSERT_EQ(0, cgroup_make("held", NULL));
	ASSERT_TRUE(holder_start(&self->holder, "held", HELD, -1, false));
	reclaim_cgroup("held");
	EXPECT_LT(PAGES / 2, holder_ask(&self->holder, HOLDER_COUNT, node));
	EXPECT_EQ(0, holder_ask(&self->holder, HOLDER_COUNT, P));
	EXPECT_EQ(1, holder_ask(&self->holder, HOLDER_INTACT, 0));
}

int main(int argc, char **argv)
{
	return RUN_TESTS(argc, argv);
}
