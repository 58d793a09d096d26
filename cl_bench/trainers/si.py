"""Synaptic Intelligence."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.scenarios import Experience
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer, Weights
from cl_bench.trainers.base.unfinished import UnfinishedTask


class SI(TaskTrainer):
    """Holds every task back from changing the weights whose changes lowered the loss of earlier tasks.

    Every step of a task adds -g · Δθ to ω, by parameter: g is the gradient of the cross-entropy alone, before clipping,
    and Δθ is the step as the optimizer took it. After the task,

        Ω ← max(0, Ω + ω / ((θ - θ_start)² + damping))

    From the second task on, the loss is cross-entropy + strength · Σ Ω (θ - θ_previous)².

    ω lives within a task (`within_task`), Ω from task to task (`memory`): a run that is stopped goes on with both.

    Source: Zenke, Poole and Ganguli 2017, arXiv 1703.04200, and the authors' code. The maximum is in the code alone: ω
    is negative where steps raised the loss, and a negative Ω would push weights away from θ_previous.

    Differs from the publication in: tasks are optimized by AdamW with a schedule, and weight decay is part of Δθ.
    Nobody published c and ξ for CLIP; the defaults were chosen on validation images, see `conf/trainer/si.yaml`.

    Args:
        given: What every trainer is given.
        strength: c of the penalty.
        damping: ξ, in squared units of a weight; bounds Ω where a weight hardly moved.
        starts_from: The weights that a task starts from. The penalty always is around the previous ones.
    """

    memory: ClassVar[frozenset[str]] = frozenset({"importance"})

    def __init__(
        self,
        given: Given,
        strength: Annotated[float, Field(ge=0)] = 10.0,
        damping: Annotated[float, Field(gt=0)] = 1e-3,
        starts_from: StartsFrom = "previous",
    ) -> None:
        super().__init__(given, starts_from)
        self._strength, self._damping = strength, damping
        self._importance: Weights = {}  # Ω
        self._previous: Weights = {}  # θ_previous
        self._start: Weights = {}  # θ_start
        self._gradients: dict[str, Tensor] = {}  # g of the step that is being made

    def begin_task(
        self, weights: Weights, experience: Experience, steps: int, resumed: UnfinishedTask | None = None
    ) -> None:
        """Sets ω to zero, unless an earlier run has made some of the task's steps."""
        super().begin_task(weights, experience, steps, resumed)
        self._start = weights
        if not resumed:
            self.within_task = {name: torch.zeros_like(p) for name, p in self.trained().items()}

    def on_train_start(self) -> None:
        """Moves ω, Ω and θ_previous to the device; process groups would broadcast buffers at every step."""
        self.within_task = self._on_device(self.within_task)
        self._importance, self._previous = self._on_device(self._importance), self._on_device(self._previous)

    @torch.no_grad()
    def penalty(self) -> Tensor | float:
        """Returns strength · Σ Ω (θ - θ_previous)², without its gradient: see `on_after_backward`."""
        if not self._importance:
            return 0.0
        terms = [(self._importance[name] * self._moved(name, p).square()).sum() for name, p in self.trained().items()]
        return self._strength * torch.stack(terms).sum()

    @torch.no_grad()
    def on_after_backward(self) -> None:
        """Keeps the gradient of the cross-entropy for ω, and only then adds the penalty's."""
        for name, parameter in self.trained().items():
            if parameter.grad is None:
                continue  # the loss does not depend on it
            self._gradients[name] = parameter.grad.clone()
            if self._importance:
                moved = self._moved(name, parameter)
                parameter.grad.add_(2 * self._strength * self._importance[name] * moved)

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Makes a step, and adds to ω by how much it lowered the cross-entropy: -g · Δθ."""
        before = {name: p.detach().clone() for name, p in self.trained().items()}
        super().optimizer_step(*arguments, **options)
        for name, gradient in self._gradients.items():
            step = self.encoder.get_parameter(name).detach() - before[name]
            self.within_task[name] -= gradient * step
        self._gradients = {}  # the next step makes its own

    def for_later_tasks(self) -> dict[str, dict[str, Tensor]]:
        """Returns Ω after the task, by parameter: its shape, on the CPU."""
        after = {}
        for name, parameter in self.trained().items():
            moved = parameter.detach().cpu() - self._start[name].cpu()
            gained = self.within_task[name].cpu() / (moved.square() + self._damping)
            before = self._importance[name].cpu() if self._importance else 0.0
            after[name] = (before + gained).clamp(min=0)
        return {"importance": after}

    def remember(self, experience: Experience, weights: Weights, statistics: Mapping[str, Weights]) -> None:
        """Takes Ω, and the weights that the next task is held to."""
        self._importance = statistics["importance"]
        self._previous = {name: weights[name] for name in self._importance}

    def _moved(self, name: str, parameter: Tensor) -> Tensor:
        return parameter - self._previous[name]

    def _on_device(self, tensors: Weights) -> dict[str, Tensor]:
        return {name: tensor.to(self.device) for name, tensor in tensors.items()}
