"""How the C library's allocator treats memory that merging frees."""

import ctypes
import sys

import torch


def keep_freed_memory() -> None:
    """Lets this process keep the memory of a freed block for the next one.

    The C library of Linux otherwise returns such memory to the system, which clears it before it is used again. That
    can take longer than merging. Once it has seen 28 MiB come and go, it keeps up to twice as much. From 32 MiB on it
    would learn nothing, and torch takes 2 MiB in addition where huge pages are asked for.
    """
    torch.empty(28 * 2**20, dtype=torch.uint8)


def give_back_freed_memory() -> None:
    """Returns all kept memory to the system: after a large parameter it is in pieces that fit no other."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None:
        trim(0)
