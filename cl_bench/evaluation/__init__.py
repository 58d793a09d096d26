"""Evaluation: counting correct answers, accuracy matrices, and the metrics computed from them."""

from cl_bench.evaluation.accuracies import KINDS, accuracies
from cl_bench.evaluation.counting import Counts, Kind, TaskAccuracy
from cl_bench.evaluation.evaluator import Evaluator
from cl_bench.evaluation.settings import Settings

__all__ = ["KINDS", "Counts", "Evaluator", "Kind", "Settings", "TaskAccuracy", "accuracies"]
