"""An encoder and three tasks so small that a trainer learns them in a second."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cl_bench.images.images import ImageDataset, Images
from cl_bench.images.transforms import ImageTransform
from cl_bench.scenarios import ClassIncremental
from cl_bench.trainers import Given, Optimization

TRANSFORM = ImageTransform(8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class SmallEncoder(nn.Module):
    """(B, 3, 8, 8) to (B, 5): a patch embedding, one attention block, a projection, as a small ViT has them."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.patches = nn.Conv2d(3, 12, 4, stride=4)
        self.block = nn.TransformerEncoderLayer(12, 2, 24, dropout=0.0, batch_first=True)
        self.proj = nn.Parameter(torch.randn(12, 5))

    def forward(self, images: Tensor) -> Tensor:
        """Encodes images."""
        planes = self.patches(images.to(self.proj.dtype))
        tokens = planes.reshape(*planes.shape[:2], -1).transpose(1, 2)  # which refuses no images, as open_clip's do
        features: Tensor = self.block(tokens).mean(dim=1) @ self.proj
        return features


def head(classes: int = 6, seed: int = 1) -> Tensor:
    """Draws a zero-shot head, (classes, 5)."""
    rows = torch.randn(classes, 5, generator=torch.Generator().manual_seed(seed))
    return 10 * functional.normalize(rows, dim=1)


def three_tasks() -> ClassIncremental:
    """Draws three tasks of two classes, with ten random images of each class."""
    random, labels = np.random.default_rng(0), np.repeat(np.arange(6), 10)
    train, test = (Images(random.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8), labels) for _ in range(2))
    return ClassIncremental(ImageDataset("made_up", tuple("abcdef"), ("a {}",), train, test), 3)


def given(keep: frozenset[str] = frozenset()) -> Given:
    """What a run hands to every trainer: here for four epochs, which are twenty steps a task."""
    optimization = Optimization(optimizer=torch.optim.AdamW, lr=1e-2, epochs=4, batch_size=4, warmup_steps=5)
    return Given(SmallEncoder(), head(), TRANSFORM, optimization, keep=keep)
