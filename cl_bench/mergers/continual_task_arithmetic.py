"""Continual task arithmetic: each task vector is added to the merged model with the same small weight."""

from cl_bench.mergers.task_arithmetic import TaskArithmetic


class ContinualTaskArithmetic(TaskArithmetic):
    """θ ← θ + λ · τ_t, one task after the other: task arithmetic with a λ that is fixed before the stream begins.

    Source: a baseline of Tang et al., "Merging Models on the Fly Without Retraining" (OPCM), NeurIPS 2025,
    arXiv 2501.09522, with its λ.

    Args:
        scaling: λ.
    """

    def __init__(self, scaling: float = 0.3) -> None:
        super().__init__(scaling)
