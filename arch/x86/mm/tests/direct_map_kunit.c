// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests for parts of the direct map that go and come back.
 *
 * Blocks of memory are taken out of the direct map and put back, 2M or 4K at a
 * time. Afterwards it has to be what it was: the same flags, the same large
 * pages, the same counts in /proc/meminfo, and as many collapses as splits.
 * Nothing here depends on what the rest of the system does, as long as it does
 * not split large pages by itself meanwhile.
 *
 * Most cases need a 1G page in the direct map. Those for memory hot-remove need
 * 1G of RAM that the kernel does not know, at a multiple of 1G: for 5G of RAM,
 * memmap=1G%0x180000000-1 direct_map_kunit.spare=0x180000000
 */
#include <kunit/test.h>
#include <linux/cc_platform.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/fault-inject.h>
#include <linux/gfp.h>
#include <linux/hardirq.h>
#include <linux/kthread.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/pgtable.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/set_memory.h>
#include <linux/sizes.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/vmstat.h>

#include <asm/memtype.h>
#include <asm/sections.h>
#include <asm/setup.h>
#include <asm/tlbflush.h>

#include "../mm_internal.h"

#define BLOCK_ORDER	PMD_ORDER
#define BLOCK_PAGES	PTRS_PER_PTE
#define MAX_BLOCKS	33
#define MAX_TRIES	1024

/* As many 1G pages have free memory where these tests are run. */
#define NR_SPREAD	2

static unsigned long spare;
module_param(spare, ulong, 0400);

struct direct_map_test {
	struct page	*blocks[MAX_BLOCKS];
	unsigned int	nr;
};

struct counts {
	unsigned long	kb[PG_LEVEL_NUM];
	unsigned long	splits_2m, collapses_2m;
	unsigned long	splits_1g, collapses_1g;
};

static unsigned long meminfo_kb(const char *text, const char *name)
{
	unsigned long kb = 0;
	char *line = strstr(text, name);

	if (line && sscanf(line + strlen(name), " %lu", &kb) != 1)
		kb = 0;

	return kb;
}

static struct counts count(struct kunit *test)
{
	struct seq_file m = { .size = SZ_1K };
	struct counts counts = {};
	unsigned long *events;

	m.buf = kunit_kzalloc(test, m.size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m.buf);
	arch_report_meminfo(&m);
	counts.kb[PG_LEVEL_4K] = meminfo_kb(m.buf, "DirectMap4k:");
	counts.kb[PG_LEVEL_2M] = meminfo_kb(m.buf, "DirectMap2M:");
	counts.kb[PG_LEVEL_1G] = meminfo_kb(m.buf, "DirectMap1G:");

	events = kunit_kcalloc(test, NR_VM_EVENT_ITEMS, sizeof(*events), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, events);
	all_vm_events(events);
	counts.splits_2m = events[DIRECT_MAP_LEVEL2_SPLIT];
	counts.splits_1g = events[DIRECT_MAP_LEVEL3_SPLIT];
	counts.collapses_2m = events[DIRECT_MAP_LEVEL2_COLLAPSE];
	counts.collapses_1g = events[DIRECT_MAP_LEVEL3_COLLAPSE];
	kunit_kfree(test, events);
	kunit_kfree(test, m.buf);

	return counts;
}

static void expect_same_map(struct kunit *test, const struct counts *before)
{
	struct counts now = count(test);
	int level;

	for (level = PG_LEVEL_4K; level <= PG_LEVEL_1G; level++)
		KUNIT_EXPECT_EQ_MSG(test, before->kb[level], now.kb[level],
				    "page level %d, kB", level);
}

static void expect_events(struct kunit *test, const struct counts *before,
			  unsigned long nr_1g, unsigned long nr_2m)
{
	struct counts now = count(test);

	KUNIT_EXPECT_EQ(test, nr_1g, now.splits_1g - before->splits_1g);
	KUNIT_EXPECT_EQ(test, nr_1g, now.collapses_1g - before->collapses_1g);
	KUNIT_EXPECT_EQ(test, nr_2m, now.splits_2m - before->splits_2m);
	KUNIT_EXPECT_EQ(test, nr_2m, now.collapses_2m - before->collapses_2m);
}

static unsigned long address(struct page *page)
{
	return (unsigned long)page_address(page);
}

static unsigned int level_at(unsigned long addr)
{
	unsigned int level;

	lookup_address(addr, &level);
	return level;
}

/* The flags of what maps an address, as a 4K entry would have them. */
static pgprotval_t flags_at(unsigned long addr)
{
	unsigned int level;
	pte_t *pte;

	pte = lookup_address(addr, &level);
	if (!pte)
		return 0;

	switch (level) {
	case PG_LEVEL_1G:
		return protval_large_2_4k(pud_flags(*(pud_t *)pte));
	case PG_LEVEL_2M:
		return protval_large_2_4k(pmd_flags(*(pmd_t *)pte));
	default:
		return pte_flags(*pte);
	}
}

static void expect_flags(struct kunit *test, struct page *block, pgprotval_t flags)
{
	unsigned long addr = address(block);
	int i;

	for (i = 0; i < BLOCK_PAGES; i++, addr += PAGE_SIZE)
		if (flags_at(addr) != flags)
			break;
	if (i < BLOCK_PAGES)
		KUNIT_FAIL(test, "page %d has flags %#llx, not %#llx", i,
			   (u64)flags_at(addr), (u64)flags);
}

static unsigned int nr_present(struct page *page, unsigned int nr)
{
	unsigned int present = 0;

	for (; nr--; page++)
		present += !!(flags_at(address(page)) & _PAGE_PRESENT);

	return present;
}

/* Whatever a case did, the page allocator gets its memory back mapped. */
static void free_blocks(void *data)
{
	struct direct_map_test *t = data;
	unsigned int i;

	for (i = 0; i < t->nr; i++)
		set_direct_map_valid_noflush(t->blocks[i], BLOCK_PAGES, true);
	collapse_direct_map_pmds(t->blocks, t->nr);
	while (t->nr)
		__free_pages(t->blocks[--t->nr], BLOCK_ORDER);
}

static bool same_1g(struct page *a, struct page *b)
{
	return !((address(a) ^ address(b)) & PUD_MASK);
}

/* Is this a block to test with? With @spread only one of each 1G page is. */
static bool wanted(struct direct_map_test *t, struct page *block, bool spread)
{
	unsigned int i;

	if (level_at(address(block)) != PG_LEVEL_1G)
		return false;
	for (i = 0; spread && i < t->nr; i++)
		if (same_1g(block, t->blocks[i]))
			return false;

	return true;
}

/* Get @nr blocks that are mapped by 1G pages. */
static void get_blocks(struct kunit *test, unsigned int nr, bool spread)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	struct direct_map_test *t = test->priv;
	struct page *block, *next;
	LIST_HEAD(rejected);
	int tries, ret;

	ret = kunit_add_action_or_reset(test, free_blocks, t);
	KUNIT_ASSERT_EQ(test, ret, 0);

	for (tries = 0; tries < MAX_TRIES && t->nr < nr; tries++) {
		block = alloc_pages(gfp, BLOCK_ORDER);
		if (!block)
			break;
		if (wanted(t, block, spread))
			t->blocks[t->nr++] = block;
		else
			list_add(&block->lru, &rejected);
	}

	list_for_each_entry_safe(block, next, &rejected, lru) {
		list_del(&block->lru);
		__free_pages(block, BLOCK_ORDER);
	}

	if (t->nr < nr)
		kunit_skip(test, "needs %u free 2M blocks in %s of the direct map",
			   nr, spread ? "as many 1G pages" : "1G pages");
}

/* Move three blocks of the same 1G page to the front, if there are. */
static bool three_in_front(struct direct_map_test *t)
{
	unsigned int i, j, nr;

	for (i = 0; i < t->nr; i++) {
		swap(t->blocks[0], t->blocks[i]);
		for (j = 1, nr = 1; j < t->nr && nr < 3; j++)
			if (same_1g(t->blocks[0], t->blocks[j])) {
				swap(t->blocks[nr], t->blocks[j]);
				nr++;
			}
		if (nr == 3)
			return true;
	}

	return false;
}

/* The ways to make memory non-present and present. */
static int all_valid(struct page *block, bool valid)
{
	return set_direct_map_valid_noflush(block, BLOCK_PAGES, valid);
}

static int one_default(struct page *block, bool valid)
{
	return valid ? set_direct_map_default_noflush(block) :
		       set_direct_map_invalid_noflush(block);
}

static int all_p(struct page *block, bool valid)
{
	return valid ? set_memory_p(address(block), BLOCK_PAGES) :
		       set_memory_np(address(block), BLOCK_PAGES);
}

static int one_p(struct page *block, bool valid)
{
	return valid ? set_memory_p(address(block), 1) :
		       set_memory_np(address(block), 1);
}

static int all_pmds(struct page *block, bool valid)
{
	return valid ? set_direct_map_valid_noflush(block, BLOCK_PAGES, true) :
		       set_direct_map_pmds_invalid(&block, 1) - 1;
}

static const struct way {
	char	*name;
	int	(*set_valid)(struct page *block, bool valid);
	int	pages;
} ways[] = {
	{ "set_direct_map_valid_noflush, 2M", all_valid, BLOCK_PAGES },
	{ "set_direct_map_default_noflush, 4K", one_default, 1 },
	{ "set_memory_p, 2M", all_p, BLOCK_PAGES },
	{ "set_memory_p, 4K", one_p, 1 },
	{ "set_direct_map_pmds_invalid", all_pmds, BLOCK_PAGES },
};

KUNIT_ARRAY_PARAM_DESC(way, ways, name);

/* Take a block away by @way, put it back, and see that its flags are the same. */
static void go_and_come(struct kunit *test, const struct way *way,
			struct page *block)
{
	unsigned long addr = address(block);
	pgprotval_t flags = flags_at(addr);

	KUNIT_EXPECT_EQ(test, way->set_valid(block, false), 0);
	KUNIT_EXPECT_EQ(test, nr_present(block, BLOCK_PAGES),
			BLOCK_PAGES - way->pages);
	flush_tlb_kernel_range(addr, addr + way->pages * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, way->set_valid(block, true), 0);
	expect_flags(test, block, flags);
}

static void flags_return(struct kunit *test)
{
	pgprotval_t flags = pgprot_val(PAGE_KERNEL);
	struct direct_map_test *t = test->priv;
	struct counts before = count(test);

	get_blocks(test, 1, false);
	KUNIT_EXPECT_EQ(test, flags_at(address(t->blocks[0])), flags);

	go_and_come(test, test->param_value, t->blocks[0]);

	collapse_direct_map_pmds(t->blocks, 1);
	KUNIT_EXPECT_EQ(test, level_at(address(t->blocks[0])), PG_LEVEL_1G);
	expect_same_map(test, &before);
}

/* Uncached and write-combining memory has the flags that say so. */
static void cache_mode_returns(struct kunit *test)
{
	pgprotval_t flags = pgprot_val(PAGE_KERNEL);
	struct direct_map_test *t = test->priv;
	struct counts before = count(test);
	unsigned long addr;

	get_blocks(test, 1, false);
	addr = address(t->blocks[0]);
	flags |= cachemode2protval(_PAGE_CACHE_MODE_WC);

	KUNIT_EXPECT_EQ(test, _set_memory_wc(addr, BLOCK_PAGES), 0);
	KUNIT_EXPECT_EQ(test, level_at(addr), PG_LEVEL_2M);
	expect_flags(test, t->blocks[0], flags);
	go_and_come(test, test->param_value, t->blocks[0]);
	KUNIT_EXPECT_EQ(test, _set_memory_wb(addr, BLOCK_PAGES), 0);

	collapse_direct_map_pmds(t->blocks, 1);
	KUNIT_EXPECT_EQ(test, level_at(addr), PG_LEVEL_1G);
	expect_same_map(test, &before);
}

/*
 * The PAT bit alone selects the fifth cache mode, which is write-back at reset
 * and in all the layouts that the kernel uses, so it is safe to set. Most of
 * the modes that have it cannot be had without CONFIG_X86_PAT.
 */
static void set_pat_bit(struct kunit *test, struct page *block)
{
	unsigned int level;
	pmd_t *pmd;

	KUNIT_EXPECT_EQ(test, all_valid(block, false), 0);
	KUNIT_EXPECT_EQ(test, all_valid(block, true), 0);
	pmd = (pmd_t *)lookup_address(address(block), &level);
	KUNIT_ASSERT_EQ(test, level, PG_LEVEL_2M);
	set_pmd(pmd, __pmd(pmd_val(*pmd) | _PAGE_PAT_LARGE));
	flush_tlb_all();
}

static void pat_bit_returns(struct kunit *test)
{
	pgprotval_t flags = pgprot_val(PAGE_KERNEL) | _PAGE_PAT;
	struct direct_map_test *t = test->priv;
	struct counts before = count(test);
	unsigned long addr;

	get_blocks(test, 1, false);
	addr = address(t->blocks[0]);

	set_pat_bit(test, t->blocks[0]);
	expect_flags(test, t->blocks[0], flags);
	go_and_come(test, test->param_value, t->blocks[0]);
	KUNIT_EXPECT_EQ(test, _set_memory_wb(addr, BLOCK_PAGES), 0);

	collapse_direct_map_pmds(t->blocks, 1);
	KUNIT_EXPECT_EQ(test, level_at(addr), PG_LEVEL_1G);
	expect_same_map(test, &before);
}

static void invalid_and_back(struct kunit *test, unsigned int nr)
{
	struct direct_map_test *t = test->priv;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, set_direct_map_pmds_invalid(t->blocks, nr), nr);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ(test, nr_present(t->blocks[i], BLOCK_PAGES), 0);
		KUNIT_EXPECT_EQ(test, level_at(address(t->blocks[i])), PG_LEVEL_2M);
		KUNIT_EXPECT_EQ(test, all_valid(t->blocks[i], true), 0);
	}
}

/* The splits and collapses of a cycle are those of one 1G page. */
static void large_pages_return(struct kunit *test)
{
	const unsigned int cycles = 16, nr = 4;
	struct direct_map_test *t = test->priv;
	struct counts before, now;
	unsigned int i, j, nr_1g;

	get_blocks(test, nr, false);
	for (i = 0, nr_1g = 0; i < nr; i++) {
		for (j = 0; j < i; j++)
			if (same_1g(t->blocks[i], t->blocks[j]))
				break;
		nr_1g += j == i;
	}

	before = count(test);
	for (i = 0; i < cycles; i++) {
		invalid_and_back(test, nr);
		collapse_direct_map_pmds(t->blocks, nr);
		for (j = 0; j < nr; j++)
			KUNIT_EXPECT_EQ(test, level_at(address(t->blocks[j])),
					PG_LEVEL_1G);
	}
	expect_same_map(test, &before);
	expect_events(test, &before, cycles * nr_1g, 0);

	now = count(test);
	kunit_info(test, "%u cycles: %lu splits, %lu collapses of 1G pages\n",
		   cycles, now.splits_1g - before.splits_1g,
		   now.collapses_1g - before.collapses_1g);
}

static void small_pages_collapse(struct kunit *test)
{
	const unsigned int cycles = 4;
	struct direct_map_test *t = test->priv;
	unsigned long addr;
	struct counts before;
	unsigned int i;

	get_blocks(test, 1, false);
	addr = address(t->blocks[0]);

	before = count(test);
	for (i = 0; i < cycles; i++) {
		KUNIT_EXPECT_EQ(test, one_default(t->blocks[0], false), 0);
		KUNIT_EXPECT_EQ(test, level_at(addr), PG_LEVEL_4K);
		flush_tlb_kernel_range(addr, addr + PAGE_SIZE);

		/* Nothing is collapsed while a page is missing. */
		collapse_direct_map_pmds(t->blocks, 1);
		KUNIT_EXPECT_EQ(test, level_at(addr), PG_LEVEL_4K);
		KUNIT_EXPECT_EQ(test, nr_present(t->blocks[0], BLOCK_PAGES),
				BLOCK_PAGES - 1);

		KUNIT_EXPECT_EQ(test, one_default(t->blocks[0], true), 0);
		collapse_direct_map_pmds(t->blocks, 1);
		KUNIT_EXPECT_EQ(test, level_at(addr), PG_LEVEL_1G);
	}
	expect_same_map(test, &before);
	expect_events(test, &before, cycles, cycles);
}

/* One block that is still missing keeps the 1G page away, but nothing else. */
static void missing_block_is_not_mapped(struct kunit *test)
{
	struct direct_map_test *t = test->priv;
	struct counts before = count(test);

	get_blocks(test, 2, false);
	KUNIT_EXPECT_EQ(test, set_direct_map_pmds_invalid(t->blocks, 2), 2);
	KUNIT_EXPECT_EQ(test, all_valid(t->blocks[0], true), 0);
	collapse_direct_map_pmds(t->blocks, 2);
	KUNIT_EXPECT_EQ(test, nr_present(t->blocks[0], BLOCK_PAGES), BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, nr_present(t->blocks[1], BLOCK_PAGES), 0);

	KUNIT_EXPECT_EQ(test, all_valid(t->blocks[1], true), 0);
	collapse_direct_map_pmds(t->blocks, 2);
	expect_same_map(test, &before);
}

/* Calls that other CPUs have made this one take: all flushes of TLBs are such. */
static unsigned int calls_taken(unsigned int cpu)
{
	return READ_ONCE(per_cpu(irq_stat, cpu).counts[IRQ_COUNT_CALL_FUNCTION]);
}

/* Keeps a CPU from being idle: one that polls then is called without an interrupt. */
static int busy(void *running)
{
	WRITE_ONCE(*(bool *)running, true);
	while (!kthread_should_stop()) {
		cpu_relax();
		cond_resched();
	}

	return 0;
}

/*
 * How often another CPU is interrupted when @nr blocks go. Others interrupt it,
 * too, so the least of some rounds counts.
 */
static unsigned int interrupts(struct kunit *test, unsigned int nr, bool from_1g)
{
	struct direct_map_test *t = test->priv;
	unsigned int round, cpu, i, before, least = UINT_MAX;
	struct task_struct *task;
	bool running = false;

	migrate_disable();
	cpu = cpumask_any_but(cpu_online_mask, smp_processor_id());
	task = kthread_run_on_cpu(busy, &running, cpu, "busy/%u");
	while (!IS_ERR(task) && !READ_ONCE(running))
		cond_resched();
	for (round = 0; round < 10; round++) {
		if (from_1g)
			collapse_direct_map_pmds(t->blocks, nr);
		before = calls_taken(cpu);
		if (set_direct_map_pmds_invalid(t->blocks, nr) != nr)
			break;
		least = min(least, calls_taken(cpu) - before);
		for (i = 0; i < nr; i++)
			all_valid(t->blocks[i], true);
	}
	migrate_enable();
	KUNIT_EXPECT_EQ(test, round, 10);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	kthread_stop(task);

	return least;
}

static void need_interrupts(struct kunit *test)
{
	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	if (cpu_feature_enabled(X86_FEATURE_INVLPGB))
		kunit_skip(test, "INVLPGB flushes without interrupts");
}

static void one_flush_for_all_blocks(struct kunit *test)
{
	static const unsigned int nrs[] = { 1, 2, 8, 32 };
	unsigned int i;

	need_interrupts(test);
	get_blocks(test, 32, false);
	invalid_and_back(test, 32);
	for (i = 0; i < ARRAY_SIZE(nrs); i++)
		KUNIT_EXPECT_EQ_MSG(test, interrupts(test, nrs[i], false), 1,
				    "%u blocks of 2M", nrs[i]);
}

/* However many 1G pages have to be split. */
static void one_flush_for_all_splits(struct kunit *test)
{
	unsigned int nr;

	need_interrupts(test);
	get_blocks(test, NR_SPREAD, true);
	for (nr = 1; nr <= NR_SPREAD; nr++)
		KUNIT_EXPECT_EQ_MSG(test, interrupts(test, nr, true), 2,
				    "blocks in %u 1G pages", nr);
	KUNIT_EXPECT_EQ(test, interrupts(test, NR_SPREAD, false), 1);
}

#ifdef CONFIG_DEBUG_TLBFLUSH
static unsigned long flushed_addresses(struct kunit *test)
{
	unsigned long *events, nr;

	events = kunit_kcalloc(test, NR_VM_EVENT_ITEMS, sizeof(*events), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, events);
	all_vm_events(events);
	nr = events[NR_TLB_LOCAL_FLUSH_ONE];
	kunit_kfree(test, events);

	return nr;
}

/*
 * How many addresses are flushed, on all CPUs together, when @nr blocks go: none
 * if all is flushed. The least of some rounds, as in interrupts().
 */
static unsigned long addresses_for(struct kunit *test, unsigned int nr)
{
	struct direct_map_test *t = test->priv;
	unsigned long before, least = ULONG_MAX;
	unsigned int round, i;

	for (round = 0; round < 10; round++) {
		before = flushed_addresses(test);
		KUNIT_EXPECT_EQ(test, set_direct_map_pmds_invalid(t->blocks, nr), nr);
		least = min(least, flushed_addresses(test) - before);
		for (i = 0; i < nr; i++) {
			KUNIT_EXPECT_EQ(test, nr_present(t->blocks[i], BLOCK_PAGES), 0);
			KUNIT_EXPECT_EQ(test, all_valid(t->blocks[i], true), 0);
		}
	}

	return least;
}

/* Where invalidating 2M pages is not enough, or too much, all is flushed. */
static void full_flush_where_needed(struct kunit *test)
{
	struct direct_map_test *t = test->priv;
	const unsigned int nr = MAX_BLOCKS - 1;

	need_interrupts(test);
	get_blocks(test, MAX_BLOCKS, false);
	invalid_and_back(test, MAX_BLOCKS);
	KUNIT_EXPECT_EQ(test, addresses_for(test, nr), nr * num_online_cpus());
	KUNIT_EXPECT_EQ(test, addresses_for(test, 2), 2 * num_online_cpus());
	KUNIT_EXPECT_EQ(test, addresses_for(test, MAX_BLOCKS), 0);

	/* Now the second of two blocks is mapped by 4K pages. */
	KUNIT_EXPECT_EQ(test, one_default(t->blocks[1], false), 0);
	flush_tlb_kernel_range(address(t->blocks[1]),
			       address(t->blocks[1]) + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, one_default(t->blocks[1], true), 0);
	KUNIT_EXPECT_EQ(test, level_at(address(t->blocks[1])), PG_LEVEL_4K);
	KUNIT_EXPECT_EQ(test, addresses_for(test, 2), 0);
}
#else
static void full_flush_where_needed(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_DEBUG_TLBFLUSH");
}
#endif

/* What an address, on each CPU, is enough to flush. */
static void flush_by_address(struct kunit *test)
{
	pgprotval_t global = _PAGE_PRESENT | _PAGE_GLOBAL, other = _PAGE_PRESENT;

	KUNIT_EXPECT_FALSE(test, invlpg_is_enough(other, true, false));
	KUNIT_EXPECT_TRUE(test, invlpg_is_enough(other, true, true));
	KUNIT_EXPECT_TRUE(test, invlpg_is_enough(other, false, false));
	KUNIT_EXPECT_TRUE(test, invlpg_is_enough(global, true, false));
	KUNIT_EXPECT_TRUE(test, invlpg_is_enough(_PAGE_RW, true, false));
}

struct reader {
	struct direct_map_test	*t;
	unsigned int		nr;
	atomic_t		readable;
};

/* Count the pages that this CPU can read, and leave its TLB knowing them. */
static void read_blocks(void *data)
{
	struct reader *reader = data;
	unsigned int i, j;
	long value;
	void *addr;

	for (i = 0; i < reader->nr; i++) {
		for (j = 0; j < BLOCK_PAGES; j++) {
			addr = page_address(reader->t->blocks[i] + j);
			if (!copy_from_kernel_nofault(&value, addr, sizeof(value)))
				atomic_inc(&reader->readable);
		}
	}
}

/* TLBs are small, so look at few blocks, each with its own set of calls. */
static void no_cpu_reads_invalid_blocks(struct kunit *test)
{
	const unsigned int nr = 2, rounds = 8;
	struct direct_map_test *t = test->priv;
	struct reader reader = { .t = t, .nr = nr };
	unsigned int i;

	get_blocks(test, nr, false);
	for (i = 0; i < rounds; i++) {
		atomic_set(&reader.readable, 0);
		on_each_cpu(read_blocks, &reader, true);
		KUNIT_EXPECT_EQ(test, atomic_read(&reader.readable),
				num_online_cpus() * nr * BLOCK_PAGES);

		KUNIT_EXPECT_EQ(test, set_direct_map_pmds_invalid(t->blocks, nr), nr);
		atomic_set(&reader.readable, 0);
		on_each_cpu(read_blocks, &reader, true);
		KUNIT_EXPECT_EQ(test, atomic_read(&reader.readable), 0);

		KUNIT_EXPECT_EQ(test, all_valid(t->blocks[0], true), 0);
		KUNIT_EXPECT_EQ(test, all_valid(t->blocks[1], true), 0);
	}
}

/* The @nth page from now on is not to be had, until page_failed(). */
#ifdef CONFIG_FAULT_INJECTION
#define NEEDS_FAILING_PAGES "needs fail_page_alloc with ignore-gfp-wait=N and min-order=0"

static void fail_page(unsigned int nth)
{
	current->fail_nth = nth;
}

static bool page_failed(void)
{
	unsigned int left = current->fail_nth;

	current->fail_nth = 0;

	return !left;
}
#else
#define NEEDS_FAILING_PAGES "needs CONFIG_FAULT_INJECTION"

static void fail_page(unsigned int nth) { }

static bool page_failed(void)
{
	return false;
}
#endif

/*
 * Asked before a test begins, and of a page that it is not about: where none of
 * its own failed, that is what it has to find.
 */
static void need_failing_pages(struct kunit *test)
{
	struct page *page;

	fail_page(1);
	page = alloc_page(GFP_KERNEL);
	if (page)
		__free_page(page);
	if (!page_failed())
		kunit_skip(test, NEEDS_FAILING_PAGES);
}

/* Let the @nth page table not be had. */
static int fail_table(struct kunit *test, unsigned int nr, unsigned int nth)
{
	struct direct_map_test *t = test->priv;
	int ret;

	fail_page(nth);
	ret = set_direct_map_pmds_invalid(t->blocks, nr);
	KUNIT_EXPECT_TRUE(test, page_failed());

	return ret;
}

/* The first @out of @nr blocks are gone, and no TLB has them. */
static void expect_out(struct kunit *test, unsigned int nr, unsigned int out)
{
	struct direct_map_test *t = test->priv;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ(test, nr_present(t->blocks[i], BLOCK_PAGES),
				i < out ? 0 : BLOCK_PAGES);
		if (i >= out)
			expect_flags(test, t->blocks[i], pgprot_val(PAGE_KERNEL));
	}
}

/* One of the 1G pages cannot be split: what comes before it is out. */
static void failing_split(struct kunit *test)
{
	struct direct_map_test *t = test->priv;
	struct counts before = count(test);
	unsigned int i, nth;
	const int nr = NR_SPREAD;

	need_failing_pages(test);
	get_blocks(test, nr, true);

	for (nth = 1; nth <= nr; nth++) {
		KUNIT_EXPECT_EQ(test, fail_table(test, nr, nth),
				nth == 1 ? -ENOMEM : nth - 1);
		expect_out(test, nr, nth - 1);
		for (i = 0; i < nr; i++)
			KUNIT_EXPECT_EQ(test, level_at(address(t->blocks[i])),
					i < nth - 1 ? PG_LEVEL_2M : PG_LEVEL_1G);

		/* The others go the next time, and all come back. */
		KUNIT_EXPECT_EQ(test,
				set_direct_map_pmds_invalid(t->blocks + nth - 1,
							    nr - (nth - 1)),
				nr - (nth - 1));
		expect_out(test, nr, nr);
		for (i = 0; i < nr; i++)
			KUNIT_EXPECT_EQ(test, all_valid(t->blocks[i], true), 0);
		collapse_direct_map_pmds(t->blocks, nr);
		expect_same_map(test, &before);
	}
}

/* So is what comes before a 2M page that has to be split. */
static void failing_small_split(struct kunit *test)
{
	struct direct_map_test *t = test->priv;
	struct counts before = count(test);
	const unsigned int nr = 3;

	need_failing_pages(test);
	get_blocks(test, nr, false);
	invalid_and_back(test, nr);
	set_pat_bit(test, t->blocks[1]);

	KUNIT_EXPECT_EQ(test, fail_table(test, nr, 1), 1);
	KUNIT_EXPECT_EQ(test, nr_present(t->blocks[0], BLOCK_PAGES), 0);
	KUNIT_EXPECT_EQ(test, all_valid(t->blocks[0], true), 0);
	KUNIT_EXPECT_EQ(test, level_at(address(t->blocks[1])), PG_LEVEL_2M);
	KUNIT_EXPECT_EQ(test, _set_memory_wb(address(t->blocks[1]), BLOCK_PAGES), 0);
	expect_out(test, nr, 0);

	collapse_direct_map_pmds(t->blocks, nr);
	expect_same_map(test, &before);
}

/*
 * Walks without a lock
 */

#define NR_WALKERS	4

struct walker {
	struct direct_map_test	*t;
	struct task_struct	*task;
	bool			irqs_off;
	unsigned long		walks, missing, wrong, mixed, freed;
};

/* Where an entry of a level maps an address, to the byte. */
static phys_addr_t entry_pa(pte_t entry, unsigned int level, unsigned long addr)
{
	switch (level) {
	case PG_LEVEL_1G:
		return PFN_PHYS(pud_pfn(__pud(pte_val(entry)))) | (addr & ~PUD_MASK);
	case PG_LEVEL_2M:
		return PFN_PHYS(pmd_pfn(__pmd(pte_val(entry)))) | (addr & ~PMD_MASK);
	default:
		return PFN_PHYS(pte_pfn(entry)) | (addr & ~PAGE_MASK);
	}
}

/* The entry by value: it exists, is of its level, and leads where it should. */
static void walk_for_entry(struct walker *w, unsigned long addr)
{
	unsigned int level;
	pte_t entry;

	w->walks++;
	if (!lookup_address_entry(addr, &level, &entry)) {
		w->missing++;
		return;
	}
	if ((level == PG_LEVEL_1G || level == PG_LEVEL_2M) !=
	    !!(pte_val(entry) & _PAGE_PSE))
		w->mixed++;
	else if (entry_pa(entry, level, addr) != __pa(addr))
		w->wrong++;
}

/* By pointer: the table that it is in stays one until the end of the walk. */
static void walk_for_pointer(struct walker *w, unsigned long addr)
{
	unsigned int level;
	pte_t *pte;

	guard(rcu)();
	w->walks++;
	pte = lookup_address(addr, &level);
	if (!pte) {
		w->missing++;
		return;
	}
	/* Tables of 1G pages were made at boot, and are flagged otherwise. */
	if (level == PG_LEVEL_1G)
		return;
	udelay(20);
	if (!PageTable(virt_to_page(pte)))
		w->freed++;
}

/* Look at blocks whose mapping nobody changes, but that of their 1G page. */
static int walk(void *data)
{
	struct walker *w = data;
	unsigned long flags, addr;
	unsigned int i = 0;

	while (!kthread_should_stop()) {
		addr = address(w->t->blocks[1 + i % 2]) + i * 64 % PMD_SIZE;
		if (w->irqs_off)
			local_irq_save(flags);
		walk_for_entry(w, addr);
		if (!(i % 16))
			walk_for_pointer(w, addr);
		if (w->irqs_off)
			local_irq_restore(flags);
		if (!(++i % 256))
			cond_resched();
	}

	return 0;
}

static const struct walk_mode {
	char	*name;
	bool	irqs_off;
} walk_modes[] = {
	{ "interrupts on", false },
	{ "interrupts off", true },
};

KUNIT_ARRAY_PARAM_DESC(walk_mode, walk_modes, name);

/* A 1G page is split and collapsed while others look up addresses in it. */
static void walks_without_lock(struct kunit *test)
{
	const struct walk_mode *mode = test->param_value;
	struct walker *walkers, sum = {};
	struct direct_map_test *t = test->priv;
	unsigned long cycles = 0, end, late;
	unsigned int i, cpu, other;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	/* So many that three are in the same 1G page, unless there are many of these. */
	get_blocks(test, 16, false);
	if (!three_in_front(t))
		kunit_skip(test, "needs three free 2M blocks in a 1G page");
	walkers = kunit_kcalloc(test, NR_WALKERS, sizeof(*walkers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, walkers);

	migrate_disable();
	cpu = smp_processor_id();
	for (i = 0; i < NR_WALKERS; i++) {
		other = cpumask_nth(i % num_online_cpus(), cpu_online_mask);
		if (other == cpu)
			continue;
		walkers[i].t = t;
		walkers[i].irqs_off = mode->irqs_off;
		walkers[i].task = kthread_run_on_cpu(walk, &walkers[i], other, "walk/%u");
		KUNIT_EXPECT_NOT_ERR_OR_NULL(test, walkers[i].task);
	}

	/* Longer on a busy machine. */
	end = jiffies + 4 * HZ;
	late = jiffies + 60 * HZ;
	for (; time_before(jiffies, cycles > 200 ? end : late); cycles++) {
		if (set_direct_map_pmds_invalid(t->blocks, 1) != 1)
			break;
		if (all_valid(t->blocks[0], true))
			break;
		collapse_direct_map_pmds(t->blocks, 1);
		cond_resched();
	}
	for (i = 0; i < NR_WALKERS; i++) {
		if (IS_ERR_OR_NULL(walkers[i].task))
			continue;
		kthread_stop(walkers[i].task);
		sum.walks += walkers[i].walks;
		sum.missing += walkers[i].missing;
		sum.wrong += walkers[i].wrong;
		sum.mixed += walkers[i].mixed;
		sum.freed += walkers[i].freed;
	}
	migrate_enable();

	KUNIT_EXPECT_EQ(test, level_at(address(t->blocks[0])), PG_LEVEL_1G);
	KUNIT_EXPECT_GT(test, cycles, 100);
	KUNIT_EXPECT_GT(test, sum.walks, 10000);
	KUNIT_EXPECT_EQ(test, sum.missing, 0);
	KUNIT_EXPECT_EQ(test, sum.wrong, 0);
	KUNIT_EXPECT_EQ(test, sum.mixed, 0);
	KUNIT_EXPECT_EQ(test, sum.freed, 0);
	kunit_info(test, "%lu cycles, %lu walks: %lu without an entry, %lu wrong, %lu of another level, %lu in freed tables\n",
		   cycles, sum.walks, sum.missing, sum.wrong, sum.mixed, sum.freed);
}

/*
 * With page table isolation the kernel's entries are not global, and there are
 * those of other PCIDs. To flush an address has to see to them at the next
 * switch; a CPU without PCIDs, which has nothing to do then, shows that it would.
 */
static void clear_invalidate_other(void *unused)
{
	this_cpu_write(cpu_tlbstate.invalidate_other, false);
}

static void count_invalidate_other(void *nr)
{
	if (this_cpu_read(cpu_tlbstate.invalidate_other))
		atomic_inc(nr);
}

static void other_pcids_are_flushed(struct kunit *test)
{
	struct direct_map_test *t = test->priv;
	atomic_t nr = ATOMIC_INIT(0);

	if (!boot_cpu_has(X86_FEATURE_PTI) || boot_cpu_has(X86_FEATURE_PCID))
		kunit_skip(test, "needs page table isolation, and a CPU without PCIDs");

	get_blocks(test, 2, false);
	invalid_and_back(test, 2);

	on_each_cpu(clear_invalidate_other, NULL, true);
	KUNIT_EXPECT_EQ(test, set_direct_map_pmds_invalid(t->blocks, 2), 2);
	on_each_cpu(count_invalidate_other, &nr, true);
	KUNIT_EXPECT_EQ(test, atomic_read(&nr), num_online_cpus());
}

/* Handling of memory errors maps nothing that somebody took out as a block. */
static void memory_errors_leave_blocks_out(struct kunit *test)
{
	struct direct_map_test *t = test->priv;
	struct counts before;
	unsigned long pfn;

	get_blocks(test, 1, false);
	pfn = page_to_pfn(t->blocks[0]);
	before = count(test);

	KUNIT_EXPECT_EQ(test, set_direct_map_pmds_invalid(t->blocks, 1), 1);
	KUNIT_EXPECT_EQ(test, set_mce_nospec(pfn), 0);
	KUNIT_EXPECT_EQ(test, clear_mce_nospec(pfn), -EBUSY);
	KUNIT_EXPECT_EQ(test, nr_present(t->blocks[0], BLOCK_PAGES), 0);
	KUNIT_EXPECT_EQ(test, level_at(address(t->blocks[0])), PG_LEVEL_2M);
	KUNIT_EXPECT_EQ(test, all_valid(t->blocks[0], true), 0);

	/* A page that an error took out comes back. */
	KUNIT_EXPECT_EQ(test, set_mce_nospec(pfn), 0);
	KUNIT_EXPECT_EQ(test, nr_present(t->blocks[0], BLOCK_PAGES), BLOCK_PAGES - 1);
	KUNIT_EXPECT_EQ(test, clear_mce_nospec(pfn), 0);
	KUNIT_EXPECT_EQ(test, nr_present(t->blocks[0], BLOCK_PAGES), BLOCK_PAGES);

	/* The split was counted, though the address was not canonical. */
	collapse_direct_map_pmds(t->blocks, 1);
	KUNIT_EXPECT_EQ(test, level_at(address(t->blocks[0])), PG_LEVEL_1G);
	expect_same_map(test, &before);
	expect_events(test, &before, 1, 1);
}

static void bad_blocks_are_refused(struct kunit *test)
{
	struct direct_map_test *t = test->priv;
	struct page *blocks[2];

	get_blocks(test, 1, false);
	blocks[0] = t->blocks[0];
	blocks[1] = t->blocks[0] + 1;

	KUNIT_EXPECT_EQ(test, set_direct_map_pmds_invalid(blocks, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, set_direct_map_pmds_invalid(blocks, 2), -EINVAL);
	KUNIT_EXPECT_EQ(test, nr_present(t->blocks[0], BLOCK_PAGES), BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, level_at(address(t->blocks[0])), PG_LEVEL_1G);
}

#ifdef CONFIG_MEMORY_HOTREMOVE
/* Hot-added memory that is not online: nobody but the test looks at it. */
struct added {
	unsigned long	start;
	unsigned long	size;
};

static void take_memory(struct kunit *test, unsigned long start, unsigned long size)
{
	KUNIT_EXPECT_EQ_MSG(test, remove_memory(start, size), 0,
			    "at %#lx, size %#lx", start, size);
}

static void take_all_memory(void *unused)
{
	unsigned long at, step = memory_block_size_bytes();

	for (at = spare; at < spare + PUD_SIZE; at += step)
		if (pfn_valid(PFN_DOWN(at)))
			remove_memory(at, step);
}

static void give_memory(struct kunit *test, unsigned long start, unsigned long size)
{
	int nid = first_online_node;

	KUNIT_ASSERT_EQ_MSG(test, add_memory(nid, start, size, MHP_NONE), 0,
			    "at %#lx, size %#lx", start, size);
}

static void need_spare_memory(struct kunit *test)
{
	int ret;

	if (!spare)
		kunit_skip(test, "needs direct_map_kunit.spare=, 1G of RAM not in use");
	if (mhp_get_default_online_type() != MMOP_OFFLINE)
		kunit_skip(test, "needs hot-added memory to stay offline");
	KUNIT_ASSERT_TRUE(test, IS_ALIGNED(spare, PUD_SIZE));

	ret = kunit_add_action_or_reset(test, take_all_memory, NULL);
	KUNIT_ASSERT_EQ(test, ret, 0);
}

static struct page *spare_page(unsigned long offset)
{
	return pfn_to_page(PFN_DOWN(spare + offset));
}

/* Count the entries for a range that are not none. */
static unsigned long nr_entries(unsigned long start, unsigned long size)
{
	unsigned long addr = (unsigned long)__va(start), end = addr + size;
	unsigned long nr = 0;
	unsigned int level;
	pte_t *pte;

	for (; addr < end; addr += PAGE_SIZE) {
		pte = lookup_address(addr, &level);
		nr += pte && !pte_none(*pte);
	}

	return nr;
}

/* KASAN has no shadow for memory that is not online. */
static __no_sanitize_address noinline void write_values(unsigned long start,
							unsigned long size)
{
	unsigned long addr, end = start + size;

	for (addr = start; addr < end; addr += PAGE_SIZE)
		WRITE_ONCE(*(unsigned long *)__va(addr), addr);
}

static __no_sanitize_address noinline bool has_values(unsigned long start,
						      unsigned long size)
{
	unsigned long addr, end = start + size;

	for (addr = start; addr < end; addr += PAGE_SIZE)
		if (READ_ONCE(*(unsigned long *)__va(addr)) != addr)
			return false;

	return true;
}

static void expect_gone(struct kunit *test, unsigned long start, unsigned long size)
{
	KUNIT_EXPECT_EQ_MSG(test, nr_entries(start, size), 0,
			    "at %#lx, size %#lx", start, size);
}

/* Only if all is mapped may it be read. */
static void expect_kept(struct kunit *test, unsigned long start, unsigned long size)
{
	unsigned int nr = PFN_DOWN(size);
	unsigned int present = nr_present(pfn_to_page(PFN_DOWN(start)), nr);

	KUNIT_EXPECT_EQ_MSG(test, present, nr, "at %#lx, size %#lx", start, size);
	if (present == nr)
		KUNIT_EXPECT_TRUE(test, has_values(start, size));
}

/* Page tables that are accounted as such, exactly. */
static long page_tables(void)
{
	struct pglist_data *pgdat;
	long nr = 0;
	int cpu;

	for_each_online_pgdat(pgdat) {
		nr += atomic_long_read(&pgdat->vm_stat[NR_PAGETABLE]);
		for_each_online_cpu(cpu)
			nr += per_cpu_ptr(pgdat->per_cpu_nodestats, cpu)
					->vm_node_stat_diff[NR_PAGETABLE];
	}

	return nr;
}

/* Non-present entries of 2M and 4K go with the memory. */
static void removed_memory_leaves_no_entries(struct kunit *test)
{
	unsigned long step = memory_block_size_bytes();
	struct counts before = count(test);

	need_spare_memory(test);

	give_memory(test, spare, step);
	KUNIT_EXPECT_EQ(test, level_at(address(spare_page(0))), PG_LEVEL_2M);
	KUNIT_EXPECT_EQ(test, all_valid(spare_page(0), false), 0);
	KUNIT_EXPECT_EQ(test, one_default(spare_page(PMD_SIZE + PAGE_SIZE), false), 0);
	take_memory(test, spare, step);
	KUNIT_ASSERT_EQ(test, nr_entries(spare, step), 0);
	expect_same_map(test, &before);

	give_memory(test, spare, step);
	KUNIT_ASSERT_EQ(test, nr_present(spare_page(0), PFN_DOWN(step)),
			PFN_DOWN(step));
	write_values(spare, step);
	KUNIT_EXPECT_TRUE(test, has_values(spare, step));
	take_memory(test, spare, step);
	expect_gone(test, spare, step);
	expect_same_map(test, &before);
}

/* So does a non-present entry of 1G, even if not all of its memory goes. */
static void removed_memory_leaves_no_1g_entry(struct kunit *test)
{
	unsigned long step = memory_block_size_bytes();
	struct counts before = count(test);

	need_spare_memory(test);
	if (step >= PUD_SIZE)
		kunit_skip(test, "needs memory blocks below 1G");

	give_memory(test, spare, PUD_SIZE);
	KUNIT_ASSERT_EQ(test, level_at(address(spare_page(0))), PG_LEVEL_1G);
	KUNIT_EXPECT_EQ(test, set_direct_map_valid_noflush(spare_page(0),
							   PFN_DOWN(PUD_SIZE), false), 0);
	KUNIT_EXPECT_EQ(test, level_at(address(spare_page(0))), PG_LEVEL_1G);
	take_memory(test, spare, PUD_SIZE);
	KUNIT_ASSERT_EQ(test, nr_entries(spare, PUD_SIZE), 0);
	expect_same_map(test, &before);

	give_memory(test, spare, PUD_SIZE);
	KUNIT_EXPECT_EQ(test, set_direct_map_valid_noflush(spare_page(0),
							   PFN_DOWN(PUD_SIZE), false), 0);
	take_memory(test, spare, step);
	expect_gone(test, spare, step);
	KUNIT_EXPECT_EQ(test, nr_present(spare_page(step), PFN_DOWN(PUD_SIZE - step)), 0);
	KUNIT_EXPECT_EQ(test, set_direct_map_valid_noflush(spare_page(step),
							   PFN_DOWN(PUD_SIZE - step), true), 0);
	write_values(spare + step, PUD_SIZE - step);
	expect_kept(test, spare + step, PUD_SIZE - step);
	take_all_memory(NULL);
	expect_gone(test, spare, PUD_SIZE);
	expect_same_map(test, &before);
}

/* What shares a 1G page with removed memory stays mapped. */
static void rest_of_1g_page_stays(struct kunit *test)
{
	unsigned long step = memory_block_size_bytes();
	struct counts before = count(test);

	need_spare_memory(test);
	if (4 * step >= PUD_SIZE)
		kunit_skip(test, "needs memory blocks below 256M");

	give_memory(test, spare, PUD_SIZE);
	KUNIT_ASSERT_EQ(test, level_at(address(spare_page(0))), PG_LEVEL_1G);
	write_values(spare, PUD_SIZE);

	/* From the middle, then the end, then the start. */
	take_memory(test, spare + 2 * step, step);
	expect_gone(test, spare + 2 * step, step);
	expect_kept(test, spare, 2 * step);
	expect_kept(test, spare + 3 * step, PUD_SIZE - 3 * step);

	take_memory(test, spare + PUD_SIZE - step, step);
	take_memory(test, spare, step);
	expect_gone(test, spare, step);
	expect_kept(test, spare + step, step);
	expect_kept(test, spare + 3 * step, PUD_SIZE - 4 * step);

	take_all_memory(NULL);
	expect_gone(test, spare, PUD_SIZE);
	expect_same_map(test, &before);
}

/* A removal that there is no page table for changes nothing. */
static void removal_without_memory(struct kunit *test)
{
	unsigned long step = memory_block_size_bytes();
	struct counts before = count(test);
	unsigned int tries;
	int ret = 0;

	need_spare_memory(test);
	if (step >= PUD_SIZE)
		kunit_skip(test, "needs memory blocks below 1G");
	need_failing_pages(test);

	/* The page that is not to be had may be another one, but not each time. */
	for (tries = 0; !ret && tries < 4; tries++) {
		take_all_memory(NULL);
		give_memory(test, spare, PUD_SIZE);
		write_values(spare, PUD_SIZE);
		fail_page(1);
		ret = remove_memory(spare + step, step);
		page_failed();
	}
	KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
	KUNIT_EXPECT_EQ(test, level_at(address(spare_page(0))), PG_LEVEL_1G);
	expect_kept(test, spare, PUD_SIZE);

	take_memory(test, spare + step, step);
	expect_gone(test, spare + step, step);
	expect_kept(test, spare, step);
	take_all_memory(NULL);
	expect_same_map(test, &before);
}

/* Collapsing makes no 1G page of memory that may go in parts. */
static void parts_do_not_collapse(struct kunit *test)
{
	unsigned long at, step = memory_block_size_bytes();
	struct counts before = count(test);
	struct page *page;

	need_spare_memory(test);
	if (step >= PUD_SIZE)
		kunit_skip(test, "needs memory blocks below 1G");

	for (at = spare; at < spare + PUD_SIZE; at += step)
		give_memory(test, at, step);
	page = spare_page(0);
	KUNIT_EXPECT_EQ(test, level_at(address(page)), PG_LEVEL_2M);

	collapse_direct_map_pmds(&page, 1);
	KUNIT_EXPECT_EQ(test, level_at(address(page)), PG_LEVEL_2M);

	/* A table that splitting made is a different matter. */
	KUNIT_EXPECT_EQ(test, one_default(page, false), 0);
	KUNIT_EXPECT_EQ(test, level_at(address(page)), PG_LEVEL_4K);
	flush_tlb_kernel_range(address(page), address(page) + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, one_default(page, true), 0);
	collapse_direct_map_pmds(&page, 1);
	KUNIT_EXPECT_EQ(test, level_at(address(page)), PG_LEVEL_2M);

	take_all_memory(NULL);
	expect_gone(test, spare, PUD_SIZE);
	expect_same_map(test, &before);
}

struct collapser {
	struct task_struct	*task;
	struct page		*page;
	struct completion	done;
};

static int collapse(void *data)
{
	struct collapser *c = data;

	collapse_direct_map_pmds(&c->page, 1);
	complete_all(&c->done);

	return 0;
}

/* Nothing is collapsed while memory is being removed. */
static void collapse_waits_for_hotplug(struct kunit *test)
{
	struct direct_map_test *t = test->priv;
	struct collapser c = {};

	get_blocks(test, 1, false);
	invalid_and_back(test, 1);
	c.page = t->blocks[0];
	init_completion(&c.done);

	mem_hotplug_begin();
	c.task = kthread_run(collapse, &c, "collapse");
	if (!IS_ERR(c.task)) {
		KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&c.done, HZ / 5), 0);
		KUNIT_EXPECT_EQ(test, level_at(address(c.page)), PG_LEVEL_2M);
	}
	mem_hotplug_done();
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c.task);
	wait_for_completion(&c.done);
	KUNIT_EXPECT_EQ(test, level_at(address(c.page)), PG_LEVEL_1G);
}

/* A rebuilt 1G page is as good for removal as the first one. */
static void collapsed_1g_page_can_go_in_parts(struct kunit *test)
{
	unsigned long step = memory_block_size_bytes();
	struct counts before = count(test);
	struct page *page;

	need_spare_memory(test);
	if (step >= PUD_SIZE)
		kunit_skip(test, "needs memory blocks below 1G");

	give_memory(test, spare, PUD_SIZE);
	write_values(spare, PUD_SIZE);
	page = spare_page(step);
	KUNIT_EXPECT_EQ(test, set_direct_map_pmds_invalid(&page, 1), 1);
	KUNIT_EXPECT_EQ(test, all_valid(page, true), 0);
	collapse_direct_map_pmds(&page, 1);
	KUNIT_ASSERT_EQ(test, level_at(address(page)), PG_LEVEL_1G);

	take_memory(test, spare, step);
	expect_gone(test, spare, step);
	expect_kept(test, spare + step, PUD_SIZE - step);

	/* The hole prevents that it comes back. */
	collapse_direct_map_pmds(&page, 1);
	KUNIT_EXPECT_EQ(test, level_at(address(page)), PG_LEVEL_2M);
	expect_gone(test, spare, step);

	take_all_memory(NULL);
	expect_gone(test, spare, PUD_SIZE);
	expect_same_map(test, &before);
}

/* Other page tables come and go, so see if many leak. */
static void removal_accounts_page_tables(struct kunit *test)
{
	unsigned long step = memory_block_size_bytes();
	const int tables = PFN_DOWN(step) / BLOCK_PAGES;
	long before;
	int i;

	need_spare_memory(test);

	before = page_tables();
	give_memory(test, spare, step);
	for (i = 0; i < tables; i++)
		KUNIT_EXPECT_EQ(test, one_default(spare_page(i * PMD_SIZE), false), 0);
	KUNIT_EXPECT_GE(test, page_tables() - before, tables / 2);
	take_memory(test, spare, step);
	KUNIT_EXPECT_LT(test, page_tables() - before, tables / 2);
}
#else
#define SKIP_WITHOUT_HOTREMOVE(name)					\
static void name(struct kunit *test)					\
{									\
	kunit_skip(test, "needs CONFIG_MEMORY_HOTREMOVE");		\
}

SKIP_WITHOUT_HOTREMOVE(removed_memory_leaves_no_entries)
SKIP_WITHOUT_HOTREMOVE(removed_memory_leaves_no_1g_entry)
SKIP_WITHOUT_HOTREMOVE(rest_of_1g_page_stays)
SKIP_WITHOUT_HOTREMOVE(removal_without_memory)
SKIP_WITHOUT_HOTREMOVE(parts_do_not_collapse)
SKIP_WITHOUT_HOTREMOVE(collapse_waits_for_hotplug)
SKIP_WITHOUT_HOTREMOVE(collapsed_1g_page_can_go_in_parts)
SKIP_WITHOUT_HOTREMOVE(removal_accounts_page_tables)
#endif

static int direct_map_test_init(struct kunit *test)
{
	if (debug_pagealloc_enabled())
		kunit_skip(test, "needs large pages, so no debug_pagealloc");
	if (!direct_gbpages)
		kunit_skip(test, "needs a CPU with 1G pages, and no nogbpages");
	if (cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		kunit_skip(test, "nothing is collapsed on hosts of SEV-SNP guests");

	test->priv = kunit_kzalloc(test, sizeof(struct direct_map_test), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

/*
 * The kernel image is mapped twice. What of it belongs to the page allocator must
 * be in the direct map only, or who takes it out of there has gained nothing.
 */
static void image_maps_no_free_memory(struct kunit *test)
{
	unsigned long end = roundup(_brk_end, PMD_SIZE);
	unsigned long addr, pages = 0, aliases = 0;
	unsigned int level;
	pte_t entry;

	if (system_state < SYSTEM_RUNNING)
		kunit_skip(test, "needs a kernel that has freed its init memory");

	for (addr = (unsigned long)_text; addr < end; addr += PAGE_SIZE) {
		struct page *page = pfn_to_page(PHYS_PFN(__pa_symbol(addr)));

		if (PageReserved(page))
			continue;
		pages++;
		if (!lookup_address_entry(addr, &level, &entry) ||
		    !pte_present(entry))
			continue;
		if (!aliases++)
			kunit_info(test, "first of them: %pS\n", (void *)addr);
	}

	KUNIT_EXPECT_GT(test, pages, 0);
	KUNIT_EXPECT_EQ(test, aliases, 0);
}

static struct kunit_case direct_map_test_cases[] = {
	KUNIT_CASE_PARAM(flags_return, way_gen_params),
	KUNIT_CASE_PARAM(cache_mode_returns, way_gen_params),
	KUNIT_CASE_PARAM(pat_bit_returns, way_gen_params),
	KUNIT_CASE(large_pages_return),
	KUNIT_CASE(small_pages_collapse),
	KUNIT_CASE(missing_block_is_not_mapped),
	KUNIT_CASE(one_flush_for_all_blocks),
	KUNIT_CASE(one_flush_for_all_splits),
	KUNIT_CASE(full_flush_where_needed),
	KUNIT_CASE(flush_by_address),
	KUNIT_CASE(other_pcids_are_flushed),
	KUNIT_CASE(no_cpu_reads_invalid_blocks),
	KUNIT_CASE(failing_split),
	KUNIT_CASE(failing_small_split),
	KUNIT_CASE_PARAM_ATTR(walks_without_lock, walk_mode_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE(memory_errors_leave_blocks_out),
	KUNIT_CASE(bad_blocks_are_refused),
	KUNIT_CASE(image_maps_no_free_memory),
	KUNIT_CASE(removed_memory_leaves_no_entries),
	KUNIT_CASE_SLOW(removed_memory_leaves_no_1g_entry),
	KUNIT_CASE(rest_of_1g_page_stays),
	KUNIT_CASE_SLOW(removal_without_memory),
	KUNIT_CASE(parts_do_not_collapse),
	KUNIT_CASE(collapse_waits_for_hotplug),
	KUNIT_CASE(collapsed_1g_page_can_go_in_parts),
	KUNIT_CASE(removal_accounts_page_tables),
	{}
};

static struct kunit_suite direct_map_test_suite = {
	.name = "direct_map",
	.init = direct_map_test_init,
	.test_cases = direct_map_test_cases,
};

kunit_test_suite(direct_map_test_suite);

MODULE_DESCRIPTION("Tests for parts of the direct map that go and come back");
MODULE_LICENSE("GPL");
