"""Reads models that others made, in memory or in files, as names and tensors."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cl_bench.runtime.errors import UserError, each
from cl_bench.store.layouts import pickled, torchscript
from cl_bench.store.layouts.files import is_adapter, model_file, weight_map

Model = Mapping[str, Tensor] | nn.Module | str | os.PathLike[str]
"""Names and tensors; a module; or the path of a file or folder, see ``read_model``."""


def weights_of(model: Model) -> Mapping[str, Tensor]:
    """Names and tensors of a model, not copied; those of a file are mapped into memory.

    Raises:
        UserError: A file cannot be read, see ``read_model``.
    """
    if isinstance(model, nn.Module):
        state: dict[str, Tensor] = model.state_dict()
        return state
    return read_model(Path(model)) if isinstance(model, (str, os.PathLike)) else model


def read_model(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a model. Code that a file may contain is never run.

    Files are mapped into memory: a tensor takes memory only when it is used, and the system may free it again at any
    time. Only PyTorch files from before version 1.6 are read whole.

    Args:
        path: A safetensors file; a PyTorch file with names and tensors, alone or under ``state_dict``; a TorchScript
            archive, see ``layouts.torchscript``; an encoder of task_vectors, see ``layouts.pickled``; an index
            ``*.safetensors.index.json`` or ``*.bin.index.json`` beside the files that it names; or a folder with
            safetensors or, without any, ``*.bin`` files.

    Raises:
        UserError: The file is missing, damaged, or holds something else; names it.
    """
    file = model_file(path)
    if is_adapter(path):
        raise UserError(f"{path} is a LoRA expert, a change of θ₀ and no model; read_like(path, pretrained) reads it.")
    return _read_sharded(file) if file.suffix == ".json" else _read_file(file)


def _read_file(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _read_torchscript(path) if torchscript.is_archive(path) else _read_pytorch(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({error}). Fetch or write it anew.") from error


def _read_sharded(index: Path) -> dict[str, Tensor]:
    files = weight_map(index)
    parts = list(dict.fromkeys(files.values()))
    tensors = dict(zip(parts, each(parts, _read_file), strict=True))
    if lost := [name for name, file in files.items() if name not in tensors[file]]:
        raise UserError(f"{index} says that {lost[0]!r} is in {files[lost[0]].name}, where it is not.")
    return {name: tensors[file][name] for name, file in files.items()}


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    try:
        return torchscript.read(path)
    except Exception as error:  # as for other PyTorch files
        raise UserError(
            f"{path} cannot be read as a TorchScript archive of modules and tensors ({error}): it is damaged, or holds "
            "something else. From a model that you trust, save model.state_dict()."
        ) from error


def _read_pytorch(path: Path) -> dict[str, Tensor]:
    try:
        # The format before PyTorch 1.6 is no zip archive, and cannot be mapped.
        content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # an unpickler may raise anything when it reads another kind of file
        return _read_pickled(path, error)
    tensors = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(tensors, Mapping) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise UserError(f"{path} holds something else than names and tensors, alone or under 'state_dict'.")
    return dict(tensors)


def _read_pickled(path: Path, error: Exception) -> dict[str, Tensor]:
    """What PyTorch itself refuses to read, since it holds objects."""
    try:
        return pickled.read(path)
    except Exception as refused:
        held = f" ({refused})" if isinstance(refused, pickled.OtherObject) else ""
        raise UserError(
            f"{path} cannot be read as a PyTorch file of tensors alone: it is damaged, or holds objects{held}, which "
            "would run their own code. From a model that you trust, save model.state_dict()."
        ) from error
