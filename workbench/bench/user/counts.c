// SPDX-License-Identifier: GPL-2.0
/* Programs whose instructions are counted: faults, fork, memory hotplug, secret memory, page_owner, the mermap. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user.h"

/* Anonymous memory: a fault per 4 KiB page, its unmapping, and a fault per 2 MiB page. */
int cmd_faults(int argc, char **argv)
{
	/*
	 * Few enough for the pcp lists, so that it does not matter how full they were to who takes pages. To who frees them it
	 * does: batches go to the buddy, more or less of them in a round, and all begins again after 31. So its figure is of
	 * many rounds.
	 */
	enum { SAMPLES = 10 * 31, PAGES = 64, HUGE_SIZE = 2 * MIB };
	uint64_t start, unmapping = 0;
	char *area;
	int i;

	for (i = 0; i < SAMPLES; i++) {
		area = map_small(PAGES * PAGE);
		start = ticks();
		touch(area, PAGES * PAGE, PAGE);
		print_sample("fault", PAGES, ticks() - start);
		start = ticks();
		munmap(area, PAGES * PAGE);
		unmapping += ticks() - start;
	}
	print_sample("unmap", SAMPLES * PAGES, unmapping);
	for (i = 0; i < SAMPLES / 8; i++) {
		area = map_anonymous(2 * HUGE_SIZE);
		madvise(area, 2 * HUGE_SIZE, MADV_HUGEPAGE);
		area = (char *)(((uintptr_t)area + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1UL));
		start = ticks();
		touch(area, 1, PAGE);
		print_sample("huge_fault", 1, ticks() - start);
		munmap(area, HUGE_SIZE);
	}
	return 0;
}

static void child(int execute)
{
	if (execute)
		execl("/proc/self/exe", "user", "nothing", NULL);
	_exit(execute);
}

static void fork_once(const char *figure, int execute)
{
	uint64_t start = ticks();
	int status;
	pid_t pid = fork();

	if (!pid)
		child(execute);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("%s: the child ended with %#x", figure, status);
	print_sample(figure, 1, ticks() - start);
}

/* fork + exit of a process with 4 MiB of touched memory, and fork + exec + exit. */
int cmd_forks(int argc, char **argv)
{
	char *area = map_small(4 * MIB);
	int i;

	setvbuf(stdout, malloc(1 << 16), _IOFBF, 1 << 16);
	touch(area, 4 * MIB, PAGE);
	for (i = 0; i < 100; i++)
		fork_once("fork", 0);
	for (i = 0; i < 50; i++)
		fork_once("exec", 1);
	return 0;
}

static int write_state(const char *path, const char *state)
{
	int fd = open(path, O_WRONLY), done;

	if (fd < 0)
		return -1;
	done = write(fd, state, strlen(state));
	close(fd);
	return done < 0 ? -1 : 0;
}

/* The first memory block that is off line; the machine has a DIMM for this. */
static char *offline_block(void)
{
	static char path[128];
	char state[16] = "";
	glob_t found;
	size_t i;
	FILE *file;

	if (glob("/sys/devices/system/memory/memory*/state", 0, NULL, &found))
		die("no memory blocks in sysfs");
	for (i = 0; i < found.gl_pathc; i++) {
		file = fopen(found.gl_pathv[i], "r");
		if (file && fscanf(file, "%15s", state) == 1 && !strcmp(state, "offline")) {
			snprintf(path, sizeof(path), "%s", found.gl_pathv[i]);
			fclose(file);
			return path;
		}
		if (file)
			fclose(file);
	}
	die("no memory block is off line");
}

static void change_block(const char *path, const char *state, const char *figure)
{
	uint64_t start = busy_ticks();

	if (write_state(path, state))
		die("%s to %s: %s", state, path, strerror(errno));
	print_sample(figure, 1, busy_ticks() - start);
}

int cmd_hotplug(int argc, char **argv)
{
	char *path = offline_block();
	int i;

	busy_start();
	for (i = 0; i < 16; i++) {
		change_block(path, "online_movable", "online");
		change_block(path, "offline", "offline");
	}
	busy_stop();
	return 0;
}

static void populate(const char *figure, int fd, long pages)
{
	uint64_t start;
	char *area;

	if (fd < 0 || ftruncate(fd, pages * PAGE))
		die("%s: %s", figure, strerror(errno));
	area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED)
		die("%s: mmap: %s", figure, strerror(errno));
	start = ticks();
	touch(area, pages * PAGE, PAGE);
	print_sample(figure, pages, ticks() - start);
	munmap(area, pages * PAGE);
	close(fd);
}

/* Populate secret memory and, to compare, shared memory; a fault per page. */
int cmd_secret(int argc, char **argv)
{
	int i;

	for (i = 0; i < 20; i++) {
		populate("secretmem", syscall(SYS_memfd_secret, 0), 128);
		populate("shmem", memfd_create("bench", 0), 128);
	}
	return 0;
}

static int by_ticks(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

/*
 * All of a secret of 64 MiB, twice: what is populated first finds nothing prepared, if this is the first secret of the boot.
 * Then what was freed can be used again. The slowest fault is one that prepares, or makes page tables.
 */
int cmd_secret_twice(int argc, char **argv)
{
	enum { PAGES = 64 * MIB / PAGE };
	static const char *const means[] = { "cold", "warm" }, *const medians[] = { "cold_median", "warm_median" },
		*const slowest[] = { "cold_slowest", "warm_slowest" };
	static uint64_t used[PAGES];
	uint64_t start, sum, freed;
	volatile char *area;
	long i, round;
	int fd;

	touch((char *)used, sizeof(used), PAGE);
	for (round = 0; round < 2; round++) {
		fd = syscall(SYS_memfd_secret, 0);
		if (fd < 0 || ftruncate(fd, PAGES * PAGE))
			die("secret memory: %s", strerror(errno));
		area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (area == MAP_FAILED)
			die("secret memory: mmap: %s", strerror(errno));
		for (sum = i = 0; i < PAGES; i++) {
			start = ticks();
			area[i * PAGE] = 1;
			used[i] = ticks() - start;
			sum += used[i];
		}
		start = ticks();
		munmap((void *)area, PAGES * PAGE);
		close(fd);
		freed = ticks() - start;
		qsort(used, PAGES, sizeof(*used), by_ticks);
		print_figure(means[round], (double)sum / PAGES);
		print_figure(medians[round], used[PAGES / 2]);
		print_figure(slowest[round], used[PAGES - 1]);
	}
	print_figure("close", (double)freed / PAGES);
	print_figure("cycle", (double)(sum + freed) / PAGES);
	return 0;
}

static uint64_t free_kb(void)
{
	return vmstat("nr_free_pages") * (PAGE / 1024);
}

/*
 * Populate 64 MiB of secret memory where next to no block of 2 MiB is free, and none can be made: all memory is taken, but for
 * a reserve that is small, and of each 256 KiB a page stays that compaction leaves alone.
 */
int cmd_secret_fragmented(int argc, char **argv)
{
	enum { STEP = 256 * 1024, LEFT_KB = 16 * 1024 };
	size_t size = free_kb() * 1024 / STEP * STEP, used, i;
	char *area = map_small(size);

	write_sysctl("/proc/sys/vm/min_free_kbytes", "4096");
	write_sysctl("/proc/sys/vm/compact_unevictable_allowed", "0");
	for (used = 0; used < size && free_kb() > LEFT_KB; used += STEP)
		touch(area + used, STEP, PAGE);
	for (i = 0; i < used; i += STEP)
		if (mlock(area + i, PAGE) || madvise(area + i + PAGE, STEP - PAGE, MADV_DONTNEED))
			die("a page of all: %s", strerror(errno));
	/* Who made room for the last pages comes to rest. */
	sleep(2);
	populate("fragmented", syscall(SYS_memfd_secret, 0), 64 * MIB / PAGE);
	munmap(area, size);
	return 0;
}

/*
 * page_owner. The machine is bench-owner: node 1 lies inside node 0's span, in
 * front of a hole of 3 GiB and a DIMM that is node 0's again. A read is placed by
 * lseek() to a PFN and then costs the search from there and one record. Taking
 * the cost of the same record, read at its own PFN, off leaves the search.
 */
enum { BLOCK_PAGES = 512, SECTION_PAGES = 32768 };

static char record[4096];

static int owner_open(const char *filter)
{
	int fd = open("/sys/kernel/debug/page_owner", O_RDWR);

	if (fd < 0)
		die("page_owner: %s", strerror(errno));
	if (*filter && write(fd, filter, strlen(filter)) != (ssize_t)strlen(filter))
		die("page_owner: %s: %s", filter, strerror(errno));
	return fd;
}

/* One read from a PFN on; returns the PFN of the record, 0 at the end. */
static uint64_t owner_read(int fd, uint64_t pfn, uint64_t *used)
{
	unsigned long found;
	uint64_t start;
	ssize_t got;
	char *at;

	if (lseek(fd, pfn, SEEK_SET) != (off_t)pfn)
		die("page_owner: lseek: %s", strerror(errno));
	start = ticks();
	got = read(fd, record, sizeof(record) - 1);
	*used = ticks() - start;
	if (got < 0)
		die("page_owner: read: %s", strerror(errno));
	record[got] = 0;
	if (!got)
		return 0;
	at = strstr(record, "PFN ");
	if (!at || sscanf(at, "PFN %lx", &found) != 1)
		die("page_owner: a record without PFN: %.100s", record);
	return found;
}

static int by_value(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

/* Records of pages of ours, one after the other; skips over pages that are not where they should be. */
static void owner_records(const char *figure, const char *filter, char *area, size_t size, size_t step)
{
	size_t nr = size / step, i;
	uint64_t *pfns = calloc(nr, sizeof(*pfns)), used;
	int fd = owner_open(filter), taken = 0;

	for (i = 0; i < nr; i++)
		pfns[i] = pfn_of(area + i * step);
	qsort(pfns, nr, sizeof(*pfns), by_value);
	for (i = 1; i < nr && taken < 200; i++) {
		/* From behind the record before: a huge page has tails to be stepped over. */
		if (pfns[i] != pfns[i - 1] + step / PAGE)
			continue;
		if (owner_read(fd, pfns[i - 1] + 1, &used) != pfns[i])
			continue;
		print_sample(figure, 1, used);
		taken++;
	}
	if (taken < 10)
		die("%s: only %d pages have a record where it should be", figure, taken);
	free(pfns);
	close(fd);
}

/* The search from a PFN to the record that is found, which must not lie below `least`. */
static uint64_t owner_search(int fd, const char *figure, uint64_t from, uint64_t least)
{
	uint64_t far, near, pfn = owner_read(fd, from, &far);

	if (pfn < least)
		die("%s: a record at PFN %#lx, below %#lx", figure, (unsigned long)pfn, (unsigned long)least);
	if (owner_read(fd, pfn, &near) != pfn)
		die("%s: the record at PFN %#lx is gone", figure, (unsigned long)pfn);
	return far > near ? far - near : 0;
}

static void owner_end(const char *figure, const char *filter, uint64_t from)
{
	int fd = owner_open(filter), i;
	uint64_t used;

	for (i = 0; i < 15; i++) {
		if (owner_read(fd, from, &used))
			die("%s: a record, where none should be: %.100s", figure, record);
		print_sample(figure, 1, used);
	}
	close(fd);
}

/* A node's blocks of memory in sysfs: the first and the last one's PFN, and the block after a gap. */
struct blocks {
	uint64_t first, end;		/* of the first run of blocks */
	uint64_t next, next_end;	/* of the second one; 0 if there is none */
};

static struct blocks node_blocks(int node)
{
	struct blocks blocks = { 0 };
	unsigned long size, nr[1024];
	char pattern[80];
	size_t count = 0, i;
	glob_t found;
	FILE *file = fopen("/sys/devices/system/memory/block_size_bytes", "r");

	if (!file || fscanf(file, "%lx", &size) != 1)
		die("no block_size_bytes");
	fclose(file);
	snprintf(pattern, sizeof(pattern), "/sys/devices/system/node/node%d/memory[0-9]*", node);
	if (glob(pattern, 0, NULL, &found))
		die("node %d has no memory blocks", node);
	for (i = 0; i < found.gl_pathc && count < ARRAY_SIZE(nr); i++)
		nr[count++] = strtoul(strrchr(found.gl_pathv[i], 'y') + 1, NULL, 10);
	qsort(nr, count, sizeof(*nr), by_value);
	size /= PAGE;
	blocks.first = nr[0] * size;
	for (i = 1; i < count && nr[i] == nr[i - 1] + 1; i++)
		;
	blocks.end = (nr[i - 1] + 1) * size;
	if (i < count) {
		blocks.next = nr[i] * size;
		blocks.next_end = (nr[count - 1] + 1) * size;
	}
	return blocks;
}

/* Memory of a node, by huge pages or never by them. */
static char *fill(int node, size_t size, int huge)
{
	char *area = huge ? map_anonymous(size + 2 * MIB) : map_small(size);

	bind_node(area, huge ? size + 2 * MIB : size, node);
	if (huge) {
		area = (char *)(((uintptr_t)area + 2 * MIB - 1) & ~(2 * MIB - 1));
		if (madvise(area, size, MADV_HUGEPAGE))
			die("MADV_HUGEPAGE: %s", strerror(errno));
	}
	touch(area, size, PAGE);
	return area;
}

int cmd_owner(int argc, char **argv)
{
	struct blocks node0 = node_blocks(0), node1 = node_blocks(1);
	uint64_t hole, both;
	char *inner, *huge;
	int fd, i;

	if (!node0.next || node1.first < node0.end || node0.next < node1.end)
		die("node 1 is not inside node 0");
	inner = fill(1, 16 * MIB, 0);
	/* Half of node 1; the DIMM, and some of what node 0 has below. */
	huge = fill(1, (node1.end - node1.first) / 2 * PAGE, 1);
	fill(0, (node0.end - node0.first) / 4 * PAGE + (node0.next_end - node0.next) * PAGE, 1);

	owner_records("stack_record", "", inner, 16 * MIB, PAGE);
	owner_records("handle_record", "mode=handle", inner, 16 * MIB, PAGE);
	owner_records("nid_record", "nid=1 mode=handle", inner, 16 * MIB, PAGE);
	owner_records("huge_record", "nid=1 mode=handle", huge, 62 * MIB, 2 * MIB);

	/* Behind node 1 there is nothing for it, but node 0's DIMM. */
	owner_end("end_filtered", "nid=1 mode=handle", node1.end);
	owner_end("end_unfiltered", "", node0.next_end);

	/* All of node 0 below node 1 lies outside of node 1's span. */
	fd = owner_open("nid=1 mode=handle");
	for (i = 0; i < 15; i++)
		print_sample("foreign_node", 1, owner_search(fd, "foreign_node", 1, node1.first));
	close(fd);

	/* From node 1's start: its blocks and the hole; from its end: the hole alone. */
	fd = owner_open("nid=0 mode=handle");
	for (i = 0; i < 15; i++) {
		hole = owner_search(fd, "absent_sections", node1.end, node0.next);
		both = owner_search(fd, "foreign_blocks", node1.first, node0.next);
		print_sample("absent_sections", (node0.next - node1.end) / SECTION_PAGES, hole);
		print_sample("foreign_blocks", (node1.end - node1.first) / BLOCK_PAGES, both > hole ? both - hole : 0);
	}
	close(fd);
	return 0;
}

/* Counts the pages of a node; returns the number of records, and what the read that counts takes. */
static uint64_t owner_count(int node, uint64_t *used)
{
	static char counts[1 << 18];
	unsigned long pages, records;
	size_t length = 0, sum = 0;
	unsigned int handle;
	char filter[40], *at;
	uint64_t start;
	ssize_t got;
	int fd;

	snprintf(filter, sizeof(filter), "nid=%d mode=count", node);
	fd = owner_open(filter);
	start = ticks();
	got = read(fd, counts, sizeof(counts) - 1);
	*used = ticks() - start;
	for (; got > 0; got = read(fd, counts + length, sizeof(counts) - 1 - length))
		length += got;
	if (got < 0 || !length)
		die("page_owner: %s: %s", filter, strerror(errno));
	close(fd);
	counts[length] = 0;
	for (at = counts; *at; at = strchr(at, '\n') + 1) {
		if (sscanf(at, "handle: %u nr_base_pages: %lu nr_records: %lu\n", &handle, &pages, &records) != 3)
			die("page_owner: no count: %.100s", at);
		sum += records;
	}
	return sum;
}

/* What a page adds to a count. Every other one is another stack's, if `mixed`. */
static void owner_count_pages(const char *figure, int node, int mixed)
{
	size_t size = 16 * MIB, at;
	uint64_t before, after, records, more;
	char *area, *other = NULL;
	int fd;

	area = map_small(size);
	bind_node(area, size, node);
	if (mixed) {
		fd = memfd_create("bench", 0);
		if (fd < 0 || ftruncate(fd, size))
			die("%s: %s", figure, strerror(errno));
		other = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (other == MAP_FAILED)
			die("%s: mmap: %s", figure, strerror(errno));
		close(fd);
		bind_node(other, size, node);
	}
	owner_count(node, &before);
	records = owner_count(node, &before);
	for (at = 0; at < size; at += PAGE) {
		touch(area + at, 1, PAGE);
		if (mixed)
			touch(other + at, 1, PAGE);
	}
	owner_count(node, &after);
	more = owner_count(node, &after);
	if (more < records + (mixed ? 2 : 1) * size / PAGE - 100)
		die("%s: %lu records, and %lu more", figure, (unsigned long)records, (unsigned long)(more - records));
	print_sample(figure, more - records, after - before);
	munmap(area, size);
	if (mixed)
		munmap(other, size);
}

/* page_owner on a machine with 32 nodes: a filter for all of them, and counts of one. */
int cmd_owner_nodes(int argc, char **argv)
{
	char *area = fill(7, 16 * MIB, 0);

	owner_records("all_record", "mode=handle", area, 16 * MIB, PAGE);
	owner_records("nids_record", "nid=0-31 mode=handle", area, 16 * MIB, PAGE);
	munmap(area, 16 * MIB);
	return 0;
}

int cmd_owner_count(int argc, char **argv)
{
	int i;

	for (i = 0; i < 5; i++) {
		owner_count_pages("count_page", 7, 0);
		owner_count_pages("count_mixed", 7, 1);
	}
	return 0;
}

/* The mermap is not for modules, so CONFIG_MERMAP_TEST counts in the kernel. A nanosecond is an instruction there, too. */
int cmd_mermap(int argc, char **argv)
{
	const char *path = "/sys/kernel/debug/mermap_test/bench";
	unsigned long value, nothing = 0;
	FILE *file = fopen(path, "r");
	char name[32];
	int lines = 0;

	if (!file)
		die("%s: %s", path, strerror(errno));
	while (fscanf(file, "%31s %lu", name, &value) == 2) {
		if (lines++)
			print_sample(name, 1, value - nothing);
		else
			nothing = value;
	}
	if (ferror(file) || lines < 2)
		die("%s: cannot be read", path);
	fclose(file);
	return 0;
}
