// SPDX-License-Identifier: GPL-2.0-only
/*
 * private_bind [--strict | --interleave | --weighted] NODES COMMAND [ARG...]
 *
 * Run a command with its memory on private NUMA nodes, and if that cannot be,
 * say why and what to do about it. See
 * Documentation/admin-guide/mm/private-nodes-use.rst.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of <linux/mempolicy.h>, which may be older than this program */
#define MPOL_BIND			2
#define MPOL_INTERLEAVE			3
#define MPOL_PREFERRED_MANY		5
#define MPOL_WEIGHTED_INTERLEAVE	6
#define MPOL_F_STATIC_NODES		(1 << 15)
#define MPOL_F_PRIVATE			(1 << 12)
#define MPOL_F_MEMS_ALLOWED		(1 << 2)

#define MAX_NODES	4096
#define NODES		"/sys/devices/system/node/"
/* As env(1) has them */
#define EXIT_REFUSED	125
#define EXIT_EXEC	126
#define EXIT_NOT_FOUND	127

#define BITS	(CHAR_BIT * sizeof(unsigned long))

struct mask {
	unsigned long bits[MAX_NODES / BITS];
};

static const char usage[] =
	"Usage: private_bind [OPTION] NODES COMMAND [ARG...]\n"
	"Run COMMAND with its memory on the private NUMA NODES, such as 2 or 0,2-3.\n"
	"When they are full it goes on with memory of other nodes, unless:\n"
	"  -s, --strict      use NODES alone: SIGBUS if they are private and full\n"
	"  -i, --interleave  use NODES in turn\n"
	"  -w, --weighted    use NODES in turn, by their weights\n"
	"  -l, --list        list the nodes that could be named now\n"
	"  -h, --help        show this\n";

static bool mask_has(const struct mask *mask, unsigned int node)
{
	return mask->bits[node / BITS] & (1UL << (node % BITS));
}

static void mask_set(struct mask *mask, unsigned int node)
{
	mask->bits[node / BITS] |= 1UL << (node % BITS);
}

/* A number at *text, which goes behind it; false if there is none or too large */
static bool parse_number(const char **text, unsigned long *value)
{
	char *end;

	if (!isdigit((unsigned char)**text))
		return false;
	errno = 0;
	*value = strtoul(*text, &end, 10);
	*text = end;
	return !errno && *value < MAX_NODES;
}

/* "0,2-3", maybe with a newline behind it */
static bool parse_list(const char *text, struct mask *mask)
{
	unsigned long first, last;

	memset(mask, 0, sizeof(*mask));
	do {
		if (!parse_number(&text, &first))
			return false;
		last = first;
		if (*text == '-') {
			text++;
			if (!parse_number(&text, &last) || last < first)
				return false;
		}
		for (; first <= last; first++)
			mask_set(mask, first);
	} while (*text == ',' && text++);
	return !*text || !strcmp(text, "\n");
}

static void print_list(FILE *out, const struct mask *mask)
{
	const char *comma = "";
	unsigned int node;

	for (node = 0; node < MAX_NODES; node++) {
		if (!mask_has(mask, node))
			continue;
		fprintf(out, "%s%u", comma, node);
		comma = ",";
	}
	fputc('\n', out);
}

/* The nodes of a file of sysfs; none if it has none or is not there */
static bool read_nodes(const char *file, struct mask *mask)
{
	char path[128], text[MAX_NODES];
	ssize_t len;
	int fd;

	memset(mask, 0, sizeof(*mask));
	snprintf(path, sizeof(path), NODES "%s", file);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len < 0)
		return false;
	text[len] = '\0';
	parse_list(text, mask);
	return true;
}

/* What the kernel says could be named now; false: it does not know the question */
static bool nameable(struct mask *mask)
{
	memset(mask, 0, sizeof(*mask));
	return !syscall(SYS_get_mempolicy, NULL, mask->bits, MAX_NODES, NULL,
			MPOL_F_MEMS_ALLOWED | MPOL_F_PRIVATE);
}

/* The cgroup of version 2 that the program is in, or "" */
static void own_cgroup(char *cgroup, size_t size)
{
	char line[PATH_MAX];
	FILE *file = fopen("/proc/self/cgroup", "r");

	*cgroup = '\0';
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "0::", 3))
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(cgroup, size, "%s", line + 3);
	}
	fclose(file);
}

static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("private_bind: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

/* Why set_mempolicy() said EPERM, and the way out */
static void explain_permission(void)
{
	char cgroup[PATH_MAX];

	own_cgroup(cgroup, sizeof(cgroup));
	say("no permission. That takes a cgroup that was granted the node,");
	say("or CAP_SYS_NICE in a cgroup that does not leave the node out.");
	if (!strcmp(cgroup, "/")) {
		say("You are in the root cgroup, which is granted nothing, or in");
		say("that of a container, which was not.");
		return;
	}
	if (*cgroup)
		say("Yours is %s.", cgroup);
	say("Root grants a node by writing it to cpuset.mems, with the others.");
}

static void explain(int error, const struct mask *nodes)
{
	struct mask private, online, can_name;
	unsigned int node;
	bool any = false;

	if (error != EINVAL && error != EOPNOTSUPP && error != EPERM) {
		say("set_mempolicy: %s", strerror(error));
		return;
	}
	if (!nameable(&can_name)) {
		say("this kernel has no private nodes (CONFIG_PRIVATE_NODES)");
		return;
	}
	if (error == EPERM) {
		explain_permission();
		return;
	}
	if (error == EOPNOTSUPP) {
		say("the owner of the node does not let users in.");
		say("For a dax device: unplug it, add \"user\" to its private/features");
		say("and plug it again.");
		return;
	}

	read_nodes("has_private_memory", &private);
	read_nodes("online", &online);
	for (node = 0; node < MAX_NODES; node++) {
		if (!mask_has(nodes, node) || mask_has(&private, node))
			continue;
		any = true;
		say("node %u %s", node, mask_has(&online, node) ?
		    "is not private: numactl is for such nodes" :
		    "has no memory: is its device plugged?");
	}
	if (!any)
		say("set_mempolicy: %s", strerror(error));
	fputs("private_bind: nodes with private memory: ", stderr);
	print_list(stderr, &private);
}

/* Of what was named the kernel has taken what could be named alone. */
static void tell_left_out(const struct mask *nodes)
{
	struct mask private, can_name;
	unsigned int node;

	read_nodes("has_private_memory", &private);
	if (!nameable(&can_name))
		return;
	for (node = 0; node < MAX_NODES; node++) {
		if (mask_has(nodes, node) && mask_has(&private, node) &&
		    !mask_has(&can_name, node))
			say("node %u is left out: you could not name it alone", node);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "strict", no_argument, NULL, 's' },
		{ "interleave", no_argument, NULL, 'i' },
		{ "weighted", no_argument, NULL, 'w' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int option, mode = MPOL_PREFERRED_MANY;
	bool list = false;
	struct mask nodes;

	/* "+": what stands behind COMMAND is its own */
	while ((option = getopt_long(argc, argv, "+siwlh", options, NULL)) != -1) {
		switch (option) {
		case 's':
		case 'i':
		case 'w':
			if (mode != MPOL_PREFERRED_MANY) {
				fputs(usage, stderr);
				return EXIT_REFUSED;
			}
			mode = option == 's' ? MPOL_BIND :
			       option == 'i' ? MPOL_INTERLEAVE :
					       MPOL_WEIGHTED_INTERLEAVE;
			break;
		case 'l':
			list = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return EXIT_REFUSED;
		}
	}

	if (list) {
		if (!nameable(&nodes)) {
			explain(EINVAL, &nodes);
			return EXIT_REFUSED;
		}
		print_list(stdout, &nodes);
		return fflush(stdout) ? EXIT_REFUSED : 0;
	}
	if (argc - optind < 2) {
		fputs(usage, stderr);
		return EXIT_REFUSED;
	}
	if (!parse_list(argv[optind], &nodes)) {
		say("'%s' is not a list of nodes, such as 2 or 0,2-3",
		    argv[optind]);
		return EXIT_REFUSED;
	}
	/* The kernel takes one bit less than it is told. */
	mode |= MPOL_F_STATIC_NODES | MPOL_F_PRIVATE;
	if (syscall(SYS_set_mempolicy, mode, nodes.bits, MAX_NODES + 1UL)) {
		explain(errno, &nodes);
		return EXIT_REFUSED;
	}
	tell_left_out(&nodes);

	execvp(argv[optind + 1], argv + optind + 1);
	say("%s: %s", argv[optind + 1], strerror(errno));
	return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_EXEC;
}
