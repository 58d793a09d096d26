"""Rules whose state is a model, not a task vector."""

from torch import Tensor

from cl_bench.mergers.engine.blocks import MergeBlock, State
from cl_bench.mergers.engine.folding import Merger


class RunningModel(Merger):
    """A rule whose first state is the merged model θ. With λ = 1 the result is θ, bit for bit.

    The difference θ - θ_0 is rounded, so adding it to θ_0 would not lead back to θ.
    """

    def restart(self, state: State, weights: Tensor) -> None:
        """Replaces θ; other states stay."""
        state[0].copy_(weights)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """θ - θ_0."""
        return state[0] - block.pretrained

    def apply(self, state: State, block: MergeBlock) -> Tensor:
        """θ itself where λ = 1, otherwise θ_0 + λ · (θ - θ_0)."""
        return state[0] if self.scaling == 1 else super().apply(state, block)
