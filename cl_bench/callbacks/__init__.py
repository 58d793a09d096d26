"""The Lightning callbacks of a run."""

from cl_bench.callbacks.checkpoint import Checkpoint
from cl_bench.callbacks.finite_loss import FiniteLoss
from cl_bench.callbacks.merge_and_evaluate import MergeAndEvaluate, Row
from cl_bench.callbacks.own_signals import OwnSignals
from cl_bench.callbacks.progress import Progress
from cl_bench.callbacks.step_seeds import StepSeeds
from cl_bench.callbacks.training_log import TrainingLog

__all__ = ["Checkpoint", "FiniteLoss", "MergeAndEvaluate", "OwnSignals", "Progress", "Row", "StepSeeds", "TrainingLog"]
