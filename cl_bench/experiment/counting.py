"""Counts what models of a run get right."""

from cl_bench.evaluation import Counts, Evaluator
from cl_bench.experiment.state import Run
from cl_bench.trainers import Weights


def counted(run: Run, evaluator: Evaluator, weights: Weights, task: int | None = None) -> Counts:
    """Counts what a model gets right, of all tasks' images or of those of one task, numbered from 0; all ranks do."""
    with run.meter.stage("evaluation"):
        return evaluator(weights, task)
