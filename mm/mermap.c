// SPDX-License-Identifier: GPL-2.0
/*
 * The mermap: ephemeral mappings of pages, for one CPU, in an mm.
 *
 * Each possible CPU has a few pages of address space, the same in every mm. An
 * mm that has been prepared has page tables for those of the online CPUs. A
 * window is a run of these pages: to make one is to find free bits in a word
 * and to set PTEs that were clear, to end it is to clear them and to invalidate
 * them on this CPU. As a task that has a window cannot migrate, no other CPU
 * takes part. What it may still do is load a translation speculatively, see
 * mermap_mm_flush().
 *
 * The architecture gives the address range, the page tables, the invalidation
 * and the protection, see asm/mermap.h and asm/mermap_ops.h.
 *
 * Locking: mermap->lock to set up an mm, and no locks after that, see struct
 * mermap_cpu. Tables and structures are freed with the mm_struct, so that a
 * reference to it, such as kthread_use_mm() takes, is enough to use them.
 */

#define pr_fmt(fmt) "mermap: " fmt

#include <linux/bits.h>
#include <linux/err.h>
#include <linux/kmsan-checks.h>
#include <linux/mermap.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <asm/mermap_ops.h>
#include <asm/tlbflush.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "mermap.h"

/* The last page of a CPU is for mermap_get_reserved(). */
static unsigned int mermap_reserved_page(void)
{
	return arch_mermap_cpu_pages() - 1;
}

static u64 mermap_mask(unsigned int first, unsigned int nr)
{
	return GENMASK_ULL(first + nr - 1, first);
}

/*
 * Preparing an mm
 */

/* The mermap of an mm, created if it has none. NULL if there is no memory. */
static struct mermap *mermap_create(struct mm_struct *mm, bool private)
{
	struct mermap *m, *other;

	/* Pairs with the cmpxchg() below. */
	m = smp_load_acquire(&mm->mermap);
	if (m)
		return m;

	m = kzalloc_obj(*m, GFP_KERNEL_ACCOUNT);
	if (!m)
		return NULL;
	m->cpu = alloc_percpu_gfp(struct mermap_cpu, GFP_KERNEL_ACCOUNT);
	if (!m->cpu)
		goto free_mermap;
	mutex_init(&m->lock);
	m->private = private;
	if (mermap_debug_create(m))
		goto free_cpu;

	/* It is complete, without CPUs. Pairs with smp_load_acquire(). */
	other = cmpxchg(&mm->mermap, NULL, m);
	if (!other)
		return m;

	free_percpu(m->cpu);
	mermap_debug_free(m);

	return other;

free_cpu:
	free_percpu(m->cpu);
free_mermap:
	kfree(m);
	return NULL;
}

static int mermap_prepare_cpu(struct mm_struct *mm, struct mermap *m,
			      unsigned int cpu)
{
	struct mermap_cpu *c = per_cpu_ptr(m->cpu, cpu);
	unsigned long base = mermap_cpu_base(cpu);
	int err;

	lockdep_assert_held(&m->lock);

	if (c->ptes)
		return 0;
	if (mermap_prepare_should_fail())
		return -ENOMEM;

	err = arch_mermap_populate(mm, base, mermap_cpu_end(cpu));
	if (err)
		return err;

	c->used = ~mermap_mask(0, mermap_reserved_page());
	/*
	 * Last: a task on that CPU may start to use it right now. Pairs with
	 * smp_load_acquire() in mermap_this_cpu().
	 */
	smp_store_release(&c->ptes,
			  pte_offset_kernel(pmd_off(mm, base), base));

	return 0;
}

static int __mermap_mm_prepare(struct mm_struct *mm, bool private)
{
	struct mermap *m;
	unsigned int cpu;
	int err;

	might_sleep();

	if (!mm || mm == &init_mm || !arch_mermap_supported())
		return -EOPNOTSUPP;

	m = mermap_create(mm, private);
	if (!m)
		return -ENOMEM;
	if (private && !m->private)
		return -EINVAL;

	guard(mutex)(&m->lock);
	for_each_online_cpu(cpu) {
		err = mermap_prepare_cpu(mm, m, cpu);
		if (err)
			return err;
	}

	return 0;
}

/**
 * mermap_mm_prepare() - Make windows possible in an mm
 * @mm: An mm that the caller has a reference to.
 *
 * Set up @mm for all CPUs that are online. It can be called again, also by
 * others at the same time; when a CPU has come online since, that adds it.
 * What it allocates is charged to the caller's memory cgroup, so to the root if
 * that is a kernel thread, and freed with @mm. fork() and execve() start
 * without.
 *
 * Context: Process context. May sleep.
 *
 * Return: 0, -ENOMEM (CPUs that have been set up stay so, and the others can be
 * tried again), or -EOPNOTSUPP if @mm is NULL or init_mm or the machine has no
 * mermap.
 */
int mermap_mm_prepare(struct mm_struct *mm)
{
	return __mermap_mm_prepare(mm, false);
}
EXPORT_SYMBOL_IF_KUNIT(mermap_mm_prepare);

/**
 * mermap_mm_prepare_private() - Make windows possible in an mm of the kernel
 * @mm: An mm that the caller made, and that never runs user code.
 *
 * Pages that are mapped in @mm only need no mermap_mm_flush() before they change
 * their owner, and CONFIG_DEBUG_MERMAP does not ask for it. What other CPUs may
 * have loaded from its page tables is of no use to anyone: only kernel threads of
 * the caller ever run with them.
 *
 * When CPUs have come online, this or mermap_mm_prepare() adds them.
 *
 * Context: Process context. May sleep.
 *
 * Return: As for mermap_mm_prepare(), or -EINVAL if that was called first.
 */
int mermap_mm_prepare_private(struct mm_struct *mm)
{
	return __mermap_mm_prepare(mm, true);
}
EXPORT_SYMBOL_IF_KUNIT(mermap_mm_prepare_private);

void __mermap_mm_teardown(struct mm_struct *mm)
{
	struct mermap *m = mm->mermap;
	unsigned int cpu;

	KUNIT_STATIC_STUB_REDIRECT(__mermap_mm_teardown, mm);

	for_each_possible_cpu(cpu) {
		struct mermap_cpu *c = per_cpu_ptr(m->cpu, cpu);

		/* Nobody is left who could unmap it. */
		WARN_ON_ONCE(c->ptes &&
			     (c->reserved_used ||
			      c->used != ~mermap_mask(0, mermap_reserved_page())));
	}

	mm->mermap = NULL;
	free_percpu(m->cpu);
	mermap_debug_free(m);
}
EXPORT_SYMBOL_IF_KUNIT(__mermap_mm_teardown);

/*
 * Windows
 */

/* Where @nr bits in a row are set in @free, or -1. */
static int mermap_find(u64 free, unsigned int nr)
{
	unsigned int len, step;

	/* A set bit stands for the start of a run of len. */
	for (len = 1; len < nr; len += step) {
		step = min(len, nr - len);
		free &= free >> step;
	}

	return free ? __ffs64(free) : -1;
}

/* This CPU's part if windows can be made in it. The caller cannot migrate. */
static struct mermap_cpu *mermap_this_cpu(struct mm_struct *mm)
{
	struct mermap_cpu *c;
	struct mermap *m;

	if (!mm || !arch_mermap_loaded(mm))
		return ERR_PTR(-ENXIO);
	/* Pairs with the cmpxchg() in mermap_create(). */
	m = smp_load_acquire(&mm->mermap);
	if (!m)
		return ERR_PTR(-EAGAIN);

	c = this_cpu_ptr(m->cpu);
	/* Pairs with smp_store_release() in mermap_prepare_cpu(). */
	if (!smp_load_acquire(&c->ptes))
		return ERR_PTR(-EAGAIN);

	return c;
}

static int mermap_take(struct mermap_cpu *c, unsigned int nr)
{
	int first;

	/* Against the other tasks that use @c, not against interrupts. */
	guard(preempt)();
	first = mermap_find(~c->used, nr);
	if (first < 0)
		return -EBUSY;
	c->used |= mermap_mask(first, nr);

	return first;
}

static struct mermap_alloc *mermap_map(struct mm_struct *mm,
				       struct mermap_cpu *c, unsigned int first,
				       struct page *page, unsigned int nr,
				       enum mermap_access access)
{
	unsigned long addr = mermap_cpu_base(smp_processor_id()) +
			     first * PAGE_SIZE;
	pte_t pte = pfn_pte(page_to_pfn(page),
			    arch_mermap_pgprot(access == MERMAP_RW));

	/* Metadata belongs to the page; stores to the window do not reach it. */
	if (IS_ENABLED(CONFIG_KMSAN) && pte_write(pte))
		kmsan_unpoison_memory(page_address(page), nr * PAGE_SIZE);

	mermap_debug_get(mm->mermap, c, first, page, nr);
	/* They were clear, and that is never cached: nothing to invalidate. */
	set_ptes(mm, addr, c->ptes + first, pte, nr);

	/* See mermap_addr() and __mermap_put(). */
	return (struct mermap_alloc *)(addr + nr - 1);
}

/**
 * __mermap_get() - mermap_get() in a given mm
 * @mm:   An mm that is loaded on this CPU, and that has been prepared.
 * @page: As for mermap_get().
 * @size: As for mermap_get().
 * @access: As for mermap_get().
 *
 * For those who load an mm that is not current->mm. As long as they have a
 * window they must not let another mm be loaded, which means not to schedule.
 *
 * Context: As for mermap_get(); not preemptible if @mm is not current->mm.
 *
 * Return: As for mermap_get().
 */
struct mermap_alloc *__mermap_get(struct mm_struct *mm, struct page *page,
				  unsigned long size, enum mermap_access access)
{
	unsigned int nr = PFN_UP(size);
	struct mermap_cpu *c;
	int first;

	if (WARN_ON_ONCE(!in_task() || irqs_disabled()))
		return ERR_PTR(-EINVAL);
	/* Scheduling would load current->mm. */
	if (WARN_ON_ONCE(mm != current->mm && preemptible()))
		return ERR_PTR(-EINVAL);
	if (!size || size > mermap_reserved_page() * PAGE_SIZE)
		return ERR_PTR(-EINVAL);
	if (mermap_should_fail(size))
		return ERR_PTR(-EBUSY);

	migrate_disable();
	c = mermap_this_cpu(mm);
	first = IS_ERR(c) ? PTR_ERR(c) : mermap_take(c, nr);
	if (first < 0) {
		migrate_enable();
		return ERR_PTR(first);
	}

	return mermap_map(mm, c, first, page, nr, access);
}
EXPORT_SYMBOL_IF_KUNIT(__mermap_get);

/**
 * __mermap_get_reserved() - mermap_get_reserved() in a given mm
 * @mm:   An mm that is loaded on this CPU, and that has been prepared.
 * @page: As for mermap_get_reserved().
 * @access: As for mermap_get_reserved().
 *
 * Context: As for mermap_get_reserved().
 *
 * Return: As for mermap_get_reserved().
 */
struct mermap_alloc *__mermap_get_reserved(struct mm_struct *mm,
					   struct page *page,
					   enum mermap_access access)
{
	struct mermap_cpu *c;

	if (WARN_ON_ONCE(!irqs_disabled()))
		return ERR_PTR(-EINVAL);
	if (mermap_should_fail(PAGE_SIZE))
		return ERR_PTR(-EBUSY);

	c = mermap_this_cpu(mm);
	if (IS_ERR(c))
		return ERR_CAST(c);
	/* In an NMI, or nested. */
	if (WARN_ON_ONCE(c->reserved_used))
		return ERR_PTR(-EBUSY);
	c->reserved_used = true;

	return mermap_map(mm, c, mermap_reserved_page(), page, 1, access);
}
EXPORT_SYMBOL_IF_KUNIT(__mermap_get_reserved);

/**
 * __mermap_put() - mermap_put() in a given mm
 * @mm:    The mm that was given to __mermap_get(); it is loaded on this CPU.
 * @alloc: As for mermap_put().
 *
 * Context: As for mermap_put().
 */
void __mermap_put(struct mm_struct *mm, struct mermap_alloc *alloc)
{
	unsigned long addr = (unsigned long)alloc & PAGE_MASK;
	unsigned int nr = ((unsigned long)alloc & ~PAGE_MASK) + 1;
	unsigned int i, reserved = mermap_reserved_page();
	struct mermap_cpu *c;
	struct mermap *m;
	unsigned long first;

	if (IS_ERR_OR_NULL(alloc)) {
		VM_WARN_ON_ONCE(1);
		return;
	}
	if (WARN_ON_ONCE(!mm || !mm->mermap))
		return;

	/* The invalidation would be for the wrong address space. */
	if (WARN_ON_ONCE(!arch_mermap_loaded(mm)))
		return;

	m = mm->mermap;
	c = raw_cpu_ptr(m->cpu);
	first = PFN_DOWN(addr - mermap_cpu_base(raw_smp_processor_id()));
	if (first == reserved && nr == 1) {
		if (WARN_ON_ONCE(!irqs_disabled() || !c->reserved_used))
			return;
	} else {
		/* Another CPU's, or put already. */
		if (WARN_ON_ONCE(first + nr > reserved ||
				 (~c->used & mermap_mask(first, nr))))
			return;
	}
	if (WARN_ON_ONCE(!mermap_debug_may_put(c, first)))
		return;

	for (i = 0; i < nr; i++)
		pte_clear(mm, addr + i * PAGE_SIZE, c->ptes + first + i);
	arch_mermap_flush(addr, nr);
	mermap_debug_put(m, c, first, nr);
	/*
	 * Who sees the new epoch sees the clear entries, and the time of
	 * mermap_debug_put(). Pairs with smp_mb() and smp_rmb() in
	 * mermap_mm_flush().
	 */
	smp_mb__before_atomic();
	atomic64_inc(&c->epoch);

	if (first == reserved) {
		c->reserved_used = false;
		return;
	}
	scoped_guard(preempt)
		c->used &= ~mermap_mask(first, nr);
	migrate_enable();
}
EXPORT_SYMBOL_IF_KUNIT(__mermap_put);

/**
 * mermap_get() - Map pages for this CPU, for a moment
 * @page: First of the pages, which are contiguous. May be highmem, and may be
 *        absent from the direct map.
 * @size: In bytes, rounded up to pages. At most 63 pages, fewer on machines
 *        where the address space is small.
 * @access: MERMAP_RO or MERMAP_RW. The mapping is write-back cached, neither
 *        global nor executable, and not for user mode.
 *
 * Make a window in current->mm, which mermap_mm_prepare() has been called for.
 * Until mermap_put() by the same task, the task stays on its CPU, but it may be
 * preempted and may sleep. As long as it does, its CPU cannot go offline, so the
 * machine cannot suspend, and sched_setaffinity() of the task waits.
 *
 * Other tasks with the same mm share the space of a CPU, so be short, and have
 * another way if there is no room. No size is guaranteed but one page to a task
 * that is alone: free space is found as a run of pages, or not at all.
 *
 * The page must have no other mapping with another cache mode.
 *
 * Whoever maps a page must call mermap_mm_flush() before the page leaves its
 * owner.
 *
 * Context: Process context with interrupts enabled. Does not sleep.
 *
 * Return: A window, or an error pointer: -EBUSY if there is no room, -EAGAIN if
 * the mm or this CPU is not prepared (call mermap_mm_prepare() and try again),
 * -ENXIO if the task has no mm (a kernel thread) or it is not loaded, -EINVAL if
 * @size is 0 or more than a CPU has, or, with a warning, once, if the context is
 * wrong.
 */
struct mermap_alloc *mermap_get(struct page *page, unsigned long size,
				enum mermap_access access)
{
	return __mermap_get(current->mm, page, size, access);
}
EXPORT_SYMBOL_IF_KUNIT(mermap_get);

/**
 * mermap_get_reserved() - Map a page for this CPU with interrupts disabled
 * @page: As for mermap_get().
 * @access: As for mermap_get().
 *
 * Map one page at an address that each CPU keeps for this purpose, so that
 * there is always room. Interrupts stay disabled until mermap_put().
 *
 * In an interrupt, current->mm is that of whoever was interrupted. It owes the
 * mermap_mm_flush() then, and the caller has neither its name nor a reference. So
 * there this is for pages that belong to that process, not for a third party's.
 *
 * Context: Any context with interrupts disabled. In an NMI it may find the
 * address in use.
 *
 * Return: A window, or an error pointer: -EAGAIN if the mm or this CPU is not
 * prepared, -ENXIO if there is no mm or it is not loaded, and, with a warning,
 * once, -EINVAL if interrupts are enabled or -EBUSY if the address is in use.
 */
struct mermap_alloc *mermap_get_reserved(struct page *page,
					 enum mermap_access access)
{
	return __mermap_get_reserved(current->mm, page, access);
}
EXPORT_SYMBOL_IF_KUNIT(mermap_get_reserved);

/**
 * mermap_put() - End a window
 * @alloc: What mermap_get() or mermap_get_reserved() returned to this task.
 *
 * After this the address faults, and the task can migrate again.
 *
 * Nothing happens if @alloc is an error, but a warning with CONFIG_DEBUG_VM. Nothing
 * happens, with a warning, if it is not a window of this CPU, or the mm is not
 * loaded.
 *
 * Context: As for the function that made the window. Does not sleep.
 */
void mermap_put(struct mermap_alloc *alloc)
{
	__mermap_put(current->mm, alloc);
}
EXPORT_SYMBOL_IF_KUNIT(mermap_put);

/**
 * mermap_mm_flush() - Forget about pages that were mapped
 * @mm: An mm that the caller has a reference to, or NULL.
 *
 * A window is for one CPU, but its entries are in page tables that all threads
 * of a process use: another CPU may load the translation speculatively and keep
 * it. It cannot be used by a program, but it makes the page a target of side
 * channels. So whoever maps a page has to call this after mermap_put() and
 * before the page belongs to someone else. CONFIG_DEBUG_MERMAP checks that.
 *
 * It costs an invalidation of all translations of @mm on all CPUs that have it
 * loaded, by interrupts, also where it is only left from before (a CPU in lazy
 * mode goes on with init_mm then); or next to nothing if no window has ended
 * since the last time. So do it once for many pages.
 *
 * Context: Process context with interrupts enabled. Does not sleep.
 */
void mermap_mm_flush(struct mm_struct *mm)
{
	s64 epoch = 0, flushed;
	struct mermap *m;
	unsigned int cpu;
	u64 seq;

	WARN_ON_ONCE(!in_task() || irqs_disabled());

	/* The current->mm of a kernel thread: there was no window in it. */
	if (!mm)
		return;

	/* Pairs with the cmpxchg() in mermap_create(). */
	m = smp_load_acquire(&mm->mermap);
	if (!m)
		return;

	/*
	 * Epochs only grow: if the sum is what it was when another flush began,
	 * then so is each of them, and that flush was for the same windows.
	 * Pairs with the try_cmpxchg_release() below.
	 */
	flushed = atomic64_read_acquire(&m->flushed);
	for_each_possible_cpu(cpu)
		epoch += atomic64_read(&per_cpu_ptr(m->cpu, cpu)->epoch);
	if (epoch == flushed)
		return;

	/*
	 * Who sees the epoch of a window sees the time when it ended, too. Pairs
	 * with smp_mb__before_atomic() in __mermap_put().
	 */
	smp_rmb();
	seq = mermap_debug_seq();

	/* Pairs with smp_mb__before_atomic() in __mermap_put(). */
	smp_mb();
	flush_tlb_mm(mm);

	/* First: who relies on m->flushed frees pages. */
	mermap_debug_flushed(m, seq);
	/*
	 * Keep the greatest sum: with a smaller one the next flush would be for
	 * nothing. Pairs with atomic64_read_acquire() above.
	 */
	while (flushed < epoch &&
	       !atomic64_try_cmpxchg_release(&m->flushed, &flushed, epoch))
		;
}
EXPORT_SYMBOL_IF_KUNIT(mermap_mm_flush);
