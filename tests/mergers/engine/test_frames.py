"""A traceback from a rule's `fold` is short: who reads it finds the way from `merge`."""

import sys
from collections.abc import Iterator
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from cl_bench.mergers import BaseMerger, Merger, TaskBlock

MOST = 4


class Deepest(Merger):
    """Notes how many functions of the project lie between `merge` and its `fold`."""

    state: ClassVar = {"last": None}
    frames = 0

    def fold(self, state: tuple[Tensor, ...], block: TaskBlock) -> None:
        frame, names = sys._getframe(), list[str]()
        while frame.f_code is not BaseMerger.merge.__code__:
            names.append(frame.f_code.co_name)
            assert frame.f_back is not None
            frame = frame.f_back
        self.frames = max(self.frames, len(names))
        state[0].copy_(block.vector)

    def combine(self, state: tuple[Tensor, ...], block: object) -> Tensor:
        return state[0]


class Looks(Deepest):
    def look(self, vector: object) -> float:
        return 0.0

    def look_back(self, state: object) -> float:
        return 0.0


@pytest.mark.parametrize("rule", [Deepest, Looks])
@pytest.mark.parametrize("given", [list, iter], ids=["a list", "a generator"])
def test_from_merge_to_fold_there_are_at_most_four_frames(rule: type[Deepest], given: type[Iterator]) -> None:
    models = [{"w": torch.full((3,), float(task))} for task in range(3)]
    merger = rule(1.0)
    assert merger.merge(models[0], given(models[1:]))["w"].tolist() == [2, 2, 2]
    assert 0 < merger.frames <= MOST
