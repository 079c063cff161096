# SPDX-License-Identifier: GPL-2.0
"""Checks that read the series' code: checkpatch, kernel-doc, shellcheck, and sparse plus W=1 against the base.

Each returns a list of cases. A check that could not run is a failure, never a pass.
"""

import collections
import concurrent.futures
import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

from kernel import source as pinned
from kernel.build import Kernel, base_tree, present
from lib import files, paths, process
from lib.cases import Case
from lib.git import listed, mail_of

COMMON = paths.WORKBENCH / "check" / "checkpatch.accepted"
REMARKS = paths.BUILD / "check" / "checkpatch.json"     # what checkpatch said of each mail
SPARSE = ["C=2", "CHECK=sparse", "CF=-D__typeof_unqual__=__typeof__"]


def git(*words):
    """The output of a git command in the source of this run."""
    return pinned.git().text(*words)


def commits():
    """(commit, subject) of the series, oldest first."""
    lines = git("log", "--reverse", "--format=%H %s", f"{pinned.base()}..{pinned.commit()}").splitlines()
    return [tuple(line.split(" ", 1)) for line in lines]


def touched(*suffixes):
    """Paths of the kernel tree that the series adds or edits, by suffix."""
    names = git("diff-tree", "-r", "--name-only", "--no-renames", "--diff-filter=d", pinned.base(),
                pinned.commit()).splitlines()
    return [name for name in names if name.endswith(suffixes)] if suffixes else names


def accepted():
    """(file or *, type) -> reason: the remarks of checkpatch that stand, those for all topics and each topic's own."""
    table = {}
    for path in [COMMON, *sorted(paths.TOPICS.glob("*/checkpatch.accepted"))]:
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                name, kind, reason = line.split(None, 2)
                table[(name, kind)] = reason
    return table


def checkpatch():
    """checkpatch.pl --strict on each commit as it would be mailed, less the remarks accepted with a reason."""
    table, used, cases = accepted(), set(), []
    everything = commits()
    known = files.read_json(REMARKS, {})
    base = pinned.base()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        reports = list(pool.map(lambda commit: remarks_of(commit, base, known), (commit for commit, _ in everything)))
    files.write_json(REMARKS, {key: remarks for _, remarks, key in reports if key})
    for (_, subject), (mail, remarks, _) in zip(everything, reports):
        left = []
        for line in remarks.splitlines():
            match = re.match(r"(.*?):(\d+): (?:ERROR|WARNING|CHECK):(\w+): (.*)", line)
            if not match:
                left.append(line)
                continue
            name = named_file(mail, int(match[2]))
            key = next((key for key in (("*", match[3]), (name, match[3])) if key in table), None)
            used.add(key)
            if not key:
                left.append(f"{name or 'message'}: {match[3]}: {match[4]}")
        cases.append(Case(f"checkpatch {subject}", "failed" if left else "passed", "; ".join(left)[:600]))
    for name, kind in sorted(set(table) - used):
        cases.append(Case(f"checkpatch.accepted {name} {kind}", "failed", "accepted, but no longer seen: take it out"))
    return cases


def remarks_of(commit, base, known):
    """A commit as a mail, what checkpatch says of it, and the key that this is known by: the base, which has checkpatch and
    what it looks up, and all of the mail but its first line, which names the commit."""
    mail = mail_of(pinned.git(), commit)
    key = hashlib.sha256(f"{base}\n{mail.partition(chr(10))[2]}".encode()).hexdigest()
    if key in known:
        return mail, known[key], key
    # Debian's python3 first: checkpatch's SPDX parser needs modules that setup installed for that one.
    done = subprocess.run(["perl", "scripts/checkpatch.pl", "--strict", "--no-signoff", "--show-types", "--terse",
                           "--no-summary", "-"], cwd=paths.SOURCE, input=mail, capture_output=True, text=True, check=False,
                          env=process.environment({"PATH": f"/usr/bin:{os.environ['PATH']}"}))
    # What it could not look up, for want of a tool, is not known.
    return mail, done.stdout + done.stderr, None if done.stderr or done.returncode not in (0, 1) else key


def named_file(mail, number):
    """The file that a line of a mail belongs to; empty in the message."""
    name = ""
    for line in mail.splitlines()[:number]:
        if line.startswith("+++ b/"):
            name = line[6:]
    return name


def kernel_doc():
    """Kernel-doc comments of every touched C file and header."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(kernel_doc_of, touched(".c", ".h")))


def kernel_doc_of(name):
    """A file's case; the base's version is looked at only if there is something to compare."""
    done = subprocess.run(["python3", "tools/docs/kernel-doc", "-none", "-Wall", name], cwd=paths.SOURCE,
                          capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    fresh = new_lines(told, base_kernel_doc(name)) if told.strip() else []
    return Case(f"kernel-doc {name}", "failed" if fresh or done.returncode < 0 else "passed", "; ".join(fresh))


def base_kernel_doc(name):
    """What kernel-doc says of the base's version of a file."""
    known = pinned.git().run("show", f"{pinned.base()}:{name}", check=False)
    if known.returncode:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.parent.mkdir(parents=True)
        path.write_bytes(known.stdout)
        done = subprocess.run(["python3", paths.SOURCE / "tools/docs/kernel-doc", "-none", "-Wall", name], cwd=folder,
                              capture_output=True, text=True, check=False)
        return done.stdout + done.stderr


def new_lines(text, before):
    """The lines of text that `before` does not have as often, line numbers aside."""
    def plain(line):
        return re.sub(r":\d+(:\d+)?:?", ":", line.strip())
    known = collections.Counter(plain(line) for line in before.splitlines())
    fresh = []
    for line in text.splitlines():
        if line.strip() and not known[plain(line)]:
            fresh.append(line.strip())
        elif line.strip():
            known[plain(line)] -= 1
    return fresh


def shellcheck():
    """Every shell script that is ours, in the workbench and in the overlay."""
    cases = []
    for name in listed(paths.TOP):
        path = paths.TOP / name
        if not path.is_file() or path.stat().st_size > 1 << 20:
            continue
        with open(path, "rb") as source:
            first = source.readline()
        if not re.match(rb"#!.*\b(ba)?sh\b|# shellcheck shell=", first):
            continue
        done = subprocess.run(["shellcheck", "-x", "-P", "SCRIPTDIR", "-P", str(paths.TOP), "-P", str(paths.WORKBENCH / "guest"), path], cwd=path.parent,
                              capture_output=True, text=True, check=False)
        cases.append(Case(f"shellcheck {name}", "failed" if done.returncode else "passed",
                          " ".join(done.stdout.split())[:400]))
    return cases or [Case("shellcheck", "failed", "no script found")]


def sparse_sees():
    """Proof that the installed sparse, called as the kernel calls it, reports a real defect."""
    with tempfile.NamedTemporaryFile("w", suffix=".c") as sample:
        sample.write("int f(int __attribute__((noderef, address_space(1))) *p);\n"
                     "int f(int __attribute__((noderef, address_space(1))) *p) { return *p; }\n")
        sample.flush()
        done = subprocess.run(["sparse", sample.name], capture_output=True, text=True, check=False)
    seen = "dereference of noderef" in done.stdout + done.stderr
    return Case("sparse reports a defect", "passed" if seen else "failed",
                "" if seen else f"it said: {(done.stdout + done.stderr).strip() or 'nothing'}")


def compiled_with_remarks(kernel, objects, words):
    """Compile objects anew with W=1 and further words; the tools' lines, and the files that sparse checked."""
    with kernel.locked():
        return compile_locked(kernel, objects, words)


def compile_locked(kernel, objects, more):
    """The same, under the object tree's lock."""
    kernel.configure()
    for name in objects:
        (kernel.objects / name).unlink(missing_ok=True)
    log = paths.LOGS / f"static-{kernel.label}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as sink:
        words = kernel.make(f"-j{os.cpu_count()}", "W=1", *more, *objects)
        done = subprocess.run(words, stdout=sink, stderr=subprocess.STDOUT, check=False,
                              env=process.environment(kernel.environment()))
    text = log.read_text(errors="replace")
    checked = set(re.findall(r"^\s+CHECK\s+(\S+)$", text, re.M))
    remarks = "\n".join(line for line in text.splitlines() if re.search(r": (warning|error|note):|specified, but", line))
    return done.returncode, remarks, checked, log


def missing_option(source, dot_config):
    """The option that a file's Makefile asks for and that the configuration does not set; empty if the file is built."""
    where = Path(source).parent
    for folder in (where, where.parent):
        makefile = paths.SOURCE / folder / "Makefile"
        lines = makefile.read_text().replace("\\\n", " ") if makefile.is_file() else ""
        name = re.escape(str(Path(source).relative_to(folder).with_suffix(".o")))
        guard = re.search(rf"^obj-\$\((CONFIG_\w+)\)\s*[+:]?=.*(?<=\s){name}(?!\S)", lines, re.M)
        if guard:
            return guard[1] if guard[1] not in dot_config else ""
    return ""


def built_sources(kernel):
    """The kernel's C files that the series touches: those that a configuration builds, and the others with what they need."""
    kernel.configure()
    dot_config = present(kernel.objects / ".config")
    needed = {name: missing_option(name, dot_config) for name in touched(".c") if not name.startswith(("tools/", "Documentation/"))}
    return [name for name, option in needed.items() if not option], [pair for pair in needed.items() if pair[1]]


def sparse_and_warnings(configs=("default", "debug")):
    """W=1 and sparse on every touched C file: with the first configuration that builds it. New lines against the base only."""
    cases, done, left_out = [sparse_sees()], [], {}
    for config in configs:
        ours = Kernel(config, label=f"{config}-static")
        sources, missing = built_sources(ours)
        left_out.update(missing)
        fresh = [name for name in sources if name not in done]
        if fresh:
            base = Kernel(config, base=True, label=f"{config}-static-base")
            cases += new_remarks(ours, base, fresh, "W=1 and sparse", SPARSE)
        done += fresh
    if not done:
        cases.append(Case("W=1 and sparse", "failed", "no touched file is built"))
    return cases + [Case(f"W=1 and sparse {name}", "failed", f"needs {option}, which neither {' nor '.join(configs)} sets")
                    for name, option in left_out.items() if name not in done]


def new_remarks(ours, base, sources, what, words):
    """A case for each source: W=1 and more words say nothing of it that they do not say of the base's.

    The base compiles what has remarks, if it has that file; everything if a remark is on a file that many include.
    """
    objects = [str(Path(name).with_suffix(".o")) for name in sources]
    status, now, checked, log = compiled_with_remarks(ours, objects, words)
    if status:
        return [Case(f"{what}: build", "failed", f"{process.telling_line(log)} (log {log})")]
    now = [line for line in strip(now, paths.SOURCE).splitlines() if not known_noise(line)]
    shared = any(not any(name in line for name in sources) for line in now)
    noisy = [name for name in sources if in_base(name) and (shared or any(name in line for line in now))]
    before = ""
    if noisy:
        base_tree()
        status, before, _, base_log = compiled_with_remarks(base, [str(Path(name).with_suffix(".o")) for name in noisy], words)
        if status:
            return [Case(f"{what}: build of the base", "failed", f"{process.telling_line(base_log)} (log {base_log})")]
    fresh = new_lines("\n".join(now), strip(before, paths.BASE_SOURCE))
    cases = []
    for name in sources:
        lines = [line for line in fresh if name in line]
        fresh = [line for line in fresh if line not in lines]
        cases.append(Case(f"{what} {name}", "failed" if lines else "passed", "; ".join(lines)[:600]))
        if words == SPARSE and name not in checked:
            cases.append(Case(f"sparse ran on {name}", "failed", f"the build does not say CHECK {name} (log {log})"))
    if fresh:
        cases.append(Case(f"{what}, other files", "failed", "; ".join(fresh)[:600]))
    return cases


def in_base(name):
    """Whether the base has a file."""
    return not pinned.git().run("cat-file", "-e", f"{pinned.base()}:{name}", check=False).returncode


def known_noise(line):
    """sparse 0.6 calls every MODULE_*() and module_param*() line of 7.3 a bad constant expression, in the base's files as well."""
    match = re.match(r"(\S+?):(\d+):\d+: error: bad constant expression", line)
    if not match or not (paths.SOURCE / match[1]).is_file():
        return False
    lines = (paths.SOURCE / match[1]).read_text().splitlines()
    return lines[int(match[2]) - 1].startswith(("MODULE_", "module_param"))


def strip(text, tree):
    """Remarks without the path of their tree, so that two trees can be compared, nor the way by which a header came: sparse
    cuts that off where it gets long, which paths decide."""
    return re.sub(r" \(through [^)]*\)", "", text.replace(f"{tree}/", ""))
