# SPDX-License-Identifier: GPL-2.0
"""What the guest handed back: tar archives one behind the other, each written when a job, or a part of one, had ended.

A guest that dies leaves the last one cut short at worst; all before it count.
"""

import tarfile


def unpack(stream, folder):
    """Write the files of a stream below a folder; returns what is wrong with it, or nothing.

    A file is written only when all of it is there: half a result is none.
    """
    folder.mkdir(exist_ok=True)
    if not stream.exists() or not stream.stat().st_size:
        return ""
    try:
        with tarfile.open(stream, ignore_zeros=True) as archive:
            for member in archive:
                if member.isfile():
                    save(folder, member.name, archive.extractfile(member).read(), member.size)
    except (tarfile.TarError, EOFError, ValueError) as error:
        return f"the results are cut short: {error}"
    return ""


def save(folder, name, content, size):
    """One file of the guest's, which stays below the folder whatever it is called."""
    target = folder.joinpath(*(part for part in name.split("/") if part not in ("", ".", "..")))
    if len(content) != size:
        raise ValueError(f"{name} has {len(content)} bytes of {size}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
