# SPDX-License-Identifier: GPL-2.0
"""KUnit the usual way: kunit.py builds a kernel of its own from mm/tests/.kunitconfig and boots it.

It covers the memory models that the guests' kernels do not have. A run in which every case skips tested nothing.
"""

import os
import subprocess

from check import ktap
from check.suite import Suite
from kernel.build import Kernel
from lib import paths, process
from lib.cases import Case


def without_kvm():
    """What runs a command without KVM: kunit.py asks QEMU for KVM first, which can be there for root, and broken."""
    if os.environ.get("ACCEL") == "kvm" or os.geteuid() or not os.path.exists("/dev/kvm"):
        return []
    return ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /dev/kvm; exec "$@"', "sh"]


def cases(entry):
    """Build, boot, and read what the kernel printed."""
    name = entry["name"]
    folder = paths.BUILD / "kunit" / entry.get("tree", name)
    folder.mkdir(parents=True, exist_ok=True)
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    words = [*without_kvm(), "python3", "tools/testing/kunit/kunit.py", "run", f"--build_dir={folder}",
             "--kunitconfig=mm/tests", f"--jobs={os.cpu_count()}", "--timeout=300", "--raw_output=kunit",
             "--kernel_args=page_owner=on", *entry["args"]]
    log = paths.LOGS / f"{name}.log"
    with open(log, "w", encoding="utf-8") as errors:
        done = subprocess.run(words, cwd=paths.SOURCE, stdout=subprocess.PIPE, stderr=errors, text=True, check=False,
                              env=process.environment(Kernel("default").environment()))
    (paths.LOGS / f"{name}.ktap").write_text(done.stdout)
    if done.returncode:
        return [Case(f"kunit.py {name}", "failed", f"{process.telling_line(log)} (log {log})")]
    found = ktap.cases(done.stdout.splitlines(), name)
    if not any(case.status == "passed" for case in found):
        found.append(Case(f"kunit.py {name}", "failed", f"no case passed (log {log})"))
    return found


def inputs(entry, found):
    """What its result depends on: the tree, the compiler and the emulator that the words name."""
    found.files(__file__, paths.WORKBENCH / "check" / "ktap.py")
    found.add("table", entry)
    found.source(".")
    found.environment("ACCEL")
    found.compiler(*(word.partition("=")[2] for word in entry["args"] if word.startswith("--cross_compile=")))
    found.tools("python3", *(f"qemu-system-{name}" for name in ("i386", "riscv32", "x86_64")))


def suite(topic, entry):
    """The suite of one [[kunit_py]] table."""
    return Suite(entry["name"], topic, lambda: cases(entry), full=entry.get("full", False), builds=True,
                 needs=tuple(entry.get("needs", ["kernel"])), reads=lambda found: inputs(entry, found))
