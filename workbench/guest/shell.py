# SPDX-License-Identifier: GPL-2.0
"""The demo's guest with a shell: wb shell [CONFIG [MACHINE [BOOT PARAMETERS]]]"""

from guest import machines, qemu
from kernel import source
from kernel.build import Kernel
from lib import console


def main(words):
    """Build what is missing and boot with a shell on the console."""
    config, machine, append = [*words, *["default", "cxl", "page_owner=on"][len(words):]]
    if machine not in machines.MACHINES:
        console.die(f"no machine {machine}; there are: {' '.join(machines.MACHINES)}")
    qemu.reserve("shell", wait=False)
    source.pin(own=True)
    qemu.prepare(kselftests=True)
    kernel = Kernel(config)
    kernel.build()
    console.say("booting; `cxl create-region -t ram -d decoder0.0 -m mem0` makes a node of a CXL device; "
                "ctrl-a x kills the machine")
    qemu.run(qemu.Boot(kernel=kernel.image(), name="shell", machine=machine, append=append, shell=True, kselftests=True))
    return 0
