// SPDX-License-Identifier: GPL-2.0
/*
 * Test what becomes of pages: which are moved to a private node that is named by
 * its number, for whom, and what others are told; which services leave those of
 * a private node alone; and who can pin them.
 *
 * README says which change of the kernel each case is for.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

#define HUGE		(2UL << 20)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* What no kernel writes to the status of a page. */
#define UNTOUCHED	4711

/* ---- System calls ---- */

/* Returns 0, an errno, or -1 if some pages could not be moved. */
static int move_pages(pid_t pid, unsigned long count, void **pages,
		      const int *to, int *status, int flags)
{
	long left = syscall(SYS_move_pages, pid, count, pages, to, status, flags);

	return left < 0 ? errno : left ? -1 : 0;
}

static int move_page(pid_t pid, void *addr, int to, int *status, int flags)
{
	*status = UNTOUCHED;
	return move_pages(pid, 1, &addr, &to, status, flags);
}

static int node_for(pid_t pid, void *addr)
{
	int status = UNTOUCHED;

	return move_pages(pid, 1, &addr, NULL, &status, 0) ? -1 : status;
}

/* Returns 0 or an errno; how many pages are left does not matter. */
static int migrate(pid_t pid, struct mask from, struct mask to)
{
	return syscall(SYS_migrate_pages, pid, MAX_NODE + 1UL, from.bits,
		       to.bits) < 0 ? errno : 0;
}

/* ---- The fixture ---- */

FIXTURE(pages)
{
	struct watch watch;
};

FIXTURE_SETUP(pages)
{
	const char *missing = whats_missing();

	if (missing)
		SKIP(return, "%s", missing);
	ASSERT_TRUE(plug_two("none", &U));
	ASSERT_TRUE(watch_begin(&self->watch));
}

FIXTURE_TEARDOWN(pages)
{
	if (whats_missing())
		return;
	EXPECT_TRUE(watch_end(&self->watch, "page allocation failure"));
	cgroups_remove();
}

/* ---- The tables: who is answered what ---- */

/* Whose pages: his own, of one to whom the node is offered, of one left out (x) */
static const char targets[] = "sox";

struct row {
	const char *callers, *targets, *nodes, *flags;
	int result;
};

/* Nodes: D, P, U, X, "N" -1, "M" more than any kernel has. */
static const char node_letters[] = "DPUXNM";
/* Flags: none, MPOL_MF_MOVE, MPOL_MF_MOVE_ALL, a bad one */
static const char flag_letters[] = "-MAB";

static const struct row move_rows[] = {
	{ "PUGLl", "sox", "DPUXNM", "B",   EINVAL },
	{ "UGl",   "sox", "DPUXNM", "A",   EPERM },
	{ "PL",	   "sox", "UXNM",   "-MA", ENODEV },
	{ "UGl",   "sox", "UXNM",   "-M",  ENODEV },
	{ "PL",	   "sox", "D",	    "-MA", 0 },
	{ "UGl",   "sox", "D",	    "-M",  0 },
	{ "P",	   "so",  "P",	    "-MA", 0 },
	{ "P",	   "x",	  "P",	    "-MA", EACCES },
	{ "G",	   "so",  "P",	    "-M",  0 },
	{ "G",	   "x",	  "P",	    "-M",  EACCES },
	{ "U",	   "so",  "P",	    "-M",  EPERM },
	{ "U",	   "x",	  "P",	    "-M",  EACCES },
	{ "L",	   "sx",  "P",	    "-MA", EACCES },
	{ "L",	   "o",	  "P",	    "-MA", EPERM },
	{ "l",	   "sx",  "P",	    "-M",  EACCES },
	{ "l",	   "o",	  "P",	    "-M",  EPERM },
};

static int node_by_letter(char letter)
{
	switch (letter) {
	case 'D':
		return D;
	case 'P':
		return P;
	case 'U':
		return U;
	case 'X':
		return X;
	case 'N':
		return -1;
	default:
		return 1 << 20;
	}
}

static int flags_by_letter(char letter)
{
	switch (letter) {
	case 'M':
		return MPOL_MF_MOVE;
	case 'A':
		return MPOL_MF_MOVE_ALL;
	case 'B':
		return 1 << 5;
	default:
		return 0;
	}
}

#define NO_ROW	-2

/* A combination: by the letters, and a set of nodes or a flag */
struct what {
	char caller, target, node, flag;
	const char *set;
};

static bool move_fits(const void *entry, const void *which)
{
	const struct row *row = entry;
	const struct what *what = which;

	return strchr(row->callers, what->caller) &&
	       strchr(row->targets, what->target) &&
	       strchr(row->nodes, what->node) && strchr(row->flags, what->flag);
}

/* What the table says; NO_ROW if it says nothing, or more than one thing */
static int move_result(char caller, char target, char node, char flag)
{
	const struct what what = { caller, target, node, flag, NULL };
	const struct row *row = only_row(move_rows, ARRAY_SIZE(move_rows),
					 sizeof(*move_rows), move_fits, &what);

	return row ? row->result : NO_ROW;
}

/* Where pages are before: on another node than D, if there is one */
static int start(void)
{
	return D1 >= 0 ? D1 : D;
}

static char *victim;

/* Those whose pages are moved: by the letters of the targets, 0 for himself */
static pid_t pids[ARRAY_SIZE(targets) - 1];

static pid_t target_start(const char *cgroup)
{
	int ready[2];
	pid_t child;
	char byte;

	if (pipe(ready))
		return -1;
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (cgroup_enter(cgroup))
			_exit(1);
		touch(victim, page);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	if (child > 0 && read(ready[0], &byte, 1) != 1)
		child = -1;
	close(ready[0]);
	return child;
}

static int targets_start(void)
{
	victim = map(page);
	pids[1] = target_start("");
	pids[2] = target_start("out");
	return pids[1] < 0 || pids[2] < 0;
}

static void targets_stop(void)
{
	for (size_t i = 1; i < ARRAY_SIZE(pids); i++) {
		kill(pids[i], SIGKILL);
		wait_for(pids[i]);
	}
}

static const char *as_text(int result)
{
	return result == NO_ROW ? "nothing in the table" :
	       result < 0 ? "pages left" : strerrorname_np(result);
}

/* Is the page where it has to be, and does its status say so? */
static bool moved_as(pid_t pid, int result, int node, int status)
{
	int now = node_for(pid, victim);

	if (result)
		return status == UNTOUCHED && now == start();
	return status == node && now == node;
}

enum { MOVES = (ARRAY_SIZE(node_letters) - 1) * (ARRAY_SIZE(flag_letters) - 1) };

static int try_move(char caller, size_t t, unsigned int which)
{
	const char node = node_letters[which / (ARRAY_SIZE(flag_letters) - 1)];
	const char flag = flag_letters[which % (ARRAY_SIZE(flag_letters) - 1)];
	int want = move_result(caller, targets[t], node, flag), status, got;

	if (move_page(pids[t], victim, start(), &status, 0) || status != start()) {
		ksft_print_msg("cannot move the page back: status %d\n", status);
		return 1;
	}
	got = move_page(pids[t], victim, node_by_letter(node), &status,
			flags_by_letter(flag));
	if (got == want && moved_as(pids[t], got, node_by_letter(node), status))
		return 0;
	ksft_print_msg("caller %c target %c node %c flags %c: %s, not %s; status %d node %d\n",
		       caller, targets[t], node, flag, as_text(got), as_text(want), status,
		       node_for(pids[t], victim));
	return 1;
}

/* Of each target; returns how many combinations were not as the table says. */
static int try_all(const struct caller *caller,
		   int (*try_one)(char caller, size_t t, unsigned int which),
		   unsigned int count)
{
	int bad = 0, done = 0;

	if (become(caller))
		return 1;
	touch(victim, page);
	for (size_t t = 0; t < ARRAY_SIZE(pids); t++) {
		for (unsigned int which = 0; which < count; which++) {
			bad += try_one(caller->letter, t, which);
			done++;
		}
	}
	ksft_print_msg("caller %c: %d combinations\n", caller->letter, done);
	return bad;
}

/* Each caller; returns how many found something. */
static int everybody(int (*try_one)(char caller, size_t t, unsigned int which),
		     unsigned int count)
{
	int bad = 0;

	if (callers_make() || targets_start())
		return -1;
	for (size_t i = 0; i < NR_CALLERS; i++)
		bad += !!IN_CHILD(TIMEOUT / 3, try_all(&callers[i], try_one, count));
	targets_stop();
	return bad;
}

TEST_F_TIMEOUT(pages, errors_of_move_pages, TIMEOUT)
{
	ASSERT_EQ(0, everybody(try_move, MOVES));
}

/* New nodes: sets of D, P, U, X in this order; "-": none of them */
struct migrate_row {
	const char *callers, *targets, *nodes;
	char to;	/* the node where pages are then, or 0 */
	int result;
};

static const struct migrate_row migrate_rows[] = {
	/* Beside ordinary nodes private ones mean nothing. */
	{ "PUGLl", "sox", "D DP DU DPU",	'D', 0 },
	{ "PL",	   "sox", "DX DPX DUX DPUX",	'D', 0 },
	{ "UGl",   "sox", "DX DPX DUX DPUX",	0,   EPERM },
	{ "PL",	   "sox", "X PX UX PUX",	0,   EINVAL },
	{ "UGl",   "sox", "X PX UX PUX",	0,   EPERM },
	/* Alone they are meant. */
	{ "PUGLl", "sox", "- U",		0,   EINVAL },
	{ "PG",	   "so",  "P PU",		'P', 0 },
	{ "PG",	   "x",	  "P PU",		0,   EINVAL },
	{ "ULl",   "sox", "P PU",		0,   EINVAL },
};

static const char *set_letters(unsigned int set)
{
	return letters_of("DPUX", set);
}

static struct mask set_mask(unsigned int set)
{
	struct mask mask = {};

	for (int i = 0; i < 4; i++)
		if (set & (1U << i))
			node_add(&mask, node_by_letter(node_letters[i]));
	return mask;
}

static bool migrate_fits(const void *entry, const void *which)
{
	const struct migrate_row *row = entry;
	const struct what *what = which;

	return strchr(row->callers, what->caller) &&
	       strchr(row->targets, what->target) &&
	       words_have(row->nodes, what->set);
}

static const struct migrate_row *migrate_result(char caller, char target,
						const char *set)
{
	const struct what what = { caller, target, 0, 0, set };

	return only_row(migrate_rows, ARRAY_SIZE(migrate_rows),
			sizeof(*migrate_rows), migrate_fits, &what);
}

static int try_migrate(char caller, size_t t, unsigned int set)
{
	struct mask from = nodes(D, D1), old = nodes(P, -1);
	const struct migrate_row *want;
	int node, got, status;

	want = migrate_result(caller, targets[t], set_letters(set));
	/* All of it back from the private node, and the page where it starts */
	if (migrate(pids[t], old, nodes(D, -1)) ||
	    move_page(pids[t], victim, start(), &status, 0) || status != start()) {
		ksft_print_msg("cannot migrate back\n");
		return 1;
	}
	for (int i = 0; i < MASK_LONGS; i++)
		from.bits[i] |= old.bits[i];
	got = migrate(pids[t], from, set_mask(set));
	node = node_for(pids[t], victim);
	if (want && got == want->result &&
	    node == (want->to ? node_by_letter(want->to) : start()))
		return 0;
	ksft_print_msg("caller %c, target %c, to %s: %s, node %d instead of %s\n",
		       caller, targets[t], set_letters(set), as_text(got), node,
		       as_text(want ? want->result : NO_ROW));
	return 1;
}

TEST_F_TIMEOUT(pages, errors_of_migrate_pages, TIMEOUT)
{
	ASSERT_EQ(0, everybody(try_migrate, 16));
}

/* ---- What moves ---- */

/*
 * One page of a page cache, whose pages can be moved (those of ramfs cannot): that
 * of a block device in compressed memory
 */
static char *map_file(void)
{
	char *addr;
	int fd;

	write_file(ZRAM_SYS "reset", "1");
	if (write_file(ZRAM_SYS "disksize", "16M"))
		return NULL;
	fd = open(ZRAM, O_RDWR);
	if (fd < 0)
		return NULL;
	addr = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (addr == MAP_FAILED)
		return NULL;
	touch(addr, page);
	return addr;
}

static void unmap_file(char *addr)
{
	munmap(addr, page);
	write_file(ZRAM_SYS "reset", "1");
}

static char *map_tmpfs(void)
{
	int fd = memfd_create("pages", 0);
	char *addr;

	if (fd < 0 || ftruncate(fd, page))
		return NULL;
	addr = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (addr == MAP_FAILED)
		return NULL;
	touch(addr, page);
	return addr;
}

static char *map_hugetlb(bool touched)
{
	char *addr;

	if (write_file("/proc/sys/vm/nr_hugepages", "1"))
		return NULL;
	addr = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (addr == MAP_FAILED)
		return NULL;
	if (touched)
		touch(addr, page);
	return addr;
}

/*
 * What does not move has a status that says so, and is in nobody's way: it comes
 * first.
 */
TEST_F_TIMEOUT(pages, what_move_pages_moves, TIMEOUT)
{
	enum { CACHE, HUGETLB, ZERO, NONE, HOLE, SHARED, ANON, TMPFS, LAST, KINDS };
	int to[KINDS], status[KINDS];
	void *pages[KINDS];
	pid_t child;

	if (access(ZRAM, F_OK))
		SKIP(return, "needs zram");
	pages[CACHE] = map_file();
	ASSERT_NE(NULL, pages[CACHE]);
	pages[HUGETLB] = map_hugetlb(true);
	ASSERT_NE(NULL, pages[HUGETLB]);
	pages[TMPFS] = map_tmpfs();
	ASSERT_NE(NULL, pages[TMPFS]);
	for (int i = ZERO; i < KINDS; i++) {
		to[i] = P;
		if (i != TMPFS)
			pages[i] = map(page);
	}
	to[CACHE] = P;
	to[HUGETLB] = P;
	ASSERT_EQ(0, *(volatile char *)pages[ZERO]);
	touch(pages[SHARED], page);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	touch(pages[ANON], page);
	touch(pages[LAST], page);
	ASSERT_EQ(0, munmap(pages[HOLE], page));

	for (int i = 0; i < KINDS; i++)
		status[i] = UNTOUCHED;
	EXPECT_EQ(0, move_pages(0, KINDS, pages, to, status, MPOL_MF_MOVE));
	EXPECT_EQ(-ENOMEM, status[CACHE]);
	EXPECT_EQ(-ENOMEM, status[HUGETLB]);
	EXPECT_EQ(-EFAULT, status[ZERO]);
	EXPECT_EQ(-ENOENT, status[NONE]);
	EXPECT_EQ(-EFAULT, status[HOLE]);
	EXPECT_EQ(-EACCES, status[SHARED]);
	EXPECT_EQ(P, status[ANON]);
	EXPECT_EQ(P, status[TMPFS]);
	EXPECT_EQ(P, status[LAST]);
	EXPECT_EQ(P, node_of(pages[ANON]));
	EXPECT_EQ(P, node_of(pages[TMPFS]));
	EXPECT_NE(P, node_of(pages[CACHE]));
	EXPECT_NE(P, node_of(pages[HUGETLB]));

	/* What is there already, and what others have mapped, with privilege */
	EXPECT_EQ(0, move_pages(0, KINDS, pages, to, status, MPOL_MF_MOVE_ALL));
	EXPECT_EQ(-ENOMEM, status[CACHE]);
	EXPECT_EQ(-ENOMEM, status[HUGETLB]);
	EXPECT_EQ(P, status[SHARED]);
	EXPECT_EQ(P, status[ANON]);
	kill(child, SIGKILL);
	wait_for(child);

	/* And away from it, as any page */
	EXPECT_EQ(0, move_page(0, pages[ANON], D, status, MPOL_MF_MOVE));
	EXPECT_EQ(D, status[0]);
	EXPECT_EQ(D, node_of(pages[ANON]));
	/* The page cache can be moved, only not there. */
	if (D1 >= 0) {
		int other = node_of(pages[CACHE]) == D ? D1 : D;

		EXPECT_EQ(0, move_page(0, pages[CACHE], other, status, MPOL_MF_MOVE));
		EXPECT_EQ(other, status[0]);
	}
	munmap(pages[HUGETLB], HUGE);
	write_file("/proc/sys/vm/nr_hugepages", "0");
	unmap_file(pages[CACHE]);
}

/* What is asked once for a node is asked for each node. */
TEST_F_TIMEOUT(pages, several_nodes, TIMEOUT)
{
	int to[6] = { P, start(), P, P, U, P }, status[6];
	void *pages[6];
	char *addr = map(6 * page);

	touch(addr, 6 * page);
	for (int i = 0; i < 6; i++) {
		pages[i] = addr + i * page;
		status[i] = UNTOUCHED;
		ASSERT_EQ(0, move_page(0, pages[i], start(), &status[i], 0));
		status[i] = UNTOUCHED;
	}
	EXPECT_EQ(ENODEV, move_pages(0, 6, pages, to, status, MPOL_MF_MOVE));
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(to[i], status[i]);
		EXPECT_EQ(to[i], node_of(pages[i]));
	}
	EXPECT_EQ(UNTOUCHED, status[4]);
	EXPECT_EQ(UNTOUCHED, status[5]);
	EXPECT_EQ(start(), node_of(pages[5]));
}

static char *map_huge(void)
{
	char *area = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *addr;

	if (area == MAP_FAILED)
		return NULL;
	addr = (char *)(((unsigned long)area + HUGE - 1) & -HUGE);
	return madvise(addr, HUGE, MADV_HUGEPAGE) ? NULL : addr;
}

TEST_F_TIMEOUT(pages, huge_page_moves, TIMEOUT)
{
	long before = number_in("/proc/vmstat", "thp_fault_alloc "), moved;
	char *addr = map_huge();
	int status;

	ASSERT_NE(NULL, addr);
	touch(addr, page);
	ASSERT_EQ(before + 1, number_in("/proc/vmstat", "thp_fault_alloc "));
	moved = number_in("/proc/vmstat", "thp_migration_success ");
	ASSERT_EQ(0, move_page(0, addr, P, &status, MPOL_MF_MOVE));
	EXPECT_EQ(P, status);
	EXPECT_EQ(512, count_on(addr, HUGE, P));
	EXPECT_LT(moved, number_in("/proc/vmstat", "thp_migration_success "));
}

/* Does a path of numa_maps lead to page cache, and not to memory of the task? */
static bool is_page_cache(char *path)
{
	struct statfs fs;
	struct stat st;

	path[strcspn(path, "\n ")] = '\0';
	if (stat(path, &st) || statfs(path, &fs))
		return false;
	return S_ISBLK(st.st_mode) || fs.f_type != TMPFS_MAGIC;
}

/* Mappings of files that have page cache on a node */
static int files_on(int node)
{
	static char text[1 << 18];
	char *line, *rest = text, *path, column[16];
	int count = 0;

	if (read_file("/proc/self/numa_maps", text, sizeof(text)) < 0)
		return -1;
	snprintf(column, sizeof(column), " N%d=", node);
	while ((line = strsep(&rest, "\n"))) {
		path = strstr(line, " file=/");
		if (path && !strstr(line, " anon=") && strstr(line, column) &&
		    is_page_cache(path + strlen(" file=")))
			count++;
	}
	return count;
}

/* All of a process moves but for what stays, wherever that is in between. */
static int migrate_own(void)
{
	char *file, *huge, *before = map(8 * page), *after;

	file = map_file();
	after = map(8 * page);
	huge = map_hugetlb(true);
	if (!file || !after || !huge)
		return 1;
	touch(before, 8 * page);
	touch(after, 8 * page);
	/* What is looked for can be found. */
	if (files_on(D) + files_on(D1) <= 0)
		return 1;
	if (migrate(0, nodes(D, D1), nodes(P, -1)))
		return 1;
	if (files_on(P)) {
		ksft_print_msg("%d files\n", files_on(P));
		return 1;
	}
	if (count_on(before, 8 * page, P) != 8 || count_on(after, 8 * page, P) != 8 ||
	    node_of(file) == P || node_of(huge) == P) {
		ksft_print_msg("%ld and %ld of 8 pages, file on node %d, huge page on %d\n",
			       count_on(before, 8 * page, P),
			       count_on(after, 8 * page, P), node_of(file), node_of(huge));
		return 1;
	}
	if (migrate(0, nodes(P, -1), nodes(D, -1)))
		return 1;
	unmap_file(file);
	return count_on(before, 8 * page, D) != 8;
}

TEST_F_TIMEOUT(pages, what_migrate_pages_moves, TIMEOUT)
{
	if (access(ZRAM, F_OK))
		SKIP(return, "needs zram");
	EXPECT_EQ(0, IN_CHILD(120, migrate_own()));
	write_file("/proc/sys/vm/nr_hugepages", "0");
}

/* Full is for it what it is for any node: an error, and nobody is killed. */
TEST_F_TIMEOUT(pages, full_node, TIMEOUT)
{
	int to[2 * SLACK], statuses[2 * SLACK], status, i;
	char *more = map(2 * SLACK * page), *addr;
	void *pages[2 * SLACK];
	size_t len = 0;

	touch(more, 2 * SLACK * page);
	for (i = 0; i < 2 * SLACK; i++) {
		pages[i] = more + i * page;
		to[i] = P;
	}
	addr = fill(P, &len);
	ASSERT_NE(NULL, addr);
	EXPECT_EQ(ENOMEM, move_pages(0, 2 * SLACK, pages, to, statuses, MPOL_MF_MOVE));
	EXPECT_GE(SLACK, count_on(more, 2 * SLACK * page, P));
	EXPECT_EQ(ENOMEM, migrate(0, nodes(D, D1), nodes(P, -1)));
	EXPECT_GE(SLACK, count_on(more, 2 * SLACK * page, P));
	for (i = 0; i < 2 * SLACK; i++)
		ASSERT_EQ(1, more[i * page]);
	munmap(addr, (private_kb(P, "PrivateTotal:") << 10) + MORE);
	EXPECT_EQ(0, move_page(0, more, P, &status, MPOL_MF_MOVE));
	EXPECT_EQ(P, status);
}

/* ---- Services that leave pages alone ---- */

static long number_of(const char *path)
{
	return number_in(path, "");
}

static void number_to(const char *path, long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", number);
	write_file(path, text);
}

/* Wait for something that a thread of the kernel does; an expression */
#define WAIT_FOR(seconds, what)						\
({									\
	int left_ = (seconds) * 20;					\
									\
	while (!(what) && left_--)					\
		usleep(50000);						\
	left_ >= 0;							\
})

#define KSM		"/sys/kernel/mm/ksm/"

static bool ksm_scanned(int times)
{
	long before = number_of(KSM "full_scans");

	return WAIT_FOR(120, number_of(KSM "full_scans") >= before + times);
}

static void ksm_stop(long sleep, long pages)
{
	write_file(KSM "run", "2");
	write_file(KSM "run", "0");
	number_to(KSM "sleep_millisecs", sleep);
	number_to(KSM "pages_to_scan", pages);
}

/* Pages with the same contents: those on ordinary nodes become one, alone. */
TEST_F_TIMEOUT(pages, ksm_does_not_merge, TIMEOUT)
{
	long sleep = number_of(KSM "sleep_millisecs");
	long pages = number_of(KSM "pages_to_scan");
	char *on_p = map(8 * page), *others = map(8 * page);
	int status;

	if (access(KSM "run", F_OK))
		SKIP(return, "needs CONFIG_KSM");
	ASSERT_EQ(0, bind_range(on_p, 8 * page, MPOL_BIND | SV, nodes(P, -1), 0));
	ASSERT_EQ(0, bind_range(others, 8 * page, MPOL_BIND, nodes(D, -1), 0));
	memset(on_p, 0x5c, 8 * page);
	memset(others, 0x5c, 8 * page);
	ASSERT_EQ(8, count_on(on_p, 8 * page, P));
	ASSERT_EQ(0, madvise(on_p, 8 * page, MADV_MERGEABLE));
	ASSERT_EQ(0, madvise(others, 8 * page, MADV_MERGEABLE));
	number_to(KSM "sleep_millisecs", 1);
	number_to(KSM "pages_to_scan", 1000);
	ASSERT_EQ(0, write_file(KSM "run", "1"));

	EXPECT_TRUE(WAIT_FOR(120, number_of("/proc/self/ksm_merging_pages") >= 8));
	EXPECT_TRUE(ksm_scanned(3));
	EXPECT_EQ(8, number_of("/proc/self/ksm_merging_pages"));
	EXPECT_EQ(8, count_on(on_p, 8 * page, P));
	EXPECT_EQ(0, count_on(others, 8 * page, P));

	/* The merged page is that of some: it does not go there, either. */
	EXPECT_EQ(0, move_page(0, others, P, &status, MPOL_MF_MOVE_ALL));
	EXPECT_EQ(-ENOMEM, status);
	EXPECT_EQ(0, bind_range(others, 8 * page, MPOL_BIND | SV, nodes(P, -1),
				MPOL_MF_MOVE_ALL));
	EXPECT_EQ(0, count_on(others, 8 * page, P));
	/* What is not merged any more does. */
	ksm_stop(sleep, pages);
	EXPECT_EQ(0, move_page(0, others, P, &status, MPOL_MF_MOVE_ALL));
	EXPECT_EQ(P, status);
}

/* Small pages, in a range that can be one huge page when it may */
static char *map_small(int node, int mode)
{
	char *addr = map_huge();

	if (!addr || madvise(addr, HUGE, MADV_NOHUGEPAGE) ||
	    bind_range(addr, HUGE, mode, nodes(node, -1), 0))
		return NULL;
	touch(addr, HUGE);
	return addr;
}

static int allow_huge(char *addr)
{
	return madvise(addr, HUGE, MADV_HUGEPAGE) ? errno : 0;
}

/* The same in a file in memory */
static char *map_small_file(int node, int mode)
{
	char *addr = map_huge();
	int fd = memfd_create("pages", 0);

	if (!addr || fd < 0 || ftruncate(fd, HUGE))
		return NULL;
	addr = mmap(addr, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	close(fd);
	if (addr == MAP_FAILED ||
	    bind_range(addr, HUGE, mode, nodes(node, -1), 0))
		return NULL;
	touch(addr, HUGE);
	return addr;
}

/* How much of the mapping at an address is huge pages, in kB */
static long huge_kb(const char *addr)
{
	static const char key[] = "AnonHugePages:";
	static char text[1 << 19];
	char start[32], *found;

	snprintf(start, sizeof(start), "%lx-", (unsigned long)addr);
	if (read_file("/proc/self/smaps", text, sizeof(text)) < 0)
		return -1;
	for (found = text; (found = strstr(found, start)); found++)
		if (found == text || found[-1] == '\n')
			break;
	found = found ? strstr(found, key) : NULL;
	return found ? atol(found + strlen(key)) : -1;
}

static int collapse(char *addr)
{
	if (allow_huge(addr) || madvise(addr, HUGE, MADV_COLLAPSE))
		return errno;
	return 0;
}

TEST_F_TIMEOUT(pages, collapse_leaves_pages, TIMEOUT)
{
	char *ordinary = map_small(D, MPOL_BIND), *mixed = map_small(D, MPOL_BIND);
	char *on_p = map_small(P, MPOL_BIND | SV), *huge = map_huge();
	char *file_on_p = map_small_file(P, MPOL_BIND | SV);
	char *file = map_small_file(D, MPOL_BIND);
	int status;

	ASSERT_TRUE(ordinary && mixed && on_p && huge && file_on_p && file);
	ASSERT_EQ(512, count_on(on_p, HUGE, P));
	ASSERT_EQ(512, count_on(file_on_p, HUGE, P));
	ASSERT_EQ(0, move_page(0, mixed + 100 * page, P, &status, MPOL_MF_MOVE));
	ASSERT_EQ(P, status);

	/* All others can be. */
	EXPECT_EQ(0, collapse(ordinary));
	EXPECT_EQ(2048, huge_kb(ordinary));
	EXPECT_EQ(0, collapse(file));

	EXPECT_EQ(EINVAL, collapse(on_p));
	EXPECT_EQ(0, huge_kb(on_p));
	EXPECT_EQ(512, count_on(on_p, HUGE, P));
	EXPECT_EQ(EINVAL, collapse(mixed));
	EXPECT_EQ(0, huge_kb(mixed));
	EXPECT_EQ(P, node_of(mixed + 100 * page));
	EXPECT_EQ(511, count_on(mixed, HUGE, D));
	EXPECT_EQ(EINVAL, collapse(file_on_p));
	EXPECT_EQ(512, count_on(file_on_p, HUGE, P));

	/* What is huge is already what was asked for. */
	ASSERT_EQ(0, bind_range(huge, HUGE, MPOL_BIND | SV, nodes(P, -1), 0));
	touch(huge, page);
	ASSERT_EQ(2048, huge_kb(huge));
	EXPECT_EQ(0, collapse(huge));
	EXPECT_EQ(512, count_on(huge, HUGE, P));
}

#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"

TEST_F_TIMEOUT(pages, khugepaged_leaves_pages, TIMEOUT)
{
	long sleep = number_of(KHUGEPAGED "scan_sleep_millisecs");
	long pages = number_of(KHUGEPAGED "pages_to_scan"), scans;
	char *mixed = map_small(D, MPOL_BIND), *ordinary;
	int status;

	ASSERT_LE(0, sleep);
	ASSERT_NE(NULL, mixed);
	/* Most of it is on another node, which is where a huge page would be. */
	for (int i = 0; i < 8; i++) {
		ASSERT_EQ(0, move_page(0, mixed + i * page, P, &status, MPOL_MF_MOVE));
		ASSERT_EQ(P, status);
	}
	ordinary = map_small(D, MPOL_BIND);
	ASSERT_NE(NULL, ordinary);
	ASSERT_EQ(0, allow_huge(mixed));
	ASSERT_EQ(0, allow_huge(ordinary));
	number_to(KHUGEPAGED "scan_sleep_millisecs", 10);
	number_to(KHUGEPAGED "pages_to_scan", 4096);
	EXPECT_TRUE(WAIT_FOR(120, huge_kb(ordinary) == 2048));
	scans = number_of(KHUGEPAGED "full_scans");
	EXPECT_TRUE(WAIT_FOR(120, number_of(KHUGEPAGED "full_scans") >= scans + 3));
	number_to(KHUGEPAGED "scan_sleep_millisecs", sleep);
	number_to(KHUGEPAGED "pages_to_scan", pages);
	EXPECT_EQ(0, huge_kb(mixed));
	EXPECT_EQ(8, count_on(mixed, HUGE, P));
}

#define BALANCING	"/proc/sys/kernel/numa_balancing"

/* On a CPU of a node */
static int run_on(int node)
{
	char path[64], text[256];
	cpu_set_t set;

	snprintf(path, sizeof(path), NODES "/node%d/cpulist", node);
	if (read_file(path, text, sizeof(text)) <= 1)
		return 1;
	CPU_ZERO(&set);
	CPU_SET(atoi(text), &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

/* Pages that nobody bound are moved to who uses them, but for those on P. */
static int be_balanced(void)
{
	char *on_p = map(64 * page), *others = map(64 * page);
	int status, i;

	if (run_on(D))
		return 1;
	touch(on_p, 64 * page);
	touch(others, 64 * page);
	for (i = 0; i < 64; i++)
		if (move_page(0, on_p + i * page, P, &status, MPOL_MF_MOVE) ||
		    move_page(0, others + i * page, D1, &status, MPOL_MF_MOVE))
			return 1;
	if (count_on(on_p, 64 * page, P) != 64 || count_on(others, 64 * page, D1) != 64)
		return 1;
	/* It is scanned by the time that it runs. */
	for (i = 0; i < 100000 && count_on(others, 64 * page, D) < 32; i++) {
		touch(on_p, 64 * page);
		touch(others, 64 * page);
	}
	for (int end = 2 * i; i < end; i++)
		touch(on_p, 64 * page);
	ksft_print_msg("%ld pages of another node were moved, %ld of P\n",
		       count_on(others, 64 * page, D), 64 - count_on(on_p, 64 * page, P));
	return count_on(others, 64 * page, D) < 32 || count_on(on_p, 64 * page, P) != 64;
}

TEST_F_TIMEOUT(pages, numa_balancing_leaves_pages, TIMEOUT)
{
	long before = number_of(BALANCING);
	char path[64], text[256];

	snprintf(path, sizeof(path), NODES "/node%d/cpulist", D);
	if (before < 0 || D1 < 0 || read_file(path, text, sizeof(text)) <= 1)
		SKIP(return, "needs NUMA balancing, two ordinary nodes, CPUs on the first");
	number_to(BALANCING, 1);
	EXPECT_EQ(0, IN_CHILD(300, be_balanced()));
	number_to(BALANCING, before);
}

#define DAMON		"/sys/kernel/mm/damon/admin/kdamonds/"
#define DAMON_CONTEXT	DAMON "0/contexts/0/"
#define DAMON_SCHEME	DAMON_CONTEXT "schemes/0/"
#define DAMON_STAT	"/sys/module/damon_stat/parameters/enabled"

/* Migrate all of a range to a node, however it is accessed */
static int damon_start(char *start, size_t len, int node)
{
	static const char * const patterns[] = { "sz", "nr_accesses", "age" };
	char path[128];

	if (write_file(DAMON "nr_kdamonds", "1") ||
	    write_file(DAMON "0/contexts/nr_contexts", "1") ||
	    write_file(DAMON_CONTEXT "operations", "fvaddr") ||
	    write_file(DAMON_CONTEXT "targets/nr_targets", "1"))
		return 1;
	number_to(DAMON_CONTEXT "targets/0/pid_target", getpid());
	if (write_file(DAMON_CONTEXT "targets/0/regions/nr_regions", "1"))
		return 2;
	number_to(DAMON_CONTEXT "targets/0/regions/0/start", (long)start);
	number_to(DAMON_CONTEXT "targets/0/regions/0/end", (long)start + len);
	if (write_file(DAMON_CONTEXT "schemes/nr_schemes", "1") ||
	    write_file(DAMON_SCHEME "action", "migrate_cold"))
		return 3;
	number_to(DAMON_SCHEME "target_nid", node);
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		snprintf(path, sizeof(path), DAMON_SCHEME "access_pattern/%s/min",
			 patterns[i]);
		number_to(path, 0);
		snprintf(path, sizeof(path), DAMON_SCHEME "access_pattern/%s/max",
			 patterns[i]);
		number_to(path, LONG_MAX);
	}
	return write_file(DAMON "0/state", "on") ? 4 : 0;
}

static void damon_stop(void)
{
	write_file(DAMON "0/state", "off");
	write_file(DAMON "nr_kdamonds", "0");
}

TEST_F_TIMEOUT(pages, damon_leaves_pages, TIMEOUT)
{
	char *addr = map(128 * page), stat[8] = "";
	int status;

	if (access(DAMON "nr_kdamonds", F_OK) || D1 < 0)
		SKIP(return, "needs CONFIG_DAMON_SYSFS and two ordinary nodes");
	/* It wants to be alone. */
	if (read_file(DAMON_STAT, stat, sizeof(stat)) > 0)
		write_file(DAMON_STAT, "N");
	touch(addr, 128 * page);
	for (int i = 0; i < 128; i++) {
		ASSERT_EQ(0, move_page(0, addr + i * page, i < 64 ? P : D1, &status,
				       MPOL_MF_MOVE));
	}
	ASSERT_EQ(64, count_on(addr, 64 * page, P));
	ASSERT_EQ(64, count_on(addr + 64 * page, 64 * page, D1));

	EXPECT_EQ(0, damon_start(addr, 128 * page, D));
	EXPECT_TRUE(WAIT_FOR(120, count_on(addr + 64 * page, 64 * page, D) == 64));
	/* It has been there more often than once. */
	sleep(3);
	damon_stop();
	if (*stat == 'Y')
		write_file(DAMON_STAT, "Y");
	EXPECT_EQ(64, count_on(addr, 64 * page, P));
}

/* Pages that are on lists of another CPU take a while. */
static bool page_out(char *addr, size_t len)
{
	return WAIT_FOR(10, madvise(addr, len, MADV_PAGEOUT) ||
			all_swapped(addr, len)) && all_swapped(addr, len);
}

TEST_F_TIMEOUT(pages, pageout_by_feature, TIMEOUT)
{
	char *on_p, *others = map(16 * page);

	if (access(ZRAM, F_OK))
		SKIP(return, "needs swap and zram");
	ASSERT_TRUE(swap_on());
	for (int reclaim = 0; reclaim < 2; reclaim++) {
		ASSERT_EQ(0, dax_write(dev_p, "state", "unplugged"));
		ASSERT_EQ(P, dax_plug(dev_p, reclaim ? "user+reclaim" : "user"));
		on_p = map(16 * page);
		ASSERT_EQ(0, bind_range(on_p, 16 * page, MPOL_BIND | SV, nodes(P, -1), 0));
		touch(on_p, 16 * page);
		touch(others, 16 * page);
		EXPECT_TRUE(page_out(others, 16 * page));
		EXPECT_EQ(!!reclaim, page_out(on_p, 16 * page));
		EXPECT_EQ(reclaim ? 0 : 16, count_on(on_p, 16 * page, P));
		/* And back to where the policy wants it */
		touch(on_p, 16 * page);
		EXPECT_EQ(16, count_on(on_p, 16 * page, P));
		munmap(on_p, 16 * page);
	}
	swap_off();
}

/* A part of a huge page: the page is not broken for what will not be done. */
TEST_F_TIMEOUT(pages, pageout_splits_nothing, TIMEOUT)
{
	char *on_p = map_huge(), *plain = map_huge();
	long splits = 0;

	ASSERT_TRUE(on_p && plain);
	ASSERT_EQ(0, bind_range(on_p, HUGE, MPOL_BIND | SV, nodes(P, -1), 0));
	touch(on_p, HUGE);
	touch(plain, HUGE);
	ASSERT_EQ(2048, huge_kb(on_p));
	ASSERT_EQ(2048, huge_kb(plain));
	for (int by_pages = 0; by_pages < 2; by_pages++) {
		splits = number_in("/proc/vmstat", "thp_split_page ");
		EXPECT_EQ(0, madvise(on_p, HUGE / 2, MADV_PAGEOUT));
		EXPECT_EQ(splits, number_in("/proc/vmstat", "thp_split_page "));
		EXPECT_EQ(512, count_on(on_p, HUGE, P));
		/* Still one folio, of which each page is mapped by itself */
		ASSERT_EQ(0, mprotect(on_p, page, PROT_READ));
		ASSERT_EQ(0, mprotect(on_p, page, PROT_READ | PROT_WRITE));
	}
	EXPECT_EQ(0, madvise(plain, HUGE / 2, MADV_PAGEOUT));
	EXPECT_LT(splits, number_in("/proc/vmstat", "thp_split_page "));
}

/* ---- Pins ---- */

/* Bound to P, and maybe more; touched or not */
static char *map_bound(int mode, struct mask mask, bool touched)
{
	char *addr = map(16 * page);

	if (!addr || bind_range(addr, 16 * page, mode | SV, mask, 0))
		return NULL;
	if (touched)
		touch(addr, 16 * page);
	return addr;
}

/* Of one who did not ask for P, and is there */
static char *map_moved(void)
{
	char *addr = map(16 * page);
	int status;

	touch(addr, 16 * page);
	for (int i = 0; i < 16; i++)
		if (move_page(0, addr + i * page, P, &status, MPOL_MF_MOVE) ||
		    status != P)
			return NULL;
	return addr;
}

static char *map_shared(bool touched)
{
	char *addr = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (addr == MAP_FAILED ||
	    bind_range(addr, 16 * page, MPOL_BIND | SV, nodes(P, -1), 0))
		return NULL;
	if (touched)
		touch(addr, 16 * page);
	return addr;
}

TEST_F_TIMEOUT(pages, pins_are_refused, TIMEOUT)
{
	int ring = ring_open(), mode;
	char *addr, *huge;

	if (ring < 0)
		SKIP(return, "needs io_uring");
	for (mode = MPOL_BIND; mode < MPOL_MAX; mode++) {
		if (mode == MPOL_LOCAL)
			continue;
		for (int touched = 0; touched < 2; touched++) {
			for (int both = 0; both < 2; both++) {
				/* What is on D can be pinned. */
				if (touched && both)
					continue;
				addr = map_bound(mode, nodes(P, both ? D : -1), touched);
				ASSERT_NE(NULL, addr);
				EXPECT_EQ(EOPNOTSUPP, pin(ring, addr, 16 * page)) {
					TH_LOG("mode %d, touched %d, both %d",
					       mode, touched, both);
				}
				EXPECT_EQ(touched ? P : -ENOENT, node_of(addr));
			}
		}
	}
	for (int touched = 0; touched < 2; touched++) {
		addr = map_shared(touched);
		ASSERT_NE(NULL, addr);
		EXPECT_EQ(EOPNOTSUPP, pin(ring, addr, 16 * page));
		EXPECT_EQ(touched ? P : -ENOENT, node_of(addr));
	}

	/* By a task policy; but huge pages of hugetlbfs are never there. */
	addr = map(16 * page);
	huge = map_hugetlb(false);
	ASSERT_NE(NULL, huge);
	ASSERT_EQ(0, set_policy(MPOL_BIND | SV, nodes(P, -1)));
	EXPECT_EQ(EOPNOTSUPP, pin(ring, addr, 16 * page));
	EXPECT_EQ(0, pin(ring, huge, HUGE));
	EXPECT_EQ(0, unpin(ring));
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, nodes(-1, -1)));
	munmap(huge, HUGE);
	write_file("/proc/sys/vm/nr_hugepages", "0");

	/* Who did not ask for the node does not notice. */
	addr = map_moved();
	ASSERT_NE(NULL, addr);
	EXPECT_EQ(0, pin(ring, addr, 16 * page));
	EXPECT_EQ(0, count_on(addr, 16 * page, P));
	EXPECT_EQ(1, addr[15 * page]);
	EXPECT_EQ(0, unpin(ring));

	/* Nor does who asked for one that has gone. */
	addr = map_bound(MPOL_BIND, nodes(P, -1), false);
	ASSERT_NE(NULL, addr);
	ASSERT_EQ(0, dax_write(dev_p, "state", "unplugged"));
	EXPECT_EQ(0, pin(ring, addr, 16 * page));
	EXPECT_EQ(0, unpin(ring));
	close(ring);
}

TEST_F_TIMEOUT(pages, pins_are_allowed, TIMEOUT)
{
	int ring = ring_open();
	size_t len = 0;
	char *addr;

	if (ring < 0)
		SKIP(return, "needs io_uring");
	ASSERT_EQ(0, dax_write(dev_p, "state", "unplugged"));
	ASSERT_EQ(P, dax_plug(dev_p, "user+ltpin"));
	for (int touched = 0; touched < 2; touched++) {
		addr = map_bound(MPOL_BIND, nodes(P, -1), touched);
		ASSERT_NE(NULL, addr);
		EXPECT_EQ(0, pin(ring, addr, 16 * page));
		EXPECT_EQ(16, count_on(addr, 16 * page, P));
		EXPECT_EQ(0, unpin(ring));
		addr = map_shared(touched);
		ASSERT_NE(NULL, addr);
		EXPECT_EQ(0, pin(ring, addr, 16 * page));
		EXPECT_EQ(16, count_on(addr, 16 * page, P));
		EXPECT_EQ(0, unpin(ring));
	}
	addr = map_bound(MPOL_INTERLEAVE, nodes(D, P), false);
	ASSERT_NE(NULL, addr);
	EXPECT_EQ(0, pin(ring, addr, 16 * page));
	EXPECT_EQ(8, count_on(addr, 16 * page, P));
	EXPECT_EQ(0, unpin(ring));

	/* By a task policy */
	addr = map(16 * page);
	ASSERT_EQ(0, set_policy(MPOL_BIND | SV, nodes(P, -1)));
	EXPECT_EQ(0, pin(ring, addr, 16 * page));
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, nodes(-1, -1)));
	EXPECT_EQ(16, count_on(addr, 16 * page, P));
	EXPECT_EQ(0, unpin(ring));

	/* Others' pages are as good where they are. */
	addr = map_moved();
	ASSERT_NE(NULL, addr);
	EXPECT_EQ(0, pin(ring, addr, 16 * page));
	EXPECT_EQ(16, count_on(addr, 16 * page, P));
	EXPECT_EQ(0, unpin(ring));

	/* Full: an error, and nobody is killed. */
	addr = map(2 * SLACK * page);
	ASSERT_EQ(0, bind_range(addr, 2 * SLACK * page, MPOL_BIND | SV, nodes(P, -1), 0));
	ASSERT_NE(NULL, fill(P, &len));
	EXPECT_NE(0, pin(ring, addr, 2 * SLACK * page));
	close(ring);
}

int main(int argc, char **argv)
{
	return RUN_TESTS(argc, argv);
}
