"""LiNeS: the deeper a layer lies in the network, the more its merged task vector counts."""

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from pydantic import InstanceOf
from torch import Tensor

from cl_bench.mergers import Around, BaseMerger, Merged, Weights, Whole
from cl_bench.mergers.numerics.one_thread import one_thread
from cl_bench.store.block_names import block_of


class Lines(Around):
    """Layer-increasing network scaling: early layers stay near the pre-trained model, late ones learn more.

    In block ℓ of L, τ ← (α + β · (ℓ - 1) / (L - 1)) · τ. What belongs to no block (embeddings, norms before and after,
    projection) has τ ← α · τ. By default α makes the first block, summed over elements, as large as the average task
    vector: α = ‖Σ_t τ_t‖_1 / (T · ‖τ‖_1) over the whole model; 0 where τ is 0.

    The inner method's λ is part of τ. The default α makes up for it; β, which is published for λ = 1, does not.

    Beside the inner method's, the memory is one number per element, and one model while merging; none with ``alpha``.

    Source: Wang et al., "LiNeS: Post-training Layer Scaling Prevents Forgetting and Enhances Model Merging",
    ICLR 2025, arXiv 2410.17146; the norm and what belongs to no block are those of the authors' code.

    Differs from the publication in: the blocks are found and counted by name, see ``block_of``, while the published
    code is told their number; and a single block has the scale α, while the published code divides by 0.

    Args:
        of: The inner method.
        beta: β. It has no default: the paper chooses it on validation data, from 0.1 to 1 (1.5 around TIES).
        alpha: α; None for the default above. For one task the paper has β = 1 - α.
        scaling: λ of the result, which the publication does not have; 1 leaves it as it is.
    """

    def __init__(
        self, of: InstanceOf[BaseMerger], beta: float, alpha: float | None = None, scaling: float = 1.0
    ) -> None:
        super().__init__(of, scaling)
        self._beta, self._alpha = beta, alpha

    def notes(self, parameters: Weights) -> dict[str, Tensor]:
        """Σ_t τ_t, where α needs it."""
        if self._alpha is not None:
            return {}
        return {f"sum/{name}": torch.zeros_like(start) for name, start in parameters.items()}

    def note(self, notes: Mapping[str, Tensor], vectors: Iterable[tuple[str, Tensor]]) -> None:
        """Σ ← Σ + τ_t."""
        if self._alpha is None:
            for name, vector in vectors:
                notes[f"sum/{name}"].add_(vector)

    def change(self, whole: Whole) -> Callable[[Merged], Tensor]:
        """Times the scale of the parameter's block.

        Raises:
            ValueError: β is not 0, but no parameter's name contains a block's number, so that β would not count.
        """
        last = max((block for name in whole.names if (block := block_of(name)) is not None), default=None)
        if last is None and self._beta != 0:
            raise ValueError(f"LiNeS finds no blocks in the names of the parameters, {', '.join(whole.names[:3])}, …")
        alpha = _alpha(whole) if self._alpha is None else self._alpha
        slope = self._beta / max(last or 0, 1)
        return lambda merged: merged.vector * (alpha + slope * (block_of(merged.name) or 0))


def _alpha(whole: Whole) -> float:
    with one_thread():
        of_merged = math.fsum(_size(merged.vector) for merged in whole.parameters())
        of_sum = math.fsum(_size(total) for total in whole.notes.values())
    return of_sum / (whole.tasks * of_merged) if of_merged else 0.0


def _size(vector: Tensor) -> float:
    return float(torch.linalg.vector_norm(vector, 1, dtype=torch.float64))
