// SPDX-License-Identifier: GPL-2.0
/*
 * Test what memfd_secret(2) is like where the kernel has pools of memory that is
 * absent from the direct map (CONFIG_UNMAPPED_PAGES): pages come from there, the
 * direct map stays as it is, and what is free goes back when somebody else needs
 * it. What is promised with or without pools is in secretmem.c.
 *
 * The counters are those of the whole system, so nobody else may use memory of
 * that kind meanwhile.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/suspend_ioctls.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "secretmem.h"

#define STATS		"/sys/kernel/debug/unmapped/stats"
#define RELEASE		"/sys/kernel/debug/unmapped/release"
#define TABLES		"/sys/kernel/debug/page_tables/kernel"
/* A block of the pools has so many pages. */
#define BLOCK		512
#define MANY		(8 * BLOCK)
#define CYCLES		1000
#define NR_THREADS	4
/* What an emulated machine with a debug kernel needs for them. */
#define CYCLES_SECONDS	600

/* What is in the pools and not in use, nor held by a CPU for its lists of the LRU. */
static long pool_free(void)
{
	write_text("/proc/sys/vm/drop_caches", "1");
	fold_counters();
	return number_of("/proc/vmstat", "nr_free_unmapped");
}

static long map_kb(const char *size)
{
	char key[32];

	snprintf(key, sizeof(key), "DirectMap%s", size);

	return number_of("/proc/meminfo", key);
}

static long splits(void)
{
	return number_of("/proc/vmstat", "direct_map_level2_splits");
}

/* Interrupts by which CPUs make others do something, such as to flush. */
static long calls(void)
{
	FILE *file = fopen("/proc/interrupts", "r");
	char *line = NULL, *word, *end;
	size_t size = 0;
	long sum = -1;

	if (!file)
		return -1;
	while (sum < 0 && getline(&line, &size, file) > 0) {
		word = line + strspn(line, " ");
		if (strncmp(word, "CAL:", 4))
			continue;
		sum = 0;
		for (word += 4; ; word = end) {
			long value = strtol(word, &end, 10);

			if (end == word)
				break;
			sum += value;
		}
	}
	free(line);
	fclose(file);

	return sum;
}

/* All blocks that nothing is used of leave the pools. */
static void release_all(void)
{
	write_text(RELEASE, "1");
}

static bool is_pattern(const char *page)
{
	for (size_t i = 0; i < psize(); i += PATTERN_SIZE)
		if (memcmp(page + i, pattern, PATTERN_SIZE))
			return false;

	return true;
}

FIXTURE(pool) {
	struct secret s;
};

FIXTURE_SETUP(pool)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	int fd = memfd_secret(0);

	if (fd < 0 && errno == ENOSYS)
		SKIP(return, "memfd_secret() is not supported");
	ASSERT_GE(fd, 0);
	close(fd);
	if (geteuid())
		SKIP(return, "needs root");
	if (access(STATS, R_OK) || access(RELEASE, W_OK))
		SKIP(return, "needs CONFIG_UNMAPPED_PAGES and debugfs");
	/* The direct map never has that again, nor what is in the same block. */
	if (number_of("/proc/meminfo", "HardwareCorrupted"))
		SKIP(return, "needs memory without errors");
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &all));

	fd = open("/dev/urandom", O_RDONLY);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(PATTERN_SIZE, read(fd, pattern, PATTERN_SIZE));
	close(fd);
	/* Zeroes are not to be taken for it. */
	pattern[0] = 0x5a;

	release_all();
	ASSERT_EQ(0, pool_free());
}

FIXTURE_TEARDOWN(pool)
{
}

/* Whole blocks leave the direct map. It is not split, and pages are used again. */
/*
 * The hierarchy of cgroups is seen by this test alone, and has groups of it below the
 * root, one at a time.
 */
#define GROUPS		"/tmp/secretmem_pool.cgroup"
#define GROUP		GROUPS "/test"

static int make_group(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	if (mkdir(GROUPS, 0700) && errno != EEXIST)
		return -errno;
	if (mount("none", GROUPS, "cgroup2", 0, NULL))
		return -errno;
	if (write_text(GROUPS "/cgroup.subtree_control", "+memory"))
		return -EOPNOTSUPP;

	return mkdir(GROUP, 0700) ? -errno : 0;
}

/* Populate so many pages, as a task of the group, and say so. Returns its exit status. */
static int populate_in_group(size_t nr, long *current)
{
	struct secret s;
	int status, fds[2];
	pid_t child;

	if (pipe(fds))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (!child) {
		long bytes;

		if (write_text(GROUP "/cgroup.procs", "0") || open_secret(&s, nr))
			_exit(1);
		populate(&s);
		bytes = number_of(GROUP "/memory.stat", "secretmem");
		close_secret(&s);
		_exit(write(fds[1], &bytes, sizeof(bytes)) != sizeof(bytes));
	}
	close(fds[1]);
	*current = -1;
	if (read(fds[0], current, sizeof(*current)) < 0)
		*current = -1;
	close(fds[0]);

	return waitpid(child, &status, 0) == child ? status : -errno;
}

/* Statistics of groups are summed up every two seconds. Returns what it was at last. */
static long wait_for(const char *path, const char *key, long most)
{
	long value = -1;

	for (int tries = 0; tries < 300; tries++) {
		value = number_of(path, key);
		if (value <= most)
			break;
		usleep(100000);
	}

	return value;
}

/*
 * Whoever is the first to use such memory, which this is when it is the first test of
 * a boot, has the kernel make what it needs for all: nothing of it is his.
 */
TEST_F(pool, group_goes)
{
	long before, charged;
	int ret = make_group();

	if (ret == -EOPNOTSUPP)
		SKIP(return, "needs the memory controller of cgroups");
	ASSERT_EQ(0, ret);
	before = number_of(GROUPS "/cgroup.stat", "nr_dying_descendants");
	EXPECT_EQ(0, populate_in_group(MANY, &charged));
	/* What has not been freed keeps the group, and it is not to be of this test. */
	EXPECT_GE(pool_free(), MANY);
	ASSERT_EQ(0, rmdir(GROUP));
	EXPECT_LE(wait_for(GROUPS "/cgroup.stat", "nr_dying_descendants", before), before);
}

TEST_F(pool, group_is_charged)
{
	int ret = make_group();
	long charged;

	if (ret == -EOPNOTSUPP)
		SKIP(return, "needs the memory controller of cgroups");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(0, populate_in_group(MANY, &charged));
	EXPECT_EQ((long)(MANY * psize()), charged);
	pool_free();
	EXPECT_EQ(0, wait_for(GROUP "/memory.stat", "secretmem", 0));
	EXPECT_EQ(0, rmdir(GROUP));
}

/* A page that cannot be charged is free again, and whoever wants too much is killed. */
TEST_F(pool, group_limit)
{
	int status, ret = make_group();
	long charged;

	if (ret == -EOPNOTSUPP)
		SKIP(return, "needs the memory controller of cgroups");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, write_text(GROUP "/memory.max", "8M"));
	status = populate_in_group(MANY, &charged);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		TH_LOG("status %x, of %ld bytes", status, charged);
	}
	EXPECT_GE(number_of(GROUP "/memory.events", "oom_kill"), 1);
	EXPECT_EQ(0, pool_free() % BLOCK);
	release_all();
	EXPECT_EQ(0, pool_free());
	EXPECT_EQ(0, rmdir(GROUP));
}

TEST_F(pool, used)
{
	long map_4k = map_kb("4k"), before = splits(), left, rounds;
	struct secret *s = &self->s;

	ASSERT_GE(before, 0);
	ASSERT_EQ(0, open_secret(s, MANY));
	EXPECT_EQ(0, pool_free());
	populate(s);
	EXPECT_EQ(before, splits());
	EXPECT_EQ(map_4k, map_kb("4k"));
	left = number_of(STATS, "blocks_left");
	rounds = number_of(STATS, "rounds");
	close_secret(s);
	EXPECT_GE(pool_free(), MANY);
	EXPECT_EQ(0, pool_free() % BLOCK);

	/* The second time everything is there. */
	ASSERT_EQ(0, open_secret(s, MANY));
	populate(s);
	EXPECT_EQ(left, number_of(STATS, "blocks_left"));
	EXPECT_EQ(rounds, number_of(STATS, "rounds"));
	EXPECT_EQ(before, splits());
	close_secret(s);
}

/* With pages that are there, no CPU has to be told of anything. */
TEST_F(pool, no_flush)
{
	struct secret *s = &self->s;
	long before;

	if (calls() < 0 || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "needs another CPU, and its interrupts in /proc/interrupts");
	ASSERT_EQ(0, open_secret(s, MANY));
	populate(s);
	close_secret(s);

	ASSERT_EQ(0, open_secret(s, MANY));
	before = calls();
	for (size_t i = 0; i < s->nr; i++)
		*(volatile char *)(s->mem + i * psize()) = 1;
	/* Others have their own reasons, now and then. */
	EXPECT_LT(calls() - before, MANY / 16) {
		TH_LOG("%ld interrupts for %d pages", calls() - before, MANY);
	}
	close_secret(s);
}

struct toucher {
	pthread_barrier_t *barrier;
	struct secret *s;
};

static void *touch_all(void *data)
{
	struct toucher *t = data;

	for (size_t i = 0; i < t->s->nr; i++) {
		/* Together at the same page, time and again. */
		if (!(i % 16))
			pthread_barrier_wait(t->barrier);
		t->s->mem[i * psize()] = 1;
	}

	return NULL;
}

/* Who comes second to a page gives his back, as it was. */
TEST_F(pool, threads)
{
	struct secret *s = &self->s;
	pthread_t threads[NR_THREADS];
	pthread_barrier_t barrier;
	struct toucher t = { &barrier, s };
	long before = splits();

	pthread_barrier_init(&barrier, NULL, NR_THREADS);
	for (int round = 0; round < 4; round++) {
		ASSERT_EQ(0, open_secret(s, BLOCK));
		for (int i = 0; i < NR_THREADS; i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL, touch_all, &t));
		for (int i = 0; i < NR_THREADS; i++)
			pthread_join(threads[i], NULL);
		close_secret(s);
		EXPECT_EQ(0, pool_free() % BLOCK);
	}
	EXPECT_EQ(before, splits());
	release_all();
	EXPECT_EQ(0, pool_free());
}

/* Bind this thread to a CPU. */
static int run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);

	return sched_setaffinity(0, sizeof(set), &set);
}

static void *touch_elsewhere(void *data)
{
	struct toucher *t = data;
	bool moved = !run_on(sysconf(_SC_NPROCESSORS_ONLN) - 1);

	if (moved)
		populate(t->s);
	pthread_barrier_wait(t->barrier);
	/* Nor does this CPU do anything now that takes its batches to their lists. */
	pthread_barrier_wait(t->barrier);

	return moved ? t : NULL;
}

/*
 * The CPU that populated a page has a reference until it puts a batch of them on
 * the list where they belong. That keeps pages, and not what is in them.
 */
TEST_F(pool, erased_though_held)
{
	struct secret *s = &self->s;
	pthread_barrier_t barrier;
	struct toucher t = { &barrier, s };
	pthread_t thread;
	void *moved;
	long before;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "needs another CPU");
	ASSERT_EQ(0, run_on(0));
	pthread_barrier_init(&barrier, NULL, 2);
	ASSERT_EQ(0, open_secret(s, 8));
	ASSERT_EQ(0, pthread_create(&thread, NULL, touch_elsewhere, &t));
	pthread_barrier_wait(&barrier);
	before = number_of(STATS, "pages_erased");
	close_secret(s);
	EXPECT_LE(before + 8, number_of(STATS, "pages_erased"));
	pthread_barrier_wait(&barrier);
	pthread_join(thread, &moved);
	EXPECT_NE(NULL, moved);
}

/* What somebody has left in a page is not in the next one. */
TEST_F(pool, zero)
{
	struct secret *s = &self->s;

	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(0, open_secret(s, MANY));
		for (size_t i = 0; i < s->nr; i++)
			ASSERT_TRUE(all_zero(s->mem + i * psize(), psize()));
		populate(s);
		for (size_t i = 0; i < s->nr; i++)
			ASSERT_TRUE(is_pattern(s->mem + i * psize()));
		close_secret(s);
	}
}

/*
 * The kernel has no mapping of a page while it is in use, nor when it is free in
 * a pool. When it is mapped again there is nothing of the secret in it.
 */
TEST_F(pool, unreadable)
{
	unsigned long pfns[16];
	char *ordinary, *buf = malloc(psize());
	struct secret *s = &self->s;

	ASSERT_NE(NULL, buf);
	ordinary = mmap(NULL, psize(), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, ordinary);
	fill_page(ordinary);
	if (read_kcore(pfn_of(ordinary), buf) || !has_pattern(buf, psize()))
		SKIP(goto out, "/proc/kcore shows no memory at all");

	ASSERT_EQ(0, open_secret(s, 16));
	populate(s);
	for (int i = 0; i < 16; i++) {
		pfns[i] = pfn_of(s->mem + i * psize());
		ASSERT_NE(0, pfns[i]);
		EXPECT_TRUE(read_kcore(pfns[i], buf) || all_zero(buf, psize()));
	}
	close_secret(s);
	for (int i = 0; i < 16; i++)
		EXPECT_TRUE(read_kcore(pfns[i], buf) || all_zero(buf, psize()));
	release_all();
	EXPECT_EQ(0, pool_free());
	for (int i = 0; i < 16; i++)
		if (!read_kcore(pfns[i], buf))
			EXPECT_FALSE(has_pattern(buf, psize()));
out:
	munmap(ordinary, psize());
	free(buf);
}

/* What page_tables says is absent from the direct map by large pages, in bytes. */
static unsigned long absent(void)
{
	FILE *file = fopen(TABLES, "r");
	unsigned long start, end, sum = 0;
	bool direct_map = false;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "---[", 4))
			direct_map = strstr(line, "Low Kernel Mapping");
		else if (direct_map && strstr(line, "pmd") && !strstr(line, "NX") &&
			 sscanf(line, "0x%lx-0x%lx", &start, &end) == 2)
			sum += end - start;
	}
	if (file)
		fclose(file);

	return sum;
}

/* Who looks at the page tables can see it. */
TEST_F(pool, page_tables)
{
	struct secret *s = &self->s;
	unsigned long before;

	if (access(TABLES, R_OK))
		SKIP(return, "needs CONFIG_PTDUMP_DEBUGFS");
	before = absent();
	ASSERT_EQ(0, open_secret(s, MANY));
	populate(s);
	EXPECT_LE(before + MANY * psize(), absent());
	close_secret(s);
	release_all();
	EXPECT_EQ(0, pool_free());
	EXPECT_EQ(before, absent());
}

/* Populated and freed time and again, secret memory leaves no traces in the direct map. */
TEST_F_TIMEOUT(pool, cycles, CYCLES_SECONDS)
{
	long map_4k, map_2m, before;
	struct secret *s = &self->s;

	/* What is made once. */
	ASSERT_EQ(0, open_secret(s, BLOCK));
	populate(s);
	close_secret(s);
	release_all();
	map_4k = map_kb("4k");
	map_2m = map_kb("2M");
	before = splits();

	for (int i = 0; i < CYCLES; i++) {
		ASSERT_EQ(0, open_secret(s, BLOCK));
		for (size_t page = 0; page < s->nr; page++)
			*(volatile char *)(s->mem + page * psize()) = 1;
		close_secret(s);
		/* Not from the same blocks all the time. */
		if (!(i % 50))
			release_all();
	}
	release_all();
	EXPECT_EQ(0, pool_free());
	EXPECT_EQ(map_4k, map_kb("4k"));
	EXPECT_EQ(map_2m, map_kb("2M"));
	EXPECT_EQ(before, splits());
}

/*
 * Whoever needs memory gets all of what is free in the pools. He is the one to be
 * killed when that is not enough.
 */
static void hog(void)
{
	size_t size = 2UL << 20;
	char *mem;

	write_text("/proc/self/oom_score_adj", "1000");
	for (;;) {
		mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (mem == MAP_FAILED)
			_exit(1);
	}
}

TEST_F_TIMEOUT(pool, pressure, 300)
{
	struct secret *s = &self->s, one;
	int status;
	pid_t child;

	/* A page in use keeps its block, and no other one. */
	ASSERT_EQ(0, open_secret(&one, 1));
	populate(&one);
	ASSERT_EQ(0, open_secret(s, 4 * MANY));
	populate(s);
	close_secret(s);
	EXPECT_GE(pool_free(), 4 * MANY - 1);

	child = fork();
	ASSERT_GE(child, 0);
	if (!child)
		hog();
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	EXPECT_LE(pool_free(), BLOCK - 1) {
		TH_LOG("%ld pages are still in the pools", pool_free());
	}
	EXPECT_TRUE(is_pattern(one.mem));
	close_secret(&one);
}

/* Which of some blocks of memory a page is in, or -1. */
static int block_of(char *page, const unsigned long *blocks, int nr)
{
	unsigned long block = pfn_of(page) / block_pages();

	for (int i = 0; i < nr; i++)
		if (blocks[i] == block)
			return i;

	return -1;
}

/*
 * Memory that is free in the pools of a node is not in the way of offlining it. What
 * the pages need besides is there before they are, and elsewhere; then memory is taken
 * until it comes from a block that can be offline, and some more.
 */
TEST_F_TIMEOUT(pool, offline, 300)
{
	unsigned long block, blocks[64];
	int nid = memory_only_node(), nr = 0, i;
	size_t page, more = MANY, used = 0;
	bool seen[64] = { };
	struct secret *s = &self->s;
	struct dirent *entry;
	char path[64];
	DIR *dir;

	if (nid == NO_NODE || !block_pages())
		SKIP(return, "needs a node of memory alone");
	snprintf(path, sizeof(path), NODES "node%d", nid);
	dir = opendir(path);
	ASSERT_NE(NULL, dir);
	while (nr < 64 && (entry = readdir(dir)))
		if (sscanf(entry->d_name, "memory%lu", &block) == 1 &&
		    !set_block(block, "offline"))
			blocks[nr++] = block;
	closedir(dir);
	if (!nr)
		SKIP(return, "needs a node with blocks that can be offline");
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, set_block(blocks[i], "online_kernel"));

	ASSERT_EQ(0, set_policy(MPOL_BIND, 0, 0));
	ASSERT_EQ(0, open_secret(s, 3 * block_pages()));
	for (page = 0; page < s->nr; page += 32)
		fill_page(s->mem + page * psize());
	ASSERT_EQ(0, set_policy(MPOL_BIND, nid, nid));
	for (page = 0; page < s->nr && more; page++) {
		if (!(page % 32))
			continue;
		fill_page(s->mem + page * psize());
		i = block_of(s->mem + page * psize(), blocks, nr);
		if (i >= 0)
			seen[i] = true;
		used += i >= 0;
		more -= !!used;
	}
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, 0, 0));
	EXPECT_LT(0, used);
	for (i = 0; i < nr; i++)
		if (seen[i])
			EXPECT_EQ(-EBUSY, set_block(blocks[i], "offline"));
	close_secret(s);
	EXPECT_GE(pool_free(), used);
	for (i = 0; i < nr; i++)
		if (seen[i])
			EXPECT_EQ(0, set_block(blocks[i], "offline"));
	for (i = 0; i < nr; i++)
		set_block(blocks[i], "online");
}

/*
 * An image is made of what the direct map has. So the pools have nothing while
 * there is one, and secret memory is made page by page, which hibernation refuses.
 */
TEST_F_TIMEOUT(pool, hibernate, 300)
{
	struct secret *s = &self->s, page;
	int snapshot, in_suspend = 0;
	long before;

	if (!contains_word(POWER_STATE, "disk") || access("/dev/snapshot", R_OK))
		SKIP(return, "hibernation by /dev/snapshot is not available");
	ASSERT_EQ(0, open_secret(s, MANY));
	populate(s);
	EXPECT_FALSE(contains_word(POWER_STATE, "disk"));
	close_secret(s);
	EXPECT_GE(pool_free(), MANY);
	EXPECT_TRUE(contains_word(POWER_STATE, "disk"));

	snapshot = open("/dev/snapshot", O_RDONLY);
	ASSERT_GE(snapshot, 0);
	EXPECT_EQ(0, pool_free());
	ASSERT_EQ(0, ioctl(snapshot, SNAPSHOT_FREEZE));
	EXPECT_EQ(0, ioctl(snapshot, SNAPSHOT_CREATE_IMAGE, &in_suspend)) {
		TH_LOG("no image after secret memory was freed: %s", strerror(errno));
	}
	EXPECT_EQ(1, in_suspend);
	ioctl(snapshot, SNAPSHOT_FREE);
	EXPECT_EQ(0, ioctl(snapshot, SNAPSHOT_UNFREEZE));

	/* There is secret memory as before, from elsewhere. */
	ASSERT_EQ(0, open_secret(&page, 1));
	populate(&page);
	EXPECT_TRUE(is_pattern(page.mem));
	EXPECT_EQ(0, pool_free());
	close_secret(&page);
	EXPECT_EQ(0, pool_free());
	close(snapshot);

	/* And then the pools are used again. */
	before = splits();
	ASSERT_EQ(0, open_secret(s, MANY));
	populate(s);
	EXPECT_EQ(before, splits());
	close_secret(s);
	EXPECT_GE(pool_free(), MANY);
}

/* What could not be populated is back in the pool, and what was freed early, too. */
TEST_F(pool, limit)
{
	struct rlimit few = { 8 * psize(), 8 * psize() };
	struct secret *s = &self->s;
	int status;
	pid_t child;

	ASSERT_EQ(0, open_secret(s, BLOCK));
	populate(s);
	close_secret(s);
	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		if (setrlimit(RLIMIT_MEMLOCK, &few) || open_secret(s, 16))
			_exit(1);
		/* The ninth page is one too many. */
		populate(s);
		_exit(2);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	EXPECT_EQ(0, pool_free() % BLOCK);
	release_all();
	EXPECT_EQ(0, pool_free());
}

TEST_HARNESS_MAIN
