"""The cosine similarity of task vectors."""

from typing import Any

import torch
from torch import Tensor

from cl_bench.analyses.opened_run import OpenedRun
from cl_bench.analyses.selection import has_all_parts
from cl_bench.analyses.source import Record
from cl_bench.analyses.task_vectors import TaskVectors

WANTED = "trainer imported, independent, sequential, ewc, lwf, tangent or (with all parts) cmm, with two tasks at least"
_TRAINERS = ("imported", "independent", "sequential", "ewc", "lwf", "tangent", "cmm")


def wants(record: Record) -> bool:
    """Whether the analysis makes sense for a run, see `WANTED`."""
    known = record["choices"]["trainer"] in _TRAINERS and has_all_parts(record)
    return known and len(record["training"]) > 1


def compute(run: OpenedRun) -> dict[str, Any]:
    """The (T, T) cosines of all pairs of tasks."""
    cosines = cosine_similarity(TaskVectors(run.parts.pretrained, run.finetuned))
    return {
        "units": {"task": "1", "cosine": "1"},
        "task": list(range(1, len(cosines) + 1)),
        "cosine": cosines.tolist(),
    }


def cosine_similarity(vectors: TaskVectors) -> Tensor:
    """(T, T) float64: τ_s·τ_t / (|τ_s| |τ_t|); NaN for a task that did not change the weights."""
    products = torch.zeros(len(vectors), len(vectors), dtype=torch.float64)
    for block in vectors.blocks():
        wide = block.double()
        products += wide @ wide.T
    norms = products.diagonal().sqrt()
    return products / torch.outer(norms, norms)
