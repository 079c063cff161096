// SPDX-License-Identifier: GPL-2.0
/*
 * Allocate pages of private nodes on behalf of tests: what no unprivileged
 * interface does. In debugfs, for root:
 *
 *	test_private_node/alloc	write a request, for example "nid=2 count=16 key"
 *	test_private_node/held	read how many pages are held and on which nodes;
 *				write anything to free them all
 *
 * Words of a request: nid=<n> (needed), count=<n> (default 1), order=<n>, key
 * (with __GFP_PRIVATE), user (with __GFP_HARDWALL, as for the task that writes),
 * thisnode (with __GFP_THISNODE), pin (the pages look unmovable, so that their
 * memory cannot go offline). The write fails with ENOMEM if not a single page
 * was there, otherwise "held" tells how many were.
 *
 * Used by tools/testing/selftests/private_node/.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/kstrtox.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

struct request {
	unsigned int nid;
	unsigned int count;
	unsigned int order;
	bool key;
	bool user;
	bool thisnode;
	bool pin;
};

/* The pages that are held, linked by their lru field. */
static LIST_HEAD(held);
static DEFINE_MUTEX(held_lock);
static struct dentry *folder;

static int parse_word(char *word, struct request *req)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';

	if (value && !strcmp(word, "nid"))
		return kstrtouint(value, 0, &req->nid);
	if (value && !strcmp(word, "count"))
		return kstrtouint(value, 0, &req->count);
	if (value && !strcmp(word, "order"))
		return kstrtouint(value, 0, &req->order);
	if (!value && !strcmp(word, "key"))
		req->key = true;
	else if (!value && !strcmp(word, "user"))
		req->user = true;
	else if (!value && !strcmp(word, "thisnode"))
		req->thisnode = true;
	else if (!value && !strcmp(word, "pin"))
		req->pin = true;
	else
		return -EINVAL;
	return 0;
}

static int parse_request(char *text, struct request *req)
{
	char *word;

	*req = (struct request) { .nid = MAX_NUMNODES, .count = 1 };
	text = strim(text);
	while ((word = strsep(&text, " ")))
		if (parse_word(word, req))
			return -EINVAL;

	if (req->nid >= MAX_NUMNODES || !node_online(req->nid) || !req->count ||
	    req->order > MAX_PAGE_ORDER)
		return -EINVAL;
	return 0;
}

static ssize_t alloc_write(struct file *file, const char __user *buf,
			   size_t len, loff_t *ppos)
{
	/* Movable, since that is the zone that private memory has. */
	gfp_t gfp = GFP_KERNEL | __GFP_HIGHMEM | __GFP_MOVABLE | __GFP_NORETRY |
		    __GFP_NOWARN;
	unsigned int i;
	struct request req;
	struct page *page;

	if (!len || len >= PAGE_SIZE)
		return -EINVAL;

	char *text __free(kfree) = memdup_user_nul(buf, len);

	if (IS_ERR(text))
		return PTR_ERR(text);
	if (parse_request(text, &req))
		return -EINVAL;

	if (req.key)
		gfp |= __GFP_PRIVATE;
	if (req.user)
		gfp |= __GFP_HARDWALL;
	if (req.thisnode)
		gfp |= __GFP_THISNODE;
	if (req.order)
		gfp |= __GFP_COMP;

	guard(mutex)(&held_lock);
	for (i = 0; i < req.count; i++) {
		if (fatal_signal_pending(current))
			break;
		page = alloc_pages_node(req.nid, gfp, req.order);
		if (!page)
			break;
		if (req.pin)
			SetPageReserved(page);
		list_add(&page->lru, &held);
		cond_resched();
	}
	return i ? len : -ENOMEM;
}

static const struct file_operations alloc_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = alloc_write,
	.llseek = noop_llseek,
};

static void free_held(void)
{
	struct page *page, *next;

	guard(mutex)(&held_lock);
	list_for_each_entry_safe(page, next, &held, lru) {
		list_del(&page->lru);
		ClearPageReserved(page);
		__free_pages(page, compound_order(page));
		cond_resched();
	}
}

/* A line for each node with held pages: its id and how many. */
static int held_show(struct seq_file *seq, void *unused)
{
	unsigned long *count __free(kfree) = kzalloc_objs(*count, MAX_NUMNODES);
	struct page *page;
	int nid;

	if (!count)
		return -ENOMEM;

	scoped_guard(mutex, &held_lock)
		list_for_each_entry(page, &held, lru)
			count[page_to_nid(page)] += 1UL << compound_order(page);

	for_each_online_node(nid)
		if (count[nid])
			seq_printf(seq, "node %d: %lu pages\n", nid, count[nid]);
	return 0;
}

static int held_open(struct inode *inode, struct file *file)
{
	return single_open(file, held_show, NULL);
}

static ssize_t held_write(struct file *file, const char __user *buf,
			  size_t len, loff_t *ppos)
{
	free_held();
	return len;
}

static const struct file_operations held_fops = {
	.owner = THIS_MODULE,
	.open = held_open,
	.read = seq_read,
	.write = held_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int __init test_private_node_init(void)
{
	folder = debugfs_create_dir("test_private_node", NULL);
	debugfs_create_file("alloc", 0200, folder, NULL, &alloc_fops);
	debugfs_create_file("held", 0600, folder, NULL, &held_fops);
	return 0;
}
module_init(test_private_node_init);

static void __exit test_private_node_exit(void)
{
	debugfs_remove(folder);
	free_held();
}
module_exit(test_private_node_exit);

MODULE_DESCRIPTION("Allocates pages of private nodes for tests");
MODULE_LICENSE("GPL");
