# SPDX-License-Identifier: GPL-2.0
"""Configure and build a kernel: wb kernel CONFIG [--base] [--goal GOAL ...] [--make WORD ...] [--quiet]

CONFIG names kernel/configs/CONFIG.config. Its `# with:` line names what it stands on: a file of kernel/fragments, or
`topics`, which is each topic's options.config, or `topics-X`, each topic's options-X.config. Later lines win. `# arch:` and
`# cross:` say for what it is built; `# boot:` and `# witness:` are for guests that boot it (guest/qemu.py); `# without: series`
turns every option of the series off, and `# tristates: m` makes modules of those that are asked for and can be. `# from: debian`
begins with Debian's configuration and not with nothing. Every option that was asked for is looked up in the result.
--base builds the base's source instead of the series'.
The object tree is build/kernel/CONFIG (or CONFIG-base); an unchanged tree rebuilds nothing.
"""

import argparse
import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shlex
import shutil
import subprocess

from kernel import debian, progress, source
from kernel.source import base_tree    # for those who build the base as well
from lib import console, files, paths, process
from lib.git import Git

CONFIGS = paths.WORKBENCH / "kernel" / "configs"
FRAGMENTS = paths.WORKBENCH / "kernel" / "fragments"
SEED = ".workbench-made-of"

# What of the environment reaches the kernel's make, besides make's own words.
REACHES_MAKE = {"ARCH", "AS", "CC", "CF", "CFLAGS", "CHECK", "CPP", "CROSS_COMPILE", "HOSTCC", "HOSTCFLAGS", "HOSTLD",
                "HOSTLDFLAGS", "HOSTLDLIBS", "HOSTCXX", "LD", "LDFLAGS", "LLVM", "LLVM_IAS", "LOCALVERSION",
                "MAKEFLAGS", "NM", "OBJCOPY", "OBJDUMP", "SUBARCH", "V", "W"}
REACHES_MAKE_BY_PREFIX = ("KBUILD_", "KCONFIG_", "KCFLAGS", "KCPPFLAGS", "KAFLAGS", "KRUSTFLAGS", "LDFLAGS_", "CFLAGS_")


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


def options_in(path):
    """Option -> value of one file."""
    options = {}
    for line in path.read_text().splitlines():
        if match := re.fullmatch(r"(CONFIG_\w+)=(.*)", line):
            options[match[1]] = match[2]
        elif match := re.fullmatch(r"# (CONFIG_\w+) is not set", line):
            options[match[1]] = "n"
        elif line and not line.startswith("#"):
            console.die(f"{path}: not an option: {line}")
    return options


def requested(name):
    """Option -> value (n for `is not set`), with the last fragment winning."""
    options = {}
    for path in fragments(name):
        options.update(options_in(path))
    if setting(name, "without", "") == "series":
        options.update({option: "n" for option in new_options()})
    if setting(name, "tristates", "") == "m":
        options.update({option: "m" for option, kind in switches().items() if kind == "tristate" and option in options})
    return options


def present(dot_config):
    """Option -> value as the kernel's own .config has it."""
    options = {}
    for line in dot_config.read_text().splitlines():
        if match := re.fullmatch(r"(CONFIG_\w+)=(.*)", line):
            options[match[1]] = match[2]
    return options


class Kernel:
    """One object tree: its source, its directory and how make is called for it.

    `changes` are options that differ from the configuration's; `compiler` is another one than the architecture's gcc, and
    `enter` what runs a command where that compiler is.
    """

    def __init__(self, name, base=False, label=None, source=None, changes=None, compiler=None, enter=()):
        self.name, self.changes, self.enter = name, changes or {}, list(enter)
        self.label = label or (f"{name}-base" if base else name)
        self.source = source or (paths.BASE_SOURCE if base else paths.SOURCE)
        self.objects = paths.BUILD / "kernel" / self.label
        self.log = paths.LOGS / f"kernel-{self.label}.log"
        self.start = setting(name, "from", "")
        self.arch = setting(name, "arch", "x86_64")
        self.cross = setting(name, "cross", "")
        self.compiler = compiler or f"{self.cross}gcc"

    def make(self, *words):
        """The make command for this tree; fixed build identity, so that ccache and comparisons work."""
        compiler = f"ccache {self.compiler}" if shutil.which("ccache") else self.compiler
        return [*self.enter, "make", "-C", str(self.source), f"O={self.objects}", f"ARCH={self.arch}", f"CROSS_COMPILE={self.cross}",
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
        wanted = {**requested(self.name), **self.changes}
        if self.source == paths.SOURCE:
            return wanted
        unknown = series_options() - known_options(self.source)
        return {key: value for key, value in wanted.items() if key not in unknown}

    def configure(self):
        """Make .config from the fragments when they, or the Kconfig files, changed; verify it always."""
        wanted = self.options()
        dot_config, stamp = self.objects / ".config", self.objects / ".workbench-config"
        text = "".join(f"{k}={v}\n" if v != "n" else f"# {k} is not set\n" for k, v in wanted.items())
        kconfig = Git(self.source).text("ls-files", "-s", "--", "*Kconfig*")
        start = self.beginning()
        key = hashlib.sha256((start + text + kconfig + self.arch).encode()).hexdigest()
        if not (dot_config.exists() and stamp.exists() and stamp.read_text() == key):
            self.objects.mkdir(parents=True, exist_ok=True)
            if not dot_config.exists() and not start:
                self.seed()
            files.write(self.objects / "requested.config", start + text)
            before = dot_config.read_bytes() if dot_config.exists() else None
            stat = dot_config.stat() if before is not None else None
            how = "alldefconfig" if start else "allnoconfig"
            process.run(self.make(f"KCONFIG_ALLCONFIG={self.objects}/requested.config", how),
                   f"kernel-{self.label}-config.log", f"configuring {self.label}", env=self.environment())
            if before == dot_config.read_bytes():
                os.utime(dot_config, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            files.write(stamp, key)
            files.write(self.objects / SEED, self.made_of())
        lost = self.lost(wanted, present(dot_config))
        if lost:
            stamp.unlink()
            console.die(f"configuration {self.label}: asked for but not set: {' '.join(lost)}", dot_config)

    def beginning(self):
        """The text of the configuration that this one begins with; what is asked for comes behind it and wins."""
        if self.start not in ("", "debian"):
            console.die(f"configuration {self.name}: it can begin with debian, or with nothing, and not with {self.start}")
        return debian.configuration() if self.start else ""

    def made_of(self):
        """What object trees have to have in common, so that a copy of one is a start for another."""
        return f"{self.source}\n{self.arch}\n{self.compiler}\n{shlex.join(map(str, self.enter))}\n"

    def seed(self, made_of=None):
        """Begin a new object tree as a copy of one of the same source and compiler that nobody builds; a whole kernel first.

        make then makes what the difference of the configurations touches, and has its own tools already.
        """
        wanted = made_of or self.made_of()
        alike = [marker.parent for marker in self.objects.parent.glob(f"[!.]*/{SEED}") if marker.read_text() == wanted]
        for other in sorted(alike, key=lambda folder: (not (folder / "vmlinux").exists(), folder.name != self.name)):
            with open(other / ".workbench-lock", "a", encoding="utf-8") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                copy_objects(other, self.objects)
            return

    def lost(self, wanted, have):
        """What was asked for and is not there. A commit of the series but the last may have options of ours that no
        architecture supports yet."""
        ours = series_options() if self.source != paths.SOURCE else set()
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

    def attempt(self, *goals, **how):
        """Build; what kept it from its end, in a line, or nothing."""
        try:
            self.build(*goals, **how)
        except SystemExit as error:
            return process.telling_line(self.log) if self.log.exists() else getattr(error, "text", None) or "it was not begun"
        return ""

    def build_locked(self, goals, quiet, extra):
        """The build itself, under the lock."""
        log = self.log
        log.unlink(missing_ok=True)     # what an earlier build said is not this one's
        self.configure()
        log.parent.mkdir(parents=True, exist_ok=True)
        words = self.make(f"-j{os.cpu_count()}", *extra, *(goals or ("bzImage",) if self.arch == "x86_64" else goals))
        if not quiet:
            console.say(f"kernel {self.label}: {' '.join(goals) or 'image'} (log {log.relative_to(paths.TOP)})"
                   if log.is_relative_to(paths.TOP) else f"kernel {self.label}")
        compiled = run_counted(words, log, process.environment(self.environment()), self.label, quiet)
        if not quiet:
            console.say(f"kernel {self.label}: {compiled} objects built")
        return compiled

    def modules(self, names):
        """Modules of this kernel, built: their files."""
        self.build(*names, quiet=True)
        return [self.objects / name for name in names]

    def driver_again(self, option, name, init):
        """A driver that is in the kernel, as a module: its folder is built once more, beside the kernel. Returns the file.

        The guest is told not to start the kernel's own, by the name of its init function: the module's has another one.
        """
        symbols, folder = self.objects / "Module.symvers", self.objects / ".modules" / option
        if not symbols.exists() or symbols.stat().st_mtime < (self.objects / "vmlinux").stat().st_mtime:
            self.build("modules", quiet=True)
            symbols.touch()
        renamed = folder / "renamed" / name.rpartition("/")[2]
        renamed.parent.mkdir(parents=True, exist_ok=True)
        with self.locked():
            process.run(self.make(f"M={self.source / name.rpartition('/')[0]}", f"MO={folder}", f"{option}=m", "modules"),
                        f"module-{self.label}-{option}.log", f"building {name} as a module", env=self.environment())
            process.run(["objcopy", "--redefine-sym", f"{init}={init}_module", folder / renamed.name, renamed],
                        f"module-{self.label}-{option}-renamed.log", f"naming the init function of {name}")
        return renamed

    def image(self):
        """The image that QEMU boots."""
        return self.objects / {"x86_64": "arch/x86/boot/bzImage", "i386": "arch/x86/boot/bzImage"}.get(
            self.arch, f"arch/{self.arch}/boot/Image")


def reaches_make():
    """The variables of the environment that change what is built."""
    return {name: value for name, value in sorted(os.environ.items())
            if name in REACHES_MAKE or name.startswith(REACHES_MAKE_BY_PREFIX)}


def copy_objects(other, target):
    """Fill an object tree from another, with its times, and give it its own path where make's notes have it: those on the
    kernel's tools. .config comes last: a copy without it was interrupted, and is made again."""
    beside = target.parent / f".{target.name}.seed"
    shutil.rmtree(beside, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", other, beside], check=True)
    old, new = f"{other}/".encode(), f"{target}/".encode()
    for note in [*beside.glob("tools/**/.*.cmd"), *beside.glob("tools/**/.*.d")]:
        if old in (text := note.read_bytes()):
            note.write_bytes(text.replace(old, new))
    for entry in sorted(beside.iterdir(), key=lambda path: path.name == ".config"):
        if entry.name not in (".workbench-lock", ".workbench-config"):
            place = target / entry.name
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            os.replace(entry, place)
    shutil.rmtree(beside)


def new_options():
    """The options that the series adds and that can be turned off."""
    return sorted(some(settable_options(series_options())))


def series_options():
    """The options that the series itself adds: those that its tree defines and the base does not."""
    return some(known_options(paths.SOURCE, source.commit()) - known_options(paths.SOURCE, source.base()))


def some(options):
    """A set of options that is not empty; if it is, the question was asked in the wrong way."""
    if not options:
        raise RuntimeError(f"the series adds no option to the base's: {paths.SOURCE} at {source.commit()}")
    return options


def known_options(tree, *commit):
    """Every option that the Kconfig files of a tree, or of one of its commits, define."""
    return defined_at(tree, *commit) if commit else defined_in(tree)


def defined_in(tree, *commit):
    """The same, read from all Kconfig files."""
    lines = Git(tree).text("grep", "-hE", r"^\s*(menu)?config \w+", *commit, "--", "*Kconfig*")
    return frozenset(f"CONFIG_{name}" for name in re.findall(r"config (\w+)", lines))


# A tree changes, a commit does not: it is asked once.
defined_at = functools.cache(defined_in)


def settable_options(options):
    """Those of the options that have a prompt; the others are what the options that select them make of them."""
    return options & set(prompted_options())


def switches():
    """The series' options that have a prompt and are on or off: option -> bool or tristate."""
    ours = series_options()
    return {option: kind for option, kind in prompted_options().items() if option in ours and kind in ("bool", "tristate")}


def prompted_options():
    """Option -> its type, or `prompt`, for each option of the series' tree that has a prompt."""
    return dict(prompted_at(paths.SOURCE, source.commit()))


@functools.cache
def prompted_at(tree, commit):
    """The same as pairs, of a commit."""
    lines = Git(tree).text("grep", "-hE", r"^\s*((menu)?config \w+|(bool|tristate|int|hex|string|prompt) \")",
                           commit, "--", "*Kconfig*").splitlines()
    return tuple((f"CONFIG_{line.split()[1]}", following.split()[0]) for line, following in zip(lines, lines[1:])
                 if "config " in line and '"' in following)


def run_counted(words, log, env, label, quiet):
    """Run make, keep its output in the log, and show how far it is; returns the number of objects built."""
    shown = progress.Progress(label, paths.BUILD / "kernel" / label, quiet)
    with open(log, "w", encoding="utf-8") as sink, subprocess.Popen(
            words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as make:
        for line in make.stdout:
            sink.write(line)
            shown.line(line)
        status = make.wait()
    if status:
        console.die(f"building {label}: {process.telling_line(log)}", log)
    shown.ended()
    return shown.count


def main(words):
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(prog="wb kernel", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--base", action="store_true")
    parser.add_argument("--goal", action="append", default=[])
    parser.add_argument("--make", action="append", default=[], help="a further word for make, such as W=1")
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args(words)
    source.pin(own=True)
    if args.base:
        base_tree()
    Kernel(args.config, args.base).build(*args.goal, quiet=args.quiet, extra=args.make)
