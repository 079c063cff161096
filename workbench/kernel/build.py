# SPDX-License-Identifier: GPL-2.0
"""Configure and build a kernel: wb kernel CONFIG [--base] [--goal GOAL ...] [--make WORD ...] [--quiet]

CONFIG names kernel/configs/CONFIG.config. Its `# with:` line names what it stands on: a file of kernel/fragments, or
`topics`, which is each topic's options.config, or `topics-X`, each topic's options-X.config. Later lines win. `# arch:` and
`# cross:` say for what it is built; `# boot:` and `# witness:` are for guests that boot it (guest/qemu.py); `# without: series`
turns every option of the series off. Every option that was asked
for is looked up in the result.
--base builds the base's source instead of the series'.
The object tree is build/kernel/CONFIG (or CONFIG-base); an unchanged tree rebuilds nothing.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

from lib import console, paths, process

CONFIGS = paths.WORKBENCH / "kernel" / "configs"
FRAGMENTS = paths.WORKBENCH / "kernel" / "fragments"
OBJECT_LINE = re.compile(r"^\s+(CC|AS|LD|AR|HOSTCC|CC \[M\]|RUSTC)\s")


def fragments(name):
    """The files of a configuration, in the order in which they apply: what it stands on, then its own."""
    path = CONFIGS / f"{name}.config"
    if not path.exists():
        console.die(f"no configuration {name}; there are: {' '.join(names())}")
    chain = []
    for line in path.read_text().splitlines():
        if line.startswith("# with:"):
            for other in line.split(":")[1].split():
                chain += [part for part in fragment(other, path) if part not in chain]
    return [*chain, path]


def fragment(name, user):
    """The files that a word after `# with:` stands for; a topic need not have any."""
    if name == "topics" or name.startswith("topics-"):
        return sorted(paths.TOPICS.glob(f"*/options{name.removeprefix('topics')}.config"))
    path = FRAGMENTS / f"{name}.config"
    if not path.exists():
        console.die(f"{user}: no fragment {name}; there are: {' '.join(sorted(p.stem for p in FRAGMENTS.glob('*.config')))}")
    return [path]


def names():
    """The configurations that can be built."""
    return sorted(path.stem for path in CONFIGS.glob("*.config"))


def setting(name, key, default):
    """The value of a `# key: value` line in a configuration's own file, such as its arch."""
    for path in reversed(fragments(name)):
        for line in path.read_text().splitlines():
            if line.startswith(f"# {key}:"):
                return line.split(":", 1)[1].strip()
    return default


def requested(name):
    """Option -> value (n for `is not set`), with the last fragment winning."""
    options = {}
    for path in fragments(name):
        for line in path.read_text().splitlines():
            if match := re.fullmatch(r"(CONFIG_\w+)=(.*)", line):
                options[match[1]] = match[2]
            elif match := re.fullmatch(r"# (CONFIG_\w+) is not set", line):
                options[match[1]] = "n"
            elif line and not line.startswith("#"):
                console.die(f"{path}: not an option: {line}")
    if setting(name, "without", "") == "series":
        options.update({option: "n" for option in new_options()})
    return options


def present(dot_config):
    """Option -> value as the kernel's own .config has it."""
    options = {}
    for line in dot_config.read_text().splitlines():
        if match := re.fullmatch(r"(CONFIG_\w+)=(.*)", line):
            options[match[1]] = match[2]
    return options


class Kernel:
    """One object tree: its source, its directory and how make is called for it."""

    def __init__(self, name, base=False, label=None, source=None):
        self.name = name
        self.label = label or (f"{name}-base" if base else name)
        self.source = source or (paths.BUILD / "linux-base" if base else paths.LINUX)
        self.objects = paths.BUILD / "kernel" / self.label
        self.arch = setting(name, "arch", "x86_64")
        self.cross = setting(name, "cross", "")

    def make(self, *words):
        """The make command for this tree; fixed build identity, so that ccache and comparisons work."""
        compiler = f"{self.cross}gcc"
        if shutil.which("ccache"):
            compiler = f"ccache {compiler}"
        return ["make", "-C", str(self.source), f"O={self.objects}", f"ARCH={self.arch}", f"CROSS_COMPILE={self.cross}",
                f"CC={compiler}", "KBUILD_BUILD_TIMESTAMP=2026-01-01", "KBUILD_BUILD_USER=series",
                "KBUILD_BUILD_HOST=workbench", "KBUILD_BUILD_VERSION=1", "LOCALVERSION=", *words]

    def environment(self):
        """ccache keeps its objects below build/.

        No CCACHE_BASEDIR: it makes source paths relative behind the back of -fmacro-prefix-map, so that each __FILE__ has
        the tree's name in it, and two trees cannot be compared.
        """
        return {"CCACHE_DIR": os.environ.get("CCACHE_DIR", str(paths.BUILD / "ccache")), "CCACHE_NOHASHDIR": "1",
                "CCACHE_MAXSIZE": "8G"}

    def options(self):
        """What this tree asks for. The base, and the commits of the series but the last, do not have all its options."""
        wanted = requested(self.name)
        if self.source == paths.LINUX:
            return wanted
        unknown = series_options() - known_options(self.source)
        return {key: value for key, value in wanted.items() if key not in unknown}

    def configure(self):
        """Make .config from the fragments when they, or the Kconfig files, changed; verify it always."""
        wanted = self.options()
        dot_config, stamp = self.objects / ".config", self.objects / ".workbench-config"
        text = "".join(f"{k}={v}\n" if v != "n" else f"# {k} is not set\n" for k, v in wanted.items())
        kconfig = process.out(["git", "-C", self.source, "ls-files", "-s", "--", "*Kconfig*"])
        key = hashlib.sha256((text + kconfig + self.arch).encode()).hexdigest()
        if not (dot_config.exists() and stamp.exists() and stamp.read_text() == key):
            self.objects.mkdir(parents=True, exist_ok=True)
            (self.objects / "requested.config").write_text(text)
            before = dot_config.read_bytes() if dot_config.exists() else None
            stat = dot_config.stat() if before is not None else None
            process.run(self.make(f"KCONFIG_ALLCONFIG={self.objects}/requested.config", "allnoconfig"),
                   f"kernel-{self.label}-config.log", f"configuring {self.label}", env=self.environment())
            if before == dot_config.read_bytes():
                os.utime(dot_config, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            stamp.write_text(key)
        lost = self.lost(wanted, present(dot_config))
        if lost:
            stamp.unlink()
            console.die(f"configuration {self.label}: asked for but not set: {' '.join(lost)}", dot_config)

    def lost(self, wanted, have):
        """What was asked for and is not there. A commit of the series but the last may have options of ours that no
        architecture supports yet."""
        ours = series_options() if self.source != paths.LINUX else set()
        return [f"{key}={value}" for key, value in wanted.items() if have.get(key, "n") != value
                and not (key in ours and key not in have)]

    @contextlib.contextmanager
    def locked(self):
        """One make at a time in an object tree; a second command waits."""
        self.objects.mkdir(parents=True, exist_ok=True)
        with open(self.objects / ".workbench-lock", "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                console.say(f"kernel {self.label}: another command builds it; waiting")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def build(self, *goals, quiet=False, extra=()):
        """Build the goals (the kernel image when none is named), with a count of what was compiled."""
        with self.locked():
            return self.build_locked(goals, quiet, extra)

    def build_locked(self, goals, quiet, extra):
        """The build itself, under the lock."""
        self.configure()
        log = paths.LOGS / f"kernel-{self.label}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        words = self.make(f"-j{os.cpu_count()}", *extra, *(goals or ("bzImage",) if self.arch == "x86_64" else goals))
        if not quiet:
            console.say(f"kernel {self.label}: {' '.join(goals) or 'image'} (log {log.relative_to(paths.TOP)})"
                   if log.is_relative_to(paths.TOP) else f"kernel {self.label}")
        compiled = run_counted(words, log, {**os.environ, **self.environment()}, self.label, quiet)
        if not quiet:
            console.say(f"kernel {self.label}: {compiled} objects built")
        return compiled

    def image(self):
        """The image that QEMU boots."""
        return self.objects / {"x86_64": "arch/x86/boot/bzImage", "i386": "arch/x86/boot/bzImage"}.get(
            self.arch, f"arch/{self.arch}/boot/Image")


def new_options():
    """The options that the series adds and that can be turned off. None at all: the question was asked in the wrong way."""
    found = settable_options(series_options())
    if not found:
        raise RuntimeError(f"branch series of {paths.LINUX} adds no option to the base's")
    return sorted(found)


def series_options():
    """The options that the series itself adds: those that its tree defines and the base does not."""
    return known_options(paths.LINUX, "series") - known_options(paths.LINUX, "base")


def known_options(tree, *commit):
    """Every option that the Kconfig files of a tree, or of one of its commits, define."""
    lines = process.out(["git", "-C", tree, "grep", "-hE", r"^\s*(menu)?config \w+", *commit, "--", "*Kconfig*"])
    return {f"CONFIG_{name}" for name in re.findall(r"config (\w+)", lines)}


def settable_options(options):
    """Those of the options that have a prompt; the others are what the options that select them make of them."""
    lines = process.out(["git", "-C", paths.LINUX, "grep", "-hE", r"^\s*((menu)?config \w+|(bool|tristate|int|hex|string|prompt) \")",
                    "series", "--", "*Kconfig*"]).splitlines()
    pairs = zip(lines, lines[1:])
    found = {f"CONFIG_{line.split()[1]}" for line, following in pairs if "config " in line and '"' in following}
    return options & found


def run_counted(words, log, env, label, quiet):
    """Run make, keep its output in the log, and show how many objects were built so far."""
    count, shown = 0, time.time()
    with open(log, "w", encoding="utf-8") as sink, subprocess.Popen(
            words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as make:
        for line in make.stdout:
            sink.write(line)
            if OBJECT_LINE.match(line) and "scripts/" not in line:
                count += 1
            if not quiet and time.time() - shown > (2 if sys.stdout.isatty() else 30):
                shown = time.time()
                end = "\r" if sys.stdout.isatty() else "\n"
                print(f"[{console.elapsed():>6}]   {label}: {count} objects", end=end, flush=True)
        status = make.wait()
    if status:
        console.die(f"building {label}: {process.telling_line(log)}", log)
    return count


def base_tree():
    """A second work tree at the base, for what is compared with the series."""
    tree = paths.BUILD / "linux-base"
    base = process.out(["git", "-C", paths.LINUX, "rev-parse", "base^{commit}"]).strip()
    if not (tree / ".git").exists():
        process.out(["git", "-C", paths.LINUX, "worktree", "prune"])
        process.out(["git", "-C", paths.LINUX, "worktree", "add", "--force", "--detach", tree, base])
    elif process.out(["git", "-C", tree, "rev-parse", "HEAD"]).strip() != base:
        process.out(["git", "-C", tree, "checkout", "--detach", "-q", base])
    return tree


def main(words):
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(prog="wb kernel", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--base", action="store_true")
    parser.add_argument("--goal", action="append", default=[])
    parser.add_argument("--make", action="append", default=[], help="a further word for make, such as W=1")
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args(words)
    if args.base:
        base_tree()
    Kernel(args.config, args.base).build(*args.goal, quiet=args.quiet, extra=args.make)
