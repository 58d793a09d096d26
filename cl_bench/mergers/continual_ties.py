"""Continual TIES: what TIES makes of the merged task vector and the next one is added to the merged model."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers import State
from cl_bench.mergers.engine.blocks import flat
from cl_bench.mergers.engine.model_folding import ModelFold, TaskParameter
from cl_bench.mergers.numerics.selection import kth_largest

Parts = Callable[[], Iterator[tuple[State, TaskParameter]]]


class ContinualTies(ModelFold):
    """TIES with two inputs, over and over: what is merged so far, M, and the task vector of the next task, τ_t.

    M_1 = α · τ_1, untrimmed. Then M ← M + α · TIES(M, τ_t), with TIES in three steps:

    1. Trim: of each of the two, over the whole model, keep the k = ⌊density · N⌋ elements (at least one) of largest
       magnitude, and all that equal the smallest of these; the rest becomes 0.
    2. Elect: per element, the sign of the sum of both. Where that sum is 0, the sign of the sum of all elements'
       elected signs, negative if that is 0 too.
    3. Merge: per element, the sum of what has the elected sign.

    Source: a baseline of Tang et al., "Merging Models on the Fly Without Retraining" (OPCM), NeurIPS 2025,
    arXiv 2501.09522, with its settings, on TIES, arXiv 2306.01708. As released, the result is added to M, not to the
    pre-trained model, so that what M keeps in its largest elements grows with every task.

    Differs from the publication in: the authors' code keeps k + 1 elements instead of k.

    Args:
        alpha: α, the weight of each step; a part of M, so that it cannot be changed after merging, as λ can.
        density: Share of elements that trimming keeps.
        scaling: λ of the merged task vector, which the publication does not have; 1 leaves it as it is.

    Raises:
        ValueError: ``density`` is not in (0, 1].
    """

    state: ClassVar = {"merged": None}

    def __init__(
        self, alpha: float = 0.5, density: Annotated[float, Field(gt=0, le=1)] = 0.2, scaling: float = 1.0
    ) -> None:
        super().__init__(scaling)
        if not 0 < density <= 1:
            raise ValueError(f"density must be above 0 and at most 1, but is {density}")
        self._alpha, self._density = alpha, density

    def look(self, model: Parts) -> tuple[float, ...]:
        """The two thresholds, of M and of τ_t, and the majority sign."""
        if next((parameter.task for _, parameter in model()), 1) == 1:
            return ()
        thresholds = tuple(_threshold(model, which, self._density) for which in (0, 1))
        elected = sum(int(_trimmed(parts, thresholds).sum(0).sign().sum(dtype=torch.int64)) for parts in _pairs(model))
        return (*thresholds, 1.0 if elected > 0 else -1.0)

    def fold(self, state: State, parameter: TaskParameter, seen: tuple[float, ...]) -> None:
        """M_t."""
        (merged,), vector = state, parameter.vector
        if parameter.task == 1:
            merged.copy_(vector.mul_(self._alpha))
            return
        *thresholds, majority = seen
        both = _trimmed((merged, vector), thresholds)
        sign = both.sum(0).sign_()
        sign.masked_fill_(sign == 0, majority)
        merged.add_(both.mul_(both.sign() == sign).sum(0).mul_(self._alpha))

    def combine(self, state: State, name: str, tasks: int, numbers: Mapping[str, float]) -> Tensor:
        """M_T."""
        return state[0]


def _pairs(model: Parts) -> Iterator[tuple[Tensor, Tensor]]:
    """M and τ_t of each parameter."""
    return ((state[0], parameter.vector) for state, parameter in model())


def _threshold(model: Parts, which: int, density: float) -> float:
    """The k-th largest magnitude of M (0) or of τ_t (1)."""
    elements = sum(pair[which].numel() for pair in _pairs(model))
    if elements == 0:
        return 0.0
    wide = any(pair[which].dtype == torch.float64 for pair in _pairs(model))
    dtype = torch.float64 if wide else torch.float32

    def magnitudes() -> Iterator[Tensor]:
        return (flat(pair[which]).abs().to(dtype) for pair in _pairs(model))

    return kth_largest(magnitudes, max(1, int(density * elements)), dtype)


def _trimmed(pair: tuple[Tensor, Tensor], thresholds: tuple[float, ...] | list[float]) -> Tensor:
    """(2, *shape): both, without what is below the threshold."""
    return torch.stack([part * (part.abs() >= least) for part, least in zip(pair, thresholds, strict=True)])
