# SPDX-License-Identifier: GPL-2.0
"""The demo's guest with a shell, or for one command: wb shell [CONFIG [MACHINE [BOOT PARAMETERS]]]

  --cmd LINE      run this and end: what it prints is printed here, its exit status is ours; 124 when time is up, 125
                  when the guest failed
  --timeout N     seconds for that; 300
  --share DIR     the guest has a copy of a folder as /share, where the command runs; what it changes there comes back,
                  beside and not over the folder
  --gdb           wait for a debugger before the first instruction, with a kernel that has debug information: it is
                  built the first time, which takes as long as any first build
"""

import argparse
import contextlib
import os
import shlex
import sys
import threading
from pathlib import Path

from guest import machines, qemu, tools
from kernel import source
from kernel.build import FRAGMENTS, Kernel, options_in
from lib import console
from lib.errors import CommandError

SHARE_LIMIT = 512 << 20     # it is part of the guest's memory
TIMEOUT, FAILED = 124, 125


def shared(name):
    """A folder that can be given to the guest.

    It goes with the initramfs and comes back with the results: that needs no option in the kernel, so that any can be
    used; 9p needs four, and virtiofs a daemon as well.
    """
    folder = Path(name).resolve()
    if not folder.is_dir():
        raise CommandError(f"--share {name}: there is no such folder")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if size > SHARE_LIMIT:
        raise CommandError(f"--share {name}: {size >> 20} MiB are too much, the guest gets a copy in its memory "
                           f"(at most {SHARE_LIMIT >> 20} MiB)")
    return folder


def kernel_of(config, gdb):
    """The kernel to boot; for gdb it is another one, with lines and types."""
    return Kernel(config, label=f"{config}-gdb", changes=options_in(FRAGMENTS / "gdb.config")) if gdb else Kernel(config)


def debugger(kernel):
    """The socket where QEMU waits for gdb, and what the user types. A port could be another guest's."""
    socket = qemu.RUNS / "shell.gdb"
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    vmlinux = kernel.objects / "vmlinux"
    console.say(f"waiting for gdb: gdb {shlex.quote(str(vmlinux))} -ex 'target remote {socket}'  "
                "(then: hbreak start_kernel, continue)")
    return socket


def returned(outcome):
    """Say where the files of the shared folder are that the guest changed."""
    changed = [path for path in (outcome.results / "share").rglob("*") if path.is_file()]
    if changed:
        console.say(f"the guest changed {len(changed)} files of the shared folder; they are in "
                    f"{outcome.results / 'share'}")


def copied(source):
    """Print what comes through a pipe, as it comes."""
    with open(source, "rb", buffering=0) as pipe:
        while data := pipe.read(1 << 16):
            os.write(1, data)


def one_command(boot, line):
    """Run one command in the guest; returns its exit status. What we say ourselves goes to standard error."""
    boot.jobs, boot.files = ("command",), {"line": line + "\n"}
    source, boot.output = os.pipe()
    reader = threading.Thread(target=copied, args=(source,), daemon=True)
    reader.start()
    try:
        outcome = qemu.run(boot)
    finally:
        os.close(boot.output)
    reader.join()
    returned(outcome)
    if outcome.skipped:
        raise CommandError(outcome.skipped)
    return verdict(outcome)


def verdict(outcome):
    """The exit status of a command in the guest; what else went wrong is told."""
    status = outcome.text("command.status").strip()
    others = [problem for problem in outcome.problems if not problem.startswith("job command ended with ")]
    for line in outcome.excerpt:
        print(f"         | {line}", file=sys.stderr)
    for problem in others:
        print(f"error: {problem} (log {outcome.console})", file=sys.stderr)
    if any(problem.startswith("no end after") for problem in others):
        return TIMEOUT
    return FAILED if others or not status else int(status)


def main(words):
    """Build what is missing and boot."""
    parser = argparse.ArgumentParser(prog="wb shell", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default="default")
    parser.add_argument("machine", nargs="?", default="cxl")
    parser.add_argument("append", nargs="?", default="page_owner=on")
    parser.add_argument("--cmd")
    parser.add_argument("--timeout", type=int, default=300)
    parser.add_argument("--share", type=shared)
    parser.add_argument("--gdb", action="store_true")
    args = parser.parse_args(words)
    machines.get(args.machine)
    with contextlib.redirect_stdout(sys.stderr if args.cmd else sys.stdout):
        qemu.reserve("shell", wait=False)
        source.pin(own=True)
        qemu.prepare(kselftests=True)
        kernel = kernel_of(args.config, args.gdb)
        kernel.build()
        # A shell is for trying things out: any boot will do.
        boot = qemu.Boot(kernel=kernel.image(), name="shell", machine=args.machine, append=args.append, kselftests=True,
                         shell=not args.cmd, witness=None, config=args.config, timeout=args.timeout, share=args.share,
                         binaries=tools.build(), debugger=debugger(kernel) if args.gdb else None)
        if args.cmd:
            return one_command(boot, args.cmd)
        console.say("booting; `cxl create-region -t ram -d decoder0.0 -m mem0` makes a node of a CXL device; "
                    "ctrl-a x kills the machine")
        returned(qemu.run(boot))
    return 0
