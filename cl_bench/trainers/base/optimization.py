"""How a task is optimized: optimizer, schedule, batch size and epochs, afresh for every task."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from cl_bench.runtime import user_code
from cl_bench.runtime.errors import UserError
from cl_bench.trainers.base import layers


@dataclass(frozen=True)
class Optimization:
    """Says how one task is optimized.

    The learning rate rises linearly, lr · (step + 1) / warm-up, and then falls along half a cosine to 0 at the end of
    the task. The published warm-up of 500 steps is longer than most tasks, which therefore never reach `lr`.

    Args:
        optimizer: Is called with (parameters, lr=…).
        lr: Learning rate after the warm-up.
        epochs: Passes over the task's training images; None: as many as the scenario says for each task.
        batch_size: Images per step, on all devices together.
        warmup_steps: Length of the warm-up, in steps.
        warmup_ratio: Length of the warm-up as a share of the task's steps; replaces `warmup_steps`.
        gradient_clip: Largest norm of the gradient; None: no limit.
        label_smoothing: Share of each label that is spread evenly over the classes that compete for the image.
        layer_decay: Factor by which the learning rate falls from each block of the encoder to the one before it.

    Raises:
        UserError: The optimizer does not take its settings.
    """

    optimizer: Callable[..., torch.optim.Optimizer]
    lr: Annotated[float, Field(ge=0)]
    epochs: Annotated[int, Field(ge=1)] | None
    batch_size: Annotated[int, Field(ge=1)]
    warmup_steps: Annotated[int, Field(ge=0)] = 500
    warmup_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    gradient_clip: Annotated[float, Field(gt=0)] | None = 1.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None

    def __post_init__(self) -> None:
        """Tries the optimizer on one number: optimizers refuse settings only when they are made, or step."""
        number = nn.Parameter(torch.zeros(1))
        number.grad = torch.zeros(1)
        try:
            optimizer = self.optimizer([number], lr=self.lr)
            if isinstance(optimizer, torch.optim.Optimizer):
                optimizer.step(lambda: 0.0)
        except Exception as error:
            raise UserError(
                f"optim.optimizer: {_name(self.optimizer)} does not take these settings: {user_code.describe(error)}; "
                "debug=true shows the traceback."
            ) from error
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise UserError(f"optim.optimizer: {_name(self.optimizer)} is no optimizer of torch.")

    def build(
        self, trained: Mapping[str, nn.Parameter], steps: int, done: int = 0, head: dict[str, Any] | None = None
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """Returns optimizer and per-step schedule.

        Args:
            trained: The encoder's parameters.
            steps: Of the task.
            done: How many of them were made before.
            head: A group of parameters beside them, with a learning rate of its own.
        """
        if self.layer_decay is None:
            optimizer = self.optimizer(trained.values(), lr=self.lr)
        else:
            optimizer = self.optimizer(layers.groups(trained, self.lr, self.layer_decay), lr=self.lr)
        if head is not None:
            optimizer.add_param_group(head)
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]  # the schedule reads this where it does not begin at 0
        warmup = self.warmup(steps)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step, warmup, steps), done - 1)
        return optimizer, schedule

    def warmup(self, steps: int) -> int:
        """Returns the warm-up steps of a task of `steps` steps; they may be more than the task has."""
        return self.warmup_steps if self.warmup_ratio is None else round(self.warmup_ratio * steps)


def _name(optimizer: Callable[..., torch.optim.Optimizer]) -> str:
    called = getattr(optimizer, "func", optimizer)
    return f"{called.__module__}.{called.__qualname__}"


def factor(step: int, warmup: int, steps: int) -> float:
    """Returns the share of the learning rate that step `step` (from 0) uses."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
