/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_MERMAP_H
#define _MM_MERMAP_H

/* What the mermap's checks and its fault injection have to do with it. */

#include <linux/mermap.h>
#include <linux/slab.h>

#ifdef CONFIG_FAIL_MERMAP

#include <linux/fault-inject.h>

extern struct fault_attr fail_mermap;
extern struct fault_attr fail_mermap_prepare;

static inline bool mermap_should_fail(unsigned long size)
{
	return should_fail(&fail_mermap, size);
}

static inline bool mermap_prepare_should_fail(void)
{
	return should_fail(&fail_mermap_prepare, 1);
}

#else /* !CONFIG_FAIL_MERMAP */

static inline bool mermap_should_fail(unsigned long size) { return false; }
static inline bool mermap_prepare_should_fail(void) { return false; }

#endif /* CONFIG_FAIL_MERMAP */

#ifdef CONFIG_DEBUG_MERMAP

int mermap_debug_create(struct mermap *m);
void mermap_debug_free(struct mermap *m);
void mermap_debug_get(struct mermap *m, struct mermap_cpu *c, unsigned int first,
		      struct page *page, unsigned int nr);
bool mermap_debug_may_put(struct mermap_cpu *c, unsigned int first);
void mermap_debug_put(struct mermap *m, struct mermap_cpu *c,
		      unsigned int first, unsigned int nr);
u64 mermap_debug_seq(void);
void mermap_debug_flushed(struct mermap *m, u64 seq);

#else /* !CONFIG_DEBUG_MERMAP */

static inline int mermap_debug_create(struct mermap *m) { return 0; }
static inline void mermap_debug_free(struct mermap *m) { kfree(m); }
static inline void mermap_debug_get(struct mermap *m, struct mermap_cpu *c,
				    unsigned int first, struct page *page,
				    unsigned int nr) { }
static inline bool mermap_debug_may_put(struct mermap_cpu *c,
					unsigned int first) { return true; }
static inline void mermap_debug_put(struct mermap *m, struct mermap_cpu *c,
				    unsigned int first, unsigned int nr) { }
static inline u64 mermap_debug_seq(void) { return 0; }
static inline void mermap_debug_flushed(struct mermap *m, u64 seq) { }

#endif /* CONFIG_DEBUG_MERMAP */

#endif /* _MM_MERMAP_H */
