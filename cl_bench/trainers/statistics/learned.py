"""What a statistic may ask of a trainer that has just learned a task."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, TypeAlias

from torch import Tensor, nn

from cl_bench.images.batches import Batch
from cl_bench.images.transforms import ImageTransform
from cl_bench.runtime import distributed


class Learned(Protocol):
    """A trainer right after the last step of a task; every `TaskTrainer` is one.

    Attributes:
        encoder: The encoder with the task's weights.
        transform: Turns 8-bit images into what the encoder reads.
        class_masks: (groups, C) bool, the classes among which images of a group are told apart.
    """

    encoder: nn.Module
    transform: ImageTransform
    class_masks: Tensor

    def trained(self) -> dict[str, nn.Parameter]:
        """Returns what the optimizer has changed, by name."""
        ...

    def logits(self, features: Tensor) -> Tensor:
        """Returns (B, C), over all classes of the scenario, from (B, D) features."""
        ...

    def mean(self, total: Tensor, batch: Batch) -> Tensor:
        """Turns the sum over this process's share of a batch into the mean over the global batch."""
        ...

    def another_pass(self, title: str, enough: int | None = None) -> Iterator[Batch]:
        """Yields the task's images once more, `enough` of them or all, in training's batches and crops."""
        ...

    def optimizer_state(self) -> Mapping[Tensor, Mapping[str, Tensor]]:
        """Returns what the optimizer knows of each parameter."""
        ...


Statistic: TypeAlias = Callable[[Learned], dict[str, Tensor]]
"""By parameter, on the CPU and the same on all processes; leaves the trainer as it is."""


def to_means(sums: Iterable[Tensor], images: int) -> None:
    """Overwrites sums over this process's images with means over those of all processes.

    Args:
        sums: The same ones on every process.
        images: Of all processes together.
    """
    for tensor in sums:
        distributed.average(tensor)
        tensor *= distributed.world_size() / images
