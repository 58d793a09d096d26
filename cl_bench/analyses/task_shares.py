"""Whose values a merged vector is made of, where each element is taken from one task."""

from typing import Any

import torch
from torch import Tensor

from cl_bench.analyses.run import Run
from cl_bench.analyses.source import Result
from cl_bench.analyses.task_vectors import TaskVectors

WANTED = "trainer independent, sequential, ewc or lwf, with two tasks at least"


def wants(record: Result) -> bool:
    """See `WANTED`."""
    return record["choices"]["trainer"] in ("independent", "sequential", "ewc", "lwf") and len(record["training"]) > 1


def compute(run: Run) -> dict[str, Any]:
    """The share of each task in what MagMax takes, whichever merger the run had."""
    return {
        "units": {"task": "1", "share": "%"},
        "task": list(range(1, len(run.finetuned) + 1)),
        "share": shares(TaskVectors(run.parts.pretrained, run.finetuned)).tolist(),
    }


def shares(vectors: TaskVectors) -> Tensor:
    """(T,) percentages: how many elements are of largest magnitude in each task, a tie going to the later one.

    Elements that no task has changed are nobody's, and not counted.
    """
    won = torch.zeros(len(vectors), dtype=torch.float64)
    for block in vectors.blocks():
        largest, task = block.abs().flip(0).max(dim=0)  # of equals, the first of the flipped, which is the last
        won += torch.bincount(len(vectors) - 1 - task[largest > 0], minlength=len(vectors))
    return 100 * won / won.sum()
