// SPDX-License-Identifier: GPL-2.0
/*
 * Test private nodes made of dax devices: binding, plugging and unplugging
 * them, what is refused and how, and that ordinary memory and ordinary
 * allocations do not notice.
 *
 * The devices are what the machine has: any dax device whose memory is not in
 * use. They are taken from their drivers before the first case, and given back
 * after the last. Some cases need two, or the files of CONFIG_TEST_PRIVATE_NODE,
 * and skip otherwise.
 *
 * PRIVATE_NODE_CYCLES in the environment is how often to plug and unplug
 * (default 10).
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <linux/kernel-page-flags.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dax.h"

#define BLOCKS		"/sys/devices/system/memory"
#define HOOK		"/sys/kernel/debug/test_private_node"
#define POISON		"/sys/kernel/debug/hwpoison/corrupt-pfn"
#define LEFT		DAX "/drivers/" OURS "/left_behind"
#define SOFT_OFFLINE	"/sys/devices/system/memory/soft_offline_page"

#define NOBODY		65534
#define MAX_DEVICES	8
#define MAX_NODES	1024
#define MAX_BLOCKS	4096
/* The largest block of the buddy allocator. */
#define MAX_ORDER_PAGES	1024
#define TEXT		65536
/* With a debug kernel on an emulated CPU. */
#define TIMEOUT		900
/* How long an unplug that cannot end is let go on. */
#define UNPLUG_SECONDS	60
/* How long something that a signal ends may go on. */
#define SIGNAL_SECONDS	30
/* Left free under pressure, so that nobody is killed for lack of memory. */
#define MARGIN_KB	(64L << 10)
/* What is left to be touched under pressure, if the hook can hold the rest. */
#define PRESSURE_KB	(512L << 10)

struct dax {
	char name[32];
	char driver[32];
	int target_node;
	unsigned long long size;
};

/* What the zones of a node add up to, in pages. */
struct zones {
	unsigned long free;
	unsigned long managed;
	char names[128];
};

static int dax_node(const struct dax *dax)
{
	return atoi(dax_read(dax->name, "private/node"));
}

/*
 * The nodes that were reserved at boot, as the kernel log lists them: "" if it
 * says nothing, NULL if it does not go back to boot any more.
 */
static const char *reserved_nodes(void)
{
	static const char key[] = "private_node: reserved nodes: ";
	static char record[8192], list[4096];
	bool first = true, complete = false;
	ssize_t len;
	int fd;

	*list = '\0';
	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	/* One record each, "priority,number,time,flags;text". EPIPE: some are gone. */
	while ((len = read(fd, record, sizeof(record) - 1)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		unsigned long long number;
		char *text;

		if (len < 0) {
			complete = false;
			continue;
		}
		record[len] = '\0';
		if (first && sscanf(record, "%*u,%llu,", &number) == 1)
			complete = !number;
		first = false;
		text = strchr(record, ';');
		if (text && !strncmp(text + 1, key, strlen(key)))
			snprintf(list, sizeof(list), "%.*s",
				 (int)strcspn(text + 1 + strlen(key), "\n"),
				 text + 1 + strlen(key));
	}
	close(fd);
	return *list || complete ? list : NULL;
}

/* A line of /proc/meminfo in kB, or -1. */
static long memory_kb(const char *key)
{
	char buf[8192], *line;

	if (read_file("/proc/meminfo", buf, sizeof(buf)) < 0)
		return -1;
	for (line = strtok(buf, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			return atol(line + strlen(key) + 1);
	return -1;
}

/*
 * Walk /proc/zoneinfo: add up what node @nid has, and put what must not change
 * for the other nodes into @others, if given.
 */
static bool node_zones(int nid, struct zones *zones, char *others, size_t size)
{
	static char buf[1 << 20];
	unsigned long free = 0, boost = 0;
	char zone[32], *line;
	int node = -1;
	size_t len = 0;

	memset(zones, 0, sizeof(*zones));
	/* What CPUs have counted for themselves is in the sums then. */
	write_file("/proc/sys/vm/stat_refresh", "1");
	if (read_file("/proc/zoneinfo", buf, sizeof(buf)) < 0)
		return false;
	for (line = strtok(buf, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned long value;
		char key[32];

		if (sscanf(line, "Node %d, zone %31s", &node, zone) == 2)
			continue;
		if (sscanf(line, " pages free %lu", &value) == 1) {
			free = value;
			continue;
		}
		if (node == nid && sscanf(line, " count: %lu", &value) == 1) {
			zones->free += value;
			continue;
		}
		if (strstr(line, "protection:")) {
			if (node != nid && others)
				len += snprintf(others + len, size - len,
						"%d %s%s\n", node, zone, line);
		} else if (sscanf(line, " %31s %lu", key, &value) != 2) {
			continue;
		} else if (!strcmp(key, "boost")) {
			/* Comes and goes with fragmentation, part of the rest. */
			boost = value;
		} else if (node == nid && !strcmp(key, "managed") && value) {
			zones->free += free;
			zones->managed += value;
			snprintf(zones->names + strlen(zones->names),
				 sizeof(zones->names) - strlen(zones->names),
				 "%s ", zone);
		} else if (node != nid && others &&
			   (!strcmp(key, "min") || !strcmp(key, "low") ||
			    !strcmp(key, "high"))) {
			len += snprintf(others + len, size - len,
					"%d %s %s %lu\n", node, zone, key,
					value - boost);
		} else if (node != nid && others && !strcmp(key, "managed")) {
			len += snprintf(others + len, size - len,
					"%d %s %s %lu\n", node, zone, key,
					value);
		}
		if (others && len >= size)
			return false;
	}
	return true;
}

/*
 * Free pages are those of the buddy allocator and of the lists of the CPUs,
 * which zoneinfo reads one after the other while pages go from there to here.
 * Wait for a look in between.
 */
static bool all_free_but(int nid, struct zones *zones, unsigned long lost)
{
	int tries;

	for (tries = 0; tries < 50; tries++) {
		if (!node_zones(nid, zones, NULL, 0) || !zones->managed)
			return false;
		if (zones->free + lost == zones->managed)
			return true;
		usleep(100000);
	}
	return false;
}

static bool all_free(int nid, struct zones *zones)
{
	return all_free_but(nid, zones, 0);
}

static int count_entries(const char *path, const char *prefix)
{
	struct dirent *entry;
	int count = 0;
	DIR *dir = opendir(path);

	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		count += !strncmp(entry->d_name, prefix, strlen(prefix));
	closedir(dir);
	return count;
}

/* The memory blocks of a node, at most @max. */
static int node_blocks(int nid, int *blocks, int max)
{
	struct dirent *entry;
	char path[64];
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), NODES "/node%d", nid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (count < max && (entry = readdir(dir)))
		count += sscanf(entry->d_name, "memory%d", &blocks[count]) == 1;
	closedir(dir);
	return count;
}

/* Does a memory block of a node have this state? */
static bool some_block_is(int nid, const char *state)
{
	int blocks[MAX_BLOCKS];
	int count = node_blocks(nid, blocks, MAX_BLOCKS);
	char path[64], buf[32];

	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), BLOCKS "/memory%d/state", blocks[i]);
		if (read_file(path, buf, sizeof(buf)) < 0)
			continue;
		buf[strcspn(buf, "\n")] = '\0';
		if (!strcmp(buf, state))
			return true;
	}
	return false;
}

/* Write to the state of each memory block of a node, returns an errno. */
static int blocks_write(int nid, const char *state)
{
	int blocks[MAX_BLOCKS];
	int count = node_blocks(nid, blocks, MAX_BLOCKS);
	char path[64];
	int error = 0;

	for (int i = 0; i < count && !error; i++) {
		snprintf(path, sizeof(path), BLOCKS "/memory%d/state", blocks[i]);
		error = write_file(path, state);
	}
	return count ? error : ENOENT;
}

/* How many resources in /proc/iomem have this name? */
static int iomem_lines(const char *name)
{
	static char buf[TEXT];
	int count = 0;
	char *line;

	if (read_file("/proc/iomem", buf, sizeof(buf)) < 0)
		return -1;
	for (line = strtok(buf, "\n"); line; line = strtok(NULL, "\n")) {
		char *colon = strstr(line, " : ");

		count += colon && !strcmp(colon + 3, name);
	}
	return count;
}

/* Everything that has to be as before when memory was plugged and unplugged. */
struct traces {
	char iomem[TEXT];
	char zones[TEXT];
	char online[4096];
	int blocks;
	long total;
	long commit_limit;
};

static bool traces(struct traces *traces)
{
	struct zones zones;

	memset(traces, 0, sizeof(*traces));
	traces->blocks = count_entries(BLOCKS, "memory");
	traces->total = memory_kb("MemTotal");
	traces->commit_limit = memory_kb("CommitLimit");
	return read_file("/proc/iomem", traces->iomem, TEXT) > 0 &&
	       read_file(NODES "/online", traces->online, 4096) > 0 &&
	       node_zones(-1, &zones, traces->zones, TEXT);
}

/* Names the first thing that is not as it was; "" if all of it is. */
static const char *traces_differ(const struct traces *before)
{
	static struct traces now;

	if (!traces(&now))
		return "cannot be read";
	if (strcmp(before->iomem, now.iomem))
		return "/proc/iomem";
	if (strcmp(before->zones, now.zones))
		return "zones of other nodes";
	if (strcmp(before->online, now.online))
		return "online nodes";
	if (before->blocks != now.blocks)
		return "number of memory blocks";
	if (before->total != now.total)
		return "MemTotal";
	if (before->commit_limit != now.commit_limit)
		return "CommitLimit";
	return "";
}

static int hook_alloc(const char *format, int nid, unsigned long count)
{
	char text[128];

	snprintf(text, sizeof(text), format, nid, count);
	return write_file(HOOK "/alloc", text);
}

/*
 * Give the hook all @count pages of a node, or as many as there are. A CPU counts
 * for itself what it takes from the lists of others, and no watermark knows of
 * that until it is added up: a request can fail before the node is full.
 */
static void hook_fill(int nid, unsigned long count)
{
	do {
		write_file("/proc/sys/vm/stat_refresh", "1");
	} while (!hook_alloc("nid=%d count=%lu key", nid, count));
}

/* Pages that the hook holds on a node, on all others if @others. */
static long hook_held(int nid, bool others)
{
	char buf[4096], *line;
	long sum = 0;

	if (read_file(HOOK "/held", buf, sizeof(buf)) < 0)
		return -1;
	for (line = strtok(buf, "\n"); line; line = strtok(NULL, "\n")) {
		long pages;
		int node;

		if (sscanf(line, "node %d: %ld", &node, &pages) == 2 &&
		    (others ? node != nid : node == nid))
			sum += pages;
	}
	return sum;
}

/* Nobody uses its memory, and it is not managed by a driver we do not know. */
static bool dax_usable(const struct dax *dax)
{
	const char *state = dax_read(dax->name, "state");

	if (!dax->size || dax->target_node < 0)
		return false;
	if (!strcmp(dax->driver, "kmem"))
		return !strcmp(state, "unplugged") || !strcmp(state, "offline");
	return !*dax->driver || !strcmp(dax->driver, OURS) ||
	       !strcmp(dax->driver, "device_dax");
}

/* How much of it is whole memory blocks, for a device with one range. */
static unsigned long long dax_usable_size(const struct dax *dax)
{
	unsigned long long start, end, block;
	char buf[32];

	if (read_file(BLOCKS "/block_size_bytes", buf, sizeof(buf)) < 0)
		return 0;
	block = strtoull(buf, NULL, 16);
	start = strtoull(dax_read(dax->name, "resource"), NULL, 0);
	end = start + strtoull(dax_read(dax->name, "size"), NULL, 0);
	start = (start + block - 1) / block * block;
	end = end / block * block;
	return end > start ? end - start : 0;
}

static int dax_by_name(const void *a, const void *b)
{
	return strcmp(((const struct dax *)a)->name,
		      ((const struct dax *)b)->name);
}

static int dax_find(struct dax *dax)
{
	DIR *dir = opendir(DAX "/devices");
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return 0;
	while (count < MAX_DEVICES && (entry = readdir(dir))) {
		struct dax *new = &dax[count];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(new->name, sizeof(new->name), "%.31s", entry->d_name);
		dax_driver(new->name, new->driver, sizeof(new->driver));
		new->size = strtoull(dax_read(new->name, "size"), NULL, 0);
		if (sscanf(dax_read(new->name, "target_node"), "%d", &new->target_node) != 1)
			new->target_node = -1;
		count += dax_usable(new);
	}
	closedir(dir);
	qsort(dax, count, sizeof(*dax), dax_by_name);
	return count;
}

static bool dax_bind(const struct dax *dax)
{
	/* The id makes it match; if it is there already, that is all it does. */
	return !driver_write(OURS, "new_id", dax->name) && dax_is_ours(dax->name);
}

/* Bound to our driver, unplugged, and with the settings that it comes with. */
static bool dax_take(const struct dax *dax)
{
	char driver[32];

	dax_driver(dax->name, driver, sizeof(driver));
	if (strcmp(driver, OURS)) {
		if (*driver && driver_write(driver, "unbind", dax->name))
			return false;
		if (!dax_bind(dax))
			return false;
	}
	return !dax_write(dax->name, "state", "unplugged") &&
	       !dax_write(dax->name, "private/target_node", "default") &&
	       !dax_write(dax->name, "private/features", "default") &&
	       !dax_write(dax->name, "private/adistance", "default");
}

static void dax_give_back(const struct dax *dax)
{
	if (dax_is_ours(dax->name)) {
		dax_write(dax->name, "state", "unplugged");
		driver_write(OURS, "unbind", dax->name);
	}
	driver_write(OURS, "remove_id", dax->name);
	if (*dax->driver)
		driver_write(dax->driver, "bind", dax->name);
}

/* The devices, found and taken by main() for all cases. */
static struct dax devices[MAX_DEVICES];
static int nr_devices;
static pid_t main_pid;

/* What a plugged device lacks to be one, "" for nothing. */
static const char *not_plugged(const struct dax *dax, int node)
{
	if (strcmp(dax_read(dax->name, "state"), "online"))
		return "state is not online";
	if (dax_node(dax) != node)
		return "another node";
	if (!node_in("has_private_memory", node))
		return "not in has_private_memory";
	if (node_in("has_memory", node))
		return "in has_memory";
	if (node_in("has_normal_memory", node))
		return "in has_normal_memory";
	return "";
}

/* The same for an unplugged one, and for a node that nobody else plugged. */
static const char *not_unplugged(const struct dax *dax, int node)
{
	if (strcmp(dax_read(dax->name, "state"), "unplugged"))
		return "state is not unplugged";
	if (dax_node(dax) != -1)
		return "has a node";
	if (node_in("has_private_memory", node))
		return "in has_private_memory";
	return "";
}

FIXTURE(dax)
{
	struct dax *first, *second;
	struct zones zones;
	struct traces before;
	char others[TEXT];
	int nid;
	bool hook;
};

FIXTURE_SETUP(dax)
{
	if (geteuid())
		SKIP(return, "needs root");
	if (access(DAX "/drivers/" OURS, F_OK))
		SKIP(return, "no driver dax_private");
	if (!nr_devices)
		SKIP(return, "no dax device whose memory is not in use");
	for (int i = 0; i < nr_devices; i++) {
		ASSERT_TRUE(dax_take(&devices[i])) {
			TH_LOG("cannot take %s", devices[i].name);
		}
	}
	self->first = &devices[0];
	for (int i = 1; i < nr_devices && !self->second; i++)
		if (devices[i].target_node != self->first->target_node)
			self->second = &devices[i];
	self->nid = self->first->target_node;
	self->hook = !access(HOOK "/alloc", F_OK);
	ASSERT_TRUE(traces(&self->before));
}

/* What a case that failed leaves behind, the next one takes. */
FIXTURE_TEARDOWN(dax)
{
	if (self->hook)
		write_file(HOOK "/held", "0");
}

/* A bound device does nothing until it is told to. */
TEST_F_TIMEOUT(dax, bound_is_unplugged, TIMEOUT)
{
	ASSERT_STREQ("", not_unplugged(self->first, self->nid));
	ASSERT_EQ(self->nid, atoi(dax_read(self->first->name, "private/target_node")));
	ASSERT_LT(0, atoi(dax_read(self->first->name, "private/adistance")));
	ASSERT_NE('\0', *dax_read(self->first->name, "private/features"));
}

TEST_F_TIMEOUT(dax, plug_and_unplug, TIMEOUT)
{
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_STREQ("", not_plugged(self->first, self->nid));

	/* All of it is there, movable, and free. */
	ASSERT_TRUE(all_free(self->nid, &self->zones));
	ASSERT_STREQ("Movable ", self->zones.names);
	ASSERT_EQ(dax_usable_size(self->first),
		  self->zones.managed * (unsigned long long)getpagesize());

	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", not_unplugged(self->first, self->nid));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* Totals, limits and watermarks are those of ordinary memory alone. */
TEST_F_TIMEOUT(dax, ordinary_memory_does_not_notice, TIMEOUT)
{
	long kb;

	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_EQ(self->before.total, memory_kb("MemTotal"));
	ASSERT_EQ(self->before.commit_limit, memory_kb("CommitLimit"));
	kb = memory_kb("MemTotal");
	ASSERT_GE(kb, memory_kb("MemFree"));
	ASSERT_GE(kb, memory_kb("MemAvailable"));
	ASSERT_TRUE(node_zones(self->nid, &self->zones, self->others, TEXT));
	ASSERT_STREQ(self->before.zones, self->others);

	kb = self->zones.managed * (getpagesize() >> 10);
	ASSERT_EQ(kb, memory_kb("PrivateTotal"));
	ASSERT_EQ(kb, memory_kb("PrivateFree"));
}

TEST_F_TIMEOUT(dax, cycles, TIMEOUT)
{
	const char *wanted = getenv("PRIVATE_NODE_CYCLES");
	int cycles = wanted ? atoi(wanted) : 10;
	long before = 0, after;

	ASSERT_LT(0, cycles);
	/* The first one may leave caches behind. */
	for (int i = -1; i < cycles; i++) {
		if (!i)
			before = memory_kb("MemAvailable");
		ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
		ASSERT_STREQ("", not_plugged(self->first, self->nid));
		ASSERT_TRUE(all_free(self->nid, &self->zones));
		ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
		ASSERT_STREQ("", not_unplugged(self->first, self->nid));
	}
	after = memory_kb("MemAvailable");
	ASSERT_STREQ("", traces_differ(&self->before));
	TH_LOG("%d cycles, MemAvailable changed by %ld kB", cycles, after - before);
	/* Half of a memmap for each cycle is a leak; caches are a few MB. */
	ASSERT_LT(before - after,
		  (8L << 10) + cycles * (long)((self->first->size >> 10) /
					       getpagesize() * 32));
}

/* Sets a switch of fault injection and remembers how it was. */
static bool fault_set(const char *path, const char *value, char *was)
{
	if (read_file(path, was, 16) < 0)
		return false;
	return !write_file(path, value);
}

/*
 * Write to an attribute, and let the allocation after @nth others in the kernel
 * fail on the way. Returns false if there were fewer.
 */
static bool dax_write_failing(const struct dax *dax, const char *attr,
			      const char *text, int nth, int *error)
{
	char path[256], left[16] = "", number[16];
	int fd, nth_fd;

	*error = 0;
	snprintf(path, sizeof(path), DAX "/devices/%s/%s", dax->name, attr);
	snprintf(number, sizeof(number), "%d", nth);
	fd = open(path, O_WRONLY);
	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fd < 0 || nth_fd < 0) {
		*error = errno;
		return false;
	}
	if (write(nth_fd, number, strlen(number)) < 0)
		*error = errno;
	else if (write(fd, text, strlen(text)) < 0)
		*error = errno;
	if (pread(nth_fd, left, sizeof(left) - 1, 0) < 0 ||
	    pwrite(nth_fd, "0", 1, 0) < 0)
		*error = errno;
	close(nth_fd);
	close(fd);
	return atoi(left) == 0;
}

/*
 * The first allocations one by one, which are those of the driver, then some of
 * the others. KUnit has a test for each of these.
 */
static int next_allocation(int nth)
{
	return nth + (nth < 20 ? 1 : 9);
}

/* Whatever a plug or an unplug lacks, it is done or it has not been. */
TEST_F_TIMEOUT(dax, out_of_memory_half_way, TIMEOUT)
{
	static const char * const knobs[][2] = {
		{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/failslab/verbose", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
	};
	static char was[5][16];
	int failed[2] = {}, error;
	unsigned int i;

	if (access("/proc/thread-self/fail-nth", F_OK))
		SKIP(return, "needs CONFIG_FAULT_INJECTION");
	for (i = 0; i < 5; i++)
		if (!fault_set(knobs[i][0], knobs[i][1], was[i]))
			SKIP(return, "needs failslab and fail_page_alloc in debugfs");

	for (int nth = 1; dax_write_failing(self->first, "state", "online", nth,
					    &error); nth = next_allocation(nth)) {
		if (!error) {
			EXPECT_STREQ("", not_plugged(self->first, self->nid));
			EXPECT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
			continue;
		}
		failed[0]++;
		/* Resources do not tell why they failed, some notifiers do not. */
		if (error != EBUSY && error != EEXIST && error != EPERM)
			EXPECT_EQ(ENOMEM, error);
		ASSERT_STREQ("", not_unplugged(self->first, self->nid)) {
			TH_LOG("plug, allocation %d", nth);
		}
	}
	EXPECT_EQ(0, error);
	EXPECT_STREQ("", not_plugged(self->first, self->nid));

	for (int nth = 1; dax_write_failing(self->first, "state", "unplugged",
					    nth, &error);
	     nth = next_allocation(nth)) {
		if (!error) {
			EXPECT_STREQ("", not_unplugged(self->first, self->nid));
			EXPECT_EQ(0, dax_write(self->first->name, "state", "online"));
			continue;
		}
		failed[1]++;
		EXPECT_EQ(ENOMEM, error);
		ASSERT_STREQ("", not_plugged(self->first, self->nid)) {
			TH_LOG("unplug, allocation %d", nth);
		}
	}
	EXPECT_EQ(0, error);

	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, write_file(knobs[i][0], was[i]));
	EXPECT_LT(0, failed[0]);
	EXPECT_LT(0, failed[1]);
	TH_LOG("%d times no plug, %d times no unplug", failed[0], failed[1]);
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* Both plug and unplug at the same time, over and over. */
TEST_F_TIMEOUT(dax, two_devices, TIMEOUT)
{
	int status, other;
	pid_t child;

	if (!self->second)
		SKIP(return, "needs two dax devices with a node each");
	other = self->second->target_node;

	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		int error = 0;

		for (int i = 0; i < 5 && !error; i++) {
			error = dax_write(self->second->name, "state", "online");
			if (!error)
				error = dax_write(self->second->name, "state", "unplugged");
		}
		_exit(error);
	}
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
		ASSERT_STREQ("", not_plugged(self->first, self->nid));
		ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_STREQ("", traces_differ(&self->before));

	/* Each keeps its own node while the other goes. */
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_EQ(0, dax_write(self->second->name, "state", "online"));
	ASSERT_STREQ("", not_plugged(self->first, self->nid));
	ASSERT_STREQ("", not_plugged(self->second, other));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", not_unplugged(self->first, self->nid));
	ASSERT_STREQ("", not_plugged(self->second, other));
	ASSERT_TRUE(all_free(other, &self->zones));
	ASSERT_EQ(0, dax_write(self->second->name, "state", "unplugged"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* A node has one owner: neither another device nor another driver gets in. */
TEST_F_TIMEOUT(dax, one_owner, TIMEOUT)
{
	char text[16];

	if (!self->second)
		SKIP(return, "needs two dax devices with a node each");

	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	snprintf(text, sizeof(text), "%d", self->nid);
	ASSERT_EQ(0, dax_write(self->second->name, "private/target_node", text));
	ASSERT_EQ(EBUSY, dax_write(self->second->name, "state", "online"));
	ASSERT_STREQ("", not_unplugged(self->second, self->second->target_node));
	ASSERT_STREQ("", not_plugged(self->first, self->nid));
	ASSERT_TRUE(all_free(self->nid, &self->zones));
	ASSERT_EQ(dax_usable_size(self->first),
		  self->zones.managed * (unsigned long long)getpagesize());

	/* Refused for that node only. */
	snprintf(text, sizeof(text), "%d", self->second->target_node);
	ASSERT_EQ(0, dax_write(self->second->name, "private/target_node", text));
	ASSERT_EQ(0, dax_write(self->second->name, "state", "online"));
	ASSERT_STREQ("", not_plugged(self->second, self->second->target_node));
}

/* Ordinary and private memory do not share a node. */
TEST_F_TIMEOUT(dax, node_with_memory, TIMEOUT)
{
	char text[16];

	for (int nid = 0; nid < MAX_NODES; nid++) {
		if (!node_in("has_memory", nid) && !node_in("has_cpu", nid))
			continue;
		snprintf(text, sizeof(text), "%d", nid);
		ASSERT_EQ(0, dax_write(self->first->name, "private/target_node", text));
		ASSERT_EQ(EBUSY, dax_write(self->first->name, "state", "online"));
		ASSERT_STREQ("", not_unplugged(self->first, nid));
	}
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* Without a node of its own, a device gets a reserved one if there is one. */
TEST_F_TIMEOUT(dax, any_reserved_node, TIMEOUT)
{
	const char *reserved = reserved_nodes();
	char cmdline[4096];
	int error, nid;

	if (!reserved)
		SKIP(return, "needs a kernel log that goes back to boot");
	ASSERT_LT(0, read_file("/proc/cmdline", cmdline, sizeof(cmdline)));
	if (*reserved && strstr(cmdline, "node="))
		SKIP(return, "needs reserved nodes for any device: not numa_spm=node=");

	ASSERT_EQ(0, dax_write(self->first->name, "private/target_node", "-1"));
	error = dax_write(self->first->name, "state", "online");
	if (!*reserved) {
		ASSERT_EQ(ENOSPC, error);
		ASSERT_STREQ("", not_unplugged(self->first, self->nid));
	} else {
		ASSERT_EQ(0, error);
		nid = dax_node(self->first);
		ASSERT_TRUE(list_has(reserved, nid)) {
			TH_LOG("node %d, reserved are %s", nid, reserved);
		}
		ASSERT_STREQ("", not_plugged(self->first, nid));
		ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
		ASSERT_STREQ("", not_unplugged(self->first, nid));
	}
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* What each setting refuses, and that it is as before then. */
TEST_F_TIMEOUT(dax, bad_values, TIMEOUT)
{
	static const struct {
		const char *attr;
		const char *value;
	} bad[] = {
		{ "state", "offline" },
		{ "state", "online_kernel" },
		{ "state", "Online" },
		{ "state", "online2" },
		{ "state", "1" },
		{ "state", "\n" },
		{ "private/target_node", "-2" },
		{ "private/target_node", "100000" },
		{ "private/target_node", "99999999999999999999" },
		{ "private/target_node", "two" },
		{ "private/target_node", "2 3" },
		{ "private/target_node", "default 1" },
		{ "private/target_node", "\n" },
		{ "private/features", "all" },
		{ "private/features", "User" },
		{ "private/features", "user+" },
		{ "private/features", "user+user" },
		{ "private/features", "user+bogus" },
		{ "private/features", "none+user" },
		{ "private/features", "demotion" },
		{ "private/features", "1" },
		{ "private/features", "\n" },
		{ "private/adistance", "0" },
		{ "private/adistance", "-1" },
		{ "private/adistance", "4294967296" },
		{ "private/adistance", "far" },
		{ "private/adistance", "\n" },
	};
	char was[256];

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(was, sizeof(was), "%s",
			 dax_read(self->first->name, bad[i].attr));
		EXPECT_EQ(EINVAL, dax_write(self->first->name, bad[i].attr,
					    bad[i].value)) {
			TH_LOG("%s: \"%s\"", bad[i].attr, bad[i].value);
		}
		EXPECT_STREQ(was, dax_read(self->first->name, bad[i].attr));
	}
	/* Read-only for root, too. */
	EXPECT_EQ(EACCES, dax_write(self->first->name, "private/node", "1"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

TEST_F_TIMEOUT(dax, good_values, TIMEOUT)
{
	static const char * const features[] = {
		"user", "user+reclaim", "reclaim+demotion", "ltpin",
		"user+reclaim+demotion+ltpin", "none",
	};

	for (unsigned int i = 0; i < sizeof(features) / sizeof(*features); i++) {
		ASSERT_EQ(0, dax_write(self->first->name, "private/features", features[i]));
		ASSERT_STREQ(features[i], dax_read(self->first->name, "private/features"));
	}
	ASSERT_EQ(0, dax_write(self->first->name, "private/features", "user\n"));
	ASSERT_EQ(0, dax_write(self->first->name, "private/adistance", "1234\n"));
	ASSERT_STREQ("1234", dax_read(self->first->name, "private/adistance"));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online\n"));
	ASSERT_STREQ("user", dax_read(self->first->name, "private/features"));
	ASSERT_STREQ("1234", dax_read(self->first->name, "private/adistance"));
}

/* Nothing can be set while memory is plugged; the wrong order is harmless. */
TEST_F_TIMEOUT(dax, settings_are_fixed_while_online, TIMEOUT)
{
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_EQ(0, dax_write(self->first->name, "private/features", "user"));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));

	EXPECT_EQ(EBUSY, dax_write(self->first->name, "private/features", "none"));
	EXPECT_STREQ("user", dax_read(self->first->name, "private/features"));
	EXPECT_EQ(EBUSY, dax_write(self->first->name, "private/target_node", "-1"));
	EXPECT_EQ(self->nid, atoi(dax_read(self->first->name, "private/target_node")));
	EXPECT_EQ(EBUSY, dax_write(self->first->name, "private/adistance", "1"));
	EXPECT_NE(1, atoi(dax_read(self->first->name, "private/adistance")));
	EXPECT_EQ(EBUSY, dax_write(self->first->name, "size", "0"));
	/* A bad value is bad whatever the state. */
	EXPECT_EQ(EINVAL, dax_write(self->first->name, "private/features", "bogus"));
	EXPECT_EQ(EINVAL, dax_write(self->first->name, "state", "bogus"));

	ASSERT_STREQ("", not_plugged(self->first, self->nid));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_EQ(0, dax_write(self->first->name, "private/features", "none"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* Unbinding takes idle memory along. */
TEST_F_TIMEOUT(dax, rebind, TIMEOUT)
{
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
		ASSERT_STREQ("", not_plugged(self->first, self->nid));
		ASSERT_EQ(0, driver_write(OURS, "unbind", self->first->name));
		ASSERT_FALSE(dax_is_ours(self->first->name));
		ASSERT_FALSE(node_in("has_private_memory", self->nid));
		ASSERT_STREQ("", traces_differ(&self->before));
		ASSERT_TRUE(dax_bind(self->first));
		ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	}

	/* Blocks that somebody has taken offline go as well. */
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_EQ(0, blocks_write(self->nid, "offline"));
	ASSERT_FALSE(node_in("has_private_memory", self->nid));
	ASSERT_EQ(0, driver_write(OURS, "unbind", self->first->name));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* As udev does it: whoever onlines a block, in any zone, it is private. */
TEST_F_TIMEOUT(dax, blocks_in_any_zone, TIMEOUT)
{
	static const char * const states[] = {
		"online", "online_movable", "online_kernel",
	};

	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	for (unsigned int i = 0; i < sizeof(states) / sizeof(*states); i++) {
		ASSERT_EQ(0, blocks_write(self->nid, "offline"));
		ASSERT_FALSE(node_in("has_private_memory", self->nid));
		ASSERT_EQ(0, blocks_write(self->nid, states[i])) {
			TH_LOG("%s", states[i]);
		}
		ASSERT_STREQ("", not_plugged(self->first, self->nid));
		ASSERT_TRUE(all_free(self->nid, &self->zones));
		ASSERT_STREQ(i == 2 ? "Normal " : "Movable ", self->zones.names);
		ASSERT_EQ(self->before.total, memory_kb("MemTotal"));
		node_zones(self->nid, &self->zones, self->others, TEXT);
		ASSERT_STREQ(self->before.zones, self->others);
	}
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/*
 * Cut a device in two, which then have the same target node. Neither is bound
 * then, but a device that has memory and a reserved node may be.
 */
static bool cut(const struct dax *dax, struct dax *part)
{
	char size[32];

	memset(part, 0, sizeof(*part));
	if (dax_is_ours(dax->name) && driver_write(OURS, "unbind", dax->name))
		return false;
	snprintf(size, sizeof(size), "%llu", dax->size / 2);
	if (dax_write(dax->name, "size", size) ||
	    dax_write(dax->name, "../dax_region/create", "1"))
		return false;
	snprintf(part->name, sizeof(part->name), "%.31s",
		 dax_read(dax->name, "../dax_region/create"));
	part->size = dax->size / 2;
	return !dax_write(part->name, "size", size);
}

/* Delete the second one. */
static bool drop(const struct dax *dax, const struct dax *part)
{
	char driver[32];

	dax_driver(part->name, driver, sizeof(driver));
	if (*driver)
		driver_write(driver, "unbind", part->name);
	driver_write("kmem", "remove_id", part->name);
	driver_write(OURS, "remove_id", part->name);
	return !dax_write(part->name, "size", "0") &&
	       !dax_write(dax->name, "../dax_region/delete", part->name);
}

/* Put them together again. */
static bool join(const struct dax *dax, const struct dax *part)
{
	char size[32];

	dax_write(dax->name, "state", "unplugged");
	if (dax_is_ours(dax->name))
		driver_write(OURS, "unbind", dax->name);
	if (!drop(dax, part))
		return false;
	snprintf(size, sizeof(size), "%llu", dax->size);
	return !dax_write(dax->name, "size", size) && dax_bind(dax);
}

/* kmem has no business on a node that has an owner. */
TEST_F_TIMEOUT(dax, kmem_is_refused, TIMEOUT)
{
	char driver[32];
	struct dax part;

	if (access(DAX "/drivers/kmem", F_OK))
		SKIP(return, "no driver kmem");

	/* The first one owns the node, the second one is given to kmem. */
	ASSERT_TRUE(cut(self->first, &part));
	ASSERT_TRUE(dax_bind(self->first));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_STREQ("", not_plugged(self->first, self->nid));
	/* With a reserved node, it was bound to our driver without being asked. */
	if (dax_is_ours(part.name))
		driver_write(OURS, "unbind", part.name);
	driver_write("kmem", "new_id", part.name);
	dax_driver(part.name, driver, sizeof(driver));
	EXPECT_STREQ("", driver);
	EXPECT_TRUE(all_free(self->nid, &self->zones));
	EXPECT_EQ(dax_usable_size(self->first),
		  self->zones.managed * (unsigned long long)getpagesize());
	EXPECT_TRUE(join(self->first, &part));
}

/* Another device with the addresses of memory in use has it, but need not have its contents. */
TEST_F_TIMEOUT(dax, another_device_has_it, TIMEOUT)
{
	struct dax old, new;
	char size[32];

	if (!self->hook)
		SKIP(return, "needs CONFIG_TEST_PRIVATE_NODE and debugfs");
	ASSERT_TRUE(cut(self->first, &old));
	ASSERT_TRUE(dax_bind(&old));
	/* With reserved nodes, both have been plugged. */
	dax_write(self->first->name, "state", "unplugged");
	EXPECT_EQ(0, dax_write(old.name, "state", "unplugged"));
	EXPECT_EQ(0, dax_write(old.name, "state", "online"));
	EXPECT_STREQ("", not_plugged(&old, self->nid));
	EXPECT_EQ(0, hook_alloc("nid=%d count=%lu key", self->nid, 10));
	EXPECT_TRUE(drop(self->first, &old));

	EXPECT_EQ(0, dax_write(self->first->name, "../dax_region/create", "1"));
	new = old;
	snprintf(new.name, sizeof(new.name), "%.31s",
		 dax_read(self->first->name, "../dax_region/create"));
	EXPECT_EQ(0, driver_write(OURS, "new_id", new.name));
	snprintf(size, sizeof(size), "%llu", new.size);
	EXPECT_EQ(0, dax_write(new.name, "size", size));
	EXPECT_TRUE(dax_bind(&new));
	EXPECT_STREQ("", not_plugged(&new, self->nid));
	EXPECT_EQ(10, hook_held(self->nid, false));
	EXPECT_EQ(ENOMEM, hook_alloc("nid=%d count=%lu key", self->nid, 1));
	/* Gone and back once more, it is not the better known for it. */
	EXPECT_EQ(0, driver_write(OURS, "unbind", new.name));
	EXPECT_TRUE(dax_bind(&new));
	EXPECT_EQ(ENOMEM, hook_alloc("nid=%d count=%lu key", self->nid, 1));

	/* Until somebody says so who knows. */
	EXPECT_EQ(0, dax_write(new.name, "state", "online"));
	EXPECT_EQ(0, hook_alloc("nid=%d count=%lu key", self->nid, 1));
	EXPECT_EQ(0, write_file(HOOK "/held", "0"));
	EXPECT_EQ(0, dax_write(new.name, "state", "unplugged"));
	EXPECT_TRUE(join(self->first, &new));
	EXPECT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/*
 * Hold ordinary memory, so that there is less to be touched until there is none
 * left. Without the hook that takes longer.
 */
static void hold_ordinary(int but_nid)
{
	const long block_kb = MAX_ORDER_PAGES * (getpagesize() >> 10);
	int nodes[MAX_NODES], nr_nodes = 0;
	struct zones zones;

	for (int nid = 0; nid < MAX_NODES; nid++)
		if (nid != but_nid && node_in("has_memory", nid))
			nodes[nr_nodes++] = nid;
	for (int i = 0; i < nr_nodes; i++) {
		long kb;

		if (!node_zones(nodes[i], &zones, NULL, 0))
			continue;
		kb = zones.free * (getpagesize() >> 10) -
		     (PRESSURE_KB + MARGIN_KB) / nr_nodes;
		if (kb >= block_kb)
			hook_alloc("nid=%d count=%lu order=10 thisnode",
				   nodes[i], kb / block_kb);
	}
}

/* Touch as much ordinary memory as there is, but for a margin; how many kB? */
static long press(void)
{
	long kb = memory_kb("MemAvailable") - MARGIN_KB;
	long page = getpagesize();
	char *area;

	if (kb <= 0)
		return 0;
	area = mmap(NULL, kb << 10, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return 0;
	for (long i = 0; i < kb << 10; i += page)
		area[i] = 1;
	munmap(area, kb << 10);
	return kb;
}

/* Touch more than there is, in a task that is the first to be killed for it. */
static int press_until_killed(size_t size)
{
	int status = -1;
	pid_t child;
	char *area;

	child = fork();
	if (child > 0)
		waitpid(child, &status, 0);
	if (child)
		return status;

	if (write_file("/proc/self/oom_score_adj", "1000"))
		_exit(1);
	area = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		_exit(2);
	for (size_t i = 0; i < size; i += getpagesize())
		area[i] = 1;
	_exit(0);
}

static long set_mempolicy_of(int mode, const unsigned long *nodes)
{
	return syscall(SYS_set_mempolicy, mode, nodes, MAX_NODES + 1);
}

/* However short ordinary memory is, private memory is not touched. */
TEST_F_TIMEOUT(dax, memory_hog, TIMEOUT)
{
	unsigned long nodes[MAX_NODES / (8 * sizeof(long))];
	char loglevels[64];
	int status;

	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_TRUE(all_free(self->nid, &self->zones));

	if (self->hook)
		hold_ordinary(self->nid);

	/* Until there is none. What is meant to happen is no news for the console. */
	ASSERT_LT(0, read_file("/proc/sys/kernel/printk", loglevels,
			       sizeof(loglevels)));
	ASSERT_EQ(0, write_file("/proc/sys/kernel/printk", "3"));
	status = press_until_killed((size_t)self->before.total << 10);
	ASSERT_EQ(0, write_file("/proc/sys/kernel/printk", loglevels));
	ASSERT_TRUE(WIFSIGNALED(status)) {
		TH_LOG("exit status %d", WEXITSTATUS(status));
	}
	ASSERT_EQ(SIGKILL, WTERMSIG(status));
	ASSERT_TRUE(all_free(self->nid, &self->zones)) {
		TH_LOG("%lu of %lu pages free", self->zones.free,
		       self->zones.managed);
	}

	/* Nearly as much, with a policy for all nodes. */
	memset(nodes, 0xff, sizeof(nodes));
	for (int nid = 0; nid < MAX_NODES; nid++)
		if (!node_in("online", nid))
			nodes[nid / (8 * sizeof(long))] &=
				~(1UL << nid % (8 * sizeof(long)));
	ASSERT_EQ(0, set_mempolicy_of(MPOL_INTERLEAVE, nodes));
	ASSERT_LT(0, press());
	ASSERT_EQ(0, set_mempolicy_of(MPOL_DEFAULT, NULL));
	ASSERT_TRUE(all_free(self->nid, &self->zones)) {
		TH_LOG("%lu of %lu pages free", self->zones.free,
		       self->zones.managed);
	}
}

/* No policy without a flag for it can name a private node. */
TEST_F_TIMEOUT(dax, policy_of_private_node_only, TIMEOUT)
{
	unsigned long nodes[MAX_NODES / (8 * sizeof(long))] = {};
	static const int modes[] = {
		MPOL_BIND, MPOL_INTERLEAVE, MPOL_PREFERRED, MPOL_PREFERRED_MANY,
		MPOL_WEIGHTED_INTERLEAVE,
	};

	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	nodes[self->nid / (8 * sizeof(long))] |=
		1UL << self->nid % (8 * sizeof(long));
	for (unsigned int i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		EXPECT_EQ(-1, set_mempolicy_of(modes[i], nodes)) {
			set_mempolicy_of(MPOL_DEFAULT, NULL);
		}
		EXPECT_EQ(EINVAL, errno);
	}
	ASSERT_TRUE(all_free(self->nid, &self->zones));
}

/* Nor can pages be sent there: the node is not theirs to choose. */
TEST_F_TIMEOUT(dax, user_pages_do_not_move_there, TIMEOUT)
{
	unsigned long own[MAX_NODES / (8 * sizeof(long))] = {};
	unsigned long all[MAX_NODES / (8 * sizeof(long))];
	const size_t size = 64 * getpagesize();
	int status = 4711;
	char *buf;

	buf = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, buf);
	memset(buf, 0x5a, size);
	if (syscall(SYS_move_pages, 0, 0UL, NULL, NULL, NULL, 0) && errno == ENOSYS)
		SKIP(return, "needs CONFIG_NUMA_MIGRATION");

	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	own[self->nid / (8 * sizeof(long))] |=
		1UL << self->nid % (8 * sizeof(long));
	memset(all, 0xff, sizeof(all));

	/* Nothing moves, and the call says why. */
	EXPECT_EQ(-1, syscall(SYS_move_pages, 0, 1UL, (void *[]){ buf },
			      &self->nid, &status, MPOL_MF_MOVE));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(4711, status);
	EXPECT_EQ(-1, syscall(SYS_migrate_pages, 0, (unsigned long)MAX_NODES, all, own));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, syscall(SYS_mbind, buf, size, MPOL_BIND, own,
			      (unsigned long)MAX_NODES, MPOL_MF_MOVE));
	EXPECT_EQ(EINVAL, errno);

	/* Among all nodes it is left out. */
	EXPECT_EQ(0, syscall(SYS_migrate_pages, 0, (unsigned long)MAX_NODES, own, all));
	EXPECT_EQ(0, syscall(SYS_mbind, buf, size, MPOL_INTERLEAVE, all,
			     (unsigned long)MAX_NODES, MPOL_MF_MOVE));
	EXPECT_EQ(0, syscall(SYS_move_pages, 0, 1UL, (void *[]){ buf }, NULL,
			     &status, 0));
	EXPECT_LE(0, status);
	EXPECT_NE(self->nid, status);
	for (size_t i = 0; i < size; i++)
		ASSERT_EQ(0x5a, buf[i]);
	munmap(buf, size);
	ASSERT_TRUE(all_free(self->nid, &self->zones));
}

/* Nobody else gets the addresses of plugged memory: the driver has asked for them. */
TEST_F_TIMEOUT(dax, addresses_are_in_use, TIMEOUT)
{
	/* One of this name can be the device's own. */
	int before = iomem_lines(self->first->name);

	ASSERT_LE(0, before);
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	EXPECT_LT(before, iomem_lines(self->first->name));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	EXPECT_EQ(before, iomem_lines(self->first->name));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* Who asks with the key gets this node's memory, all of it, and no other. */
TEST_F_TIMEOUT(dax, with_and_without_the_key, TIMEOUT)
{
	unsigned long all;

	if (!self->hook)
		SKIP(return, "needs CONFIG_TEST_PRIVATE_NODE and debugfs");
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_TRUE(all_free(self->nid, &self->zones));
	all = self->zones.managed;

	ASSERT_EQ(0, hook_alloc("nid=%d count=%lu", self->nid, 1000));
	ASSERT_EQ(0, hook_held(self->nid, false));
	ASSERT_EQ(1000, hook_held(self->nid, true));
	ASSERT_EQ(0, write_file(HOOK "/held", "0"));
	ASSERT_EQ(ENOMEM, hook_alloc("nid=%d count=%lu thisnode", self->nid, 1));
	ASSERT_TRUE(all_free(self->nid, &self->zones));

	ASSERT_EQ(0, hook_alloc("nid=%d count=%lu key", self->nid, 1000));
	ASSERT_EQ(1000, hook_held(self->nid, false));
	ASSERT_EQ(0, hook_held(self->nid, true));

	/* Until nothing is left. Watermarks keep a little back. */
	hook_fill(self->nid, all);
	ASSERT_EQ(0, hook_held(self->nid, true));
	ASSERT_LE((long)(all - all / 50), hook_held(self->nid, false));
	ASSERT_EQ(ENOMEM, hook_alloc("nid=%d count=%lu key", self->nid, 1));

	ASSERT_EQ(0, write_file(HOOK "/held", "0"));
	ASSERT_TRUE(all_free(self->nid, &self->zones));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* Memory that cannot go stays, with all that belongs to it. */
TEST_F_TIMEOUT(dax, unplug_in_use, TIMEOUT)
{
	struct zones was;

	if (!self->hook)
		SKIP(return, "needs CONFIG_TEST_PRIVATE_NODE and debugfs");
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_TRUE(node_zones(self->nid, &self->zones, NULL, 0));
	ASSERT_EQ(0, hook_alloc("nid=%d count=%lu key pin", self->nid, 1));

	ASSERT_EQ(EBUSY, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", not_plugged(self->first, self->nid));
	ASSERT_EQ(0, hook_alloc("nid=%d count=%lu key", self->nid, 1));
	ASSERT_EQ(EBUSY, dax_write(self->first->name, "private/features", "user"));
	was = self->zones;
	ASSERT_TRUE(node_zones(self->nid, &self->zones, NULL, 0));
	ASSERT_EQ(was.managed, self->zones.managed);

	ASSERT_EQ(0, write_file(HOOK "/held", "0"));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* Write to an attribute in a child, which exits with the errno; there is an alarm. */
static pid_t dax_write_in_child(const struct dax *dax, const char *attr,
				const char *text, unsigned int seconds)
{
	pid_t child = fork();

	if (!child) {
		struct sigaction action = { .sa_handler = on_alarm };

		/* Without SA_RESTART. */
		sigaction(SIGALRM, &action, NULL);
		alarm(seconds);
		_exit(dax_write(dax->name, attr, text));
	}
	return child;
}

/*
 * A signal ends an unplug that waits for a page. While it waits, so do writes,
 * which a signal ends, too, and nobody who just looks.
 */
TEST_F_TIMEOUT(dax, unplug_interrupted, TIMEOUT)
{
	static const char * const attrs[] = {
		"state", "private/node", "private/target_node",
		"private/features", "private/adistance",
	};
	struct timespec begin, end;
	char was[5][64];
	pid_t child, writer;
	int status;

	if (!self->hook)
		SKIP(return, "needs CONFIG_TEST_PRIVATE_NODE and debugfs");
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_EQ(0, hook_alloc("nid=%d count=%lu key", self->nid, 1));
	for (unsigned int i = 0; i < 5; i++)
		snprintf(was[i], 64, "%.63s", dax_read(self->first->name, attrs[i]));

	child = dax_write_in_child(self->first, "state", "unplugged",
				   UNPLUG_SECONDS);
	ASSERT_LE(0, child);
	while (!some_block_is(self->nid, "going-offline"))
		ASSERT_EQ(0, waitpid(child, &status, WNOHANG));
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (unsigned int i = 0; i < 5; i++)
		EXPECT_STREQ(was[i], dax_read(self->first->name, attrs[i]));
	clock_gettime(CLOCK_MONOTONIC, &end);
	/* Who waits for the unplug waits until its alarm. */
	EXPECT_GT(UNPLUG_SECONDS / 2, end.tv_sec - begin.tv_sec);

	writer = dax_write_in_child(self->first, "private/features", "user", 2);
	ASSERT_LE(0, writer);
	ASSERT_EQ(writer, waitpid(writer, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(EINTR, WEXITSTATUS(status));

	ASSERT_EQ(0, kill(child, SIGALRM));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(EINTR, WEXITSTATUS(status));
	ASSERT_STREQ("", not_plugged(self->first, self->nid));

	ASSERT_EQ(0, write_file(HOOK "/held", "0"));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* Wait until a child ends, for a time. Returns false if it does not. */
static bool ends(pid_t child, int *status, int seconds)
{
	for (int i = 0; i < seconds * 100; i++) {
		if (waitpid(child, status, WNOHANG) == child)
			return true;
		usleep(10000);
	}
	return false;
}

/*
 * A write that waits for the unplug of another device, which may never end, can
 * be killed, and then it has done nothing or all.
 */
TEST_F_TIMEOUT(dax, waiting_can_be_killed, TIMEOUT)
{
	static const struct {
		const char *begin;
		const char *file;
		const char *text;
		bool same;
	} writes[] = {
		{ "unplugged", "state", "online" },
		{ "online", "state", "unplugged" },
		{ "online", "state", "online", true },
		{ "online", NULL, "unbind" },
	};
	int status, other;
	pid_t child, writer;
	bool ended;

	if (!self->hook)
		SKIP(return, "needs CONFIG_TEST_PRIVATE_NODE and debugfs");
	if (!self->second)
		SKIP(return, "needs two dax devices with a node each");
	other = self->second->target_node;

	for (unsigned int i = 0; i < sizeof(writes) / sizeof(*writes); i++) {
		ASSERT_EQ(0, dax_write(self->second->name, "state", writes[i].begin));
		ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
		ASSERT_EQ(0, hook_alloc("nid=%d count=%lu key", self->nid, 1));
		child = dax_write_in_child(self->first, "state", "unplugged",
					   UNPLUG_SECONDS + SIGNAL_SECONDS);
		ASSERT_LE(0, child);
		while (!some_block_is(self->nid, "going-offline"))
			ASSERT_EQ(0, waitpid(child, &status, WNOHANG));

		writer = fork();
		ASSERT_LE(0, writer);
		if (!writer)
			_exit(writes[i].file ?
			      dax_write(writes[i].same ? self->first->name : self->second->name,
					writes[i].file, writes[i].text) :
			      driver_write(OURS, writes[i].text, self->second->name));
		EXPECT_FALSE(ends(writer, &status, 2)) {
			TH_LOG("%s did not wait: %d", writes[i].text, status);
		}
		ASSERT_EQ(0, kill(writer, SIGKILL));
		ended = ends(writer, &status, SIGNAL_SECONDS);
		EXPECT_TRUE(ended) {
			TH_LOG("%s cannot be killed", writes[i].text);
		}

		ASSERT_EQ(0, kill(child, SIGALRM));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		if (!ended)
			waitpid(writer, &status, 0);
		ASSERT_EQ(0, write_file(HOOK "/held", "0"));
		ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
		/* Whose unbind was killed has left its memory behind. */
		if (!writes[i].file)
			EXPECT_TRUE(dax_bind(self->second));
		ASSERT_STREQ(writes[i].begin, dax_read(self->second->name, "state"));
		ASSERT_STREQ("", !strcmp(writes[i].begin, "online") ?
				 not_plugged(self->second, other) :
				 not_unplugged(self->second, other));
	}
	ASSERT_EQ(0, dax_write(self->second->name, "state", "unplugged"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/*
 * A thread in the kernel that looks for requests for an hour after the last one,
 * and never sleeps meanwhile. Its first request is one that does nothing.
 */
static int spinning_ring(void)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SQPOLL,
		.sq_thread_idle = 3600 * 1000,
	};
	struct io_uring_sqe *entry;
	unsigned int *head, *tail;
	char *ring;
	int fd;

	fd = syscall(__NR_io_uring_setup, 4, &params);
	if (fd < 0)
		return errno;
	ring = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(*tail),
		    PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	entry = mmap(NULL, params.sq_entries * sizeof(*entry),
		     PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	if (ring == MAP_FAILED || entry == MAP_FAILED)
		return errno;
	entry->opcode = IORING_OP_NOP;
	*(unsigned int *)(ring + params.sq_off.array) = 0;
	head = (unsigned int *)(ring + params.sq_off.head);
	tail = (unsigned int *)(ring + params.sq_off.tail);
	/* The thread has to see the entry when it sees the new tail. */
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0) < 0)
		return errno;
	for (int i = 0; i < 1000; i++) {
		if (__atomic_load_n(head, __ATOMIC_ACQUIRE) == 1)
			return 0;
		usleep(10000);
	}
	errno = ETIME;
	return errno;
}

/*
 * What anybody can have: a ring of io_uring whose thread in the kernel computes
 * for an hour without ever going to sleep. The child says 0 when it has it, or
 * the errno.
 */
static pid_t ring_of_nobody(int *error)
{
	int said[2];
	pid_t child;

	if (pipe(said))
		return -1;
	child = fork();
	if (!child) {
		int code = setgid(NOBODY) || setuid(NOBODY) ? errno : spinning_ring();

		if (write(said[1], &code, sizeof(code)) == sizeof(code))
			pause();
		_exit(0);
	}
	close(said[1]);
	if (child > 0 && read(said[0], error, sizeof(*error)) != sizeof(*error))
		*error = EPIPE;
	close(said[0]);
	return child;
}

/* Nobody can make a claim wait, or what follows it, by computing in the kernel. */
TEST_F_TIMEOUT(dax, nobody_delays_a_claim, TIMEOUT)
{
	static const char * const states[] = { "online", "unplugged" };
	int status, error = 0;
	pid_t ring, writer;
	bool ended;

	ring = ring_of_nobody(&error);
	ASSERT_LT(0, ring);
	for (int i = 0; i < 2 && !error; i++) {
		writer = dax_write_in_child(self->first, "state", states[i], TIMEOUT);
		ASSERT_LT(0, writer);
		ended = ends(writer, &status, UNPLUG_SECONDS);
		EXPECT_TRUE(ended) {
			TH_LOG("%s waits for a task that never sleeps", states[i]);
		}
		/* Who still waits is let go, so that the others can have the device. */
		if (!ended) {
			kill(ring, SIGKILL);
			ASSERT_EQ(writer, waitpid(writer, &status, 0));
		}
		EXPECT_EQ(0, status);
	}
	kill(ring, SIGKILL);
	ASSERT_EQ(ring, waitpid(ring, &status, 0));
	if (error)
		SKIP(return, "no io_uring for an ordinary user: %s", strerror(error));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* Write a device's state; a signal comes after @ms, if it takes so long. */
static int state_with_signal(const struct dax *dax, const char *state, int ms)
{
	const struct itimerval soon = { .it_value.tv_usec = ms * 1000 }, never = {};
	int error;

	if (setitimer(ITIMER_REAL, &soon, NULL))
		return errno;
	error = dax_write(dax->name, "state", state);
	return setitimer(ITIMER_REAL, &never, NULL) ? errno : error;
}

/* A signal ends a plug or an unplug or it does not; both know which. */
TEST_F_TIMEOUT(dax, signals_at_any_time, TIMEOUT)
{
	struct sigaction action = { .sa_handler = on_alarm };
	int error, ended[2] = {};

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	for (int ms = 1; ms < 1000; ms *= 3) {
		error = state_with_signal(self->first, "online", ms);
		if (error) {
			ASSERT_EQ(EINTR, error);
			ASSERT_STREQ("", not_unplugged(self->first, self->nid));
			ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
			ended[0]++;
		}
		ASSERT_STREQ("", not_plugged(self->first, self->nid));

		error = state_with_signal(self->first, "unplugged", ms);
		if (error) {
			ASSERT_EQ(EINTR, error);
			ASSERT_STREQ("", not_plugged(self->first, self->nid));
			ASSERT_TRUE(all_free(self->nid, &self->zones));
			ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
			ended[1]++;
		}
		ASSERT_STREQ("", not_unplugged(self->first, self->nid));
	}
	TH_LOG("%d plugs and %d unplugs were ended", ended[0], ended[1]);
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* Is memory of the device and node among what has been left behind? */
static bool left_behind(const struct dax *dax, int nid)
{
	char buf[4096], line[64];

	if (read_file(LEFT, buf, sizeof(buf)) < 0)
		return false;
	snprintf(line, sizeof(line), "%s %d\n", dax->name, nid);
	return strstr(buf, line);
}

/* Unbind a device, which must not wait for pages that are in use. */
static int unbind_in_time(const struct dax *dax)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(driver_write(OURS, "unbind", dax->name));
	if (child < 0)
		return errno;
	if (!ends(child, &status, UNPLUG_SECONDS)) {
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		errno = ETIMEDOUT;
		return errno;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

/* Memory in use outlives its driver, nobody gets more, and it comes back with it. */
TEST_F_TIMEOUT(dax, unbind_in_use, TIMEOUT)
{
	char driver[32];
	struct zones was;

	if (!self->hook)
		SKIP(return, "needs CONFIG_TEST_PRIVATE_NODE and debugfs");
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_TRUE(node_zones(self->nid, &was, NULL, 0));
	ASSERT_EQ(0, hook_alloc("nid=%d count=%lu key", self->nid, 1));
	ASSERT_FALSE(left_behind(self->first, self->nid));
	ASSERT_EQ(0, unbind_in_time(self->first));
	ASSERT_FALSE(dax_is_ours(self->first->name));
	ASSERT_TRUE(left_behind(self->first, self->nid));
	ASSERT_TRUE(node_in("has_private_memory", self->nid));
	ASSERT_TRUE(node_zones(self->nid, &self->zones, NULL, 0));
	ASSERT_EQ(was.managed, self->zones.managed);
	EXPECT_EQ(ENOMEM, hook_alloc("nid=%d count=%lu key", self->nid, 1));

	/* Nobody else gets the memory or the node. */
	driver_write("kmem", "new_id", self->first->name);
	driver_write("kmem", "remove_id", self->first->name);
	ASSERT_FALSE(node_in("has_memory", self->nid));
	dax_driver(self->first->name, driver, sizeof(driver));
	ASSERT_STREQ("", driver);

	ASSERT_TRUE(dax_bind(self->first));
	ASSERT_FALSE(left_behind(self->first, self->nid));
	ASSERT_STREQ("", not_plugged(self->first, self->nid));
	ASSERT_EQ(0, hook_alloc("nid=%d count=%lu key", self->nid, 1));
	ASSERT_EQ(0, write_file(HOOK "/held", "0"));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* When it is no longer in use it can go without its device. */
TEST_F_TIMEOUT(dax, left_behind, TIMEOUT)
{
	if (!self->hook)
		SKIP(return, "needs CONFIG_TEST_PRIVATE_NODE and debugfs");
	EXPECT_EQ(EINVAL, write_file(LEFT, "1"));
	EXPECT_EQ(0, write_file(LEFT, "0"));

	/* By a write, or because another device is plugged. */
	for (int by_other = 0; by_other <= !!self->second; by_other++) {
		ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
		ASSERT_EQ(0, hook_alloc("nid=%d count=%lu key", self->nid, 100));
		ASSERT_EQ(0, driver_write(OURS, "unbind", self->first->name));
		ASSERT_EQ(EBUSY, write_file(LEFT, "0"));
		ASSERT_TRUE(left_behind(self->first, self->nid));
		ASSERT_EQ(100, hook_held(self->nid, false));
		ASSERT_EQ(0, write_file(HOOK "/held", "0"));
		EXPECT_EQ(ENOMEM, hook_alloc("nid=%d count=%lu key", self->nid, 1));

		if (!by_other) {
			ASSERT_EQ(0, write_file(LEFT, "0\n"));
		} else {
			ASSERT_EQ(0, dax_write(self->second->name, "state", "online"));
			ASSERT_EQ(0, dax_write(self->second->name, "state", "unplugged"));
		}
		ASSERT_FALSE(left_behind(self->first, self->nid));
		ASSERT_FALSE(node_in("has_private_memory", self->nid));
		ASSERT_STREQ("", traces_differ(&self->before));

		/* Nothing of that is left for the device when it is back. */
		ASSERT_TRUE(dax_bind(self->first));
		ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
		ASSERT_EQ(0, hook_alloc("nid=%d count=%lu key", self->nid, 1));
		ASSERT_EQ(0, write_file(HOOK "/held", "0"));
		ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	}
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* Whose name was written to a driver's new_id is for that driver, when looked for again. */
TEST_F_TIMEOUT(dax, id_means_the_driver, TIMEOUT)
{
	char driver[32];

	ASSERT_EQ(0, driver_write(OURS, "new_id", self->first->name));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, driver_write(OURS, "unbind", self->first->name));
		ASSERT_EQ(0, write_file(DAX "/drivers_probe", self->first->name));
		dax_driver(self->first->name, driver, sizeof(driver));
		ASSERT_STREQ(OURS, driver);
		ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	}
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* The words of kmem's attribute of this name, but for a zone that memory may not leave. */
TEST_F_TIMEOUT(dax, words_of_kmem, TIMEOUT)
{
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online_movable"));
	ASSERT_STREQ("", not_plugged(self->first, self->nid));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online_movable"));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_EQ(EINVAL, dax_write(self->first->name, "state", "online_kernel"));
	ASSERT_TRUE(all_free(self->nid, &self->zones));
	ASSERT_STREQ("Movable ", self->zones.names);
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* What was set can be as if nobody had set it. */
TEST_F_TIMEOUT(dax, settings_can_be_unset, TIMEOUT)
{
	static const char * const attrs[] = {
		"private/target_node", "private/features", "private/adistance",
	};
	static const char * const values[] = { "-1", "ltpin", "4711" };
	char was[64];

	/* As they are when nobody has written them. */
	ASSERT_EQ(0, driver_write(OURS, "unbind", self->first->name));
	ASSERT_TRUE(dax_bind(self->first));
	dax_write(self->first->name, "state", "unplugged");
	for (unsigned int i = 0; i < 3; i++) {
		snprintf(was, sizeof(was), "%.63s", dax_read(self->first->name, attrs[i]));
		ASSERT_EQ(0, dax_write(self->first->name, attrs[i], values[i]));
		ASSERT_STREQ(values[i], dax_read(self->first->name, attrs[i]));
		ASSERT_EQ(0, dax_write(self->first->name, attrs[i], "default\n"));
		ASSERT_STREQ(was, dax_read(self->first->name, attrs[i]));
	}
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_STREQ("", not_plugged(self->first, self->nid));
	EXPECT_EQ(EBUSY, dax_write(self->first->name, "private/features", "default"));
}

/* The pages that the last memory block of a node ends with, @count of them. */
static unsigned long last_pages(int nid, unsigned long count)
{
	int blocks[MAX_BLOCKS], last = 0;
	char size[32];

	if (read_file(BLOCKS "/block_size_bytes", size, sizeof(size)) < 0)
		return 0;
	for (int i = node_blocks(nid, blocks, MAX_BLOCKS); i-- > 0;)
		last = blocks[i] > last ? blocks[i] : last;
	return (last + 1) * (strtoull(size, NULL, 16) / getpagesize()) - count;
}

/* The first page among @count from @pfn on that is not free; 0: none */
static unsigned long used_page(unsigned long pfn, unsigned long count)
{
	int fd = open("/proc/kpageflags", O_RDONLY);
	unsigned long found = 0;
	uint64_t flags;

	if (fd < 0)
		return 0;
	for (unsigned long i = 0; i < count && !found; i++)
		if (pread(fd, &flags, sizeof(flags), (pfn + i) * sizeof(flags)) ==
				sizeof(flags) && !(flags & 1ULL << KPF_BUDDY))
			found = pfn + i;
	close(fd);
	return found;
}

/* Tell the kernel that a page failed, returns an errno. */
static int fail_page(unsigned long pfn)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", pfn);
	return write_file(POISON, text);
}

/* A page that failed is never free again. It does not keep its node from going. */
TEST_F_TIMEOUT(dax, failed_page, TIMEOUT)
{
	long corrupted = memory_kb("HardwareCorrupted");

	if (access(POISON, F_OK))
		SKIP(return, "needs CONFIG_HWPOISON_INJECT and debugfs");
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_TRUE(all_free(self->nid, &self->zones));
	ASSERT_EQ(0, fail_page(last_pages(self->nid, 1)));
	ASSERT_TRUE(all_free_but(self->nid, &self->zones, 1));
	ASSERT_EQ(corrupted + (getpagesize() >> 10), memory_kb("HardwareCorrupted"));

	ASSERT_EQ(0, driver_write(OURS, "unbind", self->first->name));
	ASSERT_FALSE(node_in("has_private_memory", self->nid));
	ASSERT_EQ(corrupted, memory_kb("HardwareCorrupted"));
	/* On a reserved node it is plugged again by being bound. */
	ASSERT_TRUE(dax_bind(self->first));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", not_unplugged(self->first, self->nid));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* Nor does one that is about to fail, and was taken while it was free. */
TEST_F_TIMEOUT(dax, soft_offlined_page, TIMEOUT)
{
	long corrupted = memory_kb("HardwareCorrupted");
	char address[32];

	if (access(SOFT_OFFLINE, F_OK))
		SKIP(return, "needs CONFIG_MEMORY_FAILURE");
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_TRUE(all_free(self->nid, &self->zones));
	snprintf(address, sizeof(address), "%#llx",
		 (unsigned long long)last_pages(self->nid, 1) * getpagesize());
	ASSERT_EQ(0, write_file(SOFT_OFFLINE, address));
	ASSERT_TRUE(all_free_but(self->nid, &self->zones, 1));

	ASSERT_EQ(0, driver_write(OURS, "unbind", self->first->name));
	ASSERT_FALSE(node_in("has_private_memory", self->nid));
	ASSERT_EQ(corrupted, memory_kb("HardwareCorrupted"));
	ASSERT_TRUE(dax_bind(self->first));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* Who holds a page that failed is not deprived of it, and gives it back as any. */
TEST_F_TIMEOUT(dax, failed_page_in_use, TIMEOUT)
{
	long corrupted = memory_kb("HardwareCorrupted");
	unsigned long pfn;
	pid_t child;
	int status;

	if (access(POISON, F_OK))
		SKIP(return, "needs CONFIG_HWPOISON_INJECT and debugfs");
	if (!self->hook)
		SKIP(return, "needs CONFIG_TEST_PRIVATE_NODE and debugfs");
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	ASSERT_TRUE(all_free(self->nid, &self->zones));
	/* No other page is in use, so that all depends on this one. */
	ASSERT_EQ(0, hook_alloc("nid=%d count=%lu key", self->nid, 1));
	/* An attempt to unplug takes the free ones from the lists of CPUs. */
	child = dax_write_in_child(self->first, "state", "unplugged", 2);
	ASSERT_LE(0, child);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(EINTR, WEXITSTATUS(status));
	pfn = used_page(last_pages(self->nid, self->zones.managed),
			self->zones.managed);
	ASSERT_NE(0, pfn);
	ASSERT_EQ(EBUSY, fail_page(pfn));
	ASSERT_EQ(corrupted + (getpagesize() >> 10), memory_kb("HardwareCorrupted"));

	ASSERT_EQ(0, unbind_in_time(self->first));
	ASSERT_TRUE(node_in("has_private_memory", self->nid));
	ASSERT_EQ(0, write_file(HOOK "/held", "0"));
	ASSERT_TRUE(all_free_but(self->nid, &self->zones, 1));

	/* Now it is in nobody's way. */
	ASSERT_TRUE(dax_bind(self->first));
	ASSERT_STREQ("", not_plugged(self->first, self->nid));
	ASSERT_EQ(0, driver_write(OURS, "unbind", self->first->name));
	ASSERT_FALSE(node_in("has_private_memory", self->nid));
	ASSERT_EQ(corrupted, memory_kb("HardwareCorrupted"));
	ASSERT_TRUE(dax_bind(self->first));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_STREQ("", traces_differ(&self->before));
}

/* No service that the owner does not want acts on it because somebody writes to a file. */
TEST_F_TIMEOUT(dax, requests_to_services_are_refused, TIMEOUT)
{
	char path[128];

	/* A reserved node may have been reserved with others. */
	ASSERT_EQ(0, dax_write(self->first->name, "private/features", "none"));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "online"));
	snprintf(path, sizeof(path), NODES "/node%d/compact", self->nid);
	if (!access(path, F_OK))
		EXPECT_EQ(EINVAL, write_file(path, "1"));
	snprintf(path, sizeof(path), NODES "/node%d/reclaim", self->nid);
	if (!access(path, F_OK))
		EXPECT_EQ(EINVAL, write_file(path, "1M"));
	ASSERT_EQ(0, write_file("/proc/sys/vm/compact_memory", "1"));
	ASSERT_TRUE(all_free(self->nid, &self->zones));
	ASSERT_EQ(0, dax_write(self->first->name, "state", "unplugged"));
	ASSERT_EQ(0, dax_write(self->first->name, "private/features", "default"));
}

static void give_back(void)
{
	/* Also called at the end of children. */
	for (int i = 0; getpid() == main_pid && i < nr_devices; i++)
		dax_give_back(&devices[i]);
}

/*
 * Once for all cases: to take devices from their drivers and to give them back
 * takes longer than most cases.
 */
static void take(void)
{
	main_pid = getpid();
	if (geteuid() || access(DAX "/drivers/" OURS, F_OK))
		return;
	nr_devices = dax_find(devices);
	atexit(give_back);
	for (int i = 0; i < nr_devices; i++)
		dax_take(&devices[i]);
	/*
	 * The first memory hotplug of any kind since boot computes watermarks
	 * again, from a little less than boot did: do that one here.
	 */
	if (nr_devices && !dax_write(devices[0].name, "state", "online"))
		dax_write(devices[0].name, "state", "unplugged");
}

int main(int argc, char **argv)
{
	bool look = false;

	/* To list cases needs no device. */
	for (int i = 1; i < argc; i++)
		look |= !strcmp(argv[i], "-l") || !strcmp(argv[i], "-h");
	if (!look)
		take();
	return test_harness_run(argc, argv);
}
