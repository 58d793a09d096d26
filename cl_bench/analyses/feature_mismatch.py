"""How far features move from what the merged model gave before a task: by learning it, merging it, and refining."""

from typing import Any

from torch import Tensor

from cl_bench.analyses.encoding import Encoding
from cl_bench.analyses.merge_path import merge_path
from cl_bench.analyses.run import Run
from cl_bench.analyses.source import Result

WANTED = "trainer=cmm with a refinement, and two tasks at least"


def wants(record: Result) -> bool:
    """See `WANTED`."""
    refines = record["choices"]["trainer"] == "cmm" and record["config"]["trainer"].get("refinement") is not None
    return refines and len(record["training"]) > 1


def compute(run: Run) -> dict[str, Any]:
    """The mismatch to the previous merged model on the test images of the task that was learned, from task 2 on."""
    encoding, test = Encoding(run.parts), run.parts.scenario.streams["test"]
    mismatches: dict[str, list[float]] = {"own": [], "merged": [], "refined": []}
    for task, step in enumerate(merge_path(run)):
        if task > 0:
            samples = test[task].samples
            before = encoding.features(step.previous, samples)
            for name, values in mismatches.items():
                values.append(mismatch(encoding.features(getattr(step, name), samples), before))
    return {
        "units": {"task": "1", **dict.fromkeys(mismatches, "mean squared difference of features")},
        "task": list(range(2, len(run.finetuned) + 1)),
        **mismatches,
    }


def mismatch(features: Tensor, before: Tensor) -> float:
    """The mean over images and features of the squared difference, as in the refinement's loss."""
    return float((features.double() - before.double()).square().mean())
