"""Each worker process of `hydra/launcher=joblib` claims a GPU of its own.

A worker locks the first GPU that is free and sees no other one from then on. The lock holds until the process ends,
however that happens. If there are more workers than GPUs, they share them evenly.
"""

import contextlib
import itertools
import os
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from cl_bench.runtime.errors import UserError

_claimed: list[FileLock] = []  # a reference, so that the lock lives as long as the process


def claim(locks: Path | None = None) -> None:
    """Hides all GPUs but one from this process; does nothing the second time, or without a GPU.

    To be called before CUDA is used.

    Args:
        locks: The folder in which all workers of this machine keep their locks; None: in the temporary folder.

    Raises:
        UserError: The folder of the locks belongs to somebody else.
    """
    import torch

    if _claimed or not (count := torch.cuda.device_count()):
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count)))).split(",")
    folder = locks or Path(tempfile.gettempdir()) / f"cl_bench_devices_{os.getuid()}"
    _make(folder)
    for share, device in ((share, device) for share in itertools.count() for device in visible):
        lock = FileLock(folder / f"{device}.{share}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _claimed.append(lock)
        os.environ["CUDA_VISIBLE_DEVICES"] = device
        return


def _make(folder: Path) -> None:
    """Makes the folder of the locks, for this user alone: anybody may write into the temporary folder."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK | os.X_OK):
            return
    raise UserError(f"{folder} cannot be written to, or is somebody else's; name a temporary folder of yours: TMPDIR=…")
