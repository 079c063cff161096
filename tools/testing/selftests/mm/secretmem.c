// SPDX-License-Identifier: GPL-2.0
/*
 * Test what memfd_secret(2) promises to users and what it tells administrators:
 * counters and limits, that nobody else sees the content, that hibernation and
 * memory offlining fail and say why. What a process may do with its file is in
 * memfd_secret.c.
 *
 * The counters are those of the whole system, so nobody else may use secret
 * memory meanwhile.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <linux/suspend_ioctls.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "secretmem.h"
/* Has what <linux/fs.h>, above, has; the other way round it is redefined. */
#include <sys/mount.h>

#define TRACING		"/sys/kernel/tracing/"
#define HWPOISON	"/sys/kernel/debug/hwpoison/"
#define NOBODY		65534
#define NR_THREADS	8
/* Not a multiple of what a CPU may hold back of a counter. */
#define MANY		301

static long node_pages(int nid)
{
	char path[64];

	fold_counters();
	snprintf(path, sizeof(path), NODES "node%d/vmstat", nid);

	return number_of(path, "nr_secretmem");
}

static int read_devmem(unsigned long pfn, char *buf)
{
	int fd = open("/dev/mem", O_RDONLY), ret = 0;

	if (fd < 0)
		return -errno;
	if (pread(fd, buf, psize(), (off_t)pfn * psize()) != psize())
		ret = -EIO;
	close(fd);

	return ret;
}

/* The kernel's log from here on. */
static int open_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);

	return fd;
}

/* How many new lines have that text. */
static int logged(int fd, const char *text)
{
	char record[8192];
	int found = 0;
	ssize_t len;

	while ((len = read(fd, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (len <= 0)
			continue;
		record[len] = '\0';
		found += !!strstr(record, text);
	}

	return found;
}

static sigjmp_buf bus_jump;

static void on_bus(int sig)
{
	siglongjmp(bus_jump, 1);
}

/* How many pages can be populated until there is a SIGBUS. Neither may move past the other. */
static volatile size_t touched;

static size_t populate_until_bus(struct secret *s)
{
	struct sigaction act = { .sa_handler = on_bus };

	touched = 0;
	sigaction(SIGBUS, &act, NULL);
	if (!sigsetjmp(bus_jump, 1))
		for (; touched < s->nr; touched++)
			*(volatile char *)(s->mem + touched * psize()) = 1;

	return touched;
}

FIXTURE(secretmem) {
	struct secret s;
	long before;
};

FIXTURE_SETUP(secretmem)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	int fd = memfd_secret(0);

	if (fd < 0 && errno == ENOSYS)
		SKIP(return, "memfd_secret() is not supported");
	ASSERT_GE(fd, 0);
	close(fd);
	if (geteuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &all));

	fd = open("/dev/urandom", O_RDONLY);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(PATTERN_SIZE, read(fd, pattern, PATTERN_SIZE));
	close(fd);
	/* Zeroes are not to be taken for it. */
	pattern[0] = 0x5a;

	/* -1 if this kernel does not count. What is not about that can be tested. */
	self->before = secret_kb();
}

FIXTURE_TEARDOWN(secretmem)
{
}

/* Memory counts when it is populated, and as long as somebody has the file. */
TEST_F(secretmem, counters)
{
	long vmstat = number_of("/proc/vmstat", "nr_secretmem");
	struct secret *s = &self->s;

	ASSERT_EQ(0, open_secret(s, MANY));
	EXPECT_EQ(self->before, secret_kb());
	populate(s);
	EXPECT_EQ(self->before + kb(MANY), secret_kb());
	EXPECT_EQ(vmstat + MANY, number_of("/proc/vmstat", "nr_secretmem"));

	/* It is the file's. */
	ASSERT_EQ(0, munmap(s->mem, MANY * psize()));
	EXPECT_EQ(self->before + kb(MANY), secret_kb());
	s->mem = mmap(NULL, MANY * psize(), PROT_READ, MAP_SHARED, s->fd, 0);
	ASSERT_NE(MAP_FAILED, s->mem);
	for (int i = 0; i < MANY; i++)
		ASSERT_TRUE(has_pattern(s->mem + i * psize(), psize()));
	EXPECT_EQ(self->before + kb(MANY), secret_kb());

	/* A mapping is a reference, too. */
	ASSERT_EQ(0, close(s->fd));
	EXPECT_EQ(self->before + kb(MANY), secret_kb());
	ASSERT_EQ(0, munmap(s->mem, MANY * psize()));
	EXPECT_EQ(self->before, secret_kb());
	EXPECT_EQ(vmstat, number_of("/proc/vmstat", "nr_secretmem"));
}

/* A node counts what it has, and nothing of another one. */
TEST_F(secretmem, counters_of_nodes)
{
	int nid = memory_only_node();
	struct secret *s = &self->s;
	long here, there;

	if (nid == NO_NODE)
		SKIP(return, "needs a node of memory alone");
	here = node_pages(0);
	there = node_pages(nid);
	ASSERT_GE(here, 0);

	ASSERT_EQ(0, set_policy(MPOL_BIND, nid, nid));
	ASSERT_EQ(0, open_secret(s, MANY));
	populate(s);
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, 0, 0));
	EXPECT_EQ(there + MANY, node_pages(nid));
	EXPECT_EQ(here, node_pages(0));
	close_secret(s);
	EXPECT_EQ(there, node_pages(nid));
	EXPECT_EQ(here, node_pages(0));
}

static bool wait_for_stat(const char *path, const char *key, long want, long *seen)
{
	/* Statistics of cgroups may be two seconds old. */
	for (int i = 0; i < 100; i++) {
		*seen = number_of(path, key);
		if (*seen == want)
			return true;
		usleep(100000);
	}

	return false;
}

TEST_F_TIMEOUT(secretmem, counters_of_cgroups, 60)
{
	char root[] = "/tmp/secretmem-XXXXXX", group[64], path[128], numa[128], pid[16];
	struct secret *s = &self->s;
	int status, up[2], down[2];
	char byte = 0;
	pid_t child;
	long seen;

	ASSERT_NE(NULL, mkdtemp(root));
	if (mount("none", root, "cgroup2", 0, NULL)) {
		rmdir(root);
		SKIP(return, "needs cgroup2");
	}
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
	if (write_text(path, "+memory")) {
		umount(root);
		rmdir(root);
		SKIP(return, "needs the memory controller of cgroup2");
	}
	snprintf(group, sizeof(group), "%s/secretmem", root);
	ASSERT_EQ(0, mkdir(group, 0755));
	ASSERT_EQ(0, pipe(up));
	ASSERT_EQ(0, pipe(down));

	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", group);
		snprintf(pid, sizeof(pid), "%d", getpid());
		if (write_text(path, pid) || open_secret(s, MANY))
			_exit(1);
		populate(s);
		if (write(up[1], &byte, 1) != 1 || read(down[0], &byte, 1) != 1)
			_exit(2);
		_exit(0);
	}
	ASSERT_EQ(1, read(up[0], &byte, 1));

	snprintf(path, sizeof(path), "%s/memory.stat", group);
	EXPECT_TRUE(wait_for_stat(path, "secretmem", MANY * psize(), &seen)) {
		TH_LOG("memory.stat has %ld instead of %ld", seen, (long)MANY * psize());
	}
	snprintf(numa, sizeof(numa), "%s/memory.numa_stat", group);
	if (!access(numa, R_OK)) {
		EXPECT_TRUE(wait_for_stat(numa, "secretmem N0", MANY * psize(), &seen));
	}

	ASSERT_EQ(1, write(down[1], &byte, 1));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(wait_for_stat(path, "secretmem", 0, &seen));

	EXPECT_EQ(0, rmdir(group));
	umount(root);
	rmdir(root);
	EXPECT_EQ(self->before, secret_kb());
}

/* Another process sees how large a file is, and how much memory it has. */
TEST_F(secretmem, fdinfo)
{
	struct secret *s = &self->s;
	char path[64];
	int status;
	pid_t child;

	s->fd = memfd_secret(0);
	ASSERT_GE(s->fd, 0);
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", getpid(), s->fd);
	EXPECT_EQ(0, number_of(path, "size"));
	EXPECT_EQ(0, number_of(path, "populated"));
	close(s->fd);

	ASSERT_EQ(0, open_secret(s, MANY));
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", getpid(), s->fd);
	EXPECT_EQ(MANY * psize(), number_of(path, "size"));
	EXPECT_EQ(0, number_of(path, "populated"));
	fill_page(s->mem + 5 * psize());
	fill_page(s->mem + 7 * psize());

	child = fork();
	ASSERT_GE(child, 0);
	if (!child)
		_exit(number_of(path, "populated") != 2 * psize() ||
		      number_of(path, "size") != MANY * psize());
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	close_secret(s);
}

/*
 * The limit is the user's, whatever processes and files he has. What cannot be
 * populated is not charged, what is freed is not charged any more.
 */
TEST_F(secretmem, limit)
{
	struct rlimit few = { 8 * psize(), 8 * psize() };
	char path[64];
	int status;
	pid_t child;

	for (int round = 0; round < 2; round++) {
		child = fork();
		ASSERT_GE(child, 0);
		if (!child) {
			struct secret first, second;

			if (setrlimit(RLIMIT_MEMLOCK, &few) || setgid(NOBODY) ||
			    setuid(NOBODY) || prctl(PR_SET_DUMPABLE, 1) ||
			    open_secret(&first, 16) || open_secret(&second, 16))
				_exit(1);
			if (populate_until_bus(&first) != 8)
				_exit(2);
			/* A failure leaves nothing behind, however often it is tried. */
			for (int i = 0; i < 16; i++)
				if (populate_until_bus(&first) != 8)
					_exit(3);
			snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", first.fd);
			if (number_of(path, "populated") != 8 * psize())
				_exit(4);
			if (populate_until_bus(&second))
				_exit(5);
			if (!fork()) {
				struct secret third;

				_exit(open_secret(&third, 1) || populate_until_bus(&third));
			}
			if (wait(&status) < 0 || status)
				_exit(6);
			/* Room is made by the last reference. */
			munmap(first.mem, 16 * psize());
			if (populate_until_bus(&second))
				_exit(7);
			close(first.fd);
			if (populate_until_bus(&second) != 8)
				_exit(8);
			_exit(0);
		}
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_EQ(0, status) {
			TH_LOG("step %d", WEXITSTATUS(status));
		}
		EXPECT_EQ(self->before, secret_kb());
	}
}

/* A child has the same memory. Whoever is the last to go frees it. */
TEST_F(secretmem, fork_and_exit)
{
	struct secret *s = &self->s;
	int status, up[2];
	char byte = 0;
	pid_t child;

	ASSERT_EQ(0, open_secret(s, MANY));
	populate(s);
	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		for (int i = 0; i < MANY; i++)
			if (!has_pattern(s->mem + i * psize(), psize()))
				_exit(1);
		s->mem[0] = 'c';
		_exit(0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ('c', s->mem[0]);
	EXPECT_EQ(self->before + kb(MANY), secret_kb());
	close_secret(s);
	EXPECT_EQ(self->before, secret_kb());

	/* Killed without a chance to clean up. */
	ASSERT_EQ(0, pipe(up));
	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		if (open_secret(s, MANY))
			_exit(1);
		populate(s);
		if (write(up[1], &byte, 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	ASSERT_EQ(1, read(up[0], &byte, 1));
	EXPECT_EQ(self->before + kb(MANY), secret_kb());
	kill(child, SIGKILL);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(self->before, secret_kb());
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

/* One of the threads that fault the same page populates it. */
TEST_F(secretmem, threads)
{
	struct secret *s = &self->s;
	pthread_t threads[NR_THREADS];
	pthread_barrier_t barrier;
	struct toucher t = { &barrier, s };
	char path[64];

	pthread_barrier_init(&barrier, NULL, NR_THREADS);
	for (int round = 0; round < 4; round++) {
		ASSERT_EQ(0, open_secret(s, MANY));
		for (int i = 0; i < NR_THREADS; i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL, touch_all, &t));
		for (int i = 0; i < NR_THREADS; i++)
			pthread_join(threads[i], NULL);
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", s->fd);
		EXPECT_EQ(MANY * psize(), number_of(path, "populated"));
		EXPECT_EQ(self->before + kb(MANY), secret_kb());
		close_secret(s);
		EXPECT_EQ(self->before, secret_kb());
	}
}

static int count_in_trace(const char *text)
{
	FILE *file = fopen(TRACING "trace", "r");
	char *line = NULL;
	size_t size = 0;
	int found = 0;

	if (!file)
		return -1;
	while (getline(&line, &size, file) > 0)
		found += line[0] != '#' && strstr(line, text);
	free(line);
	fclose(file);

	return found;
}

#define EVENT "events/mmap_lock/mmap_lock_acquire_returned/"

/* Populating takes the lock of the mapping, not that of the process. */
TEST_F(secretmem, vma_lock)
{
	struct secret *s = &self->s;
	char pid[16];
	int locked;

	if (access(TRACING EVENT "enable", W_OK))
		mount("none", TRACING, "tracefs", 0, NULL);
	if (access(TRACING EVENT "enable", W_OK))
		SKIP(return, "needs trace events of mmap_lock");

	ASSERT_EQ(0, open_secret(s, 64));
	/* What is not about pages has been made. */
	fill_page(s->mem);
	snprintf(pid, sizeof(pid), "%d", getpid());
	ASSERT_EQ(0, write_text(TRACING "set_event_pid", pid));
	ASSERT_EQ(0, write_text(TRACING "trace", "\n"));
	ASSERT_EQ(0, write_text(TRACING EVENT "enable", "1"));
	populate(s);
	locked = count_in_trace("mmap_lock_acquire_returned");
	/* That the event tells of such locks at all. */
	mprotect(s->mem, psize(), PROT_READ);
	EXPECT_LT(locked, count_in_trace("mmap_lock_acquire_returned"));
	write_text(TRACING EVENT "enable", "0");
	write_text(TRACING "set_event_pid", "\n");
	write_text(TRACING "trace", "\n");

	EXPECT_GE(locked, 0);
	EXPECT_LT(locked, 8) {
		TH_LOG("63 pages took mmap_lock %d times", locked);
	}
	close_secret(s);
}

/* Where memory is populated already, a read maps what is around it, too. */
TEST_F(secretmem, fault_around)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY), mapped = 0;
	struct secret *s = &self->s;
	char *again;

	ASSERT_GE(pagemap, 0);
	ASSERT_EQ(0, open_secret(s, 64));
	populate(s);
	again = mmap(NULL, 64 * psize(), PROT_READ, MAP_SHARED, s->fd, 0);
	ASSERT_NE(MAP_FAILED, again);
	EXPECT_TRUE(has_pattern(again + 20 * psize(), psize()));
	for (int i = 0; i < 64; i++)
		mapped += pagemap_is_populated(pagemap, again + i * psize());
	EXPECT_GT(mapped, 1);
	for (int i = 0; i < 64; i++)
		EXPECT_TRUE(has_pattern(again + i * psize(), psize()));
	munmap(again, 64 * psize());
	close(pagemap);

	/* And nothing that is not. */
	close_secret(s);
	EXPECT_EQ(self->before, secret_kb());
}

/* What reads memory by its address shows ordinary memory and not this. */
static void check_reader(struct __test_metadata *_metadata, struct secret *s,
			 const char *name, int (*reader)(unsigned long pfn, char *buf))
{
	char *ordinary, *buf = malloc(psize());
	unsigned long pfn;
	int ret;

	ASSERT_NE(NULL, buf);
	ordinary = mmap(NULL, psize(), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, ordinary);
	fill_page(ordinary);
	ASSERT_NE(0, pfn_of(ordinary));
	ret = reader(pfn_of(ordinary), buf);
	if (ret || !has_pattern(buf, psize()))
		SKIP(goto out, "%s shows no memory at all", name);

	ASSERT_EQ(0, open_secret(s, 16));
	populate(s);
	for (int i = 0; i < 16; i++) {
		pfn = pfn_of(s->mem + i * psize());
		ASSERT_NE(0, pfn);
		memset(buf, 0, psize());
		ret = reader(pfn, buf);
		EXPECT_FALSE(has_pattern(buf, psize())) {
			TH_LOG("%s shows the secret in page %d", name, i);
		}
		EXPECT_TRUE(ret || all_zero(buf, psize()));
	}
	close_secret(s);
out:
	munmap(ordinary, psize());
	free(buf);
}

TEST_F(secretmem, kcore)
{
	check_reader(_metadata, &self->s, "/proc/kcore", read_kcore);
}

TEST_F(secretmem, devmem)
{
	check_reader(_metadata, &self->s, "/dev/mem", read_devmem);
}

/* Memory that is freed has nothing of what was in it. */
TEST_F(secretmem, erased)
{
	struct secret *s = &self->s;
	char *buf = malloc(psize());
	unsigned long pfns[16];
	int seen = 0;

	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, open_secret(s, 16));
	populate(s);
	for (int i = 0; i < 16; i++) {
		pfns[i] = pfn_of(s->mem + i * psize());
		ASSERT_NE(0, pfns[i]);
	}
	close_secret(s);
	for (int i = 0; i < 16; i++) {
		if (read_kcore(pfns[i], buf))
			continue;
		seen++;
		EXPECT_FALSE(has_pattern(buf, psize()));
	}
	free(buf);
	if (!seen)
		SKIP(return, "needs /proc/kcore");
}

/* Root, and the parent of a process, read and write what is ordinary in it. */
TEST_F(secretmem, other_processes)
{
	char *ordinary, *buf = malloc(psize()), path[64], byte = 0;
	int status, mem, up[2];
	struct iovec local, remote;
	struct secret *s = &self->s;
	long word, first;
	pid_t child;

	ASSERT_NE(NULL, buf);
	/* Both have the same addresses in parent and child. */
	ordinary = mmap(NULL, psize(), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ordinary);
	ASSERT_EQ(0, open_secret(s, 1));
	ASSERT_EQ(0, pipe(up));
	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		fill_page(ordinary);
		populate(s);
		if (write(up[1], &byte, 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	ASSERT_EQ(1, read(up[0], &byte, 1));
	memcpy(&first, pattern, sizeof(first));

	local = (struct iovec){ buf, psize() };
	remote = (struct iovec){ ordinary, psize() };
	if (process_vm_readv(child, &local, 1, &remote, 1, 0) == psize()) {
		EXPECT_TRUE(has_pattern(buf, psize()));
		memset(buf, 0, psize());
		remote.iov_base = s->mem;
		EXPECT_EQ(-1, process_vm_readv(child, &local, 1, &remote, 1, 0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, process_vm_writev(child, &local, 1, &remote, 1, 0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_TRUE(all_zero(buf, psize()));
	} else {
		EXPECT_EQ(ENOSYS, errno);
	}

	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, child, 0, 0));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, child, ordinary, 0);
	EXPECT_EQ(0, errno);
	EXPECT_EQ(first, word);
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, child, s->mem, 0);
	EXPECT_EQ(-1, word);
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, ptrace(PTRACE_POKEDATA, child, s->mem, 0));

	snprintf(path, sizeof(path), "/proc/%d/mem", child);
	mem = open(path, O_RDWR);
	ASSERT_GE(mem, 0);
	EXPECT_EQ(psize(), pread(mem, buf, psize(), (off_t)(uintptr_t)ordinary));
	EXPECT_TRUE(has_pattern(buf, psize()));
	memset(buf, 0, psize());
	EXPECT_EQ(-1, pread(mem, buf, psize(), (off_t)(uintptr_t)s->mem));
	EXPECT_TRUE(all_zero(buf, psize()));
	EXPECT_EQ(-1, pwrite(mem, buf, psize(), (off_t)(uintptr_t)s->mem));
	close(mem);

	ptrace(PTRACE_DETACH, child, 0, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	/* Nobody has written to it, and who owns it can still read it. */
	EXPECT_TRUE(has_pattern(s->mem, psize()));
	close_secret(s);
	munmap(ordinary, psize());
	free(buf);
}

/* Files alone are no secrets. */
TEST_F(secretmem, hibernate_empty)
{
	struct secret *s = &self->s, other;

	if (!contains_word(POWER_STATE, "disk"))
		SKIP(return, "hibernation is not available");
	ASSERT_EQ(0, open_secret(s, 16));
	EXPECT_TRUE(contains_word(POWER_STATE, "disk"));
	/* A page that was there and is gone, in another file. */
	ASSERT_EQ(0, open_secret(&other, 1));
	populate(&other);
	EXPECT_FALSE(contains_word(POWER_STATE, "disk"));
	close_secret(&other);
	EXPECT_TRUE(contains_word(POWER_STATE, "disk"));
	close_secret(s);
}

/* A single page is enough. The log says so to who tries, not to who looks. */
TEST_F(secretmem, hibernate_refused)
{
	struct secret *s = &self->s;
	char line[64];
	int log;

	if (!contains_word(POWER_STATE, "disk"))
		SKIP(return, "hibernation is not available");
	log = open_log();
	ASSERT_GE(log, 0);
	for (int nr = 1; nr < 200; nr += 99) {
		ASSERT_EQ(0, open_secret(s, nr));
		populate(s);
		snprintf(line, sizeof(line), "Refused: %ld kB of secret memory",
			 self->before + kb(nr));

		logged(log, line);
		EXPECT_FALSE(contains_word(POWER_STATE, "disk"));
		EXPECT_TRUE(contains_word("/sys/power/disk", "[disabled]"));
		EXPECT_EQ(0, logged(log, line));

		EXPECT_EQ(-EPERM, write_text(POWER_STATE, "disk"));
		EXPECT_EQ(1, logged(log, line));
		if (!access("/dev/snapshot", R_OK)) {
			EXPECT_EQ(-1, open("/dev/snapshot", O_RDONLY));
			EXPECT_EQ(EPERM, errno);
			EXPECT_EQ(1, logged(log, line));
		}
		close_secret(s);
		EXPECT_TRUE(contains_word(POWER_STATE, "disk"));
	}
	close(log);
}

/*
 * Who hibernates by /dev/snapshot may have secrets after it was opened, and is
 * the only one that is not frozen. No image has them.
 */
TEST_F_TIMEOUT(secretmem, hibernate_late, 300)
{
	int snapshot, in_suspend = 0, log;
	struct secret *s = &self->s;
	loff_t size = 0;

	if (!contains_word(POWER_STATE, "disk") || access("/dev/snapshot", R_OK))
		SKIP(return, "hibernation by /dev/snapshot is not available");
	log = open_log();
	ASSERT_GE(log, 0);
	ASSERT_EQ(0, open_secret(s, 16));
	snapshot = open("/dev/snapshot", O_RDONLY);
	if (snapshot < 0 && errno == EBUSY &&
	    number_of("/proc/meminfo", "HardwareCorrupted") > 0)
		SKIP(return, "a page with a memory error is absent from the direct map for good");
	ASSERT_GE(snapshot, 0);

	ASSERT_EQ(0, ioctl(snapshot, SNAPSHOT_FREEZE));
	populate(s);
	EXPECT_EQ(-1, ioctl(snapshot, SNAPSHOT_CREATE_IMAGE, &in_suspend));
	EXPECT_EQ(EPERM, errno);
	ioctl(snapshot, SNAPSHOT_FREE);
	ASSERT_EQ(0, ioctl(snapshot, SNAPSHOT_UNFREEZE));
	EXPECT_EQ(1, logged(log, "Refused: 64 kB of secret memory"));

	/* Without them, there is one. */
	close_secret(s);
	ASSERT_EQ(0, ioctl(snapshot, SNAPSHOT_FREEZE));
	EXPECT_EQ(0, ioctl(snapshot, SNAPSHOT_CREATE_IMAGE, &in_suspend)) {
		TH_LOG("no image without secrets: %s", strerror(errno));
	}
	EXPECT_EQ(1, in_suspend);
	EXPECT_EQ(0, ioctl(snapshot, SNAPSHOT_GET_IMAGE_SIZE, &size));
	EXPECT_GT(size, 0);
	ioctl(snapshot, SNAPSHOT_FREE);
	EXPECT_EQ(0, ioctl(snapshot, SNAPSHOT_UNFREEZE));
	EXPECT_EQ(0, logged(log, "Refused:"));
	close(snapshot);
	close(log);
}

#define MAX_BLOCKS 64

/* What is in the way of offlining a block, as /proc/kpageflags has it. */
static void log_block(struct __test_metadata *_metadata, unsigned long block)
{
	unsigned long free = 0, slab = 0, tables = 0, lru = 0, others = 0, i;
	int fd = open("/proc/kpageflags", O_RDONLY);
	uint64_t flags;

	for (i = 0; fd >= 0 && i < block_pages(); i++) {
		off_t at = (block * block_pages() + i) * sizeof(flags);

		if (pread(fd, &flags, sizeof(flags), at) != sizeof(flags))
			break;
		if (flags & 1ULL << KPF_BUDDY)
			free++;
		else if (flags & 1ULL << KPF_SLAB)
			slab++;
		else if (flags & 1ULL << KPF_PGTABLE)
			tables++;
		else if (flags & 1ULL << KPF_LRU)
			lru++;
		else
			others++;
	}
	close(fd);
	TH_LOG("block %lu: %lu free blocks, pages: %lu slab, %lu page tables, %lu LRU, %lu others",
	       block, free, slab, tables, lru, others);
}

/*
 * Put a page of secret memory into a block that has nothing else which cannot
 * move, and try to offline it. What the kernel allocates meanwhile must not get
 * there: page tables, nodes of the page cache and the pieces of the direct map
 * that has to be split are allocated on node 0, and the node has no CPU.
 */
TEST_F_TIMEOUT(secretmem, offline, 300)
{
	unsigned long blocks[MAX_BLOCKS], per_block = block_pages(), clean, block, pfn = 0;
	int nid = memory_only_node(), nr = 0, ret;
	struct secret *s = &self->s;
	char path[64], *filler = NULL;
	size_t page, filled = 0;
	struct dirent *entry;
	char key[32];
	DIR *dir;

	if (nid == NO_NODE || !per_block)
		SKIP(return, "needs a node of memory alone");

	/* What can be offline now has nothing that cannot move. */
	snprintf(path, sizeof(path), NODES "node%d", nid);
	dir = opendir(path);
	ASSERT_NE(NULL, dir);
	while (nr < MAX_BLOCKS && (entry = readdir(dir)))
		if (sscanf(entry->d_name, "memory%lu", &block) == 1 &&
		    !set_block(block, "offline"))
			blocks[nr++] = block;
	closedir(dir);
	if (nr < 2) {
		for (int i = 0; i < nr; i++)
			set_block(blocks[i], "online");
		SKIP(return, "needs a node with two blocks that can be offline");
	}
	/*
	 * One of them takes the threads of the node and whatever else the
	 * kernel wants there, until it is nearly full.
	 */
	clean = blocks[0];
	for (int i = 1; i < nr; i++)
		ASSERT_EQ(0, set_block(blocks[i], "online_kernel"));
	snprintf(path, sizeof(path), NODES "node%d/meminfo", nid);
	snprintf(key, sizeof(key), "Node %d MemFree", nid);
	ASSERT_EQ(0, set_policy(MPOL_BIND, nid, nid));
	if (number_of(path, key) > 24 << 10) {
		filled = (number_of(path, key) - (24 << 10)) << 10;
		filler = mmap(NULL, filled, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		ASSERT_NE(MAP_FAILED, filler);
	}

	/* Everything that the pages need is there before they are. */
	ASSERT_EQ(0, set_policy(MPOL_BIND, 0, 0));
	ASSERT_EQ(0, open_secret(s, 16 << 10));
	for (page = 0; page < s->nr; page += 32)
		fill_page(s->mem + page * psize());

	ASSERT_EQ(0, set_block(clean, "online_kernel"));
	ASSERT_EQ(0, set_policy(MPOL_INTERLEAVE, 0, nid));
	for (page = 0; page < s->nr; page++) {
		if (!(page % 32))
			continue;
		fill_page(s->mem + page * psize());
		pfn = pfn_of(s->mem + page * psize());
		if (pfn / per_block == clean)
			break;
	}
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, 0, 0));
	EXPECT_LT(page, s->nr);

	ret = set_block(clean, "offline");
	EXPECT_EQ(-EBUSY, ret) {
		TH_LOG("offlining returned %d", ret);
	}
	/* Nothing has happened to it. */
	if (page < s->nr) {
		EXPECT_TRUE(has_pattern(s->mem + page * psize(), psize()));
		EXPECT_EQ(pfn, pfn_of(s->mem + page * psize()));
	}

	/* It was what was in the way. */
	close_secret(s);
	EXPECT_EQ(0, set_block(clean, "offline")) {
		log_block(_metadata, clean);
	}
	munmap(filler, filled);
	for (int i = 0; i < nr; i++)
		set_block(blocks[i], "online");
}

/*
 * A secret page with a memory error is read and written by nobody any more, not
 * even to erase it: that would be the next error. As it stays absent from the
 * direct map it must not be handed out again, either.
 */
TEST_F(secretmem, memory_error)
{
	struct secret *s = &self->s;
	unsigned long pfn;
	uint64_t flags = 0;
	char text[32];
	int fd, ret;

	if (access(HWPOISON "corrupt-pfn", W_OK))
		SKIP(return, "needs root, debugfs and CONFIG_HWPOISON_INJECT");
	fd = open("/proc/kpageflags", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, open_secret(s, 2));
	populate(s);
	pfn = pfn_of(s->mem);
	ASSERT_NE(0, pfn);
	snprintf(text, sizeof(text), "%lu", pfn);

	/* What is dirty has no other copy, so that this is a failure. */
	ret = write_text(HWPOISON "corrupt-pfn", text);
	EXPECT_TRUE(!ret || ret == -EBUSY) {
		TH_LOG("corrupt-pfn: %d", ret);
	}
	ASSERT_EQ(0, pageflags_get(pfn, fd, &flags));
	ASSERT_TRUE(flags & KPF_HWPOISON);
	EXPECT_EQ(0, populate_until_bus(s));
	EXPECT_TRUE(has_pattern(s->mem + psize(), psize()));

	close_secret(s);
	EXPECT_EQ(-EOPNOTSUPP, write_text(HWPOISON "unpoison-pfn", text));
	ASSERT_EQ(0, pageflags_get(pfn, fd, &flags));
	EXPECT_TRUE(flags & KPF_HWPOISON);
	close(fd);
}

TEST_HARNESS_MAIN
