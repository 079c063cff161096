// SPDX-License-Identifier: GPL-2.0
/*
 * A day with two private nodes: processes in cgroups that are granted one, the
 * other or both, and lose them again, use them by mbind(), task policies, tmpfs,
 * huge pages, fork(), swap and move_pages(), while the nodes are plugged and
 * unplugged and memory is short. What they do is chosen by a random number whose
 * seed is printed.
 *
 * Several times a day, and at its end, all stand still, and each page of private
 * memory is looked at: it is free, or anonymous or in tmpfs and charged to a
 * cgroup that was granted the node. At the end all of it is free, and the nodes
 * go.
 *
 * README says what a failure means.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

#define MNT		"/tmp/day_mnt"
#define WORKERS		6
#define SLOTS		12
#define HUGE		(2UL << 20)
#define MOST		(6UL << 20)
/* How often all stand still, beside the end, and what has to happen in between */
#define CHECKS		4
#define EVENTS		12

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* Which of the nodes a worker may ever be granted: bits of P and Q */
#define MAY_P		1
#define MAY_Q		2

static const int may[WORKERS] = {
	MAY_P | MAY_Q, MAY_P | MAY_Q, MAY_P, MAY_Q, MAY_P | MAY_Q, 0,
};

/* The other private node */
static int Q;

static struct shared {
	volatile int halt, over;
	volatile int halted[WORKERS];
	volatile long rounds[WORKERS], on_private[WORKERS], full[WORKERS];
	/* What a worker has against the kernel */
	char wrong[WORKERS][160];
} *shared;

/* ---- Random numbers ---- */

static uint64_t state;

static unsigned long roll(unsigned long below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static void seed(unsigned long start, int who)
{
	state = (start + 1) * 0x9e3779b97f4a7c15ULL + who * 0xbf58476d1ce4e5b9ULL;
	for (int i = 0; i < 8; i++)
		roll(2);
}

/* ---- A worker ---- */

/* Some memory, each page of which begins with its address and a stamp */
struct slot {
	char *start;
	size_t len;
	uint64_t stamp;
	/* How much of it has been written */
	size_t written;
	int fd;
	/* It is bound to private nodes alone, and can be told that they are full. */
	bool strict;
};

static struct slot slots[SLOTS];
static int me;

/* Does not return */
static void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(shared->wrong[me], sizeof(shared->wrong[me]), format, args);
	va_end(args);
	shared->halted[me] = 1;
	_exit(1);
}

static void drop(struct slot *slot)
{
	if (slot->start)
		munmap(slot->start, slot->len);
	if (slot->fd >= 0)
		close(slot->fd);
	*slot = (struct slot){ .fd = -1 };
}

static uint64_t *word(struct slot *slot, size_t offset)
{
	return (uint64_t *)(slot->start + offset);
}

/*
 * What is in the slot that is being written or read: SIGBUS ends that where it was
 * asked for, which is also when a page comes back from swap.
 */
static struct slot *volatile current;
static sigjmp_buf full_back;

static void on_full(int sig)
{
	(void)sig;
	if (!current || !current->strict)
		complain("SIGBUS in memory that is not bound to private nodes alone");
	shared->full[me]++;
	siglongjmp(full_back, 1);
}

static void check_pages(struct slot *slot)
{
	for (size_t i = 0; i < slot->written; i += page) {
		uint64_t *at = word(slot, i);

		if (at[0] != (slot->stamp ^ i) || at[page / 8 - 1] != ~(slot->stamp ^ i))
			complain("page %zu of %zu: %#lx and %#lx, not %#lx", i / page,
				 slot->written / page, (long)at[0], (long)at[page / 8 - 1],
				 (long)(slot->stamp ^ i));
	}
}

static void write_pages(struct slot *slot)
{
	for (; slot->written < slot->len; slot->written += page) {
		uint64_t *at = word(slot, slot->written);

		at[0] = slot->stamp ^ slot->written;
		at[page / 8 - 1] = ~(slot->stamp ^ slot->written);
	}
}

static void guarded(struct slot *slot, void (*what)(struct slot *slot))
{
	current = slot;
	if (!sigsetjmp(full_back, 1))
		what(slot);
	current = NULL;
}

static void check(struct slot *slot)
{
	guarded(slot, check_pages);
}

/* Write the pages that have not been. */
static void write_slot(struct slot *slot)
{
	guarded(slot, write_pages);
}

static const int modes[] = {
	MPOL_BIND, MPOL_PREFERRED_MANY, MPOL_INTERLEAVE, MPOL_WEIGHTED_INTERLEAVE,
};

/* P, Q, or both, and perhaps an ordinary node; without permission that is no error */
static struct mask some_nodes(bool *strict)
{
	struct mask mask = {};
	int which = 1 + roll(3), mixed = roll(3);

	if (which & MAY_P)
		mask.bits[P / 64] |= 1UL << P % 64;
	if (which & MAY_Q)
		mask.bits[Q / 64] |= 1UL << Q % 64;
	if (!mixed)
		mask.bits[D / 64] |= 1UL << D % 64;
	*strict = mixed;
	return mask;
}

static bool answer_is_known(int error)
{
	/* The node is not plugged, not his, not offered just now. */
	return !error || error == EINVAL || error == EPERM || error == EOPNOTSUPP;
}

static void bind_slot(struct slot *slot, unsigned int flags)
{
	int mode = modes[roll(ARRAY_SIZE(modes))], error;
	struct mask mask;
	bool strict;

	mask = some_nodes(&strict);
	error = bind_range(slot->start, slot->len, mode | SV, mask, flags);
	if (!error)
		slot->strict = strict && mode == MPOL_BIND;
	else if (!answer_is_known(error) && error != EIO && error != ENOMEM)
		complain("mbind: %s", strerror(error));
}

static struct slot *any_slot(void)
{
	return &slots[roll(SLOTS)];
}

static void take_memory(void)
{
	struct slot *slot = any_slot();
	bool huge = !roll(3);
	char *area;

	drop(slot);
	slot->len = huge ? HUGE * (1 + roll(2)) : page * (1 + roll(MOST / page / 2));
	area = mmap(NULL, slot->len + HUGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return;
	/* Where a huge page fits; the rest is given back. */
	slot->start = (char *)(((unsigned long)area + HUGE - 1) & -HUGE);
	if (slot->start > area)
		munmap(area, slot->start - area);
	if (slot->start < area + HUGE)
		munmap(slot->start + ((slot->len + page - 1) & -page),
		       area + HUGE - slot->start);
	madvise(slot->start, slot->len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	slot->stamp = ((uint64_t)roll(1UL << 40) << 16) | (me << 8);
	if (roll(4))
		bind_slot(slot, 0);
	write_slot(slot);
}

/* A file on a mount that somebody else has made */
static void take_file(void)
{
	struct slot *slot = any_slot();
	char path[64];

	drop(slot);
	snprintf(path, sizeof(path), MNT "/%c/%d", roll(2) ? 'p' : 'q', me);
	slot->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (slot->fd < 0)
		return;
	unlink(path);
	slot->len = page * (1 + roll(256));
	if (ftruncate(slot->fd, slot->len)) {
		drop(slot);
		return;
	}
	slot->start = mmap(NULL, slot->len, PROT_READ | PROT_WRITE, MAP_SHARED, slot->fd, 0);
	if (slot->start == MAP_FAILED) {
		slot->start = NULL;
		drop(slot);
		return;
	}
	slot->stamp = ((uint64_t)roll(1UL << 40) << 16) | (me << 8) | 1;
	/* Of size= there may be no more, and the mount may be bound: either is SIGBUS. */
	slot->strict = true;
	write_slot(slot);
}

static void give_back_part(void)
{
	struct slot *slot = any_slot();
	size_t keep;

	if (!slot->written || slot->fd >= 0)
		return;
	check(slot);
	keep = roll(slot->written / page + 1) * page;
	if (!madvise(slot->start + keep, slot->len - keep, MADV_DONTNEED))
		slot->written = keep;
	if (roll(2))
		write_slot(slot);
}

/* A child has copies, and changes some; ours stay what they are. */
static void fork_once(void)
{
	pid_t child = fork();

	if (!child) {
		struct slot *slot = any_slot();

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGBUS, SIG_DFL);
		if (slot->fd < 0)
			for (size_t i = 0; i < slot->written; i += page * (1 + roll(4)))
				*word(slot, i + 8) = 0;
		_exit(0);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

static void move_some(void)
{
	struct slot *slot = any_slot();
	void *pages[64];
	int to[64], status[64], node;
	size_t count, first;
	long left;

	if (!slot->written)
		return;
	switch (roll(4)) {
	case 0:
		node = D;
		break;
	case 1:
		node = D1 >= 0 ? D1 : D;
		break;
	case 2:
		node = P;
		break;
	default:
		node = Q;
	}
	first = roll(slot->written / page);
	for (count = 0; count < 64 && (first + count) * page < slot->written; count++) {
		pages[count] = slot->start + (first + count) * page;
		to[count] = node;
	}
	left = syscall(SYS_move_pages, 0, count, pages, to, status, MPOL_MF_MOVE);
	if (left < 0 && errno != ENODEV && errno != EACCES && errno != EPERM &&
	    errno != ENOMEM && errno != ENOENT)
		complain("move_pages: %s", strerror(errno));
}

static void choose_policy(void)
{
	struct mask mask;
	bool strict;
	int error;

	/* Never strict: what is full then is every page of the task. */
	mask = some_nodes(&strict);
	error = roll(2) ? set_policy(MPOL_PREFERRED_MANY | SV, mask) :
			  set_policy(MPOL_DEFAULT, nodes(-1, -1));
	if (!answer_is_known(error))
		complain("set_mempolicy: %s", strerror(error));
}

static void other_advice(void)
{
	static const int advice[] = { MADV_PAGEOUT, MADV_COLD, MADV_COLLAPSE, MADV_WILLNEED };
	struct slot *slot = any_slot();

	if (slot->start)
		madvise(slot->start, slot->len, advice[roll(ARRAY_SIZE(advice))]);
}

/* mremap(), mlock() and a binding that moves what is there */
static void other_changes(void)
{
	struct slot *slot = any_slot();

	if (!slot->start || slot->fd >= 0)
		return;
	switch (roll(3)) {
	case 0:
		bind_slot(slot, MPOL_MF_MOVE);
		break;
	case 1:
		if (!mlock(slot->start, slot->written))
			munlock(slot->start, slot->written);
		break;
	default:
		check(slot);
		drop(slot);
	}
}

static void (* const works[])(void) = {
	take_memory, take_memory, take_memory, take_file, give_back_part, fork_once,
	move_some, move_some, choose_policy, other_advice, other_advice, other_changes,
};

static long on_private(void)
{
	long count = 0;

	for (int i = 0; i < SLOTS; i++)
		for (size_t at = 0; at < slots[i].written; at += page * 16) {
			int node = node_of(slots[i].start + at);

			count += node == P || node == Q;
		}
	return count;
}

/* Until the day is over; when all are to stand still, this one says that it does. */
static void work(unsigned long start)
{
	struct sigaction action = { .sa_handler = on_full };
	char path[64];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGBUS, &action, NULL);
	seed(start, me + 1);
	for (int i = 0; i < SLOTS; i++)
		slots[i].fd = -1;
	snprintf(path, sizeof(path), CGROUP "/%d/cgroup.procs", me);
	/* So that only a grant counts */
	if (write_file(path, "0") || drop_sys_nice())
		complain("cannot begin");
	while (!shared->over) {
		if (shared->halt) {
			shared->on_private[me] += on_private();
			for (int i = 0; i < SLOTS; i++)
				check(&slots[i]);
			shared->halted[me] = 1;
			while (shared->halt && !shared->over)
				usleep(10000);
			shared->halted[me] = 0;
		}
		works[roll(ARRAY_SIZE(works))]();
		shared->rounds[me]++;
	}
	for (int i = 0; i < SLOTS; i++)
		check(&slots[i]);
	_exit(0);
}

/* ---- What happens around them ---- */

static bool plugged[2];

static void plug(int which, bool on)
{
	static const char * const features[] = { "user", "user+reclaim" };
	const char *name = which ? dev_u : dev_p;

	if (plugged[which] == on)
		return;
	if (on) {
		plugged[which] = dax_plug(name, features[roll(2)]) == (which ? Q : P);
		return;
	}
	/* A page that is pinned for a moment is waited for. */
	if (!dax_write(name, "state", "unplugged"))
		plugged[which] = false;
}

static int set_mems(int who, int which)
{
	char path[64], mems[64];
	size_t len;

	len = snprintf(mems, sizeof(mems), "%d", D);
	if (D1 >= 0 && roll(4))
		len += snprintf(mems + len, sizeof(mems) - len, ",%d", D1);
	if (which & MAY_P)
		len += snprintf(mems + len, sizeof(mems) - len, ",%d", P);
	if (which & MAY_Q)
		snprintf(mems + len, sizeof(mems) - len, ",%d", Q);
	snprintf(path, sizeof(path), CGROUP "/%d/cpuset.mems", who);
	return write_file(path, mems);
}

static void grant(void)
{
	int who = roll(WORKERS);

	set_mems(who, may[who] & (roll(3) ? 3 : roll(4)));
}

static void squeeze(void)
{
	char path[64];

	snprintf(path, sizeof(path), CGROUP "/%d/memory.reclaim", (int)roll(WORKERS));
	write_file(path, "8M");
}

/* What is left of ordinary memory for all of them, and what pressure leaves */
#define ROOM		(448L << 20)
#define RESERVE		(192L << 20)

/* Take memory until so much is left, in huge pages as that is fast. */
static void take_all_but(long rest)
{
	long size = (number_in("/proc/meminfo", "MemAvailable:") << 10) - rest;
	char *addr;

	if (size < (long)HUGE)
		return;
	addr = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (addr == MAP_FAILED)
		return;
	madvise(addr, size, MADV_HUGEPAGE);
	touch(addr, size);
}

static pid_t ballast;

/* One who has most of ordinary memory all day */
static int ballast_start(void)
{
	int ready[2];
	char byte = 0;

	if (pipe(ready))
		return 1;
	ballast = fork();
	if (!ballast) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		take_all_but(ROOM);
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	byte = read(ready[0], &byte, 1) != 1;
	close(ready[0]);
	return byte;
}

/* Somebody takes much of the rest for a while. */
static void pressure(void)
{
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		take_all_but(RESERVE);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

/* Somebody with privilege takes all of a private node for a moment. */
static void use_up(void)
{
	int node = roll(2) ? Q : P;
	pid_t child = fork();

	if (!child) {
		long size = private_kb(node, "PrivateTotal:") << 10;
		char *addr;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(120);
		if (size <= 0)
			_exit(0);
		addr = map(size);
		if (!addr || bind_range(addr, size, MPOL_BIND | SV, nodes(node, -1), 0))
			_exit(1);
		madvise(addr, size, MADV_HUGEPAGE);
		catch_bus();
		touch_until_bus(addr, size);
		usleep(300000);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static bool swapping;

static void swap_comes_and_goes(void)
{
	if (access(ZRAM, F_OK))
		return;
	if (!swapping)
		swapping = swap_on();
	else if (!swapoff(ZRAM))
		swapping = false;
}

static void plug_something(void)
{
	int which = roll(2);

	plug(which, !plugged[which]);
}

static void mount_again(void)
{
	char path[32], options[64];
	int which = roll(2);

	snprintf(path, sizeof(path), MNT "/%c", which ? 'q' : 'p');
	snprintf(options, sizeof(options), "size=8M,mpol=%s=private:%d",
		 roll(2) ? "bind" : "prefer_many", which ? Q : P);
	umount2(path, MNT_DETACH);
	/* Not while the node is away */
	if (mount("none", path, "tmpfs", 0, options))
		mount("none", path, "tmpfs", 0, "size=8M");
	chmod(path, 0777);
}

static void tidy(void)
{
	static const char * const files[] = {
		"/proc/sys/vm/compact_memory", "/proc/sys/vm/drop_caches",
		"/proc/sys/vm/stat_refresh",
	};

	write_file(files[roll(ARRAY_SIZE(files))], "1");
}

static void (* const events[])(void) = {
	grant, grant, grant, grant, grant, squeeze, squeeze, pressure, swap_comes_and_goes,
	plug_something, plug_something, mount_again, tidy, use_up,
};

/* ---- What is looked at ---- */

static ino_t cgroups[WORKERS];

static bool has(uint64_t flags, int bit)
{
	return flags >> bit & 1;
}

struct found {
	long free, used, charged[WORKERS];
	long wrong;
};

/* Whose memory is a page? -1 if it is free, WORKERS if it is nobody's who may. */
static int owner(uint64_t flags, uint64_t count, uint64_t cgroup, int bit)
{
	if (has(flags, KPF_BUDDY) || has(flags, KPF_OFFLINE))
		return -1;
	if (!has(flags, KPF_ANON) && !has(flags, KPF_SWAPBACKED) &&
	    !has(flags, KPF_COMPOUND_TAIL)) {
		/* On a list of a CPU, or on its way from or to one */
		return count || has(flags, KPF_LRU) || has(flags, KPF_SLAB) ||
		       has(flags, KPF_PGTABLE) ? WORKERS : -1;
	}
	for (int i = 0; i < WORKERS; i++)
		if (cgroup == cgroups[i])
			return may[i] & bit ? i : WORKERS;
	/* Free in the middle of what was a huge page */
	return cgroup || count ? WORKERS : -1;
}

#define AT_ONCE		1024

/* Values of some pages, 0 where there are none */
static void values_of(const char *file, unsigned long pfn, uint64_t *values)
{
	int fd = open(file, O_RDONLY);

	memset(values, 0, AT_ONCE * sizeof(*values));
	if (pread(fd, values, AT_ONCE * sizeof(*values), pfn * sizeof(*values)) < 0)
		ksft_print_msg("%s: %s\n", file, strerror(errno));
	close(fd);
}

static void walk_some(unsigned long pfn, int bit, struct found *found)
{
	static uint64_t flags[AT_ONCE], counts[AT_ONCE], groups[AT_ONCE];

	values_of("/proc/kpageflags", pfn, flags);
	values_of("/proc/kpagecount", pfn, counts);
	values_of("/proc/kpagecgroup", pfn, groups);
	for (int i = 0; i < AT_ONCE; i++) {
		int who = owner(flags[i], counts[i], groups[i], bit);

		if (who < 0) {
			found->free++;
			continue;
		}
		found->used++;
		if (who < WORKERS)
			found->charged[who]++;
		else if (found->wrong++ < 5)
			ksft_print_msg("pfn %#lx: flags %#llx, mapped %lld times, cgroup %lld\n",
				       pfn + i, (unsigned long long)flags[i],
				       (long long)counts[i], (long long)groups[i]);
	}
}

/* All pages of a node: the memory blocks that are in its folder */
static void walk(int node, int bit, struct found *found)
{
	char path[64], text[32];
	unsigned long size, first;
	struct dirent *entry;
	DIR *dir;

	read_file("/sys/devices/system/memory/block_size_bytes", text, sizeof(text));
	size = strtoul(text, NULL, 16);
	snprintf(path, sizeof(path), NODES "/node%d", node);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		char block[400];

		if (strncmp(entry->d_name, "memory", 6) || entry->d_name[6] < '0' ||
		    entry->d_name[6] > '9')
			continue;
		snprintf(block, sizeof(block), "%s/%s/state", path, entry->d_name);
		if (read_file(block, text, sizeof(text)) <= 0 || strncmp(text, "online", 6))
			continue;
		first = strtoul(entry->d_name + 6, NULL, 10) * (size / page);
		for (unsigned long pfn = first; pfn < first + size / page; pfn += AT_ONCE)
			walk_some(pfn, bit, found);
	}
	if (dir)
		closedir(dir);
}

/* What numa_maps of a process says that it has on a node */
static long in_numa_maps(pid_t pid, int node)
{
	static char text[1 << 20];
	char path[64], column[16], *at = text;
	long sum = 0;

	snprintf(path, sizeof(path), "/proc/%d/numa_maps", pid);
	snprintf(column, sizeof(column), " N%d=", node);
	if (read_file(path, text, sizeof(text)) < 0)
		return -1;
	while ((at = strstr(at, column))) {
		at += strlen(column);
		sum += atol(at);
	}
	return sum;
}

static bool all_are(bool halted)
{
	for (int i = 0; i < WORKERS; i++)
		if (shared->halted[i] != halted && !*shared->wrong[i])
			return false;
	return true;
}

/* Returns how much was wrong. */
static long look(const pid_t *pids, int node, int bit)
{
	struct found found = {};
	long mapped = 0, wrong;

	walk(node, bit, &found);
	wrong = found.wrong;
	for (int i = 0; i < WORKERS; i++) {
		long his = in_numa_maps(pids[i], node);

		if (his < 0 || (his && !(may[i] & bit))) {
			ksft_print_msg("worker %d, without a grant, has %ld pages of node %d\n",
				       i, his, node);
			wrong++;
		}
		mapped += his > 0 ? his : 0;
	}
	/* Pages of tmpfs, and those in the swap cache, need not be mapped. */
	if (mapped > found.used) {
		ksft_print_msg("node %d: %ld pages are mapped, and %ld used\n", node, mapped,
			       found.used);
		wrong++;
	}
	ksft_print_msg("node %d: %ld pages free, %ld used, %ld mapped\n", node, found.free,
		       found.used, mapped);
	for (int i = 0; i < WORKERS; i++)
		if (found.charged[i])
			ksft_print_msg("  %ld of worker %d\n", found.charged[i], i);
	return wrong;
}

/* ---- The day ---- */

static int begin(void)
{
	char path[64];
	struct stat st;

	if (cgroups_mount("+cpuset +memory"))
		return 1;
	mkdir(MNT, 0755);
	mkdir(MNT "/p", 0755);
	mkdir(MNT "/q", 0755);
	mount("none", MNT "/p", "tmpfs", 0, "size=8M");
	mount("none", MNT "/q", "tmpfs", 0, "size=8M");
	for (int i = 0; i < WORKERS; i++) {
		snprintf(path, sizeof(path), CGROUP "/%d", i);
		if (mkdir(path, 0700) || stat(path, &st) || set_mems(i, may[i]))
			return 2;
		cgroups[i] = st.st_ino;
	}
	return ballast_start() ? 3 : 0;
}

static void end(void)
{
	if (ballast > 0) {
		kill(ballast, SIGKILL);
		wait_for(ballast);
	}
	ballast = 0;
	if (swapping)
		swap_off();
	swapping = false;
	umount2(MNT "/p", MNT_DETACH);
	umount2(MNT "/q", MNT_DETACH);
	cgroups_remove();
}

static long number_of_env(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtol(text, NULL, 0) : otherwise;
}

static bool all_free(int node)
{
	return private_kb(node, "PrivateFree:") == private_kb(node, "PrivateTotal:");
}

FIXTURE(day)
{
	int log;
	long killed;
	pid_t pids[WORKERS];
};

FIXTURE_SETUP(day)
{
	const char *missing = whats_missing();

	if (missing)
		SKIP(return, "%s", missing);
	if (access("/proc/kpagecgroup", F_OK))
		SKIP(return, "needs CONFIG_PROC_PAGE_MONITOR and CONFIG_MEMCG");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)shared);
	P = dax_plug(dev_p, "user+reclaim");
	Q = dax_plug(dev_u, "user");
	ASSERT_LE(0, P);
	ASSERT_LE(0, Q);
	plugged[0] = true;
	plugged[1] = true;
	self->log = log_open();
	self->killed = number_in("/proc/vmstat", "oom_kill ");
	ASSERT_EQ(0, begin());
}

FIXTURE_TEARDOWN(day)
{
	if (whats_missing() || !shared)
		return;
	shared->over = 1;
	for (int i = 0; i < WORKERS; i++)
		if (self->pids[i] > 0)
			kill(self->pids[i], SIGKILL);
	end();
}

static void stand_still(bool still)
{
	shared->halt = still;
	/* One may wait for the whole of a swap device. */
	for (int i = 0; i < 6000 && !all_are(still); i++)
		usleep(50000);
}

/* Where is one that does not stand still, and his child? */
static void where_is(int who, pid_t pid)
{
	static const char * const files[] = { "stat", "wchan", "syscall", "stack" };
	char path[64], text[4096];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		if (read_file(path, text, sizeof(text)) > 0)
			ksft_print_msg("worker %d, %s: %s\n", who, files[i], text);
	}
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	if (read_file(path, text, sizeof(text)) > 0 && atoi(text) > 0)
		where_is(who, atoi(text));
}

TEST_F_TIMEOUT(day, a_day, 7200)
{
	long seconds = number_of_env("PRIVATE_DAY_SECONDS", 20), wrong = 0, rounds = 0, had = 0;
	unsigned long start = number_of_env("PRIVATE_DAY_SEED", getpid());
	int checks = 0, happened = 0, status;
	time_t morning;

	ksft_print_msg("PRIVATE_DAY_SEED=%lu PRIVATE_DAY_SECONDS=%ld\n", start, seconds);
	for (int i = 0; i < WORKERS; i++) {
		self->pids[i] = fork();
		if (!self->pids[i]) {
			me = i;
			work(start);
		}
	}
	seed(start, 0);
	morning = time(NULL);
	while (checks <= CHECKS) {
		if (happened < EVENTS ||
		    time(NULL) - morning < seconds * (checks + 1) / (CHECKS + 1)) {
			happened++;
			events[roll(ARRAY_SIZE(events))]();
			usleep(20000 * (1 + roll(10)));
			continue;
		}
		stand_still(true);
		EXPECT_TRUE(all_are(true)) {
			TH_LOG("seed %lu: a worker does not stand still", start);
			for (int i = 0; i < WORKERS; i++)
				if (!shared->halted[i])
					where_is(i, self->pids[i]);
		}
		plug(0, true);
		plug(1, true);
		wrong += look(self->pids, P, MAY_P);
		wrong += look(self->pids, Q, MAY_Q);
		stand_still(false);
		checks++;
		happened = 0;
	}
	shared->over = 1;
	for (int i = 0; i < WORKERS; i++) {
		status = wait_for(self->pids[i]);
		self->pids[i] = 0;
		EXPECT_EQ(0, status) {
			TH_LOG("seed %lu: worker %d: status %#x %s", start, i, status,
			       shared->wrong[i]);
		}
		rounds += shared->rounds[i];
		had += shared->on_private[i];
		ksft_print_msg("worker %d: %ld rounds, %ld private pages seen, %ld times full\n",
			       i, shared->rounds[i], shared->on_private[i], shared->full[i]);
	}
	EXPECT_EQ(0, wrong) {
		TH_LOG("seed %lu: pages of private nodes are where they should not be", start);
	}
	/* It was a day of work, and private memory was used by whom it was for. */
	EXPECT_LT(100, rounds);
	EXPECT_LT(0, had);
	EXPECT_EQ(0, shared->on_private[WORKERS - 1]);

	/* And all of it comes back. */
	end();
	for (int i = 0; i < 600 && !(all_free(P) && all_free(Q)); i++) {
		write_file("/proc/sys/vm/stat_refresh", "1");
		usleep(100000);
	}
	EXPECT_TRUE(all_free(P));
	EXPECT_TRUE(all_free(Q));
	plug(0, false);
	plug(1, false);
	EXPECT_FALSE(plugged[0]);
	EXPECT_FALSE(plugged[1]);
	EXPECT_GE(0, number_in("/proc/meminfo", "PrivateTotal:"));
	EXPECT_EQ(self->killed, number_in("/proc/vmstat", "oom_kill "));
	EXPECT_FALSE(log_has(self->log, "page allocation failure"));
}

int main(int argc, char **argv)
{
	return RUN_TESTS(argc, argv);
}
