// SPDX-License-Identifier: GPL-2.0
/*
 * Runs loops and counts ticks of the time stamp counter. Under -icount shift=0 a
 * tick is an instruction; the loop `calibrate` shows that it is.
 *
 * Write a loop's name to /sys/kernel/debug/bench/run, then read its samples there:
 * a line `OPERATIONS TICKS` each.
 */
#define pr_fmt(fmt) "bench: " fmt

#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <asm/msr.h>
#include <asm/tsc.h>

#include "bench.h"

#define MAX_SAMPLES	1024
#define MAX_SETS	16

struct sample {
	long ops;
	u64 ticks;
};

static struct {
	const struct bench_loop *loops;
	unsigned int nr;
} sets[MAX_SETS];

/* Protects the sets and the samples, and orders runs: one loop at a time. */
static DEFINE_MUTEX(bench_mutex);
static struct sample samples[MAX_SAMPLES];
static unsigned int nr_samples;

static struct dentry *bench_dir;

static char *symbols = "";
module_param(symbols, charp, 0);
MODULE_PARM_DESC(symbols, "name:address,... of functions that are not exported");

void *bench_symbol(const char *name)
{
	size_t len = strlen(name);
	unsigned long address;
	const char *at;

	for (at = symbols; at && *at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!strncmp(at, name, len) && at[len] == ':' &&
		    sscanf(at + len + 1, "%lx", &address) == 1)
			return (void *)address;
	}
	pr_info("no address of %s\n", name);
	return NULL;
}
EXPORT_SYMBOL_GPL(bench_symbol);

int bench_register(const struct bench_loop *loops, unsigned int nr)
{
	unsigned int i;

	guard(mutex)(&bench_mutex);
	for (i = 0; i < MAX_SETS; i++) {
		if (sets[i].loops)
			continue;
		sets[i].loops = loops;
		sets[i].nr = nr;
		return 0;
	}
	return -ENOSPC;
}
EXPORT_SYMBOL_GPL(bench_register);

void bench_unregister(const struct bench_loop *loops)
{
	unsigned int i;

	guard(mutex)(&bench_mutex);
	for (i = 0; i < MAX_SETS; i++)
		if (sets[i].loops == loops)
			sets[i].loops = NULL;
}
EXPORT_SYMBOL_GPL(bench_unregister);

static const struct bench_loop *find_loop(const char *name)
{
	unsigned int i, j;

	for (i = 0; i < MAX_SETS; i++)
		for (j = 0; sets[i].loops && j < sets[i].nr; j++)
			if (!strcmp(sets[i].loops[j].name, name))
				return &sets[i].loops[j];
	return NULL;
}

static int take_sample(const struct bench_loop *loop, struct sample *sample)
{
	int err = loop->before ? loop->before(loop) : 0;
	u64 start;

	if (err)
		return err;
	start = rdtsc_ordered();
	sample->ops = loop->loop(loop);
	sample->ticks = rdtsc_ordered() - start;
	if (loop->after)
		loop->after(loop);
	cond_resched();
	if (!sample->ops)
		return -ENODATA;
	return sample->ops < 0 ? sample->ops : 0;
}

static int run_loop(const struct bench_loop *loop)
{
	int err = loop->setup ? loop->setup(loop) : 0;

	nr_samples = 0;
	while (!err && nr_samples < min(loop->samples, MAX_SAMPLES)) {
		err = take_sample(loop, &samples[nr_samples]);
		nr_samples += !err;
	}
	if (loop->teardown)
		loop->teardown(loop);
	if (err)
		pr_info("%s: error %d after %u samples\n", loop->name, err,
			nr_samples);
	return err;
}

static ssize_t bench_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	char *name __free(kfree) = NULL;
	const struct bench_loop *loop;
	int err;

	if (count > 64)
		return -EINVAL;
	name = memdup_user_nul(buf, count);
	if (IS_ERR(name))
		return PTR_ERR(no_free_ptr(name));
	guard(mutex)(&bench_mutex);
	loop = find_loop(strim(name));
	if (!loop)
		return -ENOENT;
	err = run_loop(loop);
	return err ?: count;
}

static int bench_show(struct seq_file *m, void *v)
{
	unsigned int i;

	guard(mutex)(&bench_mutex);
	for (i = 0; i < nr_samples; i++)
		seq_printf(m, "%ld %llu\n", samples[i].ops, samples[i].ticks);
	return 0;
}

static int bench_open(struct inode *inode, struct file *file)
{
	return single_open(file, bench_show, NULL);
}

static const struct file_operations bench_fops = {
	.owner		= THIS_MODULE,
	.open		= bench_open,
	.read		= seq_read,
	.write		= bench_write,
	.llseek		= seq_lseek,
	.release	= single_release,
};

/* Two instructions in each round, whatever the compiler. */
static long calibrate(const struct bench_loop *loop)
{
	unsigned long rounds = loop->ops;

	asm volatile("1:	dec %0\n"
		     "	jnz 1b\n" : "+r" (rounds));
	return loop->ops;
}

static const struct bench_loop core_loops[] = {
	/* So short that most samples have no timer interrupt, at 250 Hz. */
	{ .name = "calibrate", .ops = 100000, .samples = 15, .loop = calibrate },
};

static int __init bench_init(void)
{
	bench_register(core_loops, ARRAY_SIZE(core_loops));
	bench_register(bench_alloc_loops, bench_nr_alloc_loops);
	bench_register(bench_page_ext_loops, bench_nr_page_ext_loops);
	bench_dir = debugfs_create_dir("bench", NULL);
	debugfs_create_file("run", 0600, bench_dir, NULL, &bench_fops);
	pr_info("one tick of the time stamp counter at %u kHz\n", tsc_khz);
	return 0;
}

static void __exit bench_exit(void)
{
	debugfs_remove(bench_dir);
}

module_init(bench_init);
module_exit(bench_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Loops whose instructions are counted");
