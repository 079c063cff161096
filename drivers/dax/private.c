// SPDX-License-Identifier: GPL-2.0
/*
 * Give the memory of a dax device to a private NUMA node.
 *
 * The memory goes to the buddy allocator, as with the kmem driver, but only
 * requests with __GFP_PRIVATE can get it. Devices whose target node was
 * reserved at boot are bound and plugged without being asked, others are bound
 * by user space (new_id) and plugged when it writes "online" to the state
 * attribute. See Documentation/admin-guide/mm/private-nodes.rst and
 * Documentation/ABI/testing/sysfs-bus-dax.
 *
 * Lock order: the lock of the device (probe and remove), struct
 * dax_private::lock, dax_private_unstick_lock, then dax_private_stuck_lock or
 * device_hotplug_lock (taken by the registry of private nodes).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/cleanup.h>
#include <linux/compiler.h>
#include <linux/dax.h>
#include <linux/device.h>
#include <linux/ioport.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/memory.h>
#include <linux/memory-tiers.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/private_node.h>
#include <linux/private_node_admin.h>
#include <linux/range.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/string_helpers.h>
#include <linux/sysfs.h>

#include "bus.h"
#include "dax-private.h"

/*
 * Abstract distance if firmware does not tell one: well above DRAM's, since
 * the memory is behind a device.
 */
#define DAX_PRIVATE_ADISTANCE	(MEMTIER_ADISTANCE_DRAM * 5)

/* Features or an abstract distance that nobody has written */
#define DAX_PRIVATE_UNSET	(-1)
static_assert(PRIVATE_NODE_FEATURES <= INT_MAX);

/* The word that makes a setting one that nobody has written. */
#define DAX_PRIVATE_DEFAULT	"default"

/**
 * struct dax_private - a dax device bound to this driver
 * @lock: makes changing the settings, plugging and unplugging exclude each
 *	other, so that settings do not change under plugged memory. Unplugging
 *	can take for ever, so nobody waits for it without being interruptible
 * @stuck: entry in dax_private_stuck, of memory that outlived its driver
 * @stuck_dev: the device that the memory in dax_private_stuck was of, pinned
 * @doubtful: the memory came back with another device than it went with:
 *	nobody gets more of it until the administrator says so
 * @pn: the node while memory is plugged, NULL otherwise; pins the module
 * @nid: the node id of @pn, or NUMA_NO_NODE
 * @target_node: the node to claim, or NUMA_NO_NODE for a reserved one
 * @target_node_set: somebody has written @target_node, and means that one
 * @features: PRIVATE_NODE_* bits to claim it with, or DAX_PRIVATE_UNSET: a
 *	reserved node keeps the features that it was reserved with
 * @adistance: abstract distance to claim it with, or DAX_PRIVATE_UNSET: that
 *	of @target_node
 * @name: the device's name, for resources and as owner of the node
 * @ranges: the device's memory, whole memory blocks only
 * @nr_ranges: entries of @ranges and @res
 * @res: the requested resource of each range while memory is plugged
 *
 * Without @lock: probe and remove, when the attributes are not there; @name,
 * @ranges and @nr_ranges, which are constant; and what attributes show, each of
 * which is one int, written and read at once.
 */
struct dax_private {
	struct mutex lock;
	struct list_head stuck;
	struct device *stuck_dev;
	bool doubtful;
	struct private_node *pn;
	int nid;
	int target_node;
	bool target_node_set;
	int features;
	int adistance;
	char *name;
	struct range *ranges;
	unsigned int nr_ranges;
	struct resource *res[] __counted_by(nr_ranges);
};

/*
 * Memory in use when its device was unbound: it stays, and so does the claim,
 * but as the device may be going, nobody gets more of it. The device has it
 * again when it is bound again. If that does not happen, the memory can be
 * removed when the last page has come back. Each entry pins the module.
 */
static LIST_HEAD(dax_private_stuck);
/* Protects dax_private_stuck */
static DEFINE_MUTEX(dax_private_stuck_lock);
/* Held by who wants memory out of dax_private_stuck, which can take long */
static DEFINE_MUTEX(dax_private_unstick_lock);

static void dax_private_release_regions(struct dax_private *priv)
{
	for (unsigned int i = 0; i < priv->nr_ranges; i++) {
		if (!priv->res[i])
			continue;
		/* Not busy, so release_mem_region() would not find it. */
		remove_resource(priv->res[i]);
		kfree(priv->res[i]);
		priv->res[i] = NULL;
	}
}

static int dax_private_request_regions(struct device *dev,
				       struct dax_private *priv)
{
	for (unsigned int i = 0; i < priv->nr_ranges; i++) {
		struct range *range = &priv->ranges[i];

		priv->res[i] = request_mem_region(range->start, range_len(range),
						  priv->name);
		if (!priv->res[i]) {
			dev_warn(dev, "%#llx-%#llx is in use\n", range->start,
				 range->end);
			dax_private_release_regions(priv);
			return -EBUSY;
		}
		/* Plugged memory becomes a child of it: it must not be busy. */
		priv->res[i]->flags = IORESOURCE_SYSTEM_RAM;
	}
	return 0;
}

static void dax_private_set_node(struct dax_private *priv,
				 struct private_node *pn)
{
	priv->pn = pn;
	WRITE_ONCE(priv->nid, pn ? private_node_nid(pn) : NUMA_NO_NODE);
}

/* Firmware's, of a node */
static int dax_private_node_adistance(int nid)
{
	int adistance = DAX_PRIVATE_ADISTANCE;

	if (nid != NUMA_NO_NODE)
		mt_calc_adistance(nid, &adistance);
	return adistance;
}

static int dax_private_adistance(const struct dax_private *priv)
{
	int adistance = READ_ONCE(priv->adistance);

	if (adistance != DAX_PRIVATE_UNSET)
		return adistance;
	return dax_private_node_adistance(READ_ONCE(priv->target_node));
}

/*
 * Devices in one CXL window have the same target node, and only one of them
 * gets it. If that was reserved at boot, another reserved one does as well,
 * unless somebody has asked for this one.
 */
static struct private_node *dax_private_claim(const struct dax_private *priv)
{
	const bool unset = priv->features == DAX_PRIVATE_UNSET;
	const struct private_node_desc desc = {
		.name = priv->name,
		.features = unset ? 0 : priv->features,
		.keep_reserved_features = unset,
		.adistance = dax_private_adistance(priv),
	};
	const u64 start = priv->ranges[0].start;
	struct private_node *pn, *other;

	if (priv->target_node == NUMA_NO_NODE)
		return private_node_claim_reserved(start, &desc);

	pn = private_node_claim(priv->target_node, &desc);
	if (pn != ERR_PTR(-EBUSY) || priv->target_node_set ||
	    !private_node_is_reserved(priv->target_node))
		return pn;
	other = private_node_claim_reserved(start, &desc);
	/* That its own node is taken says more than that there is no other. */
	return other == ERR_PTR(-ENOSPC) ? pn : other;
}

static int dax_private_unplugged(struct dax_private *priv)
{
	int rc;

	private_node_stop(priv->pn, false);
	rc = private_node_release(priv->pn);
	/* All memory is gone and nobody else can add some. */
	if (WARN_ON_ONCE(rc))
		return rc;
	dax_private_set_node(priv, NULL);
	priv->doubtful = false;
	dax_private_release_regions(priv);
	/*
	 * The core of devices or of sysfs, which has called us, waits for our
	 * return before the module is gone.
	 */
	module_put(THIS_MODULE);
	return 0;
}

static int dax_private_unplug(struct dax_private *priv)
{
	int rc;

	lockdep_assert_held(&priv->lock);
	rc = private_node_remove_memory(priv->pn, priv->ranges,
					priv->nr_ranges);
	return rc ?: dax_private_unplugged(priv);
}

static void dax_private_free(struct dax_private *priv)
{
	kfree(priv->ranges);
	kfree(priv->name);
	kfree(priv);
}

/* Remove memory whose device has not come back, if it is idle. */
static int dax_private_bury(struct dax_private *priv)
{
	const int nid = private_node_nid(priv->pn);
	unsigned long used;
	int rc;

	lockdep_assert_held(&dax_private_unstick_lock);
	rc = private_node_remove_idle_memory(priv->pn, priv->ranges,
					     priv->nr_ranges, &used);
	if (rc) {
		pr_info("%s: node %d still has its memory, %lu pages are in use: %pe\n",
			priv->name, nid, used, ERR_PTR(rc));
		return rc;
	}
	rc = dax_private_unplugged(priv);
	if (rc)
		return rc;
	pr_info("%s: its memory is no longer on node %d\n", priv->name, nid);
	put_device(priv->stuck_dev);
	dax_private_free(priv);
	return 0;
}

/* Remove all memory that is idle and whose device has not come back. */
static int dax_private_bury_all(void)
{
	struct dax_private *priv, *next;
	LIST_HEAD(stuck);
	LIST_HEAD(left);
	int rc, err = 0;

	ACQUIRE(mutex_intr, lock)(&dax_private_unstick_lock);
	rc = ACQUIRE_ERR(mutex_intr, &lock);
	if (rc)
		return rc;

	/* Who adds to the list is an unbind, which must not wait for this. */
	scoped_guard(mutex, &dax_private_stuck_lock)
		list_splice_init(&dax_private_stuck, &stuck);
	list_for_each_entry_safe(priv, next, &stuck, stuck) {
		list_del(&priv->stuck);
		rc = dax_private_bury(priv);
		if (rc) {
			list_add_tail(&priv->stuck, &left);
			err = rc;
		}
	}
	scoped_guard(mutex, &dax_private_stuck_lock)
		list_splice(&left, &dax_private_stuck);
	return err;
}

static int dax_private_plug(struct device *dev, struct dax_private *priv)
{
	struct private_node *pn;
	int rc;

	/* Without the module nobody would know the claim. */
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;

	/* Memory that was left behind may have the node or the addresses. */
	dax_private_bury_all();

	rc = dax_private_request_regions(dev, priv);
	if (rc)
		goto put_module;

	pn = dax_private_claim(priv);
	if (IS_ERR(pn)) {
		rc = PTR_ERR(pn);
		goto release_regions;
	}

	rc = private_node_add_memory(pn, priv->ranges, priv->nr_ranges);
	if (rc)
		goto release_node;

	dax_private_set_node(priv, pn);
	return 0;

release_node:
	if (private_node_release(pn)) {
		/* Some of it is in use already and stays. Unplug can be tried. */
		dax_private_set_node(priv, pn);
		return rc;
	}
release_regions:
	dax_private_release_regions(priv);
put_module:
	module_put(THIS_MODULE);
	return rc;
}

/* The administrator says that the memory is what it was. */
static void dax_private_trust(struct device *dev, struct dax_private *priv)
{
	lockdep_assert_held(&priv->lock);
	if (!priv->doubtful)
		return;
	priv->doubtful = false;
	private_node_stop(priv->pn, false);
	dev_info(dev, "node %d gives out memory again\n", priv->nid);
}

static ssize_t state_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct dax_private *priv = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%s\n",
			  READ_ONCE(priv->nid) == NUMA_NO_NODE ? "unplugged" :
								 "online");
}

static ssize_t state_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t len)
{
	struct dax_private *priv = dev_get_drvdata(dev);
	bool online;
	int rc;

	/* kmem's word for it, too: ZONE_MOVABLE is where the memory goes. */
	online = sysfs_streq(buf, "online") || sysfs_streq(buf, "online_movable");
	if (!online && !sysfs_streq(buf, "unplugged"))
		return -EINVAL;

	ACQUIRE(mutex_intr, lock)(&priv->lock);
	rc = ACQUIRE_ERR(mutex_intr, &lock);
	if (rc)
		return rc;
	if (online && priv->pn)
		dax_private_trust(dev, priv);
	if (online == !!priv->pn)
		return len;
	if (online)
		rc = dax_private_plug(dev, priv);
	else
		rc = dax_private_unplug(priv);
	return rc ?: len;
}
static DEVICE_ATTR_RW(state);

static ssize_t node_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct dax_private *priv = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%d\n", READ_ONCE(priv->nid));
}
static DEVICE_ATTR_RO(node);

/* Returns 0 with the lock held, or an error without it. */
static int dax_private_lock_settings(struct dax_private *priv)
{
	int rc = mutex_lock_interruptible(&priv->lock);

	if (!rc && priv->pn) {
		mutex_unlock(&priv->lock);
		rc = -EBUSY;
	}
	return rc;
}

static ssize_t dax_private_store(struct dax_private *priv, int *setting,
				 int value, size_t len)
{
	int rc = dax_private_lock_settings(priv);

	if (rc)
		return rc;
	WRITE_ONCE(*setting, value);
	mutex_unlock(&priv->lock);
	return len;
}

static ssize_t target_node_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	struct dax_private *priv = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%d\n", READ_ONCE(priv->target_node));
}

/* The node that firmware or the bus says the memory is for */
static int dax_private_own_node(struct device *dev)
{
	return max(to_dev_dax(dev)->target_node, NUMA_NO_NODE);
}

static ssize_t target_node_store(struct device *dev,
				 struct device_attribute *attr, const char *buf,
				 size_t len)
{
	struct dax_private *priv = dev_get_drvdata(dev);
	const bool unset = sysfs_streq(buf, DAX_PRIVATE_DEFAULT);
	int nid, rc;

	if (unset)
		nid = dax_private_own_node(dev);
	else if (kstrtoint(buf, 0, &nid))
		return -EINVAL;
	if (nid != NUMA_NO_NODE &&
	    (nid < 0 || nid >= MAX_NUMNODES || !node_possible(nid)))
		return -EINVAL;

	rc = dax_private_lock_settings(priv);
	if (rc)
		return rc;
	WRITE_ONCE(priv->target_node, nid);
	priv->target_node_set = !unset;
	mutex_unlock(&priv->lock);
	return len;
}
static DEVICE_ATTR_RW(target_node);

static ssize_t features_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	struct dax_private *priv = dev_get_drvdata(dev);
	int set = READ_ONCE(priv->features), nid = READ_ONCE(priv->nid);
	unsigned long features;
	int len;

	/* What it has, what was asked for, or what it would have. */
	if (nid != NUMA_NO_NODE)
		features = private_node_features(nid);
	else if (set != DAX_PRIVATE_UNSET)
		features = set;
	else
		features = private_node_reserved_features(READ_ONCE(priv->target_node));
	len = private_node_print_features(buf, PAGE_SIZE - 1, features);
	return len + sysfs_emit_at(buf, len, "\n");
}

static ssize_t features_store(struct device *dev, struct device_attribute *attr,
			      const char *buf, size_t len)
{
	struct dax_private *priv = dev_get_drvdata(dev);
	unsigned long features;

	if (sysfs_streq(buf, DAX_PRIVATE_DEFAULT))
		return dax_private_store(priv, &priv->features,
					 DAX_PRIVATE_UNSET, len);
	if (private_node_parse_features(buf, &features))
		return -EINVAL;

	return dax_private_store(priv, &priv->features, features, len);
}
static DEVICE_ATTR_RW(features);

static ssize_t adistance_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	struct dax_private *priv = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%d\n", dax_private_adistance(priv));
}

static ssize_t adistance_store(struct device *dev,
			       struct device_attribute *attr, const char *buf,
			       size_t len)
{
	struct dax_private *priv = dev_get_drvdata(dev);
	int adistance;

	if (sysfs_streq(buf, DAX_PRIVATE_DEFAULT))
		adistance = DAX_PRIVATE_UNSET;
	else if (kstrtoint(buf, 0, &adistance) || adistance < 1)
		return -EINVAL;
	return dax_private_store(priv, &priv->adistance, adistance, len);
}
static DEVICE_ATTR_RW(adistance);

static struct attribute *dax_private_state_attrs[] = {
	&dev_attr_state.attr,
	NULL,
};

/* Where kmem devices have it. */
static const struct attribute_group dax_private_state_group = {
	.attrs = dax_private_state_attrs,
};

static struct attribute *dax_private_node_attrs[] = {
	&dev_attr_node.attr,
	&dev_attr_target_node.attr,
	&dev_attr_features.attr,
	&dev_attr_adistance.attr,
	NULL,
};

/* A folder of its own: every dax device has a target_node already. */
static const struct attribute_group dax_private_node_group = {
	.name = "private",
	.attrs = dax_private_node_attrs,
};

static const struct attribute_group *dax_private_groups[] = {
	&dax_private_state_group,
	&dax_private_node_group,
	NULL,
};

static struct dax_private *dax_private_alloc(struct dev_dax *dev_dax)
{
	struct device *dev = &dev_dax->dev;
	u64 dropped = 0, total = 0;
	struct dax_private *priv;
	char size[16];

	priv = kzalloc_flex(*priv, res, dev_dax->nr_range);
	if (!priv)
		return ERR_PTR(-ENOMEM);
	priv->nr_ranges = dev_dax->nr_range;
	priv->name = kstrdup(dev_name(dev), GFP_KERNEL);
	priv->ranges = kmalloc_objs(*priv->ranges, dev_dax->nr_range);
	if (!priv->name || !priv->ranges) {
		dax_private_free(priv);
		return ERR_PTR(-ENOMEM);
	}

	priv->nr_ranges = 0;
	for (int i = 0; i < dev_dax->nr_range; i++) {
		struct range *range = &dev_dax->ranges[i].range;
		struct range aligned = memory_block_aligned_range(range);
		u64 len = 0;

		if (aligned.start < aligned.end) {
			priv->ranges[priv->nr_ranges++] = aligned;
			len = range_len(&aligned);
		}
		total += len;
		dropped += range_len(range) - len;
	}
	if (!total) {
		dev_warn(dev, "no whole memory block in it\n");
		dax_private_free(priv);
		return ERR_PTR(-EINVAL);
	}
	if (dropped) {
		string_get_size(dropped, 1, STRING_UNITS_2, size, sizeof(size));
		dev_warn(dev, "%s not used, not whole memory blocks\n", size);
	}

	mutex_init(&priv->lock);
	priv->nid = NUMA_NO_NODE;
	priv->features = DAX_PRIVATE_UNSET;
	priv->target_node = dax_private_own_node(dev);
	priv->adistance = DAX_PRIVATE_UNSET;
	return priv;
}

/* The memory of this device that is still plugged, from before it was unbound */
static struct dax_private *dax_private_find_stuck(const struct dax_private *new)
{
	struct dax_private *old;

	lockdep_assert_held(&dax_private_unstick_lock);
	guard(mutex)(&dax_private_stuck_lock);
	list_for_each_entry(old, &dax_private_stuck, stuck) {
		if (old->nr_ranges != new->nr_ranges ||
		    memcmp(old->ranges, new->ranges,
			   array_size(sizeof(*new->ranges), new->nr_ranges)))
			continue;
		list_del(&old->stuck);
		return old;
	}
	return NULL;
}

/*
 * Give a device its memory back, if there is some. Another device with the same
 * addresses, such as the one that a CXL region brings when it is enabled again,
 * may have other contents: then what is in use stays in use, and that is all.
 *
 * Returns what there was, NULL, or an ERR_PTR().
 */
static struct dax_private *dax_private_adopt(struct device *dev,
					     const struct dax_private *new)
{
	struct dax_private *old;
	int rc;

	/* It could be about to be removed. */
	ACQUIRE(mutex_intr, lock)(&dax_private_unstick_lock);
	rc = ACQUIRE_ERR(mutex_intr, &lock);
	if (rc)
		return ERR_PTR(rc);

	old = dax_private_find_stuck(new);
	if (!old)
		return NULL;
	/* A device that went before it could be trusted is not trusted now. */
	if (old->stuck_dev == dev && !old->doubtful) {
		private_node_stop(old->pn, false);
	} else {
		old->doubtful = true;
		dev_err(dev, "node %d has memory of it that was in use when its device went, and gives out no more until \"online\" is written to the state\n",
			old->nid);
	}
	put_device(old->stuck_dev);
	old->stuck_dev = NULL;
	return old;
}

static int dax_private_probe(struct dev_dax *dev_dax)
{
	struct device *dev = &dev_dax->dev;
	struct dax_private *priv, *old;
	int rc;

	priv = dax_private_alloc(dev_dax);
	if (IS_ERR(priv))
		return PTR_ERR(priv);

	old = dax_private_adopt(dev, priv);
	if (old) {
		dax_private_free(priv);
		if (IS_ERR(old))
			return PTR_ERR(old);
		dev_set_drvdata(dev, old);
		return 0;
	}
	dev_set_drvdata(dev, priv);
	/* Others may have been left behind. */
	dax_private_bury_all();

	/*
	 * The administrator has decided at boot. A device that cannot be
	 * plugged stays bound: nobody else may have this memory, and a state
	 * write tries again.
	 */
	if (private_node_is_reserved(priv->target_node)) {
		rc = dax_private_plug(dev, priv);
		if (rc)
			dev_warn(dev, "cannot be plugged: %pe\n", ERR_PTR(rc));
	}
	return 0;
}

static void dax_private_remove(struct dev_dax *dev_dax)
{
	struct device *dev = &dev_dax->dev;
	struct dax_private *priv = dev_get_drvdata(dev);
	unsigned long used;
	int rc;

	if (!priv->pn) {
		dax_private_free(priv);
		return;
	}

	/* The device may be going, and what is behind the addresses with it. */
	private_node_stop(priv->pn, true);
	/*
	 * Only a fatal signal interrupts an unbind, so nothing is migrated
	 * here, which can take for ever.
	 */
	rc = private_node_remove_idle_memory(priv->pn, priv->ranges,
					     priv->nr_ranges, &used);
	if (!rc && !dax_private_unplugged(priv)) {
		dax_private_free(priv);
		return;
	}

	dev_err(dev, "%lu pages are in use: node %d keeps the memory and gives out no more of it, bind the device again or write to the driver's \"left_behind\": %pe\n",
		used, private_node_nid(priv->pn), ERR_PTR(rc));
	priv->stuck_dev = get_device(dev);
	guard(mutex)(&dax_private_stuck_lock);
	list_add_tail(&priv->stuck, &dax_private_stuck);
}

/* Memory in dax_private_stuck: a line each, the device's name and the node */
static ssize_t left_behind_show(struct device_driver *drv, char *buf)
{
	struct dax_private *priv;
	int len = 0;

	guard(mutex)(&dax_private_stuck_lock);
	list_for_each_entry(priv, &dax_private_stuck, stuck)
		len += sysfs_emit_at(buf, len, "%s %d\n", priv->name, priv->nid);
	return len;
}

static ssize_t left_behind_store(struct device_driver *drv, const char *buf,
				 size_t len)
{
	int rc;

	if (!sysfs_streq(buf, "0"))
		return -EINVAL;
	rc = dax_private_bury_all();
	return rc ?: len;
}
static DRIVER_ATTR_RW(left_behind);

static struct attribute *dax_private_driver_attrs[] = {
	&driver_attr_left_behind.attr,
	NULL,
};
ATTRIBUTE_GROUPS(dax_private_driver);

static struct dax_device_driver dax_private_driver = {
	.probe = dax_private_probe,
	.remove = dax_private_remove,
	.type = DAXDRV_PRIVATE_TYPE,
	.drv = {
		.groups = dax_private_driver_groups,
		.dev_groups = dax_private_groups,
	},
};

static int __init dax_private_init(void)
{
	return dax_driver_register(&dax_private_driver);
}
module_init(dax_private_init);

static void __exit dax_private_exit(void)
{
	dax_driver_unregister(&dax_private_driver);
}
module_exit(dax_private_exit);

MODULE_DESCRIPTION("Private memory: give the memory of dax devices to private NUMA nodes");
MODULE_LICENSE("GPL");
MODULE_ALIAS_DAX_DEVICE(0);
