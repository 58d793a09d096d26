"""An image encoder in the tangent space of its pre-trained weights."""

import contextlib
import copy
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call, jvp

from cl_bench.backbones.plain_attention import plain_attention
from cl_bench.runtime.errors import UserError


class Linearized(nn.Module):
    """The first-order Taylor expansion of an encoder in its weights, around those it has at construction.

        f_lin(x; θ) = f(x; θ₀) + J(x) · (θ - θ₀),  J(x) = ∂f(x; θ₀)/∂θ

    The value comes from one forward-mode product, of which nothing is kept for the gradient: f_lin is linear in θ, so
    the gradient of a loss with respect to θ is J(x)ᵀ times its gradient with respect to the features, whatever θ is,
    and that is what ordinary back-propagation through f at θ₀ gives.

    Parameters and state dict have the encoder's own names and shapes: they are θ, and the encoder's modules are taken
    over. θ₀ is a second copy of them, `origin`, whose tensors are buffers that are not saved.

    Randomness inside the encoder (patch dropout) is off, also in training. There is no gradient with respect to the
    images, and none of second order. `compile` is allowed, but forward mode runs uncompiled, so it saves no time.

    Cost of one forward and backward pass on one core in float32; the memory includes gradients, θ₀ and, while the value
    is computed, θ - θ₀, each of the size of the weights (ViT-B/32: 335 MiB):

    ======================  ================  ================  ================
    encoder, batch          f itself          f_lin             checkpointing
    ======================  ================  ================  ================
    tiny_clip, 128          63 MiB, 0.11 s    109 MiB, 0.22 s   73 MiB, 0.25 s
    ViT-B/32 (random), 8    380 MiB, 2.4 s    778 MiB, 5.2 s    554 MiB, 5.9 s
    ======================  ================  ================  ================

    Source: Ortiz-Jimenez, Favero and Frossard 2023, "Task Arithmetic in the Tangent Space", arXiv 2305.12827. Differs
    from the publication in: there, the gradient is propagated back through the forward-mode product, which gives the
    same numbers from more activations.

    Args:
        encoder: Its weights are θ₀. Every ViT of open_clip, and whatever else forward mode can run.
        checkpointing: Whether the activations inside the encoder's blocks are computed again in the backward pass
            instead of being kept; done by the encoder's own `set_grad_checkpointing`.

    Raises:
        UserError: The encoder cannot compute its activations again, or has a state besides its parameters, which is
            no point in a tangent space (batch normalization).
    """

    def __init__(self, encoder: nn.Module, checkpointing: bool = False) -> None:
        super().__init__()
        if checkpointing and not hasattr(encoder, "set_grad_checkpointing"):
            raise UserError(f"trainer.checkpointing=true: {type(encoder).__name__} cannot compute activations again.")
        self._checkpointing = checkpointing
        self._names = [name for name, _ in encoder.named_parameters()]
        if others := encoder.state_dict().keys() - set(self._names):
            raise UserError(f"{type(encoder).__name__} cannot be linearized: {min(others)} is no parameter of it.")
        self._take_over(encoder)
        self.origin = _frozen(copy.deepcopy(encoder))

    def _take_over(self, encoder: nn.Module) -> None:
        for name, parameter in encoder.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in encoder.named_buffers(recurse=False):
            self.register_buffer(name, buffer, persistent=False)
        for name, child in encoder.named_children():
            self.add_module(name, child)

    def train(self, mode: bool = True) -> "Linearized":
        """As everywhere; f itself stays in evaluation mode, so that it is one function in all its passes."""
        super().train(mode)
        self.origin.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """(B, D) features of (B, 3, size, size) images."""
        weights = list(self.parameters())
        if torch.is_grad_enabled() and any(weight.requires_grad for weight in weights):
            return _WithGradient.apply(self, images.detach(), *weights)
        return self.value(images, weights)

    def value(self, images: Tensor, weights: Iterable[Tensor]) -> Tensor:
        """f_lin itself, without a gradient."""
        # In inference mode torch 2.11 finds no change at all, without a word; 2.15 does.
        with torch.inference_mode(False), torch.no_grad(), plain_attention():
            start = self.start()
            moves = {name: weight - start[name] for name, weight in zip(self._names, weights, strict=True)}
            features, change = jvp(lambda at: functional_call(self.origin, at, (images,)), (start,), (moves,))
            return features + change

    def features_at_start(self, images: Tensor, trained: list[Tensor]) -> Tensor:
        """f(x; θ₀), with what back-propagation needs for those tensors of θ₀ whose counterparts are trained."""
        with torch.enable_grad(), _requiring_gradient(trained), self._recomputing():
            return self.origin(images)

    @contextlib.contextmanager
    def _recomputing(self) -> Iterator[None]:
        # Not for longer than a pass: forward mode cannot go through it.
        if self._checkpointing:
            self.origin.set_grad_checkpointing(True)
        try:
            yield
        finally:
            if self._checkpointing:
                self.origin.set_grad_checkpointing(False)

    def start(self) -> dict[str, Tensor]:
        """θ₀ by parameter."""
        tensors = dict(self.origin.named_buffers())
        return {name: tensors[name] for name in self._names}


class _WithGradient(torch.autograd.Function):
    """f_lin by forward mode, with Jᵀ · g by reverse mode as its gradient."""

    @staticmethod
    def forward(ctx: Any, encoder: Linearized, images: Tensor, *weights: Tensor) -> Tensor:
        value = encoder.value(images, weights)
        needed = ctx.needs_input_grad[2:]
        ctx.trained = [
            tensor for tensor, is_trained in zip(encoder.start().values(), needed, strict=True) if is_trained
        ]
        ctx.features = encoder.features_at_start(images, ctx.trained)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # The graph is kept for as long as this node is, so that `retain_graph` means what it does elsewhere.
        options = {"retain_graph": True, "allow_unused": True}
        with _requiring_gradient(ctx.trained):
            products = iter(torch.autograd.grad(ctx.features, ctx.trained, gradient, **options))
        return None, None, *(next(products) if is_trained else None for is_trained in ctx.needs_input_grad[2:])


def _frozen(encoder: nn.Module) -> nn.Module:
    """The encoder with buffers in place of parameters, none of which is saved."""
    for module in encoder.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach(), persistent=False)
    return encoder.eval()


@contextlib.contextmanager
def _requiring_gradient(tensors: list[Tensor]) -> Iterator[None]:
    # Only for a while: buffers that require gradients would not be leaves any more once moved to another device.
    for tensor in tensors:
        tensor.requires_grad_(True)
    try:
        yield
    finally:
        for tensor in tensors:
            tensor.requires_grad_(False)
