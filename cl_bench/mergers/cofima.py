"""CoFiMA: the merged model and the new one, weighted by the squared gradients of the last two tasks."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field

from cl_bench.mergers import State, TaskBlock
from cl_bench.mergers.engine.running_model import RunningModel

_EPSILON = 1e-30  # see CMM


class CoFiMA(RunningModel):
    """Continual Fisher-weighted model averaging: per element, a weighted mean of the merged model and each new one.

    After the first task θ = θ_1; then, from task 2 on,

        θ ← ((1 - α) (F_{t-1} + ε) θ + α (F_t + ε) θ_t) / ((1 - α) (F_{t-1} + ε) + α (F_t + ε))

    F_t = min(``squared_gradients``, fisher_max), of task t alone: that of tasks before t - 1 is forgotten. Where
    both are 0, ε leaves the plain average, (1 - α) θ + α θ_t.

    Tasks are meant to start from the merged weights: ``trainer.starts_from=merged``.

    Source: Marouf, Roy, Tartaglione and Lathuilière, ECCV 2024, arXiv 2312.08977. The rule and F are those of the
    authors' code with their settings for CIFAR-100: F squares and limits the gradients of whole batches for the true
    labels, in place of an expectation over images and the model's own labels.

    Differs from the publication in: the loss is among the task's classes, not among all seen so far; the published code
    has no ε, and gives NaN where both F are zero; it also merges its classifier, and aligns it by features kept from
    all classes, while the head is frozen here.

    Args:
        alpha: α, the new task's share.
        fisher_max: Largest F_t.
        scaling: λ of the merged task vector, which the publication does not have; 1 leaves it as it is.

    Raises:
        ValueError: ``alpha`` is not in [0, 1], or ``fisher_max`` not above 0.
    """

    state: ClassVar = {"merged_weights": None, "fisher": None}

    def __init__(
        self,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.4,
        fisher_max: Annotated[float, Field(gt=0)] = 1e-4,
        scaling: float = 1.0,
    ) -> None:
        super().__init__(scaling)
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be between 0 and 1, but is {alpha}")
        if not fisher_max > 0:
            raise ValueError(f"fisher_max must be above 0, but is {fisher_max}")
        self._alpha, self._fisher_max, self.restarts = alpha, fisher_max, scaling == 1
        self.requires = frozenset({"squared_gradients"})

    def fold(self, state: State, block: TaskBlock) -> None:
        """The rule above."""
        merged, fisher = state
        of_task = block.statistics.get("squared_gradients", torch.zeros_like(fisher)).clamp(max=self._fisher_max)
        if block.task == 1:
            merged.copy_(block.weights)
        else:
            old, new = fisher.add(_EPSILON).mul_(1 - self._alpha), of_task.add(_EPSILON).mul_(self._alpha)
            merged.add_(block.weights.sub(merged).mul_(new / (old + new)))
        fisher.copy_(of_task)
