/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process in a cgroup of its own that holds memory, knows what is in it, and
 * does with it what it is told.
 */
#ifndef PRIVATE_TIER_HOLDER_H
#define PRIVATE_TIER_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct holder {
	const char *cgroup;
	size_t len;
	pid_t pid;
	int to, from;
};

enum holder_what {
	HOLDER_COUNT,		/* how many pages are on node @arg */
	HOLDER_INTACT,		/* is all as it was written? */
	HOLDER_WRITE,		/* write all of it, if it can be told from what was there */
	HOLDER_PAGEOUT,		/* MADV_PAGEOUT; 0 or errno */
	HOLDER_CUT,		/* unmap all but the first page of each huge page */
	HOLDER_END
};

/* As soon as nobody is in there */
void cgroup_remove(const char *name);
int cgroup_write(const char *name, const char *file, const char *text);
long cgroup_number(const char *name, const char *file, const char *word);

/* @node: what all of it is bound to, or -1: no policy. @huge: in huge pages */
bool holder_start(struct holder *h, const char *cgroup, size_t len, int node,
		  bool huge);
long holder_ask(struct holder *h, enum holder_what what, long arg);
/* The status that it ended with */
int holder_stop(struct holder *h);

#endif
