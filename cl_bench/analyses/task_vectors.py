"""The task vectors of a stream, τ_t = θ_t - θ₀, block by block or each as one long vector."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from cl_bench.mergers.engine.blocks import flat, spans, working_dtype
from cl_bench.mergers.engine.running_statistics import is_running_statistic
from cl_bench.trainers import Weights


class TaskVectors:
    """The vectors of T tasks, computed from their weights when they are needed; these may be mapped from files.

    Args:
        pretrained: θ₀.
        finetuned: θ_t of each task.

    Attributes:
        elements: N, the number of elements of all floating-point parameters.
    """

    def __init__(self, pretrained: Weights, finetuned: Sequence[Weights]) -> None:
        self._pretrained, self._finetuned = pretrained, finetuned
        self._names = [
            name for name, tensor in pretrained.items() if tensor.is_floating_point() and not is_running_statistic(name)
        ]
        self.elements = sum(pretrained[name].numel() for name in self._names)

    def __len__(self) -> int:
        return len(self._finetuned)

    def blocks(self) -> Iterator[Tensor]:
        """Yields (T, n) blocks of all task vectors side by side, in the type that merging computes in."""
        for name in self._names:
            start = flat(self._pretrained[name])
            dtype = working_dtype(start)
            for span in spans(start.numel()):
                before = start[span].to(dtype)
                yield torch.stack([flat(weights[name])[span].to(dtype) - before for weights in self._finetuned])

    def whole(self, task: int) -> Tensor:
        """(N,) the task vector of one task, counted from 0."""
        finetuned = self._finetuned[task]
        pairs = [(flat(finetuned[name]), flat(self._pretrained[name])) for name in self._names]
        return torch.cat(
            [weights.to(working_dtype(start)) - start.to(working_dtype(start)) for weights, start in pairs]
        )

    def applied(self, vector: Tensor) -> dict[str, Tensor]:
        """The weights θ₀ + vector, for an (N,) vector; tensors that are no parameters are those of θ₀."""
        sizes = [self._pretrained[name].numel() for name in self._names]
        parts: Mapping[str, Tensor] = dict(zip(self._names, torch.split(vector, sizes), strict=True))
        return {
            name: (start + parts[name].view(start.shape)).to(start.dtype) if name in parts else start
            for name, start in self._pretrained.items()
        }


def thresholds(vector: Tensor, shares: Sequence[float]) -> list[float]:
    """For each share, the smallest magnitude among that share of the largest elements; infinite for the share 0.

    Args:
        vector: (N,).
        shares: From 0 to 1. A share of N elements is `int(share · N)` of them, as in TIES. Elements that tie with the
            smallest of them reach the threshold, too.
    """
    magnitudes = vector.abs().numpy()
    kept = [int(share * len(magnitudes) + 1e-9) for share in shares]  # 0.29 · 100 is a little less than 29
    places = sorted({len(magnitudes) - count for count in kept if count})
    ordered = np.partition(magnitudes, places) if places else magnitudes
    return [float(ordered[len(magnitudes) - count]) if count else float("inf") for count in kept]
