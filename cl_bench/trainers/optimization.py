"""How a task is optimized: optimizer, schedule, batch size and epochs, afresh for every task."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn


@dataclass(frozen=True)
class Optimization:
    """Settings of one task's training.

    The learning rate rises linearly, lr · (step + 1) / warm-up, and then follows half a cosine to 0 at the task's
    end. The published warm-up of 500 steps is longer than most tasks, which therefore never reach `lr`.

    Args:
        optimizer: Called with (parameters, lr=…).
        lr: Learning rate after the warm-up.
        epochs: Passes over the task's training images; None: as many as the scenario says for each task.
        batch_size: Images per step, on all devices together.
        warmup_steps: Length of the warm-up.
        warmup_ratio: The same as a share of the task's steps; replaces `warmup_steps`.
        gradient_clip: Largest norm of the gradient; None: no limit.
    """

    optimizer: Callable[..., torch.optim.Optimizer]
    lr: Annotated[float, Field(ge=0)]
    epochs: Annotated[int, Field(ge=1)] | None
    batch_size: Annotated[int, Field(ge=1)]
    warmup_steps: Annotated[int, Field(ge=0)] = 500
    warmup_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    gradient_clip: Annotated[float, Field(gt=0)] | None = 1.0

    def build(
        self, parameters: Iterable[nn.Parameter], steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """Optimizer and per-step schedule for a task of `steps` steps."""
        optimizer = self.optimizer(parameters, lr=self.lr)
        warmup = self.warmup(steps)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step, warmup, steps))

    def warmup(self, steps: int) -> int:
        """Warm-up steps of a task of `steps` steps; may be more than the task has."""
        return self.warmup_steps if self.warmup_ratio is None else round(self.warmup_ratio * steps)


def factor(step: int, warmup: int, steps: int) -> float:
    """Share of the learning rate that is used in step `step` (from 0)."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
