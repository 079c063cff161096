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
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

/*
 * What a task that searches shares with those that hold it back and kill it.
 */
struct search {
	/* The lock of the file's position is held by somebody who waits. */
	bool held;
	/* Nothing is written here if there is no record. */
	char record[4096];
};

/*
 * The number of pages of a block, after each of which a search looks whether its
 * task is being killed.
 */
static unsigned long block_pages(void)
{
	FILE *file = fopen("/proc/pagetypeinfo", "r");
	unsigned long pages = 0;
	char line[128];

	if (!file)
		return 0;
	while (!pages && fgets(line, sizeof(line), file))
		sscanf(line, "Pages per block: %lu", &pages);
	fclose(file);

	return pages;
}

/*
 * Find a search for the next page with the handle of @fd that does not end in the
 * block where it begins.
 *
 * Return: where it starts, or -1.
 */
static long long_search(FIXTURE_DATA(page_owner_handle) * self, int fd)
{
	unsigned long pfn, from = 0, pages = block_pages();
	unsigned int handle;

	while (pages && read_record(self, fd, from, &pfn, &handle)) {
		/* Position 0 stands for the first page there is. */
		if (from ? pfn >= from + pages : pfn >= 2 * pages)
			return from;
		from = pfn + 1;
	}

	return -1;
}

/* Whether a task sleeps and cannot be woken, and whether SIGKILL waits for it. */
static bool sleeps(pid_t pid, bool killed)
{
	unsigned long long pending = 0;
	char path[64], line[128];
	char state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "r");
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "State:\t", 7))
			state = line[7];
		else if (!strncmp(line, "SigPnd:\t", 8))
			pending = strtoull(line + 8, NULL, 16);
	}
	fclose(file);

	return state == 'D' && !killed == !(pending & 1ULL << (SIGKILL - 1));
}

/* Return: whether @pid sleeps like that, within a minute. */
static bool wait_for_sleep(pid_t pid, bool killed)
{
	for (int i = 0; i < 60000; i++) {
		if (sleeps(pid, killed))
			return true;
		usleep(1000);
	}

	return false;
}

/* Return: a userfaultfd for the page at @page, or -1. */
static int catch_fault(void *page)
{
	struct uffdio_register reg = {
		.range = { (unsigned long)page, psize() },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg)) {
		close(fd);
		return -1;
	}

	return fd;
}

/*
 * The task that directs the others: when its parent, which has the lock of the
 * file's position, waits for @page, the reader may begin, and waits for the lock.
 * There it is killed, if @killed. Then @page is filled with @text, and all go on.
 *
 * Return: exit status; 0 if it was so.
 */
static int direct(int uffd, void *page, char *text, struct search *search,
		  pid_t reader, bool killed)
{
	struct uffdio_copy copy = {
		.dst = (unsigned long)page,
		.src = (unsigned long)text,
		.len = psize(),
	};
	struct uffd_msg msg;
	int status = 0;

	if (read(uffd, &msg, sizeof(msg)) != sizeof(msg) ||
	    msg.event != UFFD_EVENT_PAGEFAULT)
		status = 1;
	__atomic_store_n(&search->held, true, __ATOMIC_RELEASE);
	if (!status && !wait_for_sleep(reader, false))
		status = 2;
	if (!status && killed) {
		kill(reader, SIGKILL);
		if (!wait_for_sleep(reader, true))
			status = 3;
	}
	if (ioctl(uffd, UFFDIO_COPY, &copy))
		status = 4;

	return status;
}

/*
 * Let a task search from @from on, and if @killed, be killed just before, in the
 * kernel: while it waits for the lock of the file's position, which read() and
 * write() take. We hold that lock, in a write() whose text is not there yet.
 */
static void search_from(struct __test_metadata *_metadata,
			FIXTURE_DATA(page_owner_handle) * self, long from,
			bool killed, struct search *search)
{
	pid_t reader, director;
	char *page, *text;
	int status, uffd;

	page = mmap(NULL, psize(), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	text = mmap(NULL, psize(), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, text);
	strcpy(text, "mode=handle");
	memset(search, 0, sizeof(*search));
	ASSERT_EQ(from, lseek(self->fd, from, SEEK_SET));
	uffd = catch_fault(page);
	ASSERT_GE(uffd, 0);

	reader = fork();
	ASSERT_GE(reader, 0);
	if (!reader) {
		while (!__atomic_load_n(&search->held, __ATOMIC_ACQUIRE))
			usleep(100);
		_exit(read(self->fd, search->record,
			   sizeof(search->record)) <= 0);
	}
	director = fork();
	ASSERT_GE(director, 0);
	if (!director)
		_exit(direct(uffd, page, text, search, reader, killed));

	/* With this one closed, the end of the director ends the wait, too. */
	close(uffd);
	EXPECT_EQ(strlen("mode=handle"),
		  write(self->fd, page, strlen("mode=handle")));
	ASSERT_EQ(director, waitpid(director, &status, 0));
	EXPECT_EQ(0, status) TH_LOG("the director's status is %#x", status);
	ASSERT_EQ(reader, waitpid(reader, &status, 0));
	/* A signal ends it if it is killed, and finding a record if not. */
	EXPECT_EQ(killed, WIFSIGNALED(status));
	EXPECT_TRUE(killed || !status);
	munmap(text, psize());
	munmap(page, psize());
}

/*
 * A task that is killed while it searches must not go on to the end. If it did,
 * it would find the page there and print its record, dying or not, into memory
 * that is shared.
 */
TEST_F_TIMEOUT(page_owner_handle, search_can_be_killed, 300)
{
	struct search *search;
	long from;

	search = mmap(NULL, sizeof(*search), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, search);
	if (access("/proc/sys/vm/unprivileged_userfaultfd", F_OK))
		SKIP(return, "needs CONFIG_USERFAULTFD");

	ASSERT_EQ(0, write_handle(self->fd, self->handle));
	from = long_search(self, self->fd);
	ASSERT_GE(from, 0) TH_LOG("every search ends where it begins");

	search_from(_metadata, self, from, false, search);
	EXPECT_NE('\0', search->record[0]) TH_LOG("there is nothing to find");
	search_from(_metadata, self, from, true, search);
	EXPECT_EQ('\0', search->record[0]) TH_LOG("a killed task went on");
	munmap(search, sizeof(*search));
}

TEST_HARNESS_MAIN
