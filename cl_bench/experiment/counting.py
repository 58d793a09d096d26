"""Counts what models of a run get right."""

from cl_bench.evaluation import Counts, Evaluator
from cl_bench.experiment.state import Run
from cl_bench.trainers import Weights


def counted(run: Run, evaluator: Evaluator, weights: Weights, task: int | None = None) -> Counts:
    """Counts what a model gets right, among the classes that have arrived; all ranks do.

    Args:
        run: The run.
        evaluator: Has the images.
        weights: Of the model.
        task: Whose images are looked at, from 0; None for those of all tasks.
    """
    with run.meter.stage("evaluation"):
        # Data sets that are never trained on have a head of words of their own.
        return evaluator(weights, task, None if evaluator is run.retention else run.arrived)
