"""Linear algebra whose bits do not depend on how many threads there are."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_outside = threading.local()  # `threads`, while this thread is within `one_thread`: how many torch had before


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread, since LAPACK and BLAS add in another order with each number of threads."""
    threads, outermost = torch.get_num_threads(), not hasattr(_outside, "threads")
    if outermost:
        _outside.threads = threads
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if outermost:
            del _outside.threads


def threads_outside() -> int:
    """How many threads torch has here, or had before ``one_thread``."""
    return getattr(_outside, "threads", torch.get_num_threads())
