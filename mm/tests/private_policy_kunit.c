// SPDX-License-Identifier: GPL-2.0
/*
 * Tests for memory policies that name private nodes: which nodes a name stands
 * for, who may name them, and what kinds of requests get their memory. What user
 * space sees is tested by tools/testing/selftests/private_policy.
 *
 * Most cases plug memory that nothing else uses into a node;
 * private_policy_kunit.memory= says where.
 */
#define pr_fmt(fmt) "private_policy_kunit: " fmt

#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/capability.h>
#include <linux/cgroup.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/cpuset.h>
#include <linux/cpuset_private.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mempolicy.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/notifier.h>
#include <linux/page-isolation.h>
#include <linux/private_node.h>
#include <linux/private_policy.h>
#include <linux/range.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/spinlock.h>
#include <linux/tracepoint.h>
#include <trace/events/kmem.h>

#include "../internal.h"
#include "../page_alloc.h"
#include "../private_fault.h"
#include "../private_lru.h"
#include "../private_mempolicy.h"
#include "../private_migrate.h"
#include "../private_node.h"
#include "../private_others.h"
#include "../private_pin.h"
#include "../private_policy.h"
#include "private_fixture.h"
#ifdef CONFIG_CPUSETS
#include "../../kernel/cgroup/cpuset-internal.h"
#endif

#define GFP_USERS	(GFP_HIGHUSER_MOVABLE | __GFP_NOWARN)
#define FLAGS		(MPOL_F_STATIC_NODES | MPOL_F_PRIVATE)

static unsigned long long memory;
module_param(memory, ullong, 0444);
MODULE_PARM_DESC(memory, "Physical address of an unused memory block");

/* Node with memory and these features */
static struct fixture *node_with(struct kunit *test, unsigned long features)
{
	return node_at(test, memory, "kunit-policy", features);
}

static bool usable(const struct fixture *f, u32 stamp)
{
	nodemask_t named = nodemask_of_node(f->nid), nodes;
	bool any;

	node_set(f->ordinary, named);
	any = private_policy_usable(&named, stamp, &nodes);
	/* It is a matter of private nodes. */
	if (node_isset(f->ordinary, nodes) || any != !nodes_empty(nodes))
		KUNIT_FAIL(kunit_get_current_test(), "nodes %*pbl",
			   nodemask_pr_args(&nodes));
	return node_isset(f->nid, nodes);
}

/* A node that was plugged again is not the one that was named. */
static void names_mean_older_nodes(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	u32 first = private_policy_stamp(), second;

	KUNIT_EXPECT_TRUE(test, usable(f, first));
	KUNIT_EXPECT_FALSE(test, usable(f, first - 1));
	KUNIT_EXPECT_TRUE(test, private_policy_knows(f->nid, first));
	KUNIT_EXPECT_FALSE(test, private_policy_knows(f->nid, first - 1));
	KUNIT_EXPECT_TRUE(test, private_policy_knows(f->ordinary, 0));

	unplug(f);
	KUNIT_EXPECT_FALSE(test, usable(f, first));
	KUNIT_EXPECT_EQ(test, private_policy_stamp(), first);
	plug(test, f);
	second = private_policy_stamp();
	KUNIT_EXPECT_EQ(test, second, first + 1);
	KUNIT_EXPECT_FALSE(test, usable(f, first));
	KUNIT_EXPECT_TRUE(test, usable(f, second));
	/* After the last number comes none. */
	KUNIT_EXPECT_TRUE(test, usable(f, U32_MAX - 1));
}

static void owners_let_users_in(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_RECLAIM);
	nodemask_t named = nodemask_of_node(f->nid), nodes;

	KUNIT_EXPECT_FALSE(test, usable(f, private_policy_stamp()));
	KUNIT_EXPECT_EQ(test, private_policy_permit(&named), -EOPNOTSUPP);
	private_policy_nameable(&nodes);
	KUNIT_EXPECT_FALSE(test, node_isset(f->nid, nodes));

	unplug(f);
	KUNIT_EXPECT_EQ(test, private_policy_permit(&named), -EINVAL);
	KUNIT_ASSERT_EQ(test, private_node_set_features(f->pn, PRIVATE_NODE_USER, 1000), 0);
	KUNIT_EXPECT_EQ(test, private_policy_permit(&named), -EINVAL);
	plug(test, f);
	KUNIT_EXPECT_EQ(test, private_policy_permit(&named), 0);
	KUNIT_EXPECT_TRUE(test, usable(f, private_policy_stamp()));
	private_policy_nameable(&nodes);
	KUNIT_EXPECT_TRUE(test, node_isset(f->nid, nodes));

	named = nodemask_of_node(f->ordinary);
	KUNIT_EXPECT_EQ(test, private_policy_permit(&named), -EINVAL);
}

static void naming_takes_privilege(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	nodemask_t named = nodemask_of_node(f->nid), nodes;
	const struct cred *old;
	struct cred *cred = prepare_creds();
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, cred);
	cap_lower(cred->cap_effective, CAP_SYS_NICE);
	old = override_creds(cred);
	ret = private_policy_permit(&named);
	revert_creds(old);
	put_cred(cred);
	KUNIT_EXPECT_EQ(test, ret, -EPERM);
	private_policy_nameable(&nodes);
	KUNIT_EXPECT_TRUE(test, node_isset(f->nid, nodes));
}

static void release_action(void *arg)
{
	if (private_node_release(arg))
		KUNIT_FAIL(kunit_get_current_test(), "release");
}

/* Of what is named together, a name has only what could be named alone. */
static void names_have_what_may_be_named(struct kunit *test)
{
	static const struct private_node_desc desc = {
		.name = "kunit-other",
		.adistance = 1000,
		.features = PRIVATE_NODE_USER,
	};
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	struct private_node *other;
	nodemask_t named, want;
	int nid;

	for_each_node(nid) {
		other = private_node_claim(nid, &desc);
		if (!IS_ERR(other))
			break;
	}
	if (nid == MAX_NUMNODES)
		kunit_skip(test, "needs two nodes without memory and CPUs");
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, release_action, other), 0);

	want = nodemask_of_node(f->nid);
	node_set(f->ordinary, want);
	named = want;
	node_set(nid, named);
	KUNIT_EXPECT_EQ(test, private_policy_permit(&named), 0);
	KUNIT_EXPECT_TRUE(test, nodes_equal(named, want));
}

/* As the system calls make one */
static struct mempolicy policy_for(const struct fixture *f, int mode)
{
	return (struct mempolicy) {
		.refcnt = ATOMIC_INIT(1),
		.mode = mode,
		.flags = FLAGS,
		.nodes = node_states[N_MEMORY],
		.home_node = NUMA_NO_NODE,
		.private_stamp = private_policy_stamp(),
		.w.user_nodemask = nodemask_of_node(f->nid),
	};
}

/* The node that a request gets memory of, NUMA_NO_NODE if it gets none */
static int nid_by(struct mempolicy *pol, gfp_t gfp)
{
	struct folio *folio = folio_alloc_mpol(gfp, 0, pol, 0, numa_node_id());
	int nid;

	if (!folio)
		return NUMA_NO_NODE;
	nid = folio_nid(folio);
	folio_put(folio);
	return nid;
}

#ifdef CONFIG_CPUSETS
/* Memory cgroups are demoted to what they were granted, the root nowhere. */
static void what_is_inherited_is_no_target(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	nodemask_t mask = cpuset_mems_allowed(current);

	KUNIT_ASSERT_TRUE(test, node_isset(f->nid, mask));
	cpuset_nodes_allowed(&cgrp_dfl_root.cgrp, &mask);
	KUNIT_EXPECT_FALSE(test, node_isset(f->nid, mask));
	KUNIT_EXPECT_TRUE(test, node_isset(f->ordinary, mask));
}

/* Not every policy is rebound when a node goes, and it can come back private. */
static void once_ordinary_means_nothing(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	struct mempolicy pol = policy_for(f, MPOL_BIND);
	int nid;

	pol.flags = MPOL_F_STATIC_NODES;
	pol.nodes = nodemask_of_node(f->nid);
	nid = nid_by(&pol, GFP_HIGHUSER_MOVABLE | __GFP_NORETRY);
	KUNIT_ASSERT_NE(test, nid, NUMA_NO_NODE);
	KUNIT_EXPECT_TRUE(test, node_state(nid, N_MEMORY));
}

static void cpusets_off(void *unused)
{
	cpus_read_lock();
	cpuset_dec();
	cpus_read_unlock();
}

/* A cpuset that leaves it out wins, whatever the task could do before. */
static void cpusets_win(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	nodemask_t allowed = current->mems_allowed, named = nodemask_of_node(f->nid);
	u32 stamp = private_policy_stamp();

	cpus_read_lock();
	cpuset_inc();
	cpus_read_unlock();
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, cpusets_off, NULL), 0);

	node_set(f->nid, current->mems_allowed);
	KUNIT_EXPECT_TRUE(test, usable(f, stamp));
	KUNIT_EXPECT_EQ(test, private_policy_permit(&named), 0);
	node_clear(f->nid, current->mems_allowed);
	KUNIT_EXPECT_FALSE(test, usable(f, stamp));
	KUNIT_EXPECT_EQ(test, private_policy_permit(&named), -EPERM);
	current->mems_allowed = allowed;
}
#endif

#ifdef CONFIG_CPUSETS
static int sleep_until_stopped(void *unused)
{
	while (!kthread_should_stop()) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return 0;
}

/* A child that was copied before a node came has it as its parent has, in the root, too. */
static void children_have_the_nodes_of_now(struct kunit *test)
{
	struct task_struct *child = kthread_create(sleep_until_stopped, NULL, "kunit");
	bool have, want;

	KUNIT_ASSERT_FALSE(test, IS_ERR(child));
	nodes_clear(child->mems_allowed);
	cpuset_cgrp_subsys.fork(child);
	want = node_isset(first_memory_node, current->mems_allowed);
	have = node_isset(first_memory_node, child->mems_allowed);
	child->mems_allowed = current->mems_allowed;
	kthread_stop(child);
	KUNIT_EXPECT_TRUE(test, want);
	KUNIT_EXPECT_TRUE(test, have);
}
#endif

#if defined(CONFIG_CPUSETS) && defined(CONFIG_SMP)
struct asker {
	struct completion done;
	nodemask_t nodes;
};

static int ask_for_grants(void *arg)
{
	struct asker *asker = arg;

	cpuset_private_granted(current, &asker->nodes);
	complete(&asker->done);
	return 0;
}

/* Everybody may read /proc/PID/status: who writes cpusets is not held up by it. */
static void grants_are_read_without_a_lock(struct kunit *test)
{
	struct asker *asker = kunit_kzalloc(test, sizeof(*asker), GFP_KERNEL);
	struct task_struct *task;
	int other, i;
	bool done;

	KUNIT_ASSERT_NOT_NULL(test, asker);
	node_with(test, PRIVATE_NODE_USER);
	init_completion(&asker->done);
	nodes_setall(asker->nodes);
	task = kthread_create(ask_for_grants, asker, "kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));

	migrate_disable();
	other = cpumask_any_but(cpu_online_mask, smp_processor_id());
	if (other < nr_cpu_ids)
		kthread_bind(task, other);
	cpuset_callback_lock_irq();
	wake_up_process(task);
	for (i = 0; i < 3000 && other < nr_cpu_ids && !completion_done(&asker->done); i++)
		mdelay(1);
	done = completion_done(&asker->done);
	cpuset_callback_unlock_irq();
	migrate_enable();
	wait_for_completion(&asker->done);

	if (other >= nr_cpu_ids)
		kunit_skip(test, "needs a second CPU");
	KUNIT_EXPECT_TRUE(test, done);
	/* Nothing is to the root. */
	KUNIT_EXPECT_TRUE(test, nodes_empty(asker->nodes));
}
#endif

static bool ordinary_by(struct mempolicy *pol, gfp_t gfp)
{
	int nid = nid_by(pol, gfp);

	return nid != NUMA_NO_NODE && node_state(nid, N_MEMORY);
}

static const int modes[] = {
	MPOL_BIND, MPOL_PREFERRED_MANY, MPOL_INTERLEAVE, MPOL_WEIGHTED_INTERLEAVE,
};

/* What the kernel keeps, and what is pinned for long, is ordinary memory. */
static void kernel_requests_are_ordinary(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	struct mempolicy pol;
	unsigned int flags;
	int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		pol = policy_for(f, modes[i]);
		KUNIT_EXPECT_EQ(test, nid_by(&pol, GFP_USERS), f->nid);
		KUNIT_EXPECT_EQ(test, nid_by(&pol, GFP_USERS | __GFP_ZERO), f->nid);
		KUNIT_EXPECT_TRUE(test, ordinary_by(&pol, GFP_KERNEL));
		KUNIT_EXPECT_TRUE(test, ordinary_by(&pol, GFP_HIGHUSER));
		flags = memalloc_pin_save();
		KUNIT_EXPECT_TRUE(test, ordinary_by(&pol, GFP_USERS));
		memalloc_pin_restore(flags);

		pol.private_stamp--;
		KUNIT_EXPECT_TRUE(test, ordinary_by(&pol, GFP_USERS));
		pol.private_stamp++;
		pol.flags = MPOL_F_STATIC_NODES;
		KUNIT_EXPECT_TRUE(test, ordinary_by(&pol, GFP_USERS));
	}
}

struct taken {
	struct list_head pages;
};

static void free_taken(void *arg)
{
	struct taken *taken = arg;
	struct page *one, *next;

	list_for_each_entry_safe(one, next, &taken->pages, lru) {
		list_del(&one->lru);
		__free_pages(one, compound_order(one));
	}
}

static void give_one(struct taken *taken)
{
	struct page *one = list_first_entry(&taken->pages, struct page, lru);

	list_del(&one->lru);
	__free_pages(one, compound_order(one));
}

/* An owner in the kernel takes this, for as long as the test lasts. */
static struct taken *take(struct kunit *test, int nid, int max_order, unsigned int max_nr)
{
	struct taken *taken = kunit_kzalloc(test, sizeof(*taken), GFP_KERNEL);
	const gfp_t gfp = (GFP_USERS | __GFP_COMP | __GFP_PRIVATE) & ~__GFP_HARDWALL;
	struct page *one;
	int order;

	KUNIT_ASSERT_NOT_NULL(test, taken);
	INIT_LIST_HEAD(&taken->pages);
	for (order = max_order; order >= 0; order--) {
		while (max_nr && (one = alloc_pages_node(nid, gfp | __GFP_THISNODE, order))) {
			list_add(&one->lru, &taken->pages);
			max_nr--;
			cond_resched();
		}
	}
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_taken, taken), 0);
	return taken;
}

/* All that there is */
static struct taken *take_all(struct kunit *test, int nid)
{
	return take(test, nid, MAX_PAGE_ORDER, UINT_MAX);
}

/* Bound to it alone there is nothing; all else spills. */
static void full_nodes(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	nodemask_t own = nodemask_of_node(f->nid);
	struct mempolicy pol;
	struct taken *taken;
	int i;

	KUNIT_EXPECT_FALSE(test, private_nodes_full(&own));
	taken = take_all(test, f->nid);
	KUNIT_EXPECT_TRUE(test, private_nodes_full(&own));
	KUNIT_EXPECT_FALSE(test, private_nodes_leaving(&own));

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		pol = policy_for(f, modes[i]);
		KUNIT_EXPECT_EQ(test, private_policy_strict(&pol), modes[i] == MPOL_BIND);
		if (modes[i] == MPOL_BIND) {
			KUNIT_EXPECT_EQ(test, nid_by(&pol, GFP_USERS), NUMA_NO_NODE);
			/* Which is not for who cannot do without */
			KUNIT_EXPECT_NE(test, nid_by(&pol, GFP_USERS | __GFP_NOFAIL),
					NUMA_NO_NODE);
			node_set(f->ordinary, pol.w.user_nodemask);
			KUNIT_EXPECT_FALSE(test, private_policy_strict(&pol));
		}
		KUNIT_EXPECT_TRUE(test, ordinary_by(&pol, GFP_USERS));
	}

	/* One that gives nothing because it is about to go is not full. */
	pol = policy_for(f, MPOL_BIND);
	private_node_close(f->nid, true);
	i = nid_by(&pol, GFP_USERS);
	private_node_close(f->nid, false);
	KUNIT_EXPECT_TRUE(test, i != NUMA_NO_NODE && i != f->nid);
	KUNIT_EXPECT_EQ(test, nid_by(&pol, GFP_USERS), NUMA_NO_NODE);

	kunit_release_action(test, free_taken, taken);
	KUNIT_EXPECT_FALSE(test, private_nodes_full(&own));
	KUNIT_EXPECT_EQ(test, nid_by(&pol, GFP_USERS), f->nid);
}

/* A page that a CPU keeps is one: who failed may have done so for another reason. */
static void listed_pages_are_free(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	struct zone *zone = &NODE_DATA(f->nid)->node_zones[ZONE_MOVABLE];
	nodemask_t own = nodemask_of_node(f->nid);
	struct mempolicy pol = policy_for(f, MPOL_BIND);
	struct taken *small;

	if (private_zone_keeps_no_lists(zone))
		kunit_skip(test, "needs a node that was never ordinary");
	small = take(test, f->nid, 0, 256);
	take_all(test, f->nid);
	KUNIT_ASSERT_TRUE(test, private_nodes_full(&own));
	do {
		KUNIT_ASSERT_FALSE(test, list_empty(&small->pages));
		give_one(small);
	} while (private_nodes_full(&own));
	KUNIT_EXPECT_FALSE(test, zone_watermark_ok(zone, 0, min_wmark_pages(zone), ZONE_MOVABLE,
						   ALLOC_WMARK_MIN));
	KUNIT_EXPECT_EQ(test, nid_by(&pol, GFP_USERS), f->nid);
}

/* Isolated memory is neither used nor free. */
static void isolated_memory_is_leaving(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	const unsigned long pfn = PHYS_PFN(f->block.start), end = PHYS_PFN(f->block.end + 1);
	nodemask_t own = nodemask_of_node(f->nid);
	struct mempolicy pol = policy_for(f, MPOL_BIND);
	int nid;

	KUNIT_ASSERT_EQ(test, start_isolate_page_range(pfn, end, PB_ISOLATE_MODE_OTHER), 0);
	drain_all_pages(NULL);
	nid = nid_by(&pol, GFP_USERS);
	KUNIT_EXPECT_TRUE(test, private_nodes_leaving(&own));
	undo_isolate_page_range(pfn, end);
	KUNIT_EXPECT_TRUE(test, nid != NUMA_NO_NODE && nid != f->nid);
	KUNIT_EXPECT_FALSE(test, private_nodes_leaving(&own));
	KUNIT_EXPECT_EQ(test, nid_by(&pol, GFP_USERS), f->nid);
}

struct leave {
	struct notifier_block ahead, behind;
	nodemask_t own;
	bool veto;
	/* What is said of the node ahead of who takes note that a block leaves or stays */
	bool at_offline, at_cancel;
};

static int ahead_of_leaving(struct notifier_block *nb, unsigned long action, void *arg)
{
	struct leave *l = container_of(nb, struct leave, ahead);

	if (action == MEM_OFFLINE)
		l->at_offline = private_nodes_leaving(&l->own);
	else if (action == MEM_CANCEL_OFFLINE)
		l->at_cancel = private_nodes_leaving(&l->own);
	return NOTIFY_OK;
}

static int behind_leaving(struct notifier_block *nb, unsigned long action, void *arg)
{
	struct leave *l = container_of(nb, struct leave, behind);

	return action == MEM_GOING_OFFLINE && l->veto ? notifier_from_errno(-EPROTO) : NOTIFY_OK;
}

static void stop_listening(void *nb)
{
	unregister_memory_notifier(nb);
}

static void listen(struct kunit *test, struct notifier_block *nb, notifier_fn_t call, int priority)
{
	nb->notifier_call = call;
	nb->priority = priority;
	KUNIT_ASSERT_EQ(test, register_memory_notifier(nb), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, stop_listening, nb), 0);
}

static int block_offline(struct memory_block *mem, void *unused)
{
	return device_offline(&mem->dev);
}

/* Not by its owner, of whom it is known that he unplugs the node */
static int take_offline(const struct fixture *f)
{
	int ret;

	lock_device_hotplug();
	ret = walk_memory_blocks(f->block.start, range_len(&f->block), NULL, block_offline);
	unlock_device_hotplug();
	return ret;
}

/* Between its isolation, which ends first, and the news that a block has gone or stays */
static void blocks_leave_until_they_have_gone(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	struct leave *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, l);
	l->own = nodemask_of_node(f->nid);
	listen(test, &l->ahead, ahead_of_leaving, INT_MAX);
	listen(test, &l->behind, behind_leaving, INT_MIN);

	l->veto = true;
	KUNIT_EXPECT_EQ(test, take_offline(f), -EPROTO);
	KUNIT_EXPECT_TRUE(test, l->at_cancel);
	KUNIT_EXPECT_FALSE(test, private_nodes_leaving(&l->own));

	l->veto = false;
	KUNIT_EXPECT_EQ(test, take_offline(f), 0);
	KUNIT_EXPECT_TRUE(test, l->at_offline);
	KUNIT_EXPECT_FALSE(test, private_nodes_leaving(&l->own));
}

/* Whose problem a full node is, see mm/private_fault.c */
static void full_is_sigbus_for_who_asked(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	struct vm_area_struct *vma = kunit_kzalloc(test, sizeof(*vma), GFP_KERNEL);
	struct mempolicy pol = policy_for(f, MPOL_BIND);
	struct vm_fault vmf = { .vma = vma, .flags = FAULT_FLAG_USER };

	KUNIT_ASSERT_NOT_NULL(test, vma);
	vma->vm_policy = &pol;
	KUNIT_EXPECT_TRUE(test, private_fault_oom(&vmf) == VM_FAULT_NOPAGE);
	take_all(test, f->nid);
	KUNIT_EXPECT_TRUE(test, private_fault_oom(&vmf) == VM_FAULT_SIGBUS);

	/* It can do without memory. */
	if (VM_DROPPABLE != VM_NONE) {
		vm_flags_init(vma, VM_DROPPABLE);
		KUNIT_EXPECT_TRUE(test, private_fault_oom(&vmf) == VM_FAULT_OOM);
		vm_flags_init(vma, VM_NONE);
	}
#ifdef CONFIG_MEMCG_V1
	/* It waits for its memory cgroup. */
	current->memcg_in_oom = root_mem_cgroup;
	KUNIT_EXPECT_TRUE(test, private_fault_oom(&vmf) == VM_FAULT_OOM);
	current->memcg_in_oom = NULL;
#endif
	KUNIT_EXPECT_TRUE(test, private_fault_oom(&vmf) == VM_FAULT_SIGBUS);
	vmf.flags = 0;
	KUNIT_EXPECT_TRUE(test, private_fault_oom(&vmf) == VM_FAULT_OOM);
}

/* A node that is replaced while a request for its memory is under way */
struct replacing {
	const struct task_struct *task;
	struct mempolicy pol;
	int nid;
	u32 stamp;
	/* So many pages come of a node that is younger than the name then. */
	int replaced;
	/* And the name is made again as soon as the page was given back. */
	bool renamed;
	int came, went;
};

static bool page_of_node(const struct replacing *r, const struct page *page)
{
	return current == r->task && page && page_to_nid(page) == r->nid;
}

static void page_came(void *data, struct page *page, unsigned int order, gfp_t gfp,
		      int migratetype)
{
	struct replacing *r = data;

	if (page_of_node(r, page) && ++r->came <= r->replaced)
		r->pol.private_stamp = r->stamp - 1;
}

static void page_went(void *data, struct page *page, unsigned int order)
{
	struct replacing *r = data;

	if (!page_of_node(r, page))
		return;
	r->went++;
	if (r->renamed)
		r->pol.private_stamp = r->stamp;
}

static void stop_page_came(void *data)
{
	unregister_trace_mm_page_alloc(page_came, data);
	tracepoint_synchronize_unregister();
}

static void stop_page_went(void *data)
{
	unregister_trace_mm_page_free(page_went, data);
	tracepoint_synchronize_unregister();
}

/* Is a page of the node what such a request is answered with? */
static bool answered_by_node(struct kunit *test, struct replacing *r, int mode, int replaced,
			     bool renamed)
{
	const struct fixture f = { .nid = r->nid };
	struct folio *folio;
	int came, went, nid;

	r->pol = policy_for(&f, mode);
	r->stamp = r->pol.private_stamp;
	r->replaced = replaced;
	r->renamed = renamed;
	r->came = 0;
	r->went = 0;
	folio = folio_alloc_mpol(GFP_USERS, 0, &r->pol, 0, numa_node_id());
	came = r->came;
	went = r->went;
	KUNIT_ASSERT_NOT_NULL(test, folio);
	nid = folio_nid(folio);
	folio_put(folio);

	/* What it is not answered with is given back, and it is asked twice at most. */
	KUNIT_EXPECT_EQ_MSG(test, went, replaced, "mode %d", mode);
	KUNIT_EXPECT_EQ_MSG(test, came, replaced + (nid == r->nid), "mode %d", mode);
	KUNIT_EXPECT_TRUE(test, nid == r->nid || node_state(nid, N_MEMORY));
	return nid == r->nid;
}

/* A page of the node that was there is no page of the one that was named. */
static void replaced_during_a_request(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	struct replacing *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	int i;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");
	KUNIT_ASSERT_NOT_NULL(test, r);
	r->task = current;
	r->nid = f->nid;
	KUNIT_ASSERT_EQ(test, register_trace_mm_page_alloc(page_came, r), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, stop_page_came, r), 0);
	KUNIT_ASSERT_EQ(test, register_trace_mm_page_free(page_went, r), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, stop_page_went, r), 0);

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		KUNIT_EXPECT_TRUE(test, answered_by_node(test, r, modes[i], 0, false));
		KUNIT_EXPECT_FALSE(test, answered_by_node(test, r, modes[i], 1, false));
		/* One that is there by then may be one that was named. */
		KUNIT_EXPECT_TRUE(test, answered_by_node(test, r, modes[i], 1, true));
		KUNIT_EXPECT_FALSE(test, answered_by_node(test, r, modes[i], 2, true));
	}
}

/* For others it is the default policy. */
static void others_have_their_own(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	struct mempolicy pol = policy_for(f, MPOL_BIND), plain = pol;

	plain.flags = MPOL_F_STATIC_NODES;
	KUNIT_EXPECT_PTR_EQ(test, mpol_of_others(&plain), &plain);
	KUNIT_EXPECT_PTR_NE(test, mpol_of_others(&pol), &pol);
	KUNIT_EXPECT_FALSE(test, mpol_is_private(mpol_of_others(&pol)));
	KUNIT_EXPECT_EQ(test, mpol_of_others(&pol)->mode, MPOL_LOCAL);
	KUNIT_EXPECT_NE(test, nid_by(mpol_of_others(&pol), GFP_USERS), f->nid);
}

/* One of tmpfs, or one of the page cache */
static struct folio *folio_of(struct kunit *test, bool tmpfs)
{
	struct folio *folio = folio_alloc(GFP_USERS, 0);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	if (tmpfs)
		__folio_set_swapbacked(folio);
	return folio;
}

/* The node that such a folio is migrated to, NUMA_NO_NODE if to none */
static int nid_of_target(struct kunit *test, int nid, bool tmpfs, u32 stamp)
{
	struct migration_target_control mtc = {
		.nid = nid,
		.gfp_mask = GFP_USERS | __GFP_THISNODE,
		.reason = MR_SYSCALL,
		.private_stamp = stamp,
	};
	struct folio *src = folio_of(test, tmpfs), *dst;

	dst = alloc_migration_target(src, (unsigned long)&mtc);
	folio_put(src);
	if (!dst)
		return NUMA_NO_NODE;
	nid = folio_nid(dst);
	folio_put(dst);
	return nid;
}

/* What a system call may do that migrates to this node now */
static u32 stamp_for(int nid)
{
	struct migration_target_control mtc = { .nid = nid };

	private_target_allow(&mtc);
	return mtc.private_stamp;
}

/* Only the memory that was meant, and only for a task's own. */
static void targets_of_migration(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	u32 stamp = stamp_for(f->nid);

	KUNIT_EXPECT_EQ(test, stamp, private_policy_stamp());
	KUNIT_EXPECT_EQ(test, stamp_for(f->ordinary), 0);
	KUNIT_EXPECT_EQ(test, nid_of_target(test, f->nid, true, stamp), f->nid);
	KUNIT_EXPECT_EQ(test, nid_of_target(test, f->nid, false, stamp), NUMA_NO_NODE);
	/* For others it is none, and nor is it when it is younger. */
	KUNIT_EXPECT_EQ(test, nid_of_target(test, f->nid, true, 0), NUMA_NO_NODE);
	KUNIT_EXPECT_EQ(test, nid_of_target(test, f->nid, true, stamp - 1), NUMA_NO_NODE);
	/* An ordinary one takes either. */
	KUNIT_EXPECT_EQ(test, nid_of_target(test, f->ordinary, true, stamp), f->ordinary);
	KUNIT_EXPECT_EQ(test, nid_of_target(test, f->ordinary, false, stamp), f->ordinary);

	unplug(f);
	KUNIT_EXPECT_EQ(test, stamp_for(f->nid), 0);
	KUNIT_EXPECT_EQ(test, nid_of_target(test, f->nid, true, stamp), NUMA_NO_NODE);
	plug(test, f);
	KUNIT_EXPECT_EQ(test, nid_of_target(test, f->nid, true, stamp), NUMA_NO_NODE);
	KUNIT_EXPECT_EQ(test, nid_of_target(test, f->nid, true, stamp_for(f->nid)), f->nid);
}

static bool set_has(nodemask_t set, const nodemask_t *offered, int nid)
{
	return private_target_nodes(&set, offered) && node_isset(nid, set);
}

/* Who may have pages moved there, and what he is told if not */
static void migration_takes_permission(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	nodemask_t both = nodemask_of_node(f->nid), own = both;
	const nodemask_t ordinary = nodemask_of_node(f->ordinary);
	int permitted = NUMA_NO_NODE, err, again;
	const struct cred *old;
	struct cred *cred;
	bool alone;
	u32 stamp;

	node_set(f->ordinary, both);
	KUNIT_EXPECT_EQ(test, private_target_check(f->nid, &ordinary, &permitted), -EACCES);
	KUNIT_EXPECT_EQ(test, permitted, NUMA_NO_NODE);
	KUNIT_EXPECT_EQ(test, private_target_check(f->nid, &both, &permitted), 0);
	KUNIT_EXPECT_EQ(test, permitted, f->nid);
	KUNIT_EXPECT_EQ(test, private_target_check(f->ordinary, &both, &permitted), -ENODEV);
	KUNIT_EXPECT_TRUE(test, set_has(own, &both, f->nid));
	KUNIT_EXPECT_FALSE(test, set_has(both, &both, f->nid));
	KUNIT_EXPECT_FALSE(test, set_has(own, &ordinary, f->nid));

	cred = prepare_creds();
	KUNIT_ASSERT_NOT_NULL(test, cred);
	cap_lower(cred->cap_effective, CAP_SYS_NICE);
	old = override_creds(cred);
	again = private_target_check(f->nid, &both, &permitted);
	permitted = NUMA_NO_NODE;
	err = private_target_check(f->nid, &both, &permitted);
	alone = set_has(own, &both, f->nid);
	stamp = stamp_for(f->nid);
	revert_creds(old);
	put_cred(cred);
	/* Permission that was given is not asked for each page. */
	KUNIT_EXPECT_EQ(test, again, 0);
	KUNIT_EXPECT_EQ(test, err, -EPERM);
	KUNIT_EXPECT_FALSE(test, alone);
	/* But the key is another matter. */
	KUNIT_EXPECT_EQ(test, stamp, 0);

	plug_again_with(test, f, PRIVATE_NODE_RECLAIM);
	permitted = NUMA_NO_NODE;
	KUNIT_EXPECT_EQ(test, private_target_check(f->nid, &both, &permitted), -ENODEV);
	KUNIT_EXPECT_FALSE(test, set_has(own, &both, f->nid));
	KUNIT_EXPECT_EQ(test, stamp_for(f->nid), 0);
}

/* The node of a page that is allocated to be pinned */
static int nid_of_pin(struct mempolicy *pol)
{
	unsigned int flags = memalloc_pin_save();
	int nid = nid_by(pol, GFP_USERS);

	if (!(current->flags & PF_MEMALLOC_PIN))
		KUNIT_FAIL(kunit_get_current_test(), "it forgets what it is for");
	memalloc_pin_restore(flags);
	return nid;
}

static bool pinnable(struct kunit *test, int nid)
{
	const gfp_t gfp = GFP_USERS | __GFP_THISNODE;
	struct folio *folio;
	bool ret;

	folio = __folio_alloc(node_is_private(nid) ? gfp | __GFP_PRIVATE : gfp & ~__GFP_MOVABLE,
			      0, nid, NULL);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	ret = private_folio_pinnable(folio);
	folio_put(folio);
	return ret;
}

static void pins_take_the_feature(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	struct mempolicy pol;
	int i;

	KUNIT_EXPECT_FALSE(test, pinnable(test, f->nid));
	KUNIT_EXPECT_TRUE(test, pinnable(test, f->ordinary));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		pol = policy_for(f, modes[i]);
		KUNIT_EXPECT_TRUE(test, node_state(nid_of_pin(&pol), N_MEMORY));
	}

	plug_again_with(test, f, PRIVATE_NODE_USER | PRIVATE_NODE_LTPIN);
	KUNIT_EXPECT_TRUE(test, pinnable(test, f->nid));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		pol = policy_for(f, modes[i]);
		KUNIT_EXPECT_EQ(test, nid_of_pin(&pol), f->nid);
		/* It is not the feature that lets users in. */
		pol.private_stamp--;
		KUNIT_EXPECT_TRUE(test, node_state(nid_of_pin(&pol), N_MEMORY));
	}
}

/* Not even with the feature: what is about to be taken offline cannot stay. */
static void isolated_memory_is_not_pinned(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER | PRIVATE_NODE_LTPIN);
	const unsigned long pfn = PHYS_PFN(f->block.start), end = PHYS_PFN(f->block.end + 1);
	bool before, during = true, after;
	struct folio *folio;
	int err;

	folio = __folio_alloc(GFP_USERS | __GFP_THISNODE | __GFP_PRIVATE, 0, f->nid, NULL);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	before = private_folio_pinnable(folio);
	err = start_isolate_page_range(pfn, end, PB_ISOLATE_MODE_OTHER);
	if (!err) {
		during = private_folio_pinnable(folio);
		undo_isolate_page_range(pfn, end);
	}
	after = private_folio_pinnable(folio);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_TRUE(test, before);
	KUNIT_EXPECT_FALSE(test, during);
	KUNIT_EXPECT_TRUE(test, after);
}

#if defined(CONFIG_MEMFD_CREATE) && defined(CONFIG_SHMEM)
/*
 * The node of a page of a file that is pinned by who has a policy, or an error.
 * With @touched it is there before, by that policy.
 */
static int nid_of_file_pin(struct kunit *test, struct mempolicy *touched,
			   struct mempolicy *pol)
{
	struct mempolicy *old = current->mempolicy;
	struct folio *folio = NULL;
	struct file *file;
	pgoff_t offset;
	long ret;

	file = shmem_file_setup("kunit", PAGE_SIZE, EMPTY_VMA_FLAGS);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	if (touched) {
		current->mempolicy = touched;
		folio = shmem_read_folio(file->f_mapping, 0);
		if (!IS_ERR(folio))
			folio_put(folio);
	}
	current->mempolicy = pol;
	ret = memfd_pin_folios(file, 0, PAGE_SIZE - 1, &folio, 1, &offset);
	current->mempolicy = old;
	if (ret == 1) {
		ret = folio_nid(folio);
		unpin_folio(folio);
	}
	fput(file);
	return ret;
}

/* That of a memory file has no mapping, and is asked for by who pins it. */
static void pins_of_files(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	struct mempolicy pol = policy_for(f, MPOL_BIND);
	int nid;

	KUNIT_EXPECT_EQ(test, nid_of_file_pin(test, NULL, &pol), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, nid_of_file_pin(test, &pol, &pol), -EOPNOTSUPP);
	/* Who did not ask for the node gets what he wants, elsewhere. */
	nid = nid_of_file_pin(test, &pol, NULL);
	KUNIT_EXPECT_TRUE(test, nid >= 0 && node_state(nid, N_MEMORY));
	/* A policy that means no node any more refuses nothing. */
	pol.private_stamp--;
	nid = nid_of_file_pin(test, NULL, &pol);
	KUNIT_EXPECT_TRUE(test, nid >= 0 && node_state(nid, N_MEMORY));

	plug_again_with(test, f, PRIVATE_NODE_USER | PRIVATE_NODE_LTPIN);
	pol = policy_for(f, MPOL_BIND);
	KUNIT_EXPECT_EQ(test, nid_of_file_pin(test, NULL, &pol), f->nid);
	KUNIT_EXPECT_EQ(test, nid_of_file_pin(test, &pol, &pol), f->nid);
	KUNIT_EXPECT_EQ(test, nid_of_file_pin(test, &pol, NULL), f->nid);
}
#endif

/* Reclaim on request is up to the owner. */
static void nodes_keep_their_pages(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);

	KUNIT_EXPECT_TRUE(test, private_node_keeps(f->nid));
	KUNIT_EXPECT_FALSE(test, private_node_keeps(f->ordinary));
	plug_again_with(test, f, PRIVATE_NODE_USER | PRIVATE_NODE_RECLAIM);
	KUNIT_EXPECT_FALSE(test, private_node_keeps(f->nid));
}

#if defined(CONFIG_LRU_GEN_WALKS_MMU) && defined(CONFIG_MEMCG)
/* The next walk over page tables begins with what has come since the last one. */
static void new_mms_are_noted(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER | PRIVATE_NODE_RECLAIM);
	const int nids[] = { f->nid, f->ordinary };
	struct lru_gen_mm_list *list;
	struct list_head *tail, *want;
	struct mem_cgroup *memcg;
	struct mm_struct *mm;
	int i;

	mm = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, mm);
	memcg = get_mem_cgroup_from_mm(mm);
	list = memcg ? &memcg->mm_list : NULL;
	for (i = 0; list && i < ARRAY_SIZE(nids); i++) {
		struct lru_gen_mm_state *state = &mem_cgroup_lruvec(memcg,
							NODE_DATA(nids[i]))->mm_state;

		/* As if the list had been walked to its end */
		spin_lock(&list->lock);
		state->tail = &list->fifo;
		spin_unlock(&list->lock);
		lru_gen_add_mm(mm);
		spin_lock(&list->lock);
		tail = state->tail;
		want = &mm->lru_gen.list;
		spin_unlock(&list->lock);
		lru_gen_del_mm(mm);
		KUNIT_EXPECT_PTR_EQ_MSG(test, tail, want, "node %d", nids[i]);
	}
	mem_cgroup_put(memcg);
	mmput(mm);
	if (!list)
		kunit_skip(test, "needs memory cgroups");
}
#endif

static void equal_policies_have_one_age(struct kunit *test)
{
	struct fixture f = { .nid = first_memory_node };
	struct mempolicy a = policy_for(&f, MPOL_BIND), b = a;

	KUNIT_EXPECT_TRUE(test, mpol_equal(&a, &b));
	b.private_stamp++;
	KUNIT_EXPECT_FALSE(test, mpol_equal(&a, &b));
	/* Of others it is of no meaning. */
	a.flags = MPOL_F_STATIC_NODES;
	b.flags = MPOL_F_STATIC_NODES;
	KUNIT_EXPECT_TRUE(test, mpol_equal(&a, &b));
}

/* Where a task that is bound to private nodes has its memory is not in "nodes". */
static void the_oom_killer_looks_elsewhere(struct kunit *test)
{
	struct task_struct *task = kunit_kzalloc(test, sizeof(*task), GFP_KERNEL);
	struct fixture f = { .nid = first_memory_node };
	struct mempolicy pol = policy_for(&f, MPOL_BIND);
	const nodemask_t none = NODE_MASK_NONE;

	KUNIT_ASSERT_NOT_NULL(test, task);
	spin_lock_init(&task->alloc_lock);
	task->mempolicy = &pol;
	KUNIT_EXPECT_TRUE(test, mempolicy_in_oom_domain(task, &none));
	pol.flags = MPOL_F_STATIC_NODES;
	KUNIT_EXPECT_FALSE(test, mempolicy_in_oom_domain(task, &none));
}

#ifdef CONFIG_TMPFS
/* What is mounted, and not yet a file's, has the nodes that all else has. */
static void mounts_have_ordinary_nodes(struct kunit *test)
{
	struct fixture *f = node_with(test, PRIVATE_NODE_USER);
	nodemask_t named = nodemask_of_node(f->nid);
	struct mempolicy *pol;
	char text[48];

	snprintf(text, sizeof(text), "bind=private:%d", f->nid);
	KUNIT_ASSERT_EQ(test, mpol_parse_str(text, &pol), 0);
	KUNIT_EXPECT_TRUE(test, nodes_equal(pol->nodes, node_states[N_MEMORY]));
	KUNIT_EXPECT_TRUE(test, nodes_equal(pol->w.user_nodemask, named));
	mpol_put(pol);

	node_set(f->ordinary, named);
	snprintf(text, sizeof(text), "bind=private:%d,%d", f->ordinary, f->nid);
	KUNIT_ASSERT_EQ(test, mpol_parse_str(text, &pol), 0);
	KUNIT_EXPECT_EQ(test, nodes_weight(pol->nodes), 1);
	KUNIT_EXPECT_TRUE(test, node_isset(f->ordinary, pol->nodes));
	KUNIT_EXPECT_TRUE(test, nodes_equal(pol->w.user_nodemask, named));
	mpol_put(pol);
}
#endif

static struct kunit_case private_policy_cases[] = {
	KUNIT_CASE(names_mean_older_nodes),
	KUNIT_CASE(owners_let_users_in),
	KUNIT_CASE(naming_takes_privilege),
	KUNIT_CASE(names_have_what_may_be_named),
#ifdef CONFIG_CPUSETS
	KUNIT_CASE(what_is_inherited_is_no_target),
	KUNIT_CASE(once_ordinary_means_nothing),
	KUNIT_CASE(cpusets_win),
	KUNIT_CASE(children_have_the_nodes_of_now),
#endif
#if defined(CONFIG_CPUSETS) && defined(CONFIG_SMP)
	KUNIT_CASE_SLOW(grants_are_read_without_a_lock),
#endif
	KUNIT_CASE(kernel_requests_are_ordinary),
	KUNIT_CASE(full_nodes),
	KUNIT_CASE(listed_pages_are_free),
	KUNIT_CASE(isolated_memory_is_leaving),
	KUNIT_CASE(blocks_leave_until_they_have_gone),
	KUNIT_CASE(full_is_sigbus_for_who_asked),
	KUNIT_CASE(replaced_during_a_request),
	KUNIT_CASE(others_have_their_own),
	KUNIT_CASE(targets_of_migration),
	KUNIT_CASE(migration_takes_permission),
	KUNIT_CASE(pins_take_the_feature),
	KUNIT_CASE(isolated_memory_is_not_pinned),
#if defined(CONFIG_MEMFD_CREATE) && defined(CONFIG_SHMEM)
	KUNIT_CASE(pins_of_files),
#endif
	KUNIT_CASE(nodes_keep_their_pages),
#if defined(CONFIG_LRU_GEN_WALKS_MMU) && defined(CONFIG_MEMCG)
	KUNIT_CASE(new_mms_are_noted),
#endif
	KUNIT_CASE(equal_policies_have_one_age),
	KUNIT_CASE(the_oom_killer_looks_elsewhere),
#ifdef CONFIG_TMPFS
	KUNIT_CASE(mounts_have_ordinary_nodes),
#endif
	{}
};

static struct kunit_suite private_policy_suite = {
	.name = "private_policy",
	.test_cases = private_policy_cases,
};
kunit_test_suite(private_policy_suite);

MODULE_DESCRIPTION("KUnit tests for memory policies that name private nodes");
MODULE_LICENSE("GPL");
