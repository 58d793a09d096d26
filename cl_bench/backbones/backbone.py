"""What all backbones share: an image encoder to fine-tune, and how it wants to see images."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from cl_bench.images.transforms import VERSION, ImageTransform, Resampling
from cl_bench.runtime.errors import UserError


class Backbone:
    """An image encoder alone. One with a text tower is a `Clip`.

    Args:
        name: For people, and for messages.
        encoder: The image encoder with its pre-trained weights θ₀: from (B, 3, size, size) images to (B, D) features.
            It is put into evaluation mode, and its parameters get no gradient until a trainer asks for it.
        model_identity: Plain data that differ whenever the encoder computes something else, such as its architecture
            and the SHA-256 of its weights.
        preprocessing: How images are preprocessed, as plain data; `size` (a number, or height and width), `mean` and
            `std` of pixel values in 0 to 1 are used, all of it is part of the identity.
        feature_size: D.
        resampling: See `ImageTransform`.
        projection: Name of the parameter from hidden states to features; None where there is none.
        frozen_parameters: Number of parameters of the whole published model outside the encoder.

    Attributes:
        name: As given.
        encoder: As given.
        transform: Turns 8-bit images into what the encoder reads.
        identity: Plain data that differ whenever the features of an image may.
        feature_size: D.
        frozen_parameters: As given.

    Raises:
        UserError: The encoder has no parameter called `projection`.
    """

    def __init__(
        self,
        name: str,
        encoder: nn.Module,
        model_identity: Mapping[str, Any],
        preprocessing: Mapping[str, Any],
        feature_size: int,
        resampling: Resampling = "batched",
        projection: str | None = None,
        frozen_parameters: int = 0,
    ) -> None:
        if projection is not None and projection not in dict(encoder.named_parameters()):
            raise UserError(
                f"backbone.projection={projection} is no parameter of the image encoder of {name}; where it has "
                "no projection, backbone.projection=null."
            )
        self.name = name
        self.encoder = encoder.eval().requires_grad_(False)
        size = preprocessing["size"] if isinstance(preprocessing["size"], int) else preprocessing["size"][0]
        self.transform = ImageTransform(size, preprocessing["mean"], preprocessing["std"], resampling)
        images = {"preprocessing": dict(preprocessing), "resampling": resampling, "transform": VERSION}
        self.identity: dict[str, Any] = {**model_identity, **images}
        self.feature_size = feature_size
        self.frozen_parameters = frozen_parameters
