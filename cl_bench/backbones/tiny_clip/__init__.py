"""The embedded miniature: a CLIP with an image tower of half a million parameters that reads 32 x 32 pixels.

It was pre-trained by `python -m cl_bench.backbones.tiny_clip` on pictures that this package draws. The script
and its seed fix what is drawn and computed, but the last bits of floating-point results differ between
versions of torch and between processors, and 1,600 steps amplify them: `weights.json` records the SHA-256 of
the file that was shipped, and a file made elsewhere is a sibling of it, not a copy.
"""

from pathlib import Path

import torch

from cl_bench.backbones.backbone import Backbone
from cl_bench.backbones.tiny_clip import architecture, weights
from cl_bench.backbones.tiny_clip.architecture import MODEL_CONFIG, NAME
from cl_bench.backbones.tiny_clip.weights import WEIGHTS
from cl_bench.images.transforms import Resampling

__all__ = ["MODEL_CONFIG", "WEIGHTS", "TinyClip", "frozen_parameters", "load"]


def load(path: Path = WEIGHTS) -> torch.nn.Module:
    """The pre-trained model: open_clip's CLIP in fp32, in eval mode, on the CPU.

    Args:
        path: Weights written by the pre-training script, with `weights.json` beside them.

    Raises:
        UserError: If the weights are damaged.
    """
    model = architecture.create()
    model.load_state_dict(weights.read(path, model.vocab_size))
    return model.eval()


def frozen_parameters() -> int:
    """Parameters in the weights file that are not the image tower's: text tower, token rows and scale."""
    _, outside = weights.count_parameters(WEIGHTS, tower="visual.")
    return outside


class TinyClip(Backbone):
    """The miniature as a backbone.

    Args:
        resampling: See `transforms`.
        projection: Name of the layer from hidden states to features.
    """

    def __init__(self, resampling: Resampling = "batched", projection: str = "proj") -> None:
        super().__init__(NAME, load(), resampling, projection)

    def _count_frozen(self) -> int:
        return frozen_parameters()
