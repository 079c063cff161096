// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that can be done with unmapped memory, by several threads at the same
 * time, in an order that a seed makes. Pages carry the name of who has them, so
 * that one that is given to two, or not erased, is found. After each round nobody
 * has anything, and all memory is checked.
 *
 * unmapped_random_kunit.{seed,ops,rounds,threads} change what is done.
 */

#include <kunit/test.h>
#include <linux/bottom_half.h>
#include <linux/completion.h>
#include <linux/gfp.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/kmermap.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/page-isolation.h>
#include <linux/prandom.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/unmapped.h>
#include <linux/vmstat.h>

#include "../internal.h"
#include "../page_alloc.h"
#include "../unmapped.h"

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");

static unsigned int seed = 1;
module_param(seed, uint, 0444);
static unsigned int ops = 4000;
module_param(ops, uint, 0444);
static unsigned int rounds = 3;
module_param(rounds, uint, 0444);
static unsigned int threads = 4;
module_param(threads, uint, 0444);

#define MAX_THREADS	16
#define SLOTS		24
/* Of a large page so many are looked at, each time others. */
#define SAMPLES		8

struct slot {
	struct page	*page;
	unsigned int	order;
	u64		tag;
	bool		unmapped;
};

struct worker {
	struct rnd_state	rnd;
	struct slot		slots[SLOTS];
	struct irq_work		work;
	struct slot		*freed;
	struct completion	done;
	unsigned int		id;
	unsigned int		tags;
	unsigned long		served;
	unsigned long		windows;
	unsigned long		not_zero;
	unsigned long		not_mine;
	unsigned long		wrong_kind;
};

static u32 below(struct worker *w, u32 limit)
{
	return prandom_u32_state(&w->rnd) % limit;
}

/* A page through a window, or by its address: how many words are not @want. */
static unsigned int look_at(struct worker *w, struct page *page, u64 want,
			    bool unmapped, bool write, u64 value)
{
	unsigned int i, n = PAGE_SIZE / sizeof(u64), bad = 0;
	struct mermap_alloc *alloc;
	struct kmermap k;
	u64 *data;

	if (!unmapped) {
		data = page_address(page);
	} else {
		/* On a CPU that is just coming there is none. */
		if (!kmermap_begin(&k))
			return 0;
		alloc = kmermap_map(page, 1, MERMAP_RW);
		if (IS_ERR(alloc)) {
			kmermap_end(&k);
			return 0;
		}
		data = mermap_addr(alloc);
		w->windows++;
	}
	if (write)
		memset64(data, value, n);
	else
		for (i = 0; i < n; i++)
			bad += READ_ONCE(data[i]) != want;
	if (unmapped) {
		kmermap_unmap(alloc);
		kmermap_end(&k);
	}

	return bad;
}

static unsigned long sample(struct worker *w, struct slot *slot, unsigned int i)
{
	if (slot->order <= 3)
		return i;

	return below(w, 1U << slot->order);
}

static unsigned int nr_samples(struct slot *slot)
{
	return min(1U << slot->order, SAMPLES);
}

static void get(struct worker *w, struct slot *slot)
{
	gfp_t gfp = below(w, 8) ? GFP_KERNEL : GFP_ATOMIC;
	unsigned int i, order = 0;

	switch (below(w, 16)) {
	case 0:
		order = pageblock_order;
		break;
	case 1 ... 3:
		order = below(w, pageblock_order);
		break;
	}
	slot->unmapped = below(w, 4);
	slot->order = order;
	slot->tag = ((u64)w->id << 48) | ++w->tags;
	gfp |= __GFP_NOWARN | (below(w, 2) ? __GFP_COMP : 0) |
	       (below(w, 2) ? __GFP_NORETRY : 0);
	slot->page = slot->unmapped ? alloc_pages_unmapped(gfp, order) :
				      alloc_pages(gfp, order);
	if (!slot->page)
		return;

	w->served++;
	for (i = 0; i < 1U << order; i++) {
		struct page *page = slot->page + i;

		if (page_is_unmapped(page) != slot->unmapped ||
		    kernel_page_present(page) == slot->unmapped)
			w->wrong_kind++;
		if (slot->unmapped && look_at(w, page, 0, true, false, 0))
			w->not_zero++;
		look_at(w, page, 0, slot->unmapped, true, slot->tag);
	}
}

static void free_slot(struct slot *slot)
{
	__free_pages(slot->page, slot->order);
}

static void free_in_irq(struct irq_work *work)
{
	struct worker *w = container_of(work, struct worker, work);

	free_slot(w->freed);
}

static void put(struct worker *w, struct slot *slot)
{
	unsigned long flags;
	unsigned int i;

	for (i = 0; i < nr_samples(slot); i++)
		if (look_at(w, slot->page + sample(w, slot, i), slot->tag,
			    slot->unmapped, false, 0))
			w->not_mine++;

	switch (below(w, 8)) {
	case 0:
		local_irq_save(flags);
		free_slot(slot);
		local_irq_restore(flags);
		break;
	case 1:
		local_bh_disable();
		free_slot(slot);
		local_bh_enable();
		break;
	case 2:
		w->freed = slot;
		irq_work_queue(&w->work);
		irq_work_sync(&w->work);
		break;
	case 3:
		preempt_disable();
		free_slot(slot);
		preempt_enable();
		break;
	case 4:
		free_pages_nolock(slot->page, slot->order);
		break;
	default:
		free_slot(slot);
	}
	slot->page = NULL;
}

/* What others do with blocks. */
static void disturb(struct worker *w)
{
	struct slot *slot = &w->slots[below(w, SLOTS)];
	unsigned long start;
	struct zone *zone;

	if (!slot->page)
		return;
	zone = page_zone(slot->page);
	/* The one that it is in, or one beside it. */
	start = pageblock_start_pfn(page_to_pfn(slot->page));
	if (below(w, 2))
		start ^= pageblock_nr_pages << below(w, 4);
	if (!pfn_to_online_page(start) || page_zone(pfn_to_page(start)) != zone)
		return;

	switch (below(w, 6)) {
	case 0:
		unmapped_release(zone, 1);
		break;
	case 1:
		drain_all_pages(zone);
		break;
	case 2:
		if (page_is_unmapped(pfn_to_page(start)))
			unmapped_release_block(pfn_to_page(start));
		break;
	case 3:
		if (!start_isolate_page_range(start, start + pageblock_nr_pages,
					      PB_ISOLATE_MODE_OTHER))
			undo_isolate_page_range(start, start + pageblock_nr_pages);
		break;
	case 4:
		if (!alloc_contig_range(start, start + pageblock_nr_pages,
					ACR_FLAGS_NONE, GFP_KERNEL | __GFP_NOWARN))
			free_contig_range(start, pageblock_nr_pages);
		break;
	default:
		unmapped_erase_all();
	}
}

static int work(void *data)
{
	struct worker *w = data;
	unsigned int op, i;

	for (op = 0; op < ops; op++) {
		struct slot *slot = &w->slots[below(w, SLOTS)];

		if (!below(w, 32))
			disturb(w);
		else if (slot->page)
			put(w, slot);
		else
			get(w, slot);
		cond_resched();
	}
	for (i = 0; i < SLOTS; i++)
		if (w->slots[i].page)
			put(w, &w->slots[i]);
	complete(&w->done);

	return 0;
}

static void everything_at_the_same_time(struct kunit *test)
{
	unsigned int i, nr = clamp(threads, 1, MAX_THREADS), round;
	struct worker *workers = kunit_kcalloc(test, nr, sizeof(*workers), GFP_KERNEL);
	struct task_struct *task;
	struct zone *zone;

	KUNIT_ASSERT_NOT_NULL(test, workers);
	if (!unmapped_pages_enabled())
		kunit_skip(test, "needs a direct map of large pages");
	kunit_info(test, "seed %u ops %u rounds %u threads %u", seed, ops, rounds, nr);

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < nr; i++) {
			struct worker *w = &workers[i];

			prandom_seed_state(&w->rnd, ((u64)seed << 32) + round * nr + i);
			init_irq_work(&w->work, free_in_irq);
			init_completion(&w->done);
			w->id = i + 1;
			w->served = 0;
			w->windows = 0;
			task = kthread_run(work, w, "unmapped/%u", i);
			if (IS_ERR(task)) {
				KUNIT_FAIL(test, "no thread");
				complete(&w->done);
			}
		}
		for (i = 0; i < nr; i++) {
			wait_for_completion(&workers[i].done);
			KUNIT_EXPECT_EQ(test, workers[i].not_zero, 0);
			KUNIT_EXPECT_EQ(test, workers[i].not_mine, 0);
			KUNIT_EXPECT_EQ(test, workers[i].wrong_kind, 0);
			/* About half of them ask for a page, and most of those get one. */
			KUNIT_EXPECT_GT(test, workers[i].served, ops / 4);
			/* Three of four are not mapped, and each is written and read. */
			KUNIT_EXPECT_GT(test, workers[i].windows, workers[i].served);
		}
		unmapped_erase_flush();
#ifdef CONFIG_DEBUG_UNMAPPED
		for_each_populated_zone(zone)
			KUNIT_EXPECT_EQ(test, unmapped_check(zone), 0);
#endif
		unmapped_release_all();
		for_each_populated_zone(zone) {
			if (zone->unmapped)
				KUNIT_EXPECT_EQ(test, zone->unmapped->nr_blocks, 0);
			KUNIT_EXPECT_EQ(test, zone_page_state_snapshot(zone,
								       NR_FREE_UNMAPPED), 0);
		}
	}
}

static struct kunit_case unmapped_random_test_cases[] = {
	KUNIT_CASE_SLOW(everything_at_the_same_time),
	{}
};

static struct kunit_suite unmapped_random_test_suite = {
	.name = "unmapped_random",
	.test_cases = unmapped_random_test_cases,
};
kunit_test_suite(unmapped_random_test_suite);

MODULE_DESCRIPTION("Random test of memory that is absent from the direct map");
MODULE_LICENSE("GPL");
