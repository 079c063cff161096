// SPDX-License-Identifier: GPL-2.0
/*
 * Erase pages that are absent from the direct map when they are freed.
 *
 * Whoever frees such a page erases it, through windows of the kernel's own, if
 * it is a task that can. What is freed in interrupts, with interrupts off, or on
 * a CPU that has no windows is dirty until a worker, or who needs pages, erases
 * it, and so is what goes straight to the free lists: that is noticed under
 * zone->lock. A dirty page is nobody's: it is on no free list and is not handed
 * out.
 *
 * Locking: the list of dirty pages of a CPU is lock-free. Preemption is off while
 * a few pages are erased, and no lock is taken meanwhile, as locks of the
 * allocator sleep on PREEMPT_RT. Who has taken a list may have a lot of pages that
 * are then on no list: a mutex tells who wants all of them when they are there. Its
 * owner waits for nothing and allocates nothing, so it may be taken in reclaim.
 */

#include <linux/bitops.h>
#include <linux/folio_batch.h>
#include <linux/irq_work.h>
#include <linux/kmermap.h>
#include <linux/llist.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#include <kunit/visibility.h>

#include "internal.h"
#include "page_alloc.h"
#include "unmapped.h"

/* So many frees are erased together. */
#define MAX_BATCH	16
/* About so many are enough for who needs one. */
#define SOME_PAGES	64
/* When the worker tries again that could not make windows. */
#define RETRY_TIME	max(HZ / 10, 1)

struct unmapped_dirty {
	struct llist_head	list;
	struct irq_work		kick;
};

static void erase_work_fn(struct work_struct *work);
static DECLARE_DELAYED_WORK(erase_work, erase_work_fn);

static void kick_worker(struct irq_work *work)
{
	queue_delayed_work(system_dfl_wq, &erase_work, 0);
}

static DEFINE_PER_CPU(struct unmapped_dirty, unmapped_dirty) = {
	.kick = IRQ_WORK_INIT(kick_worker),
};

static void defer(struct unmapped_dirty *dirty)
{
	unmapped_event(UNMAPPED_DEFERRED, 1);
	irq_work_queue(&dirty->kick);
}

/*
 * Through one window. What is broken is not touched any more, and stays broken:
 * unpoison_memory() refuses what the direct map does not have, so that it is the
 * same pages that are left out when these are given to their list.
 */
static bool erase_window(struct page *page, unsigned int nr)
{
	struct mermap_alloc *alloc = kmermap_map(page, nr, MERMAP_RW);
	unsigned int i;

	if (IS_ERR(alloc))
		return false;
	for (i = 0; i < nr; i++)
		if (likely(!PageHWPoison(page + i)))
			clear_page(mermap_addr(alloc) + i * PAGE_SIZE);
	kmermap_unmap(alloc);
	unmapped_event(UNMAPPED_ERASED, nr);

	return true;
}

/**
 * unmapped_erase() - Write zeroes to pages without a mapping
 * @page: First of the pages.
 * @nr: How many.
 *
 * Context: Any context.
 *
 * Return: False if that is not possible here and now. Some may have been erased.
 */
bool unmapped_erase(struct page *page, unsigned long nr)
{
	bool done;

	while (nr) {
		unsigned int n = min(nr, KMERMAP_PAGES);
		struct kmermap k;

		if (!kmermap_begin(&k))
			return false;
		done = erase_window(page, n);
		kmermap_end(&k);
		if (!done)
			return false;
		page += n;
		nr -= n;
	}

	return true;
}

/**
 * unmapped_poisoned() - Check for pages that must not be used any more
 * @page: First of the pages.
 * @order: How many.
 *
 * Context: Any context.
 *
 * Return: True if there has been a memory failure in one of them.
 */
bool unmapped_poisoned(struct page *page, unsigned int order)
{
	unsigned int i;

	for (i = 0; i < 1U << order; i++)
		if (PageHWPoison(page + i))
			return true;

	return false;
}

/**
 * unmapped_give_good() - Put erased pages on their list, but for broken ones
 * @zone: Their zone.
 * @page: First of the pages, which are not counted.
 * @order: How many.
 *
 * Context: zone->lock is held.
 */
void unmapped_give_good(struct zone *zone, struct page *page, unsigned int order)
{
	unsigned int i;

	if (likely(!unmapped_poisoned(page, order))) {
		unmapped_give(zone, page, order);
		return;
	}
	for (i = 0; i < 1U << order; i++)
		if (!PageHWPoison(page + i))
			unmapped_give(zone, page + i, 0);
}

/*
 * Neighbours among what was freed one after the other, in either direction, get a
 * window together, and go to their list together. Returns the entry after them, and
 * which pages these are.
 */
static unsigned int next_run(struct page **pages, unsigned int i, unsigned int nr,
			     struct page **first, unsigned int *sum)
{
	*first = pages[i];
	*sum = 1U << pages[i]->private;
	for (i++; i < nr; i++) {
		unsigned int more = 1U << pages[i]->private;

		if (*sum + more > KMERMAP_PAGES ||
		    page_zone_id(pages[i]) != page_zone_id(*first))
			break;
		if (pages[i] + more == *first)
			*first = pages[i];
		else if (pages[i] != *first + *sum)
			break;
		*sum += more;
	}

	return i;
}

/* Under zone->lock. They were counted, and are counted again. */
static void give_run(struct zone *zone, struct page *page, unsigned int nr)
{
	unmapped_account(zone, -(long)nr);
	while (nr) {
		unsigned int order = min_t(unsigned int, ilog2(nr),
					   __ffs(page_to_pfn(page) | pageblock_nr_pages));

		unmapped_give_good(zone, page, order);
		page += 1U << order;
		nr -= 1U << order;
	}
}

/* Pages go from dirty to free. */
static void give_erased(struct page **pages, unsigned int nr)
{
	unsigned int i, next, sum, rest = 0;
	struct page *first;
	struct zone *zone;

	for (i = 0; i < nr; i++)
		if (pages[i]->private || PageHWPoison(pages[i]) ||
		    !unmapped_cache(pages[i]))
			pages[rest++] = pages[i];

	for (i = 0; i < rest;) {
		zone = page_zone(pages[i]);
		guard(spinlock_irqsave)(&zone->lock);
		while (i < rest && page_zone(pages[i]) == zone) {
			next = next_run(pages, i, rest, &first, &sum);
			for (; i < next; i++)
				set_page_private(pages[i], 0);
			give_run(zone, first, sum);
		}
	}
}

/* Erase entries of a few pages each, with preemption off. Returns how many were. */
static unsigned int erase_pages(struct page **pages, unsigned int nr)
{
	unsigned int i, next, sum;
	struct page *first;
	struct kmermap k;

	if (!kmermap_begin(&k))
		return 0;
	for (i = 0; i < nr; i = next) {
		next = next_run(pages, i, nr, &first, &sum);
		if (!erase_window(first, sum))
			break;
	}
	kmermap_end(&k);

	return i;
}

/* As many entries of a list as are erased together: how many that are. */
static unsigned int next_pages(struct llist_node **node, struct page **pages)
{
	unsigned int nr = 0, sum = 0;

	while (*node && nr < MAX_BATCH) {
		struct page *page = llist_entry(*node, struct page, pcp_llist);

		sum += 1U << page->private;
		if (nr && sum > MAX_BATCH)
			break;
		*node = (*node)->next;
		pages[nr++] = page;
	}

	return nr;
}

/*
 * What cannot be erased now is left in @dirty, and so is what is beyond @limit
 * pages. Returns how many entries were erased.
 */
static unsigned long erase_list(struct llist_node *node, struct unmapped_dirty *dirty,
				bool may_sleep, unsigned long limit)
{
	unsigned long sum = 0, entries = 0;
	struct page *pages[MAX_BATCH];
	unsigned int i, nr, done;
	bool failed = false;

	while (node && !failed && sum < limit) {
		nr = next_pages(&node, pages);
		if (1U << pages[0]->private <= MAX_BATCH)
			done = erase_pages(pages, nr);
		/* Many pages, and the caller may hold a spinlock. */
		else if (may_sleep || preemptible())
			done = unmapped_erase(pages[0], 1UL << pages[0]->private);
		else
			done = 0;
		for (i = 0; i < done; i++)
			sum += 1UL << pages[i]->private;
		give_erased(pages, done);
		entries += done;
		for (; done < nr; done++) {
			failed = true;
			llist_add(&pages[done]->pcp_llist, &dirty->list);
		}
		if (may_sleep)
			cond_resched();
	}
	if (node) {
		struct llist_node *last = node;

		while (last->next)
			last = last->next;
		llist_add_batch(node, last, &dirty->list);
	}
	/* The worker has no better way than to try again later. */
	if (failed && may_sleep)
		queue_delayed_work(system_dfl_wq, &erase_work, RETRY_TIME);
	else if (failed || node)
		defer(dirty);

	return entries;
}

/**
 * unmapped_erase_all() - Erase what is dirty, of all CPUs
 *
 * Also of those that have gone offline with pages, and what the worker is about to
 * erase.
 *
 * Context: Process context, also in reclaim. May sleep.
 */
void unmapped_erase_all(void)
{
	static DEFINE_MUTEX(erasing);
	unsigned int cpu;

	guard(mutex)(&erasing);
	for_each_possible_cpu(cpu) {
		struct unmapped_dirty *dirty = per_cpu_ptr(&unmapped_dirty, cpu);

		if (!llist_empty(&dirty->list))
			erase_list(llist_del_all(&dirty->list), dirty, true,
				   ULONG_MAX);
	}
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_erase_all);

static void erase_work_fn(struct work_struct *work)
{
	unmapped_erase_all();
}

#if IS_ENABLED(CONFIG_KUNIT)
/* For tests, which have to know that nobody is erasing any more. May sleep. */
void unmapped_erase_flush(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		irq_work_sync(&per_cpu(unmapped_dirty, cpu).kick);
	flush_delayed_work(&erase_work);
	unmapped_erase_all();
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_erase_flush);
#endif

/**
 * unmapped_erase_some() - Erase something that is dirty, for who needs pages
 *
 * Of this CPU first. What others have left to the worker may be a lot, and is as
 * good.
 *
 * Context: Process context. May sleep.
 *
 * Return: True if something was erased.
 */
bool unmapped_erase_some(void)
{
	unsigned int this = raw_smp_processor_id(), cpu;

	for_each_cpu_wrap(cpu, cpu_possible_mask, this) {
		struct unmapped_dirty *dirty = per_cpu_ptr(&unmapped_dirty, cpu);

		if (!llist_empty(&dirty->list) &&
		    erase_list(llist_del_all(&dirty->list), dirty, true,
			       SOME_PAGES))
			return true;
	}

	return false;
}

/**
 * unmapped_divert() - Keep a page off the free lists that has not been erased
 * @zone: Its zone.
 * @page: A page of a block that is not mapped.
 * @order: Its order.
 *
 * However it was freed, it passes here before it gets on a list.
 *
 * Context: zone->lock is held.
 */
void unmapped_divert(struct zone *zone, struct page *page, unsigned int order)
{
	struct unmapped_dirty *dirty = raw_cpu_ptr(&unmapped_dirty);

	unmapped_account(zone, 1L << order);
	set_page_private(page, order);
	llist_add(&page->pcp_llist, &dirty->list);
	defer(dirty);
}

static void count_freed(struct zone *zone, unsigned long nr, bool nolock)
{
	count_vm_events(PGFREE, nr);
	/* An NMI may come while this CPU changes what it has of the count. */
	if (nolock)
		zone_page_state_add(nr, zone, NR_FREE_UNMAPPED);
	else
		mod_zone_page_state(zone, NR_FREE_UNMAPPED, nr);
}

/* Begin or go on with a list of what is freed together. */
static struct llist_node *add_freed(struct llist_node *list, struct page *page,
				    unsigned int order)
{
	set_page_private(page, order);
	page->pcp_llist.next = list;

	return &page->pcp_llist;
}

static void free_list(struct llist_node *first, struct llist_node *last, bool nolock)
{
	struct unmapped_dirty *dirty = raw_cpu_ptr(&unmapped_dirty);

	if (nolock || !in_task() || irqs_disabled()) {
		llist_add_batch(first, last, &dirty->list);
		defer(dirty);
	} else {
		erase_list(first, dirty, false, ULONG_MAX);
	}
}

/**
 * unmapped_free() - Free a page that is not mapped
 * @page: The page, which free_pages_prepare() has been called for.
 * @order: Its order.
 * @nolock: The caller may be anywhere.
 *
 * Context: Any context. In a task that has interrupts on the page is erased
 * before this returns.
 */
void unmapped_free(struct page *page, unsigned int order, bool nolock)
{
	struct llist_node *list = add_freed(NULL, page, order);

	count_freed(page_zone(page), 1UL << order, nolock);
	free_list(list, list, nolock);
}

/**
 * unmapped_free_folios() - Free those of a batch that are not mapped, together
 * @folios: The batch. Others stay in it.
 * @first: The first that is to be looked at, which is not mapped.
 * @order: Its order. That of others is in folio->private.
 *
 * Context: As for unmapped_free().
 */
void unmapped_free_folios(struct folio_batch *folios, unsigned int first,
			  unsigned int order)
{
	struct page *page = &folios->folios[first]->page;
	unsigned long nr = 1UL << order;
	struct zone *zone = page_zone(page);
	struct llist_node *last, *list;
	unsigned int i, rest = first;

	last = add_freed(NULL, page, order);
	list = last;
	for (i = first + 1; i < folios->nr; i++) {
		page = &folios->folios[i]->page;
		if (!page_is_unmapped(page)) {
			folios->folios[rest++] = folios->folios[i];
			continue;
		}
		if (page_zone(page) != zone) {
			count_freed(zone, nr, false);
			zone = page_zone(page);
			nr = 0;
		}
		nr += 1UL << page_private(page);
		list = add_freed(list, page, page_private(page));
	}
	count_freed(zone, nr, false);
	folios->nr = rest;
	free_list(list, last, false);
}
