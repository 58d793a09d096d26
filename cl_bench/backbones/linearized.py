"""An image encoder, linearized in its weights around the pre-trained ones."""

import contextlib
import copy
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call, jvp

from cl_bench.backbones.plain_attention import plain_attention
from cl_bench.mergers.engine.running_statistics import is_running_statistic
from cl_bench.runtime.errors import UserError

# Forward mode scripts some of torch's own derivatives when it is first used, and torch then warns of that.
warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is ")


class Linearized(nn.Module):
    """The first-order Taylor expansion of an encoder in its weights, around those that it is given with.

        f_lin(x; θ) = f(x; θ₀) + J(x) · (θ - θ₀),  J(x) = ∂f(x; θ₀)/∂θ

    The value takes one forward-mode product, which keeps nothing for the gradient. Since f_lin is linear in θ, the
    gradient of a loss with respect to θ is J(x)ᵀ times its gradient with respect to the features, whatever θ is;
    ordinary back-propagation through f at θ₀ computes that.

    The parameters are θ. They and the state dict have the encoder's names and shapes, and the encoder's modules become
    this module's. θ₀ is a copy, `origin`, whose tensors are buffers that are not saved.

    Randomness inside the encoder (patch dropout) is off, also in training, and normalization layers use θ₀'s running
    statistics, which are constants. There is no gradient with respect to the
    images, and no second derivative. `compile` works but saves no time, since forward mode runs uncompiled.

    One forward and backward pass on one core in float32 costs the following. The memory includes gradients, θ₀ and,
    while the value is computed, θ - θ₀, each as large as the weights (ViT-B/32: 335 MiB):

    ======================  ================  ================  ================
    encoder, batch          f itself          f_lin             checkpointing
    ======================  ================  ================  ================
    tiny_clip, 128          63 MiB, 0.11 s    109 MiB, 0.22 s   73 MiB, 0.25 s
    ViT-B/32 (random), 8    380 MiB, 2.4 s    778 MiB, 5.2 s    554 MiB, 5.9 s
    ======================  ================  ================  ================

    Source: Ortiz-Jimenez, Favero and Frossard 2023, "Task Arithmetic in the Tangent Space", arXiv 2305.12827. Differs
    from the publication in: there, the gradient is propagated back through the forward-mode product, which gives the
    same numbers and keeps more activations.

    Args:
        encoder: Any ViT of open_clip, or another encoder that forward mode can run; its weights are θ₀.
        checkpointing: Whether the backward pass computes the activations inside the encoder's blocks again instead of
            keeping them, by the encoder's own `set_grad_checkpointing`.

    Raises:
        UserError: The encoder cannot compute its activations again, or has state besides its parameters and the
            running statistics of normalization layers, in which it cannot be linearized.
    """

    def __init__(self, encoder: nn.Module, checkpointing: bool = False) -> None:
        super().__init__()
        if checkpointing and not hasattr(encoder, "set_grad_checkpointing"):
            raise UserError(f"trainer.checkpointing=true: {type(encoder).__name__} cannot compute activations again.")
        self._checkpointing = checkpointing
        self._names = [name for name, _ in encoder.named_parameters()]
        others = encoder.state_dict().keys() - set(self._names)
        if unknown := [name for name in sorted(others) if not is_running_statistic(name)]:
            raise UserError(f"{type(encoder).__name__} cannot be linearized: {unknown[0]} is no parameter of it.")
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
        """Sets the mode as any module does, but f itself stays in evaluation mode: all its passes are one function."""
        super().train(mode)
        self.origin.eval()
        return self

    def load_state_dict(self, *arguments: Any, **options: Any) -> Any:
        """Loads θ; θ₀ takes no part, whose batch normalization would ask for counters that are not saved."""
        origin = self._modules.pop("origin")
        try:
            return super().load_state_dict(*arguments, **options)
        finally:
            self._modules["origin"] = origin

    def forward(self, images: Tensor) -> Tensor:
        """(B, D) features of (B, 3, size, size) images."""
        weights = list(self.parameters())
        if torch.is_grad_enabled() and any(weight.requires_grad for weight in weights):
            features: Tensor = _WithGradient.apply(self, images.detach(), *weights)
            return features
        return self.value(images, weights)

    def value(self, images: Tensor, weights: Iterable[Tensor]) -> Tensor:
        """(B, D) features f_lin(x; θ), without a gradient."""
        # In inference mode torch 2.11 silently computes a change of zero; 2.15 is right.
        with torch.inference_mode(False), torch.no_grad(), plain_attention():
            start = self.start()
            moves = {name: weight - start[name] for name, weight in zip(self._names, weights, strict=True)}
            features, change = jvp(lambda at: functional_call(self.origin, at, (images,)), (start,), (moves,))[:2]
            value: Tensor = features + change
            return value

    def features_at_start(self, images: Tensor, trained: list[Tensor]) -> Tensor:
        """f(x; θ₀), with the graph for back-propagation to those tensors of θ₀ whose counterparts are trained."""
        with torch.enable_grad(), _requiring_gradient(trained), self._recomputing():
            features: Tensor = self.origin(images)
            return features

    @contextlib.contextmanager
    def _recomputing(self) -> Iterator[None]:
        # On for this pass only, since forward mode cannot go through it.
        encoder: Any = self.origin  # has the method where `checkpointing` was asked for; nn.Module has not
        if self._checkpointing:
            encoder.set_grad_checkpointing(True)
        try:
            yield
        finally:
            if self._checkpointing:
                encoder.set_grad_checkpointing(False)

    def start(self) -> dict[str, Tensor]:
        """θ₀ by the parameters' names."""
        tensors = dict(self.origin.named_buffers())
        return {name: tensors[name] for name in self._names}


class _WithGradient(torch.autograd.Function):
    """f_lin by forward mode; its gradient is Jᵀ · g by reverse mode."""

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
        # The graph lives as long as this node, so `retain_graph` has its usual meaning.
        with _requiring_gradient(ctx.trained):
            products = iter(
                torch.autograd.grad(ctx.features, ctx.trained, gradient, retain_graph=True, allow_unused=True)
            )
        return None, None, *(next(products) if is_trained else None for is_trained in ctx.needs_input_grad[2:])


def _frozen(encoder: nn.Module) -> nn.Module:
    """The encoder with its parameters turned into buffers; none is saved."""
    for module in encoder.modules():
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            delattr(module, name)
            module.register_buffer(name, tensor.detach(), persistent=False)
    return encoder.eval()


@contextlib.contextmanager
def _requiring_gradient(tensors: list[Tensor]) -> Iterator[None]:
    # For this pass only: buffers that require gradients would cease to be leaves once moved to another device.
    for tensor in tensors:
        tensor.requires_grad_(True)
    try:
        yield
    finally:
        for tensor in tensors:
            tensor.requires_grad_(False)
