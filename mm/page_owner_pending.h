/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_PAGE_OWNER_PENDING_H
#define _MM_PAGE_OWNER_PENDING_H
/*
 * Stacks that page_owner has seen and has not put on its list yet.
 *
 * A stack is noticed in the allocator, where memory for a list element cannot
 * always be had and a spinning lock cannot always be taken. Adding a stack here
 * needs neither: a slot is claimed by cmpxchg(), and emptied by xchg().
 */
#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/types.h>

/*
 * Some hundred stacks are seen in early boot, when no allocation may reclaim.
 * After that, stacks do not stay here longer than until the next new one.
 */
#define PAGE_OWNER_PENDING_SLOTS	512

struct stack_record;

struct page_owner_pending {
	struct stack_record *slots[PAGE_OWNER_PENDING_SLOTS];
	/* At least the number of slots in use, so 0 means that all are empty. */
	atomic_t nr;
	/* Number of stacks for which there was no slot. */
	atomic_long_t nr_lost;
};

/**
 * page_owner_pending_add() - Remember a stack.
 * @pending: Where to.
 * @record: The stack, which must not be freed any more.
 *
 * Context: Any context, takes no lock.
 *
 * Return: Whether there was a slot. If not, the stack is counted as lost.
 */
static inline bool page_owner_pending_add(struct page_owner_pending *pending,
					  struct stack_record *record)
{
	int i;

	/* Before the slot is taken, to keep the promise of @nr. */
	atomic_inc(&pending->nr);
	for (i = 0; i < PAGE_OWNER_PENDING_SLOTS; i++) {
		if (!READ_ONCE(pending->slots[i]) &&
		    !cmpxchg(&pending->slots[i], NULL, record))
			return true;
	}
	atomic_dec(&pending->nr);
	atomic_long_inc(&pending->nr_lost);

	return false;
}

/**
 * page_owner_pending_take() - Take out any one stack.
 * @pending: Where from.
 *
 * Context: Any context, takes no lock.
 *
 * Return: A stack, or NULL if there is none.
 */
static inline struct stack_record *
page_owner_pending_take(struct page_owner_pending *pending)
{
	struct stack_record *record;
	int i;

	if (!atomic_read(&pending->nr))
		return NULL;

	for (i = 0; i < PAGE_OWNER_PENDING_SLOTS; i++) {
		if (!READ_ONCE(pending->slots[i]))
			continue;
		record = xchg(&pending->slots[i], NULL);
		if (record) {
			atomic_dec(&pending->nr);
			return record;
		}
	}

	return NULL;
}

/**
 * page_owner_pending_missing() - Count the stacks that have not been listed.
 * @pending: Where they would wait.
 *
 * Context: Any context, takes no lock.
 *
 * Return: How many are waiting, may be about to be added, or have been lost.
 */
static inline long page_owner_pending_missing(struct page_owner_pending *pending)
{
	return atomic_read(&pending->nr) + atomic_long_read(&pending->nr_lost);
}

#endif /* _MM_PAGE_OWNER_PENDING_H */
