// SPDX-License-Identifier: GPL-2.0
/*
 * Loops over the page allocator, slab and the zonelists. All memory comes from
 * one zone in the running CPU's node, so that two kernels do the same work.
 */
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "bench.h"

#define BATCH	2048

static struct page *pages[BATCH];

static gfp_t gfp_of(unsigned long order)
{
	return GFP_KERNEL | __GFP_NOWARN | (order ? __GFP_COMP : 0);
}

/* Allocate and free, one after the other: the page comes back from the pcp list. */
static long alloc_free(const struct bench_loop *loop)
{
	gfp_t gfp = gfp_of(loop->arg);
	struct page *page;
	unsigned int i;

	for (i = 0; i < loop->ops; i++) {
		page = alloc_pages(gfp, loop->arg);
		if (!page)
			return -ENOMEM;
		__free_pages(page, loop->arg);
	}
	return i;
}

/* The same with pcp lists that hold nothing: each page comes from the buddy, and goes there. */
static void (*zone_pcp_disable_)(struct zone *zone);
static void (*zone_pcp_enable_)(struct zone *zone);
static struct zone *disabled;

static int disable_pcp(const struct bench_loop *loop)
{
	struct page *page;

	zone_pcp_disable_ = bench_symbol("zone_pcp_disable");
	zone_pcp_enable_ = bench_symbol("zone_pcp_enable");
	if (!zone_pcp_disable_ || !zone_pcp_enable_)
		return -ENXIO;
	page = alloc_pages(gfp_of(loop->arg), loop->arg);
	if (!page)
		return -ENOMEM;
	disabled = page_zone(page);
	__free_pages(page, loop->arg);
	zone_pcp_disable_(disabled);
	return 0;
}

static void enable_pcp(const struct bench_loop *loop)
{
	if (disabled)
		zone_pcp_enable_(disabled);
	disabled = NULL;
}

/*
 * Many pages from pcp lists that are empty, all of them back, and the lists
 * drained: the pcp lists are refilled and drained in their own batches. Without
 * the drain they would keep all of it, as they grow to an eighth of the zone.
 */
static void (*drain_all_pages_)(struct zone *zone);

static int find_drain(const struct bench_loop *loop)
{
	drain_all_pages_ = bench_symbol("drain_all_pages");
	if (!drain_all_pages_)
		return -ENXIO;
	drain_all_pages_(NULL);
	return 0;
}

static long alloc_many(const struct bench_loop *loop)
{
	gfp_t gfp = gfp_of(loop->arg);
	unsigned int i, done;

	for (done = 0; done < loop->ops; done++) {
		pages[done] = alloc_pages(gfp, loop->arg);
		if (!pages[done])
			break;
	}
	for (i = 0; i < done; i++)
		__free_pages(pages[i], loop->arg);
	drain_all_pages_(NULL);
	return done == loop->ops ? done : -ENOMEM;
}

static long alloc_bulk(const struct bench_loop *loop)
{
	unsigned long i, done;

	memset(pages, 0, loop->ops * sizeof(*pages));
	done = alloc_pages_bulk(GFP_KERNEL, loop->ops, pages);
	for (i = 0; i < done; i++)
		__free_pages(pages[i], 0);
	return done == loop->ops ? done : -ENOMEM;
}

static void *objects[BATCH];
static struct kmem_cache *cache;

static int make_cache(const struct bench_loop *loop)
{
	cache = kmem_cache_create("bench", loop->arg, 0, SLAB_NO_MERGE, NULL);
	return cache ? 0 : -ENOMEM;
}

static void drop_cache(const struct bench_loop *loop)
{
	kmem_cache_destroy(cache);
	cache = NULL;
}

static long slab_alloc_free(const struct bench_loop *loop)
{
	unsigned int i;
	void *object;

	for (i = 0; i < loop->ops; i++) {
		object = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!object)
			return -ENOMEM;
		kmem_cache_free(cache, object);
	}
	return i;
}

/* Objects from slabs that the cache does not have yet; what was there is given back before each sample. */
static long slab_refill(const struct bench_loop *loop)
{
	unsigned int i;

	for (i = 0; i < loop->ops; i++) {
		objects[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!objects[i])
			break;
	}
	return i == loop->ops ? i : -ENOMEM;
}

static void slab_give_back(const struct bench_loop *loop)
{
	unsigned int i;

	for (i = 0; i < loop->ops && objects[i]; i++) {
		kmem_cache_free(cache, objects[i]);
		objects[i] = NULL;
	}
	kmem_cache_shrink(cache);
}

static void (*build_all_zonelists_)(pg_data_t *pgdat);

static int find_zonelists(const struct bench_loop *loop)
{
	build_all_zonelists_ = bench_symbol("build_all_zonelists");
	return build_all_zonelists_ ? 0 : -ENXIO;
}

static long rebuild_zonelists(const struct bench_loop *loop)
{
	unsigned int i;

	for (i = 0; i < loop->ops; i++)
		build_all_zonelists_(NULL);
	return i;
}

static int take_pages(const struct bench_loop *loop)
{
	unsigned int i;

	for (i = 0; i < loop->arg; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		if (!pages[i])
			return -ENOMEM;
	}
	return 0;
}

static void give_pages(const struct bench_loop *loop)
{
	unsigned int i;

	for (i = 0; i < loop->arg && pages[i]; i++) {
		__free_page(pages[i]);
		pages[i] = NULL;
	}
}

static long map_unmap(const struct bench_loop *loop)
{
	unsigned int i;
	void *address;

	for (i = 0; i < loop->ops; i++) {
		address = vmap(pages, loop->arg, VM_MAP, PAGE_KERNEL);
		if (!address)
			return -ENOMEM;
		vunmap(address);
	}
	return i;
}

static long map_unmap_ram(const struct bench_loop *loop)
{
	unsigned int i;
	void *address;

	for (i = 0; i < loop->ops; i++) {
		address = vm_map_ram(pages, loop->arg, NUMA_NO_NODE);
		if (!address)
			return -ENOMEM;
		vm_unmap_ram(address, loop->arg);
	}
	return i;
}

static long kmap_unmap(const struct bench_loop *loop)
{
	unsigned int i;
	void *address;

	for (i = 0; i < loop->ops; i++) {
		address = kmap_local_page(pages[0]);
		barrier_data(address);
		kunmap_local(address);
	}
	return i;
}

static long clear_pages_mapped(const struct bench_loop *loop)
{
	unsigned int i;
	struct page *page;

	for (i = 0; i < loop->ops; i++) {
		page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!page)
			return -ENOMEM;
		__free_page(page);
	}
	return i;
}

const struct bench_loop bench_alloc_loops[] = {
	{ .name = "order0_pcp", .ops = 64, .samples = 400, .arg = 0, .loop = alloc_free },
	{ .name = "order3_pcp", .ops = 64, .samples = 400, .arg = 3, .loop = alloc_free },
	{ .name = "order9_pcp", .ops = 16, .samples = 100, .arg = 9, .loop = alloc_free },
	{ .name = "order0_buddy", .ops = 64, .samples = 400, .arg = 0,
	  .setup = disable_pcp, .loop = alloc_free, .teardown = enable_pcp },
	{ .name = "order3_buddy", .ops = 64, .samples = 400, .arg = 3,
	  .setup = disable_pcp, .loop = alloc_free, .teardown = enable_pcp },
	{ .name = "order9_buddy", .ops = 16, .samples = 100, .arg = 9,
	  .setup = disable_pcp, .loop = alloc_free, .teardown = enable_pcp },
	{ .name = "order4_buddy", .ops = 64, .samples = 400, .arg = 4, .loop = alloc_free },
	{ .name = "order0_many", .ops = BATCH, .samples = 50, .arg = 0,
	  .setup = find_drain, .loop = alloc_many },
	{ .name = "order0_zeroed", .ops = 64, .samples = 100, .loop = clear_pages_mapped },
	{ .name = "bulk64", .ops = 64, .samples = 400, .loop = alloc_bulk },
	{ .name = "slab_pair", .ops = 64, .samples = 400, .arg = 256,
	  .setup = make_cache, .loop = slab_alloc_free, .teardown = drop_cache },
	{ .name = "slab_refill", .ops = 1024, .samples = 100, .arg = 256,
	  .setup = make_cache, .loop = slab_refill, .after = slab_give_back,
	  .teardown = drop_cache },
	{ .name = "zonelists", .ops = 1, .samples = 64, .setup = find_zonelists,
	  .loop = rebuild_zonelists },
	{ .name = "vmap1", .ops = 16, .samples = 200, .arg = 1, .setup = take_pages,
	  .loop = map_unmap, .teardown = give_pages },
	{ .name = "vm_map_ram1", .ops = 16, .samples = 200, .arg = 1, .setup = take_pages,
	  .loop = map_unmap_ram, .teardown = give_pages },
	{ .name = "kmap_local", .ops = 1024, .samples = 100, .arg = 1, .setup = take_pages,
	  .loop = kmap_unmap, .teardown = give_pages },
};

const unsigned int bench_nr_alloc_loops = ARRAY_SIZE(bench_alloc_loops);
