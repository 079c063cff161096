/* SPDX-License-Identifier: GPL-2.0 */
/* What tests of secret memory have in common. Include kselftest_harness.h first. */
#ifndef _SECRETMEM_H
#define _SECRETMEM_H

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "vm_util.h"

#define NODES		"/sys/devices/system/node/"
#define BLOCKS		"/sys/devices/system/memory/"
#define POWER_STATE	"/sys/power/state"
#define NO_NODE		(-1)
/* "At once", on an emulated machine with a debug kernel. */
#define AT_ONCE_SECONDS	10

/* A page has the same bytes over and over. No other page begins like that. */
#define PATTERN_SIZE	32
static unsigned char pattern[PATTERN_SIZE];

struct secret {
	int fd;
	char *mem;
	size_t nr;
};

static inline int memfd_secret(unsigned int flags)
{
	return syscall(__NR_memfd_secret, flags);
}

static inline int open_secret(struct secret *s, size_t nr)
{
	s->nr = nr;
	s->fd = memfd_secret(0);
	if (s->fd < 0)
		return -errno;
	if (ftruncate(s->fd, nr * psize()))
		return -errno;
	s->mem = mmap(NULL, nr * psize(), PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);

	return s->mem == MAP_FAILED ? -errno : 0;
}

static inline void close_secret(struct secret *s)
{
	munmap(s->mem, s->nr * psize());
	close(s->fd);
}

static inline void fill_page(char *page)
{
	for (size_t i = 0; i < psize(); i += PATTERN_SIZE)
		memcpy(page + i, pattern, PATTERN_SIZE);
}

static inline void populate(struct secret *s)
{
	for (size_t i = 0; i < s->nr; i++)
		fill_page(s->mem + i * psize());
}

static inline bool has_pattern(const void *buf, size_t len)
{
	return memmem(buf, len, pattern, PATTERN_SIZE);
}

static inline bool all_zero(const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i])
			return false;

	return true;
}

static inline int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);

	return ret;
}

/* The number that follows a key in a file with lines like "Key:   12 kB". */
static inline long number_of(const char *path, const char *key)
{
	FILE *file = fopen(path, "r");
	size_t len = strlen(key);
	long number = -1;
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return -1;
	while (getline(&line, &size, file) > 0)
		if (!strncmp(line, key, len) && strchr(" :\t=", line[len])) {
			if (sscanf(line + len, "%*[ :\t=]%ld", &number) != 1)
				number = -1;
			break;
		}
	free(line);
	fclose(file);

	return number;
}

/* Counters of CPUs are folded into those that are shown. */
static inline void fold_counters(void)
{
	write_text("/proc/sys/vm/stat_refresh", "1");
}

static inline long secret_kb(void)
{
	fold_counters();
	return number_of("/proc/meminfo", "SecretMem");
}

static inline long kb(size_t pages)
{
	return pages * (psize() >> 10);
}

static inline bool contains_word(const char *path, const char *word)
{
	FILE *file = fopen(path, "r");
	char text[32];
	bool found = false;

	if (!file)
		return false;
	while (!found && fscanf(file, "%31s", text) == 1)
		found = !strcmp(text, word);
	fclose(file);

	return found;
}

static inline unsigned long pfn_of(char *addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	unsigned long pfn = 0;

	if (fd >= 0) {
		if (pagemap_is_populated(fd, addr))
			pfn = pagemap_get_pfn(fd, addr);
		close(fd);
	}

	return pfn;
}

/* The node that has memory and no CPU, so that the kernel itself uses little of it. */
static inline int memory_only_node(void)
{
	for (int nid = 1; nid < 64; nid++) {
		char path[64], key[32], cpus[64] = "";
		FILE *file;

		snprintf(path, sizeof(path), NODES "node%d/cpulist", nid);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (!fgets(cpus, sizeof(cpus), file))
			cpus[0] = '\0';
		fclose(file);
		snprintf(path, sizeof(path), NODES "node%d/meminfo", nid);
		snprintf(key, sizeof(key), "Node %d MemTotal", nid);
		if ((cpus[0] == '\n' || !cpus[0]) && number_of(path, key) > 0)
			return nid;
	}

	return NO_NODE;
}

static inline int set_policy(int mode, int node_a, int node_b)
{
	unsigned long mask = 1UL << node_a | 1UL << node_b;

	return syscall(__NR_set_mempolicy, mode, mode == MPOL_DEFAULT ? NULL : &mask,
		       mode == MPOL_DEFAULT ? 0 : sizeof(mask) * 8);
}

/*
 * Read a page of memory by its PFN as the kernel sees it. What was freed of the
 * kernel image is in two areas, one of which has no memory any more; so an area
 * that shows something goes before one that shows zeroes.
 */
static inline int read_kcore(unsigned long pfn, char *buf)
{
	unsigned long long phys = (unsigned long long)pfn * psize();
	int fd = open("/proc/kcore", O_RDONLY), ret = -ENOENT;
	Elf64_Ehdr head;
	Elf64_Phdr area;

	if (fd < 0)
		return -errno;
	if (pread(fd, &head, sizeof(head), 0) != sizeof(head)) {
		close(fd);
		return -EIO;
	}
	for (int i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &area, sizeof(area), head.e_phoff + i * sizeof(area)) !=
		    sizeof(area))
			break;
		if (area.p_type != PT_LOAD || area.p_paddr == (Elf64_Addr)-1 ||
		    phys < area.p_paddr || phys >= area.p_paddr + area.p_memsz)
			continue;
		if (pread(fd, buf, psize(), area.p_offset + phys - area.p_paddr) != psize()) {
			if (ret)
				ret = -EIO;
			continue;
		}
		ret = 0;
		if (!all_zero(buf, psize()))
			break;
	}
	close(fd);

	return ret;
}

/* The result of writing a state, or -ETIME if it took too long. */
static inline int set_block(unsigned long block, const char *state)
{
	int status, seconds = 0;
	char path[64];
	pid_t child;

	snprintf(path, sizeof(path), BLOCKS "memory%lu/state", block);
	child = fork();
	if (child < 0)
		return -errno;
	if (!child)
		_exit(-write_text(path, state));
	while (!waitpid(child, &status, WNOHANG)) {
		usleep(10000);
		if (++seconds < AT_ONCE_SECONDS * 100)
			continue;
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		return -ETIME;
	}

	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

static inline unsigned long block_pages(void)
{
	FILE *file = fopen(BLOCKS "block_size_bytes", "r");
	unsigned long bytes = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lx", &bytes) != 1)
		bytes = 0;
	fclose(file);

	return bytes / psize();
}

#endif /* _SECRETMEM_H */
