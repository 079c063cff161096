// SPDX-License-Identifier: GPL-2.0
/*
 * Tests for the reclaim of private nodes whose owner wants it: that it happens,
 * who may make it happen, and that nothing of it concerns memory elsewhere. What
 * user space sees is tested by tools/testing/selftests/private_tier.
 *
 * The cases plug memory that nothing else uses into a node;
 * private_reclaim_kunit.memory= says where.
 */
#define pr_fmt(fmt) "private_reclaim_kunit: " fmt

#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/memcontrol.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/nodemask.h>
#include <linux/pagemap.h>
#include <linux/private_node.h>
#include <linux/pseudo_fs.h>
#include <linux/range.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "../internal.h"
#include "../page_alloc.h"
#include "../private_lru.h"
#include "../private_node.h"
#include "../private_reclaim.h"
#include "private_fixture.h"

/* An owner in the kernel, whom no cpuset binds, and who does without kswapd */
#define GFP_OWNER	((GFP_HIGHUSER_MOVABLE | __GFP_PRIVATE | __GFP_NOWARN) & \
			 ~(__GFP_HARDWALL | __GFP_KSWAPD_RECLAIM))
/* The same in a hurry */
#define GFP_HURRY	(GFP_OWNER & ~__GFP_DIRECT_RECLAIM)

static unsigned long long memory;
module_param(memory, ullong, 0444);
MODULE_PARM_DESC(memory, "Physical address of an unused memory block");

/* Node with memory and these features */
static struct fixture *node_with(struct kunit *test, unsigned long features)
{
	return node_at(test, memory, "kunit-reclaim", features);
}

/* ---- Pages that can be reclaimed: those of a file without a name ---- */

static int file_init_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, 0x50525243) ? 0 : -ENOMEM;
}

static struct file_system_type file_type = {
	.name = "private_reclaim_kunit",
	.init_fs_context = file_init_fs_context,
	.kill_sb = kill_anon_super,
	.owner = THIS_MODULE,
};

static const struct address_space_operations file_aops = {
	.migrate_folio = migrate_folio,
};

struct pages {
	struct vfsmount *mnt;
	struct inode *inode;
	unsigned long added;
};

static void pages_drop(void *arg)
{
	struct pages *pages = arg;

	if (pages->inode)
		iput(pages->inode);
	kern_unmount(pages->mnt);
}

static struct pages *pages_create(struct kunit *test)
{
	struct pages *pages = kunit_kzalloc(test, sizeof(*pages), GFP_KERNEL);
	struct inode *inode;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	pages->mnt = kern_mount(&file_type);
	KUNIT_ASSERT_FALSE(test, IS_ERR(pages->mnt));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, pages_drop, pages), 0);
	inode = alloc_anon_inode(pages->mnt->mnt_sb);
	KUNIT_ASSERT_FALSE(test, IS_ERR(inode));
	inode->i_mapping->a_ops = &file_aops;
	pages->inode = inode;
	return pages;
}

/* A clean page goes to the file. */
static void pages_add(struct kunit *test, struct pages *pages, struct page *page)
{
	struct folio *folio = page_folio(page);
	int ret = filemap_add_folio(pages->inode->i_mapping, folio, pages->added, GFP_KERNEL);

	KUNIT_EXPECT_EQ(test, ret, 0);
	if (!ret) {
		pages->added++;
		folio_mark_uptodate(folio);
		folio_unlock(folio);
	}
	folio_put(folio);
}

static unsigned long pages_left(const struct pages *pages)
{
	return pages->inode->i_mapping->nrpages;
}

static struct page *ask(const struct fixture *f, gfp_t gfp, unsigned int order)
{
	return __alloc_pages(gfp | __GFP_COMP, order, f->nid, NULL, ALLOC_DEFAULT);
}

/*
 * Take until nothing is left, also on lists of other CPUs: requests do not
 * collect those twice in a second.
 */
static void take(const struct fixture *f, gfp_t gfp, unsigned int order,
		 struct list_head *list)
{
	bool drained = false;
	struct page *page;

	for (;;) {
		page = ask(f, gfp, order);
		if (!page && drained)
			break;
		drained = !page;
		if (page)
			list_add(&page->lru, list);
		else
			drain_all_pages(NULL);
		cond_resched();
	}
}

/* Whatever comes nevertheless goes back, so that the node can be unplugged. */
static void expect_none(struct kunit *test, const struct fixture *f, gfp_t gfp,
			unsigned int order)
{
	struct page *page = ask(f, gfp, order);

	KUNIT_EXPECT_NULL_MSG(test, page, "gfp %pGg, order %u", &gfp, order);
	if (page)
		__free_pages(page, order);
}

/* All that there is without reclaim, in large pages where there are some */
static void take_all(const struct fixture *f, struct list_head *list)
{
	int order;

	for (order = MAX_PAGE_ORDER; order >= 0; order--)
		take(f, GFP_HURRY, order, list);
}

static void free_all(struct list_head *list)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, list, lru)
		__free_pages(page, compound_order(page));
	INIT_LIST_HEAD(list);
}

#define NR_CACHED	2048
#define NR_ASKED	512

/* A node that is full, of pages of a file and of others that stay */
static struct pages *fill(struct kunit *test, const struct fixture *f, struct list_head *list)
{
	struct pages *pages = pages_create(test);
	struct page *page;
	int i;

	for (i = 0; i < NR_CACHED; i++) {
		page = ask(f, GFP_HURRY, 0);
		KUNIT_ASSERT_NOT_NULL(test, page);
		pages_add(test, pages, page);
	}
	lru_add_drain_all();
	take_all(f, list);
	expect_none(test, f, GFP_HURRY, 0);
	KUNIT_ASSERT_EQ(test, pages_left(pages), NR_CACHED);
	return pages;
}

/* How many pages a task gets if it asks for some */
static unsigned int get_some(const struct fixture *f, gfp_t gfp)
{
	unsigned int got = 0;
	struct page *page;
	LIST_HEAD(list);

	while (got < NR_ASKED && (page = ask(f, gfp, 0))) {
		got++;
		list_add(&page->lru, &list);
	}
	free_all(&list);
	return got;
}

/* ---- Cases ---- */

static void kthreads_come_and_go(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_RECLAIM);
	pg_data_t *pgdat = NODE_DATA(f->nid);
	int round;

	for (round = 0; round < 3; round++) {
		KUNIT_EXPECT_NOT_NULL(test, pgdat->kswapd);
		KUNIT_EXPECT_TRUE(test, node_is_reclaimed(f->nid));
#ifdef CONFIG_COMPACTION
		KUNIT_EXPECT_NOT_NULL(test, pgdat->kcompactd);
#endif
		unplug(f);
		KUNIT_EXPECT_NULL(test, pgdat->kswapd);
		KUNIT_EXPECT_FALSE(test, node_is_reclaimed(f->nid));
#ifdef CONFIG_COMPACTION
		KUNIT_EXPECT_NULL(test, pgdat->kcompactd);
#endif
		plug(test, f);
	}

	plug_again_with(test, f, PRIVATE_NODE_FEATURES &
			~(PRIVATE_NODE_RECLAIM | PRIVATE_NODE_DEMOTION));
	KUNIT_EXPECT_NULL(test, pgdat->kswapd);
	KUNIT_EXPECT_FALSE(test, node_is_reclaimed(f->nid));
#ifdef CONFIG_COMPACTION
	KUNIT_EXPECT_NULL(test, pgdat->kcompactd);
#endif
}

/* What shrinkers have heard of a node */
static struct {
	int nid;
	atomic_t aware;
	atomic_t unaware;
	atomic_t keys;
} heard;

static unsigned long hear(const struct shrink_control *sc, atomic_t *calls)
{
	if (sc->nid == READ_ONCE(heard.nid)) {
		atomic_inc(calls);
		if (sc->gfp_mask & __GFP_PRIVATE)
			atomic_inc(&heard.keys);
	}
	return 0;
}

static unsigned long count_aware(struct shrinker *shrinker, struct shrink_control *sc)
{
	return hear(sc, &heard.aware);
}

static unsigned long count_unaware(struct shrinker *shrinker, struct shrink_control *sc)
{
	return hear(sc, &heard.unaware);
}

static unsigned long scan_nothing(struct shrinker *shrinker, struct shrink_control *sc)
{
	return SHRINK_STOP;
}

static void shrinker_drop(void *arg)
{
	shrinker_free(arg);
}

static void listen(struct kunit *test, unsigned int flags,
		   unsigned long (*count)(struct shrinker *shrinker, struct shrink_control *sc))
{
	struct shrinker *shrinker = shrinker_alloc(flags, "private-kunit-%x", flags);

	KUNIT_ASSERT_NOT_NULL(test, shrinker);
	shrinker->count_objects = count;
	shrinker->scan_objects = scan_nothing;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, shrinker_drop, shrinker), 0);
	shrinker_register(shrinker);
}

/* A full node gives pages all the same, as long as something can go. */
static void requests_reclaim(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_RECLAIM);
	struct mem_cgroup *memcg;
	struct pages *pages;
	LIST_HEAD(list);

	pages = fill(test, f, &list);
	heard.nid = f->nid;
	atomic_set(&heard.aware, 0);
	atomic_set(&heard.unaware, 0);
	atomic_set(&heard.keys, 0);
	listen(test, SHRINKER_NUMA_AWARE, count_aware);
	listen(test, 0, count_unaware);

	KUNIT_EXPECT_EQ(test, get_some(f, GFP_OWNER), NR_ASKED);
	KUNIT_EXPECT_LT(test, pages_left(pages), NR_CACHED);

	/* Shrinkers of this node alone, and they allocate ordinary memory. */
	KUNIT_EXPECT_GT(test, atomic_read(&heard.aware), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&heard.unaware), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&heard.keys), 0);

	/* They are what others call for ordinary nodes. */
	heard.nid = first_memory_node;
	memcg = mem_cgroup_iter(NULL, NULL, NULL);
	shrink_slab(GFP_KERNEL, first_memory_node, memcg, 0);
	mem_cgroup_iter_break(NULL, memcg);
	KUNIT_EXPECT_GT(test, atomic_read(&heard.unaware), 0);
	heard.nid = NUMA_NO_NODE;
	free_all(&list);
}

/* Who cannot wait reclaims nothing, and nobody does if the owner does not want it. */
static void some_do_not_reclaim(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_RECLAIM);
	struct pages *pages;
	unsigned int flags;
	LIST_HEAD(list);

	pages = fill(test, f, &list);
	KUNIT_EXPECT_LT(test, get_some(f, GFP_HURRY), NR_ASKED);
	flags = memalloc_noreclaim_save();
	KUNIT_EXPECT_LT(test, get_some(f, GFP_OWNER), NR_ASKED);
	memalloc_noreclaim_restore(flags);
	KUNIT_EXPECT_EQ(test, pages_left(pages), NR_CACHED);
	kunit_release_action(test, pages_drop, pages);
	free_all(&list);

	plug_again_with(test, f, PRIVATE_NODE_USER | PRIVATE_NODE_LTPIN);
	pages = fill(test, f, &list);
	KUNIT_EXPECT_LT(test, get_some(f, GFP_OWNER), NR_ASKED);
	KUNIT_EXPECT_EQ(test, pages_left(pages), NR_CACHED);
	free_all(&list);
}

/* Nothing can go: there is an end to it, and nobody is killed. */
static void full_is_an_answer(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_RECLAIM);
	unsigned long events[NR_VM_EVENT_ITEMS] = {}, kills;
	unsigned int order;
	LIST_HEAD(list);

	take_all(f, &list);
	all_vm_events(events);
	kills = events[OOM_KILL];
	for (order = 0; order <= MAX_PAGE_ORDER; order += 3) {
		/* The last pages are those that are kept for who cannot wait. */
		take(f, GFP_OWNER, order, &list);
		expect_none(test, f, GFP_OWNER | __GFP_KSWAPD_RECLAIM, order);
		expect_none(test, f, GFP_OWNER | __GFP_NORETRY, order);
	}
	all_vm_events(events);
	KUNIT_EXPECT_EQ(test, events[OOM_KILL], kills);
	free_all(&list);
}

#ifdef CONFIG_COMPACTION
/* A node of which half of the pages are free, and no two that are neighbours */
static struct pages *fragment(struct kunit *test, const struct fixture *f)
{
	struct pages *pages = pages_create(test);
	struct page *page, *next;
	LIST_HEAD(list);

	/* The reserve, too: it can have a whole block. */
	take(f, GFP_HURRY | __GFP_MEMALLOC, 0, &list);
	list_for_each_entry_safe(page, next, &list, lru) {
		list_del(&page->lru);
		if (page_to_pfn(page) % 2)
			__free_page(page);
		else
			pages_add(test, pages, page);
		cond_resched();
	}
	lru_add_drain_all();
	expect_none(test, f, GFP_HURRY, pageblock_order);
	return pages;
}

static void requests_compact(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_RECLAIM);
	struct pages *pages = fragment(test, f);
	struct page *page;

	page = ask(f, GFP_OWNER, pageblock_order);
	KUNIT_EXPECT_NOT_NULL(test, page);
	if (page)
		__free_pages(page, pageblock_order);
	/* They were moved. */
	KUNIT_EXPECT_EQ(test, pages_left(pages), pages->added);
	kunit_release_action(test, pages_drop, pages);

	/* Nobody does if the owner does not want it. */
	plug_again_with(test, f, PRIVATE_NODE_USER);
	pages = fragment(test, f);
	page = ask(f, GFP_OWNER, pageblock_order);
	KUNIT_EXPECT_NULL(test, page);
	if (page)
		__free_pages(page, pageblock_order);
	KUNIT_EXPECT_EQ(test, pages_left(pages), pages->added);
}
#endif

static bool has_zones_of(struct zonelist *zonelist, int nid)
{
	struct zoneref *z;
	struct zone *zone;

	for_each_zone_zonelist(zone, z, zonelist, MAX_NR_ZONES - 1) {
		if (zone_to_nid(zone) == nid)
			return true;
	}
	return false;
}

/* Memory cgroups are reclaimed from private nodes, if one is to be reclaimed. */
static void memory_cgroups_look_there(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER | PRIVATE_NODE_RECLAIM);
	struct zonelist *zonelist;
	int nid = first_memory_node, node;

	zonelist = private_reclaim_zonelist(nid, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, has_zones_of(zonelist, f->nid));
	for_each_node_state(node, N_MEMORY)
		KUNIT_EXPECT_TRUE(test, has_zones_of(zonelist, node));

	plug_again_with(test, f, PRIVATE_NODE_USER);
	/* Unless there is a node of somebody else */
	if (nodes_weight(node_states[N_MEMORY_PRIVATE]) == 1)
		KUNIT_EXPECT_PTR_EQ(test, private_reclaim_zonelist(nid, GFP_KERNEL),
				    node_zonelist(nid, GFP_KERNEL));
}

static struct kunit_case private_reclaim_cases[] = {
	KUNIT_CASE_SLOW(kthreads_come_and_go),
	KUNIT_CASE(requests_reclaim),
	KUNIT_CASE(some_do_not_reclaim),
	KUNIT_CASE(full_is_an_answer),
#ifdef CONFIG_COMPACTION
	KUNIT_CASE_SLOW(requests_compact),
#endif
	KUNIT_CASE(memory_cgroups_look_there),
	{}
};

static struct kunit_suite private_reclaim_suite = {
	.name = "private_reclaim",
	.test_cases = private_reclaim_cases,
};
kunit_test_suite(private_reclaim_suite);

MODULE_DESCRIPTION("KUnit tests for the reclaim of private nodes");
MODULE_LICENSE("GPL");
