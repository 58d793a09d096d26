"""An image tower of open_clip as the files of a `CLIPVisionModelWithProjection`.

The projection is part of the encoder that is trained here, so that a `CLIPVisionModel`, which has none, would not do.
"""

from collections.abc import Mapping
from typing import Any

import open_clip
import torch
from torch import Tensor

from cl_bench.backbones import Backbone, Clip
from cl_bench.runtime.errors import UserError
from cl_bench.store.layouts.clip_names import to_hugging_face
from cl_bench.store.layouts.converted import Converted

_CLASS = "CLIPVisionModelWithProjection"
_HELD = ("image_size", "layers", "width", "head_width", "mlp_ratio", "patch_size", "patch_dropout")


def check_held(backbone: Backbone) -> Clip:
    """Refuses an image tower that the layout has no place for; returns the others.

    Raises:
        UserError: It is no plain vision transformer of open_clip.
    """
    problem = _problem(backbone) if isinstance(backbone, Clip) else "it is no CLIP model of open_clip"
    if problem or not isinstance(backbone, Clip):
        raise UserError(f"{backbone.name}: {problem}, which a {_CLASS} cannot hold; merged.safetensors can.")
    return backbone


def config(backbone: Clip, dtype: torch.dtype) -> dict[str, Any]:
    """The content of `config.json`, for weights of a type."""
    tower = _tower(backbone)
    width = int(tower["width"])
    return {
        "architectures": [_CLASS],
        "model_type": "clip_vision_model",
        "hidden_size": width,
        "intermediate_size": int(width * tower.get("mlp_ratio", 4.0)),
        "projection_dim": int(backbone.text_identity["configuration"]["embed_dim"]),
        "num_hidden_layers": int(tower["layers"]),
        "num_attention_heads": width // int(tower.get("head_width", 64)),
        "num_channels": 3,
        "image_size": backbone.transform.size,
        "patch_size": int(tower["patch_size"]),
        "hidden_act": "quick_gelu" if backbone.text_identity["configuration"].get("quick_gelu") else "gelu",
        "layer_norm_eps": 1e-5,
        "attention_dropout": 0.0,
        "torch_dtype": str(dtype).removeprefix("torch."),
    }


def preprocessing(backbone: Backbone) -> dict[str, Any]:
    """The content of `preprocessor_config.json`: the transform that images are evaluated with."""
    size, images = backbone.transform.size, backbone.identity["preprocessing"]
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": size},
        "resample": 3,  # bicubic
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(images["mean"]),
        "image_std": list(images["std"]),
    }


def tensors(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The content of `model.safetensors`, from the names and tensors of an image tower of open_clip."""
    whole = {f"visual.{name}": tensor for name, tensor in weights.items()}
    converted = Converted(whole, to_hugging_face(whole))
    return {name: tensor.clone() for name, tensor in converted.items()}  # thirds of a matrix share its memory


def _problem(backbone: Clip) -> str | None:
    if not isinstance(backbone.encoder, open_clip.transformer.VisionTransformer):
        return f"its image tower is a {type(backbone.encoder).__name__}"
    if others := sorted(key for key, value in _tower(backbone).items() if key not in _HELD and value):
        return f"its image tower is built with {', '.join(others)}"
    sides = [size for key in ("image_size", "patch_size") if isinstance(size := _tower(backbone)[key], list | tuple)]
    return "its images or patches are no squares" if sides else None


def _tower(backbone: Clip) -> Mapping[str, Any]:
    tower: Mapping[str, Any] = backbone.text_identity["configuration"]["vision_cfg"]
    return tower
