/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_FREETYPE_H
#define _MM_FREETYPE_H

/*
 * The type of free memory: on which free list of its order it is.
 *
 * A migratetype says who may allocate from a pageblock, and from which others
 * when it is full: that is policy. A freetype is what the lists are indexed by,
 * without gaps, and what is stored for a pageblock. The first freetypes are the
 * migratetypes, in their order, so that to go from one to the other costs
 * nothing. There is room for freetypes with the same migratetype as another one
 * that nevertheless must not share a list with it. Those come after
 * MIGRATE_ISOLATE, and are unmovable.
 *
 * It is a type of its own, so that one in place of the other is noticed.
 *
 * Locking: the freetype of a pageblock and the lists only change under
 * zone->lock. Read without it, a freetype is a hint.
 */

#include <linux/mmzone.h>
#include <linux/page-isolation.h>

/*
 * As a structure it is worse code in the functions that allocate and free. So it
 * is one for the compiler of those who debug, and a number for all others.
 */
#ifdef CONFIG_DEBUG_VM

typedef struct {
	int index;
} freetype_t;

#define __freetype(i)		((freetype_t){ .index = (i) })
#define __freetype_index(ft)	((ft).index)

#else /* !CONFIG_DEBUG_VM */

typedef int __bitwise freetype_t;

#define __freetype(i)		((__force freetype_t)(i))
#define __freetype_index(ft)	((__force int)(ft))

#endif /* CONFIG_DEBUG_VM */

/* Reads what is stored for a block: a migratetype, if there is nothing else. */
#ifndef get_pfnblock_type
#define get_pfnblock_type	get_pfnblock_migratetype
#endif

/**
 * freetype_of() - The freetype of ordinary memory
 * @migratetype: A migratetype, or MIGRATE_ISOLATE.
 *
 * Context: Any context.
 *
 * Return: The freetype.
 */
static inline freetype_t freetype_of(int migratetype)
{
	return __freetype(migratetype);
}

/**
 * freetype_migratetype() - The migratetype that a freetype has
 * @ft: A freetype.
 *
 * Context: Any context.
 *
 * Return: A value of enum migratetype.
 */
static inline int freetype_migratetype(freetype_t ft)
{
	if (NR_FREETYPES > MIGRATE_TYPES && __freetype_index(ft) >= MIGRATE_TYPES)
		return MIGRATE_UNMOVABLE;

	return __freetype_index(ft);
}

/**
 * freetype_index() - The free list that a freetype stands for
 * @ft: A freetype.
 *
 * Context: Any context.
 *
 * Return: An index of free_area->free_list, less than NR_FREETYPES.
 */
static inline int freetype_index(freetype_t ft)
{
	return __freetype_index(ft);
}

/**
 * freetypes_equal() - Check that two freetypes are the same
 * @a: A freetype.
 * @b: Another one.
 *
 * Context: Any context.
 *
 * Return: True if memory of both is on the same lists.
 */
static inline bool freetypes_equal(freetype_t a, freetype_t b)
{
	return __freetype_index(a) == __freetype_index(b);
}

/**
 * freetype_is_mergeable() - Check for blocks that become a neighbour's freetype
 * @ft: A freetype.
 *
 * Context: Any context.
 *
 * Return: True if a free block of it may be merged with one of another
 * freetype for which this is true.
 */
static inline bool freetype_is_mergeable(freetype_t ft)
{
	return migratetype_is_mergeable(__freetype_index(ft));
}

/**
 * freetype_has_pcp_list() - Check for freetypes with per-CPU lists
 * @ft: A freetype.
 *
 * Context: Any context.
 *
 * Return: True if struct per_cpu_pages has lists of its own for @ft.
 */
static inline bool freetype_has_pcp_list(freetype_t ft)
{
	return __freetype_index(ft) < MIGRATE_PCPTYPES;
}

/**
 * freetype_is_special() - Check for free memory that nobody can count on
 * @ft: A freetype.
 *
 * Such memory is on free lists, but not in NR_FREE_PAGES, and no ordinary
 * request gets it.
 *
 * Context: Any context.
 *
 * Return: True if the memory is isolated, or of a freetype that is no migratetype.
 */
static inline bool freetype_is_special(freetype_t ft)
{
	/* One compare for both: what is beyond MIGRATE_ISOLATE is special, too. */
	if (NR_FREETYPES > MIGRATE_TYPES)
		return __freetype_index(ft) >= MIGRATE_TYPES - 1;

	return is_migrate_isolate(__freetype_index(ft));
}

/**
 * get_pfnblock_freetype() - The freetype of a pageblock
 * @page: A page of the block.
 * @pfn: Its pfn.
 *
 * Context: Any context. The answer is reliable under zone->lock, and, but for
 * isolation, for who has a page of the block.
 *
 * Return: The freetype.
 */
static inline freetype_t get_pfnblock_freetype(const struct page *page,
					       unsigned long pfn)
{
	return __freetype(get_pfnblock_type(page, pfn));
}

/**
 * get_pageblock_freetype() - The freetype of a pageblock
 * @page: A page of the block.
 *
 * Context: As for get_pfnblock_freetype().
 *
 * Return: The freetype.
 */
static inline freetype_t get_pageblock_freetype(const struct page *page)
{
	return get_pfnblock_freetype(page, page_to_pfn(page));
}

/**
 * free_area_list() - The list of an order for a freetype
 * @area: What is free of an order, in a zone.
 * @ft: A freetype.
 *
 * Context: Any context. zone->lock protects what is on the list.
 *
 * Return: The list.
 */
static inline struct list_head *free_area_list(struct free_area *area,
					       freetype_t ft)
{
	return &area->free_list[freetype_index(ft)];
}

#endif /* _MM_FREETYPE_H */
