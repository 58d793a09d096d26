"""What every method for weight matrices needs: which parameters are matrices, and what becomes of the rest."""

from abc import abstractmethod
from typing import Literal, get_args

import torch
from torch import Tensor

from cl_bench.mergers.engine.blocks import Stack
from cl_bench.mergers.engine.stacking import StackMerger
from cl_bench.mergers.numerics.side_by_side import side_by_side

Matrices = Literal["all", "no_embeddings", "linear"]
"""Which parameters a matrix method merges as matrices: "all", whatever has two dimensions; "no_embeddings", the same
without those whose name speaks of an embedding or of the text tower's projection (so that open_clip's ``proj`` is among
them, and its ``positional_embedding`` is not); "linear", the weights of linear layers, which are those with two
dimensions whose name ends in ``weight`` and does not speak of an embedding (so that neither is)."""

Rest = Literal["average", "sum", "halving", "pretrained"]
"""What becomes of every other parameter: the task vectors' mean; their sum; τ ← (τ + τ_t) / 2 task by task, in which
the last task counts for a half; or nothing, so that it stays as it was in the pre-trained model."""

_OUTSIDE_LAYERS = ("class_embedding", "logit_scale")


class MatrixMerger(StackMerger):
    """A method that merges one weight matrix of all tasks at a time; what it does side by side must change no bit.

    Args:
        scaling: λ, for matrices and the rest alike.
        split_qkv: Whether the query, key and value projections of attention, which PyTorch and open_clip keep in
            one matrix of shape (3d, d) named ``in_proj_weight`` (timm: ``qkv.weight``), are merged one by one.
        matrices: See ``Matrices``.
        rest: See ``Rest``.
    """

    def __init__(self, scaling: float, split_qkv: bool, matrices: Matrices, rest: Rest) -> None:
        super().__init__(scaling)
        check_matrices(matrices)
        if rest not in ("average", "sum", "halving", "pretrained"):
            raise ValueError(f"rest must be 'average', 'sum', 'halving' or 'pretrained', not {rest!r}")
        self._split_qkv, self._matrices, self._rest = split_qkv, matrices, rest

    @abstractmethod
    def combine_matrices(self, vectors: Tensor) -> Tensor:
        """The merged task vector of one matrix, (m, n), of all tasks' (T, m, n), in any float type."""

    def combine_stack(self, stack: Stack) -> Tensor:
        """A matrix by the method's own rule, anything else as ``rest`` says."""
        if parts := self.parts(stack):
            return torch.cat(list(side_by_side(self.combine_matrices, parts))).to(stack.pretrained)
        return combine_rest(stack.vectors, self._rest)

    def parts(self, stack: Stack) -> tuple[Tensor, ...]:
        """The task vectors of each matrix in a parameter, (T, m, n); none where it is merged as ``rest`` says."""
        if not is_matrix(stack.name, stack.pretrained, self._matrices):
            return ()
        fused = self._split_qkv and is_fused_attention(stack.name, stack.pretrained)
        return stack.vectors.chunk(3 if fused else 1, dim=1)


def check_matrices(matrices: str) -> None:
    """Refuses what ``Matrices`` does not know.

    Raises:
        ValueError: It is no such choice.
    """
    if matrices not in get_args(Matrices):
        raise ValueError(f"matrices must be 'all', 'no_embeddings' or 'linear', not {matrices!r}")


def is_matrix(name: str, tensor: Tensor, matrices: Matrices) -> bool:
    """Whether a parameter is merged as a matrix; one without elements is not."""
    if tensor.dim() != 2 or tensor.numel() == 0:
        return False
    if matrices == "linear":
        return name.endswith("weight") and "embed" not in name
    return matrices == "all" or ("embed" not in name and "text_projection" not in name)


def is_outside_layers(name: str) -> bool:
    """Whether a parameter of a CLIP model belongs to no layer: a module that has layers itself holds it directly.

    So it is in Hugging Face's models, with ``class_embedding`` and, in those of both towers, ``logit_scale``. Code that
    goes through the layers, one by one, does not get to see it. open_clip's positional embedding, attention weights and
    projections, which modules with layers hold directly, too, are layers there.
    """
    return name.endswith(_OUTSIDE_LAYERS)


def is_fused_attention(name: str, tensor: Tensor) -> bool:
    """Whether a matrix holds the projections to queries, keys and values, one below the other."""
    return name.endswith(("in_proj_weight", "qkv.weight")) and tensor.shape[0] % 3 == 0


def combine_rest(vectors: Tensor, rest: Rest) -> Tensor:
    """The merged task vector of a parameter that is no matrix, of all tasks' (T, *shape)."""
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
