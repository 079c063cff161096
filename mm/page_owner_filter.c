// SPDX-License-Identifier: GPL-2.0
/*
 * Parse the filters that are written to an open page_owner file.
 *
 * A write is accepted or refused as a whole: mm/page_owner.c lets one token after
 * the other change a copy of the filter, and keeps the copy if all were good.
 */
#include <kunit/visibility.h>
#include <linux/array_size.h>
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/kstrtox.h>
#include <linux/nodemask.h>
#include <linux/sprintf.h>
#include <linux/string.h>

#include "page_owner_filter.h"

static const char * const mode_names[] = {
	[PAGE_OWNER_PRINT_STACK]	= "stack",
	[PAGE_OWNER_PRINT_HANDLE]	= "handle",
	[PAGE_OWNER_PRINT_STACK_HANDLE]	= "stack_handle",
	[PAGE_OWNER_PRINT_COUNT]	= "count",
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

	/* As a list it would mean all possible nodes, with or without memory. */
	if (!strcmp(list, "all")) {
		nodes_clear(filter->nid_filter);
		filter->nid_filter_enabled = false;
		return 0;
	}

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

static int parse_handle(const char *text, struct page_owner_filter *filter)
{
	u32 number;
	int ret;

	if (!strcmp(text, "all")) {
		filter->handle = 0;
		return 0;
	}

	/* kstrtou32() takes a sign, and 0 is no handle. */
	if (!isdigit(*text))
		return -EINVAL;
	ret = kstrtou32(text, 10, &number);
	if (ret)
		return ret;
	if (!number)
		return -EINVAL;

	filter->handle = number;
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
 * * %-EINVAL - unknown key or mode, node list empty or malformed, a node that
 *   is not allowed, or a handle that is no positive number
 * * %-ERANGE - node number of MAX_NUMNODES or more, or handle that is no 32-bit
 *   number
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

	len = str_has_prefix(token, "handle=");
	if (len)
		return parse_handle(token + len, filter);

	return -EINVAL;
}
EXPORT_SYMBOL_IF_KUNIT(page_owner_filter_parse_token);

/**
 * page_owner_filter_format() - Write a filter as text.
 * @filter: The filter.
 * @buf: Where to.
 * @size: Size of @buf, of which PAGE_OWNER_FILTER_TEXT_LEN is always enough.
 *
 * The text names each part. Parsed, it gives the same filter.
 *
 * Context: Any context.
 *
 * Return: The length of the text.
 */
int page_owner_filter_format(const struct page_owner_filter *filter, char *buf,
			     size_t size)
{
	int len;

	len = scnprintf(buf, size, "mode=%s", mode_names[filter->print_mode]);
	/* nodemask_pr_args() would leave out nodes that the machine cannot have. */
	if (filter->nid_filter_enabled)
		len += scnprintf(buf + len, size - len, " nid=%*pbl",
				 MAX_NUMNODES, filter->nid_filter.bits);
	else
		len += scnprintf(buf + len, size - len, " nid=all");
	if (filter->handle)
		len += scnprintf(buf + len, size - len, " handle=%u",
				 filter->handle);
	else
		len += scnprintf(buf + len, size - len, " handle=all");

	return len;
}
EXPORT_SYMBOL_IF_KUNIT(page_owner_filter_format);
