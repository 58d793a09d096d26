"""What a model can do: counting, accuracy matrices, and everything that is computed from them."""

from cl_bench.evaluation.accuracies import KINDS, accuracies
from cl_bench.evaluation.evaluator import Evaluator
from cl_bench.evaluation.settings import Settings
from cl_bench.evaluation.task_accuracy import Counts, Kind, TaskAccuracy

__all__ = ["KINDS", "Counts", "Evaluator", "Kind", "Settings", "TaskAccuracy", "accuracies"]
