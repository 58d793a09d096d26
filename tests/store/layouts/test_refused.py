"""Files that hold something else than one encoder of θ₀'s architecture: one line names what, and nothing is guessed."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cl_bench.runtime.errors import UserError
from cl_bench.store.layouts.files import files_of
from cl_bench.store.layouts.reader import read_like
from tests.store import clip_files as files

THETA_0 = {name.removeprefix("visual."): t for name, t in files.model().items() if name.startswith("visual.")}
THEIRS = files.vision_alone(files.hugging_face(files.model(1)), projection=True)
Tensors = dict[str, Tensor]
LAYER = "vision_model.encoder.layers.0"


def without(tensors: Tensors, name: str) -> Tensors:
    assert name in tensors
    return {own: tensor for own, tensor in tensors.items() if own != name}


def under(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


REFUSED: dict[str, tuple[Tensors, str]] = {
    "no q": (
        without(THEIRS, f"{LAYER}.self_attn.q_proj.bias"),
        "'visual.transformer.resblocks.0.attn.in_proj_bias' needs .* 'self_attn.q_proj' is missing",
    ),
    "no layer norm": (
        without(THEIRS, f"{LAYER}.layer_norm1.weight"),
        "lacks 'transformer.resblocks.0.ln_1.weight'",
    ),
    "no parameter": (without(THETA_0, "ln_post.bias"), "lacks 'ln_post.bias'"),
    "no landmark": (without(THETA_0, "class_embedding"), "those of no layout of the pre-trained encoder"),
    "a shape": (
        THEIRS | {f"{LAYER}.self_attn.k_proj.weight": torch.ones(16, 4)},
        rf"'{LAYER}.self_attn.k_proj.weight' has shape \(16, 4\), but \(16, 16\) in the pre-trained model",
    ),
    "a transposed shape": (
        THEIRS | {"visual_projection.weight": torch.ones(16, 12)},
        r"'visual_projection.weight' has shape \(16, 12\), but \(12, 16\)",
    ),
    "one layer more": (
        THETA_0 | {n.replace("resblocks.1", "resblocks.2"): t for n, t in THETA_0.items() if "resblocks.1" in n},
        "has the unknown 'transformer.resblocks.2.attn.in_proj_bias'",
    ),
    "a bias more": (
        THEIRS | {"vision_model.embeddings.patch_embedding.bias": torch.ones(16)},  # SigLIP has it
        "'vision_model.embeddings.patch_embedding.bias' is no tensor of Hugging Face's CLIP",
    ),
    "two prefixes": (
        under("student.", THETA_0) | under("teacher.", THETA_0),
        r"several image encoders, under 'student\.' \(tower\), 'teacher\.' \(tower\); save the one",
    ),
    "two layouts": (THETA_0 | THEIRS, r"several image encoders, under '' \(tower\), '' \(hugging face\)"),
    "an encoder and one under a prefix": (THETA_0 | under("ema.", THEIRS), "several image encoders"),
    "a name with and without vision_model": (
        THEIRS | {"post_layernorm.bias": torch.ones(16)},
        "'post_layernorm.bias' and 'vision_model.post_layernorm.bias' are the same parameter",
    ),
    "an adapter beside the encoder": (
        under("encoder.", THETA_0) | {"adapter.weight": torch.ones(12, 12)},
        "'adapter.weight' is no part of the image encoder under 'encoder.'",
    ),
    "an adapter beside both towers": (
        files.model(1) | {"adapter.weight": torch.ones(12, 12)},
        "nobody knows what 'adapter.weight' stands for",
    ),
    "half a text tower beside Hugging Face's": (
        THEIRS | {"text_model.adapter.weight": torch.ones(1)},
        "'text_model.adapter.weight' is no tensor of Hugging Face's CLIP",
    ),
    "a LoRA expert's weights": (
        {"base_model.model.encoder.layers.0.mlp.fc1.lora_A.weight": torch.ones(2, 2)},
        "is a LoRA expert's; name the folder with its adapter_config.json",
    ),
    "something else": ({"fc.weight": torch.ones(2, 2)}, r"its names \(fc\.weight.*those of no layout"),
    "nothing": ({}, "those of no layout"),
}


@pytest.mark.parametrize(("tensors", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_encoder_like_theta_0_is_refused(tensors: Tensors, message: str, tmp_path: Path) -> None:
    path = files.safetensors(tmp_path / "expert.safetensors", tensors)
    with pytest.raises(UserError, match=message) as raised:
        read_like(path, THETA_0)
    assert str(raised.value).startswith(f"{path}: ") and "\n" not in str(raised.value)


LAYOUTS = {
    "tower": THETA_0,
    "whole": files.model(1),
    "hugging face": THEIRS,
    "under a prefix": under("net.", THETA_0),
}
NOT_NEEDED = re.compile(r"(net\.|visual\.)?proj|visual_projection\.weight")


@pytest.mark.parametrize("tensors", LAYOUTS.values(), ids=LAYOUTS)
def test_no_name_of_a_tower_may_be_missing_misspelt_or_there_twice(tensors: Tensors, tmp_path: Path) -> None:
    image = [name for name in tensors if name.startswith("visual.") or "visual.proj" not in tensors]
    path = tmp_path / "expert.pt"
    for name in image:
        other = without(tensors, name)
        for edited in (other, other | {f"{name}_": tensors[name]}, tensors | {f"{name}_": tensors[name]}):
            torch.save(edited, path)
            if edited is other and NOT_NEEDED.fullmatch(name):
                read_like(path, THETA_0)
                continue
            with pytest.raises(UserError, match=r"expert\.pt: "):
                read_like(path, THETA_0)


def cut_off(folder: Path) -> Path:
    path = files.safetensors(folder / "expert.safetensors", THEIRS)
    path.write_bytes(path.read_bytes()[:-100])
    return path


def lost_shard(folder: Path) -> Path:
    index = files.sharded(folder / "expert", THEIRS)
    (index.parent / "two.bin").unlink()
    return index.parent


def two_models(folder: Path) -> Path:
    files.safetensors(folder / "a.safetensors", THEIRS)
    files.safetensors(folder / "b.safetensors", THEIRS)
    return folder


DAMAGED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "cut off": (cut_off, r"expert\.safetensors cannot be read as safetensors"),
    "a lost shard": (lost_shard, r"names files that are not there: .*two\.bin"),
    "two models": (two_models, r"several models \(a\.safetensors, b\.safetensors\)"),
    "nothing": (lambda folder: folder / "absent.safetensors", r"There is no model .*absent\.safetensors"),
}


@pytest.mark.parametrize(("write", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_files_are_named(write: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(UserError, match=message):
        read_like(path, THETA_0)
    if message.startswith(("names", "several", "There")):
        with pytest.raises(UserError, match=message):
            files_of(path)


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch) -> None:
    files.safetensors(tmp_path / "expert.safetensors", THEIRS)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files_of(Path("~/expert.safetensors")) == [tmp_path / "expert.safetensors"]
    bias = read_like(Path("~/expert.safetensors"), THETA_0).weights["ln_pre.bias"]
    assert torch.equal(bias, files.model(1)["visual.ln_pre.bias"])
