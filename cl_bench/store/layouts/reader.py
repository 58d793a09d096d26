"""Reads an image encoder from a file that any of several libraries wrote, by the names that θ₀ has."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from cl_bench.runtime.errors import UserError, shortened
from cl_bench.store.layouts import clip
from cl_bench.store.models import read_model


class Read(NamedTuple):
    """What a file holds of an image encoder.

    Attributes:
        weights: Under θ₀'s names and in its order; parts that the file lacks, such as a projection, are θ₀'s.
        layout: In words, for the record.
    """

    weights: Mapping[str, Tensor]
    layout: str


def read_like(path: Path, pretrained: Mapping[str, Tensor]) -> Read:
    """Read an image encoder; files are mapped into memory.

    Args:
        path: As ``read_model`` takes it.
        pretrained: θ₀ as open_clip names an image tower, without a prefix.

    Raises:
        UserError: The file cannot be read, or holds something else than θ₀'s architecture; names it.
    """
    tensors = read_model(path)
    kind = clip.layout(tensors)
    try:
        whole = clip.to_open_clip(tensors)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    found = {name.removeprefix("visual."): tensor for name, tensor in whole.items() if name.startswith("visual.")}
    missing = pretrained.keys() - found.keys() - {"proj"}
    if kind is None or missing or found.keys() - pretrained.keys():
        raise UserError(f"{path} is no encoder like the pre-trained one: it lacks {shortened(sorted(missing))}.")
    for name, tensor in found.items():
        if tensor.shape != pretrained[name].shape:
            shapes = f"{tuple(tensor.shape)}, but {tuple(pretrained[name].shape)} in the pre-trained one"
            raise UserError(f"{path}: {name!r} has shape {shapes}.")
    return Read({name: found.get(name, tensor) for name, tensor in pretrained.items()}, kind)
