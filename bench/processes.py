# SPDX-License-Identifier: Apache-2.0
"""CPU time and memory of process trees, as the kernel counts them (Linux, /proc)."""

import os
from pathlib import Path

_PROC = Path("/proc")


def tree(root: int) -> set[int]:
    """A process and all its descendants that are alive now."""
    parents: dict[int, int] = {}
    for entry in os.listdir(_PROC):
        if entry.isdigit():
            try:
                stat = (_PROC / entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry)] = int(stat[1])
    found = {root}
    grew = True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grew = bool(more)
    return found


def cpu_ns(root: int) -> int:
    """Nanoseconds on a CPU of a process tree: first field of every thread's schedstat."""
    total = 0
    for pid in tree(root):
        for path in _PROC.glob(f"{pid}/task/*/schedstat"):
            try:
                total += int(path.read_text().split()[0])
            except OSError:
                continue
    return total


def rss_kb(root: int) -> int:
    """Resident kilobytes of a process tree; pages that processes share are counted in each."""
    total = 0
    for pid in tree(root):
        try:
            status = (_PROC / str(pid) / "status").read_text()
        except OSError:
            continue
        if "VmRSS:" in status:
            total += int(status.partition("VmRSS:")[2].split()[0])
    return total


def command(pid: int) -> str:
    """The command line of a process; empty when it is gone."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def open_files(pid: int) -> int:
    """How many descriptors a process holds."""
    return len(os.listdir(_PROC / str(pid) / "fd"))


def load_average() -> float:
    """The machine's load over the last minute."""
    return os.getloadavg()[0]
