"""Pages of mapped files: asked for in one call, not found missing one after the other."""

import ctypes
import mmap
import sys

from torch import Tensor

_MADV_POPULATE_READ, _MADV_POPULATE_WRITE = 22, 23  # of Linux 5.14; Python does not name them
_madvise = ctypes.CDLL(None).madvise if sys.platform == "linux" else None


def map_pages(tensor: Tensor, to_write: bool = False) -> None:
    """Have the system map all pages of a tensor at once: those of a file, or new ones that are written next.

    Otherwise every 64 KiB of a file, and every new page, stop the thread that comes there first. Where the system
    knows no such call, nothing happens.
    """
    if _madvise is not None and tensor.device.type == "cpu" and tensor.is_contiguous():
        start = tensor.data_ptr() // mmap.PAGESIZE * mmap.PAGESIZE
        length = ctypes.c_size_t(tensor.data_ptr() + tensor.nbytes - start)
        _madvise(ctypes.c_void_p(start), length, _MADV_POPULATE_WRITE if to_write else _MADV_POPULATE_READ)
