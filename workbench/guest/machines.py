# SPDX-License-Identifier: GPL-2.0
"""The virtual machines that tests and the demo run on: QEMU arguments by name."""

# A window's node exists only when there is an SRAT, so every machine with CXL has -numa. Each device sits below a host
# bridge of its own with a window of its own: two nodes, two possible owners.
NUMA = ["-smp", "2,sockets=2", "-m", "2G",
        "-object", "memory-backend-ram,id=ram0,size=1G", "-object", "memory-backend-ram,id=ram1,size=1G",
        "-numa", "node,nodeid=0,memdev=ram0,cpus=0", "-numa", "node,nodeid=1,memdev=ram1,cpus=1"]

# A DIMM for each node behind both: the nodes interleave, and node 0 spans all of node 1's first memory.
DIMMS = ["-smp", "2,sockets=2", "-m", "1G,slots=2,maxmem=4G",
         "-object", "memory-backend-ram,id=ram0,size=512M", "-object", "memory-backend-ram,id=ram1,size=512M",
         "-numa", "node,nodeid=0,memdev=ram0,cpus=0", "-numa", "node,nodeid=1,memdev=ram1,cpus=1",
         "-object", "memory-backend-ram,id=dimm0,size=256M", "-object", "memory-backend-ram,id=dimm1,size=256M",
         "-device", "pc-dimm,memdev=dimm0,node=0", "-device", "pc-dimm,memdev=dimm1,node=1"]

CXL = ["-object", "memory-backend-ram,id=cxl0,size=256M", "-object", "memory-backend-ram,id=cxl1,size=256M",
       "-device", "pxb-cxl,bus_nr=12,bus=pcie.0,id=bridge0", "-device", "pxb-cxl,bus_nr=222,bus=pcie.0,id=bridge1",
       "-device", "cxl-rp,port=0,bus=bridge0,id=port0,chassis=0,slot=2",
       "-device", "cxl-rp,port=0,bus=bridge1,id=port1,chassis=0,slot=3",
       "-device", "cxl-type3,bus=port0,volatile-memdev=cxl0,id=memory0,sn=0xa0",
       "-device", "cxl-type3,bus=port1,volatile-memdev=cxl1,id=memory1,sn=0xa1",
       "-M", "cxl-fmw.0.targets.0=bridge0,cxl-fmw.0.size=512M,cxl-fmw.1.targets.0=bridge1,cxl-fmw.1.size=512M"]

def bench(node_size):
    """One CPU, to count instructions on. The DIMM lies behind a hole and belongs to node 0 again, so that node 1 lies inside
    node 0's span; off line, it is the block that memory hotplug is measured with."""
    return ["-smp", "1", "-m", f"{2 * node_size}M,slots=2,maxmem=16G",
            "-object", f"memory-backend-ram,id=ram0,size={node_size}M",
            "-object", f"memory-backend-ram,id=ram1,size={node_size}M",
            "-numa", "node,nodeid=0,memdev=ram0,cpus=0", "-numa", "node,nodeid=1,memdev=ram1",
            "-object", "memory-backend-ram,id=ram2,size=128M", "-device", "pc-dimm,id=dimm0,memdev=ram2,node=0"]

# Two more nodes, of memory alone. With memmap=512M$2G on the command line the kernel does not use it: such a node can
# exist and has nothing, and what tests private nodes can plug the memory.
PRIVATE = ["-smp", "2,sockets=2", "-m", "2560M",
           *[word for node, size in enumerate(("1G", "1G", "256M", "256M"))
             for word in ("-object", f"memory-backend-ram,id=ram{node},size={size}",
                          "-numa", f"node,nodeid={node},memdev=ram{node}" + (f",cpus={node}" if node < 2 else ""))]]

# Memory of its own on a node without CPU, above 4 GiB, for boots that make it soft-reserved: memmap=768M%4G-1+0xefffffff.
SOFT = ["-smp", "2", "-m", "2816M",
        "-object", "memory-backend-ram,id=ram0,size=2G", "-object", "memory-backend-ram,id=ram1,size=768M",
        "-numa", "node,nodeid=0,memdev=ram0,cpus=0-1", "-numa", "node,nodeid=1,memdev=ram1"]

# A node without CPU and memory, and a DIMM in it that ACPI hot-adds when its driver starts.
DIMM = ["-smp", "2", "-m", "2G,slots=1,maxmem=4G",
        "-object", "memory-backend-ram,id=ram0,size=2G", "-object", "memory-backend-ram,id=ram1,size=512M",
        "-numa", "node,nodeid=0,memdev=ram0,cpus=0-1", "-numa", "node,nodeid=1", "-device", "pc-dimm,memdev=ram1,node=1"]

MACHINES = {
    # name: (machine type and its options, further arguments)
    "cxl": ("q35,cxl=on", [*NUMA, *CXL]),
    "numa": ("q35", NUMA),
    "interleaved": ("q35", DIMMS),
    "private": ("q35", PRIVATE),
    "dimm": ("q35", DIMM),
    "soft": ("q35", SOFT),
    "small": ("q35", ["-smp", "2", "-m", "1G"]),
    "bench": ("q35", bench(512)),
    "bench-2G": ("q35", bench(1024)),
    **{f"smp{cpus}": ("q35", ["-smp", str(cpus), "-m", "2G"]) for cpus in (1, 2, 4, 8)},
    "smp2-6G": ("q35", ["-smp", "2", "-m", "6G"]),
    # RAM from 4G to 7G: three 1G pages of the direct map, or two and a spare one.
    "large": ("q35", ["-smp", "2", "-m", "5G"]),
    "small4": ("q35", ["-smp", "4", "-m", "1G"]),
    "la57": ("q35", ["-smp", "2", "-m", "1G"]),
    "la57-4": ("q35", ["-smp", "4", "-m", "1G"]),
}

# Emulated processors are "max" with these features. Page tables have four levels, which is what most machines have, unless
# a machine is there for five.
FEATURES = {"la57": "la57=on", "la57-4": "la57=on"}


def arguments(name):
    """The QEMU arguments of a machine, without kernel, console or accelerator."""
    kind, more = MACHINES[name]
    return ["-M", kind, *more]


def emulated_cpu(name):
    """The QEMU model of a machine's processors when they are emulated."""
    return f"max,{FEATURES.get(name, 'la57=off')}"
