/* SPDX-License-Identifier: GPL-2.0 */
/* The loops whose instructions `make bench` counts: what a loop is, and how one is added. */
#ifndef WORKBENCH_BENCH_H
#define WORKBENCH_BENCH_H

#include <linux/types.h>

/**
 * struct bench_loop - Something to be measured.
 * @name: The word in rows.toml (`loop NAME`).
 * @ops: Operations in a sample; passed to @loop. A sample should stay well below
 *	the 4 million instructions after which a timer tick comes: the median of
 *	the samples then has no tick in it.
 * @samples: How many samples.
 * @arg: For the loop's own use: the order, the size, ...
 * @setup: Before the first sample; an error ends the row.
 * @before: Before each sample, outside of what is counted.
 * @loop: What is counted. Returns the operations that it did, or an error.
 * @after: After each sample, outside of what is counted.
 * @teardown: After the last sample; also when a sample failed.
 *
 * All but @name, @ops, @samples and @loop may be left out.
 */
struct bench_loop {
	const char *name;
	unsigned int ops;
	unsigned int samples;
	unsigned long arg;
	int (*setup)(const struct bench_loop *loop);
	int (*before)(const struct bench_loop *loop);
	long (*loop)(const struct bench_loop *loop);
	void (*after)(const struct bench_loop *loop);
	void (*teardown)(const struct bench_loop *loop);
};

int bench_register(const struct bench_loop *loops, unsigned int nr);
void bench_unregister(const struct bench_loop *loops);

/*
 * The address of a kernel function that is not exported, or NULL. It comes from
 * /proc/kallsyms as the module parameter `symbols=name:address,...`.
 */
void *bench_symbol(const char *name);

extern const struct bench_loop bench_alloc_loops[];
extern const unsigned int bench_nr_alloc_loops;
extern const struct bench_loop bench_page_ext_loops[];
extern const unsigned int bench_nr_page_ext_loops;

#endif
