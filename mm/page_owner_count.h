/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_PAGE_OWNER_COUNT_H
#define _MM_PAGE_OWNER_COUNT_H
/*
 * How many pages each stack has: a hash table from handles to counts. Pages are
 * counted where no memory can be allocated, so the table does not grow by itself.
 */
#include <linux/hash.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/stackdepot.h>
#include <linux/types.h>

/* A slot that is not in use has the handle 0, which no stack has. */
struct page_owner_count {
	depot_stack_handle_t handle;
	/* Allocations, each of one or more pages. */
	unsigned long nr_records;
	unsigned long nr_pages;
};

/* A quarter less than that many stacks are counted without a second table. */
#define PAGE_OWNER_COUNT_BITS	10

/* There are 1 << @bits slots, or none at first. Whoever has them frees them. */
struct page_owner_counts {
	struct page_owner_count *slots;
	unsigned int bits;
	unsigned int nr_used;
};

/**
 * page_owner_counts_full() - Tell whether the table is too full to be fast.
 * @counts: The table.
 *
 * Return: Whether page_owner_counts_slot() refuses further handles.
 */
static inline bool page_owner_counts_full(const struct page_owner_counts *counts)
{
	/* Three quarters. */
	return counts->nr_used >= (3UL << counts->bits) >> 2;
}

/**
 * page_owner_counts_slot() - Find the count of a handle, or make one.
 * @counts: The table, which has slots.
 * @handle: The handle, not 0.
 *
 * Context: Any context.
 *
 * Return: The count, or NULL if it is a new one and the table is full.
 */
static inline struct page_owner_count *
page_owner_counts_slot(struct page_owner_counts *counts,
		       depot_stack_handle_t handle)
{
	unsigned int mask = (1U << counts->bits) - 1;
	unsigned int i = hash_32(handle, counts->bits);

	/* There are free slots at any time, so this ends. */
	for (; counts->slots[i].handle != handle; i = (i + 1) & mask) {
		if (!counts->slots[i].handle)
			goto add;
	}
	return &counts->slots[i];

add:
	if (page_owner_counts_full(counts))
		return NULL;

	counts->slots[i].handle = handle;
	counts->nr_used++;
	return &counts->slots[i];
}

/**
 * page_owner_counts_grow() - Move all counts to a larger table.
 * @counts: The table, which has no slots at first.
 *
 * Context: Process context. May sleep.
 *
 * Return: Whether there was memory for it. If not, all is as it was.
 */
static inline bool page_owner_counts_grow(struct page_owner_counts *counts)
{
	struct page_owner_counts larger = { .bits = counts->bits + 1 };
	unsigned int i;

	if (!counts->slots)
		larger.bits = PAGE_OWNER_COUNT_BITS;
	larger.slots = kvcalloc(1UL << larger.bits, sizeof(*larger.slots),
				GFP_KERNEL);
	if (!larger.slots)
		return false;

	for (i = 0; counts->slots && i < 1U << counts->bits; i++) {
		const struct page_owner_count *count = &counts->slots[i];

		if (count->handle)
			*page_owner_counts_slot(&larger, count->handle) = *count;
	}
	kvfree(counts->slots);
	*counts = larger;
	return true;
}

static inline int page_owner_count_compare(const void *a, const void *b)
{
	const struct page_owner_count *x = a, *y = b;

	if (x->nr_pages != y->nr_pages)
		return x->nr_pages < y->nr_pages ? 1 : -1;

	return x->handle < y->handle ? -1 : x->handle > y->handle;
}

/**
 * page_owner_counts_sort() - Make a list of the table.
 * @counts: The table, of which the first @nr_used slots are the list then, most
 *	    pages first. No count can be found any more.
 */
static inline void page_owner_counts_sort(struct page_owner_counts *counts)
{
	unsigned int i, nr = 0;

	for (i = 0; i < 1U << counts->bits; i++) {
		if (counts->slots[i].handle)
			counts->slots[nr++] = counts->slots[i];
	}
	sort(counts->slots, nr, sizeof(*counts->slots),
	     page_owner_count_compare, NULL);
}

#endif /* _MM_PAGE_OWNER_COUNT_H */
