// SPDX-License-Identifier: GPL-2.0
/* Programs whose time and events are taken, on several CPUs: populating memory, bystanders, scaling. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user.h"

/*
 * A flush waits for all CPUs, and on a host with fewer of them than the guest has, or a busy one, that takes its time:
 * memory is populated for this long at most.
 */
#define LIMIT_NS	2e9

/* The bystander's phases. */
#define PHASES		11
#define PHASE_NS	100e6

static int cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("cannot run on CPU %d: %s", cpu, strerror(errno));
}

static const char *const events[] = {
	"direct_map_level2_splits", "direct_map_level3_splits",
	"direct_map_level2_collapses", "direct_map_level3_collapses",
};

static char *map_file(const char *kind, size_t size)
{
	int fd = !strcmp(kind, "secretmem") ? syscall(SYS_memfd_secret, 0) : memfd_create("bench", 0);
	char *area;

	if (fd < 0 || ftruncate(fd, size))
		die("%s: %s", kind, strerror(errno));
	area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (area == MAP_FAILED)
		die("%s: mmap: %s", kind, strerror(errno));
	return area;
}

static int by_value(const void *left, const void *right)
{
	float a = *(const float *)left, b = *(const float *)right;

	return (a > b) - (a < b);
}

/* The time of each page's first touch, as mean, quantiles and a histogram by powers of two. */
static void print_latency(float *ns, long nr)
{
	double sum = 0;
	unsigned long limit;
	long i, below;

	qsort(ns, nr, sizeof(*ns), by_value);
	for (i = 0; i < nr; i++)
		sum += ns[i];
	print_figure("ns_mean", sum / nr);
	print_figure("ns_median", ns[nr / 2]);
	print_figure("ns_p99", ns[nr * 99 / 100]);
	print_figure("ns_max", ns[nr - 1]);
	for (i = 0, limit = 1024; i < nr; limit *= 2) {
		for (below = i; i < nr && ns[i] < limit; i++)
			;
		printf("H latency %lu %ld\n", limit, i - below);
	}
}

static volatile int stop;

static void *run_nothing(void *unused)
{
	while (!stop)
		;
	return NULL;
}

/* Threads of ours on all other CPUs: a flush of the TLB reaches only CPUs that are not idle. */
static pthread_t *start_others(void *(*run)(void *), int nr)
{
	pthread_t *threads = calloc(nr, sizeof(*threads));
	int i;

	stop = 0;
	for (i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)(i + 1)))
			die("no thread: %s", strerror(errno));
	return threads;
}

static void end_others(pthread_t *threads, int nr)
{
	int i;

	stop = 1;
	for (i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

/* Touch one page after the other, until time is up; the time of each goes to ns, if there is such. Returns how many. */
static long touch_pages(volatile char *area, long nr, float *ns, double limit)
{
	double begin = ns_now(), last = begin, now;
	long i;

	for (i = 0; i < nr && last < begin + limit; i++) {
		area[i * PAGE] = 1;
		now = ns_now();
		if (ns)
			ns[i] = now - last;
		last = now;
	}
	return i;
}

/* populate KIND MIB: touch each page of a file of secret or shared memory; interrupts are per page of 4 KiB. */
int cmd_populate(int argc, char **argv)
{
	long nr = strtol(argv[2], NULL, 10) * (MIB / PAGE), done, again, i;
	uint64_t before[ARRAY_SIZE(events)], ipis;
	float *ns = calloc(nr, sizeof(*ns));
	int others = cpus() - 1;
	pthread_t *threads;
	char *area;

	touch((char *)ns, nr * sizeof(*ns), PAGE);
	area = map_file(argv[1], nr * PAGE);
	pin(0);
	threads = start_others(run_nothing, others);
	for (i = 0; i < (long)ARRAY_SIZE(events); i++)
		before[i] = vmstat(events[i]);
	/* A flush of kernel addresses counts as a call, one of user addresses as a TLB shootdown. */
	ipis = interrupts("TLB") + interrupts("CAL");
	done = touch_pages(area, nr, ns, LIMIT_NS);
	print_figure("ipis", (double)(interrupts("TLB") + interrupts("CAL") - ipis) / done);
	munmap(area, nr * PAGE);
	/* Splits and collapses are for all of the memory, or for nothing. */
	for (i = 0; done == nr && i < (long)ARRAY_SIZE(events); i++)
		print_figure(events[i], vmstat(events[i]) - before[i]);
	/* Again, with what has been freed. */
	area = map_file(argv[1], nr * PAGE);
	ipis = interrupts("TLB") + interrupts("CAL");
	again = touch_pages(area, nr, NULL, LIMIT_NS);
	print_figure("ipis_again", (double)(interrupts("TLB") + interrupts("CAL") - ipis) / again);
	munmap(area, nr * PAGE);
	end_others(threads, others);
	print_latency(ns, done);
	return 0;
}

static uint64_t direct_map_4k(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long value = 0;
	char line[256];

	if (!file)
		die("no /proc/meminfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "DirectMap4k: %lu", &value) == 1)
			break;
	fclose(file);
	return value;
}

/*
 * secret_kept MIB: what is left of secret memory when it has been freed: kB of the direct map that are small pages since, and MiB
 * that nobody else has got, though somebody took all there was until he was killed.
 */
int cmd_secret_kept(int argc, char **argv)
{
	long nr = strtol(argv[1], NULL, 10) * (MIB / PAGE);
	uint64_t before = direct_map_4k();
	char *area = map_file("secretmem", nr * PAGE);
	int fd, status;
	pid_t child;

	touch(area, nr * PAGE, PAGE);
	munmap(area, nr * PAGE);
	print_figure("map_4k", direct_map_4k() - before);
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child) {
		prctl(PR_SET_NAME, "bench-hog");
		fd = open("/proc/self/oom_score_adj", O_WRONLY);
		if (fd < 0 || write(fd, "1000", 4) != 4)
			_exit(1);
		for (;;)
			touch(map_anonymous(2 * MIB), 2 * MIB, PAGE);
	}
	if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
		die("nobody took all memory: %x", status);
	/* What CPUs have counted is in the sum after that. */
	write_sysctl("/proc/sys/vm/stat_refresh", "1");
	print_figure("kept", (double)vmstat("nr_free_unmapped") * PAGE / MIB);
	return 0;
}

/* What a file of debugfs tells of the pools. */
static double pool_figure(const char *name)
{
	FILE *file = fopen("/sys/kernel/debug/unmapped/stats", "r");
	unsigned long value;
	char word[64];
	int found = 0;

	if (!file)
		die("no figures of unmapped memory: %s", strerror(errno));
	while (!found && fscanf(file, "%63s %lu", word, &value) == 2)
		found = !strcmp(word, name);
	fclose(file);
	if (!found)
		die("unmapped memory: no figure %s", name);
	return value;
}

static char *populated(long nr)
{
	char *area = map_file("secretmem", nr * PAGE);

	touch(area, nr * PAGE, PAGE);
	return area;
}

/*
 * secret_rounds MIB: how often TLBs are flushed for so much secret memory, for as much more, and for the same again when all has
 * been freed.
 */
int cmd_secret_rounds(int argc, char **argv)
{
	long nr = strtol(argv[1], NULL, 10) * (MIB / PAGE);
	double start = pool_figure("rounds"), then;
	char *first = populated(nr), *second;

	print_figure("rounds", pool_figure("rounds") - start);
	then = pool_figure("rounds");
	second = populated(nr);
	print_figure("rounds_next", pool_figure("rounds") - then);
	munmap(first, nr * PAGE);
	munmap(second, nr * PAGE);
	then = pool_figure("rounds");
	first = populated(nr);
	print_figure("rounds_again", pool_figure("rounds") - then);
	munmap(first, nr * PAGE);
	return 0;
}

/* Work that needs the TLB: reads one word of each of many pages, round and round. */
static uint64_t work_done[64][8];

static void *tlb_work(void *number)
{
	enum { PAGES = 512 };
	volatile char *area = map_small(PAGES * PAGE);
	uint64_t *done = work_done[(uintptr_t)number % ARRAY_SIZE(work_done)];
	int i;

	pin((uintptr_t)number);
	touch(area, PAGES * PAGE, PAGE);
	while (!stop) {
		for (i = 0; i < PAGES; i++)
			(void)area[i * PAGE];
		__atomic_fetch_add(done, 1, __ATOMIC_RELAXED);
	}
	munmap((void *)area, PAGES * PAGE);
	return NULL;
}

static uint64_t work_sum(void)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(work_done); i++)
		sum += __atomic_load_n(work_done[i], __ATOMIC_RELAXED);
	return sum;
}

/* How fast the others work, in rounds per ns, while this thread touches pages; NULL: while it just keeps its CPU busy. */
static double work_rate(char *area, long nr, long *touched)
{
	uint64_t before = work_sum();
	double start = ns_now();

	if (area)
		*touched += touch_pages(area + *touched * PAGE, nr - *touched, NULL, PHASE_NS);
	else
		while (ns_now() < start + PHASE_NS)
			;
	return (work_sum() - before) / (ns_now() - start);
}

/*
 * bystander KIND MIB: how much slower others' work gets while one thread populates memory. The populating thread
 * is busy in both phases, so that on a host with fewer CPUs than the guest both phases share them alike. The phases
 * are short and take turns: what else the host and the guest do is in both.
 */
int cmd_bystander(int argc, char **argv)
{
	long nr = strtol(argv[2], NULL, 10) * (MIB / PAGE), touched = 0;
	int others = cpus() - 1;
	double alone, together;
	pthread_t *threads;
	char *area;
	int i;

	if (others < 1)
		die("bystander: needs two CPUs");
	area = map_file(argv[1], nr * PAGE);
	pin(0);
	threads = start_others(tlb_work, others);
	usleep(200000);
	for (i = 0; i < PHASES && touched < nr; i++) {
		alone = work_rate(NULL, 0, NULL);
		together = work_rate(area, nr, &touched);
		/* The last one can be cut short. */
		if (touched < nr && together)
			print_sample("slowdown", 1000, 1000 * alone / together);
	}
	end_others(threads, others);
	munmap(area, nr * PAGE);
	return 0;
}

static pthread_barrier_t barrier;
static size_t each;

static void *fault_work(void *number)
{
	char *area = map_small(each);

	pin((uintptr_t)number);
	pthread_barrier_wait(&barrier);
	touch(area, each, PAGE);
	pthread_barrier_wait(&barrier);
	munmap(area, each);
	return NULL;
}

/* scaling MIB: anonymous faults of a thread on each CPU, MIB of memory each; nanoseconds per fault and CPU. */
int cmd_scaling(int argc, char **argv)
{
	int others = cpus() - 1;
	pthread_t *threads;
	double start, ns;
	char *area;

	each = strtoul(argv[1], NULL, 10) * MIB;
	pthread_barrier_init(&barrier, NULL, others + 1);
	threads = start_others(fault_work, others);
	area = map_small(each);
	pin(0);
	pthread_barrier_wait(&barrier);
	start = ns_now();
	touch(area, each, PAGE);
	pthread_barrier_wait(&barrier);
	ns = ns_now() - start;
	end_others(threads, others);
	munmap(area, each);
	print_figure("ns_fault", ns / (each / PAGE));
	return 0;
}
