"""Accuracy and loss on the path from one task's model to another's."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from cl_bench.analyses.feature_extractor import FeatureExtractor
from cl_bench.analyses.opened_run import OpenedRun
from cl_bench.analyses.score import Score, score
from cl_bench.analyses.selection import has_all_parts
from cl_bench.analyses.source import Record
from cl_bench.trainers import Weights

WANTED = "trainer imported, independent, sequential, tangent or (with all parts) cmm, with two tasks at least"
_STEPS = np.linspace(0, 1, 11).tolist()
_EPSILON = 1e-30  # as in merger=cmm: gives the plain average where neither model has a second moment


def wants(record: Record) -> bool:
    """Whether the analysis makes sense for a run, see `WANTED`."""
    known = record["choices"]["trainer"] in ("imported", "independent", "sequential", "tangent", "cmm")
    return known and has_all_parts(record) and len(record["training"]) > 1


def compute(run: OpenedRun) -> dict[str, Any]:
    """Accuracy and loss from θ_1 to θ_T on the test images of task 1 and of task T, among each task's classes.

    The Fisher-weighted path needs AdamW's second moments, which training keeps where the merger needs them.
    """
    first, last = 0, len(run.finetuned) - 1
    begin, end = run.finetuned[first], run.finetuned[last]
    begin_moments, end_moments = (run.stream.read_extra(task, "second_moments") for task in (first, last))
    paths: dict[str, Callable[[float], dict[str, Tensor]]] = {"linear": partial(linear, begin, end)}
    if begin_moments and end_moments:
        paths["fisher"] = partial(fisher, begin, end, begin_moments, end_moments)
    extractor, test = FeatureExtractor(run.parts), run.parts.scenario.streams["test"]

    def scores(weights: Weights) -> list[Score]:
        return [
            score(
                extractor.features(weights, test[task].samples),
                test[task].samples.labels,
                run.parts.head.rows,
                test[task].class_masks[0],
            )
            for task in (first, last)
        ]

    found = {name: [scores(path(share)) for share in _STEPS] for name, path in paths.items()}
    return {
        "units": {"share": "1", "accuracy": "%", "loss": "nat"},
        "task": [first + 1, last + 1],
        "share": _STEPS,
        "accuracy": {name: [[each.accuracy for each in step] for step in steps] for name, steps in found.items()},
        "loss": {name: [[each.loss for each in step] for step in steps] for name, steps in found.items()},
    }


def linear(begin: Weights, end: Weights, share: float) -> dict[str, Tensor]:
    """The weights (1 - share) · begin + share · end."""
    return {name: start.lerp(end[name], share) if start.is_floating_point() else start for name, start in begin.items()}


def fisher(
    begin: Weights, end: Weights, begin_moments: Weights, end_moments: Weights, share: float
) -> dict[str, Tensor]:
    """The mean weighted by second moments F: ((1-s) F_a θ_a + s F_b θ_b) / ((1-s) F_a + s F_b).

    Parameters without second moments were not trained; their mean is not weighted.
    """
    weights = linear(begin, end, share)
    for name in begin_moments.keys() & end_moments.keys():
        old = begin_moments[name].add(_EPSILON).mul(1 - share)
        new = end_moments[name].add(_EPSILON).mul(share)
        weights[name] = begin[name] + (end[name] - begin[name]) * (new / (old + new))
    return weights
