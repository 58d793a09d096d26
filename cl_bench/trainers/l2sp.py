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
    """Pulls every task towards an anchor: the loss is cross-entropy + strength / 2 · ‖θ - θ_anchor‖².

    Source: Li, Grandvalet and Davoine 2018, arXiv 1802.01483.

    Differs from the publication in: there, the penalty replaces the optimizer's weight decay, and the new head decays
    by itself. Here the head is frozen, and the optimizer decays weights as it is set to
    (`optim.optimizer.weight_decay=0` switches that off). The publication uses SGD with momentum. An adaptive optimizer
    scales the penalty's gradient together with that of the cross-entropy; parameters that have no other gradient
    (biases of attention keys) then jump about the anchor by steps of the learning rate.

    Args:
        given: What every trainer is given.
        strength: α of the penalty. The publication chooses it on validation data for each data set; the default is
            that of the command that its authors released.
        anchor: `pretrained` (θ₀, as published) or `previous` (the weights after the task before, θ₀ for the first).
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
        """Moves the anchor to the device; process groups would broadcast a buffer at every step."""
        self._anchor = {name: tensor.to(self.device) for name, tensor in self._anchor.items()}

    def penalty(self) -> Tensor:
        """Returns strength / 2 · ‖θ - θ_anchor‖²."""
        terms = [(p - self._anchor[name]).square().sum() for name, p in self.trained().items()]
        return self._strength / 2 * torch.stack(terms).sum()

    def remember(self, experience: Experience, weights: Weights, statistics: Mapping[str, Weights]) -> None:
        """Moves the anchor to the task's weights, where it is that of the previous task."""
        if self._moves:
            self._anchor = weights
