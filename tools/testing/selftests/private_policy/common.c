// SPDX-License-Identifier: GPL-2.0
/* What the tests of memory policies that name private nodes have in common */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "common.h"

#define MAX_DEVICES	8

int D, D1, P, U, X;
char dev_p[32], dev_u[32];
unsigned long page;

/* ---- Files ---- */

bool file_has(const char *path, const char *text)
{
	static char buf[1 << 20];

	return read_file(path, buf, sizeof(buf)) > 0 && strstr(buf, text);
}

/* A number behind a word, -1 if it is not there. */
long number_in(const char *path, const char *word)
{
	static char buf[1 << 16];
	char *found;

	if (read_file(path, buf, sizeof(buf)) < 0)
		return -1;
	for (found = buf; (found = strstr(found, word)); found++)
		if (found == buf || found[-1] == '\n' || found[-1] == ' ')
			return atol(found + strlen(word));
	return -1;
}

long node_kb(int node, const char *word)
{
	char path[64];

	snprintf(path, sizeof(path), NODES "/node%d/meminfo", node);
	return number_in(path, word);
}

long private_kb(int node, const char *word)
{
	char path[64];

	snprintf(path, sizeof(path), NODES "/node%d/private_meminfo", node);
	return number_in(path, word);
}

/* Does the kernel log have this since it was last asked? */
bool log_has(int fd, const char *text)
{
	static char record[8192];
	bool found = false;
	ssize_t len;

	while ((len = read(fd, record, sizeof(record) - 1)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		if (len < 0)
			continue;
		record[len] = '\0';
		found |= !!strstr(record, text);
	}
	return found;
}

int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* ---- Devices ---- */

int dax_number(const char *name, const char *attr)
{
	int number;

	return sscanf(dax_read(name, attr), "%d", &number) == 1 ? number : -1;
}

/* From whatever driver has it to ours, unless its memory is in use with kmem. */
bool dax_take(const char *name)
{
	char path[512], state[32];

	if (!dax_is_ours(name)) {
		snprintf(path, sizeof(path), DAX "/devices/%s/state", name);
		if (read_file(path, state, sizeof(state)) > 0 &&
		    !strncmp(state, "online", 6))
			return false;
		snprintf(path, sizeof(path), DAX "/devices/%s/driver/unbind", name);
		write_file(path, name);
		if (driver_write(OURS, "new_id", name) || !dax_is_ours(name))
			return false;
	}
	return !dax_write(name, "state", "unplugged");
}

/* Plugged, with these features; the node or -1 */
int dax_plug(const char *name, const char *features)
{
	if (dax_write(name, "private/features", features) ||
	    dax_write(name, "state", "online"))
		return -1;
	return dax_number(name, "private/node");
}

/* For a while, a device that is ours: ordinary memory by kmem */
bool dax_to_kmem(const char *name)
{
	return !dax_write(name, "state", "unplugged") &&
	       !driver_write(OURS, "unbind", name) &&
	       !driver_write(OURS, "remove_id", name) &&
	       !driver_write("kmem", "new_id", name) &&
	       !dax_write(name, "state", "unplugged") &&
	       !dax_write(name, "state", "online_movable");
}

bool dax_from_kmem(const char *name)
{
	return !dax_write(name, "state", "unplugged") &&
	       !driver_write("kmem", "unbind", name) &&
	       !driver_write("kmem", "remove_id", name) && dax_take(name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void devices_find(void)
{
	char names[MAX_DEVICES][32];
	DIR *dir = opendir(DAX "/devices");
	struct dirent *entry;
	int count = 0, i, target = -1;

	if (!dir)
		return;
	while (count < MAX_DEVICES && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(names[count], sizeof(names[count]), "%.31s", entry->d_name);
		if (dax_number(names[count], "target_node") >= 0)
			count++;
	}
	closedir(dir);
	qsort(names, count, sizeof(*names), by_name);

	for (i = 0; i < count && !*dev_u; i++) {
		if (!dax_take(names[i]))
			continue;
		if (!*dev_p) {
			strcpy(dev_p, names[i]);
			target = dax_number(dev_p, "target_node");
		} else if (dax_number(names[i], "target_node") != target) {
			strcpy(dev_u, names[i]);
		}
	}
}

void devices_give_back(void)
{
	if (*dev_p)
		dax_write(dev_p, "state", "unplugged");
	if (*dev_u)
		dax_write(dev_u, "state", "unplugged");
}

/* Why cases cannot run; NULL if they can */
const char *whats_missing(void)
{
	if (geteuid())
		return "needs root";
	if (!*dev_p || !*dev_u)
		return "needs two dax devices whose memory is not in use, and dax_private";
	return NULL;
}

/* Both anew: P lets users in, the second node has these features */
bool plug_two(const char *features, int *second)
{
	if (dax_write(dev_p, "state", "unplugged") ||
	    dax_write(dev_u, "state", "unplugged"))
		return false;
	P = dax_plug(dev_p, "user");
	*second = dax_plug(dev_u, features);
	return P >= 0 && *second >= 0;
}

/* ---- Nodes and policies ---- */

/* -1 is none. */
void node_add(struct mask *mask, int node)
{
	if (node >= 0)
		mask->bits[node / 64] |= 1UL << (node % 64);
}

struct mask nodes(int first, int second)
{
	struct mask mask = {};

	node_add(&mask, first);
	node_add(&mask, second);
	return mask;
}

bool has_node(const struct mask *mask, int node)
{
	return mask->bits[node / 64] & (1UL << (node % 64));
}

int set_policy(int mode, struct mask mask)
{
	return syscall(SYS_set_mempolicy, mode, mask.bits, MAX_NODE + 1UL) ?
	       errno : 0;
}

int bind_range(void *start, size_t len, int mode, struct mask mask,
	       unsigned int flags)
{
	return syscall(SYS_mbind, start, len, mode, mask.bits, MAX_NODE + 1UL,
		       flags) ? errno : 0;
}

int get_policy(int *mode, struct mask *mask, void *addr, int flags)
{
	return syscall(SYS_get_mempolicy, mode, mask ? mask->bits : NULL,
		       mask ? (unsigned long)MAX_NODE : 0, addr, flags) ? errno : 0;
}

/* The node of the page at an address; -errno if it has none */
int node_of(const void *addr)
{
	void *pages[] = { (void *)addr };
	int status = -1;

	if (syscall(SYS_move_pages, 0, 1UL, pages, NULL, &status, 0))
		return -errno;
	return status;
}

/* How many of the pages of a range are on a node */
long count_on(const char *start, size_t len, int node)
{
	long count = 0;

	for (size_t i = 0; i < len; i += page)
		count += node_of(start + i) == node;
	return count;
}

/* What /proc/self/pagemap has for a page, 0 if nothing */
static unsigned long long pagemap_entry(const void *addr)
{
	unsigned long long entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	off_t at = (unsigned long)addr / page * sizeof(entry);

	if (pread(fd, &entry, sizeof(entry), at) != sizeof(entry))
		entry = 0;
	close(fd);
	return entry;
}

/* The page frame that a page is in; 0: in none */
unsigned long frame_of(const void *addr)
{
	unsigned long long entry = pagemap_entry(addr);

	return entry & (1ULL << 63) ? entry & ((1ULL << 55) - 1) : 0;
}

char *map(size_t len)
{
	char *addr = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (addr == MAP_FAILED)
		return NULL;
	madvise(addr, len, MADV_NOHUGEPAGE);
	return addr;
}

void touch(char *start, size_t len)
{
	for (size_t i = 0; i < len; i += page)
		*(volatile char *)(start + i) = 1;
}

/*
 * Without the privilege to place memory, but with all others. Nor do programs have
 * it that are started then, as root's do.
 */
int drop_sys_nice(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	const unsigned int bit = 1U << CAP_SYS_NICE;

	if (prctl(PR_CAPBSET_DROP, CAP_SYS_NICE) ||
	    syscall(SYS_capget, &header, data))
		return errno;
	data[0].effective &= ~bit;
	data[0].permitted &= ~bit;
	data[0].inheritable &= ~bit;
	return syscall(SYS_capset, &header, data) ? errno : 0;
}

/* ---- What must not happen meanwhile ---- */

bool watch_begin(struct watch *watch)
{
	watch->log = log_open();
	watch->killed = number_in("/proc/vmstat", "oom_kill ");
	return watch->log >= 0 && watch->killed >= 0;
}

/* Nobody was killed for want of memory, nor did the kernel complain. */
bool watch_end(struct watch *watch, const char *complaint)
{
	const long killed = number_in("/proc/vmstat", "oom_kill ") - watch->killed;
	const bool complained = log_has(watch->log, complaint);

	close(watch->log);
	if (killed || complained)
		printf("# %ld were killed%s%s\n", killed,
		       complained ? ", and the kernel says: " : "",
		       complained ? complaint : "");
	return !killed && !complained;
}

/* ---- Tables ---- */

/* Is it one of these words, with blanks in between? */
bool words_have(const char *words, const char *word)
{
	size_t len = strlen(word);
	const char *at;

	for (at = words; (at = strstr(at, word)); at++)
		if ((at == words || at[-1] == ' ') &&
		    (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

/* The letters whose bits are set, "-" for none */
const char *letters_of(const char *letters, unsigned int set)
{
	static char text[16];
	char *end = text;

	for (int i = 0; letters[i]; i++)
		if (set & (1U << i))
			*end++ = letters[i];
	if (end == text)
		*end++ = '-';
	*end = '\0';
	return text;
}

/* The row of a table that is about this; NULL if there is none, or another one */
const void *only_row(const void *rows, size_t count, size_t size,
		     bool (*fits)(const void *row, const void *what),
		     const void *what)
{
	const void *found = NULL;

	for (size_t i = 0; i < count; i++) {
		const void *row = (const char *)rows + i * size;

		if (!fits(row, what))
			continue;
		if (found)
			return NULL;
		found = row;
	}
	return found;
}

/* ---- Cgroups ---- */

/* A cgroup2 whose children have these controllers, such as "+cpuset" */
int cgroups_mount(const char *controllers)
{
	mkdir(CGROUP, 0700);
	if (mount("none", CGROUP, "cgroup2", 0, NULL))
		return errno;
	return write_file(CGROUP "/cgroup.subtree_control", controllers);
}

/* All that is in it, too, if nobody is in there */
void cgroups_remove(void)
{
	DIR *dir = opendir(CGROUP);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	if (dir)
		closedir(dir);
	write_file(CGROUP "/cgroup.subtree_control", "-cpuset");
	write_file(CGROUP "/cgroup.subtree_control", "-memory");
	umount2(CGROUP, MNT_DETACH);
	rmdir(CGROUP);
}

/* "" is the root. */
int cgroup_enter(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP "/%s/cgroup.procs", name);
	return write_file(path, "0");
}

int cgroup_set_mems(const char *name, const struct mask *mems)
{
	char path[128], text[128] = "";
	size_t len = 0;

	for (int node = 0; node < MAX_NODE && len < sizeof(text); node++)
		if (has_node(mems, node))
			len += snprintf(text + len, sizeof(text) - len, "%s%d",
					len ? "," : "", node);
	snprintf(path, sizeof(path), CGROUP "/%s/cpuset.mems", name);
	return write_file(path, text);
}

/* @mems: NULL: what it inherits */
int cgroup_make(const char *name, const struct mask *mems)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP "/%s", name);
	if (mkdir(path, 0700))
		return errno;
	return mems ? cgroup_set_mems(name, mems) : 0;
}

/* ---- Who asks ---- */

const struct caller callers[NR_CALLERS] = {
	{ 'P', "", true }, { 'U', "", false }, { 'G', "in", false },
	{ 'L', "out", true }, { 'l', "out", false },
};

/* Their cgroups: one that was granted P, and one that leaves it out */
int callers_make(void)
{
	struct mask in = nodes(D, D1), out = in;

	node_add(&in, P);
	return cgroups_mount("+cpuset") ?: cgroup_make("in", &in) ?:
	       cgroup_make("out", &out);
}

int become(const struct caller *caller)
{
	return cgroup_enter(caller->cgroup) || (!caller->nice && drop_sys_nice());
}

/* ---- SIGBUS ---- */

volatile sig_atomic_t bus_code;
void *volatile bus_addr;
static sigjmp_buf bus_back;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	bus_code = info->si_code;
	bus_addr = info->si_addr;
	siglongjmp(bus_back, 1);
}

void catch_bus(void)
{
	struct sigaction action = {
		.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO,
	};

	bus_code = 0;
	bus_addr = NULL;
	sigaction(SIGBUS, &action, NULL);
}

/* Touch pages until there are no more; how many bytes there were */
size_t touch_until_bus(char *start, size_t len)
{
	static volatile size_t done;

	done = 0;
	if (sigsetjmp(bus_back, 1))
		return done;
	for (; done < len; done += page)
		*(volatile char *)(start + done) = 1;
	return done;
}

/* Is there an end to it, and that by SIGBUS? */
bool gets_bus(char *start, size_t len)
{
	catch_bus();
	return touch_until_bus(start, len) < len && bus_code == BUS_ADRERR;
}

/* As touch_until_bus(), for what would go on for ever if there were no SIGBUS */
size_t touch_in_time(char *start, size_t len, int seconds)
{
	size_t done;

	alarm(seconds);
	done = touch_until_bus(start, len);
	alarm(0);
	return done;
}

/*
 * All of the node, but for what others have. What CPUs have counted for themselves
 * is added up in between, so that not one page is left at the end.
 */
char *fill(int node, size_t *len)
{
	size_t size = (private_kb(node, "PrivateTotal:") << 10) + MORE, more;
	char *start = map(size);

	if (!start || bind_range(start, size, MPOL_BIND | SV, nodes(node, -1), 0))
		return NULL;
	catch_bus();
	*len = 0;
	do {
		more = touch_in_time(start + *len, size - *len, 300);
		*len += more;
		write_file("/proc/sys/vm/stat_refresh", "1");
	} while (more);
	return *len < size ? start : NULL;
}

int wait_for(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* The first two ordinary nodes and one that has no memory of any kind */
static void nodes_find(void)
{
	char path[64];
	int node;

	D = -1;
	D1 = -1;
	X = -1;
	for (node = 0; node < MAX_NODE; node++) {
		snprintf(path, sizeof(path), NODES "/node%d", node);
		if (access(path, F_OK)) {
			if (X < 0 && node != dax_number(dev_p, "target_node") &&
			    node != dax_number(dev_u, "target_node"))
				X = node;
			continue;
		}
		if (node_kb(node, "MemTotal:") <= 0)
			continue;
		if (D < 0)
			D = node;
		else if (D1 < 0)
			D1 = node;
	}
}

/* Before the first case */
void run_begin(void)
{
	page = sysconf(_SC_PAGESIZE);
	if (!geteuid() && !access(DAX "/drivers/" OURS, F_OK))
		devices_find();
	nodes_find();
}

/* ---- Swap ---- */

/* A header for swap on all of a device of @size bytes, and use it */
bool swap_on_device(const char *path, unsigned long size)
{
	char *header = calloc(1, page);
	bool written;
	int fd;

	/* Version, and the last page; the rest is 0. */
	((unsigned int *)header)[256] = 1;
	((unsigned int *)header)[257] = size / page - 1;
	memcpy(header + page - 10, "SWAPSPACE2", 10);
	fd = open(path, O_WRONLY);
	written = fd >= 0 && pwrite(fd, header, page, 0) == (ssize_t)page &&
		  !fsync(fd);
	close(fd);
	free(header);
	return written && !swapon(path, 0);
}

/* A device for swap, in compressed memory */
bool swap_on(void)
{
	write_file(ZRAM_SYS "reset", "1");
	if (write_file(ZRAM_SYS "disksize", "64M"))
		return false;
	return swap_on_device(ZRAM, 64UL << 20);
}

void swap_off(void)
{
	swapoff(ZRAM);
	write_file(ZRAM_SYS "reset", "1");
}

/* Has a page been given a place in swap? It may still be in memory, too. */
bool in_swap(char *addr)
{
	return pagemap_entry(addr) & (1ULL << 62);
}

/* Is a page in swap, and nowhere else? */
static bool is_swapped(char *addr)
{
	unsigned char cached = 1;

	return in_swap(addr) && !mincore(addr, page, &cached) && !(cached & 1);
}

bool all_swapped(char *start, size_t len)
{
	for (size_t i = 0; i < len; i += page)
		if (!is_swapped(start + i))
			return false;
	return true;
}

/* ---- Pins ---- */

/* A ring of io_uring, whose fixed buffers are pinned as long as it has them */
int ring_open(void)
{
	struct io_uring_params params = {};

	return syscall(SYS_io_uring_setup, 1, &params);
}

int pin(int ring, char *addr, size_t len)
{
	struct iovec iov = { addr, len };

	return syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1) ?
	       errno : 0;
}

int unpin(int ring)
{
	return syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0) ?
	       errno : 0;
}
