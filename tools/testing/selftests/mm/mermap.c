// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the mermap with real processes: fork(), execve(), exit, LDTs, failing
 * allocations, CPUs that come and go. CONFIG_MERMAP_TEST lets a process use the
 * mermap of its own mm through files in debugfs.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#include <asm/ldt.h>
#endif

#define DIR "/sys/kernel/debug/mermap_test/"
#define NR_THREADS 8

/* For execve(): exit with the state of the new process. */
#define EXEC_ARG "--state"

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);

	return ret;
}

/* A line of the state: 0 or more, or -1. */
static long state(const char *name)
{
	char key[32], line[64];
	long value = -1, got;
	FILE *file = fopen(DIR "state", "r");

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%31s %ld", key, &got) == 2 && !strcmp(key, name))
			value = got;
	fclose(file);

	return value;
}

/* An area of the state, which is two addresses, the second one exclusive. */
static bool area(const char *name, unsigned long long *start, unsigned long long *end)
{
	FILE *file = fopen(DIR "state", "r");
	unsigned long long from, to;
	char key[32], line[64];
	bool found = false;

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%31s 0x%llx-0x%llx", key, &from, &to) != 3 ||
		    strcmp(key, name))
			continue;
		*start = from;
		*end = to;
		found = true;
	}
	fclose(file);

	return found;
}

static int prepare(void)
{
	return write_file(DIR "prepare", "1");
}

static int stress(unsigned int nr)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nr);
	return write_file(DIR "stress", text);
}

/* What a child exits with; its crash is -1. */
static int wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;

	return WEXITSTATUS(status);
}

static pid_t exec_self(void)
{
	pid_t pid = fork();

	if (!pid) {
		execl("/proc/self/exe", "mermap", EXEC_ARG, NULL);
		_exit(99);
	}

	return pid;
}

/* The kernel says so only if the CPU needs it; pti=on is for any. */
static bool has_pti(void)
{
	char text[64] = "";
	FILE *file;

	file = fopen("/sys/devices/system/cpu/vulnerabilities/meltdown", "r");
	if (file) {
		if (!fgets(text, sizeof(text), file))
			text[0] = 0;
		fclose(file);
	}

	return strstr(text, "PTI") || !system("grep -qw pti=on /proc/cmdline");
}

/*
 * Make a call whose nth allocation fails; true if it had so many, false also if
 * it cannot be told. The file stays open, as opening it allocates, too.
 */
static bool call_failing(int nth, int (*call)(void), int *ret)
{
	char text[16] = "1";
	int fd, len;

	*ret = -EBADF;
	fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fd < 0)
		return false;
	len = snprintf(text, sizeof(text), "%d", nth);
	if (write(fd, text, len) == len) {
		*ret = call();
		len = pread(fd, text, sizeof(text) - 1, 0);
		text[len > 0 ? len : 0] = 0;
		if (write(fd, "0", 1) != 1)
			*ret = -EBADF;
	}
	close(fd);

	return !atoi(text);
}

/*
 * Run a child for each allocation that can fail, until one returns something.
 * Returns that, 100 if all is well.
 */
static int try_each_allocation(int (*child)(int nth), int *nr_failed)
{
	int nth, ret = 0;
	pid_t pid;

	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	for (nth = 1; nth < 100 && !ret; nth++) {
		pid = fork();
		if (!pid)
			_exit(child(nth));
		ret = wait_for(pid);
	}
	*nr_failed = nth - 2;

	return ret;
}

FIXTURE(mermap) {
};

FIXTURE_SETUP(mermap)
{
	pid_t pid;

	if (access(DIR "prepare", W_OK))
		SKIP(return, "needs CONFIG_MERMAP_TEST, debugfs and root");

	/* In a child, as tests begin with a process that is not prepared. */
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(prepare() == -EOPNOTSUPP);
	if (wait_for(pid) == 1)
		SKIP(return, "the machine has no mermap: Xen PV, or many CPUs with PAE");
}

FIXTURE_TEARDOWN(mermap)
{
}

/* A process has nothing until it asks for it, and then it has something. */
TEST_F_TIMEOUT(mermap, prepare, 600)
{
	long before = state("pgtables");

	EXPECT_EQ(0, state("prepared"));
	EXPECT_EQ(0, state("mm_local"));
	ASSERT_EQ(0, prepare());
	EXPECT_EQ(1, state("prepared"));
	EXPECT_EQ(1, state("mm_local"));
	EXPECT_GT(state("pgtables"), before);
	EXPECT_EQ(0, prepare());
	EXPECT_EQ(0, stress(100));
}

/* A child has nothing, can get it, and takes nothing from its parent. */
TEST_F_TIMEOUT(mermap, fork, 600)
{
	pid_t pid;

	ASSERT_EQ(0, prepare());
	pid = fork();
	if (!pid) {
		if (state("prepared") || state("mm_local"))
			_exit(1);
		if (prepare() || state("prepared") != 1 || stress(100))
			_exit(2);
		_exit(0);
	}
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(1, state("prepared"));
	EXPECT_EQ(0, stress(100));
}

/* Nor does what execve() makes of a process have it. */
TEST_F_TIMEOUT(mermap, exec, 600)
{
	ASSERT_EQ(0, prepare());
	EXPECT_EQ(0, wait_for(exec_self()));
	EXPECT_EQ(0, stress(100));
}

/* Threads share an mm, and each has windows of its own. */
static void *thread_fn(void *arg)
{
	return (void *)(long)stress((unsigned long)arg);
}

TEST_F_TIMEOUT(mermap, threads, 600)
{
	pthread_t threads[NR_THREADS];
	void *ret;
	int i;

	for (i = 0; i < NR_THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, thread_fn, (void *)1000UL));
	for (i = 0; i < NR_THREADS; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &ret));
		EXPECT_EQ(0, (long)ret);
	}
}

#if defined(__x86_64__) || defined(__i386__)
static int modify_ldt(int func, void *ptr, unsigned long size)
{
	return syscall(SYS_modify_ldt, func, ptr, size);
}

static int set_ldt(unsigned int entry)
{
	struct user_desc desc = {
		.entry_number = entry,
		.limit = 0xfffff,
		.seg_32bit = 1,
		.limit_in_pages = 1,
		.useable = 1,
	};

	return modify_ldt(0x11, &desc, sizeof(desc));
}

/* How many bytes from the start of the LDT to the end of its last entry. */
static int ldt_used(void)
{
	static char ldt[8 * 8192];
	int size = modify_ldt(0, ldt, sizeof(ldt)), i;

	for (i = size - 1; i >= 0 && !ldt[i]; i--)
		;

	return size < 0 ? size : (i + 8) / 8 * 8;
}

/* The LDT lives next to the mermap, whichever was first, and is inherited. */
static int with_ldt(bool ldt_first)
{
	pid_t pid;

	if (ldt_first && set_ldt(3))
		return 1;
	if (prepare() || stress(100))
		return 2;
	if (!ldt_first && set_ldt(3))
		return 3;
	if (ldt_used() != 32)
		return 4;
	/* A longer one goes to the other slot, and takes many pages. */
	if (set_ldt(8191) || ldt_used() != 65536 || stress(100))
		return 5;

	pid = fork();
	if (!pid) {
		if (ldt_used() != 65536 || state("prepared"))
			_exit(6);
		if (prepare() || stress(100) || set_ldt(5) || ldt_used() != 65536)
			_exit(7);
		_exit(0);
	}

	return wait_for(pid);
}

TEST_F_TIMEOUT(mermap, ldt_first, 600)
{
	pid_t pid;

	if (modify_ldt(0, NULL, 0) < 0 && errno == ENOSYS)
		SKIP(return, "needs CONFIG_MODIFY_LDT_SYSCALL");
	pid = fork();
	if (!pid)
		_exit(with_ldt(true));
	EXPECT_EQ(0, wait_for(pid));
}

TEST_F_TIMEOUT(mermap, ldt_last, 600)
{
	pid_t pid;

	if (modify_ldt(0, NULL, 0) < 0 && errno == ENOSYS)
		SKIP(return, "needs CONFIG_MODIFY_LDT_SYSCALL");
	pid = fork();
	if (!pid)
		_exit(with_ldt(false));
	EXPECT_EQ(0, wait_for(pid));
}

static int set_some_ldt(void)
{
	return set_ldt(3) ? -errno : 0;
}

/* An LDT whose page tables cannot be allocated leaves the mermap alone. */
static int failing_ldt(int nth)
{
	bool failed;
	int ret;

	if (prepare() || stress(10))
		return 1;
	failed = call_failing(nth, set_some_ldt, &ret);
	if (ret && ret != -ENOMEM)
		return 2;
	/* What the failure left must not be in the way, and neither torn down. */
	if (stress(10))
		return 3;
	if (set_ldt(3) || ldt_used() != 32 || stress(10))
		return 4;

	/* Not reached: nothing was left to fail. */
	return failed ? 0 : 100;
}

TEST_F_TIMEOUT(mermap, failing_ldt, 600)
{
	int nr_failed;

	if (modify_ldt(0, NULL, 0) < 0 && errno == ENOSYS)
		SKIP(return, "needs CONFIG_MODIFY_LDT_SYSCALL");
	if (access("/proc/self/fail-nth", W_OK))
		SKIP(return, "needs CONFIG_FAULT_INJECTION and CONFIG_FAIL_PAGE_ALLOC");
	EXPECT_EQ(100, try_each_allocation(failing_ldt, &nr_failed));
	TH_LOG("%d allocations failed", nr_failed);
	/* The LDT itself; its page tables only if the user half has it, too. */
	EXPECT_GE(nr_failed, has_pti() ? 2 : 1);
}
#endif /* x86 */

/* Whatever allocation fails, prepare fails or works, and works the next time. */
static int failing_prepare(int nth)
{
	bool failed;
	int ret;

	failed = call_failing(nth, prepare, &ret);
	if (ret && ret != -ENOMEM)
		return 1;
	/* Some exit like this, with half of it. */
	if (ret && nth % 2)
		return 0;
	if (prepare() || stress(10))
		return 2;

	return failed ? 0 : 100;
}

TEST_F_TIMEOUT(mermap, failing_prepare, 600)
{
	int nr_failed;

	if (access("/proc/self/fail-nth", W_OK))
		SKIP(return, "needs CONFIG_FAULT_INJECTION and CONFIG_FAIL_PAGE_ALLOC");
	EXPECT_EQ(100, try_each_allocation(failing_prepare, &nr_failed));
	TH_LOG("%d allocations failed", nr_failed);
	EXPECT_GT(nr_failed, 2);
}

/*
 * How many lines of PTEs a dump of page tables has in an area. Markers of a dump
 * lag behind when areas are empty, so go by addresses.
 */
static int count_ptes(const char *path, const char *name)
{
	unsigned long long addr, start, end;
	FILE *file = fopen(path, "r");
	char line[256];
	int count = 0;

	if (!file)
		return -1;
	if (!area(name, &start, &end))
		count = -1;
	while (count >= 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "0x%llx", &addr) != 1 ||
		    (!strstr(line, " RW ") && !strstr(line, " ro ")))
			continue;
		if (addr >= start && addr < end)
			count++;
	}
	fclose(file);

	return count;
}

/* The page tables of user mode do not have what the kernel's have. */
TEST_F_TIMEOUT(mermap, page_tables, 600)
{
	/* Two windows with different protection. */
	EXPECT_EQ(2, count_ptes(DIR "page_tables", "windows"));

	if (!has_pti())
		SKIP(return, "needs page table isolation (pti=on) for the rest");
#if defined(__x86_64__) || defined(__i386__)
	if (!set_ldt(3)) {
		EXPECT_EQ(1, count_ptes(DIR "page_tables", "ldt"));
		EXPECT_EQ(1, count_ptes(DIR "page_tables_user", "ldt"));
	}
#endif
	EXPECT_EQ(2, count_ptes(DIR "page_tables", "windows"));
	EXPECT_EQ(0, count_ptes(DIR "page_tables_user", "windows"));
}

static bool stop;

static void *loop_fn(void *arg)
{
	long ret = 0;

	while (!ret && !__atomic_load_n(&stop, __ATOMIC_RELAXED))
		ret = stress(50);

	return (void *)ret;
}

static void *hotplug_fn(void *arg)
{
	const char *path = "/sys/devices/system/cpu/cpu1/online";
	long cycles = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (write_file(path, "0"))
			break;
		usleep(20000);
		if (write_file(path, "1"))
			return (void *)-1L;
		usleep(20000);
		cycles++;
	}

	return (void *)cycles;
}

/*
 * Threads on all CPUs map random pages and verify them, while the process forks,
 * children prepare, run and exit or become another program, and a CPU goes
 * offline and online. MERMAP_SECONDS says for how long.
 */
TEST_F_TIMEOUT(mermap, everything, 1800)
{
	const char *seconds = getenv("MERMAP_SECONDS");
	time_t end = time(NULL) + (seconds ? atoi(seconds) : 3);
	pthread_t threads[NR_THREADS], hotplug;
	unsigned long children = 0;
	void *ret;
	pid_t pid;
	int i;

	ASSERT_EQ(0, prepare());
	for (i = 0; i < NR_THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, loop_fn, NULL));
	ASSERT_EQ(0, pthread_create(&hotplug, NULL, hotplug_fn, NULL));

	while (children < 8 || time(NULL) < end) {
		switch (children++ % 4) {
		case 0:
			pid = fork();
			if (!pid)
				_exit(state("prepared"));
			break;
		case 1:
			pid = fork();
			if (!pid)
				_exit(!!stress(50));
			break;
		case 2:
			pid = exec_self();
			break;
		default:
			/* Killed in the middle. */
			pid = fork();
			if (!pid) {
				stress(1000000);
				_exit(0);
			}
			usleep(1000);
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			continue;
		}
		EXPECT_EQ(0, wait_for(pid));
	}

	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < NR_THREADS; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &ret));
		EXPECT_EQ(0, (long)ret);
	}
	ASSERT_EQ(0, pthread_join(hotplug, &ret));
	EXPECT_GE((long)ret, 0);
	TH_LOG("%lu children, %ld times offline and online", children, (long)ret);
}

int main(int argc, char *argv[])
{
	if (argc == 2 && !strcmp(argv[1], EXEC_ARG))
		return state("prepared") || state("mm_local");

	return test_harness_run(argc, argv);
}
