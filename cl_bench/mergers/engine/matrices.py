"""Rules for weight matrices: which parameters are matrices, and what becomes of the rest."""

from abc import abstractmethod
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from cl_bench.mergers.engine.blocks import Stack
from cl_bench.mergers.engine.stacking import StackMerger
from cl_bench.mergers.numerics.side_by_side import side_by_side

Matrices = Literal["all", "no_embeddings", "linear"]
"""Which parameters are merged as matrices. "all": whatever has two dimensions. "no_embeddings": the same, except where
the name contains ``embed`` or ``text_projection``; so open_clip's ``proj`` is a matrix, and its
``positional_embedding`` is not. "linear": the weights of linear layers, which have two dimensions and a name that ends
in ``weight`` and does not contain ``embed``; so neither of the two is a matrix.

The kernel of a convolution, (out, in, k, k) with a name that ends in ``weight``, counts as the matrix (out, in · k · k)
that is multiplied by each patch of its input. That is an extension of ours: the publications speak of linear layers.
A kernel with in = 3 reads pixels and is none: a vision transformer's patch embedding, which the publications merge as
the rest, or the stem of a convolutional network. One with in = 1 is none either: as a rule it belongs to a depthwise
convolution, each row of which reads a channel of its own."""

Rest = Literal["average", "sum", "halving", "pretrained"]
"""What becomes of every other parameter. "average": the mean of the task vectors. "sum": their sum. "halving":
τ ← (τ + τ_t) / 2 task by task, so that the last task counts for a half. "pretrained": it stays as in the pre-trained
model."""

_NO_MATRIX_OF_CHANNELS = (1, 3)
_OUTSIDE_LAYERS = ("class_embedding", "logit_scale")


class MatrixMerger(StackMerger):
    """A rule that merges one weight matrix of all tasks at a time. Work side by side must change no bit of it.

    Args:
        scaling: λ, for matrices and the rest alike.
        split_qkv: Whether attention's projections to queries, keys and values are merged one by one. PyTorch and
            open_clip keep them in one matrix of shape (3d, d), named ``in_proj_weight`` (timm: ``qkv.weight``).
        matrices: See ``Matrices``.
        rest: See ``Rest``.
    """

    version: ClassVar[int] = 2  # since then, kernels of convolutions are matrices

    def __init__(self, scaling: float, split_qkv: bool, matrices: Matrices, rest: Rest) -> None:
        super().__init__(scaling)
        check_matrices(matrices)
        check_rest(rest)
        self._split_qkv, self._matrices, self._rest = split_qkv, matrices, rest

    @abstractmethod
    def combine_matrices(self, vectors: Tensor) -> Tensor:
        """Returns the merged task vector (m, n) of one matrix, from all tasks' (T, m, n), in any float type."""

    def combine_stack(self, stack: Stack) -> Tensor:
        """Merges a matrix by the rule, and anything else as ``rest`` says."""
        if parts := self.parts(stack):
            merged = torch.cat(list(side_by_side(self.combine_matrices, parts)))
            return merged.to(stack.pretrained).view_as(stack.pretrained)
        return combine_rest(stack.vectors, self._rest)

    def parts(self, stack: Stack) -> tuple[Tensor, ...]:
        """Returns the task vectors (T, m, n) of each matrix in a parameter; none if ``rest`` merges it."""
        number = parts_of(stack.name, stack.pretrained, self._matrices, self._split_qkv)
        return stack.vectors.flatten(2).chunk(number, dim=1) if number else ()


def check_matrices(matrices: str) -> None:
    """Checks that this is one of ``Matrices``.

    Raises:
        ValueError: It is not.
    """
    if matrices not in get_args(Matrices):
        raise ValueError(f"matrices must be 'all', 'no_embeddings' or 'linear', not {matrices!r}")


def check_rest(rest: str) -> None:
    """Checks that this is one of ``Rest``.

    Raises:
        ValueError: It is not.
    """
    if rest not in get_args(Rest):
        raise ValueError(f"rest must be 'average', 'sum', 'halving' or 'pretrained', not {rest!r}")


def parts_of(name: str, tensor: Tensor, matrices: Matrices, split_qkv: bool) -> int:
    """The number of matrices, one below the other, that a parameter is merged as; 0 if it is none."""
    if not is_matrix(name, tensor, matrices):
        return 0
    return 3 if split_qkv and is_fused_attention(name, tensor) else 1


def is_matrix(name: str, tensor: Tensor, matrices: Matrices) -> bool:
    """Whether a parameter is merged as a matrix. One without elements is not."""
    if tensor.numel() == 0 or not (tensor.dim() == 2 or _is_kernel(name, tensor)):
        return False
    if matrices == "linear":
        return name.endswith("weight") and "embed" not in name
    return matrices == "all" or ("embed" not in name and "text_projection" not in name)


def _is_kernel(name: str, tensor: Tensor) -> bool:
    return tensor.dim() == 4 and name.endswith("weight") and tensor.shape[1] not in _NO_MATRIX_OF_CHANNELS


def is_outside_layers(name: str) -> bool:
    """Whether a parameter of a CLIP model belongs to no layer, since a module that contains layers holds it directly.

    In Hugging Face's models these are ``class_embedding`` and, in models of both towers, ``logit_scale``. Code that
    goes through the layers one by one does not see them. In open_clip, positional embedding, attention weights and
    projections are held in this way too, but in Hugging Face's models they are layers.
    """
    return name.endswith(_OUTSIDE_LAYERS)


def is_fused_attention(name: str, tensor: Tensor) -> bool:
    """Whether a matrix holds the projections to queries, keys and values, one below the other."""
    return name.endswith(("in_proj_weight", "qkv.weight")) and tensor.shape[0] % 3 == 0


def combine_rest(vectors: Tensor, rest: Rest) -> Tensor:
    """Merges the task vectors (T, *shape) of a parameter that is no matrix."""
    if rest == "average":
        return vectors.mean(0)
    if rest == "sum":
        return vectors.sum(0)
    if rest == "pretrained":
        return torch.zeros_like(vectors[0])
    merged = vectors[0].clone()
    for vector in vectors[1:]:
        merged.add_(vector).div_(2)
    return merged
