# SPDX-License-Identifier: GPL-2.0
"""All mutants of a config in one kernel, build/kernel/all-mutants-CONFIG: the parameter mutant=NUMBER says which one is on,
and so does a file of sysfs while the kernel runs (check/together.py).

A mutant's number follows from its name, so that a new one leaves the files of the others as they are. A mutant that cannot
share a kernel (check/copies.py says when) or whose copy does not build is tried alone, and `alone` says why.

When the kernel parses the parameter it tells the mutant's number and name; without that line nothing counts that a boot shows.
It tells as well which functions with mutants ran before: those ran as they are, so their mutants are tried alone.
"""

import re
import zlib

from check import copies
from check.changed import MutatedKernel
from lib import console, paths
from lib.errors import CommandError

NOT_OF_THE_IMAGE = ("Documentation/", "arch/x86/boot/", "arch/x86/entry/vdso/", "samples/", "scripts/", "tools/", "usr/")
HOME = "init/main.c"        # where what follows is added
NONE = 0
KERNEL = """
/* Added by workbench/check/onekernel.py: which of the mutants in this kernel is on. */
unsigned int mutant_chosen = ~0U;
EXPORT_SYMBOL(mutant_chosen);

static const char *mutants_too_early[256];

void mutant_was_early(const char *name);
void mutant_was_early(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mutants_too_early) - 1; i++) {
		if (!mutants_too_early[i])
			mutants_too_early[i] = name;
		if (!strcmp(mutants_too_early[i], name))
			return;
	}
	mutants_too_early[i] = "*";
}
EXPORT_SYMBOL(mutant_was_early);

static const struct {
	unsigned int number;
	const char *name;
} mutants_by_number[] = {
%s};

static int mutant_choose(const char *text)
{
	const char *name = "unknown";
	unsigned int i, number;

	if (!text || kstrtouint(text, 10, &number))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(mutants_by_number); i++)
		if (mutants_by_number[i].number == number)
			name = mutants_by_number[i].name;
	pr_notice("mutant: %%u (%%s)\\n", number, name);
	WRITE_ONCE(mutant_chosen, number);
	return 0;
}

static int __init mutant_parameter(char *text)
{
	int ret = mutant_choose(text);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mutants_too_early); i++)
		if (mutants_too_early[i])
			pr_notice("mutant: too early for %%s()\\n", mutants_too_early[i]);
	return ret;
}
early_param("mutant", mutant_parameter);

/* While the kernel runs: /sys/module/main/parameters/mutant */
static int mutant_set(const char *text, const struct kernel_param *param)
{
	return mutant_choose(text);
}

static const struct kernel_param_ops mutant_ops = { .set = mutant_set };
module_param_cb(mutant, &mutant_ops, NULL, 0200);
"""

# KUnit runs a suite whole: /sys/module/kunit/parameters/only names the cases that run.
KUNIT = "lib/kunit/test.c"
KUNIT_RUN = "int kunit_run_tests(struct kunit_suite *suite)\n{\n"
KUNIT_EACH = """	kunit_suite_for_each_test_case(suite, test_case)
		kunit_run_one_test(suite, test_case, &suite_stats, &total_stats);
"""
ONLY = """/* Added by workbench/check/onekernel.py: NAME,NAME */
static char kunit_only[2048];
module_param_string(only, kunit_only, sizeof(kunit_only), 0600);

static bool kunit_wants(const char *name)
{
	size_t length = strlen(name);
	const char *at = kunit_only;

	for (; *at && (at = strstr(at, name)); at += length)
		if ((at == kunit_only || at[-1] == ',') && (!at[length] || at[length] == ','))
			return true;
	return !*kunit_only;
}

"""
ONLY_EACH = """	kunit_suite_for_each_test_case(suite, test_case) {
		enum kunit_status status = test_case->status;

		if (!kunit_wants(test_case->name))
			test_case->status = KUNIT_SKIPPED;
		kunit_run_one_test(suite, test_case, &suite_stats, &total_stats);
		if (!kunit_wants(test_case->name))
			test_case->status = status;
	}
"""
EARLY = re.compile(r"mutant: too early for (\S+)\(\)")

# What a failed build says: where an error is, from where it came, and in which function.
PLACE = re.compile(r"(?:^|\s)(?:\.\.?/)*([\w./-]+\.[ch]):(\d+)(?=[:,.])")
PROBLEM = re.compile(r"\b(?:error|Error|ERROR):|undefined reference|multiple definition|\bError: ")
REMARK = re.compile(r":\d+:\d+: warning:|^WARNING:")
COMES_FROM = re.compile(r"[Ii]n function|inlined from|In file included from|^\s+from ")
STOPPED = re.compile(r"\*\*\* \[(?:[^]]*: )?([\w./-]+)\.o\] Error")
BELONGS = re.compile(r": note:|inlined from|^\s")


def numbered(names):
    """Name -> number: the same name has the same, whatever the others are, but for two that would have one."""
    found, taken = {}, {NONE, 0xffffffff}
    for name in sorted(names):
        number = zlib.crc32(name.encode())
        while number in taken:
            number = number % 0xfffffffe + 1
        taken.add(number)
        found[name] = number
    return found


class OneKernel:
    """The kernel of a config with all its mutants: name -> mutant, each as TOPIC/NAME."""

    def __init__(self, config, mutants, source=None):
        self.kernel = MutatedKernel(config, "all-mutants")
        self.source = source or paths.SOURCE
        self.numbers = numbered(mutants)
        self.names = {number: name for name, number in self.numbers.items()}
        self.alone = {}         # name -> why it is not in this kernel
        self.problem = None     # of the build; None: not built yet
        self.pieces, self.changes, self.includes, self.spans = {}, {}, {}, {}
        for name, mutant in mutants.items():
            try:
                self.take(self.numbers[name], mutant)
            except (copies.Alone, CommandError) as error:
                self.alone[name] = str(error)

    def take(self, number, mutant):
        """Take a mutant in, or say why it cannot be."""
        found, added = {}, {}
        for file, text in mutant.texts(self.source).items():
            if not file.endswith((".c", ".h")) or file.startswith(NOT_OF_THE_IMAGE):
                raise copies.Alone(f"{file} is no C code of the kernel itself")
            if file not in self.pieces:
                self.pieces[file] = copies.pieces((self.source / file).read_text(encoding="utf-8"))
            found[file], added[file] = copies.changed(self.pieces[file], text)
        for file, bodies in found.items():
            self.includes.setdefault(file, {})[number] = added[file]
            for piece, body in bodies.items():
                self.changes.setdefault(file, {}).setdefault(piece, {})[number] = body

    def drop(self, number, why):
        """Leave a mutant out."""
        self.alone[self.names[number]] = why
        for bodies in [*self.includes.values(), *(each for file in self.changes.values() for each in file.values())]:
            bodies.pop(number, None)

    def inside(self):
        """The names of the mutants in this kernel."""
        return [name for name in self.numbers if name not in self.alone]

    def texts(self):
        """File -> its content, of all that are changed."""
        found = {}
        for file, changes in self.changes.items():
            left = {piece: bodies for piece, bodies in changes.items() if bodies}
            more = [line for _, lines in sorted(self.includes[file].items()) for line in lines]
            found[file], self.spans[file] = copies.merged(self.pieces[file], left, more)
        known = [(NONE, "none"), *((self.numbers[name], name) for name in self.inside())]
        table = "".join(f'\t{{ {number}U, "{name}" }},\n' for number, name in known)
        found[HOME] = found.get(HOME) or (self.source / HOME).read_text(encoding="utf-8")
        found[HOME] += KERNEL % table
        return found | self.single_cases(found.get(KUNIT))

    def single_cases(self, text):
        """KUnit with a parameter for cases, if it is as it was when this was written."""
        text = text or ((self.source / KUNIT).read_text(encoding="utf-8") if (self.source / KUNIT).is_file() else "")
        if (text.count(KUNIT_RUN), text.count(KUNIT_EACH)) != (1, 1):
            return {}
        return {KUNIT: text.replace(KUNIT_RUN, ONLY + KUNIT_RUN).replace(KUNIT_EACH, ONLY_EACH)}

    def told_by(self, line):
        """The mutants that a line of the compiler, the linker or modpost is about."""
        found = set()
        for function, number in copies.COPY.findall(line):
            found |= {int(number)} & set(self.names) or self.of_functions({function})
        for file, number in PLACE.findall(line):
            for span in self.spans.get(file.removeprefix(f"{self.source}/"), []):
                found |= span.numbers if span.first <= int(number) <= span.last else set()
        return found - set(map(self.numbers.get, self.alone))

    def blamed(self, log):
        """Mutant -> the line that tells, of those that keep a build from its end. A line with an error that names none belongs
        with the lines before that say from where it came, and with the notes behind it. If nothing names one, such as errors
        of the assembler, it is all that change a file of which no object came."""
        found, before, open_error = {}, [], None
        for line in log.splitlines():
            if PROBLEM.search(line):
                mutants, open_error = self.told_by(line), None
                for other in () if mutants else reversed(before):
                    mutants = mutants or self.told_by(other)
                if not mutants:
                    open_error = line
                found |= {number: line.strip() for number in mutants if number not in found}
            elif open_error and BELONGS.search(line) and (mutants := self.told_by(line)):
                found |= {number: open_error.strip() for number in mutants if number not in found}
                open_error = None
            elif COMES_FROM.search(line):
                before, open_error = [*before[-8:], line], open_error if line[:1].isspace() else None
            elif REMARK.search(line):
                open_error = None
            elif not line[:1].isspace() and ": note:" not in line:
                before, open_error = [], None
        if not found:
            for line in log.splitlines():
                if stopped := STOPPED.search(line):
                    changes = self.changes.get(f"{stopped[1]}.c", {})
                    found |= {number: line.strip() for bodies in changes.values() for number in bodies}
        return found

    def build(self):
        """Build it, less what keeps it from that; what goes wrong nevertheless, in a line."""
        if self.problem is None:
            self.problem = self.built()
            for name, why in self.alone.items():
                console.say(f"{self.kernel.label}: {name} is tried alone: {why}")
        return self.problem

    def built(self):
        """The same, each time it is called. Each round leaves at least one mutant out, so it ends."""
        while self.inside():
            console.say(f"kernel {self.kernel.label}: {len(self.inside())} of {len(self.numbers)} mutants in one kernel")
            self.kernel.changed.become(self.texts())
            wrong, log = self.kernel.attempt(quiet=True, extra=["--keep-going", "--output-sync=target"]), self.kernel.log
            found = self.blamed(log.read_text(errors="replace")) if wrong and log.exists() else {}
            if not found:
                return wrong and f"does not build: {wrong}"
            for number, line in found.items():
                self.drop(number, f"its copy does not build: {line}")
        return "no mutant can share it"

    def of_functions(self, functions):
        """The mutants of functions, by name; * is any."""
        found = set()
        for file, changes in self.changes.items():
            for piece, bodies in changes.items():
                if functions & {copies.call_of(self.pieces[file][piece].signature).name, "*"}:
                    found |= set(bodies)
        return found

    def too_early(self, text):
        """The names of mutants that a console tells were too late: their function ran before."""
        return {self.names[number] for number in self.of_functions(set(EARLY.findall(text)))}

    def number(self, name):
        """What the parameter says for a mutant; without a name, for none."""
        return self.numbers[name] if name else NONE

    def proof(self, name):
        """What the kernel has to say then."""
        return f"mutant: {self.number(name)} ({name or 'none'})"


class Images:
    """The kernels of a run, each made once. `everything` gives config -> {name: mutant}, of all topics."""

    def __init__(self, everything):
        self.everything, self.made = everything, {}

    def of(self, config):
        """The kernel of a config with all its mutants."""
        if config not in self.made:
            self.made[config] = OneKernel(config, self.everything().get(config, {}))
        return self.made[config]
