/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of memory policies that name private nodes have in common: two
 * dax devices whose memory is not in use become private nodes, P, whose owner
 * lets users in, and U, whose owner does not.
 */
#ifndef PRIVATE_POLICY_COMMON_H
#define PRIVATE_POLICY_COMMON_H

#include <linux/mempolicy.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#include "../private_node/dax.h"

#ifndef MPOL_F_PRIVATE
#define MPOL_F_PRIVATE	(1 << 12)
#endif

#define ZRAM		"/dev/zram0"
#define ZRAM_SYS	"/sys/block/zram0/"

#define MASK_LONGS	16
#define MAX_NODE	(MASK_LONGS * 64)
/* With a debug kernel on an emulated CPU. */
#define TIMEOUT		900
/* What spills is so much larger than the node. */
#define MORE		(32UL << 20)
/* Each CPU counts so many free pages for itself that it is full with some left. */
#define SLACK		512

#define S		MPOL_F_STATIC_NODES
#define R		MPOL_F_RELATIVE_NODES
#define B		MPOL_F_NUMA_BALANCING
#define V		MPOL_F_PRIVATE
#define SV		(S | V)

struct mask {
	unsigned long bits[MASK_LONGS];
};

/*
 * The nodes: two ordinary ones, the second -1 where there is one alone; private
 * ones, when they are plugged; one without memory.
 */
extern int D, D1, P, U, X;
extern char dev_p[32], dev_u[32];
extern unsigned long page;

/* ---- Files ---- */

bool file_has(const char *path, const char *text);
long number_in(const char *path, const char *word);
long node_kb(int node, const char *word);
long private_kb(int node, const char *word);
bool log_has(int fd, const char *text);
int log_open(void);

/* ---- Devices ---- */

int dax_number(const char *name, const char *attr);
bool dax_take(const char *name);
int dax_plug(const char *name, const char *features);
bool dax_to_kmem(const char *name);
bool dax_from_kmem(const char *name);
void devices_give_back(void);
const char *whats_missing(void);
bool plug_two(const char *features, int *second);

/* ---- Nodes and policies ---- */

struct mask nodes(int first, int second);
void node_add(struct mask *mask, int node);
bool has_node(const struct mask *mask, int node);
int set_policy(int mode, struct mask mask);
int bind_range(void *start, size_t len, int mode, struct mask mask,
	       unsigned int flags);
int get_policy(int *mode, struct mask *mask, void *addr, int flags);
int node_of(const void *addr);
long count_on(const char *start, size_t len, int node);
unsigned long frame_of(const void *addr);
char *map(size_t len);
void touch(char *start, size_t len);
int drop_sys_nice(void);

/* ---- Who asks ---- */

/*
 * Privileged, Unprivileged, Granted (without privilege, in a cgroup that was), Left
 * out by his cgroup though privileged, or "l", left out without.
 */
struct caller {
	char letter;
	const char *cgroup;
	bool nice;
};

#define NR_CALLERS	5

extern const struct caller callers[NR_CALLERS];

int callers_make(void);
int become(const struct caller *caller);

/* ---- What must not happen meanwhile ---- */

struct watch {
	int log;
	long killed;
};

bool watch_begin(struct watch *watch);
bool watch_end(struct watch *watch, const char *complaint);

/* ---- Tables ---- */

bool words_have(const char *words, const char *word);
const char *letters_of(const char *letters, unsigned int set);
const void *only_row(const void *rows, size_t count, size_t size,
		     bool (*fits)(const void *row, const void *what),
		     const void *what);

/* ---- Cgroups ---- */

#define CGROUP		"/tmp/private_policy_cgroup"

int cgroups_mount(const char *controllers);
void cgroups_remove(void);
int cgroup_enter(const char *name);
int cgroup_make(const char *name, const struct mask *mems);
int cgroup_set_mems(const char *name, const struct mask *mems);

/* ---- SIGBUS ---- */

extern volatile sig_atomic_t bus_code;
extern void *volatile bus_addr;

void catch_bus(void);
size_t touch_until_bus(char *start, size_t len);
size_t touch_in_time(char *start, size_t len, int seconds);
bool gets_bus(char *start, size_t len);
char *fill(int node, size_t *len);

/* ---- Swap ---- */

bool swap_on_device(const char *path, unsigned long size);
bool swap_on(void);
void swap_off(void);
bool in_swap(char *addr);
bool all_swapped(char *start, size_t len);

/* ---- Pins ---- */

int ring_open(void);
int pin(int ring, char *addr, size_t len);
int unpin(int ring);

/* ---- Children ---- */

int wait_for(pid_t child);
void run_begin(void);

/* What main() does */
#define RUN_TESTS(argc, argv)						\
({									\
	int ret_;							\
									\
	run_begin();							\
	ret_ = test_harness_run(argc, argv);				\
	devices_give_back();						\
	ret_;								\
})

/* Run in a child, which fails by what it returns; @time is seconds */
#define IN_CHILD(time, expression)					\
({									\
	pid_t child_ = fork();						\
									\
	if (!child_) {							\
		int bad_;						\
									\
		prctl(PR_SET_PDEATHSIG, SIGKILL);			\
		alarm(time);						\
		bad_ = !!(expression);					\
		fflush(stdout);						\
		_exit(bad_);						\
	}								\
	wait_for(child_);						\
})

#endif
