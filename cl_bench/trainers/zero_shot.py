"""No training."""

from typing import ClassVar

from torch import Tensor

from cl_bench.scenarios import Experience, Scenario
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer, Weights


class ZeroShot(TaskTrainer):
    """Learns nothing: the pre-trained weights θ₀ with the head.

    With a head of words there is no task. With class means (`head=prototypes`, SimpleCIL) tasks bring classes, though
    nothing is trained. A task's weights then are the (C, D) head under the name `head`, as `head_only` has it: so no
    copy of θ₀ is stored for each task.
    """

    trains: ClassVar[bool] = False

    def __init__(self, given: Given, starts_from: StartsFrom = "previous") -> None:
        super().__init__(given, starts_from)
        self._has_tasks = given.head_arrives

    def experiences(self, scenario: Scenario) -> list[Experience]:
        """Returns none where all classes are there from the beginning."""
        return super().experiences(scenario) if self._has_tasks else []

    def load(self, weights: Weights) -> None:
        """Does nothing: all tasks have the same weights."""

    def weights(self) -> dict[str, Tensor]:
        """Copies the head to the CPU; the encoder's weights where there is no task."""
        return {"head": self.head.cpu().clone()} if self._has_tasks else super().weights()
