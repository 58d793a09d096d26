"""The features that a run's encoder computes with other weights."""

import copy

import torch
from torch import Tensor

from cl_bench.experiment.parts import Parts
from cl_bench.images import batches
from cl_bench.images.samples import Samples
from cl_bench.trainers import Weights


class FeatureExtractor:
    """A copy of a run's encoder, into which any weights can be loaded.

    Args:
        parts: The parts of the run; their encoder, transform and device are used.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._encoder = copy.deepcopy(parts.trainer.encoder).eval().requires_grad_(False).to(parts.devices.device)

    @torch.inference_mode()
    def features(self, weights: Weights, samples: Samples) -> Tensor:
        """(N, D) float32 on the CPU: features before normalization, in the order of the samples.

        The images are preprocessed as in evaluation.
        """
        self._encoder.load_state_dict(weights)
        parts, device, features = self._parts, self._parts.devices.device, []
        order = batches.EvaluationOrder(samples, parts.evaluation.batch_size)
        for batch in batches.loader(samples, order, parts.backbone.transform, parts.devices.workers):
            images = batches.to_images(batches.on_device(batch, device), parts.backbone.transform)
            with parts.devices.autocast():
                features.append(self._encoder(images).float().cpu())
        return torch.cat(features)
