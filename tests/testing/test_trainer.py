"""A trainer that breaks a promise is told which one."""

from typing import ClassVar

import pytest
import torch

from cl_bench.testing import check_trainer
from cl_bench.trainers import TaskTrainer


class Tether(TaskTrainer):
    """Has state within a task and from task to task."""

    memory: ClassVar = frozenset({"average"})

    def __init__(self, given):
        super().__init__(given)
        self.anchor = self.weights()

    def penalty(self):
        for name, parameter in self.trained().items():
            average = self.within_task.get(name, parameter.detach())
            self.within_task[name] = average.lerp(parameter.detach(), 0.1)
        return sum((p - self.within_task[n] - self.anchor[n]).square().sum() for n, p in self.trained().items())

    def for_later_tasks(self):
        return {"average": {name: tensor.clone() for name, tensor in self.within_task.items()}}

    def remember(self, experience, weights, statistics):
        self.anchor = statistics["average"]


class ForgetsWithinTask(Tether):
    def penalty(self):
        self.mine, self.within_task = self.within_task or getattr(self, "mine", {}), {}
        self.within_task = self.mine
        loss = super().penalty()
        self.mine, self.within_task = self.within_task, {}
        return loss

    def end_task(self):
        self.within_task, self.mine = self.mine, {}
        return super().end_task()


class RemembersTooSoon(TaskTrainer):
    tasks = 0

    def penalty(self):
        return self.tasks * sum(p.square().sum() for p in self.trained().values())

    def end_task(self):
        self.tasks += 1
        return super().end_task()


class SaysNothingOfItsMemory(Tether):
    memory: ClassVar = frozenset()


class SharesItsWeights(TaskTrainer):
    def weights(self):
        return dict(self.encoder.state_dict())


class DrawsUnseeded(TaskTrainer):
    def penalty(self):
        generator = torch.Generator()
        generator.seed()
        return torch.rand((), generator=generator) * self.encoder.proj.square().sum()


class ChangesWhatIsFrozen(TaskTrainer):
    def load(self, weights):
        super().load(weights)
        self.encoder.proj.requires_grad_(False)

    def on_train_epoch_end(self):
        self.encoder.proj.data += 1


class EndsWithWeightsAlone(TaskTrainer):
    def end_task(self):
        return self.weights()


class TrainsInEndTask(TaskTrainer):
    def end_task(self):
        if self.keep:
            self.encoder.proj.data += 1
        return super().end_task()


def test_what_keeps_its_promises_passes():
    check_trainer(Tether)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda given: torch.nn.Linear(2, 2), "Linear is no TaskTrainer; derive it from that class"),
        (ForgetsWithinTask, "stopped after step 7 .* belongs in `within_task`"),
        (RemembersTooSoon, "finds the first tasks in the store .* for_later_tasks and remember"),
        (SaysNothingOfItsMemory, r"returns the statistics \['average'\], not \[\]"),
        (SharesItsWeights, r"a copy on the CPU: tensor\.detach\(\)\.cpu\(\)\.clone\(\)"),
        (DrawsUnseeded, "a second time, .* draw from torch's global generator"),
        (ChangesWhatIsFrozen, "Training changes what requires no gradient"),
        (EndsWithWeightsAlone, r"call super\(\)\.end_task\(\)"),
        (TrainsInEndTask, "let end_task change nothing"),
    ],
)
def test_what_breaks_one_is_told(make, message):
    with pytest.raises(AssertionError, match=message):
        check_trainer(make)
