"""How often trimmed task vectors pull an element in opposite directions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cl_bench.analyses.opened_run import OpenedRun
from cl_bench.analyses.source import Record
from cl_bench.analyses.task_vectors import TaskVectors, thresholds

WANTED = "trainer imported, independent, sequential, ewc or lwf, with two tasks at least"
_TRIMMED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_PUBLISHED = 0.8


def wants(record: Record) -> bool:
    """Whether the analysis makes sense for a run, see `WANTED`."""
    return (
        record["choices"]["trainer"] in ("imported", "independent", "sequential", "ewc", "lwf")
        and len(record["training"]) > 1
    )


def compute(run: OpenedRun) -> dict[str, Any]:
    """The share of conflicts of all tasks for each degree of trimming; with 80 % trimmed, for each number of tasks."""
    vectors = TaskVectors(run.parts.pretrained, run.finetuned)
    after = sign_conflicts(vectors, _TRIMMED)
    return {
        "units": {"trimmed": "%", "conflicts_by_trimming": "%", "tasks": "1", "conflicts_by_tasks": "%"},
        "trimmed": [100 * share for share in _TRIMMED],
        "conflicts_by_trimming": after[:, -1].tolist(),
        "tasks": list(range(2, len(vectors) + 1)),
        "conflicts_by_tasks": after[_TRIMMED.index(_PUBLISHED)].tolist(),
    }


def sign_conflicts(vectors: TaskVectors, trimmed: Sequence[float]) -> Tensor:
    """Of the elements that at least two of the first t tasks keep, the percentage that are kept with both signs.

    A task keeps the elements that are largest by magnitude over its whole vector; zeros are never kept.

    Args:
        vectors: The vectors of T tasks.
        trimmed: Shares of each vector that are trimmed.

    Returns:
        (trimmed, T-1) float64, for t from 2 to T; NaN where no element is kept by two.
    """
    keep = [1 - share for share in trimmed]
    least = torch.tensor([thresholds(vectors.whole(task), keep) for task in range(len(vectors))], dtype=torch.float64)
    conflicts = torch.zeros(len(trimmed), len(vectors), dtype=torch.float64)
    shared = torch.zeros_like(conflicts)
    for block in vectors.blocks():
        magnitudes = block.abs()
        for row, threshold in enumerate(least.T.to(block.dtype)):
            signs = block.sign().mul_(magnitudes.ge(threshold[:, None]))
            positive, negative = signs.gt(0).cumsum(0), signs.lt(0).cumsum(0)  # (T, n) in the first t tasks
            conflicts[row] += (positive.gt(0) & negative.gt(0)).sum(1)
            shared[row] += (positive + negative).gt(1).sum(1)
    return (100 * conflicts / shared)[:, 1:]
