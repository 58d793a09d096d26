"""A merge of nothing in particular, which shows what is wrong with a method before there is anything to merge."""

import torch
from torch import Tensor

from cl_bench.mergers.engine.base import BaseMerger
from cl_bench.mergers.engine.blocks import Weights
from cl_bench.mergers.engine.checks import check_values
from cl_bench.mergers.engine.running_merge import RunningMerge
from cl_bench.mergers.engine.running_statistics import RunningStatistics

_OF_A_PARAMETERS_SHAPE = {"second_moments", "fisher_diagonal", "squared_gradients"}
_LENGTH = 0.01  # of the task vectors' elements, in standard deviations of the parameter's


def trial(
    merger: BaseMerger,
    pretrained: Weights,
    frozen_parameters: int = 0,
    running_statistics: RunningStatistics = "pretrained",
) -> bool:
    """Merges θ_0 with two random task vectors, task by task as a run does; the result is thrown away.

    Args:
        merger: The method. It may remember what it has seen: of what is merged later, it should know nothing.
        pretrained: θ_0.
        frozen_parameters: See ``Merger.merge``.
        running_statistics: See ``Merger.merge``.

    Returns:
        Whether the tasks made any difference.

    Raises:
        Exception: Whatever the method raises.
        ValueError: It has changed the weights that it was given, or its result is no model, see ``Merger.merge``.
    """
    if merger.requires - _OF_A_PARAMETERS_SHAPE:
        return True  # nobody knows what shape those have
    models = [pretrained, *(_moved(pretrained, seed) for seed in (1, 2))]
    before = [_sums(model) for model in models]
    running = RunningMerge(merger, pretrained, frozen_parameters, running_statistics)
    with torch.random.fork_rng(devices=[]):
        for model in models[1:]:
            squares = {name: (model[name] - tensor).square() for name, tensor in _floating(pretrained).items()}
            running.add(model, dict.fromkeys(merger.requires, squares))
        merged = running.merged()
    for name, tensor in merged.items():
        check_values("merged", name, tensor)
    for sums, model in zip(before, models, strict=True):
        changed = [name for name, total in _sums(model).items() if total != sums[name]]
        if changed:
            raise ValueError(f"it changes the weights that it is given, {changed[0]!r} for one")
    return any(not torch.equal(merged[name], tensor) for name, tensor in _floating(pretrained).items())


def _moved(pretrained: Weights, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    moved = dict(pretrained)
    for name, tensor in _floating(pretrained).items():
        wide = tensor.float()
        length = _LENGTH * (float(wide.std()) if wide.numel() > 1 else 1.0) or _LENGTH
        moved[name] = (wide + length * torch.randn(wide.shape, generator=generator)).to(tensor)
    return moved


def _floating(model: Weights) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in model.items() if tensor.is_floating_point()}


def _sums(model: Weights) -> dict[str, float]:
    return {name: float(tensor.double().sum()) for name, tensor in _floating(model).items()}
