// SPDX-License-Identifier: GPL-2.0
/* The user-space side of `make bench`: the dispatcher, and what its programs share. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user.h"

#define MPOL_BIND	2

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

double ns_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

void *map_anonymous(size_t size)
{
	void *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		die("mmap of %zu bytes: %s", size, strerror(errno));
	return area;
}

void *map_small(size_t size)
{
	void *area = map_anonymous(size);

	if (madvise(area, size, MADV_NOHUGEPAGE))
		die("MADV_NOHUGEPAGE: %s", strerror(errno));
	return area;
}

void bind_node(void *area, size_t size, int node)
{
	unsigned long mask = 1UL << node;

	if (syscall(SYS_mbind, area, size, MPOL_BIND, &mask, 8 * sizeof(mask), 0))
		die("mbind to node %d: %s", node, strerror(errno));
}

void touch(volatile char *area, size_t size, size_t step)
{
	size_t at;

	for (at = 0; at < size; at += step)
		area[at] = 1;
}

uint64_t pfn_of(const void *address)
{
	uint64_t entry;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)address / PAGE * 8) != 8)
		die("pagemap: %s", strerror(errno));
	close(fd);
	if (!(entry & 1UL << 63))
		die("%p is not mapped", address);
	return entry & ((1UL << 55) - 1);
}

void write_sysctl(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("%s: %s", path, strerror(errno));
	close(fd);
}

long read_long(const char *path)
{
	FILE *file = fopen(path, "r");
	long value;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

uint64_t vmstat(const char *name)
{
	FILE *file = fopen("/proc/vmstat", "r");
	char key[64];
	unsigned long value, found = 0;

	if (!file)
		die("no /proc/vmstat");
	while (fscanf(file, "%63s %lu", key, &value) == 2)
		if (!strcmp(key, name))
			found = value;
	fclose(file);
	return found;
}

uint64_t interrupts(const char *name)
{
	FILE *file = fopen("/proc/interrupts", "r");
	size_t len = strlen(name);
	char line[4096], *at;
	uint64_t sum = 0;

	if (!file)
		die("no /proc/interrupts");
	while (fgets(line, sizeof(line), file)) {
		at = line + strspn(line, " ");
		if (strncmp(at, name, len) || at[len] != ':')
			continue;
		for (at += len + 1; strspn(at + strspn(at, " "), "0123456789"); )
			sum += strtoul(at, &at, 10);
	}
	fclose(file);
	return sum;
}

static volatile uint64_t *rounds;
static pid_t spinner;

/* Two instructions a round. */
static void spin(void)
{
	struct sched_param param = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sched_setscheduler(0, SCHED_IDLE, &param))
		_exit(1);
	__asm__ volatile("1: incq (%0)\n"
			 "   jmp 1b\n" : : "r" (rounds) : "memory");
}

void busy_start(void)
{
	rounds = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (rounds == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	spinner = fork();
	if (!spinner)
		spin();
	if (spinner < 0)
		die("fork: %s", strerror(errno));
	while (!*rounds)
		usleep(1000);
}

uint64_t busy_ticks(void)
{
	return ticks() - 2 * *rounds;
}

void busy_stop(void)
{
	kill(spinner, SIGKILL);
	waitpid(spinner, NULL, 0);
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "faults", cmd_faults },
	{ "policies", cmd_policies },
	{ "private", cmd_private },
	{ "demote", cmd_demote },
	{ "forks", cmd_forks },
	{ "hotplug", cmd_hotplug },
	{ "secret", cmd_secret },
	{ "secret_twice", cmd_secret_twice },
	{ "secret_kept", cmd_secret_kept },
	{ "secret_rounds", cmd_secret_rounds },
	{ "secret_fragmented", cmd_secret_fragmented },
	{ "owner", cmd_owner },
	{ "owner_nodes", cmd_owner_nodes },
	{ "owner_count", cmd_owner_count },
	{ "mermap", cmd_mermap },
	{ "populate", cmd_populate },
	{ "bystander", cmd_bystander },
	{ "scaling", cmd_scaling },
};

int main(int argc, char **argv)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	size_t i;

	/* Secret memory counts as locked memory, root's as well. */
	if (setrlimit(RLIMIT_MEMLOCK, &unlimited))
		die("RLIMIT_MEMLOCK: %s", strerror(errno));
	for (i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	/* What `forks` executes. */
	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	die("no program %s", argc > 1 ? argv[1] : "named");
}
