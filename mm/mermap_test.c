// SPDX-License-Identifier: GPL-2.0
/*
 * Lets user space use the mermap of its own processes, for
 * tools/testing/selftests/mm/mermap.c and to look at. In debugfs, mermap_test/:
 *
 * prepare      a write prepares the writer's mm
 * state        a read says whether the reader's mm is prepared, what its page
 *              tables take, and where its windows and its LDT can be
 * stress       writing N makes and verifies N windows of random size and place
 * page_tables  a read shows the kernel's page tables of the reader while there
 *              are windows
 * page_tables_user
 *              the same for the page tables of user mode
 * bench        a read times a page that is mapped, written to and unmapped
 */

#define pr_fmt(fmt) "mermap_test: " fmt

#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/mermap.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/random.h>
#include <linux/seq_file.h>
#include <linux/vmalloc.h>

#include <asm/pgtable_areas.h>

#define TEST_ORDER	4
#define TEST_PAGES	BIT(TEST_ORDER)

/* Everybody's pages. Each has its number in each word. */
static struct page *test_pages;

static int prepare_set(void *data, u64 val)
{
	return mermap_mm_prepare(current->mm);
}
DEFINE_DEBUGFS_ATTRIBUTE(prepare_fops, NULL, prepare_set, "%llu\n");

static int state_show(struct seq_file *m, void *v)
{
	struct mm_struct *mm = current->mm;

	seq_printf(m, "prepared %d\n", mermap_ready(mm));
	seq_printf(m, "mm_local %d\n", mm_flags_test(MMF_MM_LOCAL, mm));
	seq_printf(m, "pgtables %lu\n", mm_pgtables_bytes(mm));
	seq_printf(m, "windows 0x%lx-0x%lx\n", mermap_cpu_base(0),
		   mermap_cpu_end(nr_cpu_ids - 1));
	seq_printf(m, "ldt 0x%lx-0x%lx\n", LDT_BASE_ADDR, LDT_END_ADDR);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(state);

static bool verify(const u32 *data, unsigned int first, unsigned int nr)
{
	size_t i, words = PAGE_SIZE / sizeof(*data);

	for (i = 0; i < nr * words; i++)
		if (READ_ONCE(data[i]) != first + i / words)
			return false;

	return true;
}

static int stress_set(void *data, u64 val)
{
	struct mermap_alloc *alloc;
	unsigned int first, nr;
	bool good;
	int err;

	while (val) {
		if (fatal_signal_pending(current))
			return -EINTR;
		first = get_random_u32_below(TEST_PAGES);
		nr = 1 + get_random_u32_below(TEST_PAGES - first);
		alloc = mermap_get(test_pages + first, nr * PAGE_SIZE,
				   MERMAP_RO);
		if (IS_ERR(alloc)) {
			/* A CPU that has come online since, or no room. */
			err = 0;
			if (PTR_ERR(alloc) == -EAGAIN)
				err = mermap_mm_prepare(current->mm);
			else if (PTR_ERR(alloc) != -EBUSY)
				err = PTR_ERR(alloc);
			if (err)
				return err;
			cond_resched();
			continue;
		}
		good = verify(mermap_addr(alloc), first, nr);
		mermap_put(alloc);
		if (!good)
			return -EIO;
		/*
		 * A CPU goes offline when all tasks have left it, which they
		 * can do between windows only.
		 */
		if (--val % 8)
			cond_resched();
		else
			usleep_range(200, 1000);
	}

	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(stress_fops, NULL, stress_set, "%llu\n");

static int show_page_tables(struct seq_file *m, bool user)
{
	struct mermap_alloc *a, *b;
	int err;

	err = mermap_mm_prepare(current->mm);
	if (err)
		return err;

	a = mermap_get(test_pages, PAGE_SIZE, MERMAP_RW);
	b = mermap_get(test_pages, 3 * PAGE_SIZE, MERMAP_RO);
	if (!IS_ERR(a) && !IS_ERR(b))
		ptdump_walk_pgd_level_debugfs(m, current->mm, user);
	else
		err = -EAGAIN;
	if (!IS_ERR(b))
		mermap_put(b);
	if (!IS_ERR(a))
		mermap_put(a);

	return err;
}

static int page_tables_show(struct seq_file *m, void *v)
{
	return show_page_tables(m, false);
}
DEFINE_SHOW_ATTRIBUTE(page_tables);

static int page_tables_user_show(struct seq_file *m, void *v)
{
	return show_page_tables(m, true);
}
DEFINE_SHOW_ATTRIBUTE(page_tables_user);

#define BENCH_ROUNDS	1000

/* Time for BENCH_ROUNDS of @code, in ns. Under -icount it counts instructions. */
#define bench(code)							\
({									\
	u64 __start;							\
	int __i;							\
									\
	/* Once to warm up. */						\
	code;								\
	__start = ktime_get_ns();					\
	for (__i = 0; __i < BENCH_ROUNDS; __i++) {			\
		code;							\
	}								\
	ktime_get_ns() - __start;					\
})

static void bench_line(struct seq_file *m, const char *name, u64 ns)
{
	seq_printf(m, "%-16s %6llu\n", name, div_u64(ns, BENCH_ROUNDS));
}

static int bench_show(struct seq_file *m, void *v)
{
	struct mermap_alloc *alloc;
	bool failed = false;
	unsigned long flags;
	void *addr;
	u64 ns;
	int err;

	err = mermap_mm_prepare(current->mm);
	if (err)
		return err;

	ns = bench(barrier());
	bench_line(m, "nothing", ns);

	ns = bench(({
		alloc = mermap_get(test_pages, PAGE_SIZE, MERMAP_RW);
		if (!IS_ERR_OR_NULL(alloc)) {
			WRITE_ONCE(*(u32 *)mermap_addr(alloc), 0);
			mermap_put(alloc);
		} else {
			failed = true;
		}
	}));
	bench_line(m, "mermap", ns);

	ns = bench(({
		local_irq_save(flags);
		alloc = mermap_get_reserved(test_pages, MERMAP_RW);
		if (!IS_ERR_OR_NULL(alloc)) {
			WRITE_ONCE(*(u32 *)mermap_addr(alloc), 0);
			mermap_put(alloc);
		} else {
			failed = true;
		}
		local_irq_restore(flags);
	}));
	bench_line(m, "mermap_reserved", ns);

	ns = bench(({
		addr = kmap_local_page(test_pages);
		WRITE_ONCE(*(u32 *)addr, 0);
		kunmap_local(addr);
	}));
	bench_line(m, "kmap_local_page", ns);

	ns = bench(({
		addr = vmap(&test_pages, 1, VM_MAP, PAGE_KERNEL);
		if (addr) {
			WRITE_ONCE(*(u32 *)addr, 0);
			vunmap(addr);
		} else {
			failed = true;
		}
		cond_resched();
	}));
	bench_line(m, "vmap", ns);

	ns = bench(({
		addr = vm_map_ram(&test_pages, 1, NUMA_NO_NODE);
		if (addr) {
			WRITE_ONCE(*(u32 *)addr, 0);
			vm_unmap_ram(addr, 1);
		} else {
			failed = true;
		}
	}));
	bench_line(m, "vm_map_ram", ns);

	return failed ? -EAGAIN : 0;
}
DEFINE_SHOW_ATTRIBUTE(bench);

static int __init mermap_test_init(void)
{
	struct dentry *dir;
	size_t i;
	u32 *data;

	test_pages = alloc_pages(GFP_KERNEL, TEST_ORDER);
	if (!test_pages)
		return -ENOMEM;
	data = page_address(test_pages);
	for (i = 0; i < TEST_PAGES * PAGE_SIZE / sizeof(*data); i++)
		data[i] = i / (PAGE_SIZE / sizeof(*data));

	dir = debugfs_create_dir("mermap_test", NULL);
	debugfs_create_file_unsafe("prepare", 0200, dir, NULL, &prepare_fops);
	debugfs_create_file_unsafe("stress", 0200, dir, NULL, &stress_fops);
	debugfs_create_file("state", 0400, dir, NULL, &state_fops);
	debugfs_create_file("page_tables", 0400, dir, NULL, &page_tables_fops);
	debugfs_create_file("page_tables_user", 0400, dir, NULL,
			    &page_tables_user_fops);
	debugfs_create_file("bench", 0400, dir, NULL, &bench_fops);

	return 0;
}
late_initcall(mermap_test_init);
