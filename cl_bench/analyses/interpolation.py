"""What lies on the way from one task's model to another's."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from cl_bench.analyses.encoding import Encoding, Score, score
from cl_bench.analyses.run import Run
from cl_bench.analyses.source import Result, has_all_parts
from cl_bench.trainers import Weights

WANTED = "trainer independent, sequential, tangent or (with all parts) cmm, with two tasks at least"
_STEPS = np.linspace(0, 1, 11).tolist()
_EPSILON = 1e-30  # as in merger=cmm: where neither model has a second moment, the plain average


def wants(record: Result) -> bool:
    """See `WANTED`."""
    known = record["choices"]["trainer"] in ("independent", "sequential", "tangent", "cmm")
    return known and has_all_parts(record) and len(record["training"]) > 1


def compute(run: Run) -> dict[str, Any]:
    """Accuracy and loss from θ_1 to θ_T on the test images of either task, each among its task's classes.

    The Fisher-weighted path needs AdamW's second moments, which training keeps where the merger asks for them.
    """
    first, last = 0, len(run.finetuned) - 1
    begin, end = run.finetuned[first], run.finetuned[last]
    moments = [run.stream.read_extra(task, "second_moments") for task in (first, last)]
    paths: dict[str, Callable[[float], dict[str, Tensor]]] = {"linear": lambda share: linear(begin, end, share)}
    if all(moments):
        paths["fisher"] = lambda share: fisher(begin, end, *moments, share)
    encoding, test = Encoding(run.parts), run.parts.scenario.streams["test"]

    def scores(weights: Weights) -> list[Score]:
        return [
            score(
                encoding.features(weights, test[task].samples),
                test[task].samples.labels,
                run.parts.head,
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
    """(1 - share) · begin + share · end."""
    return {name: start.lerp(end[name], share) if start.is_floating_point() else start for name, start in begin.items()}


def fisher(
    begin: Weights, end: Weights, begin_moments: Weights, end_moments: Weights, share: float
) -> dict[str, Tensor]:
    """Each element weighted by its model's second moment: ((1-s) F_a θ_a + s F_b θ_b) / ((1-s) F_a + s F_b).

    Parameters without second moments were not trained, and are averaged plainly.
    """
    weights = linear(begin, end, share)
    for name in begin_moments.keys() & end_moments.keys():
        old = begin_moments[name].add(_EPSILON).mul(1 - share)
        new = end_moments[name].add(_EPSILON).mul(share)
        weights[name] = begin[name] + (end[name] - begin[name]) * (new / (old + new))
    return weights
