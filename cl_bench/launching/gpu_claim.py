"""Which device a worker process of `hydra/launcher=joblib` computes on: one that no other worker has.

A worker claims the first device that is free by a lock, keeps it until the process ends, however that ends, and sees no
other device from then on. Where there are more workers than devices, they share them evenly.
"""

import contextlib
import itertools
import os
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from cl_bench.runtime.errors import UserError

_claimed: list[FileLock] = []  # keeps the lock for as long as the process lives


def claim(locks: Path | None = None) -> None:
    """Makes one GPU the only one that this process sees; does nothing the second time, and where there is no GPU.

    It has to be called before CUDA is used.

    Args:
        locks: Where all workers of this machine keep their locks; None: in the machine's temporary folder.

    Raises:
        UserError: The folder of the locks is somebody else's.
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
    """Makes the folder of the locks for us alone: anybody may write into the temporary folder, also in our name."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK | os.X_OK):
            return
    raise UserError(f"{folder} cannot be written to, or is somebody else's; name a temporary folder of yours: TMPDIR=…")
