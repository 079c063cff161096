// SPDX-License-Identifier: GPL-2.0
/* Processes that hold memory, and their cgroups: see holder.h */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common.h"
#include "holder.h"

#define HUGE	(2UL << 20)

struct order {
	enum holder_what what;
	long arg;
};

/* ---- Cgroups ---- */

static void cgroup_path(char *path, size_t size, const char *name,
			const char *file)
{
	snprintf(path, size, CGROUP "/%s/%s", name, file);
}

/* Whoever was in there may still be on his way out. */
void cgroup_remove(const char *name)
{
	char path[256];

	cgroup_path(path, sizeof(path), name, "");
	for (int i = 0; i < 200 && rmdir(path) && errno == EBUSY; i++)
		usleep(20000);
}

int cgroup_write(const char *name, const char *file, const char *text)
{
	char path[256];

	cgroup_path(path, sizeof(path), name, file);
	return write_file(path, text);
}

long cgroup_number(const char *name, const char *file, const char *word)
{
	char path[256];

	cgroup_path(path, sizeof(path), name, file);
	return number_in(path, word);
}

/* ---- What is in the memory ---- */

static uint64_t word_of(size_t index, uint64_t round, size_t i)
{
	return (index + 1) * 0x9e3779b97f4a7c15 + round * 0x10001 + (i & 7);
}

static void write_page(char *addr, size_t index, uint64_t round)
{
	uint64_t *words = (uint64_t *)addr;

	for (size_t i = 0; i < page / sizeof(*words); i++)
		words[i] = word_of(index, round, i);
}

static bool page_intact(const char *addr, size_t index, uint64_t round)
{
	const uint64_t *words = (const uint64_t *)addr;

	for (size_t i = 0; i < page / sizeof(*words); i++)
		if (words[i] != word_of(index, round, i))
			return false;
	return true;
}

static void write_all(char *area, size_t len, uint64_t round)
{
	for (size_t i = 0; i < len / page; i++)
		write_page(area + i * page, i, round);
}

static bool all_intact(const char *area, size_t len, uint64_t round)
{
	for (size_t i = 0; i < len / page; i++)
		if (!page_intact(area + i * page, i, round))
			return false;
	return true;
}

/* ---- The process ---- */

static void cut(char *area, size_t len)
{
	for (size_t i = 0; i < len; i += HUGE)
		munmap(area + i + page, HUGE - page);
}

static void hold(char *area, size_t len, int to, int from)
{
	uint64_t round = 0;
	struct order order;
	long said;

	write_all(area, len, round);
	said = 0;
	if (write(from, &said, sizeof(said)) != sizeof(said))
		_exit(2);
	while (read(to, &order, sizeof(order)) == sizeof(order)) {
		said = 0;
		switch (order.what) {
		case HOLDER_COUNT:
			said = count_on(area, len, order.arg);
			break;
		case HOLDER_INTACT:
			said = all_intact(area, len, round);
			break;
		case HOLDER_WRITE:
			write_all(area, len, ++round);
			break;
		case HOLDER_PAGEOUT:
			said = madvise(area, len, MADV_PAGEOUT) ? errno : 0;
			break;
		case HOLDER_CUT:
			cut(area, len);
			break;
		case HOLDER_END:
			_exit(0);
		}
		if (write(from, &said, sizeof(said)) != sizeof(said))
			_exit(2);
	}
	_exit(0);
}

static char *area_of(size_t len, int node, bool huge)
{
	char *area = mmap(NULL, len + HUGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return NULL;
	area = (char *)(((unsigned long)area + HUGE - 1) & -HUGE);
	if (madvise(area, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		return NULL;
	if (node >= 0 && bind_range(area, len, MPOL_BIND | SV, nodes(node, -1), 0))
		return NULL;
	return area;
}

bool holder_start(struct holder *h, const char *cgroup, size_t len, int node,
		  bool huge)
{
	int to[2], from[2];
	long said = -1;
	char *area;

	*h = (struct holder){ .cgroup = cgroup, .len = len };
	/* It may be killed: that is what some cases are about. */
	signal(SIGPIPE, SIG_IGN);
	if (pipe(to) || pipe(from))
		return false;
	h->pid = fork();
	if (!h->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to[1]);
		close(from[0]);
		if (cgroup_enter(cgroup))
			_exit(3);
		area = area_of(len, node, huge);
		if (!area)
			_exit(4);
		hold(area, len, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	h->to = to[1];
	h->from = from[0];
	return h->pid > 0 &&
	       read(h->from, &said, sizeof(said)) == sizeof(said) && !said;
}

long holder_ask(struct holder *h, enum holder_what what, long arg)
{
	struct order order = { .what = what, .arg = arg };
	long said = -1;

	if (write(h->to, &order, sizeof(order)) != sizeof(order) ||
	    read(h->from, &said, sizeof(said)) != sizeof(said))
		return -1;
	return said;
}

int holder_stop(struct holder *h)
{
	struct order order = { .what = HOLDER_END };
	int status;

	if (h->pid <= 0)
		return -1;
	if (write(h->to, &order, sizeof(order)) != sizeof(order))
		kill(h->pid, SIGKILL);
	close(h->to);
	close(h->from);
	status = wait_for(h->pid);
	h->pid = 0;
	return status;
}
