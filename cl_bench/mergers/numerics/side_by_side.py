"""Work side by side: one thread works on each item, so that no bit depends on the number of threads."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch
from torch import Tensor

from cl_bench.mergers.numerics.one_thread import one_thread, threads_outside

Item = TypeVar("Item")
Made = TypeVar("Made")


def side_by_side(work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
    """Does the work for each item, in as many threads as torch has, each item in one thread.

    A block then stays in the cache of one core, and no thread waits for another after each operation. Work side by side
    within one item is done by the item's thread.

    Args:
        work: Called with each item, from any thread.
        items: Such as the names of parameters.

    Yields:
        What each work returned, in the order of the items.

    Raises:
        Exception: What the first item that failed, in this order, raised. Items that have not begun are left out.
    """
    on_gpu = any(isinstance(item, Tensor) and item.is_cuda for item in items)  # which brings its own threads
    alone = on_gpu or min(threads_outside(), len(items)) <= 1
    with one_thread():
        if alone:
            yield from map(work, items)
            return
        waiting = deque(_pool(threads_outside()).submit(work, item) for item in items)
        try:
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)


def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay: BLAS gets room for each new one, which took longer than many a product."""
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    return _pools[threads]


_pools: dict[int, ThreadPoolExecutor] = {}
os.register_at_fork(after_in_child=_pools.clear)  # a child has none of its parent's threads
