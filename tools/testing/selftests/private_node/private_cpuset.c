// SPDX-License-Identifier: GPL-2.0
/*
 * Test private nodes in cpusets: to whom they are offered and granted, who sees
 * them, and that nobody else's policy, migration or OOM takes note of them. And
 * where private memory is shown.
 *
 * The private node is one that is there, or made of the first dax device whose
 * memory is not in use. Cgroups are made below the root of a cgroup2 that is
 * mounted for the test alone. README tells which hook of the kernel each case is
 * about.
 *
 * Cases that need pages of a process on the node skip where the kernel has no
 * memory policy for private nodes.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dax.h"

#ifndef MPOL_F_PRIVATE
#define MPOL_F_PRIVATE	0x1000
#endif

#define HOOK		"/sys/kernel/debug/test_private_node"
#define CGROUP2		"/tmp/private_cpuset"
#define CGROUP1		"/tmp/private_cpuset.v1"
#define MEMORY1		"/tmp/private_cpuset.memory"
#define BASE		"private_cpuset"
#define NOBODY		65534
#define TEXT		65536
#define MAX_NODES	1024
#define LONGS		(MAX_NODES / (8 * sizeof(long)))
/* With a debug kernel on an emulated CPU. */
#define TIMEOUT		600

/* ---- Files ---- */

/* The value of a line of /proc/self/status; NULL if there is no such line. */
static const char *status_line(const char *key)
{
	static char buf[TEXT];
	char *line;

	if (read_file("/proc/self/status", buf, sizeof(buf)) < 0)
		return NULL;
	for (line = strtok(buf, "\n"); line; line = strtok(NULL, "\n")) {
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			return line + strlen(key) + 1;
	}
	return NULL;
}

/* ---- The private node ---- */

static struct {
	char dax[32], driver[32];
	int nid;
	/* Two ordinary nodes; the second is -1 where there is one alone. */
	int a, b;
	/* One with a higher number than the private node, or -1 */
	int above;
	unsigned long long start;
} machine = { .nid = -1, .a = -1, .b = -1, .above = -1 };
static pid_t main_pid;

static bool plug(void)
{
	return !dax_write(machine.dax, "state", "online") &&
	       node_in("has_private_memory", machine.nid);
}

static bool unplug(void)
{
	return !dax_write(machine.dax, "state", "unplugged") &&
	       !node_in("has_private_memory", machine.nid);
}

static void find_dax(void)
{
	DIR *dir = opendir(DAX "/devices");
	struct dirent *entry;
	char best[32] = "";
	int nid;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    sscanf(dax_read(entry->d_name, "target_node"), "%d", &nid) != 1 ||
		    nid < 0 || node_in("has_memory", nid))
			continue;
		if (!*best || strcmp(entry->d_name, best) < 0)
			snprintf(best, sizeof(best), "%.31s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	if (!*best)
		return;

	machine.nid = atoi(dax_read(best, "target_node"));
	machine.start = strtoull(dax_read(best, "resource"), NULL, 0);
	dax_driver(best, machine.driver, sizeof(machine.driver));
	snprintf(machine.dax, sizeof(machine.dax), "%s", best);
}

static bool take_dax(void)
{
	if (strcmp(machine.driver, OURS)) {
		if (*machine.driver &&
		    driver_write(machine.driver, "unbind", machine.dax))
			return false;
		if (driver_write(OURS, "new_id", machine.dax))
			return false;
	}
	return !dax_write(machine.dax, "state", "unplugged") &&
	       !dax_write(machine.dax, "private/features", "user");
}

static void give_back(void)
{
	/* Also called at the end of children. */
	if (getpid() != main_pid || !*machine.dax)
		return;
	dax_write(machine.dax, "state", "unplugged");
	dax_write(machine.dax, "private/features", "default");
	if (!strcmp(machine.driver, OURS))
		return;
	driver_write(OURS, "unbind", machine.dax);
	driver_write(OURS, "remove_id", machine.dax);
	if (*machine.driver)
		driver_write(machine.driver, "bind", machine.dax);
}

static void find_ordinary(void)
{
	for (int nid = 0; nid < MAX_NODES; nid++) {
		if (!node_in("has_memory", nid))
			continue;
		if (machine.a < 0)
			machine.a = nid;
		else if (machine.b < 0)
			machine.b = nid;
	}
}

static void find_above(void)
{
	for (int nid = machine.nid + 1; nid < MAX_NODES; nid++)
		if (machine.above < 0 && node_in("has_memory", nid))
			machine.above = nid;
}

/* ---- Cgroups ---- */

/* Below the cgroup of the test; "" is that itself. */
static const char *cg_path(const char *cgroup, const char *file)
{
	static char path[4][256];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), CGROUP2 "/" BASE "%s%s%s%s",
		 *cgroup ? "/" : "", cgroup, *file ? "/" : "", file);
	return path[turn];
}

static bool cg_make(const char *cgroup)
{
	return !mkdir(cg_path(cgroup, ""), 0755);
}

/* Also lets children have cpusets. */
static bool cg_make_parent(const char *cgroup)
{
	return cg_make(cgroup) &&
	       !write_file(cg_path(cgroup, "cgroup.subtree_control"), "+cpuset");
}

static int set_mems(const char *cgroup, const char *format, ...)
{
	char text[64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* A write of nothing does not reach the kernel. */
	return write_file(cg_path(cgroup, "cpuset.mems"), *text ? text : "\n");
}

static bool mems_has(const char *cgroup, const char *file, int nid)
{
	char buf[4096];

	return read_file(cg_path(cgroup, file), buf, sizeof(buf)) >= 0 &&
	       list_has(buf, nid);
}

static bool shown(const char *cgroup)
{
	return mems_has(cgroup, "cpuset.mems.effective", machine.nid);
}

/* Removes what cases made, the deepest first. */
static void cg_remove(const char *path)
{
	struct dirent *entry;
	char child[PATH_MAX];
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
		cg_remove(child);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static bool enter(const char *procs)
{
	return !write_file(procs, "0");
}

/* ---- What a task has ---- */

/* The allocator gives it memory of the node, as a user. */
#define OFFERED		1
/* The kernel says that it was granted. */
#define GRANTED		2
/* The allocator gives the node's owner memory when he is in this task. */
#define OWNED		4
/* Where only ordinary nodes are to be. */
#define IN_STATUS	8
#define IN_POLICY	16
/* Ordinary nodes that it has. */
#define HAS_A		32
#define HAS_B		64
#define FAILED		128

static bool hook_gives(const char *words)
{
	char text[64];
	int error;

	snprintf(text, sizeof(text), "nid=%d key %s", machine.nid, words);
	error = write_file(HOOK "/alloc", text);
	write_file(HOOK "/held", "0");
	return !error;
}

static bool mask_has(const unsigned long *mask, int nid)
{
	return mask[nid / (8 * sizeof(long))] >> (nid % (8 * sizeof(long))) & 1;
}

static void mask_set(unsigned long *mask, int nid)
{
	mask[nid / (8 * sizeof(long))] |= 1UL << (nid % (8 * sizeof(long)));
}

static int facts(void)
{
	unsigned long mask[LONGS] = {};
	const char *list;
	int found = 0;

	list = status_line("Mems_private_list");
	if (list && list_has(list, machine.nid))
		found |= GRANTED;
	list = status_line("Mems_allowed_list");
	if (!list)
		return FAILED;
	found |= list_has(list, machine.nid) ? IN_STATUS : 0;
	found |= list_has(list, machine.a) ? HAS_A : 0;
	found |= machine.b >= 0 && list_has(list, machine.b) ? HAS_B : 0;
	if (syscall(SYS_get_mempolicy, NULL, mask, MAX_NODES, 0,
		    MPOL_F_MEMS_ALLOWED))
		return FAILED;
	found |= mask_has(mask, machine.nid) ? IN_POLICY : 0;
	found |= hook_gives("user") ? OFFERED : 0;
	found |= hook_gives("") ? OWNED : 0;
	return found;
}

/* Calls a function in a task of its own in a cgroup, and returns what it did. */
static int in_task(const char *procs, int (*call)(void *), void *arg)
{
	int code;
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(enter(procs) ? call(arg) : FAILED);
	}
	if (pid < 0 || waitpid(pid, &code, 0) != pid || !WIFEXITED(code))
		return FAILED;
	return WEXITSTATUS(code);
}

static int call_facts(void *arg)
{
	(void)arg;
	return facts();
}

static int task_facts(const char *cgroup)
{
	return in_task(cg_path(cgroup, "cgroup.procs"), call_facts, NULL);
}

/* ---- Others who write ---- */

struct writing {
	const char *path;
	const char *text;
	int fd;
};

static bool become_nobody(void)
{
	return !setgid(NOBODY) && !setuid(NOBODY);
}

static int in_child(int (*call)(void *), void *arg)
{
	int code;
	pid_t pid = fork();

	if (!pid)
		_exit(call(arg));
	if (pid < 0 || waitpid(pid, &code, 0) != pid || !WIFEXITED(code))
		return FAILED;
	return WEXITSTATUS(code);
}

/* Returns the errno of the write, as somebody without capabilities. */
static int nobody_writes(void *arg)
{
	struct writing *w = arg;

	return become_nobody() ? write_file(w->path, w->text) : FAILED;
}

/* The same with a file that was opened before. */
static int nobody_writes_fd(void *arg)
{
	struct writing *w = arg;

	return become_nobody() ? write_fd(w->fd, w->text) : FAILED;
}

/* ---- Fixture ---- */

FIXTURE(cpuset)
{
	char named[64];
	int all;
};

FIXTURE_SETUP(cpuset)
{
	if (geteuid())
		SKIP(return, "needs root");
	if (access(DAX "/drivers/" OURS, F_OK) || !*machine.dax)
		SKIP(return, "no dax device for a private node");
	if (access(HOOK "/alloc", F_OK))
		SKIP(return, "needs CONFIG_TEST_PRIVATE_NODE and debugfs");

	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	mkdir(CGROUP2, 0700);
	ASSERT_EQ(0, mount("none", CGROUP2, "cgroup2", 0, NULL));
	ASSERT_EQ(0, write_file(CGROUP2 "/cgroup.subtree_control", "+cpuset")) {
		TH_LOG("no cpuset in cgroup2: is it mounted in a hierarchy of version 1?");
	}
	cg_remove(CGROUP2 "/" BASE);
	ASSERT_TRUE(cg_make_parent(""));
	ASSERT_TRUE(plug());

	snprintf(self->named, sizeof(self->named), "%d,%d", machine.a, machine.nid);
	self->all = HAS_A | (machine.b >= 0 ? HAS_B : 0);
}

FIXTURE_TEARDOWN(cpuset)
{
	cg_remove(CGROUP2 "/" BASE);
	umount2(CGROUP2, MNT_DETACH);
	rmdir(CGROUP2);
	unplug();
}

/* ---- Memory cgroups of version 1 ---- */

#define PAGES	64

static char *private_pages(void);
static bool has_private_policy(void);

/* Pages of the node in a line of numa_stat; -1 if it does not have the node */
static long numa_stat_pages(const char *path, const char *key)
{
	char text[TEXT], column[16], *line, *found;

	snprintf(column, sizeof(column), " N%d=", machine.nid);
	if (read_file(path, text, sizeof(text)) < 0)
		return -1;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (strncmp(line, key, strlen(key)) || line[strlen(key)] != '=')
			continue;
		found = strstr(line, column);
		return found ? atol(found + strlen(column)) : -1;
	}
	return -1;
}

/* Pages are put on lists of the cgroup in batches: all but one are there. */
static int charged_in_version_1(void *arg)
{
	static const char * const keys[] = { "anon", "hierarchical_anon" };
	long pages;

	(void)arg;
	if (!private_pages())
		return FAILED;
	for (int i = 0; i < 2; i++) {
		pages = numa_stat_pages(MEMORY1 "/c/memory.numa_stat", keys[i]);
		if (pages < PAGES / 2 || pages > PAGES)
			return 1 + i;
	}
	/* Of the root there is what is in cgroups below it, too. */
	return numa_stat_pages(MEMORY1 "/memory.numa_stat", keys[1]) < PAGES / 2 ? 3 : 0;
}

/*
 * The controller moves there only as long as no cgroup of version 2 has had it, so
 * this comes before all cases with memory in version 2.
 */
TEST_F_TIMEOUT(cpuset, shown_in_numa_stat_of_version_1, TIMEOUT)
{
	if (!has_private_policy())
		SKIP(return, "needs MPOL_F_PRIVATE");
	mkdir(MEMORY1, 0700);
	if (mount("none", MEMORY1, "cgroup", 0, "memory")) {
		rmdir(MEMORY1);
		SKIP(return, "the memory controller cannot be had in version 1");
	}
	ASSERT_EQ(0, mkdir(MEMORY1 "/c", 0755));
	EXPECT_EQ(0, in_task(MEMORY1 "/c/tasks", charged_in_version_1, NULL));
	/* And back, when what was in it has gone */
	for (int i = 0; i < 100 && rmdir(MEMORY1 "/c"); i++)
		usleep(100000);
	EXPECT_EQ(0, umount(MEMORY1));
	for (int i = 0; i < 300; i++) {
		if (!write_file(CGROUP2 "/cgroup.subtree_control", "+memory"))
			break;
		if (!mount("none", MEMORY1, "cgroup", 0, "memory"))
			umount(MEMORY1);
		usleep(100000);
	}
	rmdir(MEMORY1);
	EXPECT_EQ(0, write_file(CGROUP2 "/cgroup.subtree_control", "+memory"));
}

/* ---- To whom a node is offered and granted ---- */

/* Nobody named it: it can be had, and nothing says so. */
TEST_F_TIMEOUT(cpuset, inherited_is_offered, TIMEOUT)
{
	ASSERT_TRUE(cg_make("c"));
	ASSERT_EQ(OFFERED | OWNED | self->all, task_facts("c"));
	ASSERT_FALSE(shown("c"));
	ASSERT_FALSE(shown(""));
}

TEST_F_TIMEOUT(cpuset, named_is_granted, TIMEOUT)
{
	ASSERT_TRUE(cg_make("c"));
	ASSERT_EQ(0, set_mems("c", "%s", self->named));
	ASSERT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("c"));
	ASSERT_TRUE(shown("c"));
	ASSERT_FALSE(shown(""));

	/* An empty mask ends the grant, and nothing else. */
	ASSERT_EQ(0, set_mems("c", "%s", ""));
	ASSERT_EQ(OFFERED | OWNED | self->all, task_facts("c"));
	ASSERT_FALSE(shown("c"));
}

/* A mask without the node ends its use; the owner is not bound by it. */
TEST_F_TIMEOUT(cpuset, left_out_is_not_offered, TIMEOUT)
{
	ASSERT_TRUE(cg_make("c"));
	ASSERT_EQ(0, set_mems("c", "%d", machine.a));
	ASSERT_EQ(OWNED | HAS_A, task_facts("c"));
	ASSERT_FALSE(shown("c"));
}

static int renaming(void *arg)
{
	struct writing *w = arg;
	int before = facts(), during, after;

	if (write_file(w->path, w->text))
		return FAILED;
	during = facts();
	if (write_file(w->path, "\n"))
		return FAILED;
	after = facts();
	return (before & OFFERED) && !(during & OFFERED) && (after & OFFERED) ?
	       0 : 1;
}

/* The same for a task that is there already. */
TEST_F_TIMEOUT(cpuset, mask_of_tasks_follows, TIMEOUT)
{
	struct writing w;
	char plain[16];

	snprintf(plain, sizeof(plain), "%d", machine.a);
	w.text = plain;
	ASSERT_TRUE(cg_make("c"));
	w.path = cg_path("c", "cpuset.mems");
	ASSERT_EQ(0, in_task(cg_path("c", "cgroup.procs"), renaming, &w));
}

/* Nobody is without an ordinary node. */
TEST_F_TIMEOUT(cpuset, private_only, TIMEOUT)
{
	ASSERT_TRUE(cg_make_parent("p"));
	ASSERT_TRUE(cg_make("p/c"));
	ASSERT_EQ(0, set_mems("p/c", "%d", machine.nid));
	ASSERT_EQ(OFFERED | GRANTED | OWNED | self->all, task_facts("p/c"));
	ASSERT_TRUE(shown("p/c"));
	ASSERT_TRUE(mems_has("p/c", "cpuset.mems.effective", machine.a));

	/* Its ordinary nodes are those of the parent, the private one is not. */
	ASSERT_EQ(0, set_mems("p", "%d", machine.a));
	ASSERT_EQ(OWNED | HAS_A, task_facts("p/c"));
	ASSERT_FALSE(shown("p/c"));
	ASSERT_EQ(0, set_mems("p", "%s", ""));
	ASSERT_EQ(OFFERED | GRANTED | OWNED | self->all, task_facts("p/c"));
}

/* Ordinary nodes that are not there do not bring private ones. */
TEST_F_TIMEOUT(cpuset, inherits_ordinary_nodes_only, TIMEOUT)
{
	if (machine.b < 0)
		SKIP(return, "needs two ordinary nodes");
	ASSERT_TRUE(cg_make_parent("p"));
	ASSERT_TRUE(cg_make("p/c"));
	ASSERT_EQ(0, set_mems("p", "%d,%d", machine.a, machine.nid));
	ASSERT_EQ(0, set_mems("p/c", "%d", machine.b));
	ASSERT_EQ(OWNED | HAS_A, task_facts("p/c"));
	ASSERT_FALSE(shown("p/c"));
}

TEST_F_TIMEOUT(cpuset, grants_are_inherited, TIMEOUT)
{
	ASSERT_TRUE(cg_make_parent("p"));
	ASSERT_TRUE(cg_make_parent("p/q"));
	ASSERT_TRUE(cg_make("p/q/c"));
	ASSERT_EQ(0, set_mems("p", "%s", self->named));
	ASSERT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("p/q/c"));
	ASSERT_TRUE(shown("p/q/c"));

	/* Not past a mask that leaves it out, even if a child names it. */
	ASSERT_EQ(0, set_mems("p/q", "%d", machine.a));
	ASSERT_EQ(0, set_mems("p/q/c", "%s", self->named));
	ASSERT_EQ(OWNED | HAS_A, task_facts("p/q/c"));
	ASSERT_EQ(0, set_mems("p/q", "%s", ""));
	ASSERT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("p/q/c"));
}

/* What programs do that make a cgroup with the nodes of the one above it. */
TEST_F_TIMEOUT(cpuset, copying_gives_nothing_away, TIMEOUT)
{
	char buf[4096];

	ASSERT_TRUE(cg_make("c"));
	ASSERT_LE(0, read_file(CGROUP2 "/cpuset.mems.effective", buf, sizeof(buf)));
	ASSERT_EQ(0, set_mems("c", "%s", buf));
	ASSERT_EQ(OWNED | self->all, task_facts("c"));
	ASSERT_LE(0, read_file(cg_path("", "cpuset.mems.effective"), buf,
			       sizeof(buf)));
	ASSERT_EQ(0, set_mems("c", "%s", buf));
	ASSERT_EQ(OWNED | self->all, task_facts("c"));
}

/* Who may write cpuset.mems in his part of the hierarchy does not serve himself. */
TEST_F_TIMEOUT(cpuset, delegation, TIMEOUT)
{
	struct writing w = { .text = self->named };

	ASSERT_TRUE(cg_make_parent("p"));
	ASSERT_TRUE(cg_make("p/c"));
	w.path = cg_path("p/c", "cpuset.mems");
	ASSERT_EQ(0, chown(w.path, NOBODY, NOBODY));
	ASSERT_EQ(0, chmod(CGROUP2, 0755));
	ASSERT_EQ(0, in_child(nobody_writes, &w));
	ASSERT_TRUE(mems_has("p/c", "cpuset.mems", machine.nid));
	ASSERT_EQ(OFFERED | OWNED | HAS_A, task_facts("p/c"));
	ASSERT_FALSE(shown("p/c"));

	/* What was granted above is his to hand on. */
	ASSERT_EQ(0, set_mems("p", "%s", self->named));
	ASSERT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("p/c"));
	ASSERT_EQ(0, set_mems("p", "%s", ""));
	ASSERT_EQ(OFFERED | OWNED | HAS_A, task_facts("p/c"));

	/* A mask that is the same as before may have another writer. */
	ASSERT_EQ(0, set_mems("p/c", "%s", self->named));
	ASSERT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("p/c"));
	ASSERT_EQ(0, in_child(nobody_writes, &w));
	ASSERT_EQ(OFFERED | OWNED | HAS_A, task_facts("p/c"));
}

/* The writer is who opened the file. */
TEST_F_TIMEOUT(cpuset, writer_is_who_opened, TIMEOUT)
{
	struct writing w = { .text = self->named };
	int ours, theirs;
	pid_t pid;
	int code;

	ASSERT_TRUE(cg_make("c"));
	w.path = cg_path("c", "cpuset.mems");
	ASSERT_EQ(0, chown(w.path, NOBODY, NOBODY));
	ours = open(w.path, O_WRONLY);
	ASSERT_LE(0, ours);

	/* Opened by somebody else; file descriptors are shared with him. */
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(!syscall(SYS_setgid, NOBODY) && !syscall(SYS_setuid, NOBODY) ?
		      open(w.path, O_WRONLY) : 255);
	ASSERT_EQ(pid, waitpid(pid, &code, 0));
	ASSERT_TRUE(WIFEXITED(code));
	theirs = WEXITSTATUS(code);
	ASSERT_GT(255, theirs);

	ASSERT_EQ(0, write_fd(theirs, w.text));
	ASSERT_EQ(OFFERED | OWNED | HAS_A, task_facts("c"));

	w.fd = ours;
	ASSERT_EQ(0, in_child(nobody_writes_fd, &w));
	ASSERT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("c"));
	close(ours);
	close(theirs);
}

/* The same of root of a user namespace, to whom the file belongs. */
static int namespace_root_writes(void *arg)
{
	struct writing *w = arg;

	return namespace_enter() ? FAILED : write_file(w->path, w->text);
}

static int namespace_root_writes_fd(void *arg)
{
	struct writing *w = arg;

	return namespace_enter() ? FAILED : write_fd(w->fd, w->text);
}

/* Root of a user namespace has there what it takes to grant, and nowhere else. */
TEST_F_TIMEOUT(cpuset, namespaces_grant_nothing, TIMEOUT)
{
	struct writing w = { .text = self->named };

	if (access("/proc/self/ns/user", F_OK))
		SKIP(return, "needs CONFIG_USER_NS");
	ASSERT_TRUE(cg_make("c"));
	w.path = cg_path("c", "cpuset.mems");
	ASSERT_EQ(0, in_child(namespace_root_writes, &w));
	ASSERT_TRUE(mems_has("c", "cpuset.mems", machine.nid));
	ASSERT_EQ(OFFERED | OWNED | HAS_A, task_facts("c"));
	ASSERT_FALSE(shown("c"));

	/* What was opened outside grants, whoever writes. */
	w.fd = open(w.path, O_WRONLY);
	ASSERT_LE(0, w.fd);
	ASSERT_EQ(0, in_child(namespace_root_writes_fd, &w));
	close(w.fd);
	ASSERT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("c"));
}

/* A grant follows the writer, not the time. */
TEST_F_TIMEOUT(cpuset, named_before_it_was_private, TIMEOUT)
{
	struct writing w = { .text = self->named };

	ASSERT_TRUE(cg_make("theirs"));
	ASSERT_TRUE(cg_make("ours"));
	ASSERT_TRUE(unplug());
	/* Without a driver the node is nobody's. */
	ASSERT_EQ(0, driver_write(OURS, "unbind", machine.dax));
	w.path = cg_path("theirs", "cpuset.mems");
	ASSERT_EQ(0, chown(w.path, NOBODY, NOBODY));
	ASSERT_EQ(0, chmod(CGROUP2, 0755));
	ASSERT_EQ(0, in_child(nobody_writes, &w));
	ASSERT_EQ(0, set_mems("ours", "%s", self->named));

	ASSERT_EQ(0, driver_write(OURS, "bind", machine.dax));
	ASSERT_EQ(0, dax_write(machine.dax, "private/features", "user"));
	ASSERT_TRUE(plug());
	ASSERT_EQ(OFFERED | OWNED | HAS_A, task_facts("theirs"));
	ASSERT_FALSE(shown("theirs"));
	ASSERT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("ours"));
	ASSERT_TRUE(shown("ours"));
}

TEST_F_TIMEOUT(cpuset, hotplug, TIMEOUT)
{
	ASSERT_TRUE(cg_make("c"));
	ASSERT_TRUE(cg_make("only"));
	ASSERT_EQ(0, set_mems("c", "%s", self->named));
	ASSERT_EQ(0, set_mems("only", "%d", machine.nid));
	ASSERT_TRUE(unplug());
	ASSERT_EQ(HAS_A, task_facts("c"));
	ASSERT_EQ(self->all, task_facts("only"));
	ASSERT_FALSE(shown("c"));
	ASSERT_TRUE(mems_has("c", "cpuset.mems", machine.nid));
	ASSERT_TRUE(plug());
	ASSERT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("c"));
	ASSERT_EQ(OFFERED | GRANTED | OWNED | self->all, task_facts("only"));
	ASSERT_TRUE(shown("c"));
}

/* ---- What is not to take note ---- */

/* Lines of the kernel log since the last call that have a text in them. */
static int kernel_says(const char *text)
{
	static int fd = -1;
	char record[8192];
	int count = 0;
	ssize_t len;

	if (fd < 0) {
		fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
		lseek(fd, 0, SEEK_END);
	}
	while ((len = read(fd, record, sizeof(record) - 1)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		if (len < 0)
			continue;
		record[len] = '\0';
		count += !!strstr(record, text);
	}
	return count;
}

#define CHILDREN	48

static int plug_and_unplug(void *arg)
{
	(void)arg;
	while (plug() && unplug())
		;
	return FAILED;
}

static int stay(void *arg)
{
	(void)arg;
	return pause();
}

/* A task that goes on, in a cgroup if there is one */
static pid_t task_start(const char *cgroup, int (*call)(void *))
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(!cgroup || enter(cg_path(cgroup, "cgroup.procs")) ? call(NULL) : FAILED);
}

static void task_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/*
 * The masks of a cpuset change before those of the cpusets below it. Who enables
 * the controller in between, with tasks that go to several of these, is told to
 * come back.
 */
TEST_F_TIMEOUT(cpuset, enabled_during_hotplug, TIMEOUT)
{
	pid_t tasks[CHILDREN], plugger;
	int error, busy = 0, other = 0;
	char name[32], control[256];
	time_t end;

	ASSERT_TRUE(cg_make("many"));
	snprintf(control, sizeof(control), "%s",
		 cg_path("many", "cgroup.subtree_control"));
	for (int i = 0; i < CHILDREN; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		ASSERT_TRUE(cg_make(name));
		tasks[i] = task_start(name, stay);
		EXPECT_LT(0, tasks[i]);
	}
	plugger = task_start(NULL, plug_and_unplug);
	EXPECT_LT(0, plugger);
	end = time(NULL) + TIMEOUT / 2;
	while (busy < 2 && !other && time(NULL) < end) {
		error = write_file(control, "+cpuset");
		if (error == EBUSY)
			busy++;
		else if (error)
			other = error;
		else
			write_file(control, "-cpuset");
	}
	TH_LOG("busy %d times, in %ld s", busy, (long)(time(NULL) - end + TIMEOUT / 2));
	task_stop(plugger);
	for (int i = 0; i < CHILDREN; i++)
		task_stop(tasks[i]);
	EXPECT_EQ(0, other);
	EXPECT_LT(0, busy);
}

/* To name a private node alone is no insane configuration (a key for ever). */
TEST_F_TIMEOUT(cpuset, not_insane, TIMEOUT)
{
	ASSERT_TRUE(cg_make("c"));
	ASSERT_EQ(0, kernel_says("movable nodes only"));
	ASSERT_EQ(0, set_mems("c", "%d", machine.nid));
	ASSERT_TRUE(unplug());
	ASSERT_TRUE(plug());
	ASSERT_EQ(0, kernel_says("movable nodes only"));
}

/* Two policies, of the task and of memory: what do they say? */
struct rebinding {
	const char *mems;
	const char *before, *after;
	unsigned long nodes;
	int mode;
};

#define MODE_FAILED	0xff
/* As set_mempolicy() counts the bits of one long. */
#define WORD		(8 * sizeof(long) + 1)

/* The nodes of the two policies, which have to be the same: below 8. */
static int rebound(void *arg)
{
	unsigned long task[LONGS] = {}, memory[LONGS] = {};
	struct rebinding *r = arg;
	long page = getpagesize();
	char *map;

	map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	if (map == MAP_FAILED || write_file(r->mems, r->before))
		return MODE_FAILED;
	if (syscall(SYS_set_mempolicy, r->mode, &r->nodes, WORD) ||
	    syscall(SYS_mbind, map, page, r->mode, &r->nodes, WORD, 0))
		return MODE_FAILED;
	if (write_file(r->mems, r->after))
		return MODE_FAILED;
	if (syscall(SYS_get_mempolicy, NULL, task, MAX_NODES, 0, 0) ||
	    syscall(SYS_get_mempolicy, NULL, memory, MAX_NODES, map, MPOL_F_ADDR))
		return MODE_FAILED;
	return task[0] == memory[0] && task[0] < MODE_FAILED ? (int)task[0] : MODE_FAILED;
}

/* Policies are moved by the positions of nodes: private ones have none. */
TEST_F_TIMEOUT(cpuset, rebind_by_ordinary_nodes, TIMEOUT)
{
	static const int modes[] = { MPOL_BIND, MPOL_INTERLEAVE, MPOL_WEIGHTED_INTERLEAVE };
	unsigned long a, b, ab;
	char both[32], b_private[32], both_private[32];
	struct rebinding r;
	const char *procs;

	if (machine.b < 0)
		SKIP(return, "needs two ordinary nodes");
	if (machine.a > 6 || machine.b > 6 || machine.nid > 6)
		SKIP(return, "needs nodes 0 to 6");
	a = 1UL << machine.a;
	b = 1UL << machine.b;
	ab = a | b;
	snprintf(both, sizeof(both), "%d,%d", machine.a, machine.b);
	snprintf(b_private, sizeof(b_private), "%d,%d", machine.b, machine.nid);
	snprintf(both_private, sizeof(both_private), "%d,%d,%d", machine.a,
		 machine.b, machine.nid);
	ASSERT_TRUE(cg_make("c"));
	procs = strdup(cg_path("c", "cgroup.procs"));
	r.mems = strdup(cg_path("c", "cpuset.mems"));

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		const struct {
			const char *before, *after;
			unsigned long set, want;
		} moves[] = {
			/* One of two nodes goes, a private one comes. */
			{ both, b_private, ab, b },
			{ both, b_private, b, b },
			/* A private one comes or goes alone. */
			{ both, both_private, ab, ab },
			{ both_private, both, b, b },
			/* Set with the private one there; position 1 is kept. */
			{ both_private, b_private, b, b },
			{ b_private, both, b, a },
		};

		for (size_t j = 0; j < ARRAY_SIZE(moves); j++) {
			r.mode = modes[i];
			r.before = moves[j].before;
			r.after = moves[j].after;
			r.nodes = moves[j].set;
			EXPECT_EQ((int)moves[j].want, in_task(procs, rebound, &r)) {
				TH_LOG("mode %d, %s to %s, set %#lx", r.mode,
				       r.before, r.after, r.nodes);
			}
		}
	}
}

/*
 * The same when the private node comes before an ordinary one: it has no position
 * in the mask that a policy was made with, either.
 */
TEST_F_TIMEOUT(cpuset, rebind_past_a_private_node, TIMEOUT)
{
	static const int modes[] = { MPOL_BIND, MPOL_INTERLEAVE, MPOL_WEIGHTED_INTERLEAVE };
	char with_private[48], others[32];
	struct rebinding r = { .before = with_private, .after = others };
	const char *procs;

	if (machine.b < 0 || machine.above < 0)
		SKIP(return, "needs two ordinary nodes, and one above the private one");
	if (machine.above > 7)
		SKIP(return, "needs nodes 0 to 7");
	/* The second of two, and not the third of three */
	snprintf(with_private, sizeof(with_private), "%d,%d,%d", machine.a, machine.nid,
		 machine.above);
	snprintf(others, sizeof(others), "%d,%d", machine.a, machine.b);
	r.nodes = 1UL << machine.above;
	ASSERT_TRUE(cg_make("c"));
	procs = strdup(cg_path("c", "cgroup.procs"));
	r.mems = strdup(cg_path("c", "cpuset.mems"));
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		r.mode = modes[i];
		EXPECT_EQ(1 << machine.b, in_task(procs, rebound, &r)) {
			TH_LOG("mode %d", r.mode);
		}
	}
}

/* The nodes that a task's interleaving comes to in turn; 0 on failure. */
static int turns(void *arg)
{
	struct rebinding *r = arg;
	long page = getpagesize();
	int seen = 0, nid;
	char *map;

	if (write_file(r->mems, r->before) ||
	    syscall(SYS_set_mempolicy, r->mode, &r->nodes, WORD) ||
	    write_file(r->mems, r->after))
		return 0;
	map = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return 0;
	for (int i = 0; i < 16; i++) {
		map[i * page] = 1;
		if (syscall(SYS_get_mempolicy, &nid, NULL, 0, NULL, MPOL_F_NODE))
			return 0;
		seen |= 1 << nid;
	}
	return seen;
}

/* A policy whose nodes have all gone gets the new ones, but no private one. */
TEST_F_TIMEOUT(cpuset, rebind_to_all, TIMEOUT)
{
	char both[32], b_private[32];
	struct rebinding r = {
		.mode = MPOL_INTERLEAVE | MPOL_F_STATIC_NODES,
		.before = both,
		.after = b_private,
	};

	if (machine.b < 0)
		SKIP(return, "needs two ordinary nodes");
	if (machine.a > 6 || machine.b > 6 || machine.nid > 6)
		SKIP(return, "needs nodes 0 to 6");
	r.nodes = 1UL << machine.a;
	snprintf(both, sizeof(both), "%d,%d", machine.a, machine.b);
	snprintf(b_private, sizeof(b_private), "%d,%d", machine.b, machine.nid);
	ASSERT_TRUE(cg_make("c"));
	r.mems = strdup(cg_path("c", "cpuset.mems"));
	ASSERT_EQ(1 << machine.b, in_task(cg_path("c", "cgroup.procs"), turns, &r));
}

/*
 * Pages that go to one of several nodes do not go to a private one: here those of
 * the second node would, by its position.
 */
TEST_F_TIMEOUT(cpuset, no_migration_to_private, TIMEOUT)
{
	unsigned long from[LONGS] = {}, to[LONGS] = {}, second[LONGS] = {};
	void *pages[1];
	int node = -1;
	char *map;

	if (machine.b < 0)
		SKIP(return, "needs two ordinary nodes");
	map = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	mask_set(second, machine.b);
	ASSERT_EQ(0, syscall(SYS_mbind, map, getpagesize(), MPOL_BIND, second,
			     MAX_NODES, 0));
	*map = 1;
	pages[0] = map;
	ASSERT_EQ(0, syscall(SYS_move_pages, 0, 1UL, pages, NULL, &node, 0));
	ASSERT_EQ(machine.b, node);

	mask_set(from, machine.a);
	mask_set(from, machine.b);
	mask_set(to, machine.a);
	mask_set(to, machine.nid);
	ASSERT_LE(0, syscall(SYS_migrate_pages, 0, MAX_NODES, from, to));
	ASSERT_EQ(0, syscall(SYS_move_pages, 0, 1UL, pages, NULL, &node, 0));
	EXPECT_EQ(machine.a, node);
}

/* ---- Where NUMA balancing has nothing to do ---- */

#define BALANCING	"/proc/sys/kernel/numa_balancing"

/* How often it has looked at all of our memory; -1 if the kernel does not say */
static long numa_scans(void)
{
	static char buf[TEXT];
	char *line;

	if (read_file("/proc/self/sched", buf, sizeof(buf)) < 0)
		return -1;
	line = strstr(buf, "mm->numa_scan_seq");
	line = line ? strchr(line, ':') : NULL;
	return line ? atol(line + 1) : -1;
}

/* The second of computing in which it has; 0 if not in so many */
static int first_scan(void *arg)
{
	const int *limit = arg;

	while (clock() < *limit * CLOCKS_PER_SEC)
		if (numa_scans() > 0)
			return 1 + clock() / CLOCKS_PER_SEC;
	return 0;
}

/* A task with one ordinary node has nothing to be balanced. */
TEST_F_TIMEOUT(cpuset, balancing_counts_ordinary_nodes, TIMEOUT)
{
	char before[16];
	int limit = 60;

	if (machine.b < 0)
		SKIP(return, "needs two ordinary nodes");
	if (read_file(BALANCING, before, sizeof(before)) < 0 || numa_scans() < 0)
		SKIP(return, "needs CONFIG_NUMA_BALANCING");
	ASSERT_EQ(0, write_file(BALANCING, "1"));
	ASSERT_TRUE(cg_make("two"));
	ASSERT_TRUE(cg_make("one"));
	ASSERT_EQ(0, set_mems("two", "%d,%d", machine.a, machine.b));
	ASSERT_EQ(0, set_mems("one", "%s", self->named));

	limit = in_task(cg_path("two", "cgroup.procs"), first_scan, &limit);
	EXPECT_LT(0, limit);
	EXPECT_GT(FAILED, limit);
	limit = 2 * limit + 1;
	EXPECT_EQ(0, in_task(cg_path("one", "cgroup.procs"), first_scan, &limit));
	write_file(BALANCING, before);
}

/* ---- Whom the OOM killer takes ---- */

#define CONSOLE_LEVEL	"/proc/sys/kernel/printk"

static long node_figure(int nid, const char *file, const char *key)
{
	char path[64], text[TEXT], *found;

	snprintf(path, sizeof(path), NODES "/node%d/%s", nid, file);
	if (read_file(path, text, sizeof(text)) < 0)
		return -1;
	found = strstr(text, key);
	return found ? atol(found + strlen(key)) : -1;
}

/* All memory that there is, and some */
static int takes_all(void *arg)
{
	size_t size = *(size_t *)arg;
	char *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return FAILED;
	madvise(map, size, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < size; i += getpagesize())
		map[i] = 1;
	return 1;
}

/* Waits in a cgroup with so many thousandths of its memory to his account. */
static pid_t waits_with(const char *procs, long score)
{
	char text[24];
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(text, sizeof(text), "%ld", score);
	if (!enter(procs) || write_file("/proc/self/oom_score_adj", text))
		_exit(FAILED);
	for (;;)
		pause();
}

/*
 * How much oom_score_adj weighs depends on the memory that a task could have had.
 * That is so chosen here that who took all is killed, and were the other one if
 * private memory counted.
 */
TEST_F_TIMEOUT(cpuset, oom_counts_ordinary_memory, TIMEOUT)
{
	long total, left, private, score;
	int code, level;
	char before[64];
	pid_t taker, other;
	const char *procs;
	size_t size;

	if (machine.b < 0)
		SKIP(return, "needs two ordinary nodes");
	total = node_figure(machine.b, "meminfo", "MemTotal:");
	left = node_figure(machine.b, "meminfo", "MemFree:");
	private = node_figure(machine.nid, "private_meminfo", "PrivateTotal:");
	ASSERT_LT(0, private);
	/* Between what it is without and with private memory, nearer to the first */
	score = left * 1000 / (total + private / 3);
	if (score > 1000 || left * 3 < total)
		SKIP(return, "needs more free memory on the second node");
	ASSERT_TRUE(cg_make("c"));
	procs = strdup(cg_path("c", "cgroup.procs"));
	ASSERT_EQ(0, set_mems("c", "%d,%d", machine.b, machine.nid));
	other = waits_with(procs, score);
	ASSERT_LT(0, other);

	/*
	 * It is what is wanted, and no fault of the kernel's that whoever reads
	 * the console has to hear of: a warning ends the machine anyway.
	 */
	ASSERT_LT(0, read_file(CONSOLE_LEVEL, before, sizeof(before)));
	level = atoi(before);
	snprintf(before, sizeof(before), "%d", level);
	ASSERT_EQ(0, write_file(CONSOLE_LEVEL, "3"));
	size = (size_t)(total + (64 << 10)) << 10;
	taker = fork();
	if (!taker) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(enter(procs) ? takes_all(&size) : FAILED);
	}
	EXPECT_EQ(taker, waitpid(taker, &code, 0));
	write_file(CONSOLE_LEVEL, before);
	EXPECT_TRUE(WIFSIGNALED(code) && WTERMSIG(code) == SIGKILL) {
		TH_LOG("status %#x", code);
	}
	EXPECT_EQ(0, waitpid(other, &code, WNOHANG)) {
		TH_LOG("the other was killed: %ld kB of %ld free, %ld private, score %ld",
		       left, total, private, score);
	}
	kill(other, SIGKILL);
	waitpid(other, &code, 0);
}

/* ---- The legacy hierarchy ---- */

static int in_v1(const char *cgroup)
{
	char path[512];

	snprintf(path, sizeof(path), CGROUP1 "/%s/tasks", cgroup);
	return in_task(path, call_facts, NULL);
}

TEST_F_TIMEOUT(cpuset, none_in_version_1, TIMEOUT)
{
	char buf[4096], cpus[4096];

	/* Moves only if nobody has a cpuset. */
	cg_remove(CGROUP2 "/" BASE);
	ASSERT_EQ(0, write_file(CGROUP2 "/cgroup.subtree_control", "-cpuset"));
	mkdir(CGROUP1, 0700);
	/* Cgroups that were removed take their time. */
	for (int i = 0; i < 100; i++) {
		if (!mount("none", CGROUP1, "cgroup", 0, "cpuset"))
			break;
		if (errno == ENODEV || errno == EINVAL || errno == ENOENT) {
			rmdir(CGROUP1);
			SKIP(return, "no cpusets of version 1");
		}
		ASSERT_EQ(EBUSY, errno);
		usleep(100000);
	}

	ASSERT_LE(0, read_file(CGROUP1 "/cpuset.mems", buf, sizeof(buf)));
	EXPECT_FALSE(list_has(buf, machine.nid));
	ASSERT_LE(0, read_file(CGROUP1 "/cpuset.cpus", cpus, sizeof(cpus)));
	ASSERT_EQ(0, mkdir(CGROUP1 "/c", 0755));
	ASSERT_EQ(0, write_file(CGROUP1 "/c/cpuset.cpus", cpus));
	EXPECT_EQ(EINVAL, write_file(CGROUP1 "/c/cpuset.mems", self->named));
	ASSERT_EQ(0, write_file(CGROUP1 "/c/cpuset.mems", buf));
	EXPECT_EQ(OWNED | self->all, in_v1("c"));
	/* The root, too, as a task of it was there before. */
	EXPECT_EQ(OWNED | self->all, facts());

	/* It comes and goes, and nothing is seen of it. */
	EXPECT_TRUE(unplug());
	EXPECT_TRUE(plug());
	EXPECT_EQ(OWNED | self->all, in_v1("c"));
	ASSERT_EQ(0, rmdir(CGROUP1 "/c"));
	ASSERT_EQ(0, umount(CGROUP1));

	/*
	 * And back: the hierarchy goes when it is unmounted and has no cgroup,
	 * and the one that was removed takes its time.
	 */
	for (int i = 0; i < 100; i++) {
		usleep(100000);
		if (!write_file(CGROUP2 "/cgroup.subtree_control", "+cpuset"))
			break;
		if (!mount("none", CGROUP1, "cgroup", 0, "cpuset"))
			umount(CGROUP1);
	}
	rmdir(CGROUP1);
	ASSERT_TRUE(cg_make_parent(""));
	ASSERT_TRUE(cg_make("c"));
	ASSERT_EQ(OFFERED | OWNED | self->all, task_facts("c"));
	ASSERT_EQ(0, set_mems("c", "%s", self->named));
	ASSERT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("c"));
	/* A task that was there all the time. */
	ASSERT_EQ(OFFERED | OWNED | self->all, facts());
}

/* ---- Where private memory is shown ---- */

TEST_F_TIMEOUT(cpuset, shown_in_numa_stat, TIMEOUT)
{
	char text[TEXT], column[16];

	snprintf(column, sizeof(column), " N%d=", machine.nid);
	ASSERT_EQ(0, write_file(CGROUP2 "/cgroup.subtree_control", "+memory"));
	ASSERT_TRUE(cg_make("c"));
	ASSERT_LE(0, read_file(cg_path("", "memory.numa_stat"), text, sizeof(text)));
	ASSERT_NE(NULL, strstr(text, column));
}

TEST_F_TIMEOUT(cpuset, shown_in_pagetypeinfo, TIMEOUT)
{
	char *text = calloc(1, 1 << 20), want[32];

	snprintf(want, sizeof(want), "Node %4d, zone  Movable", machine.nid);
	ASSERT_LT(0, read_file("/proc/pagetypeinfo", text, 1 << 20));
	ASSERT_NE(NULL, strstr(text, "Number of blocks"));
	/* Of each node there are lines of free pages, and one of blocks. */
	ASSERT_NE(NULL, strstr(text, want));
	snprintf(want, sizeof(want), "Node %d, zone  Movable", machine.nid);
	ASSERT_NE(NULL, strstr(text, want));
	free(text);
}

#define LRU_GEN		"/sys/kernel/debug/lru_gen"

/* Is a line there for the first memory cgroup? Reads so much at a time. */
static bool lru_gen_has(const char *line, size_t step)
{
	const size_t size = 1 << 20;
	char *text = calloc(1, size), *next;
	int fd = open(LRU_GEN, O_RDONLY);
	ssize_t got = 0;
	size_t len = 0;
	bool found;

	while (len + step < size && (got = read(fd, text + len, step)) > 0)
		len += got;
	close(fd);
	next = strstr(text, "\nmemcg");
	if (next)
		*next = '\0';
	found = !got && strstr(text, line);
	free(text);
	return found;
}

TEST_F_TIMEOUT(cpuset, shown_in_lru_gen, TIMEOUT)
{
	char want[32];

	if (access(LRU_GEN, F_OK))
		SKIP(return, "no lru_gen in debugfs");
	snprintf(want, sizeof(want), "node %5d\n", machine.nid);
	/* From one node to the next, and each found anew */
	EXPECT_TRUE(lru_gen_has(want, 1 << 16));
	EXPECT_TRUE(lru_gen_has(want, 16));
	/* To write is refused, as before. */
	ASSERT_EQ(EINVAL, write_file(LRU_GEN,
				     (snprintf(want, sizeof(want), "+ 1 %d 1\n",
					       machine.nid), want)));
}

TEST_F_TIMEOUT(cpuset, shown_in_unusable_index, TIMEOUT)
{
	char text[TEXT], want[32];

	if (access("/sys/kernel/debug/extfrag/unusable_index", F_OK))
		SKIP(return, "needs CONFIG_COMPACTION and debugfs");
	snprintf(want, sizeof(want), "Node %d, zone  Movable ", machine.nid);
	ASSERT_LT(0, read_file("/sys/kernel/debug/extfrag/unusable_index", text,
			       sizeof(text)));
	ASSERT_NE(NULL, strstr(text, want));
}

TEST_F_TIMEOUT(cpuset, shown_in_kcore, TIMEOUT)
{
	int fd = open("/proc/kcore", O_RDONLY);
	Elf64_Phdr header;
	Elf64_Ehdr elf;
	bool found = false;
	/* The device may begin in the middle of a block. */
	unsigned long long end = machine.start + (128ULL << 20);

	if (fd < 0)
		SKIP(return, "no /proc/kcore");
	ASSERT_NE(0ULL, machine.start);
	ASSERT_EQ((ssize_t)sizeof(elf), pread(fd, &elf, sizeof(elf), 0));
	ASSERT_EQ(ELFCLASS64, elf.e_ident[EI_CLASS]);
	for (int i = 0; i < elf.e_phnum; i++) {
		ASSERT_EQ((ssize_t)sizeof(header),
			  pread(fd, &header, sizeof(header),
				elf.e_phoff + i * sizeof(header)));
		found |= header.p_type == PT_LOAD && header.p_paddr <= end &&
			 end < header.p_paddr + header.p_memsz &&
			 header.p_paddr + header.p_memsz != 0;
	}
	close(fd);
	ASSERT_TRUE(found);
}

/* ---- With pages of a process on the node ---- */

/* How many pages of some memory are on a node, as numa_maps has it. */
static long pages_on(const char *map, int nid)
{
	static char text[1 << 20];
	char start[32], column[16], *line, *found;

	snprintf(start, sizeof(start), "%08lx ", (unsigned long)map);
	snprintf(column, sizeof(column), " N%d=", nid);
	if (read_file("/proc/self/numa_maps", text, sizeof(text)) < 0)
		return -1;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (strncmp(line, start, strlen(start)))
			continue;
		found = strstr(line, column);
		return found ? atol(found + strlen(column)) : 0;
	}
	return -1;
}

/* So many pages, bound to the node and not touched yet */
static char *bound_pages(int pages)
{
	size_t size = pages * getpagesize();
	unsigned long nodes[LONGS] = {};
	char *map;

	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	mask_set(nodes, machine.nid);
	if (syscall(SYS_mbind, map, size, MPOL_BIND | MPOL_F_STATIC_NODES |
		    MPOL_F_PRIVATE, nodes, MAX_NODES, 0))
		return NULL;
	return map;
}

static char *private_pages(void)
{
	char *map = bound_pages(PAGES);

	if (map)
		memset(map, 1, PAGES * getpagesize());
	return map;
}

static bool has_private_policy(void)
{
	unsigned long nodes[LONGS] = {};

	return !syscall(SYS_get_mempolicy, NULL, nodes, MAX_NODES, 0,
			MPOL_F_MEMS_ALLOWED | MPOL_F_PRIVATE);
}

struct moving {
	const char *mems, *stat;
	const char *before, *after;
	int from, to;
};

/* How many pages are left on the private node after a write to cpuset.mems. */
static int moved(void *arg)
{
	struct moving *m = arg;
	long before, after;
	char *map;

	if (write_file(m->mems, m->before))
		return FAILED;
	map = private_pages();
	if (!map)
		return FAILED;
	before = pages_on(map, machine.nid);
	if (before != PAGES || pages_on(map, machine.a))
		return FAILED | 1;
	if (write_file(m->mems, m->after))
		return FAILED | 2;
	after = pages_on(map, machine.nid);
	for (int i = 0; i < PAGES * getpagesize(); i += 64)
		if (map[i] != 1)
			return FAILED | 4;
	return after;
}

TEST_F_TIMEOUT(cpuset, pages_go_with_the_node, TIMEOUT)
{
	struct moving m;
	const char *procs;
	char plain[16];

	if (!has_private_policy())
		SKIP(return, "needs MPOL_F_PRIVATE");
	ASSERT_TRUE(cg_make("c"));
	procs = strdup(cg_path("c", "cgroup.procs"));
	m.mems = strdup(cg_path("c", "cpuset.mems"));

	/* Taken away: to ordinary nodes. */
	snprintf(plain, sizeof(plain), "%d", machine.a);
	m.before = self->named;
	m.after = plain;
	EXPECT_EQ(0, in_task(procs, moved, &m));

	/* Kept: they stay, whatever becomes of ordinary nodes. */
	if (machine.b >= 0) {
		char other[32], both[48];

		snprintf(other, sizeof(other), "%d,%d", machine.b, machine.nid);
		snprintf(both, sizeof(both), "%d,%s", machine.a, other);
		m.after = other;
		EXPECT_EQ(PAGES, in_task(procs, moved, &m));
		m.after = both;
		EXPECT_EQ(PAGES, in_task(procs, moved, &m));
	}
}

/*
 * Nothing is pulled to a private node that a cpuset gets. Returns how many pages
 * of an ordinary node are on the other one then.
 */
static int pulled(void *arg)
{
	struct moving *m = arg;
	size_t size = PAGES * getpagesize();
	unsigned long nodes[LONGS] = {};
	char *map;

	if (write_file(m->mems, m->before))
		return FAILED;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	if (map == MAP_FAILED)
		return FAILED;
	mask_set(nodes, m->from);
	if (syscall(SYS_mbind, map, size, MPOL_BIND, nodes, MAX_NODES, 0))
		return FAILED;
	memset(map, 1, size);
	if (pages_on(map, m->from) != PAGES)
		return FAILED | 1;
	if (write_file(m->mems, m->after))
		return FAILED | 2;
	return pages_on(map, m->to);
}

TEST_F_TIMEOUT(cpuset, pages_follow_ordinary_nodes, TIMEOUT)
{
	char plain[16], other[32], both[32];
	struct moving m;
	const char *procs;

	if (machine.b < 0)
		SKIP(return, "needs two ordinary nodes");
	ASSERT_TRUE(cg_make("c"));
	procs = strdup(cg_path("c", "cgroup.procs"));
	m.mems = strdup(cg_path("c", "cpuset.mems"));
	snprintf(plain, sizeof(plain), "%d", machine.a);
	snprintf(other, sizeof(other), "%d,%d", machine.b, machine.nid);
	m.before = plain;
	m.after = other;
	m.from = machine.a;
	m.to = machine.b;
	EXPECT_EQ(PAGES, in_task(procs, pulled, &m));

	/* A private node does not take the place of an ordinary one that goes. */
	snprintf(both, sizeof(both), "%d,%d", machine.a, machine.b);
	m.before = both;
	m.after = self->named;
	m.from = machine.b;
	m.to = machine.a;
	EXPECT_EQ(PAGES, in_task(procs, pulled, &m));
}

/* The bytes of anonymous memory that memory.numa_stat has in this column, -1: none */
static long long anon_of(const char *path, const char *column)
{
	char text[TEXT], *line, *found;

	if (read_file(path, text, sizeof(text)) < 0)
		return -1;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (strncmp(line, "anon ", 5))
			continue;
		found = strstr(line, column);
		return found ? atoll(found + strlen(column)) : -1;
	}
	return -1;
}

/* What is little is added up every two seconds, not by who reads it. */
static int charged(void *arg)
{
	const long long size = (long long)PAGES * getpagesize();
	struct moving *m = arg;
	char column[16];
	int i;

	if (!private_pages())
		return FAILED;
	snprintf(column, sizeof(column), " N%d=", machine.nid);
	for (i = 0; i < 100; i++) {
		if (anon_of(m->stat, column) >= size)
			return 0;
		usleep(100000);
	}
	return FAILED | 1;
}

/* Of the cgroup itself, and added up in the one above it. */
TEST_F_TIMEOUT(cpuset, pages_in_numa_stat, TIMEOUT)
{
	struct moving m = { .mems = NULL };
	const char *procs;

	if (!has_private_policy())
		SKIP(return, "needs MPOL_F_PRIVATE");
	ASSERT_EQ(0, write_file(CGROUP2 "/cgroup.subtree_control", "+memory"));
	ASSERT_EQ(0, write_file(cg_path("", "cgroup.subtree_control"), "+memory"));
	ASSERT_TRUE(cg_make("c"));
	ASSERT_EQ(0, set_mems("c", "%s", self->named));
	procs = strdup(cg_path("c", "cgroup.procs"));
	m.stat = strdup(cg_path("c", "memory.numa_stat"));
	EXPECT_EQ(0, in_task(procs, charged, &m));
	m.stat = strdup(cg_path("", "memory.numa_stat"));
	EXPECT_EQ(0, in_task(procs, charged, &m));
}

/* ---- Partitions ---- */

/* The last CPU that tasks can have, and that is not the only one; -1: there is none. */
static int second_cpu(void)
{
	char buf[4096];
	int last = -1, count = 0;

	if (read_file(CGROUP2 "/cpuset.cpus.effective", buf, sizeof(buf)) < 0)
		return -1;
	for (int cpu = 0; cpu < MAX_NODES; cpu++) {
		if (!list_has(buf, cpu))
			continue;
		last = cpu;
		count++;
	}
	return count > 1 ? last : -1;
}

static bool is_partition_root(const char *cgroup)
{
	char buf[256];

	return read_file(cg_path(cgroup, "cpuset.cpus.partition"), buf, sizeof(buf)) >= 0 &&
	       !strcmp(buf, "root\n");
}

/*
 * Who has CPUs for himself has private nodes as others have, whichever came first,
 * and what becomes of his nodes is no matter of his CPUs. The cgroup of the test is
 * no partition: that takes exclusive CPUs of it, too.
 */
TEST_F_TIMEOUT(cpuset, partition_root, TIMEOUT)
{
	char text[16], plain[16];
	struct moving m;
	const char *procs;
	int cpu;

	if (!has_private_policy())
		SKIP(return, "needs MPOL_F_PRIVATE");
	cpu = second_cpu();
	if (cpu < 0)
		SKIP(return, "needs two CPUs");
	snprintf(text, sizeof(text), "%d", cpu);
	snprintf(plain, sizeof(plain), "%d", machine.a);
	ASSERT_TRUE(cg_make("c"));
	procs = strdup(cg_path("c", "cgroup.procs"));
	m.mems = strdup(cg_path("c", "cpuset.mems"));
	m.before = self->named;
	m.after = plain;

	ASSERT_EQ(0, set_mems("c", "%s", self->named));
	ASSERT_EQ(0, write_file(cg_path("", "cpuset.cpus.exclusive"), text));
	ASSERT_EQ(0, write_file(cg_path("c", "cpuset.cpus.exclusive"), text));
	ASSERT_EQ(0, write_file(cg_path("c", "cpuset.cpus.partition"), "root"));
	ASSERT_TRUE(is_partition_root("c"));
	EXPECT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("c"));
	EXPECT_TRUE(shown("c"));

	/* Its pages go when the node goes, and nothing is had of it then. */
	EXPECT_EQ(0, in_task(procs, moved, &m));
	EXPECT_EQ(OWNED | HAS_A, task_facts("c"));
	EXPECT_FALSE(shown("c"));
	EXPECT_TRUE(is_partition_root("c"));

	EXPECT_EQ(0, set_mems("c", "%s", self->named));
	EXPECT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("c"));
	EXPECT_TRUE(is_partition_root("c"));
	EXPECT_EQ(0, write_file(cg_path("c", "cpuset.cpus.partition"), "member"));
	EXPECT_EQ(OFFERED | GRANTED | OWNED | HAS_A, task_facts("c"));
}

/* ---- While a node comes and goes ---- */

#define SECONDS	3
/* In which a slow machine has seen both */
#define PATIENCE	120
/* Few, as the memory may be that of an emulated device. */
#define FEW	8
#define FORKED	64

/* Writes one mask after the other, until it is ended. */
static pid_t writes_masks(const struct moving *m)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!write_file(m->mems, m->after) && !usleep(20000) &&
	       !write_file(m->mems, m->before))
		usleep(20000);
	_exit(FAILED);
}

/* Did it go on until now? */
static bool ended(pid_t pid)
{
	int code;

	return !kill(pid, SIGKILL) && waitpid(pid, &code, 0) == pid && WIFSIGNALED(code);
}

/* How many of the few pages are where; of those that are moved right now it is unknown. */
struct places {
	int private, ordinary, elsewhere;
};

static bool find_places(char *map, struct places *places)
{
	int status[FEW];
	void *pages[FEW];

	memset(places, 0, sizeof(*places));
	for (int i = 0; i < FEW; i++)
		pages[i] = map + i * getpagesize();
	if (syscall(SYS_move_pages, 0, (unsigned long)FEW, pages, NULL, status, 0))
		return false;
	for (int i = 0; i < FEW; i++) {
		if (status[i] == machine.nid)
			places->private++;
		else if (status[i] == machine.a)
			places->ordinary++;
		else if (status[i] >= 0)
			places->elsewhere++;
	}
	return true;
}

/* Touches them anew, and looks where they are. */
static bool touch_few(char *map, int value, struct places *places)
{
	const int page = getpagesize();

	if (madvise(map, FEW * page, MADV_DONTNEED))
		return false;
	for (int i = 0; i < FEW; i++)
		map[i * page] = value;
	return find_places(map, places);
}

static bool few_are(const char *map, int value)
{
	for (int i = 0; i < FEW; i++)
		if (map[i * getpagesize()] != value)
			return false;
	return true;
}

/*
 * Faults on the node while others write who has it: there is memory in any case,
 * and it is of the node or of the ordinary one of the mask. At last there is time to
 * look whether it is of the right one.
 */
static int faults(void *arg)
{
	const struct moving *m = arg;
	const time_t start = time(NULL);
	bool private = false, ordinary = false;
	char *map = bound_pages(FEW);
	struct places now;
	int value = 0;
	pid_t writer;

	if (!map)
		return FAILED;
	writer = writes_masks(m);
	if (writer < 0)
		return FAILED | 1;
	while (time(NULL) - start <= SECONDS ||
	       ((!private || !ordinary) && time(NULL) - start < PATIENCE)) {
		value = value % 100 + 1;
		if (!touch_few(map, value, &now) || now.elsewhere || !few_are(map, value))
			return FAILED | 2;
		private |= now.private;
		ordinary |= now.ordinary;
	}
	if (!ended(writer))
		return FAILED | 3;
	if (!private || !ordinary)
		return FAILED | 4 | private;

	if (write_file(m->mems, m->before) || !touch_few(map, 101, &now))
		return FAILED | 8;
	if (now.private != FEW)
		return FAILED | 9;
	if (write_file(m->mems, m->after) || !find_places(map, &now) || !few_are(map, 101))
		return FAILED | 10;
	if (now.ordinary != FEW)
		return FAILED | 11;
	if (!touch_few(map, 102, &now) || now.ordinary != FEW)
		return FAILED | 12;
	return 0;
}

/* A cgroup "c" that was granted the nodes @named, and is to lose the private one */
static bool moving_make(struct moving *m, const char *named)
{
	static char plain[16];

	snprintf(plain, sizeof(plain), "%d", machine.a);
	*m = (struct moving){ .before = named, .after = plain };
	if (!cg_make("c") || set_mems("c", "%s", named))
		return false;
	m->mems = strdup(cg_path("c", "cpuset.mems"));
	return m->mems;
}

TEST_F_TIMEOUT(cpuset, faults_while_masks_change, TIMEOUT)
{
	struct moving m;

	if (!has_private_policy())
		SKIP(return, "needs MPOL_F_PRIVATE");
	ASSERT_TRUE(moving_make(&m, self->named));
	kernel_says("");
	/* FAILED alone is also what somebody is who was killed. */
	EXPECT_EQ(0, in_task(cg_path("c", "cgroup.procs"), faults, &m));
	/* Without memory, or for a moment without */
	EXPECT_EQ(0, kernel_says("VM_FAULT_OOM"));
}

/* Is this page made on the wanted node, once the writer has done his work? */
static int child_of_now(const int *pipes, char *page, int want)
{
	int nid = -1;
	char c;

	/* There is nothing in it, and it ends. */
	close(pipes[1]);
	if (read(pipes[0], &c, 1))
		return FAILED;
	*page = 1;
	if (syscall(SYS_get_mempolicy, &nid, NULL, 0, page, MPOL_F_NODE | MPOL_F_ADDR))
		return FAILED | 1;
	return nid == want ? 0 : 1;
}

/*
 * Forks until a mask is written. Returns how many of the children do not have the
 * nodes of that mask: they were copied from who had others, or was given these.
 */
static int forked_during(const char *mems, const char *mask, char *page, int want)
{
	pid_t writer, children[FORKED];
	int pipes[2], code = 0, nr = 0, wrong = 0;
	bool written = false;

	if (pipe(pipes))
		return FAILED;
	writer = fork();
	if (!writer) {
		close(pipes[1]);
		_exit(write_file(mems, mask));
	}
	while (writer > 0 && nr < FORKED && !written) {
		children[nr] = fork();
		if (!children[nr])
			_exit(child_of_now(pipes, page, want));
		if (children[nr] < 0)
			break;
		nr++;
		written = waitpid(writer, &code, WNOHANG) == writer;
	}
	if (writer > 0 && !written)
		written = waitpid(writer, &code, 0) == writer;
	close(pipes[1]);
	close(pipes[0]);
	if (!written || code || !nr)
		wrong = FAILED;
	for (int i = 0; i < nr; i++)
		wrong += waitpid(children[i], &code, 0) != children[i] || code;
	return wrong;
}

static int forks(void *arg)
{
	const struct moving *m = arg;
	const time_t start = time(NULL);
	char *page = bound_pages(1);
	int wrong = page ? 0 : FAILED;

	for (int i = 0; !wrong && time(NULL) - start <= SECONDS; i++)
		wrong = i % 2 ? forked_during(m->mems, m->before, page, machine.nid) :
				forked_during(m->mems, m->after, page, machine.a);
	return wrong;
}

/* Children have the nodes of now, and not those of when they were copied. */
TEST_F_TIMEOUT(cpuset, forks_while_masks_change, TIMEOUT)
{
	struct moving m;

	if (!has_private_policy())
		SKIP(return, "needs MPOL_F_PRIVATE");
	ASSERT_TRUE(moving_make(&m, self->named));
	EXPECT_EQ(0, in_task(cg_path("c", "cgroup.procs"), forks, &m));
}

int main(int argc, char **argv)
{
	bool look = false;

	/* To list cases needs no device. */
	for (int i = 1; i < argc; i++)
		look |= !strcmp(argv[i], "-l") || !strcmp(argv[i], "-h");
	main_pid = getpid();
	if (!look && !geteuid() && !access(DAX "/drivers/" OURS, F_OK)) {
		find_ordinary();
		find_dax();
		find_above();
		atexit(give_back);
		if (*machine.dax && !take_dax())
			*machine.dax = '\0';
	}
	return test_harness_run(argc, argv);
}
