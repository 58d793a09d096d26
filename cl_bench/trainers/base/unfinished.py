"""How far a task was learned when a run was stopped, as plain tensors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

_WEIGHTS, _WITHIN_TASK, _OPTIMIZER = "weights/", "within_task/", "optimizer/"


@dataclass(frozen=True)
class UnfinishedTask:
    """The state of a task's training after some of its steps: what a checkpoint keeps.

    Nothing else has to be kept: the order of images, their crops and all other random numbers follow from seed, task
    and step, and the learning rate from the step.

    Attributes:
        step: Optimizer steps that were made.
        seconds: What they took.
        weights: What is trained, as the trainer reads it again.
        within_task: What the trainer keeps within a task, see `TaskTrainer`.
        state: The optimizer's state: `<number of the parameter>/<name>`.
    """

    step: int
    seconds: float
    weights: dict[str, Tensor]
    within_task: dict[str, Tensor]
    state: dict[str, Tensor]

    @classmethod
    def after(
        cls,
        step: int,
        seconds: float,
        weights: Mapping[str, Tensor],
        within_task: Mapping[str, Tensor],
        optimizer: torch.optim.Optimizer,
    ) -> "UnfinishedTask":
        """Copies the state after `step` steps to the CPU."""
        return cls(step, seconds, _on_cpu(weights), _on_cpu(within_task), dict(_flat(optimizer)))

    def tensors(self) -> dict[str, Tensor]:
        """Returns all of it under one name each, to be written."""
        return {
            "step": torch.tensor(self.step),
            "seconds": torch.tensor(self.seconds, dtype=torch.float64),
            **{_WEIGHTS + name: tensor for name, tensor in self.weights.items()},
            **{_WITHIN_TASK + name: tensor for name, tensor in self.within_task.items()},
            **{_OPTIMIZER + name: tensor for name, tensor in self.state.items()},
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "UnfinishedTask":
        """Reads what `tensors` returned."""
        step, seconds = int(tensors["step"]), float(tensors["seconds"])
        return cls(step, seconds, *(_below(prefix, tensors) for prefix in (_WEIGHTS, _WITHIN_TASK, _OPTIMIZER)))

    def restore(self, optimizer: torch.optim.Optimizer) -> None:
        """Gives a fresh optimizer the state that the other one had."""
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in self.state.items():
            number, _, key = name.partition("/")
            state.setdefault(int(number), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}


def _flat(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for number, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            if value is not None:
                yield f"{number}/{key}", value.detach().cpu() if isinstance(value, Tensor) else torch.tensor(value)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
