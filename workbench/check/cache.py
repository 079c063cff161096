# SPDX-License-Identifier: GPL-2.0
"""What is known from earlier runs: for each suite the results of the newest states in which it passed.

A state is all that a result depends on, as one key: files by content and mode, the source by its tree and by what was
changed in it, tools by their versions. A result is kept only if its key is the same before and after the suite ran, so
that what changes meanwhile leaves nothing that was not seen.
"""

import functools
import hashlib
import os
import stat
import subprocess
from pathlib import Path

from guest import machines, qemu
from kernel import build, source
from lib import files, paths, process
from lib.cases import Case
from lib.git import UNTRACKED, listed

STATES = 50         # of each suite that are kept


@functools.lru_cache(maxsize=None)
def digest_of(path, *_):
    """The checksum of a file's content; what else is given tells one version of the file from another."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def version(tool):
    """What a tool says of its version; one that is not there has none."""
    try:
        done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, env=process.environment())
    except OSError:
        return "not there"
    return done.stdout + done.stderr


class Inputs:
    """What one result depends on, collected piece by piece."""

    def __init__(self):
        self.parts = []

    def add(self, what, value):
        """Anything that can be written down."""
        self.parts.append(f"{what}\0{value!r}")

    def file(self, path):
        """A file's content, and whether it can be run. One that is not there counts as that."""
        path = Path(path)
        try:
            info = path.stat()
        except OSError:
            self.add(f"file {path}", None)
            return
        name = path.relative_to(paths.TOP) if path.is_relative_to(paths.TOP) else path
        content = digest_of(path, info.st_mtime_ns, info.st_size, info.st_ino)
        self.add(f"file {name}", (content, bool(info.st_mode & stat.S_IXUSR)))

    def files(self, *found):
        """Files, and all files below folders."""
        for path in map(Path, found):
            below = sorted(each for each in path.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
            for each in below if path.is_dir() else [path]:
                self.file(each)

    def repository(self, without=()):
        """Every file of the repository, tracked or not yet, but what lies in the folders or files named."""
        for name in listed(paths.TOP, *without):
            self.file(paths.TOP / name)

    def source(self, *below):
        """The kernel tree, or parts of it: what is committed, what was changed since, and files unknown to git."""
        git = source.git()
        for path in below or (".",):
            name = f"HEAD:{'' if path == '.' else path}"
            self.add(f"source {path}", git.run("rev-parse", "--verify", name, check=False).stdout)
            changes = git.out("diff", "--no-ext-diff", "--no-textconv", "--binary", "HEAD", "--", path)
            self.add(f"changes {path}", hashlib.sha256(changes).hexdigest())
            for name in git.out(*UNTRACKED, "--", path).split(b"\0"):
                if name:
                    self.file(paths.SOURCE / os.fsdecode(name))

    def base(self, *below):
        """The same of what the series stands on."""
        for path in below or (".",):
            name = f"{source.base()}:{'' if path == '.' else path}"
            self.add(f"base {path}", source.git().run("rev-parse", "--verify", name, check=False).stdout)

    def commits(self):
        """The series as commits, messages included."""
        self.add("commits", (source.base(), source.commit()))

    def tools(self, *names):
        """Tools by their versions."""
        for name in names:
            self.add(f"tool {name}", version(name))

    def compiler(self, *prefixes):
        """What compiles, with the prefixes of cross compilers; and what of the environment reaches it."""
        self.tools("make", *(f"{prefix}{tool}" for prefix in ("", *prefixes) for tool in ("gcc", "ld")))
        self.environment(*build.reaches_make())

    def environment(self, *names):
        """Variables of the environment."""
        for name in names:
            self.add(f"variable {name}", os.environ.get(name, ""))

    def code(self, *names):
        """Code of the workbench, below it."""
        self.files(*(paths.WORKBENCH / name for name in names))

    def guest(self, boot, table):
        """A boot: its table, the image, root and archive that are booted, modules, jobs, the machine, and who judges it."""
        self.add("table", table)
        self.file(boot.kernel)
        self.file(paths.BUILD / "rootfs" / f"root{boot.root and '-'}{boot.root}.cpio.zst")
        if boot.kselftests:
            self.file(paths.BUILD / "rootfs" / "kselftest.cpio")
        self.files(*boot.binaries.values())
        seen = qemu.witnesses(boot)
        self.files(*(qemu.job_file(name) for name in qemu.all_jobs(boot)),
                   *(qemu.job_file(name, "witness") for name in sorted({line.split()[0] for line in seen})))
        self.code("guest/init", "guest/lib.sh", "guest/qemu.py", "guest/judge.py", "guest/results.py", "guest/cpio.py",
                  "check/ktap.py", "check/boots.py", "lib/cases.py")
        self.file(paths.SOURCE / "tools" / "testing" / "kunit" / "kunit_parser.py")
        self.add("machine", (machines.get(boot.machine), seen))
        self.add("boot", (boot.name, boot.append, boot.jobs, boot.files, boot.icount, boot.taint,
                          qemu.promised(boot.config, "boot", " ")))
        self.tools("qemu-system-x86_64")
        self.add("accelerator", os.environ.get("ACCEL") or "tcg")

    def key(self):
        """All of it as one word."""
        return hashlib.sha256("\n".join(self.parts).encode(errors="surrogateescape")).hexdigest()


def key_of(reads):
    """The key of what a function puts into inputs; empty if there is no such function."""
    if reads is None:
        return ""
    inputs = Inputs()
    reads(inputs)
    return inputs.key()


class Cache:
    """The results that are kept, a file for each suite: key -> cases, the oldest state first."""

    def __init__(self, folder, use=True, keep=True):
        self.folder, self.use, self.keep = Path(folder), use, keep

    def path(self, label):
        """Where a suite's results are."""
        return self.folder / f"{label}.json"

    def states(self, label):
        """Everything that is known of a suite."""
        known = files.read_json(self.path(label), {})
        return known if isinstance(known, dict) else {}

    def find(self, label, key):
        """The cases of a suite that has passed in this state; empty if it has not."""
        if not (self.use and key):
            return []
        try:
            return [Case(*case) for case in self.states(label).get(key, [])]
        except TypeError:
            return []

    def note(self, label, key, cases):
        """Remember a suite that passed in this state."""
        if not (self.keep and key) or any(case.status == "failed" for case in cases):
            return
        known = self.states(label)
        known.pop(key, None)
        known[key] = [[case.name, case.status, case.detail, case.seconds] for case in cases]
        files.write_json(self.path(label), dict(list(known.items())[-STATES:]))
