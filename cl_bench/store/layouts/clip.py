"""CLIP in the layouts of open_clip and of Hugging Face's `transformers`, and how to convert one into the other.

open_clip has `visual.…` for the image tower, and names without a prefix for the text tower; the image tower alone has
no prefix. Hugging Face has `vision_model.…`, `text_model.…` and projections beside them: `CLIPModel` both towers,
`CLIPVisionModelWithProjection` the image tower and its projection, `CLIPVisionModel` the image tower alone, with or
without the prefix. There, q, k and v are three matrices, and projections are transposed.
"""

import re
from collections.abc import Collection, Mapping
from typing import Literal

import torch
from torch import Tensor

from cl_bench.runtime.errors import UserError

_IMAGE = {
    "class_embedding": "embeddings.class_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "conv1.weight": "embeddings.patch_embedding.weight",
    "ln_pre.weight": "pre_layrnorm.weight",
    "ln_pre.bias": "pre_layrnorm.bias",
    "ln_post.weight": "post_layernorm.weight",
    "ln_post.bias": "post_layernorm.bias",
}
_TEXT = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_LAYERS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_TO_HUGGING_FACE = (
    {f"visual.{ours}": f"vision_model.{theirs}" for ours, theirs in _IMAGE.items()}
    | {ours: f"text_model.{theirs}" for ours, theirs in _TEXT.items()}
    | {"visual.proj": "visual_projection.weight", "text_projection": "text_projection.weight"}
    | {"logit_scale": "logit_scale"}
)
_TO_OPEN_CLIP = {theirs: ours for ours, theirs in _TO_HUGGING_FACE.items()}
_LAYERS_TO_OPEN_CLIP = {theirs: ours for ours, theirs in _LAYERS.items()}
_TRANSPOSED = ("visual.proj", "text_projection")
_PATCHES = "embeddings.patch_embedding.weight"

_THEIR_LAYER = re.compile(r"(vision|text)_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_OWN_LAYER = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)[._](weight|bias)")

Layout = Literal["open_clip", "tower", "hugging_face"]


def layout(names: Collection[str]) -> Layout | None:
    """The layout of a CLIP model, by its names; `tower` is open_clip's image tower alone, None any other model."""
    if _PATCHES in names or f"vision_model.{_PATCHES}" in names:
        return "hugging_face"
    if any(name.startswith("visual.") for name in names):
        return "open_clip"
    residual = "conv1.weight" in names and "attnpool.positional_embedding" in names
    return "tower" if residual or ("conv1.weight" in names and "class_embedding" in names) else None


def has_text_tower(names: Collection[str]) -> bool:
    """Whether a CLIP model has both towers."""
    return any(part(name, layout(names)) == "text" for name in names)


def part(name: str, kind: Layout | None) -> Literal["image", "projection", "text"]:
    """The part of a CLIP model, in a given layout, that a tensor belongs to."""
    if name in {"open_clip": ("visual.proj",), "tower": ("proj",), None: ()}.get(kind, ("visual_projection.weight",)):
        return "projection"
    if kind == "open_clip":
        return "image" if name.startswith("visual.") else "text"
    text = kind == "hugging_face" and name.startswith(("text_model.", "text_projection.", "logit_scale"))
    return "text" if text else "image"


def to_open_clip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A CLIP model, or part of one, with open_clip's names, and `visual.` before the image tower.

    Raises:
        UserError: The layout does not have a name.
    """
    kind = layout(tensors)
    if kind == "tower":
        return {f"visual.{name}": tensor for name, tensor in tensors.items()}
    return _from_hugging_face(tensors) if kind == "hugging_face" else dict(tensors)


def like(tensors: Mapping[str, Tensor], pretrained: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A model in the layout of another one; unchanged if it has that layout, or is not a CLIP model.

    Raises:
        UserError: The layout does not have a name.
    """
    given, wanted = layout(tensors), layout(pretrained)
    if given is None or wanted is None or tensors.keys() == pretrained.keys():
        return tensors
    if wanted != "hugging_face":
        return tensors if given == wanted else _open_clip_as(wanted, to_open_clip(tensors))
    model = _with_prefix(tensors) if given == wanted else _to_hugging_face(to_open_clip(tensors))
    if _PATCHES in pretrained:
        return {name.removeprefix("vision_model."): tensor for name, tensor in model.items()}
    return model


def missing_parts(tensors: Mapping[str, Tensor], pretrained: Mapping[str, Tensor]) -> set[str]:
    """Which tensors of θ₀ a CLIP model in its layout need not have: a projection or text tower that it is without.

    Positions that are just counted through are not needed either.
    """
    kind = layout(pretrained)
    if kind is None or layout(tensors) != kind:
        return set()
    there = {part(name, kind) for name in tensors} | {"image"}
    return {n for n in pretrained.keys() - tensors.keys() if part(n, kind) not in there or n.endswith(".position_ids")}


def _open_clip_as(wanted: Layout, model: dict[str, Tensor]) -> dict[str, Tensor]:
    if wanted == "open_clip":
        return model
    return {name.removeprefix("visual."): tensor for name, tensor in model.items()}


def _with_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's names, all with their prefix, without positions that are just counted through."""
    known = ("vision_model.", "text_model.", "visual_projection.", "text_projection.", "logit_scale")
    return {
        name if name.startswith(known) else f"vision_model.{name}": tensor
        for name, tensor in tensors.items()
        if not name.endswith(".position_ids")
    }


def _from_hugging_face(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    model: dict[str, Tensor] = {}
    attention: dict[str, dict[str, Tensor]] = {}
    for name, tensor in _with_prefix(tensors).items():
        if ours := _TO_OPEN_CLIP.get(name):
            model[ours] = tensor.T.contiguous() if ours in _TRANSPOSED else tensor
            continue
        found = _THEIR_LAYER.fullmatch(name)
        tower, number, layer, kind = found.groups() if found else ("", "", "", "")
        block = f"{'visual.' if tower == 'vision' else ''}transformer.resblocks.{number}"
        if layer in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
            attention.setdefault(f"{block}.attn.in_proj_{kind}", {})[layer[10]] = tensor
        elif layer in _LAYERS_TO_OPEN_CLIP:
            model[f"{block}.{_LAYERS_TO_OPEN_CLIP[layer]}.{kind}"] = tensor
        else:
            raise UserError(f"{name!r} is no tensor of Hugging Face's CLIP, which open_clip would have a place for")
    for name, parts in attention.items():
        if parts.keys() != {"q", "k", "v"}:
            raise UserError(f"{name!r} needs the q, k and v of Hugging Face's CLIP, of which some are missing")
        model[name] = torch.cat([parts["q"], parts["k"], parts["v"]])
    return model


def _to_hugging_face(model: Mapping[str, Tensor]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.items():
        if theirs := _TO_HUGGING_FACE.get(name):
            tensors[theirs] = tensor.T.contiguous() if name in _TRANSPOSED else tensor
            continue
        found = _OWN_LAYER.fullmatch(name)
        tower, number, layer, kind = found.groups() if found else ("", "", "", "")
        block = f"{'vision' if tower else 'text'}_model.encoder.layers.{number}"
        if layer == "attn.in_proj":
            for letter, each in zip("qkv", tensor.chunk(3), strict=True):
                tensors[f"{block}.self_attn.{letter}_proj.{kind}"] = each
        elif layer in _LAYERS:
            tensors[f"{block}.{_LAYERS[layer]}.{kind}"] = tensor
        else:
            raise UserError(f"{name!r} is no tensor of open_clip's CLIP that Hugging Face's would have a place for")
    return tensors
