# SPDX-License-Identifier: GPL-2.0
"""What runs when. Two lanes share the CPUs:

  builds   one after the other, each with all CPUs: first the kernels that are booted, in the order of the suites, then
           the checks that build kernels of their own
  work     boots, as soon as their kernel is there, and checks that build nothing where no boot can start: as many side by
           side as there are slots, one less while something is built. A boot waits for other boots alone: a check that began
           before its kernel was there goes on beside it, and may take many minutes

So the first kernel's guests run while the second kernel is built, no CPU waits for a check that uses only one, and no guest
waits for a check.
"""

import concurrent.futures
import contextlib


class Schedule:
    """The order of one run. `run` takes a suite, `kernels` builds by the name of a config."""

    def __init__(self, suites, kernels, run, slots):
        self.kernels, self.run, self.slots = kernels, run, max(1, slots)
        boots = [suite for suite in suites if suite.config]
        self.builds = [*dict.fromkeys(suite.config for suite in boots), *(suite for suite in suites if suite.builds)]
        self.work = [suite for suite in suites if not suite.builds and not suite.config]
        self.waiting = boots                    # for their kernel
        self.building, self.working = {}, {}    # future -> what it does

    def start(self, pool):
        """Start what may run now."""
        if self.builds and not self.building:
            task = self.builds.pop(0)
            call = self.kernels.build if isinstance(task, str) else self.run
            self.building[pool.submit(call, task)] = task
        limit = max(1, self.slots - 1) if self.building else self.slots
        while self.work and self.beside(self.work[0]) < limit:
            suite = self.work.pop(0)
            self.working[pool.submit(self.run, suite)] = suite

    def beside(self, suite):
        """How much that runs counts for who is to start: boots for a boot, all for a check."""
        return sum(bool(other.config) or not suite.config for other in self.working.values())

    def ended(self, future):
        """What an end leads to: the result of a suite, or boots that can start."""
        task = self.building.pop(future, None) or self.working.pop(future)
        result = future.result()
        if not isinstance(task, str):
            return result
        ready = [suite for suite in self.waiting if suite.config == task]
        boots = [suite for suite in self.work if suite.config] + ready
        self.work = boots + [suite for suite in self.work if not suite.config]
        self.waiting = [suite for suite in self.waiting if suite.config != task]
        return None

    def results(self):
        """The result of each suite, as they come in. Who stops listening stops what has not begun."""
        with contextlib.ExitStack() as stack:
            pool = concurrent.futures.ThreadPoolExecutor(2 * self.slots + 1)
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            self.start(pool)
            while self.building or self.working:
                done, _ = concurrent.futures.wait({*self.building, *self.working},
                                                  return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    if (result := self.ended(future)) is not None:
                        yield result
                self.start(pool)
