"""A merger that breaks a promise is told which one."""

from typing import ClassVar

import pytest
import torch

from cl_bench.mergers import Merger, StackMerger
from cl_bench.testing import check_merger


class Sum(Merger):
    state: ClassVar = {"sum": None}

    def __init__(self, scaling: float = 0.3) -> None:
        super().__init__(scaling)

    def fold(self, state, block):
        state[0].add_(block.vector)

    def combine(self, state, block):
        return state[0]


class Median(StackMerger):
    def __init__(self) -> None:
        super().__init__(0.9)

    def combine_stack(self, stack):
        return stack.vectors.median(dim=0).values


class ChangesItsInput(Median):
    def combine_stack(self, stack):
        return stack.weights[0].float().add_(1) if stack.name == "vector" else stack.weights[0].sub_(1)


class ChangesItsStatistics(Sum):
    requires = frozenset({"importance"})

    def fold(self, state, block):
        state[0].add_(block.statistics["importance"].mul_(block.vector))


class CountsCalls(Sum):
    calls = 0

    def combine(self, state, block):
        self.calls += 1
        return state[0] * self.calls


class RemembersTheTasks(Sum):
    def __init__(self) -> None:
        super().__init__()
        self.vectors = {}

    def fold(self, state, block):
        self.vectors[block.shape, block.task] = block.vector.clone()
        state[0].add_(self.vectors.get((block.shape, block.task - 1), block.vector))


class LooksAtTheBlock(Sum):
    def combine(self, state, block):
        return state[0] / state[0].abs().max().clamp(min=1)


class DrawsAnew(Sum):
    def fold(self, state, block):
        state[0].add_(torch.rand_like(block.vector))


class HasItsOwnScaling(Sum):
    def apply(self, state, block):
        return block.pretrained + state[0]


class MergesAnything(Sum):
    def merge(self, pretrained, finetuned, *arguments, **options):
        return {name: tensor.clone() for name, tensor in pretrained.items()}


class ForgetsItsBase(Sum):
    def __init__(self) -> None:
        self.share = 0.5


class Rebinds(Sum):
    def fold(self, state, block):
        (total,) = state
        total = total + block.vector


class AddsThePretrained(Median):
    def combine_stack(self, stack):
        return stack.pretrained + super().combine_stack(stack)


class Last(Sum):
    def fold(self, state, block):
        state[0].copy_(block.vector)


@pytest.mark.parametrize("merger", [Sum, Median], ids=lambda merger: merger.__name__)
def test_what_keeps_its_promises_passes(merger):
    check_merger(merger, any_order=True)
    check_merger(Last)


@pytest.mark.parametrize(
    ("merger", "message"),
    [
        (ChangesItsInput, "changes the weights that it is given; change your own copies"),
        (ChangesItsStatistics, "changes importance, which it is given; change your own copies"),
        (CountsCalls, "keep nothing on self"),
        (RemembersTheTasks, "resumed gives other bits; keep all that it needs in the state"),
        (LooksAtTheBlock, "In blocks of 7 torch.float16 elements .* set whole_parameters = True"),
        (DrawsAnew, "other bits the second time; .* draw from block.generator"),
        (HasItsOwnScaling, "With scaling=0 .* leave λ to Merger.apply"),
        (MergesAnything, "other bits than merging them one by one"),
        (ForgetsItsBase, r"sets no scaling; call super\(\).__init__\(scaling\)"),
        (Rebinds, "leave the pre-trained model as it is; fold has to change the state in place"),
        (AddsThePretrained, "Tasks that changed nothing move 'weight' .* return the merged task vector"),
    ],
)
def test_what_breaks_one_is_told(merger, message):
    with pytest.raises(AssertionError, match=message):
        check_merger(merger)


def test_an_order_that_matters_is_told():
    with pytest.raises(AssertionError, match="order of the tasks changes the result"):
        check_merger(Last, any_order=True)
