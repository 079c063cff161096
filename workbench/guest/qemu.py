# SPDX-License-Identifier: GPL-2.0
"""Boot a kernel in QEMU, let it run its jobs, and judge what it left: console, results, taint.

The guest's root is an initramfs of concatenated cpio archives: Debian's files (guest/root, made once), the installed
kselftests where they are asked for, and a small one made here with /init and /job. What a guest has to say comes back as
a tar archive through a virtio port; a guest that dies leaves none, which is a failure by itself.
"""

import os
import re
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field

from guest import machines
from lib import console, paths

GUEST = paths.WORKBENCH / "guest"
RUNS = paths.BUILD / "run"

# What an emulated machine on a busy host needs to come up each time. The check of the timer interrupt counts ticks in real
# time, of which it may see too few. The watchdog of 7.3's clocksources can hang a boot with several CPUs: while the
# clocksource is still jiffies, watchdog_check_skew() waits for a CPU that stop_machine() holds, and its timeout is read
# from jiffies, which no CPU advances then. Where instructions are counted there is one CPU, and a clock that is exact.
# Memory that is plugged stays off line until a job wants it there, which a suite can change.
EMULATED = "panic=-1 kunit.autorun=0 no_timer_check memhp_default_state=offline"
SEVERAL_CPUS = "tsc=nowatchdog"

# Crashes have to end the machine: no test goes on after a warning, and none passes because nobody read the console.
HONEST = f"panic_on_warn=1 oops=panic {EMULATED}"

PROBLEMS = re.compile(
    r"Kernel panic|kernel BUG at|BUG:|WARNING:|Oops|general protection fault|KASAN:|UBSAN:|KCSAN:|INFO: possible|possible recursive locking"
    r"|inconsistent lock state|suspicious RCU usage|blocked for more than|rcu: INFO:|soft lockup|hard LOCKUP|Bad page state"
    r"|unreferenced object|Unable to mount root|Out of memory: Killed|Unknown symbol")

TAINT_TEST = 1 << 18    # set by KUnit, and the only taint that is expected
TAINT_MODULE = 1 << 12  # a module from outside the tree, such as the benchmark's


@dataclass
class Outcome:
    """What a boot left behind."""
    name: str
    console: object
    results: object
    seconds: float
    problems: list = field(default_factory=list)
    excerpt: list = field(default_factory=list)     # the console around the first problem

    def text(self, name):
        """A file of the results as text; empty when it is not there."""
        path = self.results / name
        return path.read_text(errors="replace") if path.is_file() else ""


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
    shell: bool = False
    binaries: dict = field(default_factory=dict)    # /job/NAME -> path of a file to be copied
    icount: bool = False                            # count instructions: a tick of the clock is one
    taint: int = TAINT_TEST                         # what may taint the kernel


def archive(folder, target):
    """A newc cpio archive of a folder, as root's."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    with open(target, "wb") as out:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=folder, check=True, stdout=out,
                       input="\n".join(names).encode())


def job_file(name):
    """The script of a job: it belongs to the guest, to the benchmark or to a topic."""
    found = [path for path in (GUEST / "jobs" / name, paths.WORKBENCH / "bench" / "jobs" / name,
                               *paths.TOPICS.glob(f"*/jobs/{name}")) if path.is_file()]
    if len(found) != 1:
        console.die(f"job {name}: {'there is no such file' if not found else ' and '.join(map(str, found))}")
    return found[0]


def initrd(boot, folder):
    """Write the guest's initramfs and return its path."""
    stage = folder / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    job = stage / "job"
    job.mkdir(parents=True)
    shutil.copy2(GUEST / "init", stage / "init")
    shutil.copy2(GUEST / "lib.sh", job / "lib.sh")
    for name in boot.jobs:
        shutil.copy2(job_file(name), job / name)
    (job / "jobs").write_text(" ".join(boot.jobs) + "\n")
    if boot.shell:
        (job / "shell").touch()
    for name, text in boot.files.items():
        (job / name).parent.mkdir(exist_ok=True)
        (job / name).write_text(text)
    for name, path in boot.binaries.items():
        shutil.copy2(path, job / name)
    archive(stage, folder / "job.cpio")
    parts = [paths.BUILD / "rootfs" / "root.cpio.zst"]
    if boot.kselftests:
        parts.append(paths.BUILD / "rootfs" / "kselftest.cpio")
    parts.append(folder / "job.cpio")
    target = folder / "initrd"
    with open(target, "wb") as out:
        for part in parts:
            out.write(b"\0" * (-out.tell() % 4))
            with open(part, "rb") as source:
                shutil.copyfileobj(source, out)
    return target


def accelerator(kernel, machine):
    """TCG, unless ACCEL=kvm is asked for and a probe boot showed that it works here."""
    tcg = ["-accel", "tcg,thread=multi", "-cpu", machines.emulated_cpu(machine)]
    wanted = os.environ.get("ACCEL") or "tcg"
    if wanted == "tcg":
        return tcg
    if wanted != "kvm":
        console.die(f"ACCEL={wanted}: there are tcg and kvm")
    probe = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-M", "q35", "-m", "512M", "-nographic", "-no-reboot",
             "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(probe, capture_output=True, timeout=15, check=False, stdin=subprocess.DEVNULL)
        alive = b"Linux version" in done.stdout and b"Unable to mount root" in done.stdout
        why = "" if alive else (done.stderr.decode(errors="replace").strip().splitlines() or ["the probe boot died"])[-1]
    except subprocess.TimeoutExpired:
        alive, why = False, "the probe boot hung for 15 s"
    if alive:
        return ["-accel", "kvm", "-cpu", "host"]
    console.say(f"ACCEL=kvm does not work here ({why}); using TCG")
    return tcg


# One virtual nanosecond an instruction, and no waiting: the guest's clocks and its time stamp counter count instructions.
ICOUNT = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", "max,la57=off"]


def command(boot, image, folder):
    """QEMU's command line."""
    how = ICOUNT if boot.icount else accelerator(boot.kernel, boot.machine)
    words = ["console=ttyS0", EMULATED if boot.shell else HONEST, "" if boot.icount else SEVERAL_CPUS, boot.append]
    append = " ".join(word for word in words if word)
    words = ["qemu-system-x86_64", *how, *machines.arguments(boot.machine), "-nodefaults",
             "-display", "none", "-no-reboot", "-kernel", str(boot.kernel), "-initrd", str(image), "-append", append,
             "-device", "virtio-serial,bus=pcie.0", "-chardev", f"file,id=results,path={folder}/results.tar",
             "-device", "virtserialport,chardev=results,name=results", "-device", "virtio-rng-pci,bus=pcie.0"]
    return [*words, "-serial", "mon:stdio"] if boot.shell else [*words, "-serial", "stdio", "-monitor", "none"]


def excerpt(lines):
    """The lines around the first problem; the last ones when no line names a problem."""
    first = next((number for number, line in enumerate(lines) if is_problem(line)), len(lines) - 20)
    return lines[max(0, first - 5):first + 40]


def is_problem(line):
    """Whether a line of the console tells of a problem."""
    return PROBLEMS.search(line) and "Command line:" not in line


def watch(words, console, timeout, echo):
    """Run QEMU with its console in a file, and lines with the prefix echo on our output; kill it when time is up.

    Returns whether it ended by itself.
    """
    with open(console, "wb") as sink, subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                                       stderr=subprocess.STDOUT) as machine:
        end = threading.Timer(timeout, machine.kill)
        end.start()
        started = time.time()
        for line in machine.stdout:
            sink.write(line)
            if echo and line.startswith(echo):
                print(line[len(echo):].decode(errors="replace").rstrip(), flush=True)
        machine.wait()
        end.cancel()
    return time.time() - started < timeout


def judge(outcome, boot, in_time):
    """Fill in what is wrong with a boot: each entry is one line."""
    lines = [line.strip() for line in outcome.console.read_text(errors="replace").splitlines() if line.strip()]
    if not in_time:
        last = lines[-1] if lines else "nothing"
        outcome.problems.append(f"no end after {boot.timeout} s; the console's last line: {last}")
    seen = [line for line in lines if is_problem(line)]
    outcome.problems += [f"console: {line}" for line in dict.fromkeys(seen[:5])]
    finished = (outcome.results / "finished").exists()
    if seen or not finished:
        outcome.excerpt = excerpt(lines)
    if not finished:
        outcome.problems.append("the guest left no results")
        return
    taint = int(outcome.text("tainted") or -1)
    if taint & ~boot.taint:
        outcome.problems.append(f"the kernel is tainted: {taint}")
    for job in boot.jobs:
        status = outcome.text(f"{job}.status").strip()
        if status != "0":
            lines = outcome.text(f"{job}.log").strip().splitlines() or ["it printed nothing"]
            outcome.problems.append(f"job {job} ended with {status or 'no status'}: {lines[-1]}")


def run(boot, echo=""):
    """Boot, wait, collect, judge. Console lines that start with echo are shown without it."""
    folder = RUNS / boot.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    image = initrd(boot, folder)
    words = command(boot, image, folder)
    (folder / "command").write_text(" ".join(words) + "\n")
    started = time.time()
    if boot.shell:
        subprocess.run(words, check=False)
        in_time = True
    else:
        in_time = watch(words, folder / "console.log", boot.timeout, echo.encode())
    outcome = Outcome(boot.name, folder / "console.log", folder / "results", time.time() - started)
    outcome.results.mkdir()
    packed = folder / "results.tar"
    if packed.exists() and packed.stat().st_size:
        unpacked = subprocess.run(["tar", "-C", outcome.results, "-xf", packed], capture_output=True, text=True, check=False)
        if unpacked.returncode:
            outcome.problems.append(f"the results cannot be unpacked: {unpacked.stderr.strip()}")
    image.unlink()
    shutil.rmtree(folder / "stage")
    if not boot.shell:
        judge(outcome, boot, in_time)
    return outcome
