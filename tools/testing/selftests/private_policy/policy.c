// SPDX-License-Identifier: GPL-2.0
/*
 * Test memory policies that name private nodes (MPOL_F_PRIVATE): what each
 * system call and mount says to each combination, where memory comes from, and
 * what happens when a node is full or goes away.
 *
 * README says which change of the kernel each case is for.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

#define KSM		"/sys/kernel/mm/ksm"
#define WEIGHTS		"/sys/kernel/mm/mempolicy/weighted_interleave"
#define MNT		"/tmp/policy_mnt"

/* ---- What the log has ---- */

/* Is a node in a list at the begin of a text, such as "0,2-3" */
static bool list_has_node(const char *list, int node)
{
	int first, last, len;

	while (sscanf(list, "%d%n", &first, &len) == 1) {
		list += len;
		last = first;
		if (sscanf(list, "-%d%n", &last, &len) == 1)
			list += len;
		if (first <= node && node <= last)
			return true;
		if (*list++ != ',')
			break;
	}
	return false;
}

/*
 * The kernel prints ten messages of a kind in five seconds, and cases before
 * this one may have had them all: after this, it prints the next one.
 */
static void log_is_free(void)
{
	sleep(6);
}

/*
 * How many lists of nodes the kernel log has behind a word since it was last
 * asked; -1 if one of them has a node
 */
static int log_lists(int fd, const char *word, int node)
{
	static char record[8192];
	int count = 0;
	ssize_t len;
	char *list;

	while ((len = read(fd, record, sizeof(record) - 1)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		if (len < 0)
			continue;
		record[len] = '\0';
		list = strstr(record, word);
		if (!list || count < 0)
			continue;
		count = list_has_node(list + strlen(word), node) ? -1 : count + 1;
	}
	return count;
}

/* ---- The tables: what each combination is answered ---- */

enum {
	OK, IN, OP, PE,		/* 0, EINVAL, EOPNOTSUPP, EPERM */
};

static const int errnos[] = { 0, EINVAL, EOPNOTSUPP, EPERM };

/* What is named: P and DP by who has no permission are Pn and DPn. */
enum {
	ONLY_D, ONLY_P, D_AND_P, ONLY_U, D_AND_U, P_AND_U, ONLY_PN, D_AND_PN, ONLY_X, NO_NODE,
	NR_CLASSES
};

static const char * const class_names[] = {
	"D", "P", "D+P", "U", "D+U", "P+U", "P, no permission",
	"D+P, no permission", "X", "none",
};

struct row {
	const char *modes;	/* letters */
	const char *flags;	/* sets of letters; "-": none of them */
	unsigned char result[NR_CLASSES];
};

/* Modes by their letters: Default, Prefer, Bind, Interleave, Local, Many, Weighted */
static const char mode_letters[] = "DPBILMW?";

#define ALL_IN	{ IN, IN, IN, IN, IN, IN, IN, IN, IN, IN }

static const struct row policy_rows[] = {
	/*                          D   P   DP  U   DU  PU  Pn DPn  X  none */
	{ "D", "- S R",		 { IN, IN, IN, IN, IN, IN, IN, IN, IN, OK } },
	{ "D", "B SR SB RB SRB", ALL_IN },
	{ "L", "-",		 { IN, IN, IN, IN, IN, IN, IN, IN, IN, OK } },
	{ "L", "S R B SR SB RB SRB", ALL_IN },
	{ "P", "-",		 { OK, IN, OK, IN, OK, IN, IN, OK, IN, OK } },
	{ "P", "S",		 { OK, IN, OK, IN, OK, IN, IN, OK, IN, IN } },
	{ "P", "R",		 { OK, OK, OK, OK, OK, OK, OK, OK, OK, IN } },
	{ "P", "B SR SB RB SRB", ALL_IN },
	{ "BMIW", "- S",	 { OK, IN, OK, IN, OK, IN, IN, OK, IN, IN } },
	{ "BMIW", "R",		 { OK, OK, OK, OK, OK, OK, OK, OK, OK, IN } },
	{ "BM", "B SB",		 { OK, IN, OK, IN, OK, IN, IN, OK, IN, IN } },
	{ "BM", "RB",		 { OK, OK, OK, OK, OK, OK, OK, OK, OK, IN } },
	{ "BM", "SR SRB",	 ALL_IN },
	{ "IW", "B SR SB RB SRB", ALL_IN },
	{ "BMIW", "SV",		 { IN, OK, OK, OP, OP, OK, PE, PE, IN, IN } },
	{ "BMIW", "V RV BV SRV SBV RBV SRBV", ALL_IN },
	{ "DLP", "V SV RV BV SRV SBV RBV SRBV", ALL_IN },
	{ "?", "- S R B V SR SB SV RB RV BV SRB SRV SBV RBV SRBV", ALL_IN },
};

static const int flag_bits[] = { S, R, B, V };

/* In the order of the table */
static const char *flag_letters(int flags)
{
	unsigned int set = 0;

	for (int i = 0; i < 4; i++)
		set |= flags & flag_bits[i] ? 1U << i : 0;
	return letters_of("SRBV", set);
}

struct what {
	int mode, flags;
};

static bool policy_fits(const void *entry, const void *which)
{
	const struct row *row = entry;
	const struct what *what = which;

	return strchr(row->modes, mode_letters[what->mode]) &&
	       words_have(row->flags, flag_letters(what->flags));
}

/* What the table says, or -1 if it says nothing, or more than one thing */
static int policy_result(int mode, int flags, int class)
{
	const struct what what = { mode, flags };
	const struct row *row = only_row(policy_rows, ARRAY_SIZE(policy_rows),
					 sizeof(*policy_rows), policy_fits, &what);

	return row ? errnos[row->result[class]] : -1;
}

static struct mask class_mask(int class)
{
	switch (class) {
	case ONLY_D:
		return nodes(D, -1);
	case ONLY_P:
	case ONLY_PN:
		return nodes(P, -1);
	case D_AND_P:
	case D_AND_PN:
		return nodes(D, P);
	case ONLY_U:
		return nodes(U, -1);
	case D_AND_U:
		return nodes(D, U);
	case P_AND_U:
		return nodes(P, U);
	case ONLY_X:
		return nodes(X, -1);
	default:
		return nodes(-1, -1);
	}
}

/* Who has no permission for P can have none for a mask with U, either. */
static bool class_is_for(int class, bool permitted)
{
	if (class == ONLY_PN || class == D_AND_PN)
		return !permitted;
	return permitted || (class != ONLY_P && class != D_AND_P && class != P_AND_U);
}

typedef int (*policy_call)(int mode, struct mask mask);

static char *range;

static int call_mbind(int mode, struct mask mask)
{
	return bind_range(range, page, mode, mask, 0);
}

static void not_as_said(int mode, int flags, int class, int want, int got)
{
	ksft_print_msg("mode %c flags %s nodes %s: %s instead of %s\n",
		       mode_letters[mode], flag_letters(flags), class_names[class],
		       strerrorname_np(got), want < 0 ? "nothing in the table" :
		       strerrorname_np(want));
}

/* Returns how many combinations were not as the table says. */
static int try_all(policy_call call, bool permitted)
{
	int bad = 0, done = 0, mode, flags, class, i, set, want, got;

	range = map(page);
	for (mode = 0; mode <= MPOL_MAX; mode++) {
		for (set = 0; set < 16; set++) {
			for (flags = i = 0; i < 4; i++)
				flags |= set & (1 << i) ? flag_bits[i] : 0;
			for (class = 0; class < NR_CLASSES; class++) {
				if (!class_is_for(class, permitted))
					continue;
				want = policy_result(mode, flags, class);
				got = call(mode | flags, class_mask(class));
				/* So that the next one starts from nothing */
				call(MPOL_DEFAULT, nodes(-1, -1));
				done++;
				if (want == got)
					continue;
				if (bad++ < 20)
					not_as_said(mode, flags, class, want, got);
			}
		}
	}
	ksft_print_msg("%d combinations\n", done);
	return bad;
}

/* ---- The fixture ---- */

FIXTURE(policy)
{
	struct watch watch;
	char *addr;
};

FIXTURE_SETUP(policy)
{
	const char *missing = whats_missing();

	if (missing)
		SKIP(return, "%s", missing);
	ASSERT_TRUE(plug_two("none", &U));
	ASSERT_TRUE(watch_begin(&self->watch));
}

/* Whatever the case was about, nobody was killed for want of memory. */
FIXTURE_TEARDOWN(policy)
{
	if (whats_missing())
		return;
	EXPECT_TRUE(watch_end(&self->watch, "Huh VM_FAULT_OOM"));
	cgroups_remove();
}

/* ---- Permission and errors ---- */

/* Privilege is no help in a cgroup that leaves the node out. */
static bool may_name(const struct caller *caller)
{
	return strchr("PG", caller->letter);
}

static int try_as(const struct caller *caller, int (*try)(bool permitted))
{
	ksft_print_msg("caller %c\n", caller->letter);
	return become(caller) || try(may_name(caller));
}

/* Each caller; returns how many found something. */
static int everybody(int (*try)(bool permitted))
{
	int bad = 0;

	if (callers_make())
		return -1;
	for (size_t i = 0; i < NR_CALLERS; i++)
		bad += !!IN_CHILD(0, try_as(&callers[i], try));
	return bad;
}

static int call_set(int mode, struct mask mask)
{
	return set_policy(mode, mask);
}

static int set_all(bool permitted)
{
	return try_all(call_set, permitted);
}

static int bind_all(bool permitted)
{
	return try_all(call_mbind, permitted);
}

TEST_F_TIMEOUT(policy, errors_of_set_mempolicy, TIMEOUT)
{
	ASSERT_EQ(0, everybody(set_all));
}

TEST_F_TIMEOUT(policy, errors_of_mbind, TIMEOUT)
{
	ASSERT_EQ(0, everybody(bind_all));
}

static int set_by_mask(const void *mask, unsigned long bits)
{
	return syscall(SYS_set_mempolicy, MPOL_BIND | SV, mask, bits + 1) ? errno : 0;
}

static int bind_by_mask(const void *mask, unsigned long bits)
{
	return syscall(SYS_mbind, range, page, MPOL_BIND | SV, mask, bits + 1, 0) ?
	       errno : 0;
}

/* What is wrong with the mask itself */
TEST_F_TIMEOUT(policy, errors_of_masks, TIMEOUT)
{
	int (* const calls[])(const void *mask, unsigned long bits) = {
		set_by_mask, bind_by_mask,
	};
	unsigned long *mask = (unsigned long *)map(2 * page);
	char *hidden = map(page);
	int mode;

	range = map(page);
	ASSERT_TRUE(mask && hidden && range);
	ASSERT_EQ(0, mprotect(hidden, page, PROT_NONE));
	mask[P / 64] = 1UL << (P % 64);
	for (int by_range = 0; by_range < 2; by_range++) {
		EXPECT_EQ(EFAULT, calls[by_range](hidden, MAX_NODE));
		/* A page has the most bits that it may have. */
		EXPECT_EQ(EINVAL, calls[by_range](mask, 8 * page + 1));
		/* No kernel has so many nodes. */
		mask[MAX_NODE / 64] = 1;
		EXPECT_EQ(EINVAL, calls[by_range](mask, 8 * page));
		mask[MAX_NODE / 64] = 0;
		ASSERT_EQ(0, get_policy(&mode, NULL, by_range ? range : NULL,
					by_range ? MPOL_F_ADDR : 0));
		EXPECT_EQ(MPOL_DEFAULT, mode);
		EXPECT_EQ(0, calls[by_range](mask, 8 * page));
		ASSERT_EQ(0, set_policy(MPOL_DEFAULT, nodes(-1, -1)));
	}
}

static int move_all_unprivileged(char *addr)
{
	return drop_sys_nice() ||
	       bind_range(addr, page, MPOL_BIND | SV, nodes(P, -1),
			  MPOL_MF_MOVE_ALL) != EPERM ||
	       bind_range(addr, page, MPOL_BIND, nodes(D, -1),
			  MPOL_MF_MOVE_ALL) != EPERM;
}

/* What is wrong with the range, and what is asked first */
TEST_F_TIMEOUT(policy, ranges_of_mbind, TIMEOUT)
{
	struct mask p = nodes(P, -1);
	const int mode = MPOL_BIND | SV;
	char *addr = map(4 * page), *huge;
	struct mask got;
	int got_mode;

	ASSERT_NE(NULL, addr);
	ASSERT_EQ(EINVAL, bind_range(addr, page, mode, p, 1 << 3));
	ASSERT_EQ(EINVAL, bind_range(addr + 1, page, mode, p, 0));
	ASSERT_EQ(EINVAL, bind_range(addr, -page, mode, p, 0));
	ASSERT_EQ(0, bind_range(addr, 0, mode, p, 0));
	ASSERT_EQ(EINVAL, bind_range(addr, 0, MPOL_PREFERRED | SV, p, 0));
	ASSERT_EQ(0, bind_range(addr, 0, mode, nodes(U, -1), 0));
	ASSERT_EQ(0, IN_CHILD(0, move_all_unprivileged(addr)));

	/* A hole is found later than what is wrong with the nodes. */
	ASSERT_EQ(0, munmap(addr + 2 * page, page));
	ASSERT_EQ(EOPNOTSUPP, bind_range(addr, 4 * page, mode, nodes(U, -1), 0));
	ASSERT_EQ(EFAULT, bind_range(addr, 4 * page, mode, p, 0));

	/* Pages that are elsewhere */
	ASSERT_EQ(0, bind_range(addr, page, MPOL_BIND, nodes(D, -1), 0));
	touch(addr, page);
	ASSERT_EQ(EIO, bind_range(addr, page, mode, p, MPOL_MF_STRICT));
	ASSERT_EQ(0, bind_range(addr, page, mode, p,
				MPOL_MF_STRICT | MPOL_MF_MOVE));
	ASSERT_EQ(P, node_of(addr));

	/* Huge pages of hugetlbfs: nothing has been changed then. */
	huge = mmap(NULL, 2UL << 20, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE,
		    -1, 0);
	ASSERT_NE(MAP_FAILED, huge);
	ASSERT_EQ(huge - page, mmap(huge - page, page, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS |
				    MAP_FIXED_NOREPLACE, -1, 0));
	ASSERT_EQ(EINVAL, bind_range(huge - page, page + (2UL << 20), mode, p, 0));
	ASSERT_EQ(0, get_policy(&got_mode, &got, huge - page, MPOL_F_ADDR));
	ASSERT_EQ(MPOL_DEFAULT, got_mode);
	ASSERT_EQ(0, bind_range(huge - page, page + (2UL << 20), MPOL_BIND,
				nodes(D, -1), 0));
}

static int nameable_unprivileged(void)
{
	const int flags = MPOL_F_MEMS_ALLOWED | MPOL_F_PRIVATE;
	struct mask got;

	return drop_sys_nice() || get_policy(NULL, &got, NULL, flags) ||
	       has_node(&got, P) || has_node(&got, U) || has_node(&got, D);
}

TEST_F_TIMEOUT(policy, get_mempolicy, TIMEOUT)
{
	static const int bits[] = {
		MPOL_F_NODE, MPOL_F_ADDR, MPOL_F_MEMS_ALLOWED, MPOL_F_PRIVATE,
	};
	/* By the bits above; without an address, with one */
	static const unsigned char want[16][2] = {
		[0]  = { OK, IN }, [1]  = { IN, IN },	/* NODE: not interleaved */
		[2]  = { OK, OK }, [3]  = { OK, OK },	/* ADDR: see below */
		[4]  = { OK, OK }, [5]  = { IN, IN }, [6]  = { IN, IN },
		[7]  = { IN, IN }, [8]  = { IN, IN }, [9]  = { IN, IN },
		[10] = { IN, IN }, [11] = { IN, IN }, [12] = { OK, OK },
		[13] = { IN, IN }, [14] = { IN, IN }, [15] = { IN, IN },
	};
	char *addr = map(page);
	struct mask got;
	int mode;

	touch(addr, page);
	for (int set = 0; set < 16; set++) {
		int flags = 0;

		for (int i = 0; i < 4; i++)
			flags |= set & (1 << i) ? bits[i] : 0;
		/* There is nothing at address 0. */
		EXPECT_EQ((set & 14) == 2 ? EFAULT : errnos[want[set][0]],
			  get_policy(&mode, &got, NULL, flags)) {
			TH_LOG("flags %#x", flags);
		}
		EXPECT_EQ(errnos[want[set][1]], get_policy(&mode, &got, addr, flags)) {
			TH_LOG("flags %#x with an address", flags);
		}
	}

	ASSERT_EQ(0, get_policy(&mode, &got, NULL, MPOL_F_MEMS_ALLOWED));
	ASSERT_TRUE(has_node(&got, D));
	ASSERT_FALSE(has_node(&got, P));
	ASSERT_FALSE(has_node(&got, U));
	ASSERT_EQ(0, get_policy(&mode, &got, NULL,
				MPOL_F_MEMS_ALLOWED | MPOL_F_PRIVATE));
	ASSERT_FALSE(has_node(&got, D));
	ASSERT_TRUE(has_node(&got, P));
	ASSERT_FALSE(has_node(&got, U));
	ASSERT_EQ(0, IN_CHILD(0, nameable_unprivileged()));

	ASSERT_EQ(0, bind_range(addr, page, MPOL_PREFERRED_MANY | SV, nodes(D, P), 0));
	ASSERT_EQ(0, get_policy(&mode, &got, addr, MPOL_F_ADDR));
	ASSERT_EQ(MPOL_PREFERRED_MANY | SV, mode);
	ASSERT_TRUE(has_node(&got, D));
	ASSERT_TRUE(has_node(&got, P));

	/* What could not be named is not part of it. */
	ASSERT_EQ(0, bind_range(addr, page, MPOL_PREFERRED_MANY | SV, nodes(P, U), 0));
	ASSERT_EQ(0, get_policy(&mode, &got, addr, MPOL_F_ADDR));
	ASSERT_TRUE(has_node(&got, P));
	ASSERT_FALSE(has_node(&got, U));
}

static int home(void *start, size_t len, int node)
{
	return syscall(SYS_set_mempolicy_home_node, start, len, (long)node, 0L) ?
	       errno : 0;
}

TEST_F_TIMEOUT(policy, home_node, TIMEOUT)
{
	char *addr = map(8 * page);
	int other = D1 >= 0 ? D1 : D;

	ASSERT_EQ(ENOENT, home(addr, page, P));
	for (int mode = MPOL_PREFERRED; mode < MPOL_MAX; mode++) {
		bool takes = mode == MPOL_BIND || mode == MPOL_PREFERRED_MANY;

		if (mode == MPOL_LOCAL || mode == MPOL_PREFERRED) {
			ASSERT_EQ(0, bind_range(addr, page, mode, mode == MPOL_LOCAL ?
						nodes(-1, -1) : nodes(D, -1), 0));
		} else {
			ASSERT_EQ(0, bind_range(addr, page, mode | SV, nodes(D, P), 0));
		}
		ASSERT_EQ(takes ? 0 : EOPNOTSUPP, home(addr, page, P)) {
			TH_LOG("mode %d", mode);
		}
		ASSERT_EQ(takes ? 0 : EOPNOTSUPP, home(addr, page, U));
		ASSERT_EQ(takes ? 0 : EOPNOTSUPP, home(addr, page, D));
		ASSERT_EQ(EINVAL, home(addr, page, X));
	}

	/* It says what is first. */
	ASSERT_EQ(0, bind_range(addr, 8 * page, MPOL_BIND | SV, nodes(other, P), 0));
	ASSERT_EQ(0, home(addr, 4 * page, P));
	ASSERT_EQ(0, home(addr + 4 * page, 4 * page, other));
	touch(addr, 8 * page);
	ASSERT_EQ(4, count_on(addr, 4 * page, P));
	ASSERT_EQ(4, count_on(addr + 4 * page, 4 * page, other));
}

/* One who may: what the cgroup inherits can be had there. */
static int has_both(char *addr)
{
	if (cgroup_enter("inherits") ||
	    bind_range(addr, page, MPOL_BIND | SV, nodes(U, -1), 0))
		return 1;
	touch(addr, page);
	return node_of(addr) != U;
}

/* Names both where one is granted, and goes to where both are offered. */
static int takes_along(char *addr)
{
	if (cgroup_enter("granted") || drop_sys_nice() ||
	    bind_range(addr, page, MPOL_BIND | SV, nodes(P, U), 0) ||
	    home(addr, page, U) || cgroup_enter("inherits"))
		return 1;
	touch(addr, page);
	return node_of(addr) != P;
}

TEST_F_TIMEOUT(policy, names_are_what_was_granted, TIMEOUT)
{
	const struct mask granted = nodes(D, P);
	char *addr = map(page);

	ASSERT_EQ(0, dax_write(dev_u, "state", "unplugged"));
	ASSERT_EQ(U, dax_plug(dev_u, "user"));
	ASSERT_EQ(0, cgroups_mount("+cpuset"));
	ASSERT_EQ(0, cgroup_make("granted", &granted));
	ASSERT_EQ(0, cgroup_make("inherits", NULL));

	EXPECT_EQ(0, IN_CHILD(60, has_both(addr)));
	EXPECT_EQ(0, IN_CHILD(60, takes_along(addr)));
	cgroups_remove();
}

/* The log has a line for this within a minute: somebody else may have had the last. */
static bool hinted(int log, bool by_range)
{
	char *addr = map(page);
	int error;

	for (int i = 0; i < 2; i++) {
		error = by_range ? bind_range(addr, page, MPOL_BIND, nodes(P, -1), 0) :
				   set_policy(MPOL_BIND, nodes(P, -1));
		if (error != EINVAL)
			return false;
		if (log_has(log, "takes MPOL_F_PRIVATE"))
			return true;
		sleep(61);
	}
	return false;
}

/* Who names it in vain finds out why. */
TEST_F_TIMEOUT(policy, hint_in_the_log, TIMEOUT)
{
	ASSERT_TRUE(hinted(self->watch.log, false));
	ASSERT_TRUE(hinted(self->watch.log, true));
	/* A node without memory is none of that. */
	ASSERT_EQ(EINVAL, set_policy(MPOL_BIND, nodes(X, -1)));
	ASSERT_FALSE(log_has(self->watch.log, "takes MPOL_F_PRIVATE"));
}

/* ---- Where memory comes from ---- */

TEST_F_TIMEOUT(policy, bind_to_a_private_node, TIMEOUT)
{
	char *by_range = map(64 * page), *by_task = map(64 * page), *other = map(page);

	ASSERT_EQ(0, bind_range(by_range, 64 * page, MPOL_BIND | SV, nodes(P, -1), 0));
	touch(by_range, 64 * page);
	ASSERT_EQ(64, count_on(by_range, 64 * page, P));
	touch(other, page);
	ASSERT_NE(P, node_of(other));

	ASSERT_EQ(0, set_policy(MPOL_BIND | SV, nodes(P, -1)));
	touch(by_task, 64 * page);
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, nodes(-1, -1)));
	ASSERT_EQ(64, count_on(by_task, 64 * page, P));
	ASSERT_TRUE(file_has("/proc/self/numa_maps", "bind=static|private:"));
}

TEST_F_TIMEOUT(policy, huge_page_on_a_private_node, TIMEOUT)
{
	const size_t size = 2UL << 20;
	char *area = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *addr;
	char pages[32];
	long before;

	ASSERT_NE(MAP_FAILED, area);
	addr = (char *)(((unsigned long)area + size - 1) & -size);
	ASSERT_EQ(0, madvise(addr, size, MADV_HUGEPAGE));
	ASSERT_EQ(0, bind_range(addr, size, MPOL_BIND | SV, nodes(P, -1), 0));
	before = number_in("/proc/vmstat", "thp_fault_alloc ");
	touch(addr, page);
	ASSERT_EQ(before + 1, number_in("/proc/vmstat", "thp_fault_alloc "));
	ASSERT_EQ(512, count_on(addr, size, P));
	snprintf(pages, sizeof(pages), " N%d=512 ", P);
	ASSERT_TRUE(file_has("/proc/self/numa_maps", pages));
}

TEST_F_TIMEOUT(policy, preferred_many_spills, TIMEOUT)
{
	size_t size = (private_kb(P, "PrivateTotal:") << 10) + MORE;
	char *addr = map(size);
	long on, pages = size / page;

	ASSERT_NE(NULL, addr);
	ASSERT_EQ(0, bind_range(addr, size, MPOL_PREFERRED_MANY | SV, nodes(P, -1), 0));
	touch(addr, size);
	on = count_on(addr, size, P);
	/* A few are reserved, and the lists of CPUs are not collected. */
	ASSERT_LT(pages - (long)(MORE / page) - (long)((16UL << 20) / page), on);
	ASSERT_EQ(0, count_on(addr, size, U));
	munmap(addr, size);
}

TEST_F_TIMEOUT(policy, interleave, TIMEOUT)
{
	char path[128], text[16], *addr = map(64 * page);

	ASSERT_EQ(0, bind_range(addr, 64 * page, MPOL_INTERLEAVE | SV, nodes(D, P), 0));
	touch(addr, 64 * page);
	ASSERT_EQ(32, count_on(addr, 64 * page, P));
	ASSERT_EQ(32, count_on(addr, 64 * page, D));
	for (int i = 0; i < 62; i++)
		ASSERT_EQ(node_of(addr + i * page), node_of(addr + (i + 2) * page));

	/* Private nodes alone: all of it */
	addr = map(16 * page);
	ASSERT_EQ(0, bind_range(addr, 16 * page, MPOL_INTERLEAVE | SV, nodes(P, -1), 0));
	touch(addr, 16 * page);
	ASSERT_EQ(16, count_on(addr, 16 * page, P));

	/* By weights: the node whose owner lets users in has a file for it. */
	addr = map(64 * page);
	snprintf(path, sizeof(path), WEIGHTS "/node%d", U);
	ASSERT_NE(0, access(path, F_OK));
	snprintf(path, sizeof(path), WEIGHTS "/node%d", P);
	ASSERT_LT(0, read_file(path, text, sizeof(text)));
	ASSERT_STREQ("1\n", text);
	ASSERT_EQ(0, write_file(path, "3"));
	snprintf(path, sizeof(path), WEIGHTS "/node%d", D);
	ASSERT_EQ(0, write_file(path, "1"));
	ASSERT_EQ(0, bind_range(addr, 64 * page, MPOL_WEIGHTED_INTERLEAVE | SV,
				nodes(D, P), 0));
	touch(addr, 64 * page);
	snprintf(path, sizeof(path), WEIGHTS "/node%d", P);
	ASSERT_EQ(0, write_file(path, "1"));
	ASSERT_EQ(48, count_on(addr, 64 * page, P));
	ASSERT_EQ(16, count_on(addr, 64 * page, D));
}

/* A weight is for memory that is there. The next owner does not inherit it. */
TEST_F_TIMEOUT(policy, weights_are_forgotten, TIMEOUT)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), WEIGHTS "/node%d", P);
	ASSERT_EQ(0, write_file(path, "7"));
	ASSERT_LT(0, read_file(path, text, sizeof(text)));
	ASSERT_STREQ("7\n", text);
	ASSERT_EQ(0, dax_write(dev_p, "state", "unplugged"));
	EXPECT_NE(0, access(path, F_OK));
	ASSERT_EQ(P, dax_plug(dev_p, "user"));
	ASSERT_LT(0, read_file(path, text, sizeof(text)));
	EXPECT_STREQ("1\n", text);
	/* That of an ordinary node is left alone. */
	snprintf(path, sizeof(path), WEIGHTS "/node%d", D);
	ASSERT_EQ(0, write_file(path, "2"));
	ASSERT_EQ(0, dax_write(dev_p, "state", "unplugged"));
	ASSERT_EQ(P, dax_plug(dev_p, "user"));
	ASSERT_LT(0, read_file(path, text, sizeof(text)));
	EXPECT_STREQ("2\n", text);
	EXPECT_EQ(0, write_file(path, "1"));
}

/* What the kernel needs for a task that is bound to a private node is ordinary. */
TEST_F_TIMEOUT(policy, kernel_memory_is_ordinary, TIMEOUT)
{
	const size_t size = 1UL << 30;
	int pipes[64][2], i;
	char path[64], *sparse;

	ASSERT_EQ(0, set_policy(MPOL_BIND | SV, nodes(P, -1)));
	sparse = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, sparse);
	madvise(sparse, size, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < size; at += 2UL << 20)
		sparse[at] = 1;
	for (i = 0; i < 64; i++) {
		char buf[4096] = {};

		ASSERT_EQ(0, pipe(pipes[i]));
		ASSERT_EQ(4096, write(pipes[i][1], buf, sizeof(buf)));
	}
	ASSERT_EQ(0, IN_CHILD(60, !getpid()));
	ASSERT_EQ(P, node_of(sparse));
	snprintf(path, sizeof(path), NODES "/node%d/vmstat", P);
	ASSERT_EQ(0, number_in(path, "nr_page_table_pages "));
	ASSERT_EQ(0, number_in(path, "nr_slab_unreclaimable "));
	ASSERT_EQ(0, number_in(path, "nr_slab_reclaimable "));
	ASSERT_EQ(0, number_in(path, "nr_kernel_stack "));
	ASSERT_EQ(0, number_in(path, "nr_file_pages "));
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, nodes(-1, -1)));
	for (i = 0; i < 64; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
}

/* Whose owner does not want it compacted is left out when all nodes are. */
TEST_F_TIMEOUT(policy, requests_do_not_compact_it, TIMEOUT)
{
	enum { SAMPLES = 256 };
	unsigned long frames[SAMPLES];
	size_t len = 0, step;
	long moved = 0;
	char *addr;

	if (access("/proc/sys/vm/compact_memory", F_OK))
		SKIP(return, "needs CONFIG_COMPACTION");
	/* All of it, as pages move from where the node begins to where it ends. */
	addr = fill(P, &len);
	ASSERT_NE(NULL, addr);
	for (size_t at = 0; at + 4 * page <= len; at += 4 * page)
		ASSERT_EQ(0, madvise(addr + at + page, 3 * page, MADV_DONTNEED));
	step = len / SAMPLES / (4 * page) * (4 * page);
	for (int i = 0; i < SAMPLES; i++) {
		frames[i] = frame_of(addr + i * step);
		ASSERT_NE(0, frames[i]);
	}
	ASSERT_EQ(0, write_file("/proc/sys/vm/compact_memory", "1"));
	for (int i = 0; i < SAMPLES; i++)
		moved += frames[i] != frame_of(addr + i * step);
	EXPECT_EQ(0, moved);
	munmap(addr, (private_kb(P, "PrivateTotal:") << 10) + MORE);
}

/* The page cache is everybody's. */
TEST_F_TIMEOUT(policy, page_cache_is_not_moved, TIMEOUT)
{
	char *addr, *anon = map(page);
	int fd;

	/* That of a block device: pages of ramfs do not move at all. */
	if (write_file(ZRAM_SYS "disksize", "16M"))
		SKIP(return, "needs zram0, and that it is not in use");
	fd = open(ZRAM, O_RDWR);
	ASSERT_LE(0, fd);
	for (int i = 0; i < 16; i++)
		ASSERT_EQ((ssize_t)page, pwrite(fd, anon, page, i * page));
	ASSERT_EQ(0, fsync(fd));
	addr = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, addr);
	touch(addr, 16 * page);
	ASSERT_EQ(0, count_on(addr, 16 * page, P));

	bind_range(addr, 16 * page, MPOL_BIND | SV, nodes(P, -1), MPOL_MF_MOVE_ALL);
	EXPECT_EQ(0, count_on(addr, 16 * page, P));
	bind_range(addr, 16 * page, MPOL_PREFERRED_MANY | SV, nodes(P, -1),
		   MPOL_MF_MOVE_ALL);
	EXPECT_EQ(0, count_on(addr, 16 * page, P));
	/* It can be moved: to an ordinary node that is named beside. */
	if (D1 >= 0) {
		int from = node_of(addr) == D ? D : D1;

		ASSERT_EQ(0, bind_range(addr, 16 * page, MPOL_BIND | SV,
					nodes(from == D ? D1 : D, P),
					MPOL_MF_MOVE_ALL | MPOL_MF_STRICT));
		EXPECT_EQ(16, count_on(addr, 16 * page, from == D ? D1 : D));
	}
	/* Anonymous memory is. */
	touch(anon, page);
	ASSERT_EQ(0, bind_range(anon, page, MPOL_BIND | SV, nodes(P, -1),
				MPOL_MF_MOVE | MPOL_MF_STRICT));
	EXPECT_EQ(P, node_of(anon));
	munmap(addr, 16 * page);

	/* The copies in a mapping are, though the page cache before them is not. */
	addr = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, addr);
	for (int i = 0; i < 8; i++)
		ASSERT_LE(0, *(volatile char *)(addr + i * page));
	touch(addr + 8 * page, 8 * page);
	EXPECT_EQ(0, bind_range(addr, 16 * page, MPOL_BIND | SV, nodes(P, -1),
				MPOL_MF_MOVE_ALL));
	EXPECT_EQ(0, count_on(addr, 8 * page, P));
	EXPECT_EQ(8, count_on(addr + 8 * page, 8 * page, P));
	/* But who is strict is told that it stays. */
	EXPECT_EQ(EIO, bind_range(addr, 16 * page, MPOL_BIND | SV, nodes(P, -1),
				  MPOL_MF_MOVE_ALL | MPOL_MF_STRICT));
	munmap(addr, 16 * page);
	close(fd);
	ASSERT_EQ(0, write_file(ZRAM_SYS "reset", "1"));
}

static char *map_shared(size_t len)
{
	char *addr = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return addr == MAP_FAILED ? NULL : addr;
}

/* Their memory is not placed by what another task wants for itself. */
TEST_F_TIMEOUT(policy, memory_of_others, TIMEOUT)
{
	char *theirs = map(16 * page), *mine = map(16 * page);
	char *shared = map_shared(16 * page), *touched = map_shared(16 * page);
	struct iovec local[] = { { mine, 16 * page }, { mine, 16 * page } };
	struct iovec remote[] = { { theirs, 16 * page }, { shared, 16 * page } };
	int fd = memfd_create("private_policy", 0);
	int to[2], from[2];
	char byte = 0;
	int on = -1;
	pid_t child;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, page));
	ASSERT_EQ(0, pipe(to));
	ASSERT_EQ(0, pipe(from));
	child = fork();
	if (!child) {
		read(to[0], &byte, 1);
		on = count_on(theirs, 16 * page, P) + count_on(shared, 16 * page, P);
		write(from[1], &on, sizeof(on));
		_exit(0);
	}
	ASSERT_EQ(0, set_policy(MPOL_BIND | SV, nodes(P, -1)));
	touch(mine, 16 * page);
	ASSERT_EQ((ssize_t)(32 * page), process_vm_writev(child, local, 2, remote, 2, 0));
	/* It was for them, and is over: what follows is for this task. */
	ASSERT_EQ(1, write(fd, &byte, 1));
	touch(touched, 16 * page);
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, nodes(-1, -1)));
	ASSERT_EQ(1, write(to[1], &byte, 1));
	ASSERT_EQ((ssize_t)sizeof(on), read(from[0], &on, sizeof(on)));
	EXPECT_EQ(0, wait_for(child));
	EXPECT_EQ(0, on);
	EXPECT_EQ(16, count_on(mine, 16 * page, P));
	EXPECT_EQ(16, count_on(touched, 16 * page, P));
	touched = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, touched);
	touch(touched, page);
	EXPECT_EQ(P, node_of(touched));
	close(fd);
	close(to[0]);
	close(to[1]);
	close(from[0]);
	close(from[1]);
}

/* What a monitor fills: theirs without a policy, and theirs with one */
enum { PLAIN, PLAIN_FILE, BOUND, BOUND_FILE, FILLED };

static int register_range(int fd, char *start)
{
	struct uffdio_register reg = {
		.range = { .start = (unsigned long)start, .len = 4 * page },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return ioctl(fd, UFFDIO_REGISTER, &reg);
}

/* The one who is monitored: says where to find the file, and what he got. */
static int is_monitored(char **areas, int from, int to)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	int on[FILLED];
	char byte;

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    bind_range(areas[BOUND], 4 * page, MPOL_BIND | SV, nodes(P, -1), 0) ||
	    bind_range(areas[BOUND_FILE], 4 * page, MPOL_BIND | SV, nodes(P, -1), 0))
		return 1;
	for (int i = 0; i < FILLED; i++)
		if (register_range(fd, areas[i]))
			return 2;
	if (write(to, &fd, sizeof(fd)) != sizeof(fd) || read(from, &byte, 1) != 1)
		return 3;
	for (int i = 0; i < FILLED; i++)
		on[i] = count_on(areas[i], 4 * page, P);
	return write(to, on, sizeof(on)) != sizeof(on);
}

/* Where a page is that a monitor fills is up to who has it mapped. */
TEST_F_TIMEOUT(policy, filled_by_a_monitor, TIMEOUT)
{
	char *mine = map(4 * page), *areas[FILLED];
	int to[2], from[2], on[FILLED] = {}, fd = -1, pidfd;
	struct uffdio_copy copy;
	pid_t child;

	for (int i = 0; i < FILLED; i++) {
		areas[i] = i == PLAIN || i == BOUND ? map(4 * page) : map_shared(4 * page);
		ASSERT_NE(NULL, areas[i]);
	}
	touch(mine, 4 * page);
	ASSERT_EQ(0, pipe(to));
	ASSERT_EQ(0, pipe(from));
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(from[0]);
		_exit(is_monitored(areas, to[0], from[1]));
	}
	close(from[1]);
	ASSERT_EQ((ssize_t)sizeof(fd), read(from[0], &fd, sizeof(fd)));
	pidfd = syscall(SYS_pidfd_open, child, 0);
	ASSERT_LE(0, pidfd);
	fd = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	ASSERT_LE(0, fd);

	/* The policy of the monitor is for what is its own. */
	ASSERT_EQ(0, set_policy(MPOL_BIND | SV, nodes(P, -1)));
	for (int i = 0; i < FILLED; i++) {
		copy = (struct uffdio_copy){
			.dst = (unsigned long)areas[i], .src = (unsigned long)mine,
			.len = 4 * page,
		};
		EXPECT_EQ(0, ioctl(fd, UFFDIO_COPY, &copy));
		EXPECT_EQ((long long)(4 * page), copy.copy);
	}
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, nodes(-1, -1)));
	ASSERT_EQ(1, write(to[1], "", 1));
	ASSERT_EQ((ssize_t)sizeof(on), read(from[0], on, sizeof(on)));
	EXPECT_EQ(0, wait_for(child));
	EXPECT_EQ(0, on[PLAIN]);
	EXPECT_EQ(0, on[PLAIN_FILE]);
	EXPECT_EQ(4, on[BOUND]);
	EXPECT_EQ(4, on[BOUND_FILE]);
	close(fd);
	close(pidfd);
}

/* Whoever may end swapping reads back what is everybody's. */
TEST_F_TIMEOUT(policy, swapoff_is_for_everybody, TIMEOUT)
{
	char *shared = map_shared(16 * page);
	unsigned char in[16];
	int i, left = 16;

	if (access(ZRAM, F_OK))
		SKIP(return, "needs swap and zram");
	ASSERT_NE(NULL, shared);
	ASSERT_TRUE(swap_on());
	touch(shared, 16 * page);
	for (i = 0; i < 100 && left; i++) {
		ASSERT_EQ(0, madvise(shared, 16 * page, MADV_PAGEOUT));
		usleep(100000);
		ASSERT_EQ(0, mincore(shared, 16 * page, in));
		left = 0;
		for (int j = 0; j < 16; j++)
			left += in[j] & 1;
	}
	ASSERT_EQ(0, left);
	ASSERT_EQ(0, set_policy(MPOL_BIND | SV, nodes(P, -1)));
	swap_off();
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, nodes(-1, -1)));
	ASSERT_EQ(0, mincore(shared, 16 * page, in));
	for (i = 0; i < 16; i++)
		EXPECT_TRUE(in[i] & 1);
	touch(shared, 16 * page);
	EXPECT_EQ(0, count_on(shared, 16 * page, P));
}

/* Start a copy of this program that says by its status what policy it has. */
static int exec_report(const char *path)
{
	char *const args[] = { (char *)path, "--report", NULL };

	if (set_policy(MPOL_BIND | SV, nodes(P, -1)))
		return 100;
	execv(path, args);
	return 101;
}

TEST_F_TIMEOUT(policy, privileged_programs_drop_it, TIMEOUT)
{
	static char buf[1 << 16];
	ssize_t len;
	int in, out, status;
	pid_t child;

	mkdir(MNT, 0755);
	ASSERT_EQ(0, mount("none", MNT, "tmpfs", 0, "mode=755"));
	in = open("/proc/self/exe", O_RDONLY);
	out = open(MNT "/report", O_WRONLY | O_CREAT | O_EXCL, 0755);
	ASSERT_LE(0, in);
	ASSERT_LE(0, out);
	while ((len = read(in, buf, sizeof(buf))) > 0)
		ASSERT_EQ(len, write(out, buf, len));
	close(in);
	close(out);

	for (int setuid = 0; setuid < 2; setuid++) {
		if (setuid) {
			ASSERT_EQ(0, chown(MNT "/report", 65534, 65534));
			ASSERT_EQ(0, chmod(MNT "/report", 04755));
		}
		child = fork();
		if (!child)
			_exit(exec_report(MNT "/report"));
		status = wait_for(child);
		ASSERT_TRUE(WIFEXITED(status));
		EXPECT_EQ(setuid ? MPOL_DEFAULT : MPOL_BIND, WEXITSTATUS(status));
	}
	umount(MNT);
}

/* ---- Full ---- */

TEST_F_TIMEOUT(policy, full_is_sigbus_for_users, TIMEOUT)
{
	size_t len = 0;
	char *addr, *more = map(16 * page);
	pid_t innocent;
	int status;

	innocent = fork();
	if (!innocent) {
		char *own = map(64UL << 20);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		touch(own, 64UL << 20);
		pause();
		_exit(0);
	}
	log_is_free();
	addr = fill(P, &len);
	ASSERT_NE(NULL, addr);
	ASSERT_EQ(BUS_ADRERR, bus_code);
	ASSERT_EQ(addr + len, bus_addr);
	ASSERT_EQ((long)(len / page), count_on(addr, len, P));
	ASSERT_LT((private_kb(P, "PrivateTotal:") << 10) - (16L << 20), (long)len);
	EXPECT_TRUE(log_has(self->watch.log, "gets SIGBUS"));

	/* Others go on. */
	ASSERT_EQ(0, waitpid(innocent, &status, WNOHANG));
	kill(innocent, SIGKILL);
	wait_for(innocent);
	ASSERT_EQ(0, bind_range(more, 16 * page, MPOL_BIND | SV, nodes(D, P), 0));
	touch(more, 16 * page);
	ASSERT_EQ(0, count_on(more, 16 * page, P));
	munmap(addr, (private_kb(P, "PrivateTotal:") << 10) + MORE);
}

/* Copies after fork, and a private mapping of a file */
TEST_F_TIMEOUT(policy, full_for_copies, TIMEOUT)
{
	char *copied = map(SLACK * page), *file, *addr;
	size_t len = 0;
	int fd, status;

	fd = memfd_create("policy", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, SLACK * page));
	ASSERT_EQ(0, bind_range(copied, SLACK * page, MPOL_BIND | SV, nodes(P, -1), 0));
	touch(copied, SLACK * page);
	file = mmap(NULL, SLACK * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, file);
	addr = fill(P, &len);
	ASSERT_NE(NULL, addr);

	status = IN_CHILD(60, !gets_bus(copied, SLACK * page));
	EXPECT_EQ(0, status) {
		TH_LOG("a copy after fork");
	}
	/* Of a file in memory: it has the policy, and its page comes later. */
	ASSERT_EQ(0, bind_range(file, SLACK * page, MPOL_BIND | SV, nodes(P, -1), 0));
	status = IN_CHILD(60, !gets_bus(file, SLACK * page));
	EXPECT_EQ(0, status) {
		TH_LOG("a copy of a page of a file");
	}
	munmap(addr, (private_kb(P, "PrivateTotal:") << 10) + MORE);
	close(fd);
}

/* Memory that was swapped out before it was bound */
TEST_F_TIMEOUT(policy, full_for_what_was_swapped, TIMEOUT)
{
	char *out = map(16 * page), *addr;
	size_t len = 0;
	int i, status;

	if (access(ZRAM, F_OK))
		SKIP(return, "needs swap and zram");
	ASSERT_TRUE(swap_on());
	touch(out, 16 * page);
	/* Pages that are on lists of another CPU take a while. */
	for (i = 0; i < 100 && !all_swapped(out, 16 * page); i++) {
		ASSERT_EQ(0, madvise(out, 16 * page, MADV_PAGEOUT));
		usleep(100000);
	}
	ASSERT_TRUE(all_swapped(out, 16 * page));
	ASSERT_EQ(0, bind_range(out, 16 * page, MPOL_BIND | SV, nodes(P, -1), 0));
	addr = fill(P, &len);
	ASSERT_NE(NULL, addr);

	status = IN_CHILD(60, !gets_bus(out, 16 * page));
	EXPECT_EQ(0, status);
	/* It is still there when there is room. */
	munmap(addr, (private_kb(P, "PrivateTotal:") << 10) + MORE);
	ASSERT_EQ(16 * page, touch_until_bus(out, 16 * page));
	EXPECT_EQ(16, count_on(out, 16 * page, P));
	swap_off();
}

/* Wait until KSM has made one page of two. */
static bool ksm_merges(char *start)
{
	long before = number_in(KSM "/pages_sharing", "");

	memset(start, 0x5a, 2 * page);
	if (madvise(start, 2 * page, MADV_MERGEABLE) || write_file(KSM "/run", "1"))
		return false;
	for (int i = 0; i < 600; i++) {
		if (number_in(KSM "/pages_sharing", "") > before)
			break;
		usleep(100000);
	}
	write_file(KSM "/run", "0");
	return number_in(KSM "/pages_sharing", "") > before;
}

/*
 * Two pages that KSM had merged, and that are read back from swap: the second is
 * a copy of the first, though nobody writes.
 */
TEST_F_TIMEOUT(policy, full_for_what_ksm_merged, TIMEOUT)
{
	char *merged = map(2 * page), *addr;
	size_t len = 0;

	if (access(ZRAM, F_OK) || access(KSM "/run", F_OK))
		SKIP(return, "needs swap, zram and KSM");
	ASSERT_EQ(0, cgroups_mount("+memory"));
	ASSERT_EQ(0, cgroup_make("merged", NULL));
	ASSERT_EQ(0, cgroup_enter("merged"));
	ASSERT_TRUE(swap_on());
	ASSERT_TRUE(ksm_merges(merged));
	/* MADV_PAGEOUT leaves alone what is mapped more than once. */
	for (int i = 0; i < 100 && !all_swapped(merged, 2 * page); i++) {
		write_file(CGROUP "/merged/memory.reclaim", "16M");
		usleep(100000);
	}
	ASSERT_TRUE(all_swapped(merged, 2 * page));
	ASSERT_EQ(0, bind_range(merged + page, page, MPOL_BIND | SV, nodes(P, -1), 0));
	addr = fill(P, &len);
	ASSERT_NE(NULL, addr);

	ASSERT_EQ(0x5a, *(volatile char *)merged);
	EXPECT_EQ(0, IN_CHILD(60, !gets_bus(merged + page, page)));
	munmap(addr, (private_kb(P, "PrivateTotal:") << 10) + MORE);
	ASSERT_EQ(0x5a, *(volatile char *)(merged + page));
	EXPECT_EQ(P, node_of(merged + page));
	swap_off();
	cgroup_enter("");
	cgroups_remove();
}

/* In the kernel it is an error, for who asked and for nobody else. */
TEST_F_TIMEOUT(policy, full_is_an_error_in_the_kernel, TIMEOUT)
{
	struct iovec local, remote;
	char *addr, *more = map(16 * page), *mine = map(page);
	struct uffdio_register reg = {};
	struct uffdio_copy copy = {};
	struct uffdio_api api = { .api = UFFD_API };
	size_t len = 0;
	pid_t child;
	int fd;

	addr = fill(P, &len);
	ASSERT_NE(NULL, addr);
	ASSERT_EQ(0, bind_range(more, 16 * page, MPOL_BIND | SV, nodes(P, -1), 0));
	signal(SIGBUS, SIG_DFL);

	EXPECT_EQ(-1, madvise(more, 16 * page, MADV_POPULATE_WRITE));
	EXPECT_EQ(ENOMEM, errno);
	/* POSIX has this for memory that cannot be locked now. */
	EXPECT_EQ(-1, mlock(more, 16 * page));
	EXPECT_EQ(EAGAIN, errno);
	munlock(more, 16 * page);

	fd = open("/dev/zero", O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, read(fd, more, 16 * page));
	EXPECT_EQ(EFAULT, errno);
	close(fd);

	/* The monitor is told, and lives. */
	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	reg.range.start = (unsigned long)more;
	reg.range.len = 16 * page;
	reg.mode = UFFDIO_REGISTER_MODE_MISSING;
	ASSERT_EQ(0, ioctl(fd, UFFDIO_REGISTER, &reg));
	touch(mine, page);
	copy.dst = (unsigned long)more;
	copy.src = (unsigned long)mine;
	copy.len = page;
	EXPECT_EQ(-1, ioctl(fd, UFFDIO_COPY, &copy));
	EXPECT_EQ(ENOMEM, errno);
	close(fd);

	/* Nor is the one killed who writes to a task that is bound. */
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	local = (struct iovec){ mine, page };
	remote = (struct iovec){ more, page };
	EXPECT_EQ(-1, process_vm_writev(child, &local, 1, &remote, 1, 0));
	kill(child, SIGKILL);
	wait_for(child);
	munmap(addr, (private_kb(P, "PrivateTotal:") << 10) + MORE);
	EXPECT_EQ(0, madvise(more, 16 * page, MADV_POPULATE_WRITE));
}

/* A limit of a cgroup is not that the node is full. */
static int in_cgroup(void)
{
	char *addr = map(64UL << 20);

	signal(SIGBUS, SIG_DFL);
	if (cgroup_enter("small") ||
	    bind_range(addr, 64UL << 20, MPOL_BIND | SV, nodes(P, -1), 0))
		return 1;
	touch(addr, 64UL << 20);
	return 1;
}

TEST_F_TIMEOUT(policy, limit_of_a_cgroup, TIMEOUT)
{
	int status, log = log_open();

	ASSERT_LE(0, log);
	ASSERT_EQ(0, cgroups_mount("+memory"));
	ASSERT_EQ(0, cgroup_make("small", NULL));
	ASSERT_EQ(0, write_file(CGROUP "/small/memory.max", "16M"));
	write_file(CGROUP "/small/memory.swap.max", "0");
	log_is_free();
	status = IN_CHILD(300, in_cgroup());
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_FALSE(log_has(self->watch.log, "gets SIGBUS"));
	/* What the OOM killer prints is what ordinary requests can have. */
	EXPECT_LT(0, log_lists(log, "mems_allowed=", P));
	close(log);
	self->watch.killed++;
	cgroups_remove();
}

/* ---- Going away ---- */

/*
 * Let memory be bound, and new pages be asked for all the time, while the node
 * goes. That is no reason to be told that it were full. Shares the count of what
 * came from it, so that the test cannot pass by doing nothing.
 */
static void churn(volatile long *rounds)
{
	size_t len = 0;
	char *rest, *addr = fill(P, &len);

	if (!addr)
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGBUS, SIG_DFL);
	rest = addr + len - SLACK * page;
	madvise(rest, SLACK * page, MADV_DONTNEED);
	for (;;) {
		madvise(rest, 64 * page, MADV_DONTNEED);
		touch(rest, 64 * page);
		(*rounds)++;
	}
}

static volatile long *rounds_shared(void)
{
	void *rounds = mmap(NULL, page, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return rounds == MAP_FAILED ? NULL : rounds;
}

static pid_t churn_start(volatile long *rounds)
{
	pid_t child;

	*rounds = 0;
	child = fork();
	if (!child)
		churn(rounds);
	return child;
}

/* Does it go on, and not end by a signal? */
static bool churn_goes_on(volatile long *rounds, pid_t child)
{
	const long before = *rounds;
	int status = 0;

	while (*rounds < before + 10 && !waitpid(child, &status, WNOHANG))
		usleep(1000);
	if (*rounds >= before + 10)
		return true;
	ksft_print_msg("status %#x\n", status);
	return false;
}

static void churn_stop(pid_t child)
{
	kill(child, SIGKILL);
	wait_for(child);
}

TEST_F_TIMEOUT(policy, unplug_in_use, TIMEOUT)
{
	volatile long *rounds = rounds_shared();
	pid_t child;

	ASSERT_NE(NULL, (void *)rounds);
	for (int i = 0; i < 3; i++) {
		child = churn_start(rounds);
		ASSERT_TRUE(churn_goes_on(rounds, child));
		ASSERT_EQ(0, dax_write(dev_p, "state", "unplugged"));
		ASSERT_TRUE(churn_goes_on(rounds, child));
		churn_stop(child);
		ASSERT_EQ(P, dax_plug(dev_p, "user"));
	}
}

/* Pages of P: one that is pinned for long, and some that nobody has touched */
static char *pinned, *later;

static bool pin_one(int ring)
{
	if (dax_write(dev_p, "state", "unplugged") ||
	    dax_plug(dev_p, "user+ltpin") != P)
		return false;
	pinned = map(page);
	later = map(3 * page);
	if (!pinned || !later ||
	    bind_range(pinned, page, MPOL_BIND | SV, nodes(P, -1), 0) ||
	    bind_range(later, 3 * page, MPOL_BIND | SV, nodes(P, -1), 0))
		return false;
	/* Who forks would copy it. */
	madvise(pinned, page, MADV_DONTFORK);
	touch(pinned, page);
	return !pin(ring, pinned, page) && node_of(pinned) == P;
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* Unplug in a child until signals come; they come more than once. */
static int unplug_for(int seconds)
{
	const struct itimerval timer = { { seconds, 0 }, { seconds, 0 } };
	struct sigaction action = { .sa_handler = on_alarm };
	int error;

	/* Without SA_RESTART */
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	error = dax_write(dev_p, "state", "unplugged");
	if (error != EINTR)
		ksft_print_msg("unplugged: %s\n", strerrorname_np(error));
	return error != EINTR;
}

/* It waits for what is pinned. Who ends it has the node as it was. */
TEST_F_TIMEOUT(policy, unplug_of_pinned_memory, TIMEOUT)
{
	volatile long *rounds = rounds_shared();
	int ring = ring_open();
	size_t len = 0;
	pid_t child;

	if (ring < 0)
		SKIP(return, "needs io_uring");
	ASSERT_NE(NULL, (void *)rounds);
	ASSERT_TRUE(pin_one(ring));
	child = churn_start(rounds);
	ASSERT_TRUE(churn_goes_on(rounds, child));
	EXPECT_EQ(0, IN_CHILD(0, unplug_for(10)));
	EXPECT_STREQ("online", dax_read(dev_p, "state"));
	EXPECT_TRUE(churn_goes_on(rounds, child));
	EXPECT_EQ(P, node_of(pinned));
	churn_stop(child);
	/* Nor has it become another node. */
	touch(later, page);
	EXPECT_EQ(P, node_of(later));
	/* When it is full now, it is not because it goes. */
	EXPECT_EQ(0, IN_CHILD(0, !fill(P, &len)));

	EXPECT_EQ(0, unpin(ring));
	EXPECT_EQ(0, dax_write(dev_p, "state", "unplugged"));
	EXPECT_NE(P, node_of(pinned));
	/* Who closes a ring is sent for its rest, and that would end the unplug, too. */
	close(ring);
}

/*
 * An unbind waits for nobody, and leaves the memory behind: new pages are ordinary
 * until the device is bound again.
 */
TEST_F_TIMEOUT(policy, unbind_of_pinned_memory, TIMEOUT)
{
	volatile long *rounds = rounds_shared();
	int ring = ring_open();
	char left[64];
	pid_t child;

	if (ring < 0)
		SKIP(return, "needs io_uring");
	ASSERT_NE(NULL, (void *)rounds);
	ASSERT_TRUE(pin_one(ring));
	child = churn_start(rounds);
	ASSERT_TRUE(churn_goes_on(rounds, child));
	EXPECT_EQ(0, driver_write(OURS, "unbind", dev_p));
	snprintf(left, sizeof(left), "%s %d\n", dev_p, P);
	EXPECT_TRUE(file_has(DAX "/drivers/" OURS "/left_behind", left));
	EXPECT_TRUE(churn_goes_on(rounds, child));
	touch(later, page);
	EXPECT_NE(P, node_of(later));
	EXPECT_EQ(P, node_of(pinned));

	EXPECT_EQ(0, driver_write(OURS, "bind", dev_p));
	EXPECT_STREQ("online", dax_read(dev_p, "state"));
	EXPECT_TRUE(churn_goes_on(rounds, child));
	churn_stop(child);
	/* It is the same node. */
	touch(later + page, page);
	EXPECT_EQ(P, node_of(later + page));
	EXPECT_EQ(P, node_of(pinned));
	EXPECT_EQ(0, unpin(ring));
	close(ring);
}

/* What comes under the same number is another node. */
TEST_F_TIMEOUT(policy, replugged_is_another, TIMEOUT)
{
	char *addr = map(48 * page), *by_task = map(16 * page);

	ASSERT_EQ(0, bind_range(addr, 16 * page, MPOL_BIND | SV, nodes(P, -1), 0));
	touch(addr, page);
	ASSERT_EQ(P, node_of(addr));
	ASSERT_EQ(0, set_policy(MPOL_BIND | SV, nodes(P, -1)));
	ASSERT_EQ(0, dax_write(dev_p, "state", "unplugged"));
	ASSERT_EQ(0, node_of(addr) == P);
	touch(addr + page, page);
	ASSERT_NE(P, node_of(addr + page));
	ASSERT_EQ(P, dax_plug(dev_p, "user"));

	touch(addr + 2 * page, page);
	EXPECT_NE(P, node_of(addr + 2 * page));
	touch(by_task, page);
	EXPECT_NE(P, node_of(by_task));

	/* A new one beside it is not merged with it. */
	ASSERT_EQ(0, bind_range(addr + 16 * page, 16 * page, MPOL_BIND | SV,
				nodes(P, -1), 0));
	touch(addr + 3 * page, page);
	EXPECT_NE(P, node_of(addr + 3 * page));
	touch(addr + 16 * page, page);
	EXPECT_EQ(P, node_of(addr + 16 * page));

	ASSERT_EQ(0, set_policy(MPOL_BIND | SV, nodes(P, -1)));
	touch(by_task + page, page);
	EXPECT_EQ(P, node_of(by_task + page));
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, nodes(-1, -1)));
}

static int node_of_new(char *addr)
{
	touch(addr, page);
	return node_of(addr);
}

static bool ordinary(int node)
{
	return node == D || node == D1;
}

/* Policies that are not rebound still have a node that was ordinary. */
TEST_F_TIMEOUT(policy, once_ordinary_means_nothing, TIMEOUT)
{
	char *bound = map_shared(2 * page), *many = map_shared(2 * page);
	const int x = dax_number(dev_u, "target_node");

	ASSERT_NE(NULL, bound);
	ASSERT_NE(NULL, many);
	ASSERT_TRUE(dax_to_kmem(dev_u));
	ASSERT_EQ(0, bind_range(bound, 2 * page, MPOL_BIND, nodes(x, -1), 0));
	ASSERT_EQ(x, node_of_new(bound));
	ASSERT_EQ(0, bind_range(many, 2 * page, MPOL_PREFERRED_MANY | SV,
				nodes(x, P), 0));
	ASSERT_EQ(0, syscall(SYS_set_mempolicy_home_node, many, 2 * page, x, 0));
	ASSERT_EQ(x, node_of_new(many));
	ASSERT_TRUE(dax_from_kmem(dev_u));
	ASSERT_EQ(x, dax_plug(dev_u, "user"));

	/* Neither a fault without end, nor memory of whoever has it now */
	EXPECT_EQ(0, IN_CHILD(60, !ordinary(node_of_new(bound + page))));
	EXPECT_EQ(0, IN_CHILD(60, node_of_new(many + page) != P));
	munmap(bound, 2 * page);
	munmap(many, 2 * page);
}

/* ---- tmpfs ---- */

struct mount_row {
	const char *modes;	/* separated by ";" */
	const char *flags;	/* separated by ";", "-" for none */
	unsigned char result[NR_CLASSES];
};

static const char * const mount_modes[] = {
	"default", "prefer", "bind", "interleave", "local", "prefer (many)",
	"weighted interleave", "prefer_many", "weighted_interleave", "bogus",
};

static const char * const mount_flags[] = {
	"-", "static", "relative", "private", "static|private", "relative|private",
	"private|static", "balancing",
};

#define NO_FLAGS	"-;static;relative"
#define BAD_FLAGS	"relative|private;private|static;balancing"
#define PRIVATE_FLAGS	"private;static|private"
#define ODD_NAMES	"prefer_many;weighted_interleave"

static const struct mount_row mount_rows[] = {
	/*                                    D   P   DP  U   DU  PU  Pn DPn  X  none */
	{ "default", NO_FLAGS ";" BAD_FLAGS, { IN, IN, IN, IN, IN, IN, IN, IN, IN, OK } },
	{ "prefer;local", BAD_FLAGS,	      ALL_IN },
	{ "prefer", "-",		     { OK, IN, IN, IN, IN, IN, IN, IN, IN, OK } },
	{ "prefer", "static;relative",	     { OK, IN, IN, IN, IN, IN, IN, IN, IN, IN } },
	{ "local", "-",			     { IN, IN, IN, IN, IN, IN, IN, IN, IN, OK } },
	{ "local", "static;relative",	      ALL_IN },
	{ "bind;prefer (many)", NO_FLAGS,    { OK, IN, IN, IN, IN, IN, IN, IN, IN, IN } },
	{ "interleave;weighted interleave", NO_FLAGS,
					     { OK, IN, IN, IN, IN, IN, IN, IN, IN, OK } },
	{ "bind;prefer (many);interleave;weighted interleave", BAD_FLAGS, ALL_IN },
	{ "bind;prefer (many);interleave;weighted interleave;" ODD_NAMES, PRIVATE_FLAGS,
					     { IN, OK, OK, IN, IN, OK, IN, IN, IN, IN } },
	{ ODD_NAMES, NO_FLAGS ";" BAD_FLAGS,  ALL_IN },
	{ "default;prefer;local", PRIVATE_FLAGS, ALL_IN },
	{ "bogus", NO_FLAGS ";" PRIVATE_FLAGS ";" BAD_FLAGS, ALL_IN },
};

static bool list_has_item(const char *list, const char *item)
{
	size_t len = strlen(item);
	const char *at;

	for (at = list; (at = strstr(at, item)); at++)
		if ((at == list || at[-1] == ';') && (at[len] == ';' || !at[len]))
			return true;
	return false;
}

static int mount_result(const char *mode, const char *flags, int class)
{
	int result = -1;

	for (size_t i = 0; i < ARRAY_SIZE(mount_rows); i++) {
		const struct mount_row *row = &mount_rows[i];

		if (!list_has_item(row->modes, mode) || !list_has_item(row->flags, flags))
			continue;
		if (result >= 0)
			return -1;
		result = errnos[row->result[class]];
	}
	return result;
}

static void class_list(int class, char *text, size_t size)
{
	struct mask mask = class_mask(class);
	const char *comma = ":";
	size_t len = 0;

	*text = '\0';
	for (int node = 0; node < MAX_NODE; node++) {
		if (!has_node(&mask, node))
			continue;
		len += snprintf(text + len, size - len, "%s%d", comma, node);
		comma = ",";
	}
}

static int try_mount(const char *options)
{
	if (mount("none", MNT, "tmpfs", 0, options))
		return errno;
	umount(MNT);
	return 0;
}

static int mount_all(bool permitted)
{
	char options[128], list[32];
	int bad = 0, done = 0, class, want, got;

	for (size_t m = 0; m < ARRAY_SIZE(mount_modes); m++) {
		for (size_t f = 0; f < ARRAY_SIZE(mount_flags); f++) {
			bool none = !strcmp(mount_flags[f], "-");

			for (class = 0; class < NR_CLASSES; class++) {
				if (!class_is_for(class, permitted))
					continue;
				class_list(class, list, sizeof(list));
				snprintf(options, sizeof(options), "mpol=%s%s%s%s",
					 mount_modes[m], none ? "" : "=",
					 none ? "" : mount_flags[f], list);
				want = mount_result(mount_modes[m], mount_flags[f], class);
				got = try_mount(options);
				done++;
				if (want == got)
					continue;
				if (bad++ < 20)
					ksft_print_msg("%s: %s instead of %s\n", options,
						       strerrorname_np(got), want < 0 ?
						       "nothing in the table" :
						       strerrorname_np(want));
			}
		}
	}
	ksft_print_msg("%d combinations\n", done);
	return bad;
}

TEST_F_TIMEOUT(policy, errors_of_mount, TIMEOUT)
{
	mkdir(MNT, 0700);
	log_is_free();
	ASSERT_EQ(0, everybody(mount_all));
	/* mount(2) does not say why. */
	ASSERT_TRUE(log_has(self->watch.log, "cannot mount with mpol="));
}

static int differs(const char *call, int want, int got)
{
	if (want == got)
		return 0;
	ksft_print_msg("%s: %s instead of %s\n", call, strerrorname_np(got),
		       strerrorname_np(want));
	return 1;
}

/* As root of a user namespace; @want: what policies that name P are answered */
static int ask_in_namespace(const char *cgroup, int want)
{
	char options[64], *addr = map(page);
	struct mask got;
	int bad;

	if (cgroup_enter(cgroup) || namespace_enter() ||
	    get_policy(NULL, &got, NULL, MPOL_F_MEMS_ALLOWED | MPOL_F_PRIVATE))
		return 1;
	bad = has_node(&got, P) != !want;
	bad += differs("set_mempolicy", want, set_policy(MPOL_BIND | SV, nodes(P, -1)));
	bad += differs("mbind", want, bind_range(addr, page, MPOL_BIND | SV,
						 nodes(P, -1), 0));
	snprintf(options, sizeof(options), "mpol=bind:%d", D);
	bad += differs(options, 0, try_mount(options));
	snprintf(options, sizeof(options), "mpol=bind=private:%d", P);
	bad += differs(options, want ? EINVAL : 0, try_mount(options));
	return bad;
}

/* Root of a user namespace is privileged there alone, and can be granted a node. */
TEST_F_TIMEOUT(policy, user_namespaces, TIMEOUT)
{
	if (access("/proc/self/ns/user", F_OK))
		SKIP(return, "needs CONFIG_USER_NS");
	mkdir(MNT, 0700);
	ASSERT_EQ(0, callers_make());
	log_is_free();
	EXPECT_EQ(0, IN_CHILD(60, ask_in_namespace("", EPERM)));
	EXPECT_TRUE(log_has(self->watch.log, "does not grant it"));
	EXPECT_EQ(0, IN_CHILD(60, ask_in_namespace("out", EPERM)));
	EXPECT_EQ(0, IN_CHILD(60, ask_in_namespace("in", 0)));
}

/* The options of our mount as /proc/mounts has them */
static bool mounted_as(char *options, size_t size)
{
	struct mntent *entry;
	bool found = false;
	FILE *file;

	file = setmntent("/proc/mounts", "r");
	if (!file)
		return false;
	while ((entry = getmntent(file))) {
		if (strcmp(entry->mnt_dir, MNT))
			continue;
		snprintf(options, size, "%s", entry->mnt_opts);
		found = entry->mnt_freq == 0 && entry->mnt_passno == 0;
	}
	endmntent(file);
	return found;
}

/* What is shown can be mounted, and remounted. */
TEST_F_TIMEOUT(policy, mounts_round_trip, TIMEOUT)
{
	static const char * const modes[] = {
		"bind", "prefer (many)", "interleave", "weighted interleave",
	};
	char options[128], shown[256], again[256], *mpol;

	mkdir(MNT, 0700);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(modes); i++) {
		bool private = i % 2;

		snprintf(options, sizeof(options), "mpol=%s%s:%d", modes[i / 2],
			 private ? "=private" : "=static", private ? P : D);
		ASSERT_EQ(0, mount("none", MNT, "tmpfs", 0, options));
		ASSERT_TRUE(mounted_as(shown, sizeof(shown)));
		mpol = strstr(shown, "mpol=");
		ASSERT_NE(NULL, mpol);
		snprintf(options, sizeof(options), "mpol=%s%s:%d", modes[i / 2],
			 private ? "=static|private" : "=static", private ? P : D);
		EXPECT_EQ(0, strncmp(mpol, options, strlen(options))) {
			TH_LOG("%s is shown as %s", options, shown);
		}
		ASSERT_EQ(0, mount("none", MNT, "tmpfs", MS_REMOUNT, mpol));
		ASSERT_TRUE(mounted_as(again, sizeof(again)));
		EXPECT_STREQ(shown, again);
		umount(MNT);
	}
}

/* The file has the policy of the mount, whoever makes it. */
static int makes_a_file(void)
{
	char *addr;
	int fd;

	if (drop_sys_nice())
		return 1;
	fd = open(MNT "/theirs", O_RDWR | O_CREAT | O_EXCL, 0666);
	if (fd < 0 || ftruncate(fd, page))
		return 1;
	addr = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		return 1;
	touch(addr, page);
	return node_of(addr) != P;
}

TEST_F_TIMEOUT(policy, tmpfs_on_a_private_node, TIMEOUT)
{
	char options[64], *addr, *buf = map(1UL << 20);
	long free = private_kb(P, "PrivateFree:");
	size_t written = 0;
	ssize_t got;
	int fd;

	mkdir(MNT, 0700);
	snprintf(options, sizeof(options), "mode=777,size=1G,mpol=bind=private:%d", P);
	ASSERT_EQ(0, mount("none", MNT, "tmpfs", 0, options));
	fd = open(MNT "/file", O_RDWR | O_CREAT, 0666);
	ASSERT_LE(0, fd);
	addr = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, addr);
	ASSERT_EQ(0, ftruncate(fd, 1L << 30));
	touch(addr, 8 * page);
	ASSERT_EQ(8, count_on(addr, 8 * page, P));

	/* Whoever writes: one who could not name the node himself */
	ASSERT_EQ(0, IN_CHILD(60, drop_sys_nice() || (touch(addr + 8 * page, page), 0)));
	touch(addr + 8 * page, page);
	ASSERT_EQ(P, node_of(addr + 8 * page));
	EXPECT_EQ(0, IN_CHILD(60, makes_a_file()));
	ASSERT_EQ(0, unlink(MNT "/theirs"));

	/* Full: an error for write(), SIGBUS for who touches it */
	touch(buf, 1UL << 20);
	while ((got = pwrite(fd, buf, 1UL << 20, (1UL << 20) + written)) > 0)
		written += got;
	EXPECT_EQ(-1, got);
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_LT((free << 10) - (16L << 20), (long)written);
	catch_bus();
	EXPECT_EQ(0UL, touch_in_time(addr + 12 * page, page, 60));
	EXPECT_EQ(BUS_ADRERR, bus_code);

	munmap(addr, 16 * page);
	close(fd);
	ASSERT_EQ(0, unlink(MNT "/file"));
	/* What is on lists of CPUs is not counted: an eighth for each. */
	EXPECT_LT(free / 2, private_kb(P, "PrivateFree:"));
	umount(MNT);
}

static int remount(const char *options)
{
	return mount("none", MNT, "tmpfs", MS_REMOUNT, options) ? errno : 0;
}

/* Where the page is of a file that is made for it; -1 if it cannot be made */
static int node_of_new_file(void)
{
	int fd = open(MNT "/file", O_RDWR | O_CREAT | O_EXCL, 0600), node;
	char *addr;

	if (fd < 0 || ftruncate(fd, page))
		return -1;
	addr = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (addr == MAP_FAILED)
		return -1;
	touch(addr, page);
	node = node_of(addr);
	munmap(addr, page);
	unlink(MNT "/file");
	return node;
}

/* New files are not on what is plugged in its place, until it is remounted. */
TEST_F_TIMEOUT(policy, tmpfs_stays, TIMEOUT)
{
	char options[64];
	int node;

	mkdir(MNT, 0700);
	snprintf(options, sizeof(options), "mpol=bind=private:%d", P);
	ASSERT_EQ(0, mount("none", MNT, "tmpfs", 0, options));
	for (int i = 0; i < 3; i++) {
		if (i == 1) {
			ASSERT_EQ(0, dax_write(dev_p, "state", "unplugged"));
			ASSERT_EQ(P, dax_plug(dev_p, "user"));
		} else if (i == 2) {
			ASSERT_EQ(0, remount(options));
		}
		node = node_of_new_file();
		ASSERT_LE(0, node);
		EXPECT_EQ(i != 1, node == P) {
			TH_LOG("round %d: node %d", i, node);
		}
	}
	umount(MNT);
}

/* Who may remount, and may not name the node, changes nothing. */
TEST_F_TIMEOUT(policy, remount_takes_permission, TIMEOUT)
{
	char options[64], before[256], after[256];

	mkdir(MNT, 0700);
	snprintf(options, sizeof(options), "size=256K,mpol=bind:%d", D);
	ASSERT_EQ(0, mount("none", MNT, "tmpfs", 0, options));
	ASSERT_TRUE(mounted_as(before, sizeof(before)));
	snprintf(options, sizeof(options), "size=512K,mpol=bind=private:%d", P);
	EXPECT_EQ(0, IN_CHILD(60, drop_sys_nice() || remount(options) != EINVAL));
	ASSERT_TRUE(mounted_as(after, sizeof(after)));
	EXPECT_STREQ(before, after);
	EXPECT_EQ(D, node_of_new_file());

	/* That was the only reason. */
	EXPECT_EQ(0, remount(options));
	ASSERT_TRUE(mounted_as(before, sizeof(before)));
	EXPECT_STRNE(before, after);
	EXPECT_EQ(P, node_of_new_file());

	/* Nor does a mount lose what it was given. */
	snprintf(options, sizeof(options), "size=1M,mpol=interleave=private:%d", P);
	EXPECT_EQ(0, IN_CHILD(60, drop_sys_nice() || remount(options) != EINVAL));
	ASSERT_TRUE(mounted_as(after, sizeof(after)));
	EXPECT_STREQ(before, after);
	EXPECT_EQ(P, node_of_new_file());
	umount(MNT);
}

static long blocks_free(void)
{
	struct statfs fs;

	return statfs(MNT, &fs) ? -1 : (long)fs.f_bfree;
}

/* The limit of a mount is an error of its own: the node is not full. */
TEST_F_TIMEOUT(policy, size_of_a_mount, TIMEOUT)
{
	char options[64], *addr, *buf = map(page);
	struct statfs fs;
	int fd;

	mkdir(MNT, 0700);
	snprintf(options, sizeof(options), "size=%lu,mpol=bind=private:%d", 64 * page, P);
	ASSERT_EQ(0, mount("none", MNT, "tmpfs", 0, options));
	ASSERT_EQ(0, statfs(MNT, &fs));
	EXPECT_EQ((long)page, (long)fs.f_bsize);
	EXPECT_EQ(64, (long)fs.f_blocks);
	EXPECT_EQ(64, (long)fs.f_bfree);
	fd = open(MNT "/file", O_RDWR | O_CREAT | O_EXCL, 0600);
	ASSERT_LE(0, fd);
	addr = mmap(NULL, 65 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, addr);

	/* Pages are there before they are touched. */
	ASSERT_EQ(0, fallocate(fd, 0, 0, 48 * page));
	EXPECT_EQ(16, blocks_free());
	touch(addr, 48 * page);
	EXPECT_EQ(16, blocks_free());
	EXPECT_EQ(48, count_on(addr, 48 * page, P));
	/* What does not fit leaves nothing behind. */
	EXPECT_EQ(-1, fallocate(fd, 0, 48 * page, 17 * page));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(16, blocks_free());

	for (int i = 48; i < 64; i++)
		ASSERT_EQ((ssize_t)page, pwrite(fd, buf, page, i * page));
	EXPECT_EQ(-1, pwrite(fd, buf, page, 64 * page));
	EXPECT_EQ(ENOSPC, errno);
	touch(addr, 64 * page);
	EXPECT_EQ(64, count_on(addr, 64 * page, P));

	/* SIGBUS is for who touches it, as in any tmpfs, and not for the node. */
	ASSERT_EQ(0, ftruncate(fd, 65 * page));
	catch_bus();
	EXPECT_EQ(0UL, touch_in_time(addr + 64 * page, page, 60));
	EXPECT_EQ(BUS_ADRERR, bus_code);
	EXPECT_FALSE(log_has(self->watch.log, "gets SIGBUS"));
	munmap(addr, 65 * page);
	close(fd);
	ASSERT_EQ(0, unlink(MNT "/file"));
	EXPECT_EQ(64, blocks_free());
	umount(MNT);
}

/* ---- The command ---- */

/* What private_bind has printed, and not the program that it started */
static char said[4096];

/* @program: NULL: this one, which says by its status what policy it has */
static int run_bind(const char *options, const char *program)
{
	char command[3 * PATH_MAX], own[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	FILE *file;

	if (len < 0)
		return -1;
	own[len] = '\0';
	snprintf(command, sizeof(command), "%.*s/private_bind %s %s%s 2>&1",
		 (int)(strrchr(own, '/') - own), own, options,
		 program ? program : own, program ? "" : " --report");
	file = popen(command, "r");
	if (!file)
		return -1;
	said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
	return pclose(file);
}

static int run_bind_on(const char *options, int node, const char *program)
{
	char all[64];

	snprintf(all, sizeof(all), "%s %d", options, node);
	return run_bind(all, program);
}

TEST_F_TIMEOUT(policy, private_bind, TIMEOUT)
{
	static const struct {
		const char *option;
		int mode;
	} modes[] = {
		{ "", MPOL_PREFERRED_MANY }, { "--strict", MPOL_BIND },
		{ "--interleave", MPOL_INTERLEAVE },
		{ "--weighted", MPOL_WEIGHTED_INTERLEAVE },
	};
	const struct {
		const char *options;
		int node;
		const char *reason;
	} refused[] = {
		{ "", U, "the owner of the node does not let users in." },
		{ "", D, " is not private: numactl is for such nodes\n" },
		{ "", X, " has no memory: is its device plugged?\n" },
		{ "--strict --interleave", P, "Usage: private_bind" },
	};
	char list[64];
	int status;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		status = run_bind_on(modes[i].option, P, NULL);
		ASSERT_TRUE(WIFEXITED(status));
		EXPECT_EQ(modes[i].mode, WEXITSTATUS(status));
		EXPECT_STREQ("", said);
	}
	snprintf(list, sizeof(list), "nodes with private memory: %d,%d\n",
		 P < U ? P : U, P < U ? U : P);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		status = run_bind_on(refused[i].options, refused[i].node, NULL);
		ASSERT_TRUE(WIFEXITED(status));
		EXPECT_EQ(125, WEXITSTATUS(status));
		EXPECT_NE(NULL, strstr(said, refused[i].reason)) {
			TH_LOG("node %d: %s", refused[i].node, said);
		}
		EXPECT_EQ(refused[i].node == D || refused[i].node == X,
			  !!strstr(said, list)) {
			TH_LOG("node %d: %s", refused[i].node, said);
		}
	}
	status = run_bind_on("", P, "/no/such/program");
	EXPECT_EQ(127, WEXITSTATUS(status));
}

/* What can be named is listed, and who may not name it finds out why. */
static int bind_by(const struct caller *caller)
{
	const bool may = may_name(caller);
	char list[16] = "\n", reason[64];
	int status;

	snprintf(reason, sizeof(reason), *caller->cgroup ? "Yours is /%s." :
		 "You are in the root cgroup%s", caller->cgroup);
	if (may)
		snprintf(list, sizeof(list), "%d\n", P);
	if (become(caller))
		return 1;
	if (run_bind("--list", "") || strcmp(said, list)) {
		ksft_print_msg("caller %c, list: %s\n", caller->letter, said);
		return 1;
	}
	status = run_bind_on("", P, NULL);
	if (WIFEXITED(status) &&
	    (may ? WEXITSTATUS(status) == MPOL_PREFERRED_MANY :
	     WEXITSTATUS(status) == 125 && strstr(said, "no permission.") &&
	     strstr(said, reason)))
		return 0;
	ksft_print_msg("caller %c, status %#x: %s\n", caller->letter, status, said);
	return 1;
}

TEST_F_TIMEOUT(policy, private_bind_by_callers, TIMEOUT)
{
	ASSERT_EQ(0, callers_make());
	for (size_t i = 0; i < NR_CALLERS; i++)
		EXPECT_EQ(0, IN_CHILD(60, bind_by(&callers[i])));
}

/* What policy does the program have that was just started? */
static int report(void)
{
	int mode;

	if (get_policy(&mode, NULL, NULL, 0))
		return 102;
	return mode & ~(MPOL_F_STATIC_NODES | MPOL_F_PRIVATE);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--report"))
		return report();
	return RUN_TESTS(argc, argv);
}
