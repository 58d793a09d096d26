"""Class means as a head."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

from cl_bench.heads.head import HeadSettings
from cl_bench.runtime import distributed

TEMPERATURE = 100.0
"""CLIP's, by which rows of unit length are multiplied."""


class Prototypes(HeadSettings):
    """Class means of θ₀'s features, set when a class arrives and frozen from then on.

    Row c is the mean of the normalized features of class c's training images in the first task that has some, without
    crops or flips; normalized again, and multiplied by 100. So logits are 100 times the cosine, as with CLIP's words.
    It needs no text tower.

    Source: SimpleCIL, Zhou et al. 2023, arXiv 2303.07338, which is `trainer=zero_shot head=prototypes`. Differs from
    the publication in: features are normalized before they are averaged.
    """


def class_means(features: Iterable[tuple[Tensor, Tensor]], classes: int, width: int) -> Tensor:
    """Computes the rows; all processes take part, each with its share of the images.

    Args:
        features: Batches of (B, D) features and (B,) labels; B may be 0.
        classes: C.
        width: D.

    Returns:
        (C, D) float32 on the CPU; zeros for a class without images.
    """
    # In double precision, so that the order of images and the number of processes do not show in single precision.
    sums = torch.zeros(classes, width, dtype=torch.float64)
    for batch, labels in features:
        sums.index_add_(0, labels.cpu(), functional.normalize(batch.double(), dim=1).cpu())
    return (TEMPERATURE * functional.normalize(distributed.total(sums), dim=1)).float()
