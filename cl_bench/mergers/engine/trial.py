"""A trial merge of random task vectors, which shows what is wrong with a rule before anything is trained."""

import torch
from torch import Tensor

from cl_bench.mergers.engine.base import BaseMerger
from cl_bench.mergers.engine.blocks import Weights
from cl_bench.mergers.engine.checks import check_values
from cl_bench.mergers.engine.running_merge import RunningMerge
from cl_bench.mergers.engine.running_statistics import RunningStatistics

_SHAPED_AS_PARAMETERS = {"second_moments", "fisher_diagonal", "squared_gradients"}
_LENGTH = 0.01  # of the task vectors' elements, in standard deviations of the parameter's


def trial(
    merger: BaseMerger,
    pretrained: Weights,
    frozen_parameters: int = 0,
    running_statistics: RunningStatistics = "pretrained",
) -> bool:
    """Merges two random task vectors into θ_0, task by task as a run does, and throws the result away.

    Args:
        merger: The rule. It may remember what it has seen here, so make another one for the run.
        pretrained: θ_0.
        frozen_parameters: See ``BaseMerger.merge``.
        running_statistics: See ``BaseMerger.merge``.

    Returns:
        Whether the result differs from θ_0.

    Raises:
        Exception: Whatever the rule raises.
        ValueError: It has changed the weights that it was given, or its result is no model, see ``BaseMerger.merge``.
    """
    if merger.requires - _SHAPED_AS_PARAMETERS or merger.sees_test_images:
        return True  # of shapes that nobody knows, or of images
    models = [pretrained, *(_moved(pretrained, seed) for seed in (1, 2))]
    before = [_sums(model) for model in models]
    running = RunningMerge(merger, pretrained, frozen_parameters, running_statistics)
    with torch.random.fork_rng(devices=[]):
        for model in models[1:]:
            squares = {name: (model[name] - tensor).square() for name, tensor in _floating(pretrained).items()}
            running.add(model, dict.fromkeys(merger.requires, squares))
        merged = running.merged_for(1) if merger.per_task else running.merged()
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
