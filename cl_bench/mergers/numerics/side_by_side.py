"""Work side by side: each item is worked on by one thread, so that no bit depends on how many there are."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from cl_bench.mergers.numerics.one_thread import one_thread, threads_outside

Item = TypeVar("Item")
Made = TypeVar("Made")


def side_by_side(work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
    """Do the work for each item, in as many threads as torch has, and in one thread each.

    A block then stays in the cache of the core that works on it, and no thread waits for another after each operation.
    Within one item, work side by side is done by the thread that has the item.

    Args:
        work: Called with each item, from any thread.
        items: Such as the names of parameters.

    Yields:
        What each work returned, in the order of the items.

    Raises:
        Exception: What the first work, in this order, raised; those that have not begun are left out.
    """
    on_gpu = any(isinstance(item, Tensor) and item.is_cuda for item in items)  # which has threads of its own
    threads = 1 if on_gpu else min(threads_outside(), len(items))
    with one_thread():
        if threads <= 1:
            yield from map(work, items)
            return
        pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        try:
            yield from pool.map(work, items)
        finally:
            pool.shutdown(cancel_futures=True)
