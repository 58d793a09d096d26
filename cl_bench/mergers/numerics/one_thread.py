"""One thread for a computation, so that its bits do not depend on how many there are."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_outside = threading.local()  # its `threads`: how many torch had before this thread entered `one_thread`


@contextmanager
def one_thread() -> Iterator[None]:
    """Computes in one thread: with another number of threads, LAPACK and BLAS add in another order."""
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
    """The number of torch's threads; within ``one_thread``, their number before it."""
    return getattr(_outside, "threads", torch.get_num_threads())
