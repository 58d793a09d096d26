"""Reads LoRA experts of PEFT: folders with what was added to the weight matrices of θ₀ (Hu et al. 2021, 2106.09685).

A matrix W becomes W + scale · BA. PEFT names matrices as Hugging Face's CLIP does.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cl_bench.runtime.errors import UserError, shortened
from cl_bench.store.layouts.clip_names import from_hugging_face, to_hugging_face
from cl_bench.store.layouts.converted import Converted
from cl_bench.store.layouts.files import ADAPTER, model_file
from cl_bench.store.models import read_model

_MATRIX = re.compile(r"(?P<prefix>(?:\w+\.)*?)(?P<module>(?:encoder\.layers\.\d+\.[\w.]+|visual_projection))")
_TENSOR = re.compile(r"base_model\.model\.(?P<path>.+)\.lora_(?P<factor>[AB])\.weight")

_STARTS_FROM_THETA_0 = (True, False, None, "gaussian", "eva", "orthogonal")
"""Ways to begin that leave θ₀ as it is; others subtract something from it, which the folder does not hold."""

_KNOWN = {
    "peft_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "init_lora_weights",
    # Which matrices have a change is seen in the weights, and how it was trained does not matter.
    "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "lora_dropout", "inference_mode",
    "eva_config",
    # Of where it comes from.
    "base_model_name_or_path", "revision", "task_type", "auto_mapping", "peft_version",
    # For linear layers, PEFT itself takes it for False; all of CLIP's matrices are such.
    "fan_in_fan_out",
    # Parameters of what must be off.
    "megatron_core", "qalora_group_size",
}  # fmt: skip
_OFF: tuple[Any, ...] = (None, False, "none", {}, [])


class Expert(NamedTuple):
    """A LoRA expert.

    Attributes:
        weights: θ₀ with its changes, each computed when it is read.
        layout: In words, for the record.
        changed: The names of θ₀'s parameters that have a change.
    """

    weights: Mapping[str, Tensor]
    layout: str
    changed: set[str]


class _Change(NamedTuple):
    a: Tensor  # (r, inputs)
    b: Tensor  # (outputs, r)
    scale: float


def read(folder: Path, pretrained: Mapping[str, Tensor]) -> Expert:
    """Read a folder that PEFT wrote.

    Args:
        folder: With `adapter_config.json` and the file of the weights.
        pretrained: θ₀ as open_clip names an image tower, without a prefix.

    Raises:
        UserError: The folder cannot be read, holds something else than LoRA matrices, or they do not fit θ₀; names it.
    """
    config = _config(folder / ADAPTER)
    tensors = read_model(model_file(folder))
    try:
        whole = {f"visual.{name}": tensor for name, tensor in pretrained.items()}
        theirs = Converted(whole, to_hugging_face(whole))
        changes = _changes(config, tensors, theirs)
        places = from_hugging_face(theirs)
    except UserError as error:
        raise UserError(f"{folder}: {str(error).removesuffix('.')}.") from error
    own = {name.removeprefix("visual."): place for name, place in places.items()}
    changed = {name for name, place in own.items() if changes.keys() & set(place.names)}
    weights = Converted(_Changed(theirs, changes), {name: own[name] for name in changed}, pretrained)
    ranks = sorted({len(change.a) for change in changes.values()})
    return Expert(weights, f"PEFT LoRA of rank {', '.join(map(str, ranks))}", changed)


class _Changed(Mapping[str, Tensor]):
    """Hugging Face's matrices with their changes."""

    def __init__(self, tensors: Mapping[str, Tensor], changes: Mapping[str, _Change]) -> None:
        self._tensors, self._changes = tensors, changes

    def __getitem__(self, name: str) -> Tensor:
        start, change = self._tensors[name], self._changes.get(name)
        if change is None:
            return start
        wide = start.to(torch.promote_types(start.dtype, torch.float32))
        return wide.add(change.b.to(wide) @ change.a.to(wide), alpha=change.scale).to(start.dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind, *_ = config["peft_type"], config["r"], config["lora_alpha"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no configuration of a LoRA expert: it lacks peft_type, r or lora_alpha.") from error
    not_known = sorted(key for key, value in config.items() if key not in _KNOWN and value not in _OFF)
    if kind != "LORA":
        not_known.insert(0, "peft_type")
    if config.get("init_lora_weights") not in _STARTS_FROM_THETA_0:
        not_known.append("init_lora_weights")
    if not_known:
        settings = shortened(f"{key}={json.dumps(config[key])}" for key in not_known)
        raise UserError(
            f"{path}: only plain LoRA matrices can be read, not {settings}. Merge the expert into its model by "
            "merge_and_unload() of PEFT, and save that."
        )
    return dict(config)


def _changes(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], start: Mapping[str, Tensor]
) -> dict[str, _Change]:
    """The changes of Hugging Face's matrices, by their names in whole models."""
    factors, prefixes = dict[str, dict[str, Tensor]](), dict[str, str]()
    for name, tensor in tensors.items():
        found = _TENSOR.fullmatch(name)
        if found is None:
            raise UserError(f"{name!r} is no LoRA matrix of a linear layer")
        factors.setdefault(found["path"], {})[found["factor"]] = tensor
    if not factors:
        raise UserError("it has no LoRA matrices")
    changes = dict[str, _Change]()
    for path, both in factors.items():
        matrix = _MATRIX.fullmatch(path)
        if matrix is None or "text_model." in matrix["prefix"]:
            raise UserError(
                f"{path!r} is no matrix of an image encoder of Hugging Face's CLIP; an expert changes that alone"
            )
        projection = matrix["module"] == "visual_projection"
        prefixes[matrix["prefix"] if projection else matrix["prefix"].removesuffix("vision_model.")] = path
        name = f"{'' if projection else 'vision_model.'}{matrix['module']}.weight"
        if name not in start or start[name].dim() != 2:
            raise UserError(f"{path!r} is no matrix of the pre-trained encoder")
        if name in changes:
            raise UserError(f"{path!r} has two changes")
        changes[name] = _change(config, path, both, tuple(start[name].shape))
    if len(prefixes) > 1:
        raise UserError(f"it changes several encoders: {shortened(prefixes.values())}")
    return changes


def _change(config: Mapping[str, Any], path: str, factors: Mapping[str, Tensor], shape: tuple[int, ...]) -> _Change:
    rank = _by_pattern(config.get("rank_pattern"), path, config["r"])
    alpha = _by_pattern(config.get("alpha_pattern"), path, config["lora_alpha"])
    if type(rank) is not int or rank < 1 or type(alpha) not in (int, float):
        raise UserError(f"the rank {rank!r} or the alpha {alpha!r} of {path!r} is no such number")
    expected = {"A": (rank, shape[1]), "B": (shape[0], rank)}
    for factor, wanted in expected.items():
        found = tuple(factors[factor].shape) if factor in factors else None
        if found != wanted:
            told = f"has shape {found}" if found else "is missing"
            raise UserError(f"lora_{factor} of {path!r} {told}, but the pre-trained model and the rank need {wanted}")
    return _Change(factors["A"], factors["B"], alpha / (math.sqrt(rank) if config.get("use_rslora") else rank))


def _by_pattern(patterns: Mapping[str, Any] | None, path: str, otherwise: Any) -> Any:
    """What PEFT's patterns say of a layer: the first that matches the end of its path counts."""
    for pattern, value in (patterns or {}).items():
        try:
            fits = re.match(rf"(.*\.)?({pattern})$", path)
        except re.error as error:
            raise UserError(f"{pattern!r} is no pattern of layers ({error})") from error
        if fits:
            return value
    return otherwise
