// SPDX-License-Identifier: GPL-2.0
/* Lookups of page_ext; boot with page_owner=on, or there is none. */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/page_ext.h>
#include <linux/rcupdate.h>

#include "bench.h"

static struct page_ext *(*page_ext_get_)(const struct page *page);
static void (*page_ext_put_)(struct page_ext *page_ext);
static struct page_ext *(*page_ext_lookup_)(unsigned long pfn);
static struct page *page;

static int find_functions(const struct bench_loop *loop)
{
	page_ext_get_ = bench_symbol("page_ext_get");
	page_ext_put_ = bench_symbol("page_ext_put");
	page_ext_lookup_ = bench_symbol("page_ext_lookup");
	if (!page_ext_get_ || !page_ext_put_ || !page_ext_lookup_)
		return -ENXIO;
	page = alloc_page(GFP_KERNEL);
	return page ? 0 : -ENOMEM;
}

static void give_page(const struct bench_loop *loop)
{
	if (page)
		__free_page(page);
	page = NULL;
}

static long get_put(const struct bench_loop *loop)
{
	struct page_ext *page_ext;
	unsigned int i;

	for (i = 0; i < loop->ops; i++) {
		page_ext = page_ext_get_(page);
		if (!page_ext)
			return -ENODATA;
		page_ext_put_(page_ext);
	}
	return i;
}

static long lookup(const struct bench_loop *loop)
{
	unsigned long pfn = page_to_pfn(page);
	struct page_ext *page_ext;
	unsigned int i;

	rcu_read_lock();
	for (i = 0; i < loop->ops; i++) {
		page_ext = page_ext_lookup_(pfn);
		if (!page_ext)
			break;
	}
	rcu_read_unlock();
	return i == loop->ops ? i : -ENODATA;
}

const struct bench_loop bench_page_ext_loops[] = {
	{ .name = "page_ext_get", .ops = 64, .samples = 400, .setup = find_functions,
	  .loop = get_put, .teardown = give_page },
	{ .name = "page_ext_lookup", .ops = 64, .samples = 400, .setup = find_functions,
	  .loop = lookup, .teardown = give_page },
};

const unsigned int bench_nr_page_ext_loops = ARRAY_SIZE(bench_page_ext_loops);
