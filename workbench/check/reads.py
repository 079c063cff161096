# SPDX-License-Identifier: GPL-2.0
"""What the result of each host check depends on: it is run again when, and only when, one of these has changed."""

from check import compilers as others
from lib import paths
from series.patch import OURS


def builds(inputs, *cross):
    """What any kernel that a check builds is made of."""
    inputs.source(".")
    inputs.base(".")
    inputs.code("kernel", "lib")
    inputs.files(*sorted(paths.TOPICS.glob("*/options*.config")))
    inputs.compiler(*cross)
    inputs.tools("perl", "python3", "flex", "bison")


def tools(inputs):
    """The unit tests: all of the workbench, and what its tests run and read."""
    inputs.code(".")
    inputs.files(*(paths.TOP / name for name in ("Makefile", "README.md", ".gitattributes", ".gitlab-ci.yml",
                                                 ".github/workflows/ci.yml", ".ci/run")))
    inputs.file(paths.SOURCE / "tools" / "testing" / "kunit" / "kunit_parser.py")
    inputs.tools("python3", "git", "b4", "gpg", "make", "gcc")


def lint(inputs):
    """Every file of the repository, the commits made of them, and what reads them."""
    inputs.repository()
    inputs.commits()
    inputs.source(".")
    inputs.tools("python3", "git", "perl", "shellcheck", "pyflakes3")


def mbox(inputs):
    """Patches, covers and new files; what writes the mailboxes, and what applies them. Not the repository's own."""
    own = OURS - {"patches", "MAINTAINERS"}
    inputs.repository(without=own | {".ci", ".github", ".gitlab-ci.yml", ".gitignore", ".gitattributes"})
    inputs.code("series", "lib", "wb", "check/host.py")
    inputs.commits()
    inputs.tools("python3", "git", "b4")


def static(inputs):
    """Sparse and W=1."""
    builds(inputs)
    inputs.code("check/static.py")
    inputs.tools("sparse")


def off(inputs):
    """Object code with every option off."""
    builds(inputs)
    inputs.code("check/objects.py", "check/static.py", "bench/objects.py")
    inputs.tools("objdump")


def modules(inputs):
    """The default's kernel with other values of the series' options."""
    builds(inputs)
    inputs.code("check/builds.py", "check/compilers.py", "check/static.py")


def compilers(inputs):
    """The default's kernel by other compilers, wherever these are; one that cannot be had may be there for root."""
    modules(inputs)
    for compiler in others.KNOWN:
        inputs.add(f"compiler {compiler.name}", others.version(compiler))


def bench(inputs):
    """The benchmark: two kernels, its programs, and the guest."""
    builds(inputs)
    inputs.code("bench", "guest/init", "guest/lib.sh", "guest/qemu.py", "guest/machines.py", "guest/witness", "guest/jobs/witness")
    inputs.file(paths.BUILD / "rootfs" / "root.cpio.zst")
    inputs.tools("objdump", "qemu-system-x86_64")


def fit(inputs):
    """Whether mutants fit: the tree, and what names its tests."""
    inputs.source(".")
    inputs.code("check", "guest/suites.toml", "guest/expected.txt", "topics")


def mutants(inputs):
    """Mutants: kernels, boots of any topic, and the guest."""
    builds(inputs)
    inputs.code("check", "guest", "topics")
    for name in ("root.cpio.zst", "kselftest.cpio"):
        inputs.file(paths.BUILD / "rootfs" / name)
    inputs.environment("ACCEL")
    inputs.tools("qemu-system-x86_64")


def bisect(inputs):
    """Every prefix of the series."""
    builds(inputs)
    inputs.commits()


def arches(inputs):
    """Other architectures."""
    builds(inputs, "aarch64-linux-gnu-")
    inputs.code("check/host.py")
