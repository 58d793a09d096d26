"""What strangers write: a merger, a trainer, a scenario and others that are right, and many that are not."""

from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from cl_bench.backbones import TinyClip
from cl_bench.datasets.digits import load as digits
from cl_bench.images.images import ImageDataset, Images
from cl_bench.mergers import MagMax, Merger, StackMerger
from cl_bench.scenarios import ClassIncremental, DomainIncremental, Scenario
from cl_bench.trainers import EWC, Given, Sequential, TaskTrainer


class Median(StackMerger):
    def __init__(self, scaling: float = 0.9, window: int = 3):
        super().__init__(scaling)
        self.window = window

    def combine_stack(self, stack):
        return stack.vectors.median(dim=0).values


class NeedsScaling(Median):
    def __init__(self, scaling: float):
        super().__init__(scaling)


class Heir(MagMax):
    """Has its parent's settings."""


class ChangedHeir(MagMax):
    def __init__(self, scaling: float = 0.7):
        super().__init__(scaling)


class HeirOfEWC(EWC):
    def __init__(self, given: Given, decay: float = 0.25, **settings: Any):
        super().__init__(given, decay=decay, **settings)


class Plain(TaskTrainer):
    """Has the defaults of all trainers."""


class NoPenalty(TaskTrainer):
    def penalty(self):
        sum(p.sum() for p in self.trained().values())


class FailsInTheLoss(TaskTrainer):
    def task_loss(self, images, batch):
        return self.nothing_of_this_name


class FailsToBegin(TaskTrainer):
    def begin_task(self, weights, experience, steps, resumed=None):
        raise KeyError("begin")


class Tasks(Scenario):
    def __init__(self, dataset: ImageDataset, pairs: int = 2):
        made = ClassIncremental(dataset, pairs)
        super().__init__([dataset], list(made.train_stream), list(made.test_stream))


# --- and what is wrong


class NoMerger:
    def __init__(self, scaling: float = 1.0):
        self.scaling = scaling


class WithoutSuper(Median):
    def __init__(self, window: int = 3):
        self.window = window


class WithoutFold(Merger):
    state: ClassVar = {"sum": None}

    def __init__(self, scaling: float = 1.0):
        super().__init__(scaling)

    def combine(self, state, block):
        return state[0]


class OddCombine(Merger):
    state: ClassVar = {"sum": None}

    def __init__(self, scaling: float = 1.0):
        super().__init__(scaling)

    def fold(self, state, block):
        state[0].add_(block.vector)

    def combine(self, state):
        return state[0]


class Folding(Merger):
    state: ClassVar = {"sum": None}

    def __init__(self, scaling: float = 1.0):
        super().__init__(scaling)

    def fold(self, state, block):
        state[0].add_(block.vector)

    def combine(self, state, block):
        return state[0]


class ReturnsNone(Folding):
    def combine(self, state, block):
        state[0].mul(0.5)


class ReturnsNaN(Folding):
    def combine(self, state, block):
        return state[0] / 0


class ReturnsOneNumber(Median):
    def combine_stack(self, stack):
        return stack.vectors.median()


class ReturnsAllTasks(Median):
    def combine_stack(self, stack):
        return stack.vectors


class FailsOnMatrices(Median):
    def combine_stack(self, stack):
        return stack.vectors[0] / (1 // (0 if stack.pretrained.dim() == 2 else 1))


class DividesByZero(Median):
    def combine_stack(self, stack):
        return stack.vectors[0] / (1 // (len(stack.weights) - 2))


class ChangesPretrained(Folding):
    def combine(self, state, block):
        return block.pretrained.add_(state[0])


class FoldsIntoNothing(Folding):
    def fold(self, state, block):
        return (state[0] + block.vector,)


class CountsTasks(Median):
    """Remembers what it has seen, which a trial must not be part of."""

    def __init__(self, scaling: float = 0.9):
        super().__init__(scaling)
        self.seen = 0

    def look_over(self, stacks):
        self.seen += 1
        return {}


class NoTrainer:
    def __init__(self, encoder, head, transform, optimization, compile=False, keep=frozenset()):
        pass


class TakesNothing(Sequential):
    def __init__(self, share=1):
        super().__init__(share)


class TakesPartsOneByOne(Sequential):
    def __init__(self, encoder, head, *arguments, **options):
        super().__init__(encoder, head, *arguments, **options)


class TrainerWithoutSuper(Sequential):
    def __init__(self, given):
        self.layer = nn.Linear(2, 2)


class OddBegin(Sequential):
    def begin_task(self, weights):
        super().begin_task(weights)


class NoLoss(Sequential):
    def training_step(self, batch, batch_idx):
        super().training_step(batch, batch_idx)


class ForgetsTheRows(Sequential):
    def logits(self, features):
        return functional.linear(functional.normalize(features, dim=1), self.head)


class OptimizesTheEncoder(Sequential):
    def configure_optimizers(self):
        return torch.optim.SGD(self.encoder.parameters(), lr=0.1)


class EndsWithWeightsAlone(Sequential):
    def end_task(self):
        return self.weights()


class FailsWhenMade(Sequential):
    def __init__(self, given):
        super().__init__(given)
        self.share = 1 / 0


class ScenarioWithoutSuper(Tasks):
    def __init__(self, dataset: ImageDataset):
        pass


class UnequalStreams(Scenario):
    def __init__(self, dataset: ImageDataset):
        made = ClassIncremental(dataset, 3)
        super().__init__([dataset], list(made.train_stream), list(made.test_stream)[:2])


class NarrowMasks(Scenario):
    def __init__(self, dataset: ImageDataset):
        made = ClassIncremental(dataset, 3)
        for task in made.test_stream:
            task.class_masks = task.class_masks[:, :4]
        super().__init__([dataset], list(made.train_stream), list(made.test_stream))


class WrongWidth(TinyClip):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())


class BrokenEncoder(TinyClip):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(3, 3)


class PixelByPixel(TinyClip):
    """Its encoder works, but not in `vmap`, which knows no memory formats."""

    def __init__(self):
        super().__init__()
        self.encoder.register_forward_pre_hook(lambda _, given: given[0].contiguous(memory_format=torch.channels_last))


def good_data(test: int = 90):
    return digits(test=test)


def a_list():
    return [1, 2, 3]


def list_of_labels():
    images = Images(np.zeros((2, 8, 8, 3), np.uint8), [0, 1])
    return ImageDataset("mine", ("a", "b"), ("a {}.",), images, images)


def list_of_images():
    images = Images([np.zeros((8, 8, 3), np.uint8)] * 2, np.array([0, 1]))
    return ImageDataset("mine", ("a", "b"), ("a {}.",), images, images)


def missing_file():
    return np.load("nowhere.npy")


class NoOptimizer:
    def __init__(self, parameters, lr):
        pass


class WithoutRate(torch.optim.SGD):
    def __init__(self, parameters):
        super().__init__(parameters, 0.1)


class OwnDomains(DomainIncremental):
    """Domains in a class of one's own."""
