// SPDX-License-Identifier: GPL-2.0
/*
 * Parse the filters that are written to an open page_owner file.
 *
 * A write is accepted or refused as a whole: mm/page_owner.c lets one token after
 * the other change a copy of the filter, and keeps the copy if all were good.
 */
#include <kunit/visibility.h>
#include <linux/array_size.h>
#include <linux/errno.h>
#include <linux/nodemask.h>
#include <linux/string.h>

#include "page_owner_filter.h"

static const char * const mode_names[] = {
	[PAGE_OWNER_PRINT_STACK]	= "stack",
	[PAGE_OWNER_PRINT_HANDLE]	= "handle",
	[PAGE_OWNER_PRINT_STACK_HANDLE]	= "stack_handle",
};

static int parse_mode(const char *name, struct page_owner_filter *filter)
{
	int mode = match_string(mode_names, ARRAY_SIZE(mode_names), name);

	if (mode < 0)
		return mode;

	filter->print_mode = mode;
	return 0;
}

static int parse_nodes(const char *list, struct page_owner_filter *filter,
		       const nodemask_t *allowed)
{
	nodemask_t nodes;
	int ret;

	ret = nodelist_parse(list, nodes);
	if (ret)
		return ret;

	/* A node that can have no pages is rather a mistake than a wish. */
	if (nodes_empty(nodes) || !nodes_subset(nodes, *allowed))
		return -EINVAL;

	filter->nid_filter = nodes;
	filter->nid_filter_enabled = true;
	return 0;
}

/**
 * page_owner_filter_parse_token() - Change a filter as a token says.
 * @token: One token, without separators: a key, "=", and a value.
 * @filter: The filter, not changed on failure.
 * @allowed: The nodes that may be named: those with memory.
 *
 * Context: Any context.
 *
 * Return: 0, or
 * * %-EINVAL - unknown key or mode, node list empty or malformed, or a node
 *   that is not allowed
 * * %-ERANGE - node number of MAX_NUMNODES or more
 * * %-EOVERFLOW - node number that is no 32-bit number
 */
int page_owner_filter_parse_token(const char *token,
				  struct page_owner_filter *filter,
				  const nodemask_t *allowed)
{
	size_t len;

	len = str_has_prefix(token, "mode=");
	if (len)
		return parse_mode(token + len, filter);

	len = str_has_prefix(token, "nid=");
	if (len)
		return parse_nodes(token + len, filter, allowed);

	return -EINVAL;
}
EXPORT_SYMBOL_IF_KUNIT(page_owner_filter_parse_token);
