// SPDX-License-Identifier: GPL-2.0
/*
 * Test the filter for the handle of a stack, and how filters are removed: what
 * "handle=" and "nid=all" accept, which pages they let through, and that a search
 * that finds nothing can be killed.
 *
 * The pages are those of a mapping of our own, all populated by one mlock(), so
 * that they have the same stack. Some may have another one, as those that came
 * from a list of free pages on another path, so each is asked for its handle.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "vm_util.h"

#define PAGE_OWNER_PATH		"/sys/kernel/debug/page_owner"
/* Larger than any record: the kernel prints at most a page. */
#define RECORD_SIZE		(256 << 10)
#define NR_PAGES		64
/* No depot has that many stacks. */
#define NO_HANDLE		"4294967295"

FIXTURE(page_owner_handle)
{
	unsigned int handle;
	int pagemap_fd;
	char *pages;
	char *buf;
	int fd;
};

static int open_page_owner(void)
{
	return open(PAGE_OWNER_PATH, O_RDWR | O_CLOEXEC);
}

/* Return: 0 or errno. */
static int write_filter(int fd, const char *filter)
{
	ssize_t len = strlen(filter);
	ssize_t ret = write(fd, filter, len);

	if (ret < 0)
		return errno;

	return ret == len ? 0 : EIO;
}

static int write_handle(int fd, unsigned int handle)
{
	char filter[32];

	snprintf(filter, sizeof(filter), "handle=%u", handle);
	return write_filter(fd, filter);
}

/*
 * Read the record at or after @pfn, with read() at the position if @pfn is -1.
 * The handle is 0 if the record does not name it.
 *
 * Return: whether there is one.
 */
static bool read_record(FIXTURE_DATA(page_owner_handle) * self, int fd,
			long pfn, unsigned long *found, unsigned int *handle)
{
	char *line;
	ssize_t len;

	len = pfn < 0 ? read(fd, self->buf, RECORD_SIZE) :
			pread(fd, self->buf, RECORD_SIZE, pfn);
	if (len <= 0)
		return false;
	self->buf[len] = '\0';

	line = strstr(self->buf, "\nPFN 0x");
	if (!line || sscanf(line, "\nPFN 0x%lx ", found) != 1)
		return false;
	*handle = 0;
	line = strstr(self->buf, "\nhandle: ");
	if (line)
		sscanf(line, "\nhandle: %u", handle);

	return true;
}

static unsigned long page_pfn(FIXTURE_DATA(page_owner_handle) * self, int i)
{
	return pagemap_get_pfn(self->pagemap_fd, self->pages + i * psize());
}

/* Whether the filter of @fd lets a page through, and with which handle. */
static bool page_is_seen(FIXTURE_DATA(page_owner_handle) * self, int fd, int i,
			 unsigned int *handle)
{
	unsigned long pfn, found;

	/* Believe a miss only if the page has not been migrated. */
	do {
		pfn = page_pfn(self, i);
		if (read_record(self, fd, pfn, &found, handle) && found == pfn)
			return true;
	} while (page_pfn(self, i) != pfn);

	return false;
}

FIXTURE_SETUP(page_owner_handle)
{
	self->pagemap_fd = -1;
	self->buf = NULL;

	if (geteuid())
		SKIP(return, "needs root");
	self->fd = open_page_owner();
	if (self->fd < 0 && errno == ENOENT)
		SKIP(return, "needs debugfs, and page_owner=on on the kernel command line");
	if (self->fd < 0 && errno == EPERM)
		SKIP(return, "needs a kernel that is not locked down");
	ASSERT_GE(self->fd, 0);
	self->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (self->pagemap_fd < 0)
		SKIP(return, "needs /proc/self/pagemap");
	self->buf = malloc(RECORD_SIZE + 1);
	ASSERT_NE(NULL, self->buf);

	self->pages = mmap(NULL, NR_PAGES * psize(), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->pages);
	madvise(self->pages, NR_PAGES * psize(), MADV_NOHUGEPAGE);
	if (mlock(self->pages, NR_PAGES * psize()))
		SKIP(return, "needs mlock() of %d pages", NR_PAGES);

	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));
	ASSERT_TRUE(page_is_seen(self, self->fd, 0, &self->handle));
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(page_owner_handle)
{
	if (self->fd >= 0)
		close(self->fd);
	if (self->pagemap_fd >= 0)
		close(self->pagemap_fd);
	free(self->buf);
}

TEST_F_TIMEOUT(page_owner_handle, selects_the_pages_of_a_stack, 120)
{
	unsigned int handle, same = 0;
	int fd = open_page_owner();

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, write_filter(fd, "mode=handle"));
	ASSERT_EQ(0, write_handle(self->fd, self->handle));
	for (int i = 0; i < NR_PAGES; i++) {
		ASSERT_TRUE(page_is_seen(self, fd, i, &handle));
		if (handle == self->handle) {
			same++;
			EXPECT_TRUE(page_is_seen(self, self->fd, i, &handle));
		} else {
			EXPECT_FALSE(page_is_seen(self, self->fd, i, &handle));
		}
	}
	/* The page whose handle it is, if no other. */
	EXPECT_LT(0, same);
	close(fd);
}

TEST_F_TIMEOUT(page_owner_handle, all_records_have_the_handle, 120)
{
	unsigned long pfn, records = 0;
	unsigned int handle;

	ASSERT_EQ(0, write_handle(self->fd, self->handle));
	while (read_record(self, self->fd, -1, &pfn, &handle)) {
		ASSERT_EQ(self->handle, handle);
		records++;
	}
	EXPECT_LT(0, records);
}

TEST_F(page_owner_handle, does_not_depend_on_the_mode)
{
	unsigned int handle;

	ASSERT_EQ(0, write_handle(self->fd, self->handle));
	ASSERT_EQ(0, write_filter(self->fd, "mode=stack"));
	EXPECT_TRUE(page_is_seen(self, self->fd, 0, &handle));
	EXPECT_EQ(0, handle);
	ASSERT_EQ(0, write_filter(self->fd, "mode=stack_handle"));
	EXPECT_TRUE(page_is_seen(self, self->fd, 0, &handle));
	EXPECT_EQ(self->handle, handle);
}

TEST_F(page_owner_handle, is_removed_by_all)
{
	unsigned int handle;

	ASSERT_EQ(0, write_filter(self->fd, "handle=" NO_HANDLE));
	EXPECT_FALSE(page_is_seen(self, self->fd, 0, &handle));
	ASSERT_EQ(0, write_filter(self->fd, "handle=all"));
	EXPECT_TRUE(page_is_seen(self, self->fd, 0, &handle));

	/* The last one counts. */
	ASSERT_EQ(0, write_filter(self->fd, "handle=all handle=" NO_HANDLE));
	EXPECT_FALSE(page_is_seen(self, self->fd, 0, &handle));
	ASSERT_EQ(0, write_filter(self->fd, "handle=" NO_HANDLE " handle=all"));
	EXPECT_TRUE(page_is_seen(self, self->fd, 0, &handle));
}

TEST_F(page_owner_handle, belongs_to_the_open_file)
{
	int fd = open_page_owner();
	unsigned int handle;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, write_filter(self->fd, "handle=" NO_HANDLE));
	EXPECT_TRUE(page_is_seen(self, fd, 0, &handle));
	close(fd);
}

/* Return: a node with memory on which page 0 is not, or -1. */
static int other_node(FIXTURE_DATA(page_owner_handle) * self)
{
	unsigned int handle;
	char filter[32];

	for (int nid = 0; nid < 1024; nid++) {
		int fd = open_page_owner();
		bool seen;

		snprintf(filter, sizeof(filter), "nid=%d", nid);
		if (write_filter(fd, filter)) {
			close(fd);
			continue;
		}
		seen = page_is_seen(self, fd, 0, &handle);
		close(fd);
		if (!seen)
			return nid;
	}

	return -1;
}

TEST_F(page_owner_handle, node_filter_is_removed_by_all)
{
	int nid = other_node(self);
	unsigned int handle;
	char filter[64];

	ASSERT_EQ(0, write_filter(self->fd, "nid=all"));
	EXPECT_TRUE(page_is_seen(self, self->fd, 0, &handle));
	if (nid < 0)
		SKIP(return, "needs two nodes with memory");

	snprintf(filter, sizeof(filter), "nid=%d", nid);
	ASSERT_EQ(0, write_filter(self->fd, filter));
	EXPECT_FALSE(page_is_seen(self, self->fd, 0, &handle));
	ASSERT_EQ(0, write_filter(self->fd, "nid=all"));
	EXPECT_TRUE(page_is_seen(self, self->fd, 0, &handle));

	/* The last one counts. */
	snprintf(filter, sizeof(filter), "nid=all nid=%d", nid);
	ASSERT_EQ(0, write_filter(self->fd, filter));
	EXPECT_FALSE(page_is_seen(self, self->fd, 0, &handle));
	snprintf(filter, sizeof(filter), "nid=%d nid=all", nid);
	ASSERT_EQ(0, write_filter(self->fd, filter));
	EXPECT_TRUE(page_is_seen(self, self->fd, 0, &handle));
}

/* A page has to pass the filter for nodes and that for handles. */
TEST_F(page_owner_handle, both_filters_apply)
{
	int nid = other_node(self);
	unsigned int handle;
	char filter[64];

	if (nid < 0)
		SKIP(return, "needs two nodes with memory");

	snprintf(filter, sizeof(filter), "handle=%u nid=%d", self->handle, nid);
	ASSERT_EQ(0, write_filter(self->fd, filter));
	EXPECT_FALSE(page_is_seen(self, self->fd, 0, &handle));
	ASSERT_EQ(0, write_filter(self->fd, "nid=all"));
	EXPECT_TRUE(page_is_seen(self, self->fd, 0, &handle));
	ASSERT_EQ(0, write_filter(self->fd, "handle=" NO_HANDLE));
	EXPECT_FALSE(page_is_seen(self, self->fd, 0, &handle));
}

TEST_F(page_owner_handle, bad_values_change_nothing)
{
	static const struct {
		const char *filter;
		int error;
	} rows[] = {
		{ "handle", EINVAL },
		{ "handle=", EINVAL },
		{ "handle=0", EINVAL },
		{ "handle=00", EINVAL },
		{ "handle=-1", EINVAL },
		{ "handle=+1", EINVAL },
		{ "handle=0x1", EINVAL },
		{ "handle=1,2", EINVAL },
		{ "handle=1-2", EINVAL },
		{ "handle=x", EINVAL },
		{ "handle=All", EINVAL },
		{ "handle=all,1", EINVAL },
		{ "handle= 1", EINVAL },
		{ "handle=4294967296", ERANGE },
		{ "handle=99999999999999999999", ERANGE },
		{ "nid=al", EINVAL },
		{ "nid=alle", EINVAL },
		{ "nid=all,x", EINVAL },
		{ "mode=stack handle=" NO_HANDLE " foo", EINVAL },
		{ "mode=stack nid=all handle=" NO_HANDLE " handle=", EINVAL },
	};
	unsigned int handle;

	ASSERT_EQ(0, write_handle(self->fd, self->handle));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		EXPECT_EQ(rows[i].error, write_filter(self->fd, rows[i].filter))
			TH_LOG("write '%s'", rows[i].filter);
		EXPECT_TRUE(page_is_seen(self, self->fd, 0, &handle))
			TH_LOG("'%s' changed the filter", rows[i].filter);
		EXPECT_EQ(self->handle, handle)
			TH_LOG("'%s' changed the mode", rows[i].filter);
	}
}

static unsigned long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

#define NR_KILLS		20
#define SHORTEST_SEARCH_NS	1000000ULL
#define MEMORY_TO_SEARCH	(512UL << 20)

/* Half of what is free is certain to be there. Return: bytes. */
static size_t size_to_search(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	size_t size = 0;
	char line[128];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemAvailable: %zu kB", &size) == 1)
			break;
	}
	fclose(file);
	size = size / 2 << 10;

	return size < MEMORY_TO_SEARCH ? size & ~(psize() - 1UL) :
					 MEMORY_TO_SEARCH;
}

/* What a task that searches shares with the one that kills it. */
struct search {
	bool started;
	/* Nothing is written here before the search is over. */
	char record[4096];
};

/*
 * Find the longest search for the next page with the handle of @fd.
 *
 * Return: where it starts; @time is what it takes, in ns.
 */
static unsigned long longest_search(FIXTURE_DATA(page_owner_handle) * self,
				    int fd, unsigned long long *time)
{
	unsigned long pfn, from = 0, longest = 0;
	unsigned long long start, best = 0, now;
	unsigned int handle;

	for (;;) {
		start = now_ns();
		if (!read_record(self, fd, from, &pfn, &handle))
			break;
		now = now_ns() - start;
		if (now > best) {
			best = now;
			longest = from;
		}
		from = pfn + 1;
	}

	/* Once more: this one may have been interrupted. */
	*time = ~0ULL;
	for (int i = 0; i < NR_KILLS; i++) {
		start = now_ns();
		read_record(self, fd, longest, &pfn, &handle);
		now = now_ns() - start;
		if (now < *time)
			*time = now;
	}

	return longest;
}

/*
 * A task that is killed while it searches must not go on to the end. If it did,
 * it would find the page there and print its record, dying or not, into memory
 * that is shared. It may have found it before it is killed, but not always.
 */
TEST_F_TIMEOUT(page_owner_handle, search_can_be_killed, 300)
{
	size_t size = size_to_search();
	unsigned long long time;
	struct search *search;
	char *memory, *pages;
	unsigned long from;
	int cut = 0;
	pid_t pid;

	/* Much memory, with pages of the handle before, behind, or in it. */
	ASSERT_LT(0, size);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, memory);
	madvise(memory, size, MADV_NOHUGEPAGE);
	madvise(memory, size, MADV_DONTFORK);
	memset(memory, 1, size);
	pages = mmap(NULL, NR_PAGES * psize(), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pages);
	madvise(pages, NR_PAGES * psize(), MADV_NOHUGEPAGE);
	ASSERT_EQ(0, mlock(pages, NR_PAGES * psize()));
	search = mmap(NULL, sizeof(*search), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, search);

	ASSERT_EQ(0, write_handle(self->fd, self->handle));
	from = longest_search(self, self->fd, &time);
	if (time < SHORTEST_SEARCH_NS)
		SKIP(return, "needs memory that takes more than %llu us to search, not %llu us",
		     SHORTEST_SEARCH_NS / 1000, time / 1000);

	for (int i = 0; i < NR_KILLS; i++) {
		memset(search, 0, sizeof(*search));
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			__atomic_store_n(&search->started, true,
					 __ATOMIC_RELEASE);
			pread(self->fd, search->record, sizeof(search->record),
			      from);
			pause();
		}
		while (!__atomic_load_n(&search->started, __ATOMIC_ACQUIRE))
			usleep(10);
		usleep(time * (i + 1) / NR_KILLS / 2 / 1000);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		if (!search->record[0])
			cut++;
	}
	TH_LOG("%d of %d searches of %llu us were cut short", cut, NR_KILLS,
	       time / 1000);
	/* How many depends on the load; a search that cannot be killed has 0. */
	EXPECT_LT(0, cut);
	munmap(search, sizeof(*search));
	munmap(pages, NR_PAGES * psize());
	munmap(memory, size);
}

TEST_HARNESS_MAIN
