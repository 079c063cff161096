// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of memory policies when the nodes of their cpuset change.
 *
 * A policy with MPOL_F_STATIC_NODES or MPOL_F_RELATIVE_NODES keeps the nodes that
 * the user named, and get_mempolicy() returns them, however often the nodes
 * change. One without a flag may be remapped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "cgroup_util.h"

#define MAX_NODES	1024
#define LONGS		(MAX_NODES / (8 * sizeof(long)))

static int first, second;

static void mask_set(unsigned long *mask, int nid)
{
	mask[nid / (8 * sizeof(long))] |= 1UL << (nid % (8 * sizeof(long)));
}

static bool mask_is(const unsigned long *mask, const unsigned long *other)
{
	return !memcmp(mask, other, LONGS * sizeof(long));
}

/* Two nodes with memory, as far as this cgroup has them. */
static bool find_nodes(const char *cgroup)
{
	char buf[4096], *word, *rest = buf;
	int found = 0;

	if (cg_read(cgroup, "cpuset.mems.effective", buf, sizeof(buf)))
		return false;
	while ((word = strsep(&rest, ",\n"))) {
		int begin, end, fields = sscanf(word, "%d-%d", &begin, &end);

		if (fields < 1)
			continue;
		if (fields == 1)
			end = begin;
		for (int nid = begin; nid <= end && found < 2; nid++)
			*(found++ ? &second : &first) = nid;
	}
	return found == 2;
}

static const struct {
	const char *name;
	int mode;
} modes[] = {
	{ "bind", MPOL_BIND },
	{ "preferred", MPOL_PREFERRED },
	{ "preferred many", MPOL_PREFERRED_MANY },
	{ "interleave", MPOL_INTERLEAVE },
	{ "weighted interleave", MPOL_WEIGHTED_INTERLEAVE },
}, flags[] = {
	{ "static", MPOL_F_STATIC_NODES },
	{ "relative", MPOL_F_RELATIVE_NODES },
};

struct policy {
	int mode;
	unsigned long nodes[LONGS];
	char *map;
};

static bool policies_are(const struct policy *policy)
{
	unsigned long nodes[LONGS];
	int mode;

	memset(nodes, 0, sizeof(nodes));
	if (syscall(SYS_get_mempolicy, &mode, nodes, MAX_NODES, NULL, 0) ||
	    mode != policy->mode || !mask_is(nodes, policy->nodes)) {
		ksft_print_msg("task: mode %#x nodes %#lx\n", mode, nodes[0]);
		return false;
	}
	memset(nodes, 0, sizeof(nodes));
	if (syscall(SYS_get_mempolicy, &mode, nodes, MAX_NODES, policy->map,
		    MPOL_F_ADDR) ||
	    mode != policy->mode || !mask_is(nodes, policy->nodes)) {
		ksft_print_msg("memory: mode %#x nodes %#lx\n", mode, nodes[0]);
		return false;
	}
	return true;
}

static bool set_mems(const char *cgroup, int one, int other)
{
	char text[32];

	if (other < 0)
		snprintf(text, sizeof(text), "%d", one);
	else
		snprintf(text, sizeof(text), "%d,%d", one, other);
	return !cg_write(cgroup, "cpuset.mems", text);
}

/* In a task of the cgroup. */
static int keeps_nodes(const char *cgroup, void *arg)
{
	struct policy policy = *(struct policy *)arg;
	long page = getpagesize();

	policy.map = mmap(NULL, page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (policy.map == MAP_FAILED || !set_mems(cgroup, first, second))
		return EXIT_FAILURE;
	if (syscall(SYS_set_mempolicy, policy.mode, policy.nodes, MAX_NODES) ||
	    syscall(SYS_mbind, policy.map, page, policy.mode, policy.nodes,
		    MAX_NODES, 0)) {
		ksft_print_msg("the policy: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	if (!policies_are(&policy))
		return EXIT_FAILURE;
	for (int i = 0; i < 2; i++) {
		if (!set_mems(cgroup, i ? first : second, -1) ||
		    !policies_are(&policy) || !set_mems(cgroup, first, second) ||
		    !policies_are(&policy))
			return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

int main(void)
{
	char root[PATH_MAX], *cgroup;

	ksft_print_header();
	if (cg_find_unified_root(root, sizeof(root), NULL))
		ksft_exit_skip("cgroup v2 isn't mounted\n");
	if (cg_read_strstr(root, "cgroup.subtree_control", "cpuset") &&
	    cg_write(root, "cgroup.subtree_control", "+cpuset"))
		ksft_exit_skip("cpuset cannot be enabled\n");
	if (!find_nodes(root))
		ksft_exit_skip("needs two nodes with memory\n");
	ksft_set_plan(ARRAY_SIZE(modes) * ARRAY_SIZE(flags));

	cgroup = cg_name(root, "cpuset_mempolicy_test");
	if (!cgroup || cg_create(cgroup))
		ksft_exit_fail_msg("cannot make a cgroup\n");

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(flags); j++) {
			struct policy policy = {
				.mode = modes[i].mode | flags[j].mode,
			};

			mask_set(policy.nodes, first);
			/* A relative node is a number from 0 on; both are there. */
			mask_set(policy.nodes, second);
			ksft_test_result(cg_run(cgroup, keeps_nodes, &policy) ==
					 EXIT_SUCCESS,
					 "%s %s keeps what the user said\n",
					 flags[j].name, modes[i].name);
		}
	}
	cg_destroy(cgroup);
	free(cgroup);
	ksft_finished();
}
