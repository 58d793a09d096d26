"""Rescale: the merged task vector gets the length that the tasks' have."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import torch
from pydantic import InstanceOf
from torch import Tensor

from cl_bench.mergers import Around, BaseMerger, Merged, Weights, Whole
from cl_bench.mergers.numerics.one_thread import one_thread


class Rescale(Around):
    """τ ← τ · mean_t ‖τ_t‖ / ‖τ‖, whatever method has merged τ; 0 stays 0.

    A merged task vector is too short where tasks cancel each other out, and too long where they are summed. Here its
    direction is the inner method's and its (Euclidean) length the tasks', so the inner method's λ does not count.

    Beside the inner method's, the memory is one number, and one model while merging; or one number per parameter.

    Source: the scaling of Tang et al., "Merging Models on the Fly Without Retraining" (OPCM), NeurIPS 2025,
    arXiv 2501.09522. There it belongs to OPCM's projections. To put it around any method is this project's idea, and
    so is ``per="parameter"``.

    Args:
        of: The inner method.
        per: What has the tasks' length: the whole "model", as published, or each "parameter" by itself.
        scaling: λ, by which the result is multiplied.

    Raises:
        ValueError: ``per`` is unknown.
    """

    def __init__(
        self, of: InstanceOf[BaseMerger], per: Literal["model", "parameter"] = "model", scaling: float = 1.0
    ) -> None:
        super().__init__(of, scaling)
        if per not in ("model", "parameter"):
            raise ValueError(f"per must be 'model' or 'parameter', not {per!r}")
        self._per = per

    def notes(self, parameters: Weights) -> dict[str, Tensor]:
        """Sums of lengths: that of the model, or one of each parameter."""
        names = ["length"] if self._per == "model" else [f"length/{name}" for name in parameters]
        return {name: torch.zeros((), dtype=torch.float64) for name in names}

    def note(self, notes: Mapping[str, Tensor], vectors: Iterable[tuple[str, Tensor]]) -> None:
        """Add the task's lengths."""
        lengths = {name: _length(vector) for name, vector in vectors}
        if self._per == "model":
            notes["length"].add_(math.hypot(*sorted(lengths.values())))
            return
        for name, length in lengths.items():
            notes[f"length/{name}"].add_(length)

    def change(self, whole: Whole) -> Callable[[Merged], Tensor]:
        """Times one factor, or one of each parameter."""
        if self._per == "model":
            length = math.hypot(*sorted(_length(merged.vector) for merged in whole.parameters()))
            factor = _ratio(whole.notes["length"], whole.tasks, length)
            return lambda merged: merged.vector * factor

        def change(merged: Merged) -> Tensor:
            noted = whole.notes[f"length/{merged.name}"]
            return merged.vector * _ratio(noted, whole.tasks, _length(merged.vector))

        return change


def _ratio(total: Tensor, tasks: int, length: float) -> float:
    return total.item() / tasks / length if length else 0.0


def _length(vector: Tensor) -> float:
    with one_thread():
        return float(torch.linalg.vector_norm(vector, dtype=torch.float64))
