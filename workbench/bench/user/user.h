/* SPDX-License-Identifier: GPL-2.0 */
/* What the programs of `make bench` share. Each prints its figures, a line each:
 *   S NAME OPERATIONS TICKS    a sample; the host takes the median of TICKS / OPERATIONS
 *   F NAME VALUE               a figure as it is
 *   H NAME LIMIT COUNT         a step of a histogram: COUNT values below LIMIT
 */
#ifndef WORKBENCH_BENCH_USER_H
#define WORKBENCH_BENCH_USER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MIB		(1UL << 20)
#define PAGE		4096UL
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* End with a message; the row fails with it. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* The time stamp counter: instructions under -icount, time otherwise. */
static inline uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (uint64_t)high << 32 | low;
}

double ns_now(void);

void *map_anonymous(size_t size);
void *map_small(size_t size);		/* never by huge pages */
void bind_node(void *area, size_t size, int node);
void touch(volatile char *area, size_t size, size_t step);
uint64_t pfn_of(const void *address);
long read_long(const char *path);	/* -1 if it cannot be read */
void write_sysctl(const char *path, const char *text);
uint64_t vmstat(const char *name);	/* 0 if there is no such line */
uint64_t interrupts(const char *name);	/* over all CPUs */

static inline void print_sample(const char *name, long ops, uint64_t used)
{
	printf("S %s %ld %lu\n", name, ops, (unsigned long)used);
}

static inline void print_figure(const char *name, double value)
{
	printf("F %s %.6g\n", name, value);
}

/*
 * Work that makes others sleep and run (hot-unplug, for example) leaves the CPU
 * idle in between, and -icount lets the clock jump then. So a process of the
 * idle class counts in that time, and what it used is taken off.
 */
void busy_start(void);
uint64_t busy_ticks(void);
void busy_stop(void);

int cmd_faults(int argc, char **argv);
int cmd_policies(int argc, char **argv);
int cmd_private(int argc, char **argv);
int cmd_demote(int argc, char **argv);
int cmd_forks(int argc, char **argv);
int cmd_hotplug(int argc, char **argv);
int cmd_secret(int argc, char **argv);
int cmd_secret_twice(int argc, char **argv);
int cmd_secret_kept(int argc, char **argv);
int cmd_secret_rounds(int argc, char **argv);
int cmd_secret_fragmented(int argc, char **argv);
int cmd_owner(int argc, char **argv);
int cmd_owner_nodes(int argc, char **argv);
int cmd_owner_count(int argc, char **argv);
int cmd_mermap(int argc, char **argv);
int cmd_populate(int argc, char **argv);
int cmd_bystander(int argc, char **argv);
int cmd_scaling(int argc, char **argv);

#endif
