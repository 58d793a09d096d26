"""The last layer that makes an encoder's features, for encoders without a projection."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.func import functional_call


def last_layer(encoder: nn.Module, size: int) -> list[str]:
    """Finds the parameters of the module after which no other parameter is used.

    The way from the features back through what computes them decides, not the order in which modules are registered. In
    a vision transformer without a projection that is the last normalization's scale and shift.

    Args:
        encoder: From (B, 3, size, size) images to (B, D) features.
        size: Side of the images, in pixels.

    Returns:
        Names of parameters: all that the module itself holds, or where the encoder holds them itself, those alone that
        are used last; none where no parameter makes the features.
    """
    weights = {name: parameter.detach().requires_grad_() for name, parameter in encoder.named_parameters()}
    if not weights:
        return []
    image = torch.zeros(1, 3, size, size).to(next(iter(weights.values())))
    names = {id(tensor): name for name, tensor in weights.items()}
    was_training = encoder.training
    try:
        with torch.inference_mode(False), torch.enable_grad():
            features = functional_call(encoder.eval(), weights, (image,))
    finally:
        encoder.train(was_training)
    steps, seen = [features.grad_fn], set[Any]()
    while steps:
        last = [name for step in steps if (name := names.get(id(getattr(step, "variable", None)))) is not None]
        if last:
            return _of_their_modules(last, weights)
        seen.update(steps)
        before = (step for of in steps if of is not None for step, _ in of.next_functions)
        steps = list(dict.fromkeys(step for step in before if step is not None and step not in seen))
    return []


def _of_their_modules(last: list[str], names: Iterable[str]) -> list[str]:
    modules = {name.rpartition(".")[0] for name in last} - {""}
    return [name for name in names if name in last or name.rpartition(".")[0] in modules]
