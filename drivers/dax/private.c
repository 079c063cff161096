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
 * Lock order: struct dax_private::lock, then device_hotplug_lock (taken by the
 * registry of private nodes).
 */
#include <linux/build_bug.h>
#include <linux/cleanup.h>
#include <linux/compiler.h>
#include <linux/dax.h>
#include <linux/device.h>
#include <linux/ioport.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/memory.h>
#include <linux/memory-tiers.h>
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

/* Features that nobody has written */
#define DAX_PRIVATE_UNSET	(-1)
static_assert(PRIVATE_NODE_FEATURES <= INT_MAX);

/**
 * struct dax_private - a dax device bound to this driver
 * @lock: makes changing the settings, plugging and unplugging exclude each
 *	other, so that settings do not change under plugged memory. Unplugging
 *	can take for ever, so nobody waits for it without being interruptible
 * @stuck: entry in dax_private_stuck, of memory that outlived its driver
 * @pn: the node while memory is plugged, NULL otherwise
 * @nid: the node id of @pn, or NUMA_NO_NODE
 * @target_node: the node to claim, or NUMA_NO_NODE for a reserved one
 * @target_node_set: somebody has written @target_node, and means that one
 * @features: PRIVATE_NODE_* bits to claim it with, or DAX_PRIVATE_UNSET: a
 *	reserved node keeps the features that it was reserved with
 * @adistance: abstract distance to claim it with
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
 * Memory in use when its device was unbound: it stays, and so does the claim.
 * The device gets it back when it is bound again. Each entry pins the module.
 */
static LIST_HEAD(dax_private_stuck);
/* Protects dax_private_stuck */
static DEFINE_MUTEX(dax_private_stuck_lock);

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
		.adistance = priv->adistance,
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

static int dax_private_plug(struct device *dev, struct dax_private *priv)
{
	struct private_node *pn;
	int rc;

	rc = dax_private_request_regions(dev, priv);
	if (rc)
		return rc;

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
	return rc;
}

static int dax_private_unplugged(struct dax_private *priv)
{
	int rc = private_node_release(priv->pn);

	/* All memory is gone and nobody else can add some. */
	if (WARN_ON_ONCE(rc))
		return rc;
	dax_private_set_node(priv, NULL);
	dax_private_release_regions(priv);
	return 0;
}

static int dax_private_unplug(struct dax_private *priv)
{
	int rc = private_node_remove_memory(priv->pn, priv->ranges,
					    priv->nr_ranges);

	return rc ?: dax_private_unplugged(priv);
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
	bool online = sysfs_streq(buf, "online");
	int rc;

	if (!online && !sysfs_streq(buf, "unplugged"))
		return -EINVAL;

	ACQUIRE(mutex_intr, lock)(&priv->lock);
	rc = ACQUIRE_ERR(mutex_intr, &lock);
	if (rc)
		return rc;
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

static ssize_t target_node_store(struct device *dev,
				 struct device_attribute *attr, const char *buf,
				 size_t len)
{
	struct dax_private *priv = dev_get_drvdata(dev);
	int nid, rc;

	if (kstrtoint(buf, 0, &nid))
		return -EINVAL;
	if (nid != NUMA_NO_NODE &&
	    (nid < 0 || nid >= MAX_NUMNODES || !node_possible(nid)))
		return -EINVAL;

	rc = dax_private_lock_settings(priv);
	if (rc)
		return rc;
	WRITE_ONCE(priv->target_node, nid);
	priv->target_node_set = true;
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

	if (private_node_parse_features(buf, &features))
		return -EINVAL;

	return dax_private_store(priv, &priv->features, features, len);
}
static DEVICE_ATTR_RW(features);

static ssize_t adistance_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	struct dax_private *priv = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%d\n", READ_ONCE(priv->adistance));
}

static ssize_t adistance_store(struct device *dev,
			       struct device_attribute *attr, const char *buf,
			       size_t len)
{
	struct dax_private *priv = dev_get_drvdata(dev);
	int adistance;

	if (kstrtoint(buf, 0, &adistance) || adistance < 1)
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

static void dax_private_free(struct dax_private *priv)
{
	kfree(priv->ranges);
	kfree(priv->name);
	kfree(priv);
}

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
	priv->target_node = dev_dax->target_node;
	if (priv->target_node < 0)
		priv->target_node = NUMA_NO_NODE;
	priv->adistance = DAX_PRIVATE_ADISTANCE;
	if (priv->target_node != NUMA_NO_NODE)
		mt_calc_adistance(priv->target_node, &priv->adistance);
	return priv;
}

/* Is memory of this device still plugged, from before it was unbound? */
static struct dax_private *dax_private_adopt(const struct dax_private *new)
{
	struct dax_private *old;

	guard(mutex)(&dax_private_stuck_lock);
	list_for_each_entry(old, &dax_private_stuck, stuck) {
		if (old->nr_ranges != new->nr_ranges ||
		    memcmp(old->ranges, new->ranges,
			   array_size(sizeof(*new->ranges), new->nr_ranges)))
			continue;
		list_del(&old->stuck);
		module_put(THIS_MODULE);
		return old;
	}
	return NULL;
}

static int dax_private_probe(struct dev_dax *dev_dax)
{
	struct device *dev = &dev_dax->dev;
	struct dax_private *priv, *old;
	int rc;

	priv = dax_private_alloc(dev_dax);
	if (IS_ERR(priv))
		return PTR_ERR(priv);

	old = dax_private_adopt(priv);
	if (old) {
		dax_private_free(priv);
		dev_set_drvdata(dev, old);
		return 0;
	}
	dev_set_drvdata(dev, priv);

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
	int rc;

	if (!priv->pn) {
		dax_private_free(priv);
		return;
	}

	/*
	 * Nobody can interrupt an unbind, so nothing is migrated here, which
	 * can take for ever.
	 */
	rc = private_node_remove_idle_memory(priv->pn, priv->ranges,
					     priv->nr_ranges);
	if (!rc && !dax_private_unplugged(priv)) {
		dax_private_free(priv);
		return;
	}

	dev_warn(dev, "memory is in use, node %d keeps it until the device is bound again: %pe\n",
		 private_node_nid(priv->pn), ERR_PTR(rc));
	guard(mutex)(&dax_private_stuck_lock);
	/* Without the module nobody can come back for it. */
	if (try_module_get(THIS_MODULE))
		list_add(&priv->stuck, &dax_private_stuck);
}

static struct dax_device_driver dax_private_driver = {
	.probe = dax_private_probe,
	.remove = dax_private_remove,
	.type = DAXDRV_PRIVATE_TYPE,
	.drv = {
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
