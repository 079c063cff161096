# SPDX-License-Identifier: GPL-2.0
"""The checks that are no boot of a guest suite: the tools' own tests, lint, mbox, sparse and W=1, object code, builds, and
the benchmark, which has boots of its own."""

import functools
import json
import os
import subprocess
import sys
import tempfile

from bench import run
from check import builds, ktap, lint, objects, static
from kernel import prefixes, source
from kernel.build import Kernel
from lib import paths, process
from lib.cases import Case

def tool_tests():
    """The unit tests of the workbench; each module in a process of its own, as they set up their own build directories."""
    cases = []
    for module in sorted(path.stem for path in (paths.WORKBENCH / "tests").glob("test_*.py")):
        done = subprocess.run([sys.executable, paths.WORKBENCH / "tests" / "run.py", module], capture_output=True,
                              text=True, check=False)
        rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
        cases += [Case(*row) for row in rows]
        if done.returncode or not rows:
            cases.append(Case(module, "failed", " ".join(done.stderr.split())[-400:] or "no test ran"))
    return cases


def page_owner_tools():
    """tools/mm/page_owner_filter and page_owner_sort, against a page_owner that a library fakes and written records."""
    with tempfile.NamedTemporaryFile(suffix=".c") as base:
        base.write(source.git().out("show", f"{source.base()}:tools/mm/page_owner_sort.c"))
        base.flush()
        done = subprocess.run([paths.TOPICS / "page-owner" / "tools_mm_test", paths.SOURCE, base.name], capture_output=True,
                              text=True, check=False)
    cases = ktap.cases(done.stdout.splitlines(), "tools/mm")
    if done.returncode and all(case.status != "failed" for case in cases):
        cases.append(Case("tools/mm", "failed", f"exit status {done.returncode}: {' '.join(done.stderr.split())[-300:]}"))
    return cases


def mbox():
    """What `make mbox` writes, applied by b4 to a clean base, is the assembled tree."""
    cases = []
    for words in (["export"], ["prove-mbox"]):
        done = subprocess.run([paths.WORKBENCH / "wb", "series", *words], capture_output=True, text=True, check=False)
        cases.append(Case(f"series {' '.join(words)}", "failed" if done.returncode else "passed",
                          " ".join((done.stdout + done.stderr).split())[-500:] if done.returncode else ""))
        if done.returncode:
            break
    return cases


def without_kvm():
    """What runs a command that cannot use KVM: kunit.py asks QEMU for KVM first, which can be there for root, and broken."""
    if os.environ.get("ACCEL") == "kvm" or os.geteuid() or not os.path.exists("/dev/kvm"):
        return []
    return ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /dev/kvm; exec "$@"', "sh"]


def kunit_py(name):
    """KUnit the usual way: kunit.py builds a kernel of its own from mm/tests/.kunitconfig and boots it.

    It covers the memory models that the guests' kernels do not have. A run in which every case skips tested nothing.
    """
    folder = paths.BUILD / "kunit" / name.removesuffix("-pti")
    folder.mkdir(parents=True, exist_ok=True)
    words = [*without_kvm(), "python3", "tools/testing/kunit/kunit.py", "run", f"--build_dir={folder}",
             "--kunitconfig=mm/tests", f"--jobs={os.cpu_count()}", "--timeout=300", "--raw_output=kunit",
             "--kernel_args=page_owner=on", *KUNIT_PY[name]]
    log = paths.LOGS / f"{name}.log"
    with open(log, "w", encoding="utf-8") as errors:
        done = subprocess.run(words, cwd=paths.SOURCE, stdout=subprocess.PIPE, stderr=errors, text=True, check=False,
                              env=process.environment(Kernel("default").environment()))
    (paths.LOGS / f"{name}.ktap").write_text(done.stdout)
    if done.returncode:
        return [Case(f"kunit.py {name}", "failed", f"{process.telling_line(log)} (log {log})")]
    cases = ktap.cases(done.stdout.splitlines(), name)
    if not any(case.status == "passed" for case in cases):
        cases.append(Case(f"kunit.py {name}", "failed", f"no case passed (log {log})"))
    return cases

# The one buildable configuration that keeps node ids in a table beside page->flags is riscv32 with many nodes.
KUNIT_PY = {
    "kunit-um": ["--arch=um"],
    "kunit-i386": ["--arch=i386", "--cross_compile=i686-linux-gnu-"],
    "kunit-riscv32": ["--arch=riscv32", "--cross_compile=riscv64-linux-gnu-", "--kconfig_add=CONFIG_SMP=y",
                      "--kconfig_add=CONFIG_MMU=y", "--kconfig_add=CONFIG_NUMA=y",
                      "--kconfig_add=CONFIG_SPARSEMEM_MANUAL=y", "--kconfig_add=CONFIG_NODES_SHIFT=10"],
}

# The mm-local region and the mermap with PAE, without and with page table isolation: one kernel, two boots.
PAE = ["--arch=i386", "--cross_compile=i686-linux-gnu-", "--qemu_args=-cpu max -smp 2 -m 1G",
       *(f"--kconfig_add=CONFIG_{option}=y" for option in (
           "EXPERT", "SMP", "X86_MPPARSE", "X86_PAE", "CPU_MITIGATIONS", "MITIGATION_PAGE_TABLE_ISOLATION",
           "MODIFY_LDT_SYSCALL", "MERMAP", "MERMAP_KUNIT_TEST", "MM_LOCAL_KUNIT_TEST"))]
KUNIT_PAE = {
    "kunit-i386-pae": [*PAE, "--kernel_args=pti=off"],
    "kunit-i386-pae-pti": [*PAE, "--kernel_args=pti=on"],
}
KUNIT_PY |= KUNIT_PAE


def other_architectures():
    """The touched directories with Debian's cross compilers."""
    cases = []
    for config in ("arm64",):
        try:
            Kernel(config).build(*prefixes.directories())
            cases.append(Case(f"{config} builds {' '.join(prefixes.directories())}", "passed"))
        except SystemExit:
            cases.append(Case(f"{config} builds", "failed", "see the error above"))
    return cases

# (name, topic, function, only in check-full)
CHECKS = [
    ("tools", "workbench", tool_tests, False),
    ("lint", "workbench", lint.everything, False),
    ("mbox", "workbench", mbox, False),
    ("tools-mm", "page-owner", page_owner_tools, False),
    ("static", "workbench", static.sparse_and_warnings, False),
    ("off", "workbench", objects.everything_off, False),
    ("modules", "workbench", builds.modules, False),
    ("bench", "workbench", run.short_cases, False),
    ("bisect", "series", prefixes.every_prefix, True),
    ("options", "series", builds.each_off, True),
    ("compilers", "series", builds.other_compilers, True),
    ("arches", "series", other_architectures, True),
    *((name, "unmapped" if name in KUNIT_PAE else "page-owner", functools.partial(kunit_py, name), True)
      for name in KUNIT_PY),
]
