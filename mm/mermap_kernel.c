// SPDX-License-Identifier: GPL-2.0
/*
 * Windows of the kernel's own: the mermap in an mm that no process has.
 *
 * Pages that are absent from the direct map have to be erased by whoever frees
 * them last, which may be a kernel thread, or a process that must not have a
 * window to them. So there is one mm for it, which never runs user code: what a
 * CPU loads speculatively from its tables is out of reach of programs, and no
 * window needs mermap_mm_flush().
 *
 * It is made at boot, by the kernel: the first user may exit, and belong to a
 * cgroup that cannot go away then. CPUs that come online later get their tables
 * then, or have no windows.
 *
 * Locking: none. Between kmermap_begin() and kmermap_end() preemption is off.
 */

#define pr_fmt(fmt) "mermap: " fmt

#include <linux/cpuhotplug.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/kmermap.h>
#include <linux/mmu_context.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/sched/mm.h>

#include <asm/mermap_ops.h>

#include <kunit/visibility.h>

static struct mm_struct *kmermap_mm __ro_after_init;

/**
 * kmermap_available() - Check whether there are windows of the kernel's own
 *
 * CPUs that there was no memory for have none in any case.
 *
 * Context: Any context, from late_initcall() on.
 *
 * Return: True if kmermap_begin() can succeed.
 */
bool kmermap_available(void)
{
	return READ_ONCE(kmermap_mm);
}

/**
 * kmermap_begin() - Make windows of the kernel's own possible
 * @k: To be given to kmermap_end().
 *
 * Preemption stays off, and hardware breakpoints too, until kmermap_end(): be
 * short.
 *
 * Context: Any context.
 *
 * Return: False, and nothing has to be ended, in an interrupt, with interrupts
 * off, if the caller has begun already, early in boot and on a CPU that there was
 * no memory for.
 */
bool kmermap_begin(struct kmermap *k)
{
	/* Pairs with smp_store_release() in kmermap_init(). */
	struct mm_struct *mm = smp_load_acquire(&kmermap_mm);

	if (!mm || !in_task() || irqs_disabled())
		return false;

	preempt_disable();
	if (!mermap_ready(mm) || arch_mermap_loaded(mm)) {
		preempt_enable();
		return false;
	}
	k->prev = use_temporary_mm(mm);

	return true;
}
EXPORT_SYMBOL_IF_KUNIT(kmermap_begin);

/**
 * kmermap_map() - mermap_get() in the kernel's own mm
 * @page: First of the pages, which are contiguous.
 * @nr: How many, KMERMAP_PAGES at most.
 * @access: As for mermap_get().
 *
 * Context: Between kmermap_begin() and kmermap_end().
 *
 * Return: A window for mermap_addr(), or an error pointer, as mermap_get().
 */
struct mermap_alloc *kmermap_map(struct page *page, unsigned int nr,
				 enum mermap_access access)
{
	if (WARN_ON_ONCE(nr > KMERMAP_PAGES))
		return ERR_PTR(-EINVAL);

	return __mermap_get(kmermap_mm, page, nr * PAGE_SIZE, access);
}
EXPORT_SYMBOL_IF_KUNIT(kmermap_map);

/**
 * kmermap_unmap() - End a window of kmermap_map()
 * @alloc: What it returned, not an error.
 *
 * Context: As for kmermap_map().
 */
void kmermap_unmap(struct mermap_alloc *alloc)
{
	__mermap_put(kmermap_mm, alloc);
}
EXPORT_SYMBOL_IF_KUNIT(kmermap_unmap);

/**
 * kmermap_end() - Go back to the mm that was loaded before
 * @k: What was given to kmermap_begin(), which returned true.
 *
 * Context: As kmermap_begin() left it.
 */
void kmermap_end(struct kmermap *k)
{
	unuse_temporary_mm(k->prev);
	preempt_enable();
}
EXPORT_SYMBOL_IF_KUNIT(kmermap_end);

/* A CPU without tables has no windows; that is no reason to stay offline. */
static int kmermap_online(unsigned int cpu)
{
	if (mermap_mm_prepare_private(kmermap_mm))
		pr_warn("no memory for the windows of CPU %u\n", cpu);

	return 0;
}

/* Before those who use it, with late_initcall(). */
static int __init kmermap_init(void)
{
	struct mm_struct *mm = mm_alloc();
	int err;

	if (!mm)
		return -ENOMEM;
	err = mermap_mm_prepare_private(mm);
	if (err) {
		mmput(mm);
		/* Not a failure where there is no mermap. */
		return err == -EOPNOTSUPP ? 0 : err;
	}
	/* Complete. Pairs with smp_load_acquire() in kmermap_begin(). */
	smp_store_release(&kmermap_mm, mm);

	err = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "mm/kmermap:online",
				kmermap_online, NULL);

	return err < 0 ? err : 0;
}
device_initcall_sync(kmermap_init);
