"""The task vectors of a stream, τ_t = θ_t - θ₀, walked through block by block or seen as one long vector."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from cl_bench.mergers.engine.blocks import flat, spans, working_dtype
from cl_bench.mergers.engine.running_statistics import is_running_statistic
from cl_bench.trainers import Weights


class TaskVectors:
    """Those of T tasks, read from their weights (which may be mapped from files) when they are needed.

    Args:
        pretrained: θ₀.
        finetuned: θ_t of each task.

    Attributes:
        elements: N, of the floating-point parameters together.
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
        """(T, n) pieces of all task vectors side by side, in the type that merging computes in."""
        for name in self._names:
            start = flat(self._pretrained[name])
            dtype = working_dtype(start)
            for span in spans(start.numel()):
                yield torch.stack([flat(own[name])[span].to(dtype) - start[span].to(dtype) for own in self._finetuned])

    def whole(self, task: int) -> Tensor:
        """(N,) the task vector of one task, from 0."""
        own = self._finetuned[task]
        pairs = [(flat(own[name]), flat(self._pretrained[name])) for name in self._names]
        return torch.cat(
            [weights.to(working_dtype(start)) - start.to(working_dtype(start)) for weights, start in pairs]
        )

    def applied(self, vector: Tensor) -> dict[str, Tensor]:
        """The weights θ₀ + vector, for an (N,) vector; what is no parameter as in θ₀."""
        sizes = [self._pretrained[name].numel() for name in self._names]
        parts: Mapping[str, Tensor] = dict(zip(self._names, vector.split(sizes), strict=True))
        return {
            name: (start + parts[name].view(start.shape)).to(start.dtype) if name in parts else start
            for name, start in self._pretrained.items()
        }


def thresholds(vector: Tensor, shares: Sequence[float]) -> list[float]:
    """The magnitude from which on an element is among the given share of the largest; infinite for the share 0.

    Args:
        vector: (N,).
        shares: From 0 to 1; of N elements, `int(share · N)` are meant, as by TIES. All that tie with the smallest of
            them are among them.
    """
    magnitudes = vector.abs().numpy()
    kept = [int(share * len(magnitudes) + 1e-9) for share in shares]  # 0.29 · 100 is a little less than 29
    places = sorted({len(magnitudes) - count for count in kept if count})
    ordered = np.partition(magnitudes, places) if places else magnitudes
    return [float(ordered[len(magnitudes) - count]) if count else float("inf") for count in kept]
