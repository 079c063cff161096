// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the mermap. A test thread borrows an mm with kthread_use_mm()
 * and prepares it. What a window maps is compared with the direct map; that it
 * maps nothing any more is seen by copy_from_kernel_nofault() and in the page
 * tables. Pages are given back after mermap_mm_flush(), as everybody has to.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/mermap.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/pagemap.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#ifdef CONFIG_X86
#include <asm/mm_local.h>
#endif

#include "../mermap.h"

#define MAX_ORDER_USED	6
#define DEBUG_ALLOC_PAGES	4096

static unsigned int max_pages(void)
{
	return arch_mermap_cpu_pages() - 1;
}

/*
 * Things that a test has
 */

static void drop_mm(void *mm)
{
	mmput(mm);
}

static struct mm_struct *new_mm(struct kunit *test)
{
	struct mm_struct *mm = mm_alloc();

	KUNIT_ASSERT_NOT_NULL(test, mm);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, drop_mm, mm), 0);

	return mm;
}

/*
 * Actions run in another thread than the test, so that an mm cannot be given
 * back there. A test that is aborted exits with it, which drops the reference
 * that use_mm() takes.
 */
static struct mm_struct *use_mm(struct mm_struct *mm)
{
	mmget(mm);
	kthread_use_mm(mm);

	return mm;
}

/* The flush comes before actions free pages. */
static void stop_using_mm(struct mm_struct *mm)
{
	mermap_mm_flush(mm);
	kthread_unuse_mm(mm);
	mmput(mm);
}

DEFINE_FREE(stop_using_mm, struct mm_struct *, stop_using_mm(_T))

struct test_pages {
	struct page *page;
	unsigned int order;
};

static void free_test_pages(void *arg)
{
	struct test_pages *pages = arg;

	__free_pages(pages->page, pages->order);
}

static struct page *new_pages(struct kunit *test, unsigned int order)
{
	struct test_pages *pages = kunit_kzalloc(test, sizeof(*pages), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pages);
	pages->order = order;
	pages->page = alloc_pages(GFP_KERNEL | __GFP_ZERO, order);
	KUNIT_ASSERT_NOT_NULL(test, pages->page);
	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test, free_test_pages, pages), 0);

	return pages->page;
}

static struct mm_struct *prepared_mm(struct kunit *test)
{
	struct mm_struct *mm = new_mm(test);

	KUNIT_ASSERT_EQ(test, mermap_mm_prepare(mm), 0);

	return use_mm(mm);
}

static void fill(struct page *page, unsigned int nr, u32 seed)
{
	u32 *data = page_address(page);
	size_t i;

	for (i = 0; i < nr * PAGE_SIZE / sizeof(*data); i++)
		data[i] = seed + i;
}

/* The index of the first word that is not what fill() wrote, or the size. */
static size_t check(const void *addr, unsigned int nr, u32 seed)
{
	const u32 *data = addr;
	size_t i, words = nr * PAGE_SIZE / sizeof(*data);

	for (i = 0; i < words; i++)
		if (READ_ONCE(data[i]) != seed + (u32)i)
			break;

	return i;
}

static void expect_error(struct kunit *test, struct mermap_alloc *alloc, int err)
{
	KUNIT_EXPECT_TRUE(test, IS_ERR(alloc));
	if (IS_ERR(alloc))
		KUNIT_EXPECT_EQ(test, PTR_ERR(alloc), err);
	else
		mermap_put(alloc);
}

static int migration_disabled(void)
{
#ifdef CONFIG_SMP
	return current->migration_disabled;
#else
	return 0;
#endif
}

static bool faults(unsigned long addr)
{
	u32 got;

	return copy_from_kernel_nofault(&got, (void *)addr, sizeof(got)) == -EFAULT;
}

static pte_t *find_pte(struct mm_struct *mm, unsigned long addr)
{
	return pte_offset_kernel(pmd_off(mm, addr), addr);
}

/* Every page faults, has no entry, and nothing of the CPU is taken. */
static void expect_idle(struct kunit *test, struct mm_struct *mm)
{
	unsigned long addr, base;
	struct mermap_cpu *c;

	KUNIT_EXPECT_EQ(test, migration_disabled(), 0);

	migrate_disable();
	base = mermap_cpu_base(smp_processor_id());
	c = this_cpu_ptr(mm->mermap->cpu);
	KUNIT_EXPECT_FALSE(test, c->reserved_used);
	KUNIT_EXPECT_EQ(test, c->used, ~GENMASK_ULL(max_pages() - 1, 0));
	for (addr = base; addr < mermap_cpu_end(smp_processor_id()); addr += PAGE_SIZE) {
		if (!faults(addr))
			KUNIT_FAIL(test, "page %lu of the CPU can be read\n",
				   (addr - base) >> PAGE_SHIFT);
		if (!pte_none(*find_pte(mm, addr)))
			KUNIT_FAIL(test, "page %lu of the CPU has an entry\n",
				   (addr - base) >> PAGE_SHIFT);
	}
	migrate_enable();
}

/*
 * One window
 */

/* Windows of every size show every page, both ways, and fault afterwards. */
static void content(struct kunit *test)
{
	struct page *page = new_pages(test, MAX_ORDER_USED);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct mermap_alloc *alloc;
	unsigned int nr;
	void *addr;

	for (nr = 1; nr <= max_pages(); nr++) {
		fill(page, nr, nr);
		alloc = mermap_get(page, nr * PAGE_SIZE, MERMAP_RW);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
		addr = mermap_addr(alloc);

		KUNIT_EXPECT_GE(test, (unsigned long)addr,
				mermap_cpu_base(smp_processor_id()));
		KUNIT_EXPECT_LE(test, (unsigned long)addr + nr * PAGE_SIZE,
				mermap_cpu_end(smp_processor_id()) - PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, check(addr, nr, nr), nr * PAGE_SIZE / 4);
		KUNIT_EXPECT_TRUE(test, faults((unsigned long)addr + nr * PAGE_SIZE));

		memset(addr, 0xa5, nr * PAGE_SIZE);
		mermap_put(alloc);
		KUNIT_EXPECT_TRUE(test, faults((unsigned long)addr));
		KUNIT_EXPECT_TRUE(test,
				  faults((unsigned long)addr + (nr - 1) * PAGE_SIZE));
		KUNIT_EXPECT_NULL(test, memchr_inv(page_address(page), 0xa5,
						   nr * PAGE_SIZE));
	}
	expect_idle(test, mm);
}

/* Sizes that are not whole pages are rounded up; what is too much is refused. */
static void sizes(struct kunit *test)
{
	struct page *page = new_pages(test, MAX_ORDER_USED);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct mermap_alloc *alloc;

	fill(page, 2, 7);
	alloc = mermap_get(page, PAGE_SIZE + 1, MERMAP_RW);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
	KUNIT_EXPECT_EQ(test, check(mermap_addr(alloc), 2, 7), 2 * PAGE_SIZE / 4);
	mermap_put(alloc);

	expect_error(test, mermap_get(page, 0, MERMAP_RW), -EINVAL);
	expect_error(test, mermap_get(page, max_pages() * PAGE_SIZE + 1, MERMAP_RW),
		     -EINVAL);
	expect_error(test, mermap_get(page, ULONG_MAX, MERMAP_RW), -EINVAL);
	expect_idle(test, mm);
}

/* Entries are there, not global, not executable, and only as writable as asked. */
static void protection(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct mermap_alloc *alloc;
	pte_t pte;

	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RW);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
	pte = *find_pte(mm, (unsigned long)mermap_addr(alloc));
	KUNIT_EXPECT_TRUE(test, pte_present(pte));
	KUNIT_EXPECT_TRUE(test, pte_write(pte));
	KUNIT_EXPECT_EQ(test, pte_pfn(pte), page_to_pfn(page));
#ifdef CONFIG_X86
	KUNIT_EXPECT_EQ(test, pte_flags(pte) & (_PAGE_GLOBAL | _PAGE_USER), 0);
	if (__supported_pte_mask & _PAGE_NX)
		KUNIT_EXPECT_NE(test, pte_flags(pte) & _PAGE_NX, 0);
#endif
	mermap_put(alloc);

	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RO);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
	KUNIT_EXPECT_FALSE(test, pte_write(*find_pte(mm, (unsigned long)mermap_addr(alloc))));
	mermap_put(alloc);

	expect_idle(test, mm);
}

#ifdef CONFIG_MITIGATION_PAGE_TABLE_ISOLATION
static bool have_user_half(void)
{
	return boot_cpu_has(X86_FEATURE_PTI);
}

/* Whether the page tables of user mode lead to a table of PTEs. */
static bool user_half_has(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = kernel_to_user_pgdp(pgd_offset(mm, addr));
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none(*pgd))
		return false;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return false;
	pud = pud_offset(p4d, addr);

	return !pud_none(*pud) && !pmd_none(*pmd_offset(pud, addr));
}
#else
static bool have_user_half(void)
{
	return false;
}

static bool user_half_has(struct mm_struct *mm, unsigned long addr)
{
	return false;
}
#endif

/* User mode has no page tables for a window. */
static void user_half(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mermap_alloc *alloc;

	if (!have_user_half())
		kunit_skip(test, "needs page table isolation (pti=on)");

	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);

	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RW);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
	KUNIT_EXPECT_FALSE(test, user_half_has(mm, (unsigned long)mermap_addr(alloc)));
	mermap_put(alloc);
}

/* A task can sleep with a window, and stays on its CPU. */
static void sleep_with_window(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct mermap_alloc *alloc;
	unsigned int cpu;

	fill(page, 1, 3);
	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RW);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
	cpu = smp_processor_id();
	msleep(20);
	KUNIT_EXPECT_EQ(test, smp_processor_id(), cpu);
	KUNIT_EXPECT_EQ(test, check(mermap_addr(alloc), 1, 3), PAGE_SIZE / 4);
	mermap_put(alloc);
	expect_idle(test, mm);
}

/* What was written to a page reaches its window, and the other way round. */
static void alias(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mermap_alloc *a, *b;
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	u32 *first, *second;

	a = mermap_get(page, PAGE_SIZE, MERMAP_RW);
	b = mermap_get(page, PAGE_SIZE, MERMAP_RW);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, a);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, b);
	first = mermap_addr(a);
	second = mermap_addr(b);
	KUNIT_EXPECT_PTR_NE(test, first, second);
	WRITE_ONCE(*first, 1);
	KUNIT_EXPECT_EQ(test, READ_ONCE(*second), 1);
	KUNIT_EXPECT_EQ(test, migration_disabled(), IS_ENABLED(CONFIG_SMP) ? 2 : 0);
	mermap_put(a);
	KUNIT_EXPECT_TRUE(test, faults((unsigned long)first));
	KUNIT_EXPECT_EQ(test, READ_ONCE(*second), 1);
	mermap_put(b);
	expect_idle(test, mm);
}

/*
 * Room
 */

static void put_all(struct mermap_alloc **allocs)
{
	unsigned int i;

	for (i = 0; i < max_pages(); i++)
		if (!IS_ERR_OR_NULL(allocs[i]))
			mermap_put(allocs[i]);
}

/* All pages can be taken, one more is refused, and any that is freed is found. */
static void exhaustion(struct kunit *test)
{
	struct mermap_alloc *allocs[MERMAP_NR_ALLOCS] = {};
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct rnd_state rnd;
	unsigned int i, j;

	/* Windows are of this CPU only as long as there is one. */
	migrate_disable();
	for (i = 0; i < max_pages(); i++) {
		allocs[i] = mermap_get(page, PAGE_SIZE, MERMAP_RW);
		if (IS_ERR(allocs[i]))
			break;
		for (j = 0; j < i; j++)
			if (allocs[j] == allocs[i])
				KUNIT_FAIL(test, "window %u is window %u\n", i, j);
	}
	KUNIT_EXPECT_EQ(test, i, max_pages());
	expect_error(test, mermap_get(page, PAGE_SIZE, MERMAP_RW), -EBUSY);

	prandom_seed_state(&rnd, 42);
	for (i = 0; i < 1000; i++) {
		j = prandom_u32_state(&rnd) % max_pages();
		if (IS_ERR_OR_NULL(allocs[j]))
			break;
		mermap_put(allocs[j]);
		allocs[j] = mermap_get(page, PAGE_SIZE, MERMAP_RW);
	}
	KUNIT_EXPECT_EQ(test, i, 1000);

	put_all(allocs);
	migrate_enable();
	expect_idle(test, mm);
}

/* A run is found where it fits and refused where it does not. */
static void fragmentation(struct kunit *test)
{
	struct mermap_alloc *allocs[MERMAP_NR_ALLOCS] = {};
	struct mermap_alloc *two, *three;
	struct page *page = new_pages(test, 2);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	unsigned int i;
	void *hole;

	migrate_disable();
	for (i = 0; i < max_pages(); i++)
		allocs[i] = mermap_get(page, PAGE_SIZE, MERMAP_RW);

	/* Holes of one page, and then one of three. */
	hole = mermap_addr(allocs[2]);
	for (i = 0; i < max_pages() - 1; i += 2) {
		mermap_put(allocs[i]);
		allocs[i] = NULL;
	}
	expect_error(test, mermap_get(page, 2 * PAGE_SIZE, MERMAP_RW), -EBUSY);
	mermap_put(allocs[3]);
	expect_error(test, mermap_get(page, 4 * PAGE_SIZE, MERMAP_RW), -EBUSY);
	three = mermap_get(page, 3 * PAGE_SIZE, MERMAP_RW);
	KUNIT_EXPECT_PTR_EQ(test, mermap_addr(three), hole);
	two = mermap_get(page, 2 * PAGE_SIZE, MERMAP_RW);
	expect_error(test, two, -EBUSY);
	if (!IS_ERR(three))
		mermap_put(three);
	allocs[3] = NULL;
	put_all(allocs);
	migrate_enable();
	expect_idle(test, mm);
}

/*
 * The reserved page
 */

static void reserved(struct kunit *test)
{
	struct mermap_alloc *allocs[MERMAP_NR_ALLOCS] = {};
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct mermap_alloc *alloc, *second = NULL;
	unsigned long flags;
	size_t good = 0;
	unsigned int i;

	fill(page, 1, 11);

	/* Room does not matter. */
	migrate_disable();
	for (i = 0; i < max_pages(); i++)
		allocs[i] = mermap_get(page, PAGE_SIZE, MERMAP_RW);

	local_irq_save(flags);
	alloc = mermap_get_reserved(page, MERMAP_RW);
	if (!IS_ERR_OR_NULL(alloc)) {
		good = check(mermap_addr(alloc), 1, 11);
		mermap_put(alloc);
		second = mermap_get_reserved(page, MERMAP_RW);
		if (!IS_ERR_OR_NULL(second))
			mermap_put(second);
	}
	local_irq_restore(flags);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, alloc);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, second);
	KUNIT_EXPECT_EQ(test, good, PAGE_SIZE / 4);

	put_all(allocs);
	migrate_enable();
	expect_idle(test, mm);
}

/* With interrupts enabled, or while it is in use, it is refused. */
static void reserved_misuse(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct mermap_alloc *alloc = NULL, *second = NULL;
	unsigned long flags;

	kunit_warning_suppress(test) {
		expect_error(test, mermap_get_reserved(page, MERMAP_RW), -EINVAL);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	kunit_warning_suppress(test) {
		local_irq_save(flags);
		alloc = mermap_get_reserved(page, MERMAP_RW);
		second = mermap_get_reserved(page, MERMAP_RW);
		if (!IS_ERR_OR_NULL(alloc))
			mermap_put(alloc);
		local_irq_restore(flags);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, alloc);
	expect_error(test, second, -EBUSY);
	expect_idle(test, mm);
}

struct in_irq {
	struct irq_work work;
	struct page *page;
	struct mm_struct *mm;
	size_t good;
	bool ran;
};

static void use_in_irq(struct irq_work *work)
{
	struct in_irq *data = container_of(work, struct in_irq, work);
	struct mermap_alloc *alloc;

	/* On behalf of whoever was interrupted: the mm is loaded. */
	alloc = __mermap_get_reserved(data->mm, data->page, MERMAP_RW);
	if (!IS_ERR_OR_NULL(alloc)) {
		data->good = check(mermap_addr(alloc), 1, 13);
		__mermap_put(data->mm, alloc);
	}
	data->ran = true;
}

/* It works in a hard interrupt, on top of windows of the interrupted task. */
static void reserved_in_irq(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct in_irq data = { .page = page, .mm = mm };
	struct mermap_alloc *alloc;

	fill(page, 1, 13);
	data.work = IRQ_WORK_INIT_HARD(use_in_irq);

	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RW);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
	/* Nobody else is to be running when the interrupt comes. */
	preempt_disable();
	irq_work_queue(&data.work);
	while (irq_work_is_busy(&data.work))
		cpu_relax();
	preempt_enable();
	KUNIT_EXPECT_TRUE(test, data.ran);
	KUNIT_EXPECT_EQ(test, data.good, PAGE_SIZE / 4);
	KUNIT_EXPECT_EQ(test, check(mermap_addr(alloc), 1, 13), PAGE_SIZE / 4);
	mermap_put(alloc);
	expect_idle(test, mm);
}

/*
 * Who is refused
 */

static void expect_refused(struct kunit *test, struct page *page, int err)
{
	int before = migration_disabled();

	expect_error(test, mermap_get(page, PAGE_SIZE, MERMAP_RW), err);
	KUNIT_EXPECT_EQ(test, migration_disabled(), before);
}

/* A kernel thread has no mm of its own, even if one is loaded lazily. */
static void no_mm(struct kunit *test)
{
	struct page *page = new_pages(test, 0);

	KUNIT_ASSERT_NULL(test, current->mm);
	KUNIT_EXPECT_FALSE(test, mermap_ready(current->mm));
	expect_refused(test, page, -ENXIO);
	KUNIT_EXPECT_EQ(test, mermap_mm_prepare(NULL), -EOPNOTSUPP);
}

static void unprepared_mm(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm __free(stop_using_mm) = use_mm(new_mm(test));

	KUNIT_EXPECT_FALSE(test, mermap_ready(mm));
	expect_refused(test, page, -EAGAIN);
	/* It has nothing, and nothing has to be flushed. */
	KUNIT_EXPECT_NULL(test, mm->mermap);
	mermap_mm_flush(mm);

	KUNIT_EXPECT_EQ(test, mermap_mm_prepare(mm), 0);
	KUNIT_EXPECT_TRUE(test, mermap_ready(mm));
}

/* An mm whose page tables are not loaded has no windows, prepared or not. */
static void mm_not_loaded(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct mm_struct *other = new_mm(test);
	int before = migration_disabled();
	struct mermap_alloc *alloc;

	KUNIT_ASSERT_EQ(test, mermap_mm_prepare(other), 0);
	preempt_disable();
	alloc = __mermap_get(other, page, PAGE_SIZE, MERMAP_RW);
	preempt_enable();
	expect_error(test, alloc, -ENXIO);
	KUNIT_EXPECT_EQ(test, migration_disabled(), before);

	if (IS_ENABLED(CONFIG_PREEMPT_COUNT)) {
		kunit_warning_suppress(test) {
			expect_error(test, __mermap_get(other, page, PAGE_SIZE,
							MERMAP_RW), -EINVAL);
			KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
		}
		KUNIT_EXPECT_EQ(test, migration_disabled(), before);
	}
	expect_idle(test, mm);
}

/*
 * Nor has an mm that a kernel thread is done with, but whose page tables are
 * loaded still: a flush from elsewhere can unload them at any time.
 */
static void mm_loaded_lazily(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm = new_mm(test);
	struct mermap_alloc *alloc, *reserved;
	unsigned long flags;

	KUNIT_ASSERT_EQ(test, mermap_mm_prepare(mm), 0);

	preempt_disable();
	kthread_use_mm(mm);
	kthread_unuse_mm(mm);
	alloc = __mermap_get(mm, page, PAGE_SIZE, MERMAP_RW);
	if (!IS_ERR_OR_NULL(alloc))
		__mermap_put(mm, alloc);
	local_irq_save(flags);
	reserved = __mermap_get_reserved(mm, page, MERMAP_RW);
	if (!IS_ERR_OR_NULL(reserved))
		__mermap_put(mm, reserved);
	local_irq_restore(flags);
	preempt_enable();

	mermap_mm_flush(mm);
	expect_error(test, alloc, -ENXIO);
	expect_error(test, reserved, -ENXIO);
}

static void irqs_off(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	unsigned long flags;

	kunit_warning_suppress(test) {
		local_irq_save(flags);
		expect_refused(test, page, -EINVAL);
		local_irq_restore(flags);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	expect_idle(test, mm);
}

/* What is not a window of this CPU is not ended, and migration stays as it is. */
static void bad_put(struct kunit *test)
{
	struct page *page = new_pages(test, 1);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct mm_struct *elsewhere = new_mm(test);
	struct mermap_alloc *alloc;
	unsigned long other;

	KUNIT_ASSERT_EQ(test, mermap_mm_prepare(elsewhere), 0);

	alloc = mermap_get(page, 2 * PAGE_SIZE, MERMAP_RW);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
	other = (unsigned long)mermap_addr(alloc) + PAGE_SIZE;

	kunit_warning_suppress(test) {
		/*
		 * Beyond what is taken, beyond the CPU, elsewhere, from the
		 * reserved page on, and in an mm that is not loaded.
		 */
		mermap_put((struct mermap_alloc *)(other + 1));
		mermap_put((struct mermap_alloc *)mermap_cpu_end(smp_processor_id()));
		mermap_put((struct mermap_alloc *)page_address(page));
		mermap_put((struct mermap_alloc *)
			   (mermap_cpu_end(smp_processor_id()) - PAGE_SIZE + 1));
		__mermap_put(elsewhere, alloc);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 5);
	}
	KUNIT_EXPECT_EQ(test, migration_disabled(), IS_ENABLED(CONFIG_SMP) ? 1 : 0);
	KUNIT_EXPECT_FALSE(test, faults(other));
	mermap_put(alloc);

	kunit_warning_suppress(test) {
		/* Once more. */
		mermap_put(alloc);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	kunit_warning_suppress(test) {
		mermap_put(NULL);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, IS_ENABLED(CONFIG_DEBUG_VM));
	}
	expect_idle(test, mm);
}

/*
 * The life of an mm
 */

/* Free the page tables, which otherwise happens too late to look at @mm. */
static void free_tables(struct mm_struct *mm)
{
#ifdef CONFIG_X86
	mm_local_exit(mm);
#endif
}

/* What is prepared is there, once, and is given back whole. */
static void prepare_twice(struct kunit *test)
{
	struct mm_struct *mm = new_mm(test);
	unsigned long before = mm_pgtables_bytes(mm), after;
	unsigned int cpu, groups = 0;
	struct mermap *m;
	pte_t *ptes;

	KUNIT_EXPECT_NULL(test, mm->mermap);
	KUNIT_ASSERT_EQ(test, mermap_mm_prepare(mm), 0);
	m = mm->mermap;
	KUNIT_ASSERT_NOT_NULL(test, m);
	after = mm_pgtables_bytes(mm);
	KUNIT_EXPECT_GT(test, after, before);
	ptes = per_cpu_ptr(m->cpu, 0)->ptes;
	kunit_info(test, "%lu bytes of page tables, %zu + %u * %zu bytes of structures\n",
		   after - before, sizeof(*m), nr_cpu_ids, sizeof(struct mermap_cpu));

	KUNIT_EXPECT_EQ(test, mermap_mm_prepare(mm), 0);
	KUNIT_EXPECT_PTR_EQ(test, mm->mermap, m);
	KUNIT_EXPECT_PTR_EQ(test, per_cpu_ptr(m->cpu, 0)->ptes, ptes);
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(mm), after);

	/* Only what is online has tables, and on 64-bit eight CPUs share one. */
	for_each_possible_cpu(cpu) {
		KUNIT_EXPECT_EQ(test, !!per_cpu_ptr(m->cpu, cpu)->ptes,
				cpu_online(cpu));
		if (cpu_online(cpu) && cpu / 8 + 1 > groups)
			groups = cpu / 8 + 1;
	}
	if (IS_ENABLED(CONFIG_X86_64))
		KUNIT_EXPECT_LE(test, after - before, (2 + groups) * PAGE_SIZE);

	mermap_mm_teardown(mm);
	KUNIT_EXPECT_NULL(test, mm->mermap);
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(mm), after);
	free_tables(mm);
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(mm), before);
}

#define NR_PREPARERS	4

struct preparer {
	struct task_struct *task;
	struct mm_struct *mm;
	struct page *page;
	struct completion *start;
	bool prepare;
	int ret;
	bool ready;
	struct mermap *mermap;
	size_t good;
};

static int prepare_fn(void *arg)
{
	struct preparer *p = arg;
	struct mermap_alloc *alloc = NULL;
	int ret = 0;

	wait_for_completion(p->start);
	kthread_use_mm(p->mm);
	if (p->prepare) {
		ret = mermap_mm_prepare(p->mm);
		p->ready = mermap_ready(p->mm);
		p->mermap = READ_ONCE(p->mm->mermap);
	}
	/* The others use what is there as soon as it is there. */
	while (!ret && IS_ERR_OR_NULL(alloc) && !kthread_should_stop()) {
		alloc = mermap_get(p->page, PAGE_SIZE, MERMAP_RW);
		cond_resched();
	}
	if (!IS_ERR_OR_NULL(alloc)) {
		/* Whoever prepares this CPU now must not forget about it. */
		usleep_range(1000, 2000);
		p->good = check(mermap_addr(alloc), 1, 23);
		mermap_put(alloc);
	}
	kthread_unuse_mm(p->mm);
	WRITE_ONCE(p->ret, ret);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);

	return 0;
}

/*
 * Threads that prepare the same mm at the same time all succeed, and threads
 * that have been waiting for it find everything in place.
 */
static void prepare_race(struct kunit *test)
{
	struct preparer p[NR_PREPARERS] = {};
	struct page *page = new_pages(test, 0);
	struct completion start;
	unsigned int round, i, cpu;
	struct mm_struct *mm;
	unsigned long late;

	fill(page, 1, 23);
	for (round = 0; round < 20; round++) {
		mm = new_mm(test);
		init_completion(&start);
		for (i = 0; i < NR_PREPARERS; i++) {
			p[i] = (struct preparer){
				.mm = mm,
				.page = page,
				.start = &start,
				.prepare = i < NR_PREPARERS / 2,
				.ret = 1,
			};
			cpu = cpumask_nth(i % num_online_cpus(), cpu_online_mask);
			p[i].task = kthread_run_on_cpu(prepare_fn, &p[i], cpu,
						       "mermap_prepare/%u");
			KUNIT_EXPECT_NOT_ERR_OR_NULL(test, p[i].task);
		}
		complete_all(&start);
		late = jiffies + 60 * HZ;
		for (i = 0; i < NR_PREPARERS; i++) {
			if (IS_ERR_OR_NULL(p[i].task))
				continue;
			while (READ_ONCE(p[i].ret) == 1 && time_before(jiffies, late))
				usleep_range(1000, 2000);
			kthread_stop(p[i].task);
			KUNIT_EXPECT_EQ(test, p[i].ret, 0);
			KUNIT_EXPECT_EQ(test, p[i].ready, p[i].prepare);
			if (p[i].prepare)
				KUNIT_EXPECT_PTR_EQ(test, p[i].mermap, p[0].mermap);
			KUNIT_EXPECT_EQ(test, p[i].good, PAGE_SIZE / 4);
		}
		KUNIT_ASSERT_NOT_NULL(test, mm->mermap);
		for_each_online_cpu(cpu)
			KUNIT_EXPECT_EQ(test, per_cpu_ptr(mm->mermap->cpu, cpu)->used,
					~GENMASK_ULL(max_pages() - 1, 0));
		mermap_mm_flush(mm);
	}
}

static unsigned int torn_down;

static void count_teardown(struct mm_struct *mm)
{
	torn_down++;
	kunit_deactivate_static_stub(kunit_get_current_test(), __mermap_mm_teardown);
	__mermap_mm_teardown(mm);
}

/* An mm that was never used, and never exited, gives everything back. */
static void never_ran(struct kunit *test)
{
	unsigned int cpu = cpumask_first(cpu_online_mask);
	struct mm_struct *mm = mm_alloc();
	struct page *table = NULL;

	KUNIT_ASSERT_NOT_NULL(test, mm);
	KUNIT_EXPECT_EQ(test, mermap_mm_prepare(mm), 0);
	if (mm->mermap && per_cpu_ptr(mm->mermap->cpu, cpu)->ptes) {
		table = virt_to_page(per_cpu_ptr(mm->mermap->cpu, cpu)->ptes);
		get_page(table);
	}
	torn_down = 0;
	kunit_activate_static_stub(test, __mermap_mm_teardown, count_teardown);
	mmdrop(mm);
	KUNIT_EXPECT_EQ(test, torn_down, 1);

	KUNIT_ASSERT_NOT_NULL(test, table);
	/* Nobody else has it any more. */
	KUNIT_EXPECT_EQ(test, page_ref_count(table), 1);
	KUNIT_EXPECT_FALSE(test, PageTable(table));
	put_page(table);
}

/* A reference of mmgrab() is enough: what is prepared outlives all users. */
static void outlives_users(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm = mm_alloc();
	struct mermap_alloc *alloc;
	struct page *table;
	size_t good = 0;

	KUNIT_ASSERT_NOT_NULL(test, mm);
	KUNIT_ASSERT_EQ(test, mermap_mm_prepare(mm), 0);
	fill(page, 1, 29);
	mmgrab(mm);
	mmput(mm);

	table = virt_to_page(per_cpu_ptr(mm->mermap->cpu,
					 cpumask_first(cpu_online_mask))->ptes);
	KUNIT_EXPECT_TRUE(test, PageTable(table));
	if (PageTable(table)) {
		kthread_use_mm(mm);
		alloc = mermap_get(page, PAGE_SIZE, MERMAP_RO);
		KUNIT_EXPECT_NOT_ERR_OR_NULL(test, alloc);
		if (!IS_ERR(alloc)) {
			good = check(mermap_addr(alloc), 1, 29);
			mermap_put(alloc);
		}
		mermap_mm_flush(mm);
		kthread_unuse_mm(mm);
		KUNIT_EXPECT_EQ(test, good, PAGE_SIZE / 4);
	}
	mmdrop(mm);
}

/* Memory that each CPU has is not among what leaks of an mm can be seen by. */
static void many_mms(struct kunit *test)
{
#ifndef MODULE
	/* What each CPU has is 32 times as large with the checker, and slow to get. */
	const unsigned int nr = IS_ENABLED(CONFIG_DEBUG_MERMAP) ? 512 : 4096;
	unsigned long before, grown, leak;
	struct mm_struct *mm;
	unsigned int i;

	before = pcpu_nr_pages();
	for (i = 0; i < nr; i++) {
		mm = mm_alloc();
		KUNIT_ASSERT_NOT_NULL(test, mm);
		if (mermap_mm_prepare(mm))
			break;
		mmput(mm);
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, i, nr);
	grown = pcpu_nr_pages() - before;
	leak = PFN_DOWN(nr * sizeof(struct mermap_cpu)) * num_possible_cpus();
	/* Others allocate, too, and what was free before is used up first. */
	KUNIT_EXPECT_LT(test, grown, leak / 2);
#else
	kunit_skip(test, "needs to be built in");
#endif
}

/* Windows of a CPU that came online later need another prepare. */
static void cpu_comes_online(struct kunit *test)
{
	struct mm_struct *mm = new_mm(test);
	unsigned int cpu = cpumask_last(cpu_online_mask);

	if (!IS_ENABLED(CONFIG_HOTPLUG_CPU) || !cpu || num_online_cpus() < 2)
		kunit_skip(test, "needs a CPU that can be taken offline");
	if (remove_cpu(cpu))
		kunit_skip(test, "CPU %u cannot be taken offline", cpu);

	KUNIT_EXPECT_EQ(test, mermap_mm_prepare(mm), 0);
	KUNIT_EXPECT_NULL(test, per_cpu_ptr(mm->mermap->cpu, cpu)->ptes);
	KUNIT_ASSERT_EQ(test, add_cpu(cpu), 0);
	KUNIT_EXPECT_NULL(test, per_cpu_ptr(mm->mermap->cpu, cpu)->ptes);
	KUNIT_EXPECT_EQ(test, mermap_mm_prepare(mm), 0);
	KUNIT_EXPECT_NOT_NULL(test, per_cpu_ptr(mm->mermap->cpu, cpu)->ptes);
}

/*
 * Flush
 */

/* It remembers what it has done, and ends where all windows are covered. */
static void flush_epoch(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct mermap_alloc *alloc;
	s64 before;

	before = atomic64_read(&mm->mermap->flushed);
	mermap_mm_flush(mm);
	KUNIT_EXPECT_EQ(test, atomic64_read(&mm->mermap->flushed), before);

	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RW);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
	mermap_put(alloc);
	mermap_mm_flush(mm);
	KUNIT_EXPECT_EQ(test, atomic64_read(&mm->mermap->flushed), before + 1);
#ifdef CONFIG_X86
	{
		u64 gen = atomic64_read(&mm->context.tlb_gen);

		/* Nothing has happened since. */
		mermap_mm_flush(mm);
		KUNIT_EXPECT_EQ(test, atomic64_read(&mm->context.tlb_gen), gen);
		alloc = mermap_get(page, PAGE_SIZE, MERMAP_RW);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
		mermap_put(alloc);
		KUNIT_EXPECT_EQ(test, atomic64_read(&mm->context.tlb_gen), gen);
		mermap_mm_flush(mm);
		KUNIT_EXPECT_EQ(test, atomic64_read(&mm->context.tlb_gen), gen + 1);
	}
#endif
}

/* Reads an address in an mm, on a CPU, without loading another mm in between. */
struct remote {
	struct task_struct *task;
	struct mm_struct *mm;
	unsigned long addr;
	unsigned int asked, answered;
	bool readable;
};

static int remote_fn(void *arg)
{
	struct remote *r = arg;

	kthread_use_mm(r->mm);
	while (!kthread_should_stop()) {
		/* Pairs with smp_store_release() in remote_reads() */
		if (smp_load_acquire(&r->asked) == r->answered) {
			cpu_relax();
			continue;
		}
		r->readable = !faults(r->addr);
		/* Pairs with smp_load_acquire() in remote_reads() */
		smp_store_release(&r->answered, r->answered + 1);
	}
	kthread_unuse_mm(r->mm);

	return 0;
}

static bool remote_reads(struct remote *r)
{
	/* Pairs with smp_load_acquire() of the other CPU */
	smp_store_release(&r->asked, r->asked + 1);
	/* Pairs with smp_store_release() of the other CPU */
	while (smp_load_acquire(&r->answered) != r->asked)
		cond_resched();

	return r->readable;
}

/* After the flush no other CPU reaches the page, whatever it has loaded. */
static void remote_flush(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	unsigned int round, mapped = 0, ended = 0, flushed = 0, cpu;
	const unsigned int rounds = 50;
	struct mermap_alloc *alloc;
	struct remote r = {};

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);

	migrate_disable();
	cpu = cpumask_any_but(cpu_online_mask, smp_processor_id());
	r.mm = mm;
	r.task = kthread_run_on_cpu(remote_fn, &r, cpu, "mermap_remote/%u");
	if (IS_ERR(r.task)) {
		KUNIT_FAIL(test, "no thread");
		goto out;
	}

	for (round = 0; round < rounds; round++) {
		alloc = mermap_get(page, PAGE_SIZE, MERMAP_RW);
		if (IS_ERR(alloc))
			break;
		r.addr = (unsigned long)mermap_addr(alloc);
		mapped += remote_reads(&r);
		mermap_put(alloc);
		ended += remote_reads(&r);
		mermap_mm_flush(mm);
		flushed += remote_reads(&r);
	}
	kthread_stop(r.task);
	KUNIT_EXPECT_EQ(test, mapped, rounds);
	KUNIT_EXPECT_EQ(test, flushed, 0);
	kunit_info(test, "the other CPU could read while it was mapped %u times, after mermap_put() %u, after mermap_mm_flush() %u\n",
		   mapped, ended, flushed);
out:
	migrate_enable();
}

struct intruder {
	struct hrtimer timer;
	unsigned long addr;
	unsigned long reads;
};

static enum hrtimer_restart intrude(struct hrtimer *timer)
{
	struct intruder *in = container_of(timer, struct intruder, timer);

	if (!faults(READ_ONCE(in->addr)))
		in->reads++;
	hrtimer_forward_now(timer, us_to_ktime(100));

	return HRTIMER_RESTART;
}

/*
 * Interrupts load the translation at any time while a window ends. As entries
 * are cleared before they are invalidated, nothing stays.
 */
static void interrupted_put(struct kunit *test)
{
	struct page *page = new_pages(test, MAX_ORDER_USED);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	unsigned long windows = 0, stale = 0, end, late;
	struct intruder in = {};
	struct mermap_alloc *alloc;

	migrate_disable();
	in.addr = mermap_cpu_base(smp_processor_id());
	hrtimer_setup_on_stack(&in.timer, intrude, CLOCK_MONOTONIC,
			       HRTIMER_MODE_REL_PINNED_HARD);
	hrtimer_start(&in.timer, us_to_ktime(100), HRTIMER_MODE_REL_PINNED_HARD);
	/* Longer on a busy machine. */
	end = jiffies + 2 * HZ;
	late = jiffies + 60 * HZ;
	for (; time_before(jiffies, windows > 100 && READ_ONCE(in.reads) ? end : late); windows++) {
		alloc = mermap_get(page, max_pages() * PAGE_SIZE, MERMAP_RO);
		if (IS_ERR(alloc))
			break;
		mermap_put(alloc);
		stale += !faults(in.addr);
		cond_resched();
	}
	hrtimer_cancel(&in.timer);
	destroy_hrtimer_on_stack(&in.timer);
	migrate_enable();

	KUNIT_EXPECT_GT(test, windows, 100);
	KUNIT_EXPECT_GT(test, in.reads, 0);
	KUNIT_EXPECT_EQ(test, stale, 0);
	kunit_info(test, "%lu windows, %lu reads in interrupts\n", windows, in.reads);
	expect_idle(test, mm);
}

/* The checker knows whether a page may be freed. */
static void debug_free(struct kunit *test)
{
	struct mermap_alloc *alloc;
	struct page *page;

	if (!IS_ENABLED(CONFIG_DEBUG_MERMAP))
		kunit_skip(test, "needs CONFIG_DEBUG_MERMAP");

	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);

	page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RW);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, alloc);
	if (!IS_ERR_OR_NULL(alloc))
		mermap_put(alloc);
	mermap_mm_flush(mm);
	kunit_warning_suppress(test) {
		__free_page(page);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 0);
	}

	page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RW);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, alloc);
	if (!IS_ERR_OR_NULL(alloc))
		mermap_put(alloc);
	kunit_warning_suppress(test) {
		__free_page(page);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
}

/* Map a page in an mm for a moment, and leave the flush to others. */
static void map_in(struct kunit *test, struct mm_struct *mm, struct page *page)
{
	struct mermap_alloc *alloc;

	kthread_use_mm(mm);
	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RO);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, alloc);
	if (!IS_ERR(alloc))
		mermap_put(alloc);
	kthread_unuse_mm(mm);
}

/* What the checker says when a page changes its owner now. */
static void expect_reports(struct kunit *test, struct page *page, int nr)
{
	kunit_warning_suppress(test) {
		mermap_check_owner(page, 1);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, nr);
	}
}

static void need_checker(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_DEBUG_MERMAP))
		kunit_skip(test, "needs CONFIG_DEBUG_MERMAP");
}

/* Each fault is told, once: the first does not hide the next. */
static void debug_each_fault(struct kunit *test)
{
	struct page *page = new_pages(test, 1);
	struct mm_struct *mm = new_mm(test);

	need_checker(test);
	KUNIT_ASSERT_EQ(test, mermap_mm_prepare(mm), 0);
	map_in(test, mm, page);
	map_in(test, mm, page + 1);
	expect_reports(test, page, 1);
	expect_reports(test, page, 0);
	expect_reports(test, page + 1, 1);
}

/* Two windows to a page: the flush after the first put is not for the second. */
static void debug_overlap(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mermap_alloc *first, *second;

	need_checker(test);

	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);

	first = mermap_get(page, PAGE_SIZE, MERMAP_RO);
	second = mermap_get(page, PAGE_SIZE, MERMAP_RO);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, first);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, second);
	mermap_put(first);
	mermap_mm_flush(mm);
	expect_reports(test, page, 1);
	mermap_put(second);
	expect_reports(test, page, 1);
	mermap_mm_flush(mm);
	expect_reports(test, page, 0);
}

/* A page that two mms have had: one flush does not pay for both. */
static void debug_two_mms(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mm_struct *a = new_mm(test), *b = new_mm(test);

	need_checker(test);
	KUNIT_ASSERT_EQ(test, mermap_mm_prepare(a), 0);
	KUNIT_ASSERT_EQ(test, mermap_mm_prepare(b), 0);

	map_in(test, a, page);
	map_in(test, b, page);
	mermap_mm_flush(b);
	expect_reports(test, page, 1);

	map_in(test, a, page);
	map_in(test, b, page);
	mermap_mm_flush(a);
	expect_reports(test, page, 1);

	map_in(test, a, page);
	map_in(test, b, page);
	mermap_mm_flush(a);
	mermap_mm_flush(b);
	expect_reports(test, page, 0);
}

/* An mm that never runs user code needs no flush, but its windows count. */
static void debug_private(struct kunit *test)
{
	struct mm_struct *mm = new_mm(test), *other = new_mm(test);
	struct page *page = new_pages(test, 0);
	struct mermap_alloc *alloc;

	KUNIT_ASSERT_EQ(test, mermap_mm_prepare_private(mm), 0);
	KUNIT_EXPECT_EQ(test, mermap_mm_prepare(mm), 0);
	KUNIT_EXPECT_EQ(test, mermap_mm_prepare(other), 0);
	KUNIT_EXPECT_EQ(test, mermap_mm_prepare_private(other), -EINVAL);

	need_checker(test);
	map_in(test, mm, page);
	expect_reports(test, page, 0);

	kthread_use_mm(mm);
	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RO);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, alloc);
	if (!IS_ERR(alloc)) {
		expect_reports(test, page, 1);
		mermap_put(alloc);
	}
	kthread_unuse_mm(mm);
	expect_reports(test, page, 0);

	/* It pays for nobody else. */
	map_in(test, other, page);
	map_in(test, mm, page);
	expect_reports(test, page, 1);
}

/* A page that somebody maps while it is free is found when it is handed out. */
static void debug_alloc(struct kunit *test)
{
	/* It is on the list of the type of its block, whatever it was allocated as. */
	static const gfp_t types[] = { 0, __GFP_MOVABLE, __GFP_RECLAIMABLE };
	struct page *page, *next, *other, *again = NULL;
	struct mm_struct *mm = new_mm(test);
	LIST_HEAD(taken);
	bool found;
	int i;

	need_checker(test);
	KUNIT_ASSERT_EQ(test, mermap_mm_prepare(mm), 0);

	/*
	 * While the other half of its block is in use, it is handed out before
	 * larger blocks are split, on the list of a CPU or not.
	 */
	other = alloc_pages(GFP_KERNEL, 1);
	KUNIT_ASSERT_NOT_NULL(test, other);
	split_page(other, 1);
	page = other + 1;

	migrate_disable();
	kunit_warning_suppress(test) {
		__free_page(page);
		map_in(test, mm, page);
		for (i = 0; i < DEBUG_ALLOC_PAGES && again != page; i++) {
			again = alloc_page(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN |
					   types[i % ARRAY_SIZE(types)]);
			if (!again)
				break;
			list_add(&again->lru, &taken);
		}
		found = again == page;
		if (found)
			KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	mermap_mm_flush(mm);
	migrate_enable();
	list_for_each_entry_safe(again, next, &taken, lru) {
		list_del(&again->lru);
		__free_page(again);
	}
	__free_page(other);
	if (!found)
		kunit_skip(test, "the page went to somebody else");
}

/* And one that is migrated, when its contents go. */
static void debug_migrate(struct kunit *test)
{
#if defined(CONFIG_MIGRATION) && !defined(MODULE)
	struct page *page = new_pages(test, 0), *target = new_pages(test, 0);
	struct folio *from = page_folio(page), *to = page_folio(target);
	struct mermap_alloc *alloc;

	need_checker(test);
	/* As all folios that migrate. The charge moves. */
	KUNIT_ASSERT_EQ(test, mem_cgroup_charge(from, NULL, GFP_KERNEL), 0);

	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);

	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RO);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, alloc);
	folio_lock(from);
	folio_lock(to);
	kunit_warning_suppress(test) {
		folio_migrate_flags(to, from);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, !IS_ERR(alloc));
	}
	folio_unlock(to);
	folio_unlock(from);
	mem_cgroup_uncharge(to);
	if (!IS_ERR(alloc))
		mermap_put(alloc);
#else
	kunit_skip(test, "needs CONFIG_MIGRATION, and to be built in");
#endif
}

/* A window is left alone by a task that did not make it. */
static void debug_owner(struct kunit *test)
{
#ifdef CONFIG_DEBUG_MERMAP
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct mermap_alloc *alloc;
	struct mermap_cpu *c;

	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RW);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
	c = this_cpu_ptr(mm->mermap->cpu);
	KUNIT_EXPECT_PTR_EQ(test, c->windows[0].owner, current);
	c->windows[0].owner = &init_task;
	kunit_warning_suppress(test) {
		mermap_put(alloc);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_FALSE(test, faults((unsigned long)mermap_addr(alloc)));
	c->windows[0].owner = current;
	mermap_put(alloc);
	expect_idle(test, mm);
#else
	kunit_skip(test, "needs CONFIG_DEBUG_MERMAP");
#endif
}

/*
 * Fault injection
 */

#ifdef CONFIG_FAIL_MERMAP
static void stop_injecting(void *attr)
{
	*(struct fault_attr *)attr = (struct fault_attr)FAULT_ATTR_INITIALIZER;
}

/* Let @skip calls succeed (of those with size 1), and then @times fail. */
static void inject(struct kunit *test, struct fault_attr *attr, int skip, int times)
{
	attr->probability = 100;
	attr->interval = 1;
	attr->verbose = 0;
	atomic_set(&attr->times, times);
	atomic_set(&attr->space, skip ? skip + 1 : 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, stop_injecting, attr), 0);
}
#endif

static void injected_get(struct kunit *test)
{
#ifdef CONFIG_FAIL_MERMAP
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm __free(stop_using_mm) = prepared_mm(test);
	struct mermap_alloc *alloc;
	unsigned long flags;

	inject(test, &fail_mermap, 0, 2);
	expect_refused(test, page, -EBUSY);
	local_irq_save(flags);
	alloc = mermap_get_reserved(page, MERMAP_RW);
	local_irq_restore(flags);
	expect_error(test, alloc, -EBUSY);
	expect_idle(test, mm);

	alloc = mermap_get(page, PAGE_SIZE, MERMAP_RW);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
	mermap_put(alloc);
	expect_idle(test, mm);
#else
	kunit_skip(test, "needs CONFIG_FAIL_MERMAP");
#endif
}

/* What was set up before a failure stays, and works; the rest comes later. */
static void injected_prepare(struct kunit *test)
{
#ifdef CONFIG_FAIL_MERMAP
	struct mm_struct *mm = new_mm(test);
	unsigned int cpu, ready, n;

	for (n = 0; n < num_online_cpus(); n++) {
		/* The n-th CPU fails, each time anew in the same mm. */
		inject(test, &fail_mermap_prepare, 0, 1);
		KUNIT_EXPECT_EQ(test, mermap_mm_prepare(mm), -ENOMEM);
		KUNIT_ASSERT_NOT_NULL(test, mm->mermap);
		/* It stopped at the first CPU that had no tables yet. */
		ready = 0;
		for_each_online_cpu(cpu)
			ready += !!per_cpu_ptr(mm->mermap->cpu, cpu)->ptes;
		KUNIT_EXPECT_EQ(test, ready, n);
		/* Let one more succeed, and fail after that. */
		inject(test, &fail_mermap_prepare, 1, 1);
		KUNIT_EXPECT_EQ(test, mermap_mm_prepare(mm),
				n + 1 < num_online_cpus() ? -ENOMEM : 0);
		stop_injecting(&fail_mermap_prepare);
	}
	KUNIT_EXPECT_EQ(test, mermap_mm_prepare(mm), 0);
	for_each_online_cpu(cpu)
		KUNIT_EXPECT_NOT_NULL(test, per_cpu_ptr(mm->mermap->cpu, cpu)->ptes);
#else
	kunit_skip(test, "needs CONFIG_FAIL_MERMAP");
#endif
}

/*
 * Several CPUs
 */

struct worker {
	struct task_struct *task;
	struct mm_struct *mm;
	struct page *pages;
	unsigned int nr_pages;
	u32 seed;
	unsigned long windows, refused, wrong, escaped;
};

static int work_fn(void *arg)
{
	struct worker *w = arg;
	struct rnd_state rnd;

	kthread_use_mm(w->mm);
	prandom_seed_state(&rnd, w->seed);
	while (!kthread_should_stop()) {
		unsigned int first = prandom_u32_state(&rnd) % w->nr_pages;
		unsigned int nr = 1 + prandom_u32_state(&rnd) % (w->nr_pages - first);
		struct mermap_alloc *alloc;
		unsigned long addr;
		u32 i;

		alloc = mermap_get(w->pages + first, nr * PAGE_SIZE, MERMAP_RW);
		if (IS_ERR(alloc)) {
			w->refused++;
			/* A CPU may have come online. */
			if (!mermap_ready(w->mm) && mermap_mm_prepare(w->mm))
				w->wrong++;
			cond_resched();
			continue;
		}
		addr = (unsigned long)mermap_addr(alloc);
		if (addr < mermap_cpu_base(smp_processor_id()) ||
		    addr + nr * PAGE_SIZE > mermap_cpu_end(smp_processor_id()))
			w->escaped++;
		/* The first word of each page says which page it is. */
		for (i = 0; i < nr; i++)
			if (READ_ONCE(*(u32 *)(addr + i * PAGE_SIZE)) != first + i)
				w->wrong++;
		if (!(prandom_u32_state(&rnd) % 64))
			schedule();
		for (i = 0; i < nr; i++)
			if (READ_ONCE(*(u32 *)(addr + i * PAGE_SIZE)) != first + i)
				w->wrong++;
		mermap_put(alloc);
		w->windows++;
		/*
		 * A CPU goes offline when all tasks have left it, which they
		 * can do between windows only.
		 */
		if (w->windows % 8)
			cond_resched();
		else
			usleep_range(200, 1000);
	}
	mermap_mm_flush(w->mm);
	kthread_unuse_mm(w->mm);

	return 0;
}

#define NR_WORKERS	8

/* On a busy machine it can take a while until all threads have run. */
static bool all_work(const struct worker *workers)
{
	unsigned int i;

	for (i = 0; i < NR_WORKERS; i++)
		if (!IS_ERR_OR_NULL(workers[i].task) && !READ_ONCE(workers[i].windows))
			return false;

	return true;
}

/*
 * Threads with one mm, more than there are CPUs, map random pages and look at
 * them, while a CPU goes offline and online.
 */
static void stress(struct kunit *test)
{
	struct page *page = new_pages(test, MAX_ORDER_USED);
	unsigned int i, cpu = cpumask_last(cpu_online_mask);
	struct mm_struct *mm = new_mm(test);
	struct worker *workers;
	unsigned long end, late;

	workers = kunit_kcalloc(test, NR_WORKERS, sizeof(*workers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, workers);
	for (i = 0; i < 1U << MAX_ORDER_USED; i++)
		*(u32 *)page_address(page + i) = i;
	KUNIT_ASSERT_EQ(test, mermap_mm_prepare(mm), 0);

	for (i = 0; i < NR_WORKERS; i++) {
		workers[i].mm = mm;
		workers[i].pages = page;
		workers[i].nr_pages = min(1U << MAX_ORDER_USED, max_pages() / 2);
		workers[i].seed = i + 1;
		workers[i].task = kthread_run(work_fn, &workers[i], "mermap_stress/%u", i);
		KUNIT_EXPECT_NOT_ERR_OR_NULL(test, workers[i].task);
	}

	end = jiffies + 3 * HZ;
	late = jiffies + 120 * HZ;
	while (time_before(jiffies, end) ||
	       (!all_work(workers) && time_before(jiffies, late))) {
		if (IS_ENABLED(CONFIG_HOTPLUG_CPU) && cpu && !remove_cpu(cpu)) {
			msleep(50);
			KUNIT_EXPECT_EQ(test, add_cpu(cpu), 0);
		}
		msleep(50);
	}

	for (i = 0; i < NR_WORKERS; i++) {
		if (IS_ERR_OR_NULL(workers[i].task))
			continue;
		kthread_stop(workers[i].task);
		KUNIT_EXPECT_EQ(test, workers[i].wrong, 0);
		KUNIT_EXPECT_EQ(test, workers[i].escaped, 0);
		KUNIT_EXPECT_GT(test, workers[i].windows, 0);
		kunit_info(test, "thread %u: %lu windows, %lu refused\n", i,
			   workers[i].windows, workers[i].refused);
	}
}

struct peer {
	struct mm_struct *mm;
	struct page *page;
	struct completion mapped, done;
	unsigned long addr;
	u32 got;
};

static int peer_fn(void *arg)
{
	struct peer *p = arg;
	struct mermap_alloc *alloc;

	kthread_use_mm(p->mm);
	alloc = mermap_get(p->page, PAGE_SIZE, MERMAP_RW);
	if (!IS_ERR_OR_NULL(alloc)) {
		p->addr = (unsigned long)mermap_addr(alloc);
		p->got = *(u32 *)mermap_addr(alloc);
	}
	complete(&p->mapped);
	wait_for_completion(&p->done);
	if (!IS_ERR_OR_NULL(alloc))
		mermap_put(alloc);
	kthread_unuse_mm(p->mm);

	return 0;
}

/* Two CPUs have windows at the same time, each in its own place. */
static void two_cpus(struct kunit *test)
{
	struct page *page = new_pages(test, 0);
	struct mm_struct *mm = new_mm(test);
	struct task_struct *tasks[2] = {};
	unsigned int i, cpus[2];
	struct peer peers[2];

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	fill(page, 1, 17);
	KUNIT_ASSERT_EQ(test, mermap_mm_prepare(mm), 0);
	for (i = 0; i < 2; i++) {
		cpus[i] = cpumask_nth(i, cpu_online_mask);
		peers[i] = (struct peer){ .mm = mm, .page = page };
		init_completion(&peers[i].mapped);
		init_completion(&peers[i].done);
		tasks[i] = kthread_run_on_cpu(peer_fn, &peers[i], cpus[i], "mermap_peer/%u");
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tasks[i]);
		get_task_struct(tasks[i]);
	}
	for (i = 0; i < 2; i++) {
		wait_for_completion(&peers[i].mapped);
		KUNIT_EXPECT_GE(test, peers[i].addr, mermap_cpu_base(cpus[i]));
		KUNIT_EXPECT_LT(test, peers[i].addr, mermap_cpu_end(cpus[i]));
		KUNIT_EXPECT_EQ(test, peers[i].got, 17);
	}
	KUNIT_EXPECT_NE(test, peers[0].addr, peers[1].addr);
	for (i = 0; i < 2; i++)
		complete(&peers[i].done);
	for (i = 0; i < 2; i++) {
		kthread_stop(tasks[i]);
		put_task_struct(tasks[i]);
	}
	mermap_mm_flush(mm);
}

static int mermap_test_init(struct kunit *test)
{
	if (!arch_mermap_supported())
		kunit_skip(test, "the machine has no mermap");

	return 0;
}

static struct kunit_case mermap_test_cases[] = {
	KUNIT_CASE(content),
	KUNIT_CASE(sizes),
	KUNIT_CASE(protection),
	KUNIT_CASE(user_half),
	KUNIT_CASE(sleep_with_window),
	KUNIT_CASE(alias),
	KUNIT_CASE(exhaustion),
	KUNIT_CASE(fragmentation),
	KUNIT_CASE(reserved),
	KUNIT_CASE(reserved_misuse),
	KUNIT_CASE(reserved_in_irq),
	KUNIT_CASE(no_mm),
	KUNIT_CASE(unprepared_mm),
	KUNIT_CASE(mm_not_loaded),
	KUNIT_CASE(mm_loaded_lazily),
	KUNIT_CASE(irqs_off),
	KUNIT_CASE(bad_put),
	KUNIT_CASE(prepare_twice),
	KUNIT_CASE(prepare_race),
	KUNIT_CASE(never_ran),
	KUNIT_CASE(outlives_users),
	KUNIT_CASE_SLOW(many_mms),
	KUNIT_CASE(cpu_comes_online),
	KUNIT_CASE(flush_epoch),
	KUNIT_CASE(remote_flush),
	KUNIT_CASE_SLOW(interrupted_put),
	KUNIT_CASE(debug_free),
	KUNIT_CASE(debug_each_fault),
	KUNIT_CASE(debug_overlap),
	KUNIT_CASE(debug_two_mms),
	KUNIT_CASE(debug_private),
	KUNIT_CASE(debug_alloc),
	KUNIT_CASE(debug_migrate),
	KUNIT_CASE(debug_owner),
	KUNIT_CASE(injected_get),
	KUNIT_CASE(injected_prepare),
	KUNIT_CASE(two_cpus),
	KUNIT_CASE_SLOW(stress),
	{}
};

static struct kunit_suite mermap_test_suite = {
	.name = "mermap",
	.init = mermap_test_init,
	.test_cases = mermap_test_cases,
};
kunit_test_suite(mermap_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests for the mermap");
MODULE_LICENSE("GPL");
