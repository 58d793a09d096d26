"""Layers that normalize by statistics of the images they have seen, such as batch normalization.

While tasks are learned, these statistics stay θ₀'s, and such layers use them as in evaluation. Their scale and shift
learn as all other parameters do. So a model is its weights alone, a batch's other images do not change an image's
features, and merged weights meet the statistics that they were trained with.
"""

from collections.abc import Iterator

from torch import nn

_STATISTICS = ("running_mean", "running_var")


def keep_running_statistics(encoder: nn.Module) -> None:
    """Puts these layers, and nothing else, into evaluation mode."""
    for layer in _layers(encoder):
        layer.training = False  # not `eval()`: timm's have their activation inside, which keeps its mode


def has_running_statistics(encoder: nn.Module) -> bool:
    """Whether an encoder has such layers."""
    return any(True for _ in _layers(encoder))


def _layers(encoder: nn.Module) -> Iterator[nn.Module]:
    """By their buffers, since libraries have classes of their own for them."""
    for module in encoder.modules():
        if any(name in _STATISTICS for name, _ in module.named_buffers(recurse=False)):
            yield module
