# SPDX-License-Identifier: GPL-2.0
"""A command that ends with everything that it started.

Threads that wait for programs cannot be told to stop: each would start the next program first. So the work is done in a
process of its own, in a group of its own, to which the terminal sends nothing. On a signal it is frozen before anything
else happens; then whatever runs below it is asked to end, and killed if it does not. Orphans come to us, since we are
the nearest subreaper.
"""

import ctypes
import os
import signal
import sys
import time
import traceback

from lib import console, errors

SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36
WATCHED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGTSTP, signal.SIGCONT}
SAID = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM", signal.SIGHUP: "ended, its terminal is gone"}
PATIENCE = 1.0      # seconds to end by itself: git takes its locks away


def prctl(what, value):
    """prctl(2); without it orphans stay, which is no reason to stop."""
    ctypes.CDLL(None, use_errno=True).prctl(what, ctypes.c_ulong(value), 0, 0, 0)


def guarded(work):
    """Run work() in a process of its own and return its exit status. A signal that ends us ends all of it."""
    sys.stdout.flush()
    sys.stderr.flush()
    us = os.getpid()
    prctl(SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    try:
        worker = os.fork()
        if not worker:
            work_alone(work, us, before)
        return watch(worker)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def work_alone(work, parent, mask):
    """The worker's part, which never returns. It does not outlive its parent, and reads nothing from the terminal."""
    status = 1
    try:
        prctl(SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = told(work)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:       # pylint: disable=broad-exception-caught
        traceback.print_exc()
    finally:
        os._exit(status)


def told(work):
    """The exit status of work(); a problem is told as wb tells it."""
    try:
        return int(work() or 0)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(bool(error.code))
    except Exception as error:      # pylint: disable=broad-exception-caught
        if not (lines := errors.told(error)):
            raise
        for line in lines:
            print(f"[{console.elapsed():>6}] error: {line}", file=sys.stderr)
        return 1


def watch(worker):
    """Wait for the worker's end, or for a signal that ends it; ^Z stops it with us."""
    while True:
        number = signal.sigwait(WATCHED)
        status = reaped(worker) if number == signal.SIGCHLD else None
        if number == signal.SIGTSTP:
            send(-worker, signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
        elif number == signal.SIGCONT:
            send(-worker, signal.SIGCONT)
        elif number != signal.SIGCHLD or status is not None:
            if status is not None and os.WIFEXITED(status):
                end_all()
                return os.WEXITSTATUS(status)
            number = number if status is None else os.WTERMSIG(status)
            end_all(worker)
            said = SAID.get(number, f"ended by signal {number}")
            print(f"[{console.elapsed():>6}] {said}", file=sys.stderr, flush=True)
            return 128 + number


def reaped(worker):
    """The worker's wait status, if it ended; everybody else's is taken and forgotten."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not pid:
            return found
        if pid == worker:
            found = status


def below(top):
    """All processes that descend from one."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] not in "ZX":
                parents[int(name)] = int(fields[1])
    found, wanted = [], [top]
    while wanted:
        parent = wanted.pop()
        children = [pid for pid, its in parents.items() if its == parent]
        found += children
        wanted += children
    return found


def send(pid, number):
    """A signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def end_all(worker=0):
    """Freeze the worker, so that it starts nothing new; end the others, and then it, until none is left."""
    if worker:
        send(worker, signal.SIGSTOP)
    us, started = os.getpid(), time.monotonic()
    others = [pid for pid in below(us) if pid != worker]
    for pid in others:
        send(pid, signal.SIGTERM)
        send(pid, signal.SIGCONT)
    while [pid for pid in below(us) if pid != worker] and time.monotonic() - started < PATIENCE:
        time.sleep(0.02)
        reaped(0)
    while left := below(us):
        for pid in left:
            send(pid, signal.SIGKILL)
        time.sleep(0.02)
        reaped(0)
    reaped(0)
