"""The accuracy and the loss of features."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Score(NamedTuple):
    """How well a model classifies images."""

    accuracy: float  # percent
    loss: float  # mean cross-entropy in nats


def score(features: Tensor, labels: Tensor, head: Tensor, allowed: Tensor) -> Score:
    """Computes accuracy and loss of features with a head.

    Args:
        features: (N, D), not normalized.
        labels: (N,).
        head: (C, D).
        allowed: (C,) bool, the classes that compete for an image.
    """
    logits = functional.linear(functional.normalize(features, dim=1), head).masked_fill(~allowed, -torch.inf)
    is_right = logits.argmax(dim=1) == labels
    return Score(100 * float(is_right.double().mean()), float(functional.cross_entropy(logits.double(), labels)))
