// SPDX-License-Identifier: GPL-2.0
/*
 * Test several private nodes at once, P and Q: who may use one does not get to the
 * other, whatever becomes of the one. And a node of the same kind whose memory is
 * everybody's, if there is one.
 *
 * README says which change of the kernel each case is for.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common.h"

#define MNT		"/tmp/several_mnt"
#define WEIGHTS		"/sys/kernel/mm/mempolicy/weighted_interleave"
#define PAGES		48
#define LEN		(PAGES * page)

/* The other private node, whose owner lets users in, too */
static int Q;
/* A third node with ordinary memory, or -1 */
static int public;

static void find_public(void)
{
	public = -1;
	for (int node = 0; node < MAX_NODE && public < 0; node++)
		if (node != D && node != D1 && node_kb(node, "MemTotal:") > 0)
			public = node;
}

static struct mask beside(int node, struct mask mask)
{
	node_add(&mask, node);
	return mask;
}

/* On the first, on the second, and on neither private node */
static bool pages_are(const char *addr, long on_p, long on_q)
{
	long p = count_on(addr, LEN, P), q = count_on(addr, LEN, Q);

	if (p == on_p && q == on_q)
		return true;
	ksft_print_msg("%ld pages on %d and %ld on %d, not %ld and %ld\n", p, P, q, Q,
		       on_p, on_q);
	return false;
}

static long used(int node)
{
	return private_kb(node, "PrivateTotal:") - private_kb(node, "PrivateFree:");
}

/* ---- Cgroups ---- */

/* What is ordinary, and these private ones */
static int set_mems(const char *name, int first, int second)
{
	struct mask mems = beside(public, nodes(first, second));

	node_add(&mems, D);
	node_add(&mems, D1);
	return cgroup_set_mems(name, &mems);
}

static int cgroups_make(void)
{
	static const char * const names[] = { "p", "q", "both" };
	struct mask ordinary = beside(public, nodes(D, D1));
	int error = cgroups_mount("+cpuset");

	for (size_t i = 0; i < ARRAY_SIZE(names) && !error; i++)
		error = cgroup_make(names[i], &ordinary);
	return error ?: set_mems("p", P, -1) ?: set_mems("q", Q, -1) ?:
	       set_mems("both", P, Q);
}

/* ---- The fixture ---- */

FIXTURE(several)
{
	struct watch watch;
};

FIXTURE_SETUP(several)
{
	const char *missing = whats_missing();

	if (missing)
		SKIP(return, "%s", missing);
	find_public();
	ASSERT_TRUE(plug_two("user", &Q));
	ASSERT_TRUE(watch_begin(&self->watch));
}

FIXTURE_TEARDOWN(several)
{
	if (whats_missing())
		return;
	EXPECT_TRUE(watch_end(&self->watch, "page allocation failure"));
	cgroups_remove();
	umount2(MNT "/p", MNT_DETACH);
	umount2(MNT "/q", MNT_DETACH);
}

/* ---- Two grants ---- */

/*
 * In a cgroup that was granted @mine: it can be named, the other cannot, and of
 * both it is what is meant, in each mode.
 */
static int has_his_own(const char *cgroup, int mine, int other)
{
	static const int modes[] = {
		MPOL_BIND, MPOL_PREFERRED_MANY, MPOL_INTERLEAVE, MPOL_WEIGHTED_INTERLEAVE,
	};
	int bad = 0, mode, status = -1;
	struct mask seen;
	char *addr;

	if (cgroup_enter(cgroup) || drop_sys_nice())
		return 1;
	if (get_policy(&mode, &seen, NULL, MPOL_F_MEMS_ALLOWED | MPOL_F_PRIVATE) ||
	    !has_node(&seen, mine) || has_node(&seen, other)) {
		ksft_print_msg("%s: may name others than node %d\n", cgroup, mine);
		bad++;
	}
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		addr = map(LEN);
		if (bind_range(addr, LEN, modes[i] | SV, nodes(other, -1), 0) != EPERM ||
		    bind_range(addr, LEN, modes[i] | SV, nodes(P, Q), 0)) {
			ksft_print_msg("%s: mode %d cannot be had, or can\n", cgroup, modes[i]);
			bad++;
		}
		touch(addr, LEN);
		if (!pages_are(addr, mine == P ? PAGES : 0, mine == Q ? PAGES : 0)) {
			ksft_print_msg("%s: mode %d\n", cgroup, modes[i]);
			bad++;
		}
		/* Nor by moving what is there: his cpuset leaves the other out. */
		if (!syscall(SYS_move_pages, 0, 1UL, &addr, &other, &status, MPOL_MF_MOVE) ||
		    errno != EACCES) {
			ksft_print_msg("%s: move_pages: %s\n", cgroup, strerror(errno));
			bad++;
		}
		munmap(addr, LEN);
	}
	return bad;
}

TEST_F_TIMEOUT(several, grants_are_apart, TIMEOUT)
{
	ASSERT_EQ(0, cgroups_make());
	EXPECT_EQ(0, IN_CHILD(TIMEOUT / 3, has_his_own("p", P, Q)));
	EXPECT_EQ(0, IN_CHILD(TIMEOUT / 3, has_his_own("q", Q, P)));
}

/* Who was granted both has what he names, and not the other. */
static int names_one(void)
{
	char *addr = map(LEN), *by_task = map(LEN);
	int bad = 0;

	if (cgroup_enter("both") || drop_sys_nice())
		return 1;
	if (bind_range(addr, LEN, MPOL_BIND | SV, nodes(Q, -1), 0) ||
	    set_policy(MPOL_PREFERRED_MANY | SV, nodes(P, -1)))
		return 1;
	touch(addr, LEN);
	touch(by_task, LEN);
	bad += !pages_are(addr, 0, PAGES);
	bad += !pages_are(by_task, PAGES, 0);
	return bad;
}

TEST_F_TIMEOUT(several, names_one_of_two, TIMEOUT)
{
	ASSERT_EQ(0, cgroups_make());
	EXPECT_EQ(0, IN_CHILD(TIMEOUT / 3, names_one()));
}

/*
 * Who loses the node that he is bound to gets ordinary memory, not that of the
 * other owner (T2); and the node again when he is given it back.
 */
static int loses_it(void)
{
	char *addr = map(LEN), *later = map(LEN), *by_task = map(LEN);
	int bad = 0;

	if (cgroup_enter("both"))
		return 1;
	if (bind_range(addr, LEN, MPOL_BIND | SV, nodes(P, -1), 0) ||
	    bind_range(later, LEN, MPOL_BIND | SV, nodes(P, -1), 0) ||
	    set_policy(MPOL_BIND | SV, nodes(P, -1)))
		return 1;
	touch(addr, page);
	bad += node_of(addr) != P;
	if (set_mems("both", Q, -1))
		return 1;
	touch(addr, LEN);
	touch(by_task, LEN);
	bad += !pages_are(addr, 0, 0);
	bad += !pages_are(by_task, 0, 0);
	if (set_mems("both", P, Q))
		return 1;
	touch(later, LEN);
	bad += !pages_are(later, PAGES, 0);
	/* What is on ordinary nodes is not pulled back. */
	bad += !pages_are(addr, 0, 0);
	return bad;
}

TEST_F_TIMEOUT(several, revoked_is_not_the_other, TIMEOUT)
{
	ASSERT_EQ(0, cgroups_make());
	EXPECT_EQ(0, IN_CHILD(TIMEOUT / 3, loses_it()));
}

/* ---- Both ---- */

TEST_F_TIMEOUT(several, interleave_over_both, TIMEOUT)
{
	char *addr = map(LEN), *weighted = map(LEN), *three = map(LEN), path[128];

	ASSERT_EQ(0, bind_range(addr, LEN, MPOL_INTERLEAVE | SV, nodes(P, Q), 0));
	touch(addr, LEN);
	EXPECT_TRUE(pages_are(addr, PAGES / 2, PAGES / 2));

	snprintf(path, sizeof(path), WEIGHTS "/node%d", Q);
	ASSERT_EQ(0, write_file(path, "3"));
	snprintf(path, sizeof(path), WEIGHTS "/node%d", P);
	ASSERT_EQ(0, write_file(path, "1"));
	ASSERT_EQ(0, bind_range(weighted, LEN, MPOL_WEIGHTED_INTERLEAVE | SV, nodes(P, Q), 0));
	touch(weighted, LEN);
	EXPECT_TRUE(pages_are(weighted, PAGES / 4, PAGES * 3 / 4));

	ASSERT_EQ(0, bind_range(three, LEN, MPOL_INTERLEAVE | SV, beside(D, nodes(P, Q)), 0));
	touch(three, LEN);
	EXPECT_TRUE(pages_are(three, PAGES / 3, PAGES / 3));
	EXPECT_EQ(PAGES / 3, count_on(three, LEN, D));
}

/* Of two nodes one goes: its pages to ordinary memory, new ones to the other. */
TEST_F_TIMEOUT(several, one_goes, TIMEOUT)
{
	char *addr = map(LEN), *later = map(LEN), *back = map(LEN);

	ASSERT_EQ(0, bind_range(addr, LEN, MPOL_INTERLEAVE | SV, nodes(P, Q), 0));
	ASSERT_EQ(0, bind_range(later, LEN, MPOL_BIND | SV, nodes(P, Q), 0));
	ASSERT_EQ(0, bind_range(back, LEN, MPOL_INTERLEAVE | SV, nodes(P, Q), 0));
	touch(addr, LEN);
	ASSERT_TRUE(pages_are(addr, PAGES / 2, PAGES / 2));
	ASSERT_EQ(0, dax_write(dev_p, "state", "unplugged"));
	EXPECT_TRUE(pages_are(addr, 0, PAGES / 2));
	touch(later, LEN);
	EXPECT_TRUE(pages_are(later, 0, PAGES));
	ASSERT_EQ(P, dax_plug(dev_p, "user"));
	/* It is another one now. */
	touch(back, LEN);
	EXPECT_TRUE(pages_are(back, 0, PAGES));
}

static bool is_cxl(const char *name)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), DAX "/devices/%s", name);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	return strstr(target, "/region");
}

/* What is full does not become another owner's, nor does what spills. */
TEST_F_TIMEOUT(several, full_is_not_the_other, TIMEOUT)
{
	char *many = map(LEN), *addr;
	size_t len = 0;

	if (is_cxl(dev_p))
		SKIP(return, "to fill a CXL device takes minutes where it is emulated");
	ASSERT_EQ(0, used(Q));
	addr = fill(P, &len);
	ASSERT_NE(NULL, addr);
	ASSERT_EQ(BUS_ADRERR, bus_code);
	EXPECT_EQ(0, used(Q));
	ASSERT_EQ(0, bind_range(many, LEN, MPOL_PREFERRED_MANY | SV, nodes(P, -1), 0));
	touch(many, LEN);
	EXPECT_TRUE(pages_are(many, 0, 0));
	EXPECT_EQ(0, used(Q));
	/* With both named it is what is left. */
	ASSERT_EQ(0, bind_range(many, LEN, MPOL_BIND | SV, nodes(P, Q), 0));
	madvise(many, LEN, MADV_DONTNEED);
	touch(many, LEN);
	EXPECT_TRUE(pages_are(many, 0, PAGES));
	munmap(addr, (private_kb(P, "PrivateTotal:") << 10) + MORE);
}

static int mount_on(const char *path, int node)
{
	char options[64];

	mkdir(MNT, 0755);
	mkdir(path, 0755);
	snprintf(options, sizeof(options), "size=4M,mpol=bind=private:%d", node);
	return mount("none", path, "tmpfs", 0, options) ? errno : 0;
}

static char *map_new(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	char *addr;

	if (fd < 0 || ftruncate(fd, LEN))
		return NULL;
	addr = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (addr == MAP_FAILED)
		return NULL;
	touch(addr, LEN);
	return addr;
}

TEST_F_TIMEOUT(several, mounts_are_apart, TIMEOUT)
{
	char *on_p, *on_q;

	ASSERT_EQ(0, mount_on(MNT "/p", P));
	ASSERT_EQ(0, mount_on(MNT "/q", Q));
	on_p = map_new(MNT "/p/file");
	on_q = map_new(MNT "/q/file");
	ASSERT_TRUE(on_p && on_q);
	EXPECT_TRUE(pages_are(on_p, PAGES, 0));
	EXPECT_TRUE(pages_are(on_q, 0, PAGES));
	munmap(on_p, LEN);
	munmap(on_q, LEN);
}

/* ---- The node that is everybody's ---- */

static struct mask all_nodes(void)
{
	struct mask mask;

	memset(&mask, 0xff, sizeof(mask));
	return mask;
}

TEST_F_TIMEOUT(several, public_is_ordinary, TIMEOUT)
{
	int ordinary = D1 >= 0 ? 3 : 2, mode;
	char *addr = map(LEN), *all = map(LEN), *by_task = map(LEN);
	struct mask seen;

	if (public < 0)
		SKIP(return, "needs a third node with ordinary memory");
	/* Programs see it, and it is named without the flag, as nodes are. */
	ASSERT_EQ(0, get_policy(&mode, &seen, NULL, MPOL_F_MEMS_ALLOWED));
	EXPECT_TRUE(has_node(&seen, public));
	EXPECT_FALSE(has_node(&seen, P));
	EXPECT_FALSE(has_node(&seen, Q));
	EXPECT_EQ(EINVAL, bind_range(addr, LEN, MPOL_BIND | SV, nodes(public, -1), 0));
	ASSERT_EQ(0, bind_range(addr, LEN, MPOL_BIND, nodes(public, -1), 0));
	touch(addr, LEN);
	EXPECT_EQ(PAGES, count_on(addr, LEN, public));

	/* It is one of all, which the others are not. */
	ASSERT_EQ(0, bind_range(all, LEN, MPOL_INTERLEAVE, all_nodes(), 0));
	touch(all, LEN);
	EXPECT_EQ(PAGES / ordinary, count_on(all, LEN, public));
	EXPECT_TRUE(pages_are(all, 0, 0));
	ASSERT_EQ(0, set_policy(MPOL_INTERLEAVE, all_nodes()));
	touch(by_task, LEN);
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, nodes(-1, -1)));
	EXPECT_LT(0, count_on(by_task, LEN, public));
	EXPECT_TRUE(pages_are(by_task, 0, 0));

	/* Together with private ones it is where their memory ends. */
	ASSERT_EQ(0, bind_range(addr, LEN, MPOL_INTERLEAVE | SV, beside(public, nodes(P, Q)), 0));
	madvise(addr, LEN, MADV_DONTNEED);
	touch(addr, LEN);
	EXPECT_TRUE(pages_are(addr, PAGES / 3, PAGES / 3));
	EXPECT_EQ(PAGES / 3, count_on(addr, LEN, public));
}

int main(int argc, char **argv)
{
	return RUN_TESTS(argc, argv);
}
