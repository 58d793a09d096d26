"""How far a task was learned when a run was stopped: weights and optimizer state, as plain tensors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

_WEIGHTS, _OPTIMIZER = "weights/", "optimizer/"


@dataclass(frozen=True)
class Progress:
    """The state of a task's training after some of its steps.

    Nothing else has to be kept: the order of images, their crops and all other random numbers follow from seed, task
    and step, and the learning rate from the step.

    Attributes:
        step: Optimizer steps that were made.
        seconds: What they took.
        weights: What is trained, as the trainer reads it again.
        state: The optimizer's state: `<number of the parameter>/<name>`.
    """

    step: int
    seconds: float
    weights: dict[str, Tensor]
    state: dict[str, Tensor]

    @classmethod
    def of(
        cls, step: int, seconds: float, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
    ) -> "Progress":
        """What has to be kept after `step` steps, on the CPU."""
        kept = {name: tensor.detach().cpu() for name, tensor in weights.items()}
        return cls(step, seconds, kept, dict(_flat(optimizer)))

    def tensors(self) -> dict[str, Tensor]:
        """All of it under one name each, to be written."""
        named = {_WEIGHTS + name: tensor for name, tensor in self.weights.items()}
        numbers = {"step": torch.tensor(self.step), "seconds": torch.tensor(self.seconds, dtype=torch.float64)}
        return {**numbers, **named, **{_OPTIMIZER + k: v for k, v in self.state.items()}}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Progress":
        """From what `tensors` gave."""
        step, seconds = int(tensors["step"]), float(tensors["seconds"])
        return cls(step, seconds, _below(_WEIGHTS, tensors), _below(_OPTIMIZER, tensors))

    def restore(self, optimizer: torch.optim.Optimizer) -> None:
        """Gives a fresh optimizer the state that the other one had."""
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in self.state.items():
            number, _, key = name.partition("/")
            state.setdefault(int(number), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _flat(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for number, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            if value is not None:
                yield f"{number}/{key}", value.detach().cpu() if isinstance(value, Tensor) else torch.tensor(value)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
