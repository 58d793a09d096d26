"""The names of a CLIP model in open_clip and in Hugging Face's `transformers`, and which of them mean the same.

open_clip has `visual.…` for the image tower, and names without a prefix for the text tower. Hugging Face has
`vision_model.…`, `text_model.…` and projections beside them. There, q, k and v are three matrices, and projections are
transposed.
"""

import re
from collections.abc import Iterable

from cl_bench.runtime.errors import UserError
from cl_bench.store.layouts.converted import THIRDS, Place

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
_TRANSPOSED = {"visual.proj": "visual_projection.weight", "text_projection": "text_projection.weight"}
_SAME = (
    {f"visual.{own}": f"vision_model.{theirs}" for own, theirs in _IMAGE.items()}
    | {own: f"text_model.{theirs}" for own, theirs in _TEXT.items()}
    | {"logit_scale": "logit_scale"}
)
_SAME_TO_OWN = {theirs: own for own, theirs in _SAME.items()}
_TRANSPOSED_TO_OWN = {theirs: own for own, theirs in _TRANSPOSED.items()}
_LAYERS_TO_OWN = {theirs: own for own, theirs in _LAYERS.items()}

_THEIR_LAYER = re.compile(r"(vision|text)_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_OWN_LAYER = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)[._](weight|bias)")
_ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")


def from_hugging_face(names: Iterable[str]) -> dict[str, Place]:
    """For each of open_clip's names, where its tensor lies in a model of Hugging Face.

    Args:
        names: Hugging Face's, with `vision_model.`.

    Raises:
        UserError: A name is none of Hugging Face's CLIP, or one of q, k and v is missing.
    """
    places, attention = dict[str, Place](), dict[str, dict[str, str]]()
    for name in names:
        if own := _SAME_TO_OWN.get(name):
            places[own] = Place((name,))
        elif own := _TRANSPOSED_TO_OWN.get(name):
            places[own] = Place((name,), "transposed")
        else:
            block, layer, kind = _their_layer(name)
            if layer in _ATTENTION:
                attention.setdefault(f"{block}.attn.in_proj_{kind}", {})[layer] = name
            elif layer in _LAYERS_TO_OWN:
                places[f"{block}.{_LAYERS_TO_OWN[layer]}.{kind}"] = Place((name,))
            else:
                raise UserError(f"{name!r} is no tensor of Hugging Face's CLIP, which open_clip would have a place for")
    for own, parts in attention.items():
        if lost := [layer for layer in _ATTENTION if layer not in parts]:
            raise UserError(f"{own!r} needs the q, k and v of Hugging Face's CLIP, of which {lost[0]!r} is missing")
        places[own] = Place(tuple(parts[layer] for layer in _ATTENTION), "stacked")
    return places


def to_hugging_face(names: Iterable[str]) -> dict[str, Place]:
    """For each of Hugging Face's names, where its tensor lies in a model of open_clip.

    Args:
        names: open_clip's, with `visual.` before the image tower.

    Raises:
        UserError: A name is none of open_clip's CLIP.
    """
    places = dict[str, Place]()
    for name in names:
        if name in _SAME:
            places[_SAME[name]] = Place((name,))
            continue
        if name in _TRANSPOSED:
            places[_TRANSPOSED[name]] = Place((name,), "transposed")
            continue
        found = _OWN_LAYER.fullmatch(name)
        tower, number, layer, kind = found.groups() if found else ("", "", "", "")
        block = f"{'vision' if tower else 'text'}_model.encoder.layers.{number}"
        if layer == "attn.in_proj":
            places |= {
                f"{block}.{part}.{kind}": Place((name,), third) for part, third in zip(_ATTENTION, THIRDS, strict=True)
            }
        elif layer in _LAYERS:
            places[f"{block}.{_LAYERS[layer]}.{kind}"] = Place((name,))
        else:
            raise UserError(f"{name!r} is no tensor of open_clip's CLIP that Hugging Face's would have a place for")
    return places


def _their_layer(name: str) -> tuple[str, str, str]:
    found = _THEIR_LAYER.fullmatch(name)
    tower, number, layer, kind = found.groups() if found else ("", "", "", "")
    return f"{'visual.' if tower == 'vision' else ''}transformer.resblocks.{number}", layer, kind
