"""Fisher merging: models weighted by how much the Fisher information says that a parameter matters."""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers import State, TaskBlock, TaskVector
from cl_bench.mergers.engine.blocks import flat
from cl_bench.mergers.engine.running_model import RunningModel

_SERIAL = 2**14  # elements that torch adds up in one thread, so that their order does not depend on how many there are


class Fisher(RunningModel):
    """Per element, the mean of the models, weighted by the diagonal of their Fisher information.

        θ = Σ_t w_t θ_t / Σ_t w_t,  w_t = max(F_t, floor) / ‖F_t‖

    F_t is what the task's training leaves behind as ``fisher_diagonal``. ‖F_t‖ is its L2 norm over the whole model, so
    that no task counts more because its gradients are larger everywhere. Where a task has no F_t, it did not train the
    parameter, and F_t = 0. The mean is a running one, so that one model, or copies of one, come out bit for bit.

    Source: Matena and Raffel 2021, arXiv 2111.09832. Norm and floor are those of the authors' code. It also has a
    coefficient for each model, to be chosen on validation data; here all are equal.

    Differs from the publication in: the authors' code raises F to the floor for the first model alone, the target of a
    transfer. Here no model is the target, and all have the floor, as in that code with ``favor_target_model=False``.

    Args:
        scaling: λ of the merged task vector, which the publication does not have; 1 leaves it as it is.
        floor: Smallest F_t.
        normalize: Whether F_t is divided by its norm.

    Raises:
        ValueError: ``floor`` is not above 0.
    """

    state: ClassVar = {"mean": None, "weight": None}

    def __init__(
        self,
        scaling: float = 1.0,
        floor: Annotated[float, Field(gt=0)] = 1e-6,
        normalize: bool = True,
    ) -> None:
        super().__init__(scaling)
        if not floor > 0:
            raise ValueError(f"floor must be above 0, but is {floor}")
        self._floor, self._normalize = floor, normalize
        self.requires = frozenset({"fisher_diagonal"})

    def look(self, vector: TaskVector) -> float:
        """The norm by which the task's F is divided."""
        norm = _norm(vector.statistics.get("fisher_diagonal", {})) if self._normalize else 1.0
        return norm or 1.0

    def fold(self, state: State, block: TaskBlock) -> None:
        """Move the mean towards θ_t by the new model's share of all weights."""
        mean, weight = state
        of_task = block.statistics.get("fisher_diagonal", torch.zeros_like(weight))
        of_task = of_task.clamp(min=self._floor).div_(block.glance)
        weight.add_(of_task)
        mean.add_(block.weights.sub(mean).mul_(of_task.div_(weight)))


def _norm(tensors: Mapping[str, Tensor]) -> float:
    parts = (part for _, tensor in sorted(tensors.items()) for part in torch.split(flat(tensor), _SERIAL))
    return math.sqrt(math.fsum(float(part.double().square().sum()) for part in parts))
