"""Weight weaving: the mean of the tasks' models and of what another method merges with every factor of a grid."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from pydantic import InstanceOf
from torch import Tensor

from cl_bench.mergers import Around, BaseMerger, Merged, Weights, Whole
from cl_bench.mergers.iso_c import IsoC
from cl_bench.mergers.iso_cts import IsoCTS
from cl_bench.mergers.ties import Ties
from cl_bench.mergers.tsv import TSV

_TENTHS = {Ties: (1, 18), TSV: (5, 20), IsoC: (1, 20), IsoCTS: (1, 20)}
"""The first and the last factor of the published grids, in tenths; (1, 10) around any other method."""


class WeightWeaving(Around):
    """Weight weaving with the mean as pooling: λ without data, around any other method.

    With τ_m as the other method merges it at λ = 1 and the factors c_1 … c_C of a grid:

        τ = (Σ_t τ_t + Σ_k c_k · τ_m) / (T + C)

    That is the mean task vector of T + C models: those of the tasks, and what the other method makes with each factor.

    Beside the inner method's, the memory is one number per element.

    Source: Chaves, Valle and Avila, "Weight Weaving: Parameter Pooling for Data-Free Model Merging", UniReps workshop
    at NeurIPS 2025, arXiv 2510.13921.

    Args:
        of: The inner method. Its λ must be 1, since the grid takes its place.
        factors: c_1 … c_C. None for the published grid, in steps of 0.1: 0.1 … 1.8 around TIES, 0.5 … 2 around TSV-M,
            0.1 … 2 around Iso-C and Iso-CTS, 0.1 … 1 around any other.
        scaling: λ of the result, which the publication does not have; 1 leaves it as it is.

    Raises:
        ValueError: The inner method's λ is not 1, or ``factors`` is empty or has a number that is not finite.
    """

    def __init__(
        self, of: InstanceOf[BaseMerger], factors: Sequence[float] | None = None, scaling: float = 1.0
    ) -> None:
        super().__init__(of, scaling)
        if of.scaling != 1:
            raise ValueError(f"of.scaling must be 1, not {of.scaling}: the factors of weight weaving take its place")
        if factors is None:
            first, last = _TENTHS.get(type(of), (1, 10))
            factors = [tenths / 10 for tenths in range(first, last + 1)]
        if not factors or not all(map(math.isfinite, factors)):
            raise ValueError(f"factors must be one or more finite numbers, not {list(factors)}")
        self._factors = list(factors)

    def notes(self, parameters: Weights) -> dict[str, Tensor]:
        """Σ_t τ_t."""
        return {f"sum/{name}": torch.zeros_like(start) for name, start in parameters.items()}

    def note(self, notes: Mapping[str, Tensor], vectors: Iterable[tuple[str, Tensor]]) -> None:
        """Σ ← Σ + τ_t."""
        for name, vector in vectors:
            notes[f"sum/{name}"].add_(vector)

    def change(self, whole: Whole) -> Callable[[Merged], Tensor]:
        """The mean of both, one parameter at a time."""
        total, models = math.fsum(self._factors), whole.tasks + len(self._factors)
        return lambda merged: (merged.vector * total).add_(whole.notes[f"sum/{merged.name}"]).div_(models)
