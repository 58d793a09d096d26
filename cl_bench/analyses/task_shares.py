"""Which tasks the elements of a merged vector come from, where each element comes from one task."""

from typing import Any

import torch
from torch import Tensor

from cl_bench.analyses.opened_run import OpenedRun
from cl_bench.analyses.source import Record
from cl_bench.analyses.task_vectors import TaskVectors

WANTED = "trainer imported, independent, sequential, ewc or lwf, with two tasks at least"


def wants(record: Record) -> bool:
    """Whether the analysis makes sense for a run, see `WANTED`."""
    return (
        record["choices"]["trainer"] in ("imported", "independent", "sequential", "ewc", "lwf")
        and len(record["training"]) > 1
    )


def compute(run: OpenedRun) -> dict[str, Any]:
    """The share of each task in MagMax's merged vector, whichever merger the run had."""
    return {
        "units": {"task": "1", "share": "%"},
        "task": list(range(1, len(run.finetuned) + 1)),
        "share": shares(TaskVectors(run.parts.pretrained, run.finetuned)).tolist(),
    }


def shares(vectors: TaskVectors) -> Tensor:
    """(T,) percentages of elements that have their largest magnitude in each task; a tie goes to the later task.

    Elements that no task has changed do not count.
    """
    won = torch.zeros(len(vectors), dtype=torch.float64)
    for block in vectors.blocks():
        largest, task = block.abs().flip(0).max(dim=0)  # a tie goes to the first, the later task
        won += torch.bincount(len(vectors) - 1 - task[largest > 0], minlength=len(vectors))
    return 100 * won / won.sum()
