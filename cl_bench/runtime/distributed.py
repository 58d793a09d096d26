"""What a process needs to know of its group, and what a group does together; trivial for a single process."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def world_size() -> int:
    """Number of processes of this run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_main() -> bool:
    """Whether this process writes files, merges and prints."""
    return rank() == 0


def barrier() -> None:
    """Waits until every process is here."""
    if dist.is_initialized():
        dist.barrier()


@contextmanager
def main_first() -> Iterator[None]:
    """Lets rank 0 do the block first, so that the others find its work done.

    If rank 0 fails, the others try all the same: each of them then finds the user's mistake instead of a lost
    connection.
    """
    if not is_main():
        barrier()
    try:
        yield
    finally:
        if is_main():
            barrier()


def from_main(value: T) -> T:
    """Rank 0's `value`, on every rank."""
    if not dist.is_initialized():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def copy_from_main(tensors: Iterable[Tensor]) -> None:
    """Overwrites the tensors with rank 0's."""
    if dist.is_initialized():
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def average(tensor: Tensor) -> None:
    """Overwrites the tensor with its mean over processes."""
    if dist.is_initialized():
        contiguous = tensor.contiguous()  # as NCCL has it; gradients of a compiled encoder may be transposed
        dist.all_reduce(contiguous)
        tensor.copy_(contiguous.div_(dist.get_world_size()))


def total(tensor: Tensor) -> Tensor:
    """The sum over processes of a tensor on the CPU."""
    if not dist.is_initialized():
        return tensor
    there = tensor.to(f"cuda:{local_rank()}" if dist.get_backend() == "nccl" else "cpu", copy=True)
    dist.all_reduce(there)
    return there.cpu()


def local_rank() -> int:
    """This process's number on its machine."""
    return int(os.environ.get("LOCAL_RANK", 0))
