# SPDX-License-Identifier: GPL-2.0
"""Guests: how they are described, started and judged, and how their files are made. A script stands in for QEMU."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from check import plan
from guest import demo, judge, machines, qemu, results, root, shell, stacks
from lib import console, paths
from lib.errors import CommandError
from shared import PATIENCE, Folder, alive, wait_for

SAID = "workbench: job "


def tar_of(*named):
    """A tar archive as the guest's hand_back() writes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in named:
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


class StubQemu(Folder):
    """Boots where `qemu-system-x86_64` is a script of the test."""

    def setUp(self):
        super().setUp()
        self.patch(qemu, "RUNS", self.folder / "run")
        self.patch(console, "say")
        for name in ("ROOT", "KSELFTEST"):
            (self.folder / name).write_bytes(b"")
            self.patch(root, name, self.folder / name)
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        self.stub = bin_folder / "qemu-system-x86_64"
        environment = mock.patch.dict(os.environ, {"PATH": f"{bin_folder}:{os.environ['PATH']}", "ACCEL": ""})
        environment.start()
        self.addCleanup(environment.stop)
        qemu.probe.cache_clear()
        qemu.usable.cache_clear()

    def is_qemu(self, text):
        """The stand-in: it has the file for results in $results."""
        self.stub.write_text("#!/bin/bash\nfor word; do case $word in file,id=results,path=*) results=${word##*path=} ;; esac; done\n"
                             + text)
        self.stub.chmod(0o755)

    def boot(self, **more):
        return qemu.Boot(**{"kernel": Path("/none"), "name": "test", "machine": "small", "witness": None, "timeout": 20, **more})


class Lifetime(StubQemu):
    """W4: no QEMU outlives its command or its time."""

    PARENT = """
import sys, os
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from guest import qemu
folder = Path(sys.argv[2])
qemu.watch(["qemu-system-x86_64"], folder / "log", int(sys.argv[3]), b"")
"""

    def started(self, timeout=60):
        """A command that waits for a QEMU which never ends, and the pid of that."""
        self.is_qemu(f"trap '' TERM HUP INT\necho $$ >{self.folder}/pid.new; mv {self.folder}/pid.new {self.folder}/pid\n"
                     "while :; do sleep 0.1; done\n")
        parent = subprocess.Popen([sys.executable, "-c", self.PARENT, str(paths.WORKBENCH), str(self.folder), str(timeout)],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(parent.wait)
        self.addCleanup(parent.kill)
        self.until((self.folder / "pid").exists)
        return parent, int((self.folder / "pid").read_text())

    def until(self, true):
        self.assertTrue(wait_for(true), "it did not happen in time")

    def test_it_dies_with_its_command(self):
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            parent, pid = self.started()
            parent.send_signal(number)
            parent.wait(timeout=PATIENCE)
            self.until(lambda: not alive(pid))
            (self.folder / "pid").unlink()

    def test_one_that_is_silent_is_ended_where_that_tells_a_hang(self):
        self.is_qemu("echo hello\nsleep 1.5\necho there\nexec sleep 60\n")
        began = time.monotonic()
        qemu.watch(["qemu-system-x86_64"], self.folder / "log", 60, b"", silence=3)
        self.assertEqual((self.folder / "log").read_text(), "hello\nthere\n")
        self.assertTrue(4 < time.monotonic() - began < 40)

    def test_its_time_needs_no_command(self):
        parent, pid = self.started(timeout=2)
        parent.send_signal(signal.SIGSTOP)
        self.until(lambda: not alive(pid))
        parent.send_signal(signal.SIGCONT)

    def test_a_hung_guest_is_told(self):
        self.is_qemu("echo stuck here; exec sleep 60")
        outcome = qemu.run(self.boot(timeout=6))
        self.assertIn("no end after 6 s; the console's last line: stuck here", outcome.problems)
        self.assertLess(outcome.seconds, 50)

    def test_a_machine_that_refuses_to_start_is_told(self):
        self.is_qemu("echo 'qemu: this feature is not there'; exit 1")
        self.assertIn("this feature is not there", "; ".join(qemu.run(self.boot()).problems))


class HandedBack(StubQemu):
    """What was handed back before a guest died counts, and nothing else."""

    def outcome(self, stream, tail="", jobs=("one", "two", "three")):
        self.patch(qemu, "job_file", lambda name, room="jobs": Path(os.devnull))
        (self.folder / "stream").write_bytes(stream)
        self.is_qemu(f"cat {self.folder}/stream >$results\n{tail}")
        return qemu.run(self.boot(jobs=jobs, timeout=6))

    def test_a_crash_in_the_third_job_loses_nothing_of_the_others(self):
        stream = tar_of(("one.ktap", "ok 1"), ("one.log", "x")) + tar_of(("one.status", "0\n")) + tar_of(("two.status", "0\n"))
        for tail in ("echo 'Kernel panic - not syncing: x'", "exec sleep 60"):
            outcome = self.outcome(stream, tail)
            self.assertEqual(outcome.text("one.ktap"), "ok 1")
            problems = "; ".join(outcome.problems)
            self.assertIn("job three did not end", problems)
            self.assertNotIn("job one", problems)
            self.assertNotIn("job two", problems)

    def test_jobs_after_the_crash_fail_by_name_too(self):
        problems = self.outcome(tar_of(("one.status", "0\n"))).problems
        self.assertIn("job two did not end", problems)
        self.assertIn("job three was not reached", problems)

    def test_a_stream_that_is_cut_short(self):
        whole = tar_of(("one.status", "0\n"), ("one.ktap", "first"))
        last = tar_of(("two.ktap", "x" * 5000), ("two.status", "0\n"))
        for length in (100, 700, 3000):
            outcome = self.outcome(whole + last[:length])
            self.assertEqual(outcome.text("one.ktap"), "first", length)
            self.assertFalse((outcome.results / "two.ktap").exists(), "half a file was taken for a whole one")
            self.assertIn("job two did not end", outcome.problems)

    def test_all_of_it(self):
        stream = tar_of(("one.status", "0\n")) + tar_of(("finished", ""), ("tainted", "0\n"), ("kselftest/a", "b"))
        outcome = self.outcome(stream, jobs=("one",))
        self.assertEqual(outcome.problems, [])
        self.assertEqual(outcome.text("kselftest/a"), "b")

    def test_no_name_leads_out_of_the_folder(self):
        (self.folder / "stream").write_bytes(tar_of(("../../outside", "x"), ("/also", "x")))
        results.unpack(self.folder / "stream", self.folder / "a")
        self.assertTrue((self.folder / "a" / "outside").exists())
        self.assertTrue((self.folder / "a" / "also").exists())

    def test_the_guest_s_own_function_writes_such_a_stream(self):
        given, left = self.folder / "given", self.folder / "results"
        (left / "more").mkdir(parents=True)
        for name, text in (("a.ktap", "A"), ("a b.log", "B"), ("more/c", "C"), ("a.status", "0\n")):
            (left / name).write_text(text)
        script = (paths.WORKBENCH / "guest" / "lib.sh").read_text().replace('-cf "$(port results)"', "-cf -")
        subprocess.run(["bash", "-c", f"{script}\ncd $RESULTS; hand_back a.ktap >>{given}; hand_back ./* >>{given}"], check=True,
                       env={**os.environ, "RESULTS": str(left)})
        self.assertEqual(list(left.iterdir()), [])
        self.assertEqual(results.unpack(given, self.folder / "back"), "")
        found = {str(path.relative_to(self.folder / "back")): path.read_text()
                 for path in (self.folder / "back").rglob("*") if path.is_file()}
        self.assertEqual(found, {"a.ktap": "A", "a b.log": "B", "more/c": "C", "a.status": "0\n"})


class Judge(Folder):
    def judge(self, text="", files=None, in_time=True, jobs=("work",), **more):
        (self.folder / "console").write_text(text)
        left = self.folder / "results"
        left.mkdir(exist_ok=True)
        for path in left.iterdir():
            path.unlink()
        for name, content in ({"finished": "", "tainted": "0\n", "work.status": "0\n"} if files is None else files).items():
            (left / name).write_text(content)
        outcome = qemu.Outcome("test", self.folder / "console", left, 1.0, jobs)
        judge.judge(outcome, qemu.Boot(kernel="none", name="test", jobs=jobs, timeout=5, **more), in_time)
        return "; ".join(outcome.problems)

    def test_a_good_boot(self):
        self.assertEqual(self.judge("[ 0.1] Linux version 7.3\n"), "")

    def test_taint_of_kunit_is_expected(self):
        self.assertEqual(self.judge(files={"finished": "", "tainted": "262144\n", "work.status": "0\n"}), "")

    def test_every_bad_word_of_the_console(self):
        for line in ("WARNING: at mm/page_owner.c:1 x", "BUG: KASAN: slab-out-of-bounds in x", "Kernel panic - not syncing: x",
                     "WARNING: possible circular locking dependency detected", "Oops: Oops: 0000 [#1] SMP",
                     "INFO: task cat:1 blocked for more than 120 seconds.", "rcu: INFO: rcu_preempt detected stalls",
                     "UBSAN: array-index-out-of-bounds in x", "BUG: sleeping function called from invalid context at x",
                     "WARNING: suspicious RCU usage", "BUG: Bad page state in process x",
                     "kernel BUG at mm/slub.c:1!"):
            self.assertIn(line, self.judge(f"[ 1.0] {line}\n"), line)

    def test_only_who_is_to_use_up_memory_is_killed(self):
        line = "[ 1.0] Out of memory: Killed process 9 (hog) total-vm:1kB"
        self.assertEqual(self.judge(f"{line}\n", killed=("hog",)), "")
        for killed in ((), ("ho",), ("hog total",)):
            self.assertIn(line, self.judge(f"{line}\n", killed=killed))

    def test_missing_results(self):
        problems = self.judge("the last words\n", files={})
        self.assertIn("ended before its jobs did; the console's last line: the last words", problems)
        self.assertIn("job work did not end", problems)

    def test_taint(self):
        self.assertIn("tainted: 512", self.judge(files={"finished": "", "tainted": "512\n", "work.status": "0\n"}))
        self.assertIn("tainted", self.judge(files={"finished": "", "work.status": "0\n"}))

    def test_failed_and_missing_job(self):
        files = {"finished": "", "tainted": "0\n", "work.status": "3\n", "work.log": "first\nno such file\n"}
        self.assertIn("job work ended with 3: no such file", self.judge(files=files))
        self.assertIn("job work left no status", self.judge(files={"finished": "", "tainted": "0\n"}))

    def test_excerpt_is_what_is_around_the_first_problem(self):
        lines = [f"line {number}" for number in range(100)]
        lines[50] = "kernel BUG at mm/slub.c:1!"
        self.assertEqual(judge.excerpt(lines), lines[45:90])

    def test_excerpt_without_a_problem_is_the_end(self):
        self.assertEqual(judge.excerpt([f"line {number}" for number in range(100)])[-1], "line 99")
        self.assertEqual(judge.excerpt([]), [])

    def test_timeout_tells_the_last_line(self):
        self.assertIn("no end after 5 s; the console's last line: stuck here", self.judge("a\nstuck here\n\n", in_time=False))


class Machines(Folder):
    def read(self, **tables):
        """The machines of files with these texts."""
        found = []
        for name, text in tables.items():
            found.append(self.folder / f"{name}.toml")
            found[-1].write_text(text)
        self.patch(machines, "files", lambda: found)
        machines.tables.cache_clear()
        self.addCleanup(machines.tables.cache_clear)

    def test_a_machine_like_another(self):
        self.read(a='[one]\narguments = """\n# why\n-smp 2\n-m 1G\n"""\nwitness = ["levels 4", "cpus 2"]\n',
                  b='[two]\nlike = "one"\ntype = "q35,cxl=on"\ncpu = "la57=on"\narguments = "-device x"\nwitness = ["levels 5"]\n')
        self.assertEqual(machines.arguments("two"), ["-M", "q35,cxl=on", "-smp", "2", "-m", "1G", "-device", "x"])
        self.assertEqual(machines.get("two").witness, ("cpus 2", "levels 5"))
        self.assertEqual((machines.features("one"), machines.features("two")), ("la57=off,enforce", "la57=on,enforce"))

    def test_mistakes_are_told(self):
        for more, said in (("[one]\n", "already"), ("[two]\ntpye = 'q35'\n", "unknown key tpye")):
            self.read(a="[one]\n", b=more)
            with self.assertRaisesRegex(CommandError, said):
                machines.get("one")
        self.read(a="[one]\n")
        with self.assertRaisesRegex(CommandError, "no machine other; there are: one"):
            machines.get("other")

    def test_ours(self):
        machines.tables.cache_clear()
        for name in machines.tables():
            machine = machines.get(name)
            self.assertIn("-smp", machine.arguments, name)
            self.assertIn("levels 5" if "la57=on" in machine.cpu else "levels 4", machine.witness, name)


class Witnesses(StubQemu):
    """What is looked for in a guest, and that a guest which does not have it fails by name."""

    def test_a_suite_s_line_takes_the_machine_s_place(self):
        boot = self.boot(machine="la57", witness=("levels 4", "pti on"))
        self.assertEqual(qemu.witnesses(boot), ("parameters", "cpus 2", "nodes 0", "levels 4", "pti on"))
        self.assertEqual(qemu.all_jobs(boot), ("witness",))

    def test_several_ranges_of_memory(self):
        seen = qemu.witnesses(self.boot(witness=("memory 1-2 Reserved", "memory 3-4 none")))
        self.assertEqual([line for line in seen if line.startswith("memory")], ["memory 1-2 Reserved", "memory 3-4 none"])

    def test_what_the_debug_kernel_promises(self):
        boot = self.boot(config="debug", witness=())
        for line in ("kasan", "lockdep", "poison", "slab FZ"):
            self.assertIn(line, qemu.witnesses(boot))
        words = qemu.command(boot, "image", self.folder)
        self.assertIn("page_poison=1", words[words.index("-append") + 1].split())

    def test_a_shell_and_what_asks_for_none(self):
        self.assertEqual(qemu.witnesses(self.boot(shell=True, witness=())), ())
        self.assertEqual(qemu.all_jobs(self.boot(jobs=("a",), witness=None)), ("a",))

    def test_the_benchmark_looks_afterwards(self):
        self.assertEqual(qemu.all_jobs(self.boot(jobs=("bench", "witness"), witness=())), ("bench", "witness"))

    def test_every_kind_that_a_suite_names_is_there(self):
        import tomllib
        for path in (paths.WORKBENCH / "guest" / "suites.toml", *paths.TOPICS.glob("*/suites.toml")):
            for suite in tomllib.loads(path.read_text())["suite"]:
                for config in suite["configs"]:
                    boot = self.boot(machine=suite["machine"], config=config, witness=tuple(suite.get("witness", ())))
                    for line in qemu.witnesses(boot):
                        self.assertTrue(os.access(qemu.job_file(line.split()[0], "witness"), os.X_OK), line)

    # What sees that a parameter took effect; of the others, why nothing has to. That there is such a parameter at all is
    # looked at by `parameters`, and what a module makes of its own is for the module's tests.
    SEEN_BY = {"memmap": {"memory", "soft"}, "numa_spm": {"reserved"}, "numa": {"nodes"}, "pti": {"pti"}, "no5lvl": {"levels"},
               "page_owner": {"page_owner"}, "lockdown": {"lockdown"}, "maxcpus": {"cpus"}, "debug_pagealloc": {"pagealloc"},
               "init_on_free": {"init"}, "cgroup_disable": {"controller"}, "transparent_hugepage": {"thp"}}
    UNSEEN = {"init_on_alloc": "only saves time: an emulated CXL device is slow",
              "initcall_blacklist": "else the module's driver has a name that is taken, and is not loaded",
              "memhp_default_state": "the jobs wait until memory that was plugged is on line",
              "unmapped_pages": "a case of the suite is there for that, and skips otherwise",
              "page_table_check": "finds what is wrong, and says nothing if it has nothing to find"}

    def test_every_parameter_that_changes_a_boot_has_its_witness(self):
        """F11. Under each config: append-CONFIG counts as well."""
        for suite in plan.boots():
            seen = {line.split()[0] for line in suite.table.get("witness", ())}
            for word in suite.table.get("append", "").split():
                name = word.split("=")[0]
                if "." not in name and name not in self.UNSEEN:
                    self.assertTrue(seen & self.SEEN_BY.get(name, set()), f"{suite.label}: nothing sees whether {word} took effect")

    def run_kind(self, line, files=(), dmesg=""):
        """A witness script with files of our own in the place of the kernel's."""
        kind, *words = line.split()
        text = qemu.job_file(kind, "witness").read_text()
        (self.folder / "lib.sh").write_text((paths.WORKBENCH / "guest" / "lib.sh").read_text().replace(
            "/sys/devices/system/node", str(self.folder / "node")))
        for number, (name, content) in enumerate(dict(files).items()):
            place = self.folder / f"file{number}"
            place.write_text(content)
            text = text.replace(name, str(place))
        text = text.replace("/sys/devices/system/node", str(self.folder / "node"))
        bin_folder = self.folder / "guest"
        bin_folder.mkdir(exist_ok=True)
        (bin_folder / "dmesg").write_text(f"#!/bin/sh\ncat <<'END'\n{dmesg}\nEND\n")
        (bin_folder / "mount").write_text("#!/bin/sh\n")
        (bin_folder / "sleep").write_text("#!/bin/sh\n")
        for path in bin_folder.iterdir():
            path.chmod(0o755)
        done = subprocess.run(["bash", "-c", text, kind, *words], cwd=self.folder, capture_output=True, text=True, check=False,
                              env={**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "LC_ALL": "C"})
        return done.returncode == 0, done.stdout + done.stderr

    def sees(self, line, **guest):
        return self.run_kind(line, **guest)[0]

    def test_levels(self):
        four, five = {"/proc/cpuinfo": "flags : fpu pti\n"}, {"/proc/cpuinfo": "flags : fpu la57\n"}
        # dd skips to the entry of 1 << 47; here that is the first one.
        far = {"/proc/self/pagemap bs=8 skip=$((1 << 35))": "12345678"}
        short = {"/proc/self/pagemap bs=8 skip=$((1 << 35))": ""}
        self.assertTrue(self.sees("levels 4", files={**four, **short}))
        self.assertTrue(self.sees("levels 5", files={**five, **far}))
        for line, files in (("levels 5", {**four, **short}), ("levels 4", {**five, **far}), ("levels 5", {**five, **short}),
                            ("levels 4", {**four, **far})):
            self.assertFalse(self.sees(line, files=files), line)

    def test_pti(self):
        said = "[ 0.1] Kernel/User page tables isolation: enabled"
        on, off = {"/proc/cpuinfo": "flags : fpu pti\n"}, {"/proc/cpuinfo": "flags : fpu ptirq\n"}
        self.assertTrue(self.sees("pti on", files=on, dmesg=said))
        self.assertTrue(self.sees("pti off", files=off))
        for line, files, text in (("pti on", off, ""), ("pti on", on, ""), ("pti on", off, said), ("pti off", on, said)):
            self.assertFalse(self.sees(line, files=files, dmesg=text), (line, files, text))

    IOMEM = ("00001000-0009fbff : System RAM\n00100000-1fffffff : System RAM\n  01000000-01ffffff : Kernel code\n"
             "20000000-27ffffff : Reserved\n28000000-3fffffff : System RAM\n80000000-9fffffff : Persistent Memory (legacy)\n")

    def test_memory(self):
        files = {"/proc/iomem": self.IOMEM}
        for line in ("memory 20000000-27ffffff Reserved", "memory 80000000-9fffffff Persistent Memory (legacy)",
                     "memory 20000000-27ffffff none", "memory 50000000-5fffffff none"):
            self.assertTrue(self.sees(line, files=files), line)
        for line in ("memory 20000000-2fffffff Reserved", "memory 20000000-27ffffff Soft Reserved", "memory 20000000-27ffffff System RAM",
                     "memory 28000000-2fffffff none", "memory 50000000-5fffffff Reserved"):
            self.assertFalse(self.sees(line, files=files), line)

    def test_nodes(self):
        (self.folder / "node").mkdir()
        (self.folder / "node" / "has_memory").write_text("0-1\n")
        (self.folder / "node" / "possible").write_text("0-3\n")
        self.assertTrue(self.sees("nodes 0-1"))
        self.assertFalse(self.sees("nodes 0"))
        self.assertTrue(self.sees("possible 0-3"))
        self.assertFalse(self.sees("possible 0-1"))

    def test_nodes_without_numa(self):
        self.assertTrue(self.sees("nodes 0"))
        self.assertFalse(self.sees("nodes 0-1"))

    def test_cpus(self):
        files = {"/proc/cpuinfo": "processor : 0\nflags : a\n\nprocessor : 1\n"}
        self.assertTrue(self.sees("cpus 2", files=files))
        self.assertFalse(self.sees("cpus 4", files=files))

    def test_soft(self):
        said = "[ 0.0] user: [mem 0x0000000100000000-0x000000012fffffff]  soft reserved"
        self.assertTrue(self.sees("soft 100000000-12fffffff", dmesg=said))
        self.assertFalse(self.sees("soft 100000000-12fffffff"))
        self.assertFalse(self.sees("soft 100000000-11fffffff", dmesg=said))
        self.assertFalse(self.sees("soft 100000000-12fffffff", dmesg=said.replace("soft reserved", "usable")))

    def test_reserved(self):
        said = "[ 0.0] numa_spm: reserved for private memory: nodes 2-3"
        self.assertTrue(self.sees("reserved 2-3", dmesg=said))
        self.assertTrue(self.sees("reserved none"))
        self.assertFalse(self.sees("reserved 2-3"))
        self.assertFalse(self.sees("reserved 2", dmesg=said))
        self.assertFalse(self.sees("reserved none", dmesg=said))

    def test_page_owner(self):
        owner = "/sys/kernel/debug/page_owner"
        self.assertTrue(self.sees("page_owner on", files={owner: "Page allocated via order 0\n"}))
        self.assertFalse(self.sees("page_owner on", files={owner: ""}))
        self.assertFalse(self.sees("page_owner on"))

    def test_controller(self):
        said = {"/proc/cgroups": "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t1\t1\nmemory\t0\t1\t0\n"}
        self.assertTrue(self.sees("controller memory off", files=said))
        self.assertTrue(self.sees("controller cpuset on", files=said))
        self.assertFalse(self.sees("controller memory on", files=said))
        self.assertFalse(self.sees("controller cpuset off", files=said))

    def test_thp(self):
        said = {"/sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n"}
        self.assertTrue(self.sees("thp never", files=said))
        self.assertFalse(self.sees("thp madvise", files=said))

    def test_lockdown(self):
        file = "/sys/kernel/security/lockdown"
        self.assertTrue(self.sees("lockdown integrity", files={file: "none [integrity] confidentiality\n"}))
        self.assertFalse(self.sees("lockdown integrity", files={file: "[none] integrity confidentiality\n"}))
        self.assertFalse(self.sees("lockdown integrity"))

    def test_debug(self):
        stats = "/proc/lockdep_stats"
        self.assertTrue(self.sees("lockdep", files={stats: " lock-classes:  1500 [max: 8192]\n debug_locks:   1\n"}))
        self.assertFalse(self.sees("lockdep", files={stats: " lock-classes:  1500 [max: 8192]\n debug_locks:   0\n"}))
        self.assertFalse(self.sees("lockdep"))
        for line, said in (("kasan", "kasan: KernelAddressSanitizer initialized (generic)"),
                           ("poison", "mem auto-init: CONFIG_PAGE_POISONING is on, will take precedence over init_on_alloc"),
                           ("init stack:all(zero)", "mem auto-init: stack:all(zero), heap alloc:off, heap free:off")):
            self.assertTrue(self.sees(line, dmesg=said), line)
            self.assertFalse(self.sees(line, dmesg="Linux version"), line)
        slab = "/sys/kernel/slab/kmalloc-64/${files[${1:i:1}]}"
        self.assertTrue(self.sees("slab FZ", files={slab: "1\n"}))
        self.assertFalse(self.sees("slab FZ", files={slab: "0\n"}))

    def test_parameters(self):
        line = {"/proc/cmdline": "console=ttyS0 kunit.autorun=0 private_node_kunit.memroy=0x80000000\n"}
        ok, said = self.run_kind("parameters", files=line)
        self.assertFalse(ok)
        self.assertIn("private_node_kunit.memroy: there is no /sys/module/private_node_kunit/parameters/memroy", said)
        self.assertTrue(self.sees("parameters", files={"/proc/cmdline": "console=ttyS0 sysctl.kernel.panic=1 kunit.autorun=0\n"}))
        self.assertFalse(self.sees("parameters", files={"/proc/cmdline": "pgae_owner=on\n"},
                                   dmesg='Unknown kernel command line parameters "pgae_owner=on", will be passed to user space.'))
        unknown = 'Unknown kernel command line parameters "nokaslr{}", will be passed to user space.'
        self.assertTrue(self.sees("parameters", files={"/proc/cmdline": "nokaslr\n"}, dmesg=unknown.format("")))
        self.assertFalse(self.sees("parameters", files={"/proc/cmdline": "nokaslr a\n"}, dmesg=unknown.format(" a")))

    def test_the_job_makes_a_case_of_each(self):
        job = (paths.WORKBENCH / "guest" / "jobs" / "witness").read_text().replace("/job/", f"{self.folder}/")
        (self.folder / "lib.sh").write_text((paths.WORKBENCH / "guest" / "lib.sh").read_text())
        (self.folder / "witness.d").mkdir()
        for name, text in (("good", "exit 0"), ("bad", "echo it is $1 that is not so; exit 1")):
            (self.folder / "witness.d" / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.folder / "witness.d" / name).chmod(0o755)
        (self.folder / "witnesses").write_text("good\nbad news\n")
        done = subprocess.run(["bash", "-c", job], cwd=self.folder, env={**os.environ, "RESULTS": str(self.folder)}, check=False,
                              capture_output=True)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout.decode().splitlines()[-1], "not as asked for: bad news")
        self.assertEqual((self.folder / "witness.ktap").read_text().splitlines(),
                         ["TAP version 13", "1..2", "ok 1 good", "# expected bad news, but: it is news that is not so",
                          "not ok 2 bad news"])


class Accelerator(StubQemu):
    """ACCEL=kvm is had, or refused by name."""

    def setUp(self):
        super().setUp()
        os.environ["ACCEL"] = "kvm"

    def probed(self):
        path = self.folder / "probes"
        return path.read_text().splitlines() if path.exists() else []

    def is_kvm(self, without=""):
        """A QEMU with KVM that works, but for a processor's feature."""
        self.is_qemu(f"""
for word; do [ "$last" = -cpu ] && cpu=$word; last=$word; done
echo "$cpu" >>{self.folder}/probes
case $cpu in *{without or 'nothing'}*) echo "Host doesn't support requested feature: {without}" >&2; exit 1 ;; esac
echo Linux version; echo Unable to mount root
""")

    def test_it_is_probed_once_in_a_command(self):
        self.is_kvm()
        threads = [threading.Thread(target=qemu.accelerator, args=(Path("/none"), "small")) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.probed(), ["host"])
        self.assertEqual(qemu.accelerator(Path("/none"), "small"), ["-accel", "kvm", "-cpu", "host,la57=off,enforce"])

    def test_five_levels_are_kept(self):
        self.is_kvm()
        self.assertEqual(qemu.accelerator(Path("/none"), "la57"), ["-accel", "kvm", "-cpu", "host,la57=on,enforce"])

    def test_or_the_boot_is_skipped_by_name(self):
        self.is_kvm(without="la57=on")
        outcome = qemu.run(self.boot(machine="la57"))
        self.assertIn("machine la57 needs la57=on", outcome.skipped)
        self.assertIn("Host doesn't support requested feature", outcome.skipped)
        self.assertEqual(qemu.run(self.boot(machine="small")).skipped, "")

    def test_without_kvm_tcg_is_used_and_that_is_said_once(self):
        self.is_qemu("echo 'Could not access KVM kernel module' >&2; exit 1")
        for _ in range(3):
            self.assertIn("tcg,thread=multi", qemu.accelerator(Path("/none"), "la57"))
        self.assertEqual(console.say.call_count, 1)


class Root(Folder):
    """W10: the guest's files are never lost, and are made again for what they are made from alone."""

    def setUp(self):
        super().setUp()
        self.patch(paths, "BUILD", self.folder)
        self.patch(root, "OUT", self.folder / "rootfs")
        self.patch(root, "ROOT", self.folder / "rootfs" / "root.cpio.zst")
        self.patch(root, "KSELFTEST", self.folder / "rootfs" / "kselftest.cpio")
        self.said = self.patch(console, "say")
        self.made = 0

    def making(self, error=None):
        def make(new, wanted):
            self.made += 1
            self.wanted = wanted
            new.write_text(f"root {self.made}")
            if error:
                raise error
            return ["b_2_amd64.deb", "a_1_amd64.deb"]
        return mock.patch.object(root, "make_root", make)

    def other_recipe(self):
        return mock.patch.object(root, "PACKAGES", ("other",))

    def key(self):
        with mock.patch.object(root, "recipe", return_value=""):
            return root.root_key()

    def test_it_is_made_once(self):
        with self.making(), mock.patch.object(root, "recipe", return_value=""):
            root.prepare()
            root.prepare()
            self.assertEqual(self.made, 1)
            self.assertEqual((root.OUT / "root.packages").read_text(), "a_1_amd64.deb\nb_2_amd64.deb\n")
            with self.other_recipe():
                root.prepare()
            self.assertEqual(self.made, 2)

    def test_one_that_has_more_is_another_one(self):
        with self.making(), mock.patch.object(root, "recipe", return_value=""):
            root.prepare(more=["tools"])
            self.assertEqual(self.made, 2)
            self.assertEqual(self.wanted, (*root.PACKAGES, *root.MORE["tools"]))
            self.assertEqual(root.ROOT.read_text(), "root 1")
            self.assertEqual((root.OUT / "root-tools.cpio.zst").read_text(), "root 2")
            self.assertTrue((root.OUT / "root-tools.packages").exists())
            root.prepare(more=["tools"])
            with mock.patch.object(root, "MORE", {"tools": ("other",)}):
                root.prepare(more=["tools"])
            self.assertEqual(self.made, 3)

    def test_an_interrupt_or_a_failure_leaves_the_old_one(self):
        with mock.patch.object(root, "recipe", return_value=""):
            with self.making():
                root.prepare()
            before = root.ROOT.read_text()
            for error in (KeyboardInterrupt(), SystemExit(143), CommandError("E: Unable to locate package other")):
                with self.making(error), self.other_recipe(), self.assertRaises(type(error)):
                    root.prepare()
                self.assertEqual(root.ROOT.read_text(), before)
                self.assertEqual([path.name for path in root.OUT.iterdir() if path.name.startswith(".new-")], [])
            with self.making():
                root.prepare()
            self.assertEqual(root.ROOT.read_text(), before, "undoing the change did not help")

    def test_without_a_mirror_the_old_one_is_used_with_one_line(self):
        away = CommandError("E: Failed to fetch http://mirror/trixie/InRelease  Could not resolve 'mirror'")
        with mock.patch.object(root, "recipe", return_value=""):
            with self.making(away), self.assertRaisesRegex(CommandError, "making the guest's root: E: Failed to fetch"):
                root.prepare()
            with self.making():
                root.prepare()
            self.said.reset_mock()
            with self.making(away), self.other_recipe():
                root.prepare()
        said = [call.args[0] for call in self.said.call_args_list]
        self.assertEqual(len([line for line in said if "the mirror is away" in line]), 1)
        self.assertTrue(root.ROOT.exists())

    def test_a_comment_is_no_other_recipe(self):
        source = self.folder / "module.py"

        def recipe_of(text):
            source.write_text(text)
            scope = {}
            exec(compile(text, str(source), "exec"), scope)     # pylint: disable=exec-used
            with mock.patch.object(root.inspect, "getsource", return_value=text):
                return root.recipe(scope["make"])

        first = recipe_of('def make():\n    """Say."""\n    return 1\n')
        self.assertEqual(first, recipe_of('def make():\n    """Say so."""\n    # because\n    return 1\n'))
        self.assertNotEqual(first, recipe_of('def make():\n    return 2\n'))

    def test_two_at_once_make_one(self):
        with mock.patch.object(root, "recipe", return_value=""), self.making():
            threads = [threading.Thread(target=root.prepare) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(self.made, 1)

    def test_the_collections_of_kselftests_are_those_that_suites_and_jobs_use(self):
        self.assertLessEqual({"mm", "cgroup", "x86", "private_policy"}, set(root.collections()))
        self.patch(paths, "TOPICS", self.folder)
        self.write("one/suites.toml", 'collections = ["x86"]\n[[suite]]\nkselftest = ["mm:a.sh"]\nkselftest-debug = ["cgroup:b"]\n')
        git = mock.Mock(text=lambda *_: "")
        before = root.kselftest_key(git)
        self.write("two/suites.toml", '[[same]]\nkselftest = ["vm:c", "mm:d"]\n')
        self.assertEqual(root.collections(), ["cgroup", "mm", "vm", "x86"])
        self.assertNotEqual(root.kselftest_key(git), before)
        self.patch(paths, "BUILD", self.folder)
        ran = self.patch(root, "run")
        self.patch(root, "FORGOTTEN", ())
        (self.folder / "kselftest").mkdir()
        root.make_kselftest(self.folder, self.folder / "new")
        self.assertIn("TARGETS=cgroup mm vm x86", ran.call_args.args)

    def test_kselftests_that_do_not_compile_leave_the_old_ones(self):
        self.patch(root, "kselftest_key", lambda git: self.state)
        self.state = "one"

        def make(source, new):
            del source
            if self.state == "two":
                raise CommandError("mermap.c:1: error: x")
            new.write_text("tests")

        self.patch(root, "make_kselftest", make)
        with self.making(), mock.patch.object(root, "recipe", return_value=""):
            root.prepare(kselftests=True)
            self.state = "two"
            with self.assertRaisesRegex(CommandError, "building the kselftests: mermap.c:1: error"):
                root.prepare(kselftests=True)
        self.assertEqual(root.KSELFTEST.read_text(), "tests")

    def test_a_root_from_a_tar_archive(self):
        source, out = self.folder / "root.tar", self.folder / "root.cpio"
        with tarfile.open(source, "w") as archive:
            for name, kind, more in (("./usr", tarfile.DIRTYPE, ""), ("./usr/bin", tarfile.DIRTYPE, ""),
                                     ("./usr/bin/gawk", tarfile.REGTYPE, "awk!"), ("./bin", tarfile.SYMTYPE, "usr/bin"),
                                     ("./usr/share/doc/x", tarfile.REGTYPE, "long"), ("./dev/null", tarfile.CHRTYPE, ""),
                                     ("./usr/bin/same", tarfile.LNKTYPE, "./usr/bin/gawk")):
                member = tarfile.TarInfo(name)
                member.type, member.mode = kind, 0o755
                member.linkname = more if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
                member.size = len(more) if kind == tarfile.REGTYPE else 0
                archive.addfile(member, io.BytesIO(more.encode()) if member.size else None)
        with open(out, "wb") as file:
            root.pack_tar(source, file)
        there = self.folder / "there"
        there.mkdir()
        with open(out, "rb") as file:
            subprocess.run(["cpio", "--quiet", "-idm"], cwd=there, stdin=file, check=True, stderr=subprocess.DEVNULL)
        self.assertEqual((there / "usr/bin/gawk").read_text(), "awk!")
        self.assertEqual((there / "usr/bin/same").read_text(), "awk!")
        self.assertTrue(os.access(there / "usr/bin/gawk", os.X_OK))
        self.assertEqual(os.readlink(there / "bin"), "usr/bin")
        self.assertEqual(os.readlink(there / "usr/bin/awk"), "gawk")
        self.assertTrue((there / "proc").is_dir())
        self.assertFalse((there / "usr/share").exists())


class Initrd(StubQemu):
    def test_what_the_guest_gets(self):
        (self.folder / "share" / "sub").mkdir(parents=True)
        (self.folder / "share" / "sub" / "file").write_text("mine")
        boot = self.boot(machine="la57", jobs=("kunit",), files={"suites": "a\n", "chapters/01": "b"}, witness=("pti on",),
                         share=self.folder / "share")
        image = qemu.initrd(boot, self.folder)
        there = self.folder / "there"
        there.mkdir()
        with open(image, "rb") as file:
            subprocess.run(["cpio", "--quiet", "-idm"], cwd=there, stdin=file, check=True, stderr=subprocess.DEVNULL)
        self.assertEqual((there / "job/jobs").read_text(), "witness kunit\n")
        self.assertEqual((there / "job/witnesses").read_text(), "parameters\ncpus 2\nnodes 0\nlevels 5\npti on\n")
        for name in ("init", "job/kunit", "job/witness", "job/witness.d/levels", "job/witness.d/pti"):
            self.assertTrue(os.access(there / name, os.X_OK), name)
        self.assertEqual((there / "job/chapters/01").read_text(), "b")
        self.assertEqual((there / "share/sub/file").read_text(), "mine")

    def test_a_file_does_not_take_the_place_of_a_job(self):
        with self.assertRaisesRegex(ValueError, "two entries are called job/command"):
            qemu.initrd(self.boot(jobs=("command",), files={"command": "true"}), self.folder)

    def test_the_same_twice_is_the_same_to_the_byte(self):
        boot = self.boot(jobs=("kunit",))
        first = qemu.initrd(boot, self.folder).read_bytes()
        time.sleep(0.01)
        self.assertEqual(qemu.initrd(boot, self.folder).read_bytes(), first)


class Shell(StubQemu):
    """wb shell --cmd: what it prints, and its exit status."""

    def test_a_kernel_for_gdb_has_lines_in_a_tree_of_its_own(self):
        for config in ("default", "debian"):
            plain, kernel = shell.kernel_of(config, False), shell.kernel_of(config, True)
            self.assertEqual((plain.label, kernel.label, kernel.name), (config, f"{config}-gdb", config))
            self.assertEqual(kernel.changes["CONFIG_DEBUG_INFO_NONE"], "n")
            self.assertTrue([name for name, value in kernel.changes.items() if "_DWARF" in name and value == "y"])
            self.assertEqual(plain.changes, {})

    def shell(self, *words, text="", status="0", end=True):
        left = tar_of(("command.log", ""), ("command.status", f"{status}\n"), *[("share/new", "x")] * ("--share" in words))
        left += tar_of(("finished", ""), ("tainted", "0\n")) if end else b""
        (self.folder / "stream").write_bytes(left if status else b"")
        self.is_qemu(f"for word; do case $word in file,id=output,path=*) output=${{word##*path=}} ;; esac; done\n"
                     f"{text}\ncat {self.folder}/stream >$results\n")
        kernel = mock.Mock(objects=self.folder)
        kernel.image.return_value = Path("/none")
        out, err = os.memfd_create("out"), io.StringIO()
        real = os.write
        with mock.patch.object(shell, "Kernel", return_value=kernel), mock.patch.object(qemu, "prepare"), \
                mock.patch.object(shell.source, "pin") as pin, mock.patch.object(shell.tools, "build", return_value={}), \
                mock.patch.object(shell.os, "write", lambda fd, data: real(out if fd == 1 else fd, data)), \
                contextlib.redirect_stderr(err):
            code = shell.main(["default", "small", "", *words])
        pin.assert_called_once_with(own=True)
        os.lseek(out, 0, os.SEEK_SET)
        with open(out, "rb") as file:
            return code, file.read().decode(), err.getvalue()

    def test_output_and_status(self):
        self.assertEqual(self.shell("--cmd", "uname", text='echo Linux >"$output"')[:2], (0, "Linux\n"))
        self.assertEqual(self.shell("--cmd", "false", status="3")[:2], (3, ""))

    def test_output_comes_before_the_end(self):
        code, out, err = self.shell("--cmd", "x", "--timeout", "6", text='echo first >"$output"; echo hung; exec sleep 60')
        self.assertEqual((code, out), (124, "first\n"))
        self.assertIn("no end after 6 s", err)

    def test_a_guest_that_dies_is_no_success(self):
        code, _, err = self.shell("--cmd", "x", text="echo 'Kernel panic - not syncing: x'")
        self.assertEqual(code, 125)
        self.assertIn("Kernel panic", err)
        self.assertEqual(self.shell("--cmd", "x", status="")[0], 125)

    def test_a_shared_folder(self):
        (self.folder / "mine").mkdir()
        code, _, _ = self.shell("--cmd", "x", "--share", str(self.folder / "mine"))
        self.assertEqual(code, 0)
        self.assertIn("the guest changed 1 files", console.say.call_args.args[0])
        with self.assertRaisesRegex(CommandError, "no such folder"):
            shell.shared(self.folder / "none")
        with mock.patch.object(shell, "SHARE_LIMIT", 1), self.assertRaisesRegex(CommandError, "too much"):
            (self.folder / "mine" / "big").write_text("123")
            shell.shared(self.folder / "mine")

    def test_a_debugger(self):
        words = qemu.command(self.boot(shell=True, debugger="/run/x"), "image", self.folder)
        self.assertIn("-S", words)
        self.assertIn("unix:path=/run/x,server=on,wait=off", words)
        self.assertIn("nokaslr", words[words.index("-append") + 1])


class Stacks(Folder):
    TRACE = ["[    1.0] RIP: 0010:boom+0x12/0x20", "[    1.0]  twice+0x1/0x2", "[    1.0]  unknown+0x5/0x9", "no frame"]

    def test_functions_have_their_files(self):
        objects = self.folder / "default"
        (objects / "mm").mkdir(parents=True)
        for name, text in (("boom", "int boom(void) { return 0; } static __attribute__((used)) int twice(void) { return 1; }"),
                           ("other", "static __attribute__((used)) int twice(void) { return 2; }")):
            (objects / "mm" / f"{name}.c").write_text(text)
            subprocess.run(["gcc", "-c", "-o", f"mm/{name}.o", f"mm/{name}.c"], cwd=objects, check=True)
        subprocess.run(["ar", "rcT", "vmlinux.a", "mm/boom.o", "mm/other.o"], cwd=objects, check=True)
        subprocess.run(["gcc", "-c", "-o", "vmlinux", "mm/boom.c"], cwd=objects, check=True)
        image = objects / "arch/x86/boot/bzImage"
        self.assertEqual(stacks.decoded(self.TRACE, image),
                         ["[    1.0] RIP: 0010:boom+0x12/0x20 (mm/boom.c)", "[    1.0]  twice+0x1/0x2 (mm/boom.c or mm/other.c)",
                          "[    1.0]  unknown+0x5/0x9", "no frame"])

    def test_without_a_kernel_the_lines_stay(self):
        self.assertEqual(stacks.decoded(self.TRACE, self.folder / "a/arch/x86/boot/bzImage"), self.TRACE)


class Demo(unittest.TestCase):
    def test_the_headline_comes_first_and_page_owner_last(self):
        told = [text.splitlines() for text in demo.chapters().values()]
        titles = [line.split('"')[1] for lines in told for line in lines if line.startswith("chapter ")]
        at = {word: next(number for number, title in enumerate(titles) if word in title)
              for word in ("granted", "mermap", "page_owner")}
        self.assertEqual(at["granted"], 1)      # after the chapter of the machine
        self.assertLess(at["granted"], at["mermap"])
        self.assertLess(at["mermap"], at["page_owner"])
        self.assertEqual(at["page_owner"], len(titles) - 1)


if __name__ == "__main__":
    unittest.main()
