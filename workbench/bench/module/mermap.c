// SPDX-License-Identifier: GPL-2.0
/* A page that is mapped for a moment by the mermap, in the mm of whoever writes to the file. */
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/mermap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "bench.h"

static struct page *page;

static int prepare(const struct bench_loop *loop)
{
	int err = mermap_mm_prepare(current->mm);

	if (err)
		return err;
	page = alloc_pages(GFP_KERNEL, get_order(loop->arg));
	return page ? 0 : -ENOMEM;
}

static void finish(const struct bench_loop *loop)
{
	if (!page)
		return;
	mermap_mm_flush(current->mm);
	__free_pages(page, get_order(loop->arg));
	page = NULL;
}

static long get_put(const struct bench_loop *loop)
{
	struct mermap_alloc *alloc;
	unsigned int i;

	for (i = 0; i < loop->ops; i++) {
		alloc = mermap_get(page, loop->arg, PAGE_KERNEL);
		if (!alloc)
			return -EBUSY;
		mermap_put(alloc);
	}
	return i;
}

static long get_put_reserved(const struct bench_loop *loop)
{
	struct mermap_alloc *alloc;
	unsigned long flags;
	unsigned int i;

	for (i = 0; i < loop->ops; i++) {
		local_irq_save(flags);
		alloc = mermap_get_reserved(page, PAGE_KERNEL);
		if (alloc)
			mermap_put(alloc);
		local_irq_restore(flags);
		if (!alloc)
			return -EBUSY;
	}
	return i;
}

static const struct bench_loop loops[] = {
	{ .name = "mermap1", .ops = 64, .samples = 400, .arg = PAGE_SIZE,
	  .setup = prepare, .loop = get_put, .teardown = finish },
	{ .name = "mermap16", .ops = 64, .samples = 400, .arg = 16 * PAGE_SIZE,
	  .setup = prepare, .loop = get_put, .teardown = finish },
	{ .name = "mermap_reserved", .ops = 64, .samples = 400, .arg = PAGE_SIZE,
	  .setup = prepare, .loop = get_put_reserved, .teardown = finish },
};

static int __init bench_mermap_init(void)
{
	return bench_register(loops, ARRAY_SIZE(loops));
}
module_init(bench_mermap_init);

static void __exit bench_mermap_exit(void)
{
	bench_unregister(loops);
}
module_exit(bench_mermap_exit);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Loops over the mermap, for make bench");
