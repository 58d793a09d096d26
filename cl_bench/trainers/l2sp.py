"""L2-SP: weight decay towards a starting point."""

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.scenarios import Experience
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer, Weights


class L2SP(TaskTrainer):
    """Every task is held back from going far: cross-entropy + strength / 2 · ‖θ - θ_anchor‖², from the first task on.

    Source: Li, Grandvalet and Davoine 2018, arXiv 1802.01483.

    Differs from the publication in: there, the penalty takes the place of the decay towards 0, and the new head has a
    decay of its own. Here the head is frozen, and the optimizer's decay stays as it is set
    (`optim.optimizer.weight_decay=0` switches it off). With an adaptive optimizer, the penalty's gradient is scaled as
    the loss's is, and parameters that have no other gradient (biases of attention keys) jump about the anchor by steps
    of the learning rate; the publication uses SGD with momentum.

    Args:
        given: What every trainer is given.
        strength: α of the penalty. The publication chooses it on validation data, data set by data set; the default
            is what its authors' released command uses.
        anchor: `pretrained` (θ₀, as published) or `previous` (the weights after the task before; θ₀ for the first).
        starts_from: The weights that a task starts from.
    """

    def __init__(
        self,
        given: Given,
        strength: Annotated[float, Field(ge=0)] = 0.1,
        anchor: Literal["pretrained", "previous"] = "pretrained",
        starts_from: StartsFrom = "previous",
    ) -> None:
        super().__init__(given, starts_from)
        self._strength, self._moves = strength, anchor == "previous"
        self._anchor: Weights = self.weights()

    def on_train_start(self) -> None:
        """Brings the anchor to the device. As buffers, it would be broadcast at every step."""
        self._anchor = {name: tensor.to(self.device) for name, tensor in self._anchor.items()}

    def penalty(self) -> Tensor:
        """strength / 2 · ‖θ - θ_anchor‖²."""
        terms = [(p - self._anchor[name]).square().sum() for name, p in self.trained().items()]
        return self._strength / 2 * torch.stack(terms).sum()

    def remember(self, experience: Experience, weights: Weights, statistics: Mapping[str, Weights]) -> None:
        """Moves the anchor, if it is one that moves."""
        if self._moves:
            self._anchor = weights
