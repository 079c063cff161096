# SPDX-License-Identifier: GPL-2.0
"""The virtual machines that tests and the demo run on: QEMU arguments by name."""

# A window's node exists only when there is an SRAT, so every machine with CXL has -numa. Each device sits below a host
# bridge of its own with a window of its own: two nodes, two possible owners.
NUMA = ["-smp", "2,sockets=2", "-m", "2G",
        "-object", "memory-backend-ram,id=ram0,size=1G", "-object", "memory-backend-ram,id=ram1,size=1G",
        "-numa", "node,nodeid=0,memdev=ram0,cpus=0", "-numa", "node,nodeid=1,memdev=ram1,cpus=1"]

CXL = ["-object", "memory-backend-ram,id=cxl0,size=256M", "-object", "memory-backend-ram,id=cxl1,size=256M",
       "-device", "pxb-cxl,bus_nr=12,bus=pcie.0,id=bridge0", "-device", "pxb-cxl,bus_nr=222,bus=pcie.0,id=bridge1",
       "-device", "cxl-rp,port=0,bus=bridge0,id=port0,chassis=0,slot=2",
       "-device", "cxl-rp,port=0,bus=bridge1,id=port1,chassis=0,slot=3",
       "-device", "cxl-type3,bus=port0,volatile-memdev=cxl0,id=memory0,sn=0xa0",
       "-device", "cxl-type3,bus=port1,volatile-memdev=cxl1,id=memory1,sn=0xa1",
       "-M", "cxl-fmw.0.targets.0=bridge0,cxl-fmw.0.size=512M,cxl-fmw.1.targets.0=bridge1,cxl-fmw.1.size=512M"]

MACHINES = {
    # name: (machine type and its options, further arguments)
    "cxl": ("q35,cxl=on", [*NUMA, *CXL]),
    "numa": ("q35", NUMA),
    "small": ("q35", ["-smp", "2", "-m", "1G"]),
    # RAM from 4G to 7G: three 1G pages of the direct map, or two and a spare one.
    "large": ("q35", ["-smp", "2", "-m", "5G"]),
}


def arguments(name):
    """The QEMU arguments of a machine, without kernel, console or accelerator."""
    kind, more = MACHINES[name]
    return ["-M", kind, *more]
