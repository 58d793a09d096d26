"""What a run's encoder makes of images with other weights, and what the head says to that."""

import copy
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from cl_bench.experiment.parts import Parts
from cl_bench.images import batches
from cl_bench.images.samples import Samples
from cl_bench.trainers import Weights


class Encoding:
    """The encoder of a run, in a copy of its own.

    Args:
        parts: Whose encoder, transform and device are used.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._encoder = copy.deepcopy(parts.trainer.encoder).eval().requires_grad_(False).to(parts.devices.device)

    @torch.inference_mode()
    def features(self, weights: Weights, samples: Samples) -> Tensor:
        """(N, D) float32 on the CPU, before normalization, in the samples' order, as evaluation sees the images."""
        self._encoder.load_state_dict(weights)
        parts, device, found = self._parts, self._parts.devices.device, []
        order = batches.EvaluationOrder(samples, parts.evaluation.batch_size)
        for batch in batches.loader(samples, order, parts.backbone.transform, parts.devices.workers):
            on_device = [batches.Part(part.pixels.to(device), None, part.places.to(device)) for part in batch.parts]
            moved = batch._replace(parts=on_device, labels=batch.labels.to(device))
            with parts.devices.autocast():
                found.append(self._encoder(batches.to_images(moved, parts.backbone.transform)).float().cpu())
        return torch.cat(found)


class Score(NamedTuple):
    """How well a model answers."""

    accuracy: float  # percent
    loss: float  # mean cross-entropy in nats


def score(features: Tensor, labels: Tensor, head: Tensor, allowed: Tensor) -> Score:
    """Accuracy and loss of features with a head.

    Args:
        features: (N, D), not normalized.
        labels: (N,).
        head: (C, D).
        allowed: (C,) bool, the classes that an image is classified among.
    """
    logits = functional.linear(functional.normalize(features, dim=1), head).masked_fill(~allowed, -torch.inf)
    right = logits.argmax(dim=1) == labels
    return Score(100 * float(right.double().mean()), float(functional.cross_entropy(logits.double(), labels)))
