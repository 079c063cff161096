// SPDX-License-Identifier: GPL-2.0
/*
 * secretmem_bench - what it costs to populate and to free secret memory
 *
 * Populates memory of memfd_secret(2) by one or more threads, a page at a time,
 * and prints how long the pages took, what freeing them took, the interrupts
 * that other CPUs got, what was done to the direct map, and how much slower
 * bystanders were that have nothing to do with it. Where memory of that kind is
 * kept when it is free, a process that needs memory shows whether it gets it.
 *
 * Only files that all kernels have are read. What a kernel does not count is
 * printed as "-".
 */

#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef __NR_memfd_secret
#define __NR_memfd_secret 447
#endif

#define MAX_CPUS	1024
#define MAX_MIB		(1UL << 20)
#define MAX_ROUNDS	1000
/* What a bystander walks through: more than a TLB has entries for. */
#define BYSTANDER_PAGES	4096
#define UNKNOWN		(-1L)

enum kind { SECRET, SHMEM };

static const char * const kinds[] = { "secret", "shmem" };

static struct {
	unsigned long mib;
	unsigned long threads;
	unsigned long rounds;
	unsigned long bystanders;
	unsigned long hog;
	enum kind kind;
	bool hold;
	bool only_max;
	bool ticks;
	bool verify;
} opt = {
	.mib = 64,
	.threads = 1,
	.rounds = 2,
};

static size_t page_size;
static int cpus[MAX_CPUS];
static int nr_cpus;

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("secretmem_bench: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static void usage(FILE *out)
{
	fprintf(out,
		"Usage: secretmem_bench [options]\n"
		"  -s, --size MIB        memory to populate (default 64)\n"
		"  -t, --threads N       by 1, 2, 4 ... and N threads, each on a CPU of its own\n"
		"                        (default 1)\n"
		"  -o, --only            by N threads alone\n"
		"  -r, --rounds N        how often (default 2); the first round may be colder\n"
		"  -b, --bystanders N    threads on further CPUs that touch memory of their own\n"
		"                        (default 0)\n"
		"  -g, --hog MIB         then let a process use so much ordinary memory, and tell\n"
		"                        what of the memory that was freed is still kept for later\n"
		"  -H, --hold            then populate once more, and keep that until it is killed\n"
		"  -k, --kind KIND       secret (default), or shmem to compare with\n"
		"  -T, --ticks           times in ticks of the TSC, which are instructions under\n"
		"                        qemu -icount shift=0, instead of nanoseconds\n"
		"  -v, --verify          look whether all memory is zero at first, and leave\n"
		"                        something else in it\n"
		"  -h, --help            this text\n");
}

static unsigned long number(const char *what, const char *text, unsigned long min,
			    unsigned long max)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	/* strtoul() takes a sign and spaces, and makes large numbers of "-1". */
	if (*text < '0' || *text > '9' || *end || errno || value < min || value > max)
		die("%s is a number from %lu to %lu, not '%s'", what, min, max, text);

	return value;
}

static void parse(int argc, char **argv)
{
	static const struct option words[] = {
		{ "size", required_argument, NULL, 's' },
		{ "threads", required_argument, NULL, 't' },
		{ "only", no_argument, NULL, 'o' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "bystanders", required_argument, NULL, 'b' },
		{ "hog", required_argument, NULL, 'g' },
		{ "hold", no_argument, NULL, 'H' },
		{ "kind", required_argument, NULL, 'k' },
		{ "ticks", no_argument, NULL, 'T' },
		{ "verify", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ },
	};
	int c;

	while ((c = getopt_long(argc, argv, "s:t:or:b:g:Hk:Tvh", words, NULL)) != -1) {
		switch (c) {
		case 's':
			opt.mib = number("--size", optarg, 1, MAX_MIB);
			break;
		case 't':
			opt.threads = number("--threads", optarg, 1, MAX_CPUS);
			break;
		case 'o':
			opt.only_max = true;
			break;
		case 'r':
			opt.rounds = number("--rounds", optarg, 1, MAX_ROUNDS);
			break;
		case 'b':
			opt.bystanders = number("--bystanders", optarg, 0, MAX_CPUS);
			break;
		case 'g':
			opt.hog = number("--hog", optarg, 1, MAX_MIB);
			break;
		case 'H':
			opt.hold = true;
			break;
		case 'k':
			if (!strcmp(optarg, kinds[SECRET]))
				opt.kind = SECRET;
			else if (!strcmp(optarg, kinds[SHMEM]))
				opt.kind = SHMEM;
			else
				die("--kind is secret or shmem, not '%s'", optarg);
			break;
		case 'T':
#ifndef __x86_64__
			die("--ticks needs an x86-64 CPU");
#endif
			opt.ticks = true;
			break;
		case 'v':
			opt.verify = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			/* getopt_long() has said what is wrong. */
			usage(stderr);
			exit(1);
		}
	}
	if (optind < argc)
		die("'%s' is not an option; --help lists them", argv[optind]);
}

static void find_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		die("sched_getaffinity: %s", strerror(errno));
	for (int cpu = 0; cpu < CPU_SETSIZE && nr_cpus < MAX_CPUS; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[nr_cpus++] = cpu;
	if (opt.threads + opt.bystanders > (unsigned long)nr_cpus)
		die("%lu threads and %lu bystanders need %lu CPUs, there are %d",
		    opt.threads, opt.bystanders, opt.threads + opt.bystanders, nr_cpus);
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("CPU %d cannot be used: %s", cpu, strerror(errno));
}

static inline uint64_t ticks(void)
{
#ifdef __x86_64__
	unsigned int low, high;

	asm volatile("rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (uint64_t)high << 32 | low;
#else
	return 0;
#endif
}

static inline uint64_t nanoseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline uint64_t now(void)
{
	return opt.ticks ? ticks() : nanoseconds();
}

/* What the kernel counts. */
struct counters {
	long split_2m, split_1g;	/* Leaves of that size */
	long map_4k, map_2m, map_1g;	/* kB */
	long flushes;			/* Only with CONFIG_DEBUG_TLBFLUSH */
	long calls[MAX_CPUS];		/* Function call interrupts of each CPU */
	int nr_calls;
};

static long number_in(const char *path, const char *key)
{
	FILE *file = fopen(path, "r");
	size_t len = strlen(key);
	long value = UNKNOWN;
	char line[256];

	if (!file)
		return UNKNOWN;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, len) && (line[len] == ' ' || line[len] == ':')) {
			if (sscanf(line + len, "%*[: ]%ld", &value) != 1)
				value = UNKNOWN;
			break;
		}
	fclose(file);

	return value;
}

static void read_interrupts(struct counters *c)
{
	FILE *file = fopen("/proc/interrupts", "r");
	char *line = NULL, *word, *end;
	size_t size = 0;

	c->nr_calls = 0;
	if (!file)
		return;
	while (getline(&line, &size, file) > 0) {
		word = line + strspn(line, " ");
		if (strncmp(word, "CAL:", 4))
			continue;
		for (word += 4; c->nr_calls < MAX_CPUS; word = end) {
			long value = strtol(word, &end, 10);

			if (end == word)
				break;
			c->calls[c->nr_calls++] = value;
		}
	}
	free(line);
	fclose(file);
}

static void read_counters(struct counters *c)
{
	c->split_2m = number_in("/proc/vmstat", "direct_map_level2_splits");
	c->split_1g = number_in("/proc/vmstat", "direct_map_level3_splits");
	c->map_4k = number_in("/proc/meminfo", "DirectMap4k");
	c->map_2m = number_in("/proc/meminfo", "DirectMap2M");
	c->map_1g = number_in("/proc/meminfo", "DirectMap1G");
	c->flushes = number_in("/proc/vmstat", "nr_tlb_remote_flush");
	read_interrupts(c);
}

static const char *difference(long before, long after)
{
	static char texts[4][24];
	static int next;
	char *text = texts[next++ % 4];

	if (before == UNKNOWN || after == UNKNOWN)
		return "-";
	snprintf(text, sizeof(texts[0]), "%ld", after - before);

	return text;
}

/* Threads that populate, and threads that are only there. */
struct worker {
	pthread_t thread;
	int cpu;
	char *mem;
	size_t first, nr;
	uint64_t *times;
};

struct bystander {
	pthread_t thread;
	int cpu;
	char *mem;
	unsigned long walks;
	bool stop;
};

static pthread_barrier_t barrier;

static void *populate(void *data)
{
	struct worker *w = data;
	uint64_t before, after;

	run_on(w->cpu);
	pthread_barrier_wait(&barrier);
	before = now();
	for (size_t i = w->first; i < w->first + w->nr; i++) {
		*(volatile char *)(w->mem + i * page_size) = 1;
		after = now();
		w->times[i] = after - before;
		before = after;
	}

	return NULL;
}

static void *stand_by(void *data)
{
	struct bystander *b = data;

	run_on(b->cpu);
	pthread_barrier_wait(&barrier);
	while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED)) {
		for (size_t i = 0; i < BYSTANDER_PAGES; i++)
			(*(volatile unsigned long *)(b->mem + i * page_size))++;
		__atomic_store_n(&b->walks, b->walks + 1, __ATOMIC_RELAXED);
	}

	return NULL;
}

static void create(pthread_t *thread, void *(*start)(void *), void *data)
{
	int err = pthread_create(thread, NULL, start, data);

	if (err)
		die("pthread_create: %s", strerror(err));
}

static void *allocate(size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (mem == MAP_FAILED)
		die("no memory for %zu MiB of results and bystanders", size >> 20);

	return mem;
}

static int open_file(void)
{
	int fd;

	if (opt.kind == SHMEM)
		fd = memfd_create("secretmem_bench", 0);
	else
		fd = syscall(__NR_memfd_secret, 0);
	if (fd < 0 && errno == ENOSYS)
		die("this kernel has no %s memory", kinds[opt.kind]);
	if (fd < 0)
		die("no file of %s memory: %s", kinds[opt.kind], strerror(errno));

	return fd;
}

/* Memory of memfd_secret() is locked memory. */
static void raise_limit(size_t size)
{
	struct rlimit limit;

	if (opt.kind != SECRET)
		return;
	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		die("getrlimit: %s", strerror(errno));
	if (limit.rlim_cur >= size)
		return;
	limit.rlim_cur = size;
	if (limit.rlim_max < size)
		limit.rlim_max = size;
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		die("%lu MiB need a limit of locked memory (ulimit -l) of %zu KiB at least",
		    opt.mib, size >> 10);
}

static void verify_and_soil(char *mem, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		char *page = mem + i * page_size;

		if (*page != 1)
			die("page %zu does not have what was written to it", i);
		for (size_t j = 1; j < page_size; j++)
			if (page[j])
				die("byte %zu of page %zu was not zero", j, i);
		memset(page, 0x5a, page_size);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_times(uint64_t *times, size_t nr)
{
	static const struct {
		const char *name;
		unsigned int per_mille;
	} parts[] = {
		{ "min", 0 }, { "p50", 500 }, { "p90", 900 }, { "p99", 990 },
		{ "p99.9", 999 }, { "max", 1000 },
	};
	uint64_t sum = 0;

	qsort(times, nr, sizeof(*times), compare);
	for (size_t i = 0; i < nr; i++)
		sum += times[i];
	printf("  populate   mean %llu", (unsigned long long)(sum / nr));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		printf("  %s %llu", parts[i].name,
		       (unsigned long long)times[(nr - 1) * parts[i].per_mille / 1000]);
	printf("  %s per page\n", opt.ticks ? "ticks" : "ns");
}

static void print_counters(const struct counters *before, const struct counters *after)
{
	long sum = 0, most = 0;

	/*
	 * A flush interrupts each CPU but the one that does it. So who took the
	 * most interrupts knows how many there were, except those of its own.
	 */
	for (int i = 0; i < after->nr_calls && i < before->nr_calls; i++) {
		long calls = after->calls[i] - before->calls[i];

		sum += calls;
		if (calls > most)
			most = calls;
	}
	if (!after->nr_calls || nr_cpus < 2)
		printf("  IPIs       -\n");
	else
		printf("  IPIs       %ld  per GiB %.0f  flush rounds %ld  per GiB %.0f\n", sum,
		       sum * 1024.0 / opt.mib, most, most * 1024.0 / opt.mib);
	printf("  user TLB   remote flushes %s\n", difference(before->flushes, after->flushes));
	printf("  direct map splits of 2M %s  of 1G %s  4K %s kB  2M %s kB",
	       difference(before->split_2m, after->split_2m),
	       difference(before->split_1g, after->split_1g),
	       difference(before->map_4k, after->map_4k),
	       difference(before->map_2m, after->map_2m));
	printf("  1G %s kB\n", difference(before->map_1g, after->map_1g));
}

static unsigned long walks_of(struct bystander *all)
{
	unsigned long sum = 0;

	for (unsigned long i = 0; i < opt.bystanders; i++)
		sum += __atomic_load_n(&all[i].walks, __ATOMIC_RELAXED);

	return sum;
}

static char *map_file(int fd, size_t size)
{
	char *mem;

	if (ftruncate(fd, size))
		die("ftruncate: %s", strerror(errno));
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	/* A page of shmem is to be compared with a page. */
	madvise(mem, size, MADV_NOHUGEPAGE);

	return mem;
}

static void one_round(unsigned long threads, unsigned long round)
{
	size_t nr = (opt.mib << 20) / page_size, done = 0;
	uint64_t *times = allocate(nr * sizeof(*times));
	uint64_t began, ended, before, after, populated = 0, quiet_time;
	struct bystander *standing;
	unsigned long quiet, walked;
	struct counters old, new;
	struct worker *workers;
	char *mem;
	int fd;

	fd = open_file();
	mem = map_file(fd, nr * page_size);

	workers = calloc(threads, sizeof(*workers));
	standing = calloc(opt.bystanders + 1, sizeof(*standing));
	if (!workers || !standing)
		die("out of memory");

	/* Bystanders first, to see what they do when nobody is in their way. */
	pthread_barrier_init(&barrier, NULL, opt.bystanders + 1);
	for (unsigned long i = 0; i < opt.bystanders; i++) {
		standing[i].cpu = cpus[nr_cpus - 1 - i];
		standing[i].mem = allocate(BYSTANDER_PAGES * page_size);
		create(&standing[i].thread, stand_by, &standing[i]);
	}
	pthread_barrier_wait(&barrier);
	quiet_time = nanoseconds();
	quiet = walks_of(standing);
	if (opt.bystanders)
		usleep(500000);
	quiet = walks_of(standing) - quiet;
	quiet_time = nanoseconds() - quiet_time;
	pthread_barrier_destroy(&barrier);

	pthread_barrier_init(&barrier, NULL, threads + 1);
	for (unsigned long i = 0; i < threads; i++) {
		struct worker *w = &workers[i];

		*w = (struct worker){ .cpu = cpus[i], .mem = mem, .times = times };
		w->first = done;
		w->nr = (nr - done) / (threads - i);
		done += w->nr;
		create(&w->thread, populate, w);
	}
	read_counters(&old);
	walked = walks_of(standing);
	began = nanoseconds();
	pthread_barrier_wait(&barrier);
	for (unsigned long i = 0; i < threads; i++)
		pthread_join(workers[i].thread, NULL);
	ended = nanoseconds();
	walked = walks_of(standing) - walked;
	read_counters(&new);
	pthread_barrier_destroy(&barrier);
	for (unsigned long i = 0; i < opt.bystanders; i++) {
		__atomic_store_n(&standing[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(standing[i].thread, NULL);
		munmap(standing[i].mem, BYSTANDER_PAGES * page_size);
	}

	printf("%s memory, %lu MiB, %lu thread%s, round %lu: %.1f MiB/s\n", kinds[opt.kind],
	       opt.mib, threads, threads > 1 ? "s" : "", round,
	       opt.mib * 1e9 / (ended - began));
	for (size_t i = 0; i < nr; i++)
		populated += times[i];
	print_times(times, nr);
	print_counters(&old, &new);
	/* A few walks tell nothing. */
	if (opt.bystanders && walked >= 20 && quiet >= 20)
		printf("  bystanders %lu on CPUs of their own: %.1f %% of their speed\n",
		       opt.bystanders,
		       100.0 * walked / (ended - began) * quiet_time / quiet);
	else if (opt.bystanders)
		printf("  bystanders %lu on CPUs of their own: too short to tell\n",
		       opt.bystanders);

	if (opt.verify)
		verify_and_soil(mem, nr);
	before = now();
	munmap(mem, nr * page_size);
	close(fd);
	after = now();
	printf("  free       mean %llu  with populate %llu  %s per page\n",
	       (unsigned long long)((after - before) / nr),
	       (unsigned long long)((after - before + populated) / nr),
	       opt.ticks ? "ticks" : "ns");
	fflush(stdout);

	free(workers);
	free(standing);
	munmap(times, nr * sizeof(*times));
}

/* What is free, and absent from the direct map, in pages. */
static const char *kept(void)
{
	return difference(0, number_in("/proc/vmstat", "nr_free_unmapped"));
}

static void hog_memory(void)
{
	struct counters old, new;
	pid_t child;
	int status;

	read_counters(&old);
	printf("hog of %lu MiB: kept without mapping %s pages before", opt.hog, kept());
	fflush(stdout);
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child) {
		allocate(opt.hog << 20);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child)
		die("waitpid: %s", strerror(errno));
	read_counters(&new);
	printf("  %s after  direct map 4K %s kB  2M %s kB%s\n", kept(),
	       difference(old.map_4k, new.map_4k), difference(old.map_2m, new.map_2m),
	       status ? "  (it could not have all of it)" : "");
}

static void __attribute__((noreturn)) hold_memory(void)
{
	size_t size = opt.mib << 20;
	char *mem = map_file(open_file(), size);

	for (size_t i = 0; i < size; i += page_size)
		mem[i] = 1;
	printf("holding %lu MiB of %s memory\n", opt.mib, kinds[opt.kind]);
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	page_size = sysconf(_SC_PAGESIZE);
	find_cpus();
	raise_limit(opt.mib << 20);

	for (unsigned long threads = opt.only_max ? opt.threads : 1;;) {
		for (unsigned long round = 1; round <= opt.rounds; round++)
			one_round(threads, round);
		if (threads == opt.threads)
			break;
		threads = 2 * threads < opt.threads ? 2 * threads : opt.threads;
	}
	if (opt.hog)
		hog_memory();
	if (opt.hold)
		hold_memory();

	return 0;
}
