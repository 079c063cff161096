// SPDX-License-Identifier: GPL-2.0
/*
 * Test the filters of the page_owner file in debugfs: the print modes, node
 * lists and handles that can be written to an open file, which of them are
 * refused and how, who shares a filter, and what read() then returns.
 *
 * The truth that records are compared with is a few pages of our own, whose
 * node is set with mbind() and whose PFN is known from pagemap. Reading at the
 * offset of such a PFN returns its record if the filter lets it through, and
 * the record of a later page, or nothing, if not.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "vm_util.h"

#define DEBUGFS_PATH		"/sys/kernel/debug"
#define PAGE_OWNER_PATH		DEBUGFS_PATH "/page_owner"
#define STACKS_PATH		DEBUGFS_PATH "/page_owner_stacks/show_stacks_handles"
#define HAS_MEMORY_PATH		"/sys/devices/system/node/has_memory"
#define MEMORY_BLOCKS_PATH	"/sys/devices/system/memory"

/* Larger than any record, and than the counts of some 2,500 stacks. */
#define RECORD_SIZE		(256 << 10)
/* Larger than any accepted filter: 32 + 6 * 1024 nodes. */
#define FILTER_SIZE		8192
/* How many records of a node to look at, so that huge machines stay fast. */
#define SCAN_RECORDS		500
#define MAX_NODES		1024
#define NO_NODE			(-1)

enum print_mode {
	MODE_STACK,
	MODE_HANDLE,
	MODE_STACK_HANDLE,
	MODE_INVALID,
};

/* The parts of a record that tests compare. */
struct record {
	enum print_mode mode;
	unsigned long pfn;
	unsigned int handle;
	char *frames;
	size_t frames_len;
	int nid;
};

/* A page that belongs to the test for as long as it runs. */
struct held_page {
	char *addr;
	int nid;
};

#define MATCH_A			0x1
#define MATCH_B			0x2

/*
 * One write to the file. In the text, {a} and {b} stand for nodes with memory,
 * {n} for the node after {a} if it has memory, {e} for a possible node without
 * memory, {l} for the last possible node if it has none, and {max} for the
 * number of possible nodes. @error is the expected errno, 0 for success; in
 * that case @mode is the mode, and @match tells the held pages to be seen.
 */
struct filter_row {
	const char *text;
	size_t len;
	int error;
	enum print_mode mode;
	unsigned int match;
};

#define ACCEPT(string, print_mode, pages)				\
	{								\
		.text = string, .len = sizeof(string) - 1,		\
		.mode = print_mode, .match = pages			\
	}

#define REJECT(string, errnum)						\
	{ .text = string, .len = sizeof(string) - 1, .error = errnum }

/* Rows that any machine can check; only the page on node {a} is looked at. */
static const struct filter_row accepted_rows[] = {
	ACCEPT("", MODE_STACK, MATCH_A),
	ACCEPT(" ", MODE_STACK, MATCH_A),
	ACCEPT(" \t\n\n ", MODE_STACK, MATCH_A),
	ACCEPT("mode=stack", MODE_STACK, MATCH_A),
	ACCEPT("mode=handle", MODE_HANDLE, MATCH_A),
	ACCEPT("mode=handle\n", MODE_HANDLE, MATCH_A),
	ACCEPT("\t mode=handle \t", MODE_HANDLE, MATCH_A),
	ACCEPT("mode=stack_handle", MODE_STACK_HANDLE, MATCH_A),
	ACCEPT("mode=stack mode=handle", MODE_HANDLE, MATCH_A),
	ACCEPT("mode=handle mode=stack", MODE_STACK, MATCH_A),
	ACCEPT("nid={a}", MODE_STACK, MATCH_A),
	ACCEPT("nid=0{a}", MODE_STACK, MATCH_A),
	ACCEPT("nid={a},", MODE_STACK, MATCH_A),
	ACCEPT("nid=,{a}", MODE_STACK, MATCH_A),
	ACCEPT("nid={a}\r\n", MODE_STACK, MATCH_A),
	ACCEPT("nid={a}-{a}", MODE_STACK, MATCH_A),
	ACCEPT("mode=handle nid={a}", MODE_HANDLE, MATCH_A),
	ACCEPT("nid={a}\tmode=handle\n", MODE_HANDLE, MATCH_A),
	ACCEPT("mode=handle\0garbage", MODE_HANDLE, MATCH_A),
};

/* Rows that need a second node; both pages are looked at. */
static const struct filter_row accepted_node_rows[] = {
	ACCEPT("mode=handle", MODE_HANDLE, MATCH_A | MATCH_B),
	ACCEPT("nid={a}", MODE_STACK, MATCH_A),
	ACCEPT("nid={b}", MODE_STACK, MATCH_B),
	ACCEPT("nid={a},{b}", MODE_STACK, MATCH_A | MATCH_B),
	ACCEPT("nid={b},{a}", MODE_STACK, MATCH_A | MATCH_B),
	ACCEPT("nid={a},,{b},", MODE_STACK, MATCH_A | MATCH_B),
	ACCEPT("nid={a}\v{b}", MODE_STACK, MATCH_A | MATCH_B),
	ACCEPT("nid={a}-{n}", MODE_STACK, MATCH_A | MATCH_B),
	ACCEPT("nid={a}-{n}:1/2", MODE_STACK, MATCH_A),
	ACCEPT("nid={a} nid={b}", MODE_STACK, MATCH_B),
	ACCEPT("nid={b} nid={a}", MODE_STACK, MATCH_A),
	ACCEPT("nid={a}\0,{b}", MODE_STACK, MATCH_A),
	ACCEPT("mode=handle nid={b}", MODE_HANDLE, MATCH_B),
	ACCEPT("nid={b}\tmode=stack_handle\n", MODE_STACK_HANDLE, MATCH_B),
};

static const struct filter_row rejected_rows[] = {
	/* Unknown keys, unknown values, and values in the wrong case. */
	REJECT("mode=", EINVAL),
	REJECT("mode=Stack", EINVAL),
	REJECT("MODE=stack", EINVAL),
	REJECT("mode =stack", EINVAL),
	REJECT("mode= stack", EINVAL),
	REJECT("mode", EINVAL),
	REJECT("mode=stack_", EINVAL),
	REJECT("nid", EINVAL),
	REJECT("foo", EINVAL),
	REJECT("foo=1", EINVAL),
	REJECT("print_mode=handle", EINVAL),
	/* Separators other than space, tab and newline. */
	REJECT("mode=handle,nid={a}", EINVAL),
	REJECT("mode=handle\r\n", EINVAL),
	/* Empty and malformed node lists. */
	REJECT("nid=", EINVAL),
	REJECT("nid=,", EINVAL),
	REJECT("nid=-1", EINVAL),
	REJECT("nid=+0", EINVAL),
	REJECT("nid=0x0", EINVAL),
	REJECT("nid=a", EINVAL),
	REJECT("nid=1-0", EINVAL),
	REJECT("nid={a}-", EINVAL),
	REJECT("nid=-{a}", EINVAL),
	REJECT("nid={a}--{a}", EINVAL),
	REJECT("nid={a};{a}", EINVAL),
	REJECT("nid= {a}", EINVAL),
	REJECT("nid={a} {a}", EINVAL),
	REJECT("nid={a} foo", EINVAL),
	/* Numbers that no node can have. */
	REJECT("nid={max}", ERANGE),
	REJECT("nid={a},{max}", ERANGE),
	REJECT("nid=65535", ERANGE),
	REJECT("nid=4294967296", EOVERFLOW),
	REJECT("nid=99999999999", EOVERFLOW),
	/* Nothing is taken over if only the last token is bad. */
	REJECT("mode=stack foo", EINVAL),
	REJECT("mode=stack nid={a} mode=bad", EINVAL),
	REJECT("mode=stack nid={a} nid={max}", ERANGE),
};

/* Nodes that could exist, but have no memory. */
static const struct filter_row rejected_node_rows[] = {
	REJECT("nid={e}", EINVAL),
	REJECT("nid={a},{e}", EINVAL),
	REJECT("nid={a} nid={e}", EINVAL),
	REJECT("nid={e}-{e}:1/2", EINVAL),
	REJECT("mode=stack nid={e}", EINVAL),
	REJECT("nid={l}", EINVAL),
	REJECT("nid=N", EINVAL),
	REJECT("nid=0-N", EINVAL),
};

FIXTURE(page_owner)
{
	bool has_memory[MAX_NODES];
	struct held_page page_a;
	struct held_page page_b;
	int nid_without_memory;
	int pagemap_fd;
	int max_nodes;
	char *filter;
	char *buf;
	int fd;
};

static int open_page_owner(int flags)
{
	return open(PAGE_OWNER_PATH, flags | O_CLOEXEC);
}

static bool is_debugfs(const char *path)
{
	struct statfs sb;

	return !statfs(path, &sb) && (unsigned int)sb.f_type == DEBUGFS_MAGIC;
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

static int write_nid(int fd, int nid)
{
	char filter[32];

	snprintf(filter, sizeof(filter), "nid=%d", nid);
	return write_filter(fd, filter);
}

/*
 * The number of nodes that the kernel can handle is not exported. It is a power
 * of two, and the smallest node id that is refused as out of range.
 */
static int probe_max_nodes(void)
{
	int fd = open_page_owner(O_RDWR);
	int nid;

	if (fd < 0)
		return -1;

	for (nid = 1; nid <= MAX_NODES; nid *= 2) {
		if (write_nid(fd, nid) == ERANGE)
			break;
	}
	close(fd);

	return nid <= MAX_NODES ? nid : -1;
}

/* Without CONFIG_NUMA there is no list, and node 0 has all memory. */
static bool read_has_memory(bool *has_memory)
{
	FILE *file = fopen(HAS_MEMORY_PATH, "r");
	int first, last;

	if (!file) {
		has_memory[0] = true;
		return errno == ENOENT;
	}

	while (fscanf(file, "%d", &first) == 1) {
		if (fscanf(file, "-%d", &last) != 1)
			last = first;
		for (; first <= last && first < MAX_NODES; first++)
			has_memory[first] = true;
		if (fgetc(file) != ',')
			break;
	}
	fclose(file);

	return true;
}

/* Pages of order 0 on a node. Return: their start, or NULL. */
static char *hold_pages(int nid, size_t size, bool bind)
{
	unsigned long mask[MAX_NODES / (8 * sizeof(long))] = { 0 };
	unsigned int bits = 8 * sizeof(long);
	char *addr;

	addr = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (addr == MAP_FAILED)
		return NULL;

	/* No need to check: without THP there is nothing to turn off. */
	madvise(addr, size, MADV_NOHUGEPAGE);

	mask[nid / bits] |= 1UL << (nid % bits);
	if ((bind && syscall(__NR_mbind, addr, size, MPOL_BIND, mask,
			     MAX_NODES, 0)) ||
	    mlock(addr, size)) {
		munmap(addr, size);
		return NULL;
	}

	return addr;
}

static bool hold_page(struct held_page *page, int nid, bool bind)
{
	page->nid = nid;
	page->addr = hold_pages(nid, psize(), bind);
	return page->addr;
}

static bool have_two_nodes(FIXTURE_DATA(page_owner) * self)
{
	return self->page_b.nid != NO_NODE;
}

/* Choose {a} and {b}, neighbours if possible, so that {n} is {b}. */
static void choose_nodes(FIXTURE_DATA(page_owner) * self)
{
	int nid;

	self->page_a.nid = NO_NODE;
	self->page_b.nid = NO_NODE;
	self->nid_without_memory = NO_NODE;

	for (nid = 0; nid < self->max_nodes; nid++) {
		if (!self->has_memory[nid]) {
			if (self->nid_without_memory == NO_NODE)
				self->nid_without_memory = nid;
		} else if (self->page_a.nid == NO_NODE) {
			self->page_a.nid = nid;
		} else if (self->page_b.nid == NO_NODE) {
			self->page_b.nid = nid;
		}
	}

	for (nid = 0; nid + 1 < self->max_nodes; nid++) {
		if (self->has_memory[nid] && self->has_memory[nid + 1]) {
			self->page_a.nid = nid;
			self->page_b.nid = nid + 1;
			break;
		}
	}
}

/* The files that all cases need. Returns why they cannot be had, or NULL. */
static const char *open_files(int *fd, int *pagemap_fd)
{
	if (geteuid())
		return "needs root";
	if (!is_debugfs(DEBUGFS_PATH))
		return "needs debugfs mounted on " DEBUGFS_PATH;
	if (access(PAGE_OWNER_PATH, F_OK))
		return "needs page_owner=on on the kernel command line";
	*fd = open_page_owner(O_RDWR);
	if (*fd < 0 && errno == EPERM)
		return "needs a kernel that is not locked down";
	*pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	return *pagemap_fd < 0 ? "needs /proc/self/pagemap" : NULL;
}

FIXTURE_SETUP(page_owner)
{
	const char *why;

	self->fd = -1;
	self->pagemap_fd = -1;
	self->buf = NULL;
	self->filter = NULL;

	why = open_files(&self->fd, &self->pagemap_fd);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_GE(self->fd, 0);

	self->buf = malloc(RECORD_SIZE + 1);
	ASSERT_NE(NULL, self->buf);
	self->filter = malloc(FILTER_SIZE);
	ASSERT_NE(NULL, self->filter);

	self->max_nodes = probe_max_nodes();
	ASSERT_GT(self->max_nodes, 0);
	ASSERT_TRUE(read_has_memory(self->has_memory));
	choose_nodes(self);
	ASSERT_NE(self->page_a.nid, NO_NODE);

	if (!have_two_nodes(self)) {
		ASSERT_TRUE(hold_page(&self->page_a, self->page_a.nid, false));
		return;
	}
	if (!hold_page(&self->page_a, self->page_a.nid, true) ||
	    !hold_page(&self->page_b, self->page_b.nid, true))
		SKIP(return, "needs mbind() and mlock() to nodes %d and %d",
		     self->page_a.nid, self->page_b.nid);
}

FIXTURE_TEARDOWN(page_owner)
{
	if (self->fd >= 0)
		close(self->fd);
	if (self->pagemap_fd >= 0)
		close(self->pagemap_fd);
	free(self->filter);
	free(self->buf);
}

static bool starts_with(const char *string, const char *prefix)
{
	return !strncmp(string, prefix, strlen(prefix));
}

static char *next_line(char *line)
{
	char *end = strchr(line, '\n');

	return end ? end + 1 : line + strlen(line);
}

/*
 * Take a record apart, line by line in the only order that is allowed. Anything
 * else confuses programs that parse the file, so it makes the mode invalid.
 */
static void parse_record(char *text, struct record *record)
{
	bool has_handle = false;
	char *line = text;
	char *node;

	memset(record, 0, sizeof(*record));
	record->mode = MODE_INVALID;
	record->nid = NO_NODE;

	if (!starts_with(line, "Page allocated via order "))
		return;
	line = next_line(line);

	if (sscanf(line, "PFN 0x%lx type ", &record->pfn) != 1)
		return;
	node = strstr(line, "|node=");
	if (!node)
		node = strstr(line, "(node=");
	line = next_line(line);
	if (node && node < line)
		record->nid = atoi(node + strlen("|node="));

	record->frames = line;
	while (*line == ' ')
		line = next_line(line);
	record->frames_len = line - record->frames;

	if (sscanf(line, "handle: %u\n", &record->handle) == 1) {
		has_handle = true;
		line = next_line(line);
	}
	if (starts_with(line, "Page has been migrated, last migrate reason: "))
		line = next_line(line);
	if (starts_with(line, "Slab cache page\n") ||
	    starts_with(line, "Charged "))
		line = next_line(line);
	if (strcmp(line, "\n"))
		return;

	if (record->frames_len && has_handle)
		record->mode = MODE_STACK_HANDLE;
	else if (record->frames_len)
		record->mode = MODE_STACK;
	else if (has_handle)
		record->mode = MODE_HANDLE;
}

/* Return: length, 0 at the end of memory, or -1 with errno. */
static ssize_t read_record(FIXTURE_DATA(page_owner) * self, int fd,
			   struct record *record)
{
	ssize_t len = read(fd, self->buf, RECORD_SIZE);

	if (len > 0) {
		self->buf[len] = '\0';
		parse_record(self->buf, record);
	}

	return len;
}

static unsigned long held_pfn(FIXTURE_DATA(page_owner) * self,
			      const struct held_page *page)
{
	return pagemap_get_pfn(self->pagemap_fd, page->addr);
}

/*
 * Get the record of a page of ours. The page could be migrated at the wrong
 * moment, in spite of mlock(), so believe a miss only if its PFN is unchanged.
 *
 * Return: whether the filter of @fd lets the page through.
 */
static bool find_page(FIXTURE_DATA(page_owner) * self, int fd,
		      const struct held_page *page, struct record *record)
{
	unsigned long pfn;
	ssize_t len;

	do {
		pfn = held_pfn(self, page);
		len = pread(fd, self->buf, RECORD_SIZE, pfn);
		if (len > 0) {
			self->buf[len] = '\0';
			parse_record(self->buf, record);
			if (record->pfn == pfn)
				return true;
		}
	} while (held_pfn(self, page) != pfn);

	return false;
}

static enum print_mode page_mode(FIXTURE_DATA(page_owner) * self, int fd,
				 const struct held_page *page)
{
	struct record record;

	if (!find_page(self, fd, page, &record))
		return MODE_INVALID;

	return record.mode;
}

/*
 * Replace the placeholder that @text starts with.
 *
 * Return: number of characters taken from @text, 0 if there is no placeholder,
 * or -1 if this machine has no such node.
 */
static int expand_placeholder(FIXTURE_DATA(page_owner) * self, const char *text,
			      char *number, size_t size)
{
	int nid;

	if (starts_with(text, "{max}"))
		nid = self->max_nodes;
	else if (starts_with(text, "{a}"))
		nid = self->page_a.nid;
	else if (starts_with(text, "{b}"))
		nid = self->page_b.nid;
	else if (starts_with(text, "{n}"))
		nid = self->page_b.nid == self->page_a.nid + 1 ?
			self->page_b.nid : NO_NODE;
	else if (starts_with(text, "{e}"))
		nid = self->nid_without_memory;
	else if (starts_with(text, "{l}"))
		nid = self->has_memory[self->max_nodes - 1] ?
			NO_NODE : self->max_nodes - 1;
	else
		return 0;

	if (nid == NO_NODE)
		return -1;

	snprintf(number, size, "%d", nid);
	return strchr(text, '}') - text + 1;
}

/* Return: length of the filter in self->filter, or -1 as above. */
static int expand_row(FIXTURE_DATA(page_owner) * self,
		      const struct filter_row *row)
{
	const char *end = row->text + row->len;
	const char *text = row->text;
	char number[16];
	int len = 0;
	int taken;

	while (text < end) {
		taken = expand_placeholder(self, text, number, sizeof(number));
		if (taken < 0)
			return -1;
		if (!taken) {
			self->filter[len++] = *text++;
			continue;
		}
		text += taken;
		memcpy(self->filter + len, number, strlen(number));
		len += strlen(number);
	}

	return len;
}

/* Make white space visible, so that the row can be found in the source. */
static const char *row_name(const struct filter_row *row)
{
	static char name[256];
	int len = 0;
	size_t i;

	for (i = 0; i < row->len && len < (int)sizeof(name) - 8; i++) {
		unsigned char c = row->text[i];

		if (c < ' ')
			len += sprintf(name + len, "\\x%02x", c);
		else
			name[len++] = c;
	}
	name[len] = '\0';

	return name;
}

static void check_accepted(struct __test_metadata *_metadata,
			   FIXTURE_DATA(page_owner) * self,
			   const struct filter_row *row, bool check_b)
{
	int len = expand_row(self, row);
	struct record record;
	bool found;
	int fd;

	if (len < 0) {
		TH_LOG("not checked on this machine: '%s'", row_name(row));
		return;
	}

	fd = open_page_owner(O_RDWR);
	ASSERT_GE(fd, 0);

	EXPECT_EQ(len, write(fd, self->filter, len))
		TH_LOG("write '%s': errno %d", row_name(row), errno);

	found = find_page(self, fd, &self->page_a, &record);
	EXPECT_EQ(!!(row->match & MATCH_A), found)
		TH_LOG("'%s': page on node {a}", row_name(row));
	if (found)
		EXPECT_EQ(row->mode, record.mode)
			TH_LOG("'%s': record is\n%s", row_name(row), self->buf);

	if (check_b) {
		found = find_page(self, fd, &self->page_b, &record);
		EXPECT_EQ(!!(row->match & MATCH_B), found)
			TH_LOG("'%s': page on node {b}", row_name(row));
		if (found)
			EXPECT_EQ(row->mode, record.mode)
				TH_LOG("'%s': record is\n%s", row_name(row),
				       self->buf);
	}

	close(fd);
}

/* A refused write must leave both parts of an earlier filter as they are. */
static void check_rejected(struct __test_metadata *_metadata,
			   FIXTURE_DATA(page_owner) * self,
			   const struct filter_row *row)
{
	int len = expand_row(self, row);
	ssize_t ret;
	int fd;

	if (len < 0) {
		TH_LOG("not checked on this machine: '%s'", row_name(row));
		return;
	}

	fd = open_page_owner(O_RDWR);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, write_filter(fd, "mode=handle"));
	ASSERT_EQ(0, write_nid(fd, self->page_a.nid));

	errno = 0;
	ret = write(fd, self->filter, len);
	EXPECT_EQ(-1, ret)
		TH_LOG("write '%s' succeeded", row_name(row));
	EXPECT_EQ(row->error, errno)
		TH_LOG("write '%s'", row_name(row));
	EXPECT_EQ(MODE_HANDLE, page_mode(self, fd, &self->page_a))
		TH_LOG("'%s' changed the filter", row_name(row));

	close(fd);
}

TEST_F(page_owner, only_the_owner_has_access)
{
	struct stat sb;

	ASSERT_EQ(0, fstat(self->fd, &sb));
	EXPECT_EQ(0, sb.st_mode & 0077);
	EXPECT_EQ(0, sb.st_uid);
}

TEST_F(page_owner, open_without_permission_fails)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
			_exit(255);
		_exit(open_page_owner(O_RDONLY) < 0 ? errno : 0);
	}

	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(EACCES, WEXITSTATUS(status));
}

TEST_F(page_owner, write_needs_a_writable_fd)
{
	int fd = open_page_owner(O_RDONLY);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(EBADF, write_filter(fd, "mode=stack"));
	close(fd);
}

TEST_F(page_owner, read_needs_a_readable_fd)
{
	int fd = open_page_owner(O_WRONLY);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(-1, read(fd, self->buf, RECORD_SIZE));
	EXPECT_EQ(EBADF, errno);
	close(fd);
}

TEST_F(page_owner, bad_user_pointer)
{
	char *unreadable;

	unreadable = mmap(NULL, psize(), PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, unreadable);
	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));

	EXPECT_EQ(-1, write(self->fd, unreadable, 10));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MODE_HANDLE, page_mode(self, self->fd, &self->page_a));

	EXPECT_EQ(-1, read(self->fd, unreadable, psize()));
	EXPECT_EQ(EFAULT, errno);

	munmap(unreadable, psize());
}

TEST_F(page_owner, accepted_writes)
{
	for (size_t i = 0; i < ARRAY_SIZE(accepted_rows); i++)
		check_accepted(_metadata, self, &accepted_rows[i], false);
}

TEST_F_TIMEOUT(page_owner, accepted_node_lists, 300)
{
	if (!have_two_nodes(self))
		SKIP(return, "needs two nodes with memory");

	for (size_t i = 0; i < ARRAY_SIZE(accepted_node_rows); i++)
		check_accepted(_metadata, self, &accepted_node_rows[i], true);
}

TEST_F(page_owner, rejected_writes)
{
	for (size_t i = 0; i < ARRAY_SIZE(rejected_rows); i++)
		check_rejected(_metadata, self, &rejected_rows[i]);
}

TEST_F(page_owner, rejected_nodes_without_memory)
{
	if (self->nid_without_memory == NO_NODE)
		SKIP(return, "needs a possible node without memory");

	for (size_t i = 0; i < ARRAY_SIZE(rejected_node_rows); i++)
		check_rejected(_metadata, self, &rejected_node_rows[i]);
}

/* With two nodes it also shows that a refused node list is not taken over. */
TEST_F_TIMEOUT(page_owner, error_in_last_token_changes_nothing, 120)
{
	const struct filter_row row = REJECT("mode=stack nid={b} foo", EINVAL);
	struct record record;

	if (!have_two_nodes(self))
		SKIP(return, "needs two nodes with memory");

	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));
	ASSERT_EQ(0, write_nid(self->fd, self->page_a.nid));
	ASSERT_LT(0, expand_row(self, &row));
	EXPECT_EQ(-1, write(self->fd, self->filter, strlen(self->filter)));
	EXPECT_EQ(EINVAL, errno);

	EXPECT_EQ(MODE_HANDLE, page_mode(self, self->fd, &self->page_a));
	EXPECT_FALSE(find_page(self, self->fd, &self->page_b, &record));
}

/* The limit counts characters, even if they are just padding. */
TEST_F(page_owner, length_limit)
{
	size_t limit = 32 + 6 * self->max_nodes;

	ASSERT_LT(limit, FILTER_SIZE);
	memset(self->filter, ' ', FILTER_SIZE);
	memcpy(self->filter, "mode=handle", strlen("mode=handle"));

	EXPECT_EQ(-1, write(self->fd, self->filter, limit + 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MODE_STACK, page_mode(self, self->fd, &self->page_a));

	EXPECT_EQ(-1, write(self->fd, self->filter, FILTER_SIZE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MODE_STACK, page_mode(self, self->fd, &self->page_a));

	EXPECT_EQ(limit, write(self->fd, self->filter, limit));
	EXPECT_EQ(MODE_HANDLE, page_mode(self, self->fd, &self->page_a));
}

/* The last possible node is in range, whether or not it has memory. */
TEST_F(page_owner, node_limit)
{
	int last = self->max_nodes - 1;

	EXPECT_EQ(self->has_memory[last] ? 0 : EINVAL,
		  write_nid(self->fd, last));
	EXPECT_EQ(ERANGE, write_nid(self->fd, self->max_nodes));
	EXPECT_EQ(ERANGE, write_nid(self->fd, self->max_nodes + 1));
}

TEST_F(page_owner, write_ignores_and_keeps_position)
{
	unsigned long pfn = held_pfn(self, &self->page_a);
	off_t offsets[] = { 0, 1, psize(), 1L << 30 };

	ASSERT_EQ(pfn, lseek(self->fd, pfn, SEEK_SET));
	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));
	EXPECT_EQ(pfn, lseek(self->fd, 0, SEEK_CUR));

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		ASSERT_EQ(0, write_filter(self->fd, "mode=stack"));
		EXPECT_EQ(11, pwrite(self->fd, "mode=handle", 11, offsets[i]));
		EXPECT_EQ(pfn, lseek(self->fd, 0, SEEK_CUR));
		EXPECT_EQ(MODE_HANDLE,
			  page_mode(self, self->fd, &self->page_a));
	}
}

TEST_F(page_owner, modes_describe_the_same_stack)
{
	struct record stack, handle, both;
	char *frames;

	EXPECT_TRUE(find_page(self, self->fd, &self->page_a, &stack));
	ASSERT_EQ(MODE_STACK, stack.mode);
	frames = strndup(stack.frames, stack.frames_len);
	ASSERT_NE(NULL, frames);

	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));
	EXPECT_TRUE(find_page(self, self->fd, &self->page_a, &handle));
	ASSERT_EQ(MODE_HANDLE, handle.mode);
	EXPECT_NE(0, handle.handle);

	ASSERT_EQ(0, write_filter(self->fd, "mode=stack_handle"));
	EXPECT_TRUE(find_page(self, self->fd, &self->page_a, &both));
	ASSERT_EQ(MODE_STACK_HANDLE, both.mode);
	EXPECT_EQ(handle.handle, both.handle);
	EXPECT_EQ(strlen(frames), both.frames_len);
	EXPECT_EQ(0, strncmp(frames, both.frames, both.frames_len));

	free(frames);
}

TEST_F(page_owner, record_names_its_page)
{
	char expected[64];
	struct record record;

	snprintf(expected, sizeof(expected), " pid %d, tgid %d (", getpid(),
		 getpid());

	EXPECT_TRUE(find_page(self, self->fd, &self->page_a, &record));
	EXPECT_NE(NULL, strstr(self->buf, expected))
		TH_LOG("record is\n%s", self->buf);
	if (record.nid != NO_NODE)
		EXPECT_EQ(self->page_a.nid, record.nid);
}

TEST_F(page_owner, one_record_per_read)
{
	struct record record;
	unsigned long pfn = 0;

	for (int i = 0; i < 100; i++) {
		/* parse_record() accepts an empty line only at the end. */
		ASSERT_LT(0, read_record(self, self->fd, &record));
		ASSERT_NE(MODE_INVALID, record.mode)
			TH_LOG("record is\n%s", self->buf);
		EXPECT_GT(record.pfn, pfn);
		pfn = record.pfn;
		EXPECT_EQ(pfn + 1, lseek(self->fd, 0, SEEK_CUR));
	}
}

TEST_F(page_owner, small_buffer_loses_no_record)
{
	static const size_t sizes[] = { 1, 16, 64 };
	unsigned long pfn = held_pfn(self, &self->page_a);
	struct record record;

	ASSERT_EQ(pfn, lseek(self->fd, pfn, SEEK_SET));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(-1, read(self->fd, self->buf, sizes[i]));
		EXPECT_EQ(ENOMEM, errno);
		EXPECT_EQ(pfn, lseek(self->fd, 0, SEEK_CUR));
	}

	ASSERT_LT(0, read_record(self, self->fd, &record));
	if (held_pfn(self, &self->page_a) == pfn)
		EXPECT_EQ(pfn, record.pfn);
}

TEST_F(page_owner, empty_read_returns_zero)
{
	unsigned long pfn = held_pfn(self, &self->page_a);

	ASSERT_EQ(pfn, lseek(self->fd, pfn, SEEK_SET));
	EXPECT_EQ(0, read(self->fd, self->buf, 0));
	EXPECT_EQ(pfn, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(page_owner, refused_seek_keeps_the_position)
{
	ASSERT_EQ(7, lseek(self->fd, 7, SEEK_SET));

	EXPECT_EQ(-1, lseek(self->fd, -5, SEEK_SET));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(7, lseek(self->fd, 0, SEEK_CUR));

	EXPECT_EQ(-1, lseek(self->fd, -8, SEEK_CUR));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(7, lseek(self->fd, 0, SEEK_CUR));

	EXPECT_EQ(-1, lseek(self->fd, 0, SEEK_END));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(7, lseek(self->fd, 0, SEEK_CUR));
}

/* Take the name of a task; the page that is held then has it in its record. */
TEST_F(page_owner, name_with_newlines_is_one_line)
{
	struct held_page page = { .nid = self->page_a.nid };
	struct record record;

	ASSERT_EQ(0, prctl(PR_SET_NAME, "a\n\nPFN\\b"));
	ASSERT_TRUE(hold_page(&page, page.nid, have_two_nodes(self)));
	ASSERT_TRUE(find_page(self, self->fd, &page, &record));
	EXPECT_NE(NULL, strstr(self->buf, " (a\\n\\nPFN\\\\b), ts "))
		TH_LOG("record is\n%s", self->buf);
}

/* What read() gives until it has @len bytes, with a buffer of @size. */
static ssize_t read_in_parts(int fd, char *text, size_t len, size_t size)
{
	size_t done = 0;
	ssize_t ret;

	while (done < len) {
		ret = read(fd, text + done,
			   size < len - done ? size : len - done);
		if (ret <= 0)
			return ret ? -errno : (ssize_t)done;
		done += ret;
	}

	return done;
}

#define NR_RECORDS		20

/*
 * Read records as a whole, and the same in parts. Pages come and go, which
 * changes what is there, so try again some times.
 */
static bool parts_equal_whole(FIXTURE_DATA(page_owner) * self, size_t size)
{
	char *whole = malloc(NR_RECORDS * 4096);
	char *parts = malloc(NR_RECORDS * 4096);
	bool equal = false;

	for (int try = 0; whole && parts && try < 100 && !equal; try++) {
		int fd = open_page_owner(O_RDWR);
		size_t len = 0;
		ssize_t ret;

		lseek(self->fd, 0, SEEK_SET);
		for (int i = 0; i < NR_RECORDS; i++) {
			ret = read(self->fd, whole + len, 4096);
			if (ret <= 0)
				break;
			len += ret;
		}
		ret = read_in_parts(fd, parts, len, size);
		equal = len && ret == (ssize_t)len && !memcmp(whole, parts, len);
		close(fd);
		if (ret < 0)
			break;
	}
	free(parts);
	free(whole);

	return equal;
}

TEST_F_TIMEOUT(page_owner, parts_make_a_whole, 120)
{
	static const size_t sizes[] = { 1, 7, 100, 200 };

	ASSERT_EQ(0, write_filter(self->fd, "mode=stack"));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_TRUE(parts_equal_whole(self, sizes[i]))
			TH_LOG("with a buffer of %zu bytes", sizes[i]);
	}
}

/* The rest of a record comes before what another filter selects. */
TEST_F(page_owner, filter_takes_effect_behind_the_record)
{
	struct record record;
	ssize_t len;

	len = read(self->fd, self->buf, 10);
	ASSERT_EQ(10, len);
	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));
	len = read(self->fd, self->buf + 10, RECORD_SIZE - 10);
	ASSERT_LT(0, len);
	self->buf[10 + len] = '\0';
	parse_record(self->buf, &record);
	EXPECT_EQ(MODE_STACK, record.mode);
	ASSERT_LT(0, read_record(self, self->fd, &record));
	EXPECT_EQ(MODE_HANDLE, record.mode);
}

/* As shells read a line: seek back by what was read and not used. */
TEST_F(page_owner, bytes_can_be_given_back)
{
	char *end, line[4096];
	struct record record;
	unsigned long next;
	ssize_t len;

	ASSERT_LT(0, read_record(self, self->fd, &record));
	next = lseek(self->fd, 0, SEEK_CUR);
	len = strlen(self->buf);
	end = next_line(self->buf);
	ASSERT_NE(NULL, end);
	strncpy(line, end, sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';

	/* All but the first line, twice, and then all. */
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(next, lseek(self->fd, -(off_t)strlen(line), SEEK_CUR));
		EXPECT_EQ(strlen(line), read(self->fd, self->buf, RECORD_SIZE));
		EXPECT_EQ(0, memcmp(self->buf, line, strlen(line)));
		EXPECT_EQ(next, lseek(self->fd, 0, SEEK_CUR));
	}
	EXPECT_EQ(next, lseek(self->fd, -len, SEEK_CUR));
	EXPECT_EQ(len, read(self->fd, self->buf, RECORD_SIZE));
	/* More than there was means PFNs. */
	EXPECT_EQ(next - len - 1 > next ? -1 : (off_t)(next - len - 1),
		  lseek(self->fd, -len - 1, SEEK_CUR));
}

/*
 * After an lseek(), the position is a PFN, whatever has been read before, and even
 * if it is where the file has been already.
 */
TEST_F(page_owner, seek_drops_the_rest_of_a_record)
{
	unsigned long pfn = held_pfn(self, &self->page_a);
	struct record record;
	off_t pos;

	ASSERT_EQ(10, read(self->fd, self->buf, 10));
	pos = lseek(self->fd, 0, SEEK_CUR);
	ASSERT_EQ(pos, lseek(self->fd, pos, SEEK_SET));
	ASSERT_LT(0, read_record(self, self->fd, &record));
	EXPECT_NE(MODE_INVALID, record.mode)
		TH_LOG("record is\n%s", self->buf);
	EXPECT_LE(pos, record.pfn);

	ASSERT_EQ(10, read(self->fd, self->buf, 10));
	ASSERT_EQ(pfn, lseek(self->fd, pfn, SEEK_SET));
	ASSERT_LT(0, read_record(self, self->fd, &record));
	EXPECT_NE(MODE_INVALID, record.mode);
	if (held_pfn(self, &self->page_a) == pfn)
		EXPECT_EQ(pfn, record.pfn);
}

/* Return: whether the text that fdinfo shows for the filter is in self->buf. */
static bool read_fdinfo(FIXTURE_DATA(page_owner) * self, int fd)
{
	char path[64], *end, *start;
	ssize_t len;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return false;
	len = read(info, self->buf, RECORD_SIZE);
	close(info);
	if (len <= 0)
		return false;
	self->buf[len] = '\0';
	start = strstr(self->buf, "\npage_owner:\t");
	if (!start)
		return false;
	start += strlen("\npage_owner:\t");
	end = strchr(start, '\n');
	if (end)
		*end = '\0';
	memmove(self->buf, start, strlen(start) + 1);

	return true;
}

TEST_F(page_owner, fdinfo_shows_the_filter)
{
	int fd = open_page_owner(O_RDWR);
	char filter[64];

	ASSERT_GE(fd, 0);
	ASSERT_TRUE(read_fdinfo(self, self->fd));
	EXPECT_STREQ("mode=stack nid=all handle=all", self->buf);

	snprintf(filter, sizeof(filter), "mode=handle nid=%d handle=42",
		 self->page_a.nid);
	ASSERT_EQ(0, write_filter(self->fd, filter));
	ASSERT_TRUE(read_fdinfo(self, self->fd));
	EXPECT_STREQ(filter, self->buf);

	/* What it shows can be written. */
	ASSERT_EQ(0, write_filter(fd, self->buf));
	ASSERT_TRUE(read_fdinfo(self, fd));
	EXPECT_STREQ(filter, self->buf);
	close(fd);
}

/* Return: the order of the page whose record is in self->buf, -1 if it has none. */
static int record_order(FIXTURE_DATA(page_owner) * self)
{
	int order;

	if (sscanf(self->buf, "Page allocated via order %d,", &order) != 1)
		return -1;

	return order;
}

/*
 * Add up the records of mode=handle as mode=count does. Return: pages, and in
 * *@records how many records they have.
 */
static unsigned long count_records(FIXTURE_DATA(page_owner) * self, int fd,
				   unsigned int handle, unsigned long *records)
{
	unsigned long pages = 0;
	struct record record;
	int order;

	*records = 0;
	while (read_record(self, fd, &record) > 0) {
		order = record_order(self);
		if (record.handle == handle && order >= 0) {
			pages += 1UL << order;
			++*records;
		}
	}

	return pages;
}

#define NR_COUNTED		300

/*
 * The pages of a mapping have few stacks, which other tasks hardly use at the
 * same time. Count the most frequent one of a node in two ways. What else goes
 * on allocates and frees, so the two may differ by some pages.
 */
TEST_F_TIMEOUT(page_owner, counts_are_those_of_the_records, 300)
{
	unsigned long pages, records, last = ~0UL, counted;
	unsigned int handle, first = 0;
	char filter[64], *line;
	unsigned long most = 0;
	char *own;
	int fd, found;
	ssize_t len;

	own = hold_pages(self->page_a.nid, NR_COUNTED * psize(),
			 have_two_nodes(self));
	ASSERT_NE(NULL, own);

	snprintf(filter, sizeof(filter), "mode=count nid=%d", self->page_a.nid);
	ASSERT_EQ(0, write_filter(self->fd, filter));
	len = read_in_parts(self->fd, self->buf, RECORD_SIZE, 1000);
	ASSERT_LT(0, len);
	self->buf[len] = '\0';
	for (line = self->buf; line && *line; line = next_line(line)) {
		found = sscanf(line,
			       "handle: %u nr_base_pages: %lu nr_records: %lu\n",
			       &handle, &pages, &records);
		ASSERT_EQ(3, found)
			TH_LOG("line is %s", line);
		EXPECT_GE(pages, records);
		/* The most pages come first. */
		EXPECT_LE(pages, last);
		last = pages;
		if (!first) {
			first = handle;
			most = pages;
		}
	}
	EXPECT_GE(most, NR_COUNTED / 2);
	/* All is counted, the position is at the end. */
	EXPECT_EQ(0, read(self->fd, self->buf, RECORD_SIZE));

	fd = open_page_owner(O_RDWR);
	ASSERT_GE(fd, 0);
	snprintf(filter, sizeof(filter), "mode=handle nid=%d handle=%u",
		 self->page_a.nid, first);
	ASSERT_EQ(0, write_filter(fd, filter));
	counted = count_records(self, fd, first, &records);
	EXPECT_LE(counted > most ? counted - most : most - counted,
		  most / 10 + 64)
		TH_LOG("%lu pages in records, %lu counted", counted, most);
	close(fd);
}

/* Return: the handle of a page that is not alone in its allocation, 0 if none is. */
static unsigned int find_large_handle(FIXTURE_DATA(page_owner) * self, int fd)
{
	struct record record;

	while (read_record(self, fd, &record) > 0) {
		if (record_order(self) > 0)
			return record.handle;
	}

	return 0;
}

/*
 * An allocation of several pages is one record, and counts as all of them. What
 * else goes on allocates and frees, so count again until both ways give the same.
 */
TEST_F_TIMEOUT(page_owner, large_allocations_count_in_full, 120)
{
	unsigned long pages = 0, records = 0, counted_pages = 0, counted = 0;
	unsigned int handle, large;
	bool equal = false;
	char filter[64];
	ssize_t len;
	int found;

	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));
	large = find_large_handle(self, self->fd);
	ASSERT_NE(0, large);

	for (int try = 0; try < 100 && !equal; try++) {
		int count_fd = open_page_owner(O_RDWR);
		int fd = open_page_owner(O_RDWR);

		ASSERT_GE(count_fd, 0);
		ASSERT_GE(fd, 0);
		snprintf(filter, sizeof(filter), "mode=count handle=%u", large);
		ASSERT_EQ(0, write_filter(count_fd, filter));
		snprintf(filter, sizeof(filter), "mode=handle handle=%u", large);
		ASSERT_EQ(0, write_filter(fd, filter));

		len = read(count_fd, self->buf, RECORD_SIZE);
		if (len > 0) {
			self->buf[len] = '\0';
			found = sscanf(self->buf,
				       "handle: %u nr_base_pages: %lu nr_records: %lu\n",
				       &handle, &pages, &records);
			ASSERT_EQ(3, found);
			EXPECT_EQ(large, handle);
			counted_pages = count_records(self, fd, large, &counted);
			equal = pages == counted_pages && records == counted;
		}
		close(fd);
		close(count_fd);
	}
	EXPECT_TRUE(equal)
		TH_LOG("%lu pages in %lu records, %lu in %lu counted",
		       counted_pages, counted, pages, records);
}

TEST_F(page_owner, mode_changes_in_mid_stream)
{
	struct record record;
	unsigned long pfn;

	ASSERT_LT(0, read_record(self, self->fd, &record));
	EXPECT_EQ(MODE_STACK, record.mode);
	pfn = record.pfn;

	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));
	ASSERT_LT(0, read_record(self, self->fd, &record));
	EXPECT_EQ(MODE_HANDLE, record.mode);
	EXPECT_GT(record.pfn, pfn);
	pfn = record.pfn;

	ASSERT_EQ(0, write_filter(self->fd, "mode=stack"));
	ASSERT_LT(0, read_record(self, self->fd, &record));
	EXPECT_EQ(MODE_STACK, record.mode);
	EXPECT_GT(record.pfn, pfn);
}

TEST_F(page_owner, opens_are_independent)
{
	int other = open_page_owner(O_RDWR);
	int later;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));
	EXPECT_EQ(MODE_HANDLE, page_mode(self, self->fd, &self->page_a));
	EXPECT_EQ(MODE_STACK, page_mode(self, other, &self->page_a));

	later = open_page_owner(O_RDONLY);
	ASSERT_GE(later, 0);
	EXPECT_EQ(MODE_STACK, page_mode(self, later, &self->page_a));

	close(later);
	close(other);
}

TEST_F(page_owner, dup_shares_the_filter)
{
	int copy = dup(self->fd);

	ASSERT_GE(copy, 0);
	ASSERT_EQ(0, write_filter(copy, "mode=handle"));
	EXPECT_EQ(MODE_HANDLE, page_mode(self, self->fd, &self->page_a));
	close(copy);
	EXPECT_EQ(MODE_HANDLE, page_mode(self, self->fd, &self->page_a));
}

TEST_F(page_owner, fork_shares_the_filter)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(write_filter(self->fd, "mode=handle"));

	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(0, WEXITSTATUS(status));
	EXPECT_EQ(MODE_HANDLE, page_mode(self, self->fd, &self->page_a));
}

/* A list of all nodes with memory lets through what no filter does. */
TEST_F(page_owner, all_nodes_hide_nothing)
{
	struct record filtered, unfiltered;
	int len = sprintf(self->filter, "nid=");
	int fd = open_page_owner(O_RDONLY);
	int nid;

	ASSERT_GE(fd, 0);
	for (nid = 0; nid < self->max_nodes; nid++) {
		if (self->has_memory[nid])
			len += sprintf(self->filter + len, "%d,", nid);
	}
	ASSERT_EQ(0, write_filter(self->fd, self->filter));

	EXPECT_TRUE(find_page(self, fd, &self->page_a, &unfiltered));
	EXPECT_TRUE(find_page(self, self->fd, &self->page_a, &filtered));
	if (have_two_nodes(self)) {
		EXPECT_TRUE(find_page(self, fd, &self->page_b, &unfiltered));
		EXPECT_TRUE(find_page(self, self->fd, &self->page_b,
				      &filtered));
	}
	close(fd);
}

/* Read records of a node from @pfn on. Return: how many there were. */
static int check_records_of_node(struct __test_metadata *_metadata,
				 FIXTURE_DATA(page_owner) * self, int nid,
				 unsigned long pfn)
{
	int fd = open_page_owner(O_RDWR);
	struct record record;
	int i;

	EXPECT_GE(fd, 0);
	EXPECT_EQ(0, write_nid(fd, nid));
	EXPECT_EQ(pfn, lseek(fd, pfn, SEEK_SET));
	for (i = 0; i < SCAN_RECORDS; i++) {
		if (read_record(self, fd, &record) <= 0)
			break;
		if (record.nid == NO_NODE)
			SKIP(break, "needs node= in the page flags");
		EXPECT_EQ(nid, record.nid)
			TH_LOG("record is\n%s", self->buf);
		if (record.nid != nid)
			break;
	}
	close(fd);

	return i;
}

/* Also if the position is among the pages of the other one. */
TEST_F_TIMEOUT(page_owner, records_come_from_the_chosen_node, 120)
{
	unsigned long pfn_a, pfn_b;
	int a, b;

	if (!have_two_nodes(self))
		SKIP(return, "needs two nodes with memory");

	pfn_a = held_pfn(self, &self->page_a);
	pfn_b = held_pfn(self, &self->page_b);
	a = check_records_of_node(_metadata, self, self->page_a.nid, 0);
	b = check_records_of_node(_metadata, self, self->page_b.nid, 0);
	/* At least the page that we hold is there. */
	EXPECT_LT(0, a);
	EXPECT_LT(0, b);

	check_records_of_node(_metadata, self, self->page_a.nid, pfn_b);
	check_records_of_node(_metadata, self, self->page_b.nid, pfn_a);
}

#define MANY_PAGES	64

/* Pages of a node show up with a filter for that node, and with no other. */
TEST_F_TIMEOUT(page_owner, nodes_add_up, 300)
{
	struct held_page page;
	struct record record;
	int fds[2], nids[2];
	char *addr;

	if (!have_two_nodes(self))
		SKIP(return, "needs two nodes with memory");

	nids[0] = self->page_a.nid;
	nids[1] = self->page_b.nid;
	for (int i = 0; i < 2; i++) {
		fds[i] = open_page_owner(O_RDWR);
		ASSERT_GE(fds[i], 0);
		ASSERT_EQ(0, write_filter(fds[i], "mode=handle"));
		ASSERT_EQ(0, write_nid(fds[i], nids[i]));
	}

	for (int i = 0; i < 2; i++) {
		addr = hold_pages(nids[i], MANY_PAGES * psize(), true);
		ASSERT_NE(NULL, addr);
		for (int j = 0; j < MANY_PAGES; j++) {
			page.addr = addr + j * psize();
			EXPECT_TRUE(find_page(self, self->fd, &page, &record));
			EXPECT_TRUE(find_page(self, fds[i], &page, &record));
			EXPECT_FALSE(find_page(self, fds[!i], &page, &record));
		}
		munmap(addr, MANY_PAGES * psize());
	}
	close(fds[0]);
	close(fds[1]);
}

/* With a single node, its filter selects all, and no other node can be named. */
TEST_F(page_owner, single_node)
{
	struct held_page page;
	struct record record;
	char *addr;

	if (have_two_nodes(self))
		SKIP(return, "needs a machine with a single node");

	ASSERT_EQ(0, write_nid(self->fd, self->page_a.nid));
	addr = hold_pages(self->page_a.nid, MANY_PAGES * psize(), false);
	ASSERT_NE(NULL, addr);
	for (int i = 0; i < MANY_PAGES; i++) {
		page.addr = addr + i * psize();
		EXPECT_TRUE(find_page(self, self->fd, &page, &record));
	}
	munmap(addr, MANY_PAGES * psize());

	EXPECT_EQ(self->max_nodes > 1 ? EINVAL : ERANGE,
		  write_nid(self->fd, self->page_a.nid + 1));
}

TEST_F(page_owner, huge_page_is_one_record)
{
	size_t size = read_pmd_pagesize();
	unsigned long nr = size / psize();
	struct record record;
	unsigned long pfn;
	char *map, *addr;
	ssize_t len;

	if (!size)
		SKIP(return, "needs transparent huge pages");

	map = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	addr = (char *)(((uintptr_t)map + size - 1) & ~(size - 1));
	if (madvise(addr, size, MADV_HUGEPAGE))
		SKIP(return, "needs madvise(MADV_HUGEPAGE)");
	memset(addr, 1, size);
	if (mlock(addr, size) || !check_huge_anon(addr, size, 1, size))
		SKIP(return, "needs a free huge page");

	for (int filtered = 0; filtered < 2; filtered++) {
		if (filtered) {
			/* It is on either of the nodes. */
			sprintf(self->filter, "nid=");
			for (int nid = 0; nid < self->max_nodes; nid++) {
				if (self->has_memory[nid])
					sprintf(self->filter +
						strlen(self->filter), "%d,",
						nid);
			}
			ASSERT_EQ(0, write_filter(self->fd, self->filter));
		}
		pfn = pagemap_get_pfn(self->pagemap_fd, addr);
		len = pread(self->fd, self->buf, RECORD_SIZE, pfn);
		ASSERT_GT(len, 0);
		self->buf[len] = '\0';
		parse_record(self->buf, &record);
		EXPECT_EQ(pfn, record.pfn);

		/* The next record is that of another page. */
		for (unsigned long tail = 1; tail < nr; tail += nr / 8) {
			len = pread(self->fd, self->buf, RECORD_SIZE, pfn + tail);
			ASSERT_GE(len, 0);
			if (!len)
				continue;
			self->buf[len] = '\0';
			parse_record(self->buf, &record);
			EXPECT_GE(record.pfn, pfn + nr);
		}
	}
	munmap(map, 2 * size);
}

static unsigned long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Return: the shortest time of some reads at @pfn, in ns. */
static unsigned long long time_pread(FIXTURE_DATA(page_owner) * self, int fd,
				     unsigned long pfn)
{
	unsigned long long best = ~0ULL, start, time;

	for (int i = 0; i < 30; i++) {
		start = now_ns();
		if (pread(fd, self->buf, RECORD_SIZE, pfn) < 0)
			return ~0ULL;
		time = now_ns() - start;
		if (time < best)
			best = time;
	}

	return best;
}

/* Return: the PFN behind all zones of a node, or ~0UL if that cannot be told. */
static unsigned long node_end(int nid)
{
	FILE *file = fopen("/proc/zoneinfo", "r");
	unsigned long start, spanned = 0, end = 0;
	char line[128];
	int node = NO_NODE;

	if (!file)
		return ~0UL;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %d, zone", &node) == 1 ||
		    sscanf(line, " spanned %lu", &spanned) == 1)
			continue;
		if (sscanf(line, " start_pfn: %lu", &start) == 1 && node == nid &&
		    start + spanned > end)
			end = start + spanned;
	}
	fclose(file);

	return end ? end : ~0UL;
}

#define FOREIGN_SIZE		(128UL << 20)
/* For the blocks within the span of a node, and for what is beyond it. */
#define FEW_RECORDS		20
#define FEWER_RECORDS		4

/*
 * To go past the pages of a node that is not asked for must not cost what they
 * do: a read that has nothing else to do takes less time than a few records,
 * though it used to look at each of some ten thousand pages. What is beyond the
 * span of a node is one step, whatever the file was read with before. This is the
 * time of one read against that of another, and far from either.
 */
TEST_F_TIMEOUT(page_owner, foreign_pages_are_skipped, 300)
{
	unsigned long pfn, lowest = ~0UL, few = FEW_RECORDS;
	unsigned long long skip, record;
	char *addr;
	int other;

	if (!have_two_nodes(self))
		SKIP(return, "needs two nodes with memory");
	addr = hold_pages(self->page_b.nid, FOREIGN_SIZE, true);
	if (!addr)
		SKIP(return, "needs %lu MiB on node %d", FOREIGN_SIZE >> 20,
		     self->page_b.nid);

	for (size_t i = 0; i < FOREIGN_SIZE; i += psize()) {
		pfn = pagemap_get_pfn(self->pagemap_fd, addr + i);
		if (pfn < lowest)
			lowest = pfn;
	}

	other = open_page_owner(O_RDWR);
	ASSERT_GE(other, 0);
	ASSERT_EQ(0, write_filter(other, "mode=handle"));
	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));
	/* So all memory is where to look, until there is the other filter. */
	ASSERT_LT(0, pread(self->fd, self->buf, RECORD_SIZE, lowest));
	ASSERT_EQ(0, write_nid(self->fd, self->page_a.nid));

	record = time_pread(self, other, lowest);
	skip = time_pread(self, self->fd, lowest);
	TH_LOG("%llu ns to skip %lu pages, %llu ns for a record",
	       skip, FOREIGN_SIZE / psize(), record);
	if (lowest >= node_end(self->page_a.nid))
		few = FEWER_RECORDS;
	EXPECT_LT(skip, few * record);

	close(other);
	munmap(addr, FOREIGN_SIZE);
}

TEST_F(page_owner, position_past_the_end)
{
	off_t offsets[] = { 1L << 40, 1L << 50, INT64_MAX - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		if (sizeof(long) < 8)
			SKIP(return, "needs PFNs of 64 bits");
		ASSERT_EQ(offsets[i], lseek(self->fd, offsets[i], SEEK_SET));
		EXPECT_EQ(0, read(self->fd, self->buf, 1));
		EXPECT_EQ(offsets[i], lseek(self->fd, 0, SEEK_CUR));
	}
}

/* The PFN after which there is no record, or was none a moment ago. */
static unsigned long find_end(FIXTURE_DATA(page_owner) * self, int fd)
{
	unsigned long low = 0, high = 1UL << (sizeof(long) * 8 - 8);

	while (high - low > 1) {
		unsigned long middle = low + (high - low) / 2;

		if (pread(fd, self->buf, RECORD_SIZE, middle) > 0)
			low = middle;
		else
			high = middle;
	}

	return low;
}

/*
 * At the end, read() returns 0 again and again and the position stays. A page
 * that is allocated in the meantime may show up, behind the position.
 */
static void check_end(struct __test_metadata *_metadata,
		      FIXTURE_DATA(page_owner) * self)
{
	off_t pos = lseek(self->fd, 0, SEEK_CUR);
	struct record record;
	int zeros = 0;

	while (zeros < 3) {
		ssize_t len = read_record(self, self->fd, &record);

		ASSERT_GE(len, 0);
		if (!len) {
			EXPECT_EQ(pos, lseek(self->fd, 0, SEEK_CUR));
			zeros++;
			continue;
		}
		EXPECT_GE(record.pfn, pos);
		pos = record.pfn + 1;
		EXPECT_EQ(pos, lseek(self->fd, 0, SEEK_CUR));
	}
}

TEST_F_TIMEOUT(page_owner, end_is_stable, 120)
{
	unsigned long end = find_end(self, self->fd);

	ASSERT_LT(0, end);
	ASSERT_EQ(end, lseek(self->fd, end, SEEK_SET));
	check_end(_metadata, self);

	/* A new filter does not move the position either. */
	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));
	check_end(_metadata, self);
}

/* A node filter that is replaced at its end goes on from there, upwards. */
TEST_F_TIMEOUT(page_owner, new_node_continues_at_the_end, 120)
{
	int low = self->page_a.nid, high = self->page_b.nid;
	struct record record;
	unsigned long end;
	off_t pos;

	if (!have_two_nodes(self))
		SKIP(return, "needs two nodes with memory");
	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));

	if (held_pfn(self, &self->page_a) > held_pfn(self, &self->page_b)) {
		low = self->page_b.nid;
		high = self->page_a.nid;
	}

	ASSERT_EQ(0, write_nid(self->fd, low));
	end = find_end(self, self->fd);
	ASSERT_EQ(end, lseek(self->fd, end, SEEK_SET));
	check_end(_metadata, self);
	pos = lseek(self->fd, 0, SEEK_CUR);

	ASSERT_EQ(0, write_nid(self->fd, high));
	EXPECT_EQ(pos, lseek(self->fd, 0, SEEK_CUR));
	if (find_end(self, self->fd) < pos)
		SKIP(return, "needs memory of node %d above that of node %d",
		     high, low);
	ASSERT_LT(0, read_record(self, self->fd, &record));
	EXPECT_GE(record.pfn, pos);
	if (record.nid != NO_NODE)
		EXPECT_EQ(high, record.nid);
}

static int compare_handles(const void *a, const void *b)
{
	unsigned int x = *(const unsigned int *)a;
	unsigned int y = *(const unsigned int *)b;

	return x < y ? -1 : x > y;
}

struct handles {
	unsigned int *list;
	size_t nr, space;
};

static bool add_handle(struct handles *handles, unsigned int handle)
{
	if (handles->nr == handles->space) {
		size_t space = handles->space ? handles->space * 2 : 1024;
		unsigned int *list = realloc(handles->list,
					     space * sizeof(*list));

		if (!list)
			return false;
		handles->list = list;
		handles->space = space;
	}
	handles->list[handles->nr++] = handle;
	return true;
}

/* Sort, and leave one of each. */
static void tidy_handles(struct handles *handles)
{
	size_t nr = 0;

	qsort(handles->list, handles->nr, sizeof(*handles->list),
	      compare_handles);
	for (size_t i = 0; i < handles->nr; i++) {
		if (!nr || handles->list[nr - 1] != handles->list[i])
			handles->list[nr++] = handles->list[i];
	}
	handles->nr = nr;
}

/* The list is read after the records, so no handle can be too new for it. */
TEST_F_TIMEOUT(page_owner, every_handle_is_listed, 900)
{
	struct handles seen = { 0 }, listed = { 0 };
	size_t records = 0, unknown = 0;
	struct record record;
	unsigned int handle;
	char line[512];
	FILE *file;

	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));
	while (read_record(self, self->fd, &record) > 0) {
		ASSERT_EQ(MODE_HANDLE, record.mode);
		ASSERT_TRUE(add_handle(&seen, record.handle));
		records++;
		if (!(records % 65536))
			tidy_handles(&seen);
	}
	tidy_handles(&seen);

	file = fopen(STACKS_PATH, "r");
	ASSERT_NE(NULL, file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "handle: %u", &handle) == 1)
			ASSERT_TRUE(add_handle(&listed, handle));
	}
	ASSERT_EQ(0, ferror(file));
	fclose(file);
	handle = listed.nr;
	tidy_handles(&listed);
	EXPECT_EQ(handle, listed.nr)
		TH_LOG("there are handles that are listed twice");

	for (size_t i = 0; i < seen.nr; i++) {
		if (bsearch(&seen.list[i], listed.list, listed.nr,
			    sizeof(*listed.list), compare_handles))
			continue;
		if (unknown++ < 5)
			TH_LOG("handle %u is not listed", seen.list[i]);
	}
	TH_LOG("%zu records, %zu handles, %zu of them not listed", records,
	       seen.nr, unknown);
	EXPECT_LT(100, seen.nr);
	EXPECT_EQ(0, unknown);
	free(seen.list);
	free(listed.list);
}

struct race {
	const char *filters[2];
	bool stop;
	int fd;
	bool failed;
};

static void *race_writer(void *arg)
{
	struct race *race = arg;

	for (int i = 0; !__atomic_load_n(&race->stop, __ATOMIC_ACQUIRE); i = !i) {
		ssize_t len = strlen(race->filters[i]);

		if (pwrite(race->fd, race->filters[i], len, 0) != len)
			race->failed = true;
	}

	return NULL;
}

#define RACING_READS	5000

/*
 * While a thread changes mode and node of a shared file in one write each, every
 * record is whole, and mode and node belong together. A slow machine does not get
 * to look at so many records of both in five seconds.
 */
TEST_F_TIMEOUT(page_owner, filter_changes_as_one, 120)
{
	char filter_a[64], filter_b[64];
	struct race race = { .filters = { filter_a, filter_b } };
	unsigned long long end = now_ns() + 5000000000ULL;
	unsigned long pfn_a = held_pfn(self, &self->page_a);
	unsigned long pfn_b, pfn;
	pthread_t thread;
	int found[2] = { 0 };

	if (!have_two_nodes(self))
		SKIP(return, "needs two nodes with memory");

	pfn_b = held_pfn(self, &self->page_b);
	sprintf(filter_a, "mode=handle nid=%d", self->page_a.nid);
	sprintf(filter_b, "mode=stack nid=%d", self->page_b.nid);
	ASSERT_EQ(0, write_filter(self->fd, filter_a));
	race.fd = self->fd;
	ASSERT_EQ(0, pthread_create(&thread, NULL, race_writer, &race));

	for (int i = 0; now_ns() < end && (found[0] < RACING_READS ||
					   found[1] < RACING_READS); i = !i) {
		struct record record;
		ssize_t len;

		pfn = i ? pfn_b : pfn_a;
		len = pread(self->fd, self->buf, RECORD_SIZE, pfn);
		ASSERT_GE(len, 0);
		if (!len)
			continue;
		self->buf[len] = '\0';
		parse_record(self->buf, &record);
		EXPECT_GE(record.pfn, pfn);
		ASSERT_NE(MODE_INVALID, record.mode)
			TH_LOG("record is\n%s", self->buf);
		if (record.nid == NO_NODE)
			continue;
		ASSERT_EQ(record.nid == self->page_a.nid ? MODE_HANDLE :
							   MODE_STACK,
			  record.mode)
			TH_LOG("record is\n%s", self->buf);
		found[record.nid == self->page_b.nid]++;
	}
	__atomic_store_n(&race.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);

	EXPECT_FALSE(race.failed);
	/* Both filters were met, or this was no test. */
	EXPECT_LT(0, found[0]);
	EXPECT_LT(0, found[1]);
}

struct one_write {
	pthread_barrier_t *barrier;
	const char *filter;
	int fd;
};

static void *write_at_barrier(void *arg)
{
	struct one_write *write = arg;

	pthread_barrier_wait(write->barrier);
	pwrite(write->fd, write->filter, strlen(write->filter), 0);
	return NULL;
}

#define RACING_WRITES	2000

/* Two writes to a shared file, each of one part: none may undo the other. */
TEST_F_TIMEOUT(page_owner, racing_writes_both_count, 300)
{
	pthread_barrier_t barrier;
	struct one_write writes[2];
	unsigned long pfn_a;
	char nid_filter[32];
	int lost = 0;

	if (!have_two_nodes(self))
		SKIP(return, "needs two nodes with memory");

	sprintf(nid_filter, "nid=%d", self->page_b.nid);
	pfn_a = held_pfn(self, &self->page_a);
	pthread_barrier_init(&barrier, NULL, 2);
	for (int i = 0; i < RACING_WRITES; i++) {
		int fd = open_page_owner(O_RDWR);
		struct record record = { .mode = MODE_INVALID };
		pthread_t threads[2];
		ssize_t len;

		ASSERT_GE(fd, 0);
		for (int j = 0; j < 2; j++) {
			writes[j].barrier = &barrier;
			writes[j].fd = fd;
			writes[j].filter = j ? nid_filter : "mode=handle";
			ASSERT_EQ(0, pthread_create(&threads[j], NULL,
						    write_at_barrier,
						    &writes[j]));
		}
		for (int j = 0; j < 2; j++)
			pthread_join(threads[j], NULL);

		/* The mode of any record, and a page that must not appear. */
		len = pread(fd, self->buf, RECORD_SIZE, pfn_a);
		ASSERT_GE(len, 0);
		if (!len)
			len = pread(fd, self->buf, RECORD_SIZE, 0);
		ASSERT_GT(len, 0);
		self->buf[len] = '\0';
		parse_record(self->buf, &record);
		if (record.mode != MODE_HANDLE || record.pfn == pfn_a)
			lost++;
		close(fd);
	}
	EXPECT_EQ(0, lost);
}

#define NR_READERS	3
#define HOTPLUG_CYCLES	10

static bool set_block_state(int block, const char *state)
{
	char path[128];
	bool done;
	int fd;

	snprintf(path, sizeof(path), MEMORY_BLOCKS_PATH "/memory%d/state",
		 block);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return false;
	done = write(fd, state, strlen(state)) == (ssize_t)strlen(state);
	close(fd);
	return done;
}

/* Blocks of boot memory tend to be in use at the lower end. */
static int find_removable_block(void)
{
	for (int block = 4095; block >= 0; block--) {
		if (set_block_state(block, "offline"))
			return set_block_state(block, "online") ? block : -1;
	}

	return -1;
}

static void read_for_ever(int mode)
{
	static const char * const filters[NR_READERS] = {
		"mode=stack", "mode=handle", "mode=stack_handle",
	};
	int fd = open_page_owner(O_RDWR);
	static char buf[RECORD_SIZE];

	if (fd < 0 || write_filter(fd, filters[mode]))
		_exit(1);
	for (;;) {
		ssize_t len = read(fd, buf, sizeof(buf));

		if (len < 0)
			_exit(2);
		if (!len && lseek(fd, 0, SEEK_SET))
			_exit(3);
	}
}

/* Memory comes and goes below readers of all modes, and none of them dies. */
TEST_F_TIMEOUT(page_owner, memory_comes_and_goes, 600)
{
	int block = find_removable_block();
	pid_t readers[NR_READERS];
	int status;
	int done = 0;

	if (block < 0)
		SKIP(return, "needs a memory block that can be offlined");

	for (int i = 0; i < NR_READERS; i++) {
		readers[i] = fork();
		ASSERT_GE(readers[i], 0);
		if (!readers[i])
			read_for_ever(i);
	}
	/* A block may be busy at times; what counts is that some went. */
	for (int i = 0; i < HOTPLUG_CYCLES; i++) {
		if (!set_block_state(block, "offline"))
			continue;
		done++;
		ASSERT_TRUE(set_block_state(block, "online"));
	}
	TH_LOG("block %d went offline %d of %d times", block, done,
	       HOTPLUG_CYCLES);
	EXPECT_LT(0, done);

	for (int i = 0; i < NR_READERS; i++) {
		kill(readers[i], SIGKILL);
		ASSERT_EQ(readers[i], waitpid(readers[i], &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			TH_LOG("reader %d: status %#x", i, status);
	}
}

static long read_meminfo(const char *key)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long value = -1;

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (starts_with(line, key))
			value = atol(line + strlen(key));
	}
	fclose(file);
	return value;
}

static bool kernel_has_kasan(void)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	bool found = false;
	char line[512];

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, " kasan_report\n");
	fclose(file);
	return found;
}

#define NR_OPENS	1000
#define OPEN_ROUNDS	20

/*
 * The state of an open file is at least 32 bytes: 20000 are 625 KiB. What has been
 * read from one is a page or more: 400 are 1.6 MiB.
 */
TEST_F_TIMEOUT(page_owner, open_files_are_freed, 300)
{
	struct rlimit limit = { NR_OPENS + 100, NR_OPENS + 100 };
	static int fds[NR_OPENS];
	long before = 0, after;
	char buf[4096];

	if (kernel_has_kasan())
		SKIP(return, "needs a kernel whose slabs show what is freed: no KASAN");
	if (setrlimit(RLIMIT_NOFILE, &limit))
		SKIP(return, "needs %d open files", NR_OPENS);

	/* The first round is there to fill caches. */
	for (int round = 0; round <= OPEN_ROUNDS; round++) {
		if (round == 1)
			before = read_meminfo("SUnreclaim:");
		for (int i = 0; i < NR_OPENS; i++) {
			fds[i] = open_page_owner(O_RDWR);
			ASSERT_GE(fds[i], 0);
			ASSERT_EQ(0, write_filter(fds[i], "mode=handle"));
			if (!(i % 50))
				ASSERT_LT(0, read(fds[i], buf, sizeof(buf)));
		}
		for (int i = 0; i < NR_OPENS; i++)
			close(fds[i]);
	}
	after = read_meminfo("SUnreclaim:");
	ASSERT_LT(0, before);
	TH_LOG("slabs grew by %ld KiB", after - before);
	EXPECT_LT(after - before, 512);
}

/*
 * The filter for the handle of a stack, and how filters are removed. The pages
 * are those of a mapping of our own, all populated by one mlock(), so that they
 * have the same stack. Some may have another one, as those that came from a list
 * of free pages on another path, so each is asked for its handle.
 */

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
static bool read_handle_record(FIXTURE_DATA(page_owner_handle) * self, int fd,
			       long pfn, unsigned long *found,
			       unsigned int *handle)
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

static unsigned long handle_page_pfn(FIXTURE_DATA(page_owner_handle) * self, int i)
{
	return pagemap_get_pfn(self->pagemap_fd, self->pages + i * psize());
}

/* Whether the filter of @fd lets a page through, and with which handle. */
static bool handle_page_is_seen(FIXTURE_DATA(page_owner_handle) * self, int fd,
				int i, unsigned int *handle)
{
	unsigned long pfn, found;

	/* Believe a miss only if the page has not been migrated. */
	do {
		pfn = handle_page_pfn(self, i);
		if (read_handle_record(self, fd, pfn, &found, handle) &&
		    found == pfn)
			return true;
	} while (handle_page_pfn(self, i) != pfn);

	return false;
}

FIXTURE_SETUP(page_owner_handle)
{
	const char *why;

	self->fd = -1;
	self->pagemap_fd = -1;
	self->buf = NULL;

	why = open_files(&self->fd, &self->pagemap_fd);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_GE(self->fd, 0);
	self->buf = malloc(RECORD_SIZE + 1);
	ASSERT_NE(NULL, self->buf);

	self->pages = mmap(NULL, NR_PAGES * psize(), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->pages);
	madvise(self->pages, NR_PAGES * psize(), MADV_NOHUGEPAGE);
	if (mlock(self->pages, NR_PAGES * psize()))
		SKIP(return, "needs mlock() of %d pages", NR_PAGES);

	ASSERT_EQ(0, write_filter(self->fd, "mode=handle"));
	ASSERT_TRUE(handle_page_is_seen(self, self->fd, 0, &self->handle));
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
	int fd = open_page_owner(O_RDWR);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, write_filter(fd, "mode=handle"));
	ASSERT_EQ(0, write_handle(self->fd, self->handle));
	for (int i = 0; i < NR_PAGES; i++) {
		ASSERT_TRUE(handle_page_is_seen(self, fd, i, &handle));
		if (handle == self->handle) {
			same++;
			EXPECT_TRUE(handle_page_is_seen(self, self->fd, i, &handle));
		} else {
			EXPECT_FALSE(handle_page_is_seen(self, self->fd, i, &handle));
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
	while (read_handle_record(self, self->fd, -1, &pfn, &handle)) {
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
	EXPECT_TRUE(handle_page_is_seen(self, self->fd, 0, &handle));
	EXPECT_EQ(0, handle);
	ASSERT_EQ(0, write_filter(self->fd, "mode=stack_handle"));
	EXPECT_TRUE(handle_page_is_seen(self, self->fd, 0, &handle));
	EXPECT_EQ(self->handle, handle);
}

TEST_F(page_owner_handle, is_removed_by_all)
{
	unsigned int handle;

	ASSERT_EQ(0, write_filter(self->fd, "handle=" NO_HANDLE));
	EXPECT_FALSE(handle_page_is_seen(self, self->fd, 0, &handle));
	ASSERT_EQ(0, write_filter(self->fd, "handle=all"));
	EXPECT_TRUE(handle_page_is_seen(self, self->fd, 0, &handle));

	/* The last one counts. */
	ASSERT_EQ(0, write_filter(self->fd, "handle=all handle=" NO_HANDLE));
	EXPECT_FALSE(handle_page_is_seen(self, self->fd, 0, &handle));
	ASSERT_EQ(0, write_filter(self->fd, "handle=" NO_HANDLE " handle=all"));
	EXPECT_TRUE(handle_page_is_seen(self, self->fd, 0, &handle));
}

TEST_F(page_owner_handle, belongs_to_the_open_file)
{
	int fd = open_page_owner(O_RDWR);
	unsigned int handle;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, write_filter(self->fd, "handle=" NO_HANDLE));
	EXPECT_TRUE(handle_page_is_seen(self, fd, 0, &handle));
	close(fd);
}

/* Return: a node with memory on which page 0 is not, or -1. */
static int other_node(FIXTURE_DATA(page_owner_handle) * self)
{
	unsigned int handle;
	char filter[32];

	for (int nid = 0; nid < 1024; nid++) {
		int fd = open_page_owner(O_RDWR);
		bool seen;

		snprintf(filter, sizeof(filter), "nid=%d", nid);
		if (write_filter(fd, filter)) {
			close(fd);
			continue;
		}
		seen = handle_page_is_seen(self, fd, 0, &handle);
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
	EXPECT_TRUE(handle_page_is_seen(self, self->fd, 0, &handle));
	if (nid < 0)
		SKIP(return, "needs two nodes with memory");

	snprintf(filter, sizeof(filter), "nid=%d", nid);
	ASSERT_EQ(0, write_filter(self->fd, filter));
	EXPECT_FALSE(handle_page_is_seen(self, self->fd, 0, &handle));
	ASSERT_EQ(0, write_filter(self->fd, "nid=all"));
	EXPECT_TRUE(handle_page_is_seen(self, self->fd, 0, &handle));

	/* The last one counts. */
	snprintf(filter, sizeof(filter), "nid=all nid=%d", nid);
	ASSERT_EQ(0, write_filter(self->fd, filter));
	EXPECT_FALSE(handle_page_is_seen(self, self->fd, 0, &handle));
	snprintf(filter, sizeof(filter), "nid=%d nid=all", nid);
	ASSERT_EQ(0, write_filter(self->fd, filter));
	EXPECT_TRUE(handle_page_is_seen(self, self->fd, 0, &handle));
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
	EXPECT_FALSE(handle_page_is_seen(self, self->fd, 0, &handle));
	ASSERT_EQ(0, write_filter(self->fd, "nid=all"));
	EXPECT_TRUE(handle_page_is_seen(self, self->fd, 0, &handle));
	ASSERT_EQ(0, write_filter(self->fd, "handle=" NO_HANDLE));
	EXPECT_FALSE(handle_page_is_seen(self, self->fd, 0, &handle));
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
		EXPECT_TRUE(handle_page_is_seen(self, self->fd, 0, &handle))
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

	while (pages && read_handle_record(self, fd, from, &pfn, &handle)) {
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
