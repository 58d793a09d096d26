"""How far learning, merging and refining a task move features away from those of the previous merged model."""

from typing import Any

from torch import Tensor

from cl_bench.analyses.feature_extractor import FeatureExtractor
from cl_bench.analyses.merge_path import merge_path
from cl_bench.analyses.opened_run import OpenedRun
from cl_bench.analyses.source import Record

WANTED = "trainer=cmm with a refinement, and two tasks at least"


def wants(record: Record) -> bool:
    """Whether the analysis makes sense for a run, see `WANTED`."""
    refines = record["choices"]["trainer"] == "cmm" and record["config"]["trainer"].get("refinement") is not None
    return refines and len(record["training"]) > 1


def compute(run: OpenedRun) -> dict[str, Any]:
    """The mismatch to the previous merged model on the test images of each learned task, from task 2 on."""
    extractor, test = FeatureExtractor(run.parts), run.parts.scenario.streams["test"]
    mismatches: dict[str, list[float]] = {"own": [], "merged": [], "refined": []}
    for task, step in enumerate(merge_path(run)):
        if task > 0:
            samples = test[task].samples
            before = extractor.features(step.previous, samples)
            models = {"own": step.finetuned, "merged": step.merged, "refined": step.refined}
            for name, weights in models.items():
                mismatches[name].append(mismatch(extractor.features(weights, samples), before))
    return {
        "units": {"task": "1", **dict.fromkeys(mismatches, "mean squared difference of features")},
        "task": list(range(2, len(run.finetuned) + 1)),
        **mismatches,
    }


def mismatch(features: Tensor, before: Tensor) -> float:
    """The mean squared difference over images and features, as in the loss of the refinement."""
    return float((features.double() - before.double()).square().mean())
