"""What the checks of a merger assert, and how a failure is told."""

from collections.abc import Callable

import torch

from cl_bench.mergers import BaseMerger
from cl_bench.testing.made_up import Weights


def assert_constructed(merger: BaseMerger) -> None:
    """Asserts that a merger's constructor has called that of its base class."""
    what = f"{type(merger).__name__}.__init__ sets no scaling; call super().__init__(scaling) in it"
    assert hasattr(merger, "scaling"), what


def kinds(model: Weights) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Shape and type of each tensor."""
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.items()}


def assert_same(one: Weights, other: Weights, what: str) -> None:
    """Asserts that two models have the same names, types and bits; `what` says what else is wrong."""
    assert one.keys() == other.keys(), f"{what} (only one of them has {sorted(one.keys() ^ other.keys())})."
    for name, tensor in one.items():
        same = tensor.dtype == other[name].dtype and torch.equal(tensor, other[name])
        assert same, f"{what} ({name!r} is {tensor}, not {other[name]})."


def assert_refused(why: str, named: str, merge: Callable[..., object], *arguments: object) -> None:
    """Asserts that merging is refused by an error that names a parameter."""
    try:
        merge(*arguments)
    except ValueError as error:
        assert named in str(error), f"The refusal of a model that {why} does not name {named!r}: {error}"
    else:
        raise AssertionError(f"A model that {why} is merged; raise a ValueError that names {named!r}")
