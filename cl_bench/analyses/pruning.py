"""A task's accuracy when only the largest elements of its task vector are kept, or when they are removed."""

from typing import Any

import torch
from torch import Tensor

from cl_bench.analyses.evenly_spaced import evenly_spaced
from cl_bench.analyses.feature_extractor import FeatureExtractor
from cl_bench.analyses.opened_run import OpenedRun
from cl_bench.analyses.score import score
from cl_bench.analyses.source import Record
from cl_bench.analyses.task_vectors import TaskVectors, thresholds

WANTED = "trainer imported, independent or sequential"
_SHARES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.0)
_MOST_TASKS = 5


def wants(record: Record) -> bool:
    """Whether the analysis makes sense for a run, see `WANTED`."""
    return record["choices"]["trainer"] in ("imported", "independent", "sequential")


def compute(run: OpenedRun) -> dict[str, Any]:
    """The test accuracy of θ₀ + pruned τ_t on task t among its classes, for up to five tasks."""
    extractor, test = FeatureExtractor(run.parts), run.parts.scenario.streams["test"]
    vectors = TaskVectors(run.parts.pretrained, run.finetuned)
    tasks = evenly_spaced(len(vectors), _MOST_TASKS)
    accuracy: dict[bool, list[list[float]]] = {True: [], False: []}
    for task in tasks:
        vector, samples = vectors.whole(task), test[task].samples
        for kept, rows in accuracy.items():
            models = map(
                vectors.applied, (pruned(vector, threshold, kept) for threshold in thresholds(vector, _SHARES))
            )
            features = (extractor.features(model, samples) for model in models)
            allowed = test[task].class_masks[0]
            rows.append([score(each, samples.labels, run.parts.head.rows, allowed).accuracy for each in features])
    return {
        "units": {"task": "1", "share": "%", "kept": "%", "removed": "%"},
        "task": [task + 1 for task in tasks],
        "share": [100 * share for share in _SHARES],
        "kept": accuracy[True],
        "removed": accuracy[False],
    }


def pruned(vector: Tensor, threshold: float, kept: bool) -> Tensor:
    """The vector with only the elements whose magnitude is at least the threshold, or without these elements."""
    large = vector.abs() >= threshold
    return torch.where(large == kept, vector, 0)
