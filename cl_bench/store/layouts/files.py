"""Which files a model's path stands for: one file, the parts that an index names, or what a folder holds."""

import json
from pathlib import Path

from cl_bench.runtime.errors import UserError, shortened

ADAPTER = "adapter_config.json"
"""What PEFT says of an expert that is a change of θ₀; the change itself lies beside it."""

_OF_TRAINING = "training_args.bin"  # beside models of transformers' Trainer
_MODELS = ("*.safetensors.index.json", "*.safetensors", "*.bin.index.json", "*.bin")


def files_of(path: Path) -> list[Path]:
    """All files whose content makes the model, in a fixed order: a hash of them is a hash of the model.

    Args:
        path: As ``read_like`` takes it.

    Raises:
        UserError: A file is missing, or a folder holds none or several models; names it.
    """
    path = path.expanduser()
    file = model_file(path)
    if is_adapter(path):
        return [file.parent / ADAPTER, file]
    return [file, *sorted(set(weight_map(file).values()))] if file.suffix == ".json" else [file]


def is_adapter(path: Path) -> bool:
    """Whether a path is the folder of an adapter of PEFT."""
    return (path / ADAPTER).is_file()


def model_file(path: Path) -> Path:
    """The file of a model, or the index of its files.

    Raises:
        UserError: There is none, or a folder holds several.
    """
    try:
        file = _in_folder(path) if path.is_dir() else path
        is_there = file.is_file()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}).") from error
    if not is_there:
        raise UserError(f"There is no model {path}.")
    return file


def weight_map(index: Path) -> dict[str, Path]:
    """The file of each tensor, by its name, as an index says.

    Raises:
        UserError: It is no index, or a file that it names is missing.
    """
    try:
        names: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = {name: index.parent / file for name, file in names.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is no index of a model's files: it lacks a 'weight_map' of names.") from error
    if absent := sorted({str(path) for path in files.values() if not path.is_file()}):
        raise UserError(f"{index} names files that are not there: {shortened(absent)}.")
    return files


def _in_folder(folder: Path) -> Path:
    models = ([file for file in sorted(folder.glob(kind)) if file.name != _OF_TRAINING] for kind in _MODELS)
    found = next(filter(None, models), [])
    if len(found) != 1:
        held = f"several models ({', '.join(file.name for file in found)})" if found else "no safetensors file"
        raise UserError(f"The folder {folder} holds {held}; name the file of the model.")
    return found[0]
