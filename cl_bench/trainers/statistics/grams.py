"""What a trained model's linear layers read, as Gram matrices."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cl_bench.backbones.plain_attention import plain_attention
from cl_bench.images import batches
from cl_bench.trainers.statistics.learned import Learned, to_means

IMAGES = 16_000
"""So many images are read, as the authors' code does in 1000 batches of 16; all, where a task has fewer."""


def grams(trainer: Learned) -> dict[str, Tensor]:
    """Returns the Gram matrix of what each linear layer reads: (d_in, d_in) by weight (d_out, d_in), on the CPU.

        G = 1/N · Σ_n X_nᵀ X_n

    X_n, (tokens, d_in), is what the layer reads of image n, in training's crops; N is the number of images. Queries,
    keys and values read the same, so attention's fused matrix of the three has one Gram matrix. A layer is found by
    what it computes: a product with the transpose of a parameter. So a bare matrix on the right of a product, such as
    open_clip's `proj`, is not among them.

    Computes in single precision, with random parts of the encoder off.

    Source: Jin et al. 2022, "Dataless Knowledge Fusion by Merging Weights of Language Models", arXiv 2212.09849.
    Differs from the publication in: the authors' code divides by the number of tokens, not of images; that is a factor
    that all tasks share. The paper does not divide its sums, so there a task with more images weighs more.

    Args:
        trainer: Has just learned the task; it stays as it is.
    """
    encoder = copy.deepcopy(trainer.encoder).eval()
    seen, images = _LinearLayers(encoder), 0
    for batch in trainer.another_pass("Gram matrices", IMAGES):
        images += batch.global_size
        pixels = batches.to_images(batch, trainer.transform)
        seen.counts = len(pixels) > 0  # a process without images needs every matrix, too
        with torch.no_grad(), plain_attention(), seen:
            batches.encoded(encoder, pixels)
    to_means(seen.grams.values(), images)
    return {name: tensor.cpu() for name, tensor in seen.grams.items()}


class _LinearLayers(TorchDispatchMode):
    """Watches products: what is multiplied by a transposed weight of the encoder adds to that weight's Gram matrix.

    Hooks on modules would miss the layers within `nn.MultiheadAttention`, which it does not call as modules.

    Attributes:
        grams: The sums, by name of the weight.
        counts: Whether the batch has images of this process.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._weights = {p.data_ptr(): (name, p) for name, p in encoder.named_parameters() if p.dim() == 2}
        self.grams: dict[str, Tensor] = {}
        self.counts = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            self._add(*args[-2:])
        return func(*args, **(kwargs or {}))

    def _add(self, read: Tensor, factor: Tensor) -> None:
        name, weight = self._weights.get(factor.data_ptr(), ("", None))
        if weight is not None and factor.shape == weight.shape[::-1] and factor.stride() == weight.stride()[::-1]:
            gram = read.T @ read if self.counts else read.new_zeros(read.shape[1], read.shape[1])
            self.grams[name] = self.grams[name] + gram if name in self.grams else gram
