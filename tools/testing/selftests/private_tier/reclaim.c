// SPDX-License-Identifier: GPL-2.0
/*
 * Test the reclaim of private nodes whose owner wants it: by the node, by memory
 * cgroups and on request, and that it does not happen to others.
 *
 * README says which change of the kernel each case is for.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "holder.h"

#define LRU_GEN		"/sys/kernel/mm/lru_gen/enabled"
#define LRU_GEN_DEBUG	"/sys/kernel/debug/lru_gen"
#define MB		(1UL << 20)
/* What a process has, and where a cgroup has its limit */
#define HELD		(16 * MB)
#define LIMIT		"8M"

/* Wait for something, no longer than @time seconds; whether it came */
#define WAIT_FOR(time, expression)					\
({									\
	int left_ = (time) * 20;					\
									\
	while (!(expression) && left_--)				\
		usleep(50000);						\
	left_ >= 0;							\
})

static void node_path(char *path, size_t size, const char *file)
{
	snprintf(path, size, NODES "/node%d/%s", P, file);
}

static int plug(const char *features)
{
	if (dax_write(dev_p, "state", "unplugged"))
		return -1;
	P = dax_plug(dev_p, features);
	return P;
}

/* Is there a kernel thread of this name? */
static bool has_thread(const char *name)
{
	char text[32], want[32];
	bool found = false;
	glob_t all;

	snprintf(want, sizeof(want), "%s\n", name);
	if (glob("/proc/[0-9]*/comm", 0, NULL, &all))
		return false;
	for (size_t i = 0; i < all.gl_pathc && !found; i++)
		found = read_file(all.gl_pathv[i], text, sizeof(text)) > 0 &&
			!strcmp(text, want);
	globfree(&all);
	return found;
}

static bool has_threads_of(int node)
{
	char kswapd[32], kcompactd[32];

	snprintf(kswapd, sizeof(kswapd), "kswapd%d", node);
	snprintf(kcompactd, sizeof(kcompactd), "kcompactd%d", node);
	return has_thread(kswapd) && has_thread(kcompactd);
}

/* Reclaim as much of a cgroup as it has, as far as that is possible */
static void reclaim_cgroup(const char *name)
{
	for (int i = 0; i < 4; i++)
		cgroup_write(name, "memory.reclaim", "16M");
}

FIXTURE(reclaim)
{
	int log;
	long killed;
	bool switched;
	char generations[16];
	struct holder holder;
};

/* What is cold is known by lists, or by generations. */
FIXTURE_VARIANT(reclaim)
{
	const char *generations;
};

FIXTURE_VARIANT_ADD(reclaim, lists)
{
	.generations = "n",
};

FIXTURE_VARIANT_ADD(reclaim, generations)
{
	.generations = "y",
};

FIXTURE_SETUP(reclaim)
{
	if (geteuid())
		SKIP(return, "needs root");
	if (!*dev_p)
		SKIP(return, "needs a dax device whose memory is not in use, and dax_private");
	if (access(ZRAM, F_OK))
		SKIP(return, "needs swap and zram");
	if (access(LRU_GEN, F_OK)) {
		if (*variant->generations == 'y')
			SKIP(return, "needs CONFIG_LRU_GEN");
	} else {
		ASSERT_LT(0, read_file(LRU_GEN, self->generations,
				       sizeof(self->generations)));
		ASSERT_EQ(0, write_file(LRU_GEN, variant->generations));
		self->switched = true;
	}
	/* There is one that is reclaimed in any case. */
	if (*dev_u) {
		ASSERT_EQ(0, dax_write(dev_u, "state", "unplugged"));
		U = dax_plug(dev_u, "reclaim");
		ASSERT_LE(0, U);
	}
	ASSERT_EQ(0, cgroups_mount("+memory"));
	ASSERT_EQ(0, cgroup_make("held", NULL));
	ASSERT_TRUE(swap_on());
	self->log = log_open();
	ASSERT_LE(0, self->log);
	self->killed = number_in("/proc/vmstat", "oom_kill ");
	ASSERT_LE(0, self->killed);
}

/* Nobody was killed, but for where that is what the case is about. */
FIXTURE_TEARDOWN(reclaim)
{
	if (!*dev_p || geteuid() || access(ZRAM, F_OK))
		return;
	holder_stop(&self->holder);
	swap_off();
	cgroup_remove("held");
	cgroups_remove();
	if (self->switched)
		write_file(LRU_GEN, self->generations);
	EXPECT_EQ(self->killed, number_in("/proc/vmstat", "oom_kill "));
	EXPECT_FALSE(log_has(self->log, "page allocation failure"));
	close(self->log);
}

/* kswapd and kcompactd of the node start and stop with its memory. */
TEST_F_TIMEOUT(reclaim, threads_follow_the_node, TIMEOUT)
{
	if (*variant->generations == 'y')
		SKIP(return, "does not depend on generations");
	ASSERT_LE(0, plug("user+reclaim"));
	EXPECT_TRUE(has_threads_of(P));
	ASSERT_EQ(0, dax_write(dev_p, "state", "unplugged"));
	EXPECT_FALSE(has_threads_of(P));
	ASSERT_LE(0, plug("user"));
	EXPECT_FALSE(has_threads_of(P));
}

/* All of a cgroup is on the node, and more than its limit: the rest is in swap. */
TEST_F_TIMEOUT(reclaim, limits_are_kept_by_reclaim, TIMEOUT)
{
	ASSERT_LE(0, plug("user+reclaim"));
	ASSERT_EQ(0, cgroup_write("held", "memory.max", LIMIT));
	ASSERT_TRUE(holder_start(&self->holder, "held", HELD, P, false));
	EXPECT_EQ(1, holder_ask(&self->holder, HOLDER_INTACT, 0));
	EXPECT_EQ(0, holder_ask(&self->holder, HOLDER_WRITE, 0));
	EXPECT_EQ(1, holder_ask(&self->holder, HOLDER_INTACT, 0));
	EXPECT_EQ(0, cgroup_number("held", "memory.events", "oom_kill "));
	EXPECT_LT(0, cgroup_number("held", "memory.events", "max "));
	/* What is not in swap is where the policy wants it. */
	EXPECT_LT(0, holder_ask(&self->holder, HOLDER_COUNT, P));
	EXPECT_EQ(0, holder_ask(&self->holder, HOLDER_COUNT, D));
	EXPECT_EQ(0, holder_stop(&self->holder));
}

/* Without the feature nothing can go. */
TEST_F_TIMEOUT(reclaim, limits_kill_without_the_feature, TIMEOUT)
{
	ASSERT_LE(0, plug("user"));
	ASSERT_EQ(0, cgroup_write("held", "memory.max", LIMIT));
	EXPECT_FALSE(holder_start(&self->holder, "held", HELD, P, false));
	EXPECT_EQ(1, cgroup_number("held", "memory.events", "oom_kill "));
	self->killed++;
	EXPECT_TRUE(WTERMSIG(holder_stop(&self->holder)) == SIGKILL);
}

/* memory.reclaim, written by a task of the root. */
TEST_F_TIMEOUT(reclaim, cgroups_are_reclaimed_on_request, TIMEOUT)
{
	const long pages = HELD / page;
	long left;

	for (int reclaim = 0; reclaim < 2; reclaim++) {
		ASSERT_LE(0, plug(reclaim ? "user+reclaim" : "user"));
		ASSERT_TRUE(holder_start(&self->holder, "held", HELD, P, false));
		ASSERT_EQ(pages, holder_ask(&self->holder, HOLDER_COUNT, P));
		reclaim_cgroup("held");
		left = holder_ask(&self->holder, HOLDER_COUNT, P);
		EXPECT_TRUE(reclaim ? left < pages / 4 : left == pages);
		/* And back to where the policy wants it */
		EXPECT_EQ(1, holder_ask(&self->holder, HOLDER_INTACT, 0));
		EXPECT_EQ(pages, holder_ask(&self->holder, HOLDER_COUNT, P));
		EXPECT_EQ(0, holder_stop(&self->holder));
	}
}

/* nodeX/reclaim and nodeX/compact. */
TEST_F_TIMEOUT(reclaim, nodes_are_reclaimed_on_request, TIMEOUT)
{
	const long pages = HELD / page;
	char path[128];
	long left;

	for (int reclaim = 0; reclaim < 2; reclaim++) {
		ASSERT_LE(0, plug(reclaim ? "user+reclaim" : "user"));
		ASSERT_TRUE(holder_start(&self->holder, "held", HELD, P, false));
		node_path(path, sizeof(path), "reclaim");
		for (int i = 0; i < (reclaim ? 4 : 1); i++) {
			int error = write_file(path, "16M");

			EXPECT_TRUE(reclaim ? !error || error == EAGAIN :
					      error == EINVAL);
		}
		left = holder_ask(&self->holder, HOLDER_COUNT, P);
		EXPECT_TRUE(reclaim ? left < pages / 4 : left == pages);
		EXPECT_EQ(1, holder_ask(&self->holder, HOLDER_INTACT, 0));
		EXPECT_EQ(0, holder_stop(&self->holder));
		node_path(path, sizeof(path), "compact");
		EXPECT_EQ(reclaim ? 0 : EINVAL, write_file(path, "1"));
	}
}

/* More than the node has is written and read again: no SIGBUS, nothing is lost. */
TEST_F_TIMEOUT(reclaim, full_nodes_are_reclaimed, TIMEOUT)
{
	size_t more;

	ASSERT_LE(0, plug("user+reclaim"));
	more = ((private_kb(P, "PrivateTotal:") << 10) + MORE) & -(2 * MB);
	ASSERT_TRUE(holder_start(&self->holder, "held", more, P, false));
	EXPECT_EQ(1, holder_ask(&self->holder, HOLDER_INTACT, 0));
	EXPECT_EQ(0, holder_ask(&self->holder, HOLDER_COUNT, D));
	EXPECT_EQ(0, holder_stop(&self->holder));
}

/* Have all of the huge pages been split when this cgroup was reclaimed? */
static bool reclaim_splits(const char *name, long before)
{
	reclaim_cgroup(name);
	return number_in("/proc/vmstat", "thp_split_page ") - before >=
	       (long)(HELD / (2 * MB));
}

/* Of huge pages of which little is used, the rest is freed: by a shrinker. */
TEST_F_TIMEOUT(reclaim, huge_pages_are_split, TIMEOUT)
{
	long splits;

	/* Without swap nothing but the shrinker touches them. */
	swap_off();
	ASSERT_LE(0, plug("user+reclaim"));
	ASSERT_TRUE(holder_start(&self->holder, "held", HELD, P, true));
	EXPECT_EQ(0, holder_ask(&self->holder, HOLDER_CUT, 0));
	splits = number_in("/proc/vmstat", "thp_split_page ");
	EXPECT_TRUE(WAIT_FOR(10, reclaim_splits("held", splits)));
	EXPECT_EQ(0, holder_stop(&self->holder));
}

/* MADV_PAGEOUT, and back */
TEST_F_TIMEOUT(reclaim, processes_page_out, TIMEOUT)
{
	const long pages = HELD / page;

	ASSERT_LE(0, plug("user+reclaim"));
	ASSERT_TRUE(holder_start(&self->holder, "held", HELD, P, false));
	EXPECT_TRUE(WAIT_FOR(10, !holder_ask(&self->holder, HOLDER_PAGEOUT, 0) &&
			     !holder_ask(&self->holder, HOLDER_COUNT, P)));
	EXPECT_EQ(1, holder_ask(&self->holder, HOLDER_INTACT, 0));
	EXPECT_EQ(pages, holder_ask(&self->holder, HOLDER_COUNT, P));
	EXPECT_EQ(0, holder_stop(&self->holder));
}

/* Commands to lru_gen: one that has nothing to do is answered as any is. */
TEST_F_TIMEOUT(reclaim, lru_gen_takes_commands, TIMEOUT)
{
	char command[64];

	if (*variant->generations == 'n')
		SKIP(return, "is about generations");
	if (access(LRU_GEN_DEBUG, F_OK))
		SKIP(return, "needs debugfs");
	for (int reclaim = 0; reclaim < 2; reclaim++) {
		ASSERT_LE(0, plug(reclaim ? "user+reclaim" : "user"));
		snprintf(command, sizeof(command), "- %ld %d 0",
			 number_in(LRU_GEN_DEBUG, "memcg "), P);
		EXPECT_EQ(reclaim ? 0 : EINVAL, write_file(LRU_GEN_DEBUG, command));
	}
}

int main(int argc, char **argv)
{
	return RUN_TESTS(argc, argv);
}
