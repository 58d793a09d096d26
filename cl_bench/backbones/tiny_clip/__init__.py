"""The embedded miniature: a CLIP with an image tower of half a million parameters that reads 32 x 32 pixels.

`python -m cl_bench.backbones.tiny_clip` pre-trained it on pictures that this package draws. The seed fixes the pictures
and the training. The last bits of floating-point results still differ between versions of torch and between processors,
and 1,600 steps amplify them. So `weights.json` has the SHA-256 of the file that the package ships; weights made
elsewhere are similar, not equal.
"""

from pathlib import Path
from typing import Any

import torch

from cl_bench.backbones.clip import Clip
from cl_bench.backbones.tiny_clip import architecture, weights
from cl_bench.backbones.tiny_clip.architecture import MODEL_CONFIG, NAME
from cl_bench.backbones.tiny_clip.weights import WEIGHTS
from cl_bench.images.transforms import Resampling

__all__ = ["MODEL_CONFIG", "WEIGHTS", "TinyClip", "frozen_parameters", "load"]


def load(path: Path = WEIGHTS) -> torch.nn.Module:
    """Loads the pre-trained model: a CLIP of open_clip in fp32, in evaluation mode, on the CPU.

    Args:
        path: Weights that the pre-training script has written; `weights.json` lies beside them.

    Raises:
        UserError: The weights are damaged.
    """
    model = architecture.create()
    vocabulary: Any = model.vocab_size  # a number; nn.Module promises tensors and modules only
    model.load_state_dict(weights.read(path, vocabulary))
    return model.eval()


def frozen_parameters() -> int:
    """Number of parameters in the weights file outside the image tower: text tower, token rows and scale."""
    _, outside = weights.count_parameters(WEIGHTS, tower="visual.")
    return outside


class TinyClip(Clip):
    """The miniature as a backbone.

    Args:
        resampling: See `ImageTransform`.
        projection: Name of the layer from hidden states to features; None for the last one.
    """

    def __init__(self, resampling: Resampling = "batched", projection: str | None = "proj") -> None:
        super().__init__(NAME, load(), resampling, projection)
        self.frozen_parameters = frozen_parameters()
