/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_PAGE_EXT_TEST_H
#define _MM_PAGE_EXT_TEST_H
/* What mm/page_ext.c makes visible for its KUnit tests, and for nothing else. */
#include <linux/types.h>

#if IS_ENABLED(CONFIG_KUNIT)
void *alloc_page_ext(size_t size, int nid);
void free_page_ext(void *addr);
int online_sections_page_ext(unsigned long start, unsigned long end, int nid);
#endif

#endif /* _MM_PAGE_EXT_TEST_H */
