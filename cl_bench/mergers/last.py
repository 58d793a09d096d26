"""Last: the weights of the last task."""

from typing import ClassVar

from cl_bench.mergers import State, TaskBlock
from cl_bench.mergers.engine.running_model import RunningModel


class Last(RunningModel):
    """The last task's vector alone: θ_0 + λ·τ_T, and with λ = 1 exactly θ_T, bit for bit.

    What sequential fine-tuning, EWC and LwF are reported with.

    Args:
        scaling: λ.
    """

    state: ClassVar = {"last_weights": None}

    def __init__(self, scaling: float = 1.0) -> None:
        super().__init__(scaling)

    def fold(self, state: State, block: TaskBlock) -> None:
        """θ ← θ_t."""
        (weights,) = state
        weights.copy_(block.weights)
