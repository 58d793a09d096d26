"""The diagonal of the Fisher information of a trained model."""

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from cl_bench.backbones.linearized import Linearized
from cl_bench.backbones.plain_attention import plain_attention
from cl_bench.images import batches
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.user_code import describe
from cl_bench.trainers.statistics.learned import Learned, to_means

IMAGES = 4096
"""The estimate uses so many images, as the authors' code does; all, where a task has fewer."""

_MOST_ELEMENTS = 2**28  # of the gradients that are held at once: 1 GiB in float32
_MOST_AT_ONCE = 32  # images; with more, small encoders' gradients leave the cache


def fisher_diagonal(trainer: Learned) -> dict[str, Tensor]:
    """Returns the expected square of the gradient of the log-likelihood, by parameter: its shape, on the CPU.

        F = 1/N · Σ_n Σ_y p(y | x_n) (∂ log p(y | x_n) / ∂θ)²

    n runs over N images in training's crops, y over all labels that are possible in the group of x_n. The expectation
    is over the model's own distribution p, and exact: no label is sampled. Each image has its own gradients.

    Computes in single precision, with random parts of the encoder off. A linearized encoder is taken as f_lin.

    Source: Matena and Raffel 2021, "Merging Models with Fisher-Weighted Averaging", arXiv 2111.09832.

    Args:
        trainer: Has just learned the task; it stays as it is.
    """
    encoder = copy.deepcopy(trainer.encoder).eval().requires_grad_(False)
    module, at = (
        (encoder.origin, encoder.start()) if isinstance(encoder, Linearized) else (encoder, encoder.state_dict())
    )
    weights = {name: at[name] for name in trainer.trained()}
    total, images = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}, 0
    at_once = max(1, min(_MOST_AT_ONCE, _MOST_ELEMENTS // sum(tensor.numel() for tensor in weights.values())))
    for batch in trainer.another_pass("Fisher information", IMAGES):
        images += batch.global_size
        if len(batch.labels) == 0:
            continue
        pixels = batches.to_images(batch, trainer.transform)
        directions = _directions(trainer, encoder(pixels), batch.groups)
        for some, theirs in zip(pixels.split(at_once), directions.split(at_once), strict=True):
            for name, squares in _squares(module, weights, some, theirs).items():
                total[name] += squares.sum(dim=0)
    to_means(total.values(), images)
    return {name: tensor.cpu() for name, tensor in total.items()}


def check(encoder: nn.Module, size: int) -> None:
    """Refuses an encoder that cannot have a gradient for each image, as torch's `vmap` computes it.

    Args:
        encoder: It stays as it is.
        size: Side of its images in pixels.

    Raises:
        UserError: One of its layers does not work in `vmap`.
    """
    module = copy.deepcopy(encoder.origin if isinstance(encoder, Linearized) else encoder).eval().requires_grad_(False)
    black = torch.zeros(1, 3, size, size)
    try:
        directions = torch.ones_like(module(black))[:, None]
        _squares(module, dict(module.named_parameters()), black, directions)
    except RuntimeError as error:
        raise UserError(
            f"The merger needs Fisher information, and torch cannot compute it in {type(module).__name__}: "
            f"{describe(error)}; choose another merger or encoder."
        ) from error


def _directions(trainer: Learned, features: Tensor, groups: Tensor) -> Tensor:
    """Returns (B, K, D): for each image, directions u_k among features with Σ_k u_k u_kᵀ = Σ_y p_y g_y g_yᵀ.

    g_y is the gradient of log p_y with respect to the features. The vectors √p_y · g_y are such directions. So are the
    scaled axes of the ellipsoid that they span, and there are fewer of them: Σ_k (Jᵀ u_k)² is the same for every J. The
    last ones are zero, or nothing but rounding.
    """
    features = features.detach().requires_grad_()
    with torch.enable_grad():
        logits = trainer.logits(features)
    allowed = trainer.class_masks[groups]
    shares = logits.detach().masked_fill(~allowed, float("-inf")).softmax(dim=1)
    gradients: list[Tensor] = []
    for label in allowed.any(dim=0).nonzero().flatten():
        of_logits = -shares
        of_logits[:, label] += 1
        of_logits *= shares[:, label, None].sqrt()
        gradients += torch.autograd.grad(logits, features, of_logits, retain_graph=True)
    _, lengths, axes = torch.linalg.svd(torch.stack(gradients, dim=1), full_matrices=False)
    directions: Tensor = lengths[..., None] * axes
    return directions


def _squares(module: nn.Module, weights: dict[str, Tensor], images: Tensor, directions: Tensor) -> dict[str, Tensor]:
    """Returns (b, …) by parameter: for each image Σ_k (Jᵀ u_k)², where J is the derivative of its features."""
    energies = directions.square().sum(dim=2)  # (b, K), falling
    directions = directions[:, : int((energies > energies.max() * torch.finfo(energies.dtype).eps).sum(dim=1).max())]

    def squares_of_one(image: Tensor, its_directions: Tensor) -> dict[str, Tensor]:
        pull = vjp(lambda at: functional_call(module, at, (image[None],))[0], weights)[1]
        total = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
        for direction in its_directions:
            (gradient,) = pull(direction)
            total = {name: total[name].addcmul(gradient[name], gradient[name]) for name in total}
        return total

    with plain_attention():
        squares: dict[str, Tensor] = vmap(squares_of_one)(images, directions)
    return squares
