# SPDX-License-Identifier: GPL-2.0
"""Boot a kernel in QEMU, let it run its jobs, and judge what it left: console, results, taint.

The guest's root is an initramfs of concatenated cpio archives: Debian's files (guest/root.py, made once), the installed
kselftests where they are asked for, and a small one made here with /init and /job. What a guest has to say comes back
through a virtio port after each job, so that one that dies takes no more than the last with it.
"""

import functools
import os
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from guest import cpio, machines, results, root, stacks
from guest.judge import judge
from kernel import build
from lib import console, lock, paths, process

GUEST = paths.WORKBENCH / "guest"
RUNS = paths.BUILD / "run"
RESERVED = {}   # name of a boot -> the lock of its folder

# What an emulated machine on a busy host needs to come up each time. The check of the timer interrupt counts ticks in
# real time, of which it may see too few. The watchdog of 7.3's clocksources can hang a boot with several CPUs: while
# the clocksource is still jiffies, watchdog_check_skew() waits for a CPU that stop_machine() holds, and its timeout is read
# from jiffies, which no CPU advances then. Where instructions are counted there is one CPU, and a clock that is exact.
#
# Memory that is plugged comes on line when a job says so, or a suite, also in a kernel that does it by itself.
EMULATED = "panic=-1 kunit.autorun=0 no_timer_check memhp_default_state=offline"
SEVERAL_CPUS = "tsc=nowatchdog"

# Crashes have to end the machine: no test goes on after a warning, and none passes because nobody read the console.
HONEST = f"panic_on_warn=1 oops=panic {EMULATED}"

TAINT_TEST = 1 << 18    # set by KUnit, and the only taint that is expected
TAINT_UNSIGNED = 1 << 13    # a module without signature, in a kernel that looks for them
TAINT_MODULE = 1 << 12 | TAINT_UNSIGNED    # a module from outside the tree, such as the benchmark's


@dataclass
class Outcome:
    """What a boot left behind."""
    name: str
    console: object
    results: object
    seconds: float = 0
    jobs: tuple = ()                                # in their order, the witnesses among them
    problems: list = field(default_factory=list)
    excerpt: list = field(default_factory=list)     # the console around the first problem
    skipped: str = ""                               # why this cannot be booted here

    def text(self, name):
        """A file of the results as text; empty when it is not there."""
        path = self.results / name
        return path.read_text(errors="replace") if path.is_file() else ""

    def told(self):
        """The lines of the console."""
        return Path(self.console).read_text(errors="replace").splitlines() if self.console and Path(self.console).is_file() else []


@dataclass
class Boot:
    """What to boot, and what it has to do."""
    kernel: object                                  # path of the image
    name: str                                       # of the folder below build/run
    machine: str = "cxl"
    append: str = ""
    jobs: tuple = ()
    files: dict = field(default_factory=dict)       # /job/NAME -> text
    timeout: int = 300
    kselftests: bool = False
    changed: object = None                          # path of an archive with some of them that are made of changed files
    shell: bool = False
    binaries: dict = field(default_factory=dict)    # /job/NAME -> path of a file to be copied
    icount: bool = False                            # count instructions: a tick of the clock is one
    killed: tuple = ()                              # programs that the OOM killer may take
    taint: int = TAINT_TEST                         # what may taint the kernel
    config: str = ""                                # the kernel's, whose file may name boot parameters and witnesses
    witness: tuple = ()                             # what has to be seen beside that; None: nothing at all
    share: object = None                            # a folder that the guest has a copy of, as /share
    output: object = None                           # a descriptor for what the job `command` prints
    root: str = ""                                  # one that has more, of root.MORE
    debugger: object = None                         # path of a socket: wait there for a debugger
    silence: int = 0                                # who prints nothing for so many seconds hangs; 0: nobody does


class Unsupported(Exception):
    """This machine cannot be had here, and why."""


def prepare(kselftests=False, more=()):
    """The guest's root, the kselftests when they are wanted, and roots that have more; made if they are not there."""
    root.prepare(kselftests, more)


def witnesses(boot):
    """What the guest has to see: of its command line, its machine, its kernel and what its suite adds."""
    if boot.shell or boot.witness is None:
        return ()
    known = ("parameters", *machines.get(boot.machine).witness, *promised(boot.config, "witness", ";"))
    return machines.replaced(known, boot.witness)


def promised(config, key, separator):
    """The words of a line `# KEY: ...` of a kernel's configuration."""
    line = build.setting(config, key, "") if config else ""
    return tuple(word.strip() for word in line.split(separator) if word.strip())


def all_jobs(boot):
    """The jobs in their order. What is witnessed comes first, before a job changes it, but where its place is named."""
    first = ("witness",) if witnesses(boot) and "witness" not in boot.jobs else ()
    return (*first, *boot.jobs)


def job_file(name, room="jobs"):
    """A script that runs in the guest: it belongs to the guest, to the benchmark or to a topic."""
    found = [path for path in (GUEST / room / name, paths.WORKBENCH / "bench" / room / name,
                               *paths.TOPICS.glob(f"*/{room}/{name}")) if path.is_file()]
    if len(found) != 1:
        console.die(f"{room.removesuffix('s')} {name}: "
                    f"{'there is no such file' if not found else ' and '.join(map(str, found))}")
    return found[0]


def job_archive(boot, out):
    """The archive with /init, /job and /share."""
    writer = cpio.Writer(out)
    writer.copy("init", GUEST / "init")
    writer.copy("job/lib.sh", GUEST / "lib.sh")
    for name in all_jobs(boot):
        writer.copy(f"job/{name}", job_file(name))
    writer.file("job/jobs", " ".join(all_jobs(boot)) + "\n")
    seen = witnesses(boot)
    for name in dict.fromkeys(line.split()[0] for line in seen):
        writer.copy(f"job/witness.d/{name}", job_file(name, "witness"))
    writer.file("job/witnesses", "".join(f"{line}\n" for line in seen))
    if boot.shell:
        writer.file("job/shell", "")
    for name, text in boot.files.items():
        writer.file(f"job/{name}", text)
    for name, path in boot.binaries.items():
        writer.copy(f"job/{name}", path)
    if boot.share:
        writer.folder("share")
        writer.tree(boot.share, "share", times=True)
    writer.end()


def initrd(boot, folder):
    """Write the guest's initramfs and return its path."""
    parts = [root.archive(boot.root)] + [root.KSELFTEST] * boot.kselftests + ([boot.changed] if boot.changed else [])
    target = folder / "initrd"
    with open(target, "wb") as out:
        for part in parts:
            with open(part, "rb") as source:
                shutil.copyfileobj(source, out)
            out.write(b"\0" * (-out.tell() % 4))
        job_archive(boot, out)
    return target


PROBING = threading.Lock()


@functools.cache
def probe(kernel, cpu):
    """Boot a kernel under KVM until it misses its root: nothing if that works with these processors, else why not."""
    words = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", cpu, "-M", "q35", "-m", "512M", "-nographic", "-no-reboot",
             "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(guarded(words, 20), capture_output=True, timeout=15, check=False,
                              stdin=subprocess.DEVNULL, env=process.environment())
    except subprocess.TimeoutExpired:
        return "the probe boot hung for 15 s"
    if b"Linux version" in done.stdout and b"Unable to mount root" in done.stdout:
        return ""
    return (done.stderr.decode(errors="replace").strip().splitlines() or ["the probe boot died"])[-1]


@functools.cache
def usable(wanted, kernel):
    """The accelerator that is used when one is wanted; said if it is another."""
    if wanted not in ("tcg", "kvm"):
        console.die(f"ACCEL={wanted}: there are tcg and kvm")
    why = probe(kernel, "host") if wanted == "kvm" else ""
    if why:
        console.say(f"ACCEL=kvm does not work here ({why}); using TCG")
    return "tcg" if why else wanted


def accelerator(kernel, machine):
    """TCG, unless ACCEL=kvm is asked for and a probe boot showed that it works here; there is one probe in a command.

    A feature that the machine is there for, such as five levels of page tables, is had, or the machine is not.
    """
    with PROBING:
        used = usable(os.environ.get("ACCEL") or "tcg", kernel)
        if used == "tcg":
            return ["-accel", "tcg,thread=multi", "-cpu", f"max,{machines.features(machine)}"]
        cpu = f"host,{machines.features(machine)}"
        needed = machines.get(machine).cpu
        if needed and (why := probe(kernel, cpu)):
            raise Unsupported(f"machine {machine} needs {needed}, which ACCEL=kvm does not have here: {why}")
    return ["-accel", "kvm", "-cpu", cpu]


# One virtual nanosecond an instruction, and no waiting: the guest's clocks and time stamp counter count instructions.
ICOUNT = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", "max,la57=off"]


def command(boot, image, folder):
    """QEMU's command line."""
    how = ICOUNT if boot.icount else accelerator(boot.kernel, boot.machine)
    words = ["console=ttyS0", EMULATED if boot.shell else HONEST, "" if boot.icount else SEVERAL_CPUS,
             *promised(boot.config, "boot", " "), "nokaslr" if boot.debugger else "", boot.append]
    append = " ".join(word for word in words if word)
    words = ["qemu-system-x86_64", *how, *machines.arguments(boot.machine), "-nodefaults",
             "-display", "none", "-no-reboot", "-kernel", str(boot.kernel), "-initrd", str(image), "-append", append,
             "-device", "virtio-serial,bus=pcie.0", *port("results", f"{folder}/results.tar")]
    if boot.output is not None:
        words += port("output", f"/dev/fd/{boot.output}")
    if boot.debugger:
        words += ["-S", "-gdb", f"unix:path={boot.debugger},server=on,wait=off"]
    words += ["-device", "virtio-rng-pci,bus=pcie.0"]
    return [*words, "-serial", "mon:stdio"] if boot.shell else [*words, "-serial", "stdio", "-monitor", "none"]


def port(name, path):
    """A virtio port whose content goes to a file; the guest finds it by its name."""
    return ["-chardev", f"file,id={name},path={path}", "-device", f"virtserialport,chardev={name},name={name}"]


def guarded(words, timeout=None):
    """A command that lives no longer than we do, and no longer than its time, whatever becomes of us.

    setpriv asks the kernel to kill it when its parent is gone, and then becomes the command. (Python could ask between
    fork and exec, but that is not safe where threads are.) timeout(1) needs no parent; it is between, so both ask.
    """
    alone = ["setpriv", "--pdeathsig", "KILL"]
    return [*alone, *words] if timeout is None else [*alone, "timeout", "-k", "5", str(timeout), *alone, *words]


def end_when_silent(machine, heard, seconds):
    """End a machine that has printed nothing for some time; `heard` has when it printed something."""
    while machine.poll() is None:
        time.sleep(1)
        if time.monotonic() - heard[0] > seconds:
            machine.terminate()


def watch(words, log, timeout, echo, keep=(), silence=0):
    """Run QEMU with its console in a file, and lines with the prefix echo on our output; it is killed when time is up, when it
    is silent for too long, or when something stops us.

    Returns whether it ended by itself.
    """
    started = time.monotonic()
    heard = [started]
    with open(log, "wb") as sink, subprocess.Popen(
            guarded(words, timeout), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=keep, env=process.environment()) as machine:
        try:
            if silence:
                threading.Thread(target=end_when_silent, args=(machine, heard, silence), daemon=True).start()
            for line in machine.stdout:
                heard[0] = time.monotonic()
                sink.write(line)
                sink.flush()
                if echo and line.startswith(echo):
                    print(line[len(echo):].decode(errors="replace").rstrip(), flush=True)
            status = machine.wait()
        except BaseException:
            machine.kill()
            raise
    return not (status in (124, 137, -9) and time.monotonic() - started >= timeout)


def reserve(name, wait=True):
    """Keep others from the folder of a boot until this process ends: what it left is read until then."""
    if name not in RESERVED:
        RESERVED[name] = lock.take(RUNS / f".{name}.lock", f"runs the guest {name}", wait=wait)


def run(boot, echo=""):
    """Boot, wait, collect, judge. Console lines that start with echo are shown without it."""
    reserve(boot.name)
    folder = RUNS / boot.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    outcome = Outcome(boot.name, folder / "console.log", folder / "results", jobs=all_jobs(boot))
    try:
        words = command(boot, folder / "initrd", folder)
    except Unsupported as error:
        outcome.skipped = str(error)
        return outcome
    image = initrd(boot, folder)
    (folder / "command").write_text(" ".join(words) + "\n")
    if not boot.shell:
        console.say(f"booting {boot.name}: {' '.join(outcome.jobs)} (log {shown(outcome.console)})")
    started = time.monotonic()
    in_time = True
    if boot.shell:
        subprocess.run(guarded(words), check=False)
    else:
        keep = () if boot.output is None else (boot.output,)
        in_time = watch(words, outcome.console, boot.timeout, echo.encode(), keep, boot.silence)
    outcome.seconds = time.monotonic() - started
    cut = results.unpack(folder / "results.tar", outcome.results)
    image.unlink()
    if not boot.shell:
        outcome.problems += [cut] if cut else []
        judge(outcome, boot, in_time)
        outcome.excerpt = stacks.decoded(outcome.excerpt, boot.kernel)
    return outcome


def shown(path):
    """A path as it is shown: from where the repository is."""
    return Path(path).relative_to(paths.TOP) if Path(path).is_relative_to(paths.TOP) else path
