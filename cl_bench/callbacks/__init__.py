"""Lightning callbacks of a run."""

from cl_bench.callbacks.checkpoint import Checkpoint
from cl_bench.callbacks.finite_loss import FiniteLoss
from cl_bench.callbacks.keep_our_signals import KeepOurSignals
from cl_bench.callbacks.merge_and_evaluate import MergeAndEvaluate
from cl_bench.callbacks.progress_bars import ProgressBars
from cl_bench.callbacks.step_seeds import StepSeeds
from cl_bench.callbacks.training_log import TrainingLog

__all__ = [
    "Checkpoint",
    "FiniteLoss",
    "KeepOurSignals",
    "MergeAndEvaluate",
    "ProgressBars",
    "StepSeeds",
    "TrainingLog",
]
