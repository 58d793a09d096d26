"""The cores that this process may use: in a container or a cluster's job, fewer than the machine has."""

import math
import os
from collections.abc import Iterator
from pathlib import Path


def available_cores(root: Path = Path("/")) -> int:
    """How many cores the process's affinity and its container's quota allow; a fraction of a core counts as one.

    Args:
        root: The root of the file system.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *map(math.ceil, _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """The cores that each control group of the process allows, of version 1 and 2, and each group around it."""
    try:
        groups = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in groups:
        if controllers and "cpu" not in controllers.split(","):
            continue
        hierarchy = root / "sys/fs/cgroup" / controllers
        group = hierarchy / path.lstrip("/")  # in a container this may be a path of the host, which does not exist here
        for folder in [group, *(parent for parent in group.parents if parent.is_relative_to(hierarchy))]:
            yield from _quota(folder)


def _quota(folder: Path) -> Iterator[float]:
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        if quota != "max" and int(quota) > 0:
            yield int(quota) / int(period)
    except (OSError, ValueError):
        return
