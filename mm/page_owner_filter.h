/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_PAGE_OWNER_FILTER_H
#define _MM_PAGE_OWNER_FILTER_H
/*
 * The filter of an open page_owner file, and how text becomes one and it becomes
 * text. Nothing here depends on debugfs or on the nodes of the machine.
 * See Documentation/mm/page_owner.rst for the grammar.
 */
#include <linux/nodemask.h>
#include <linux/stackdepot.h>
#include <linux/types.h>

/* What separates the tokens of a filter. */
#define PAGE_OWNER_FILTER_SEPARATORS	" \t\n"

/*
 * The longest text that is looked at: ",NNNNN" for each node, and 32 characters
 * for the rest.
 */
#define PAGE_OWNER_FILTER_MAX_LEN	(32 + 6 * MAX_NUMNODES)

/* Room for any filter as text, which has a handle beside the nodes. */
#define PAGE_OWNER_FILTER_TEXT_LEN	(64 + 6 * MAX_NUMNODES)

enum page_owner_print_mode {
	PAGE_OWNER_PRINT_STACK,
	PAGE_OWNER_PRINT_HANDLE,
	PAGE_OWNER_PRINT_STACK_HANDLE,
	PAGE_OWNER_PRINT_COUNT,
};

/**
 * struct page_owner_filter - What to print, and for which pages.
 * @print_mode: What to print in place of the stack, or with it, or whether to
 *		count the pages of each stack in place of printing them.
 * @nid_filter: The nodes whose pages are printed.
 * @nid_filter_enabled: False if @nid_filter is to be ignored.
 * @handle: The only stack whose pages are printed, 0 for all.
 */
struct page_owner_filter {
	enum page_owner_print_mode print_mode;
	nodemask_t nid_filter;
	bool nid_filter_enabled;
	depot_stack_handle_t handle;
};

int page_owner_filter_parse_token(const char *token,
				  struct page_owner_filter *filter,
				  const nodemask_t *allowed);
int page_owner_filter_format(const struct page_owner_filter *filter, char *buf,
			     size_t size);

#endif /* _MM_PAGE_OWNER_FILTER_H */
