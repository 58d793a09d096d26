"""A CLIP model of a few thousand weights, written as other libraries write theirs."""

import json
from collections.abc import Mapping
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

CONFIGURATION = {
    "embed_dim": 12,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 16, "head_width": 8, "patch_size": 16, "mlp_ratio": 2.0},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1, "mlp_ratio": 2.0},
}
LAYERS = (("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"))


def register(folder: Path, monkeypatch) -> None:
    """Lets open_clip know the small model, as `small` and, with the plain activation, `small-gelu`."""
    for name, quick in (("small-quickgelu", True), ("small", False)):
        (folder / f"{name}.json").write_text(json.dumps({**CONFIGURATION, "quick_gelu": quick}))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", list(open_clip.factory._MODEL_CONFIG_PATHS))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
    open_clip.add_model_config(folder)


def model(seed: int = 0) -> dict[str, Tensor]:
    """open_clip's names and tensors; halves can hold all of them."""
    torch.manual_seed(seed)
    state = open_clip.model.CLIP(**CONFIGURATION).state_dict()
    return {name: torch.randn(tensor.shape).mul(0.1).half().float() for name, tensor in state.items()}


def hugging_face(state: Mapping[str, Tensor], prefix: str = "vision_model.") -> dict[str, Tensor]:
    """As `transformers` names them in a `CLIPModel`, one line for each kind of tensor."""
    width = {"vision_model": state["visual.conv1.weight"].shape[0], "text_model": state["ln_final.weight"].shape[0]}
    found = {
        "logit_scale": state["logit_scale"],
        "visual_projection.weight": state["visual.proj"].T.contiguous(),
        "text_projection.weight": state["text_projection"].T.contiguous(),
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
        "text_model.final_layer_norm.weight": state["ln_final.weight"],
        "text_model.final_layer_norm.bias": state["ln_final.bias"],
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.position_embedding.weight": state["visual.positional_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "vision_model.pre_layrnorm.weight": state["visual.ln_pre.weight"],
        "vision_model.pre_layrnorm.bias": state["visual.ln_pre.bias"],
        "vision_model.post_layernorm.weight": state["visual.ln_post.weight"],
        "vision_model.post_layernorm.bias": state["visual.ln_post.bias"],
    }
    for tower, own, blocks in (("vision_model", "visual.", 2), ("text_model", "", 1)):
        for number in range(blocks):
            theirs, ours = f"{tower}.encoder.layers.{number}", f"{own}transformer.resblocks.{number}"
            for kind in ("weight", "bias"):
                for i, letter in enumerate("qkv"):
                    rows = state[f"{ours}.attn.in_proj_{kind}"][i * width[tower] : (i + 1) * width[tower]]
                    found[f"{theirs}.self_attn.{letter}_proj.{kind}"] = rows.clone()
                found[f"{theirs}.self_attn.out_proj.{kind}"] = state[f"{ours}.attn.out_proj.{kind}"]
                for name, here in LAYERS:
                    found[f"{theirs}.{name}.{kind}"] = state[f"{ours}.{here}.{kind}"]
    return {prefix + name.removeprefix("vision_model.") if "vision_" in name else name: t for name, t in found.items()}


def vision_alone(tensors: Mapping[str, Tensor], projection: bool = False) -> dict[str, Tensor]:
    """As a `CLIPVisionModel`, or a `CLIPVisionModelWithProjection`, has them."""
    text = ("text_", "logit_scale") if projection else ("text_", "logit_scale", "visual_projection")
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(text)}


def torchscript(path: Path, state: Mapping[str, Tensor], settings: bool = True) -> Path:
    """As OpenAI's releases: a tree of modules with weights in half precision, and three numbers."""
    root = _Node()
    for name, tensor in state.items():
        _put(root, name, nn.Parameter(tensor.half(), requires_grad=False))
    if settings:
        for name, value in (("input_resolution", 32), ("context_length", 77), ("vocab_size", 49408)):
            root.register_buffer(name, torch.tensor(value))
    root.visual.attn_mask = torch.zeros(3)  # an attribute, and no part of the state
    torch.jit.save(torch.jit.script(root), path)
    return path


class _Node(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images


def _put(root: nn.Module, name: str, value: nn.Parameter) -> None:
    *path, last = name.split(".")
    for part in path:
        if part not in root._modules:
            root.add_module(part, _Node())
        root = root._modules[part]
    root.register_parameter(last, value)


def sharded(folder: Path, tensors: Mapping[str, Tensor]) -> Path:
    """`pytorch_model.bin.index.json` and two files beside it."""
    folder.mkdir(exist_ok=True)
    half = len(tensors) // 2
    parts = {"one.bin": dict(list(tensors.items())[:half]), "two.bin": dict(list(tensors.items())[half:])}
    for file, part in parts.items():
        torch.save(part, folder / file)
    index = {"metadata": {}, "weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder / "pytorch_model.bin.index.json"


def safetensors(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    """One file."""
    save_file({name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}, path)
    return path
