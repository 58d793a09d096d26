"""What every trainer is given."""

from dataclasses import dataclass

from torch import Tensor, nn

from cl_bench.images.transforms import ImageTransform
from cl_bench.trainers.base.optimization import Optimization


@dataclass(frozen=True)
class Given:
    """The first argument of every trainer: what a run hands over, and no YAML file sets.

    Args:
        encoder: The image encoder, at θ₀.
        head: (C, D) the scenario's head.
        transform: Turns 8-bit images into what the encoder reads.
        optimization: How a task is optimized.
        compile: Whether the encoder goes through `torch.compile`.
        keep: Names of the statistics that the merger needs, see `cl_bench.trainers.statistics`.
        head_arrives: Whether classes get their rows when they arrive, so that before a task some have none yet.
        head_lr: Learning rate of the rows of a task's new classes; None: rows are not trained.
        seed: Of the run, for what a trainer draws once for all tasks; torch itself is seeded anew for each task.
    """

    encoder: nn.Module
    head: Tensor
    transform: ImageTransform
    optimization: Optimization
    compile: bool = False
    keep: frozenset[str] = frozenset()
    head_arrives: bool = False
    head_lr: float | None = None
    seed: int = 0
