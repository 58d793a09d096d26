"""EMA: a moving average of the models, in the order of the tasks."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cl_bench.mergers import State, TaskBlock
from cl_bench.mergers.engine.running_model import RunningModel


class EMA(RunningModel):
    """Continual model averaging (CoMA): each task's model is mixed into what was merged before it.

    After the first task θ = θ_1; then, from task 2 on, θ ← (1 - α) θ + α θ_t. With α = 1/t, the cumulative average, all
    models have the same share in the end.

    Tasks are meant to start from the merged weights. Other weights may replace these after each merge. The memory is
    one number per element.

    Source: Marouf et al., "Weighted Ensemble Models Are Strong Continual Learners", ECCV 2024, arXiv
    2312.08977 (CoMA); rule and α as in the authors' code.

    Args:
        alpha: α, the new task's share, or "cumulative" for 1/t.
        scaling: λ of the merged task vector, which the publication does not have; 1 leaves it as it is.

    Raises:
        ValueError: ``alpha`` is neither in [0, 1] nor "cumulative".
    """

    state: ClassVar = {"merged_weights": None}

    def __init__(
        self,
        alpha: Annotated[float, Field(ge=0, le=1)] | Literal["cumulative"] = 0.4,
        scaling: float = 1.0,
    ) -> None:
        super().__init__(scaling)
        if alpha != "cumulative" and (isinstance(alpha, str) or not 0 <= alpha <= 1):
            raise ValueError(f"alpha must be between 0 and 1, or 'cumulative', but is {alpha!r}")
        self._alpha, self.restarts = alpha, scaling == 1

    def fold(self, state: State, block: TaskBlock) -> None:
        """θ ← θ + α (θ_t - θ), which keeps values that both models share."""
        (merged,) = state
        if block.task == 1:
            merged.copy_(block.weights)
        else:
            share = 1 / block.task if isinstance(self._alpha, str) else self._alpha
            merged.add_(block.weights.sub(merged).mul_(share))
