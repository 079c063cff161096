# SPDX-License-Identifier: GPL-2.0
"""Debian's whole configuration for amd64, of the version that base/lock pins: what `# from: debian` begins with."""

import subprocess

from base import settings
from lib import paths, process

PACKAGE = "linux-config-{}"
FILE = "usr/src/linux-config-{}/config.amd64_none_amd64.xz"


def configuration():
    """The text of the configuration. Its package is fetched once, by an apt of our own, which checks signatures."""
    pinned = settings.read(settings.LOCK)
    folder = paths.BUILD / "debian" / pinned["VERSION"]
    path = folder / FILE.format(pinned["KERNEL_VERSION"])
    if not path.exists():
        package = f"{PACKAGE.format(pinned['KERNEL_VERSION'])}={pinned['VERSION']}"
        folder.mkdir(parents=True, exist_ok=True)
        apt = paths.WORKBENCH / "host" / "apt-private"
        # A suite may be missing from the mirror: the others still count.
        subprocess.run([apt, "debian", "update", *pinned["SUITES"].split()], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env=process.environment(), check=False)
        process.run([apt, "debian", "apt-get", "download", package], "debian-download.log", f"downloading {package}", cwd=folder)
        deb = next(folder.glob("*.deb"))
        process.run(["dpkg-deb", "-x", deb, folder], "debian-unpack.log", f"unpacking {deb.name}")
    return process.out(["xzcat", path])
