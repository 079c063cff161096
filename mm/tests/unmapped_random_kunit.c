// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that can be done with unmapped memory, by several threads at the same
 * time, in an order that a seed makes. Pages carry the name of who has them, so
 * that one that is given to two, or not erased, is found. Meanwhile another thread
 * has a CPU and a part of memory go and come. After each round nobody has anything,
 * and all memory is checked.
 *
 * unmapped_random_kunit.{seed,ops,rounds,threads,hotplug} change what is done.
 */

#include <kunit/test.h>
#include <linux/bottom_half.h>
#include <linux/compaction.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/hash.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/kmermap.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/nodemask.h>
#include <linux/page-isolation.h>
#include <linux/prandom.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/unmapped.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

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
static bool hotplug = true;
module_param(hotplug, bool, 0444);

#define MAX_THREADS	16
#define SLOTS		24
/* Of a large page so many are looked at, of each one others. */
#define SAMPLES		8
/* So many pages of a thread may break in a round. */
#define MAX_BROKEN	4
/* A window is there at once, or on a CPU that is just coming, a moment later. */
#define MAX_TRIES	1000

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
	struct work_struct	soft;
	struct slot		*freed;
	struct page		*broken[MAX_BROKEN];
	unsigned int		nr_broken;
	struct completion	done;
	unsigned int		id;
	unsigned int		tags;
	unsigned long		served;
	unsigned long		windows;
	unsigned long		blind;
	unsigned long		not_zero;
	unsigned long		not_mine;
	unsigned long		wrong_kind;
};

static u32 below(struct worker *w, u32 limit)
{
	return prandom_u32_state(&w->rnd) % limit;
}

static struct mermap_alloc *map_page(struct kmermap *k, struct page *page)
{
	struct mermap_alloc *alloc;
	unsigned int try;

	for (try = 0; try < MAX_TRIES; try++) {
		if (kmermap_begin(k)) {
			alloc = kmermap_map(page, 1, MERMAP_RW);
			if (!IS_ERR(alloc))
				return alloc;
			kmermap_end(k);
		}
		usleep_range(100, 1000);
	}

	return NULL;
}

/* A page through a window, or by its address: how many words are not @want. */
static unsigned int look_at(struct worker *w, struct page *page, u64 want,
			    bool unmapped, bool write, u64 value)
{
	unsigned int i, n = PAGE_SIZE / sizeof(u64), bad = 0;
	struct mermap_alloc *alloc = NULL;
	struct kmermap k;
	u64 *data;

	if (!unmapped) {
		data = page_address(page);
	} else {
		alloc = map_page(&k, page);
		if (!alloc) {
			w->blind++;
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

/* The same ones as long as somebody has them. All of them up to order 3. */
static struct page *sample(struct slot *slot, unsigned int i)
{
	if (slot->order > 3)
		i = hash_64(slot->tag + ((u64)i << 32), slot->order);

	return slot->page + i;
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
	/* Two of them may be the same page: all are looked at before they are written. */
	for (i = 0; i < nr_samples(slot); i++) {
		struct page *page = sample(slot, i);

		if (page_is_unmapped(page) != slot->unmapped ||
		    kernel_page_present(page) == slot->unmapped)
			w->wrong_kind++;
		if (slot->unmapped && look_at(w, page, 0, true, false, 0))
			w->not_zero++;
	}
	for (i = 0; i < nr_samples(slot); i++)
		look_at(w, sample(slot, i), 0, slot->unmapped, true, slot->tag);
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

static void free_in_softirq(struct work_struct *work)
{
	struct worker *w = container_of(work, struct worker, soft);

	free_slot(w->freed);
}

/* Who frees a page that has broken while he had it frees nothing. */
static bool break_page(struct worker *w, struct slot *slot)
{
	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE) || !slot->unmapped || slot->order ||
	    w->nr_broken == MAX_BROKEN)
		return false;
	SetPageHWPoison(slot->page);
	w->broken[w->nr_broken++] = slot->page;
	free_slot(slot);

	return true;
}

/* Its block has stayed, as nobody has the page. No memory failure was counted. */
static void mend_pages(struct worker *w)
{
	while (w->nr_broken) {
		struct page *page = w->broken[--w->nr_broken];

		if (PageBuddy(page) || !page_is_unmapped(page) || kernel_page_present(page)) {
			w->wrong_kind++;
			continue;
		}
		ClearPageHWPoison(page);
		look_at(w, page, 0, true, true, 0);
		guard(spinlock_irqsave)(&page_zone(page)->lock);
		unmapped_give(page_zone(page), page, 0);
	}
}

static void put(struct worker *w, struct slot *slot)
{
	unsigned long flags;
	unsigned int i;

	for (i = 0; i < nr_samples(slot); i++)
		if (look_at(w, sample(slot, i), slot->tag, slot->unmapped, false, 0))
			w->not_mine++;

	switch (below(w, 10)) {
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
	case 5:
		/* Seldom: who waits for a softirq waits for its thread. */
		if (below(w, 16)) {
			free_slot(slot);
			break;
		}
		w->freed = slot;
		queue_work(system_bh_wq, &w->soft);
		flush_work(&w->soft);
		break;
	case 6:
		/* Seldom: each keeps a block until the end of the round. */
		if (below(w, 64) || !break_page(w, slot))
			free_slot(slot);
		break;
	default:
		free_slot(slot);
	}
	slot->page = NULL;
}

/* What is done to a block that somebody wants, while memory cannot go. */
static void want_block(struct worker *w, struct zone *zone, unsigned long start)
{
	if (!pfn_to_online_page(start) || page_zone(pfn_to_page(start)) != zone)
		return;

	switch (below(w, 3)) {
	case 0:
		if (page_is_unmapped(pfn_to_page(start)))
			unmapped_release_block(pfn_to_page(start));
		break;
	case 1:
		if (!start_isolate_page_range(start, start + pageblock_nr_pages,
					      PB_ISOLATE_MODE_OTHER))
			undo_isolate_page_range(start, start + pageblock_nr_pages);
		break;
	default:
		if (!alloc_contig_range(start, start + pageblock_nr_pages,
					ACR_FLAGS_NONE, GFP_KERNEL | __GFP_NOWARN))
			free_contig_range(start, pageblock_nr_pages);
	}
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

	switch (below(w, 7)) {
	case 0:
		unmapped_release(zone, 1);
		break;
	case 1:
		drain_all_pages(zone);
		break;
	case 2 ... 4:
		get_online_mems();
		want_block(w, zone, start);
		put_online_mems();
		break;
	case 5:
		/* Seldom, as these take their time. */
		if (!below(w, 8))
			shrink_slab(GFP_KERNEL, zone_to_nid(zone), root_mem_cgroup,
				    below(w, 4));
		else if (!below(w, 8))
			wakeup_kcompactd(zone->zone_pgdat, pageblock_order, zone_idx(zone));
		break;
	default:
		unmapped_erase_all();
	}
}

/*
 * What is done to the whole machine, once at a time
 */

struct changes {
	struct task_struct	*task;
	unsigned long		cpus;
	unsigned long		parts;
	unsigned long		failed;
};

static int online_part(struct memory_block *mem, void *arg)
{
	mem->online_type = MMOP_ONLINE_KERNEL;

	return device_online(&mem->dev);
}

static int offline_part(struct memory_block *mem, void *arg)
{
	int ret = device_offline(&mem->dev);

	return ret < 0 ? ret : 0;
}

static int change_part(unsigned long pfn, walk_memory_blocks_func_t change)
{
	int ret;

	lock_device_hotplug();
	ret = walk_memory_blocks(PFN_PHYS(pfn), memory_block_size_bytes(), NULL, change);
	unlock_device_hotplug();

	return ret;
}

/* Of the last node, as the kernel's own memory is elsewhere. With something in use it stays. */
static void part_goes_and_comes(struct changes *c)
{
	unsigned long size = PHYS_PFN(memory_block_size_bytes()), pfn;
	int nid = NUMA_NO_NODE, i;
	pg_data_t *pgdat;

	for_each_node_state(i, N_MEMORY)
		nid = i;
	if (nid == first_memory_node)
		return;
	pgdat = NODE_DATA(nid);
	for (pfn = ALIGN_DOWN(pgdat_end_pfn(pgdat) - 1, size);
	     pfn >= pgdat->node_start_pfn; pfn -= size) {
		struct page *page = pfn_to_online_page(pfn);

		if (!page || page_to_nid(page) != nid || change_part(pfn, offline_part))
			continue;
		c->parts++;
		if (change_part(pfn, online_part))
			c->failed++;
		return;
	}
}

static void cpu_goes_and_comes(struct changes *c)
{
	unsigned int cpu = cpumask_last(cpu_online_mask);

	if (!cpu || remove_cpu(cpu))
		return;
	c->cpus++;
	msleep(20);
	if (add_cpu(cpu))
		c->failed++;
}

static int change_machine(void *data)
{
	struct changes *c = data;

	while (!kthread_should_stop()) {
		cpu_goes_and_comes(c);
		part_goes_and_comes(c);
		msleep(500);
	}

	return 0;
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
	unsigned long broken = 0;
	struct task_struct *task;
	struct changes c = {};
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
			INIT_WORK(&w->soft, free_in_softirq);
			init_completion(&w->done);
			w->id = i + 1;
			w->served = 0;
			w->windows = 0;
			w->blind = 0;
			task = kthread_run(work, w, "unmapped/%u", i);
			if (IS_ERR(task)) {
				KUNIT_FAIL(test, "no thread");
				complete(&w->done);
			}
		}
		if (hotplug)
			c.task = kthread_run(change_machine, &c, "unmapped/changes");
		for (i = 0; i < nr; i++)
			wait_for_completion(&workers[i].done);
		if (hotplug && !IS_ERR(c.task))
			kthread_stop(c.task);
		for (i = 0; i < nr; i++) {
			broken += workers[i].nr_broken;
			mend_pages(&workers[i]);
			KUNIT_EXPECT_EQ(test, workers[i].blind, 0);
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
	kunit_info(test, "%lu pages broke, a CPU was gone %lu times, memory %lu times", broken,
		   c.cpus, c.parts);
	KUNIT_EXPECT_EQ(test, c.failed, 0);
	if (hotplug && num_online_cpus() > 1)
		KUNIT_EXPECT_GT(test, c.cpus, 0);
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
