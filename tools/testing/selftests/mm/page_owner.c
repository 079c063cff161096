// SPDX-License-Identifier: GPL-2.0
/*
 * Test the filters of the page_owner file in debugfs: the print modes and node
 * lists that can be written to an open file, which of them are refused and how,
 * who shares a filter, and what read() then returns.
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
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "vm_util.h"

#define DEBUGFS_PATH		"/sys/kernel/debug"
#define PAGE_OWNER_PATH		DEBUGFS_PATH "/page_owner"
#define HAS_MEMORY_PATH		"/sys/devices/system/node/has_memory"

/* Larger than any record: the kernel prints at most a page. */
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
	REJECT("nid=all", EINVAL),
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

static bool hold_page(struct held_page *page, int nid, bool bind)
{
	unsigned long mask[MAX_NODES / (8 * sizeof(long))] = { 0 };
	unsigned int bits = 8 * sizeof(long);

	page->nid = nid;
	page->addr = mmap(NULL, psize(), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page->addr == MAP_FAILED)
		return false;

	/* No need to check: without THP there is nothing to turn off. */
	madvise(page->addr, psize(), MADV_NOHUGEPAGE);

	mask[nid / bits] |= 1UL << (nid % bits);
	if (bind && syscall(__NR_mbind, page->addr, psize(), MPOL_BIND, mask,
			    MAX_NODES, 0))
		return false;

	page->addr[0] = 1;
	return !mlock(page->addr, psize());
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

FIXTURE_SETUP(page_owner)
{
	self->fd = -1;
	self->pagemap_fd = -1;
	self->buf = NULL;
	self->filter = NULL;

	if (geteuid())
		SKIP(return, "needs root");
	if (!is_debugfs(DEBUGFS_PATH))
		SKIP(return, "needs debugfs mounted on " DEBUGFS_PATH);
	if (access(PAGE_OWNER_PATH, F_OK))
		SKIP(return, "needs page_owner=on on the kernel command line");
	self->fd = open_page_owner(O_RDWR);
	if (self->fd < 0 && errno == EPERM)
		SKIP(return, "needs a kernel that is not locked down");
	ASSERT_GE(self->fd, 0);

	self->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (self->pagemap_fd < 0)
		SKIP(return, "needs /proc/self/pagemap");

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

static void check_records_of_node(struct __test_metadata *_metadata,
				  FIXTURE_DATA(page_owner) * self, int nid)
{
	int fd = open_page_owner(O_RDWR);
	struct record record;
	int i;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, write_nid(fd, nid));
	for (i = 0; i < SCAN_RECORDS; i++) {
		if (read_record(self, fd, &record) <= 0)
			break;
		if (record.nid == NO_NODE)
			SKIP(break, "needs node= in the page flags");
		ASSERT_EQ(nid, record.nid)
			TH_LOG("record is\n%s", self->buf);
	}
	/* At least the page that we hold is there. */
	EXPECT_LT(0, i);
	close(fd);
}

TEST_F_TIMEOUT(page_owner, records_come_from_the_chosen_node, 120)
{
	if (!have_two_nodes(self))
		SKIP(return, "needs two nodes with memory");

	check_records_of_node(_metadata, self, self->page_a.nid);
	check_records_of_node(_metadata, self, self->page_b.nid);
}

TEST_HARNESS_MAIN
