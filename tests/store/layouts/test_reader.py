"""An image encoder from a file of whatever library, by θ₀'s names: its features are those that the library computes."""

import copy
from collections.abc import Callable
from pathlib import Path

import open_clip
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from cl_bench.store.layouts.clip_names import to_hugging_face
from cl_bench.store.layouts.converted import Converted
from cl_bench.store.layouts.files import files_of
from cl_bench.store.layouts.reader import read_like
from tests.store.clip_files import CONFIGURATION, safetensors, sharded
from tests.store.layouts.encoders import (
    Architecture,
    assert_features,
    own_features,
    read,
    shaken,
    small,
    tiny_clip,
    vit_b_32,
)

CLASSES = {
    "CLIPVisionModel": "Hugging Face CLIPVisionModel",
    "CLIPVisionModelWithProjection": "Hugging Face CLIPVisionModelWithProjection",
    "CLIPModel": "Hugging Face CLIPModel",
    "CLIPForImageClassification": "Hugging Face CLIPVisionModel, without its classifier.bias, classifier.weight",
}


@pytest.fixture(scope="module")
def encoder() -> Architecture:
    return small()


@pytest.mark.parametrize("architecture", [small, tiny_clip])
@pytest.mark.parametrize("shards", [False, True])
@pytest.mark.parametrize("name", CLASSES)
def test_models_of_transformers(name: str, shards: bool, architecture, tmp_path: Path) -> None:
    encoder = architecture()
    model = encoder.hugging_face(name)
    model.save_pretrained(tmp_path, max_shard_size="5KB" if shards else "5GB")
    assert (tmp_path / "model.safetensors.index.json").is_file() == shards
    found = read(tmp_path, encoder)
    assert found.layout == CLASSES[name]
    assert_features(found, encoder, own_features(model, encoder.images, encoder.theta_0["proj"]))
    held = set(tmp_path.glob("*.safetensors*"))
    assert set(files_of(tmp_path)) == held and len(held) == (len(files_of(tmp_path)))


def as_in_transformers_4(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """All names with `vision_model.`, and the positions that were stored then."""
    named = {n if n.startswith(("vision_", "visual_")) else f"vision_model.{n}": t for n, t in tensors.items()}
    return named | {"vision_model.embeddings.position_ids": torch.arange(5)[None]}


@pytest.mark.parametrize("architecture", [small, tiny_clip])
@pytest.mark.parametrize("name", ["CLIPVisionModel", "CLIPVisionModelWithProjection"])
def test_names_of_transformers_4(name: str, architecture: Callable[[], Architecture], tmp_path: Path) -> None:
    encoder = architecture()
    model = encoder.hugging_face(name)
    tensors = as_in_transformers_4(model.state_dict())
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    found = read(tmp_path, encoder)
    assert found.layout == f"Hugging Face {name}"
    assert_features(found, encoder, own_features(model, encoder.images, encoder.theta_0["proj"]))


@given(bare=st.sets(st.integers(0, 40)), prefix=st.sampled_from(["", "model.", "net.encoder."]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_vision_model_may_be_missing_in_places(bare, prefix, encoder: Architecture, tmp_path: Path) -> None:
    model = encoder.hugging_face("CLIPVisionModelWithProjection")
    tensors = {
        prefix + (name.removeprefix("vision_model.") if number in bare else name): tensor
        for number, (name, tensor) in enumerate(model.state_dict().items())
    }
    found = read(safetensors(tmp_path / "some.safetensors", tensors), encoder)
    expected = own_features(model, encoder.images, encoder.theta_0["proj"])
    torch.testing.assert_close(encoder.features(found.weights), expected, rtol=1e-5, atol=1e-5)


def tuned_clip() -> nn.Module:
    return shaken(open_clip.model.CLIP(**CONFIGURATION), seed=5)


def lightning(module: nn.Module, folder: Path) -> Path:
    """A checkpoint, as Lightning's trainer writes it."""
    import pytorch_lightning as pl

    class Learner(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.save_hyperparameters({"lr": 1e-5, "folder": folder})  # a path is an object
            self.encoder = module
            self.head = nn.Linear(12, 3)

    trainer = pl.Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
    trainer.strategy.connect(Learner())
    trainer.save_checkpoint(folder / "last.ckpt")
    return folder / "last.ckpt"


def scripted(module: nn.Module, folder: Path, images: Tensor) -> Path:
    torch.jit.trace(module, images, check_trace=False).save(folder / "scripted.pt")
    return folder / "scripted.pt"


def under(prefix: str, module: nn.Module, folder: Path, extra: dict[str, Tensor] | None = None) -> Path:
    path = folder / "state.pt"
    torch.save({f"{prefix}{name}": t for name, t in module.state_dict().items()} | (extra or {}), path)
    return path


OPEN_CLIP: dict[str, tuple[Callable[[nn.Module, Path, Tensor], Path], str]] = {
    "tower": (lambda clip, folder, _: under("", clip.visual, folder), "open_clip, image tower"),
    "visual.": (lambda clip, folder, _: under("visual.", clip.visual, folder), "open_clip, image tower"),
    "whole": (lambda clip, folder, _: under("", clip, folder), "open_clip, whole model"),
    "shards": (lambda clip, folder, _: sharded(folder / "m", clip.state_dict()).parent, "open_clip, whole model"),
    "model.": (lambda clip, folder, _: under("model.", clip, folder), "open_clip, whole model, under 'model.'"),
    "net.": (lambda clip, folder, _: under("net.", clip.visual, folder), "open_clip, image tower, under 'net.'"),
    "head": (
        lambda clip, folder, _: under("", clip.visual, folder, {"head.weight": torch.ones(3, 12)}),
        "open_clip, image tower, without its head.weight",
    ),
    "lightning": (
        lambda clip, folder, _: lightning(clip.visual, folder),
        "open_clip, image tower, under 'encoder.', without its head.weight, head.bias",
    ),
    "lightning whole": (
        lambda clip, folder, _: lightning(clip, folder),
        "open_clip, whole model, under 'encoder.', without its head.weight, head.bias",
    ),
    "torchscript": (lambda clip, folder, images: scripted(clip.visual, folder, images), "open_clip, image tower"),
}


@pytest.mark.parametrize(("write", "layout"), OPEN_CLIP.values(), ids=OPEN_CLIP)
def test_models_of_open_clip(write, layout: str, encoder: Architecture, tmp_path: Path) -> None:
    clip = tuned_clip()
    found = read(write(clip, tmp_path, encoder.images), encoder)
    assert found.layout == layout
    with torch.inference_mode():
        assert_features(found, encoder, clip.encode_image(encoder.images))


@given(prefix=st.lists(st.sampled_from(["a", "model", "visual", "module", "_orig_mod"]), max_size=3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_prefix_of_any_kind(prefix, encoder: Architecture, tmp_path: Path) -> None:
    before = "".join(f"{part}." for part in prefix)
    tensors = {before + name: tensor for name, tensor in shaken(small().tower).state_dict().items()}
    found = read(safetensors(tmp_path / "some.safetensors", tensors), encoder)
    assert all(torch.equal(found.weights[name], tensors[before + name]) for name in encoder.theta_0)


@pytest.fixture(scope="session")
def large() -> Architecture:
    return vit_b_32()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["CLIPVisionModel", "open_clip"])
def test_a_whole_vit_b_32(name: str, large: Architecture, tmp_path: Path) -> None:
    if name == "open_clip":
        tower = shaken(copy.deepcopy(large.tower))
        save_file(tower.state_dict(), tmp_path / "tower.safetensors")
        with torch.inference_mode():
            expected = tower(large.images)
    else:
        model = large.hugging_face(name)
        model.save_pretrained(tmp_path)
        expected = own_features(model, large.images, large.theta_0["proj"])
    features = large.features(read(tmp_path, large).weights)
    scale = float(expected.abs().max())
    torch.testing.assert_close(features / scale, expected / scale, rtol=1e-5, atol=1e-5)


def test_other_architectures_have_their_own_names_under_a_prefix(tmp_path: Path) -> None:
    theta_0 = {"trunk.patch_embed.proj.weight": torch.zeros(3, 3), "trunk.norm.weight": torch.zeros(3)}
    tuned = {f"visual.{name}": tensor + 1 for name, tensor in theta_0.items()} | {"logit_scale": torch.ones(())}
    found = read_like(safetensors(tmp_path / "timm.safetensors", tuned), theta_0)
    assert found.layout == "open_clip, image tower" and list(found.weights) == list(theta_0)
    assert all(torch.equal(found.weights[name], tensor + 1) for name, tensor in theta_0.items())


def test_nothing_is_converted_before_it_is_read_and_the_rest_stays_mapped(
    encoder: Architecture, tmp_path: Path
) -> None:
    model = encoder.hugging_face("CLIPVisionModel")
    model.save_pretrained(tmp_path)
    weights = read(tmp_path, encoder).weights
    same, stacked = "conv1.weight", "transformer.resblocks.0.attn.in_proj_weight"
    assert weights[same].data_ptr() == weights[same].data_ptr()
    assert weights["proj"].data_ptr() == encoder.theta_0["proj"].data_ptr()
    first, second = weights[stacked], weights[stacked]
    assert torch.equal(first, second) and first.data_ptr() != second.data_ptr()
    assert stacked in weights and "conv2.weight" not in weights and weights.get("conv2.weight") is None


def test_twenty_experts_take_no_memory_before_their_parameters_are_read(tmp_path: Path) -> None:
    width = 1024
    config = CONFIGURATION | {"vision_cfg": CONFIGURATION["vision_cfg"] | {"width": width, "layers": 1}}
    theta_0 = {n: torch.zeros_like(t) for n, t in open_clip.model.CLIP(**config).visual.state_dict().items()}
    whole = {f"visual.{name}": tensor for name, tensor in theta_0.items()}
    path = safetensors(tmp_path / "big.safetensors", Converted(whole, to_hugging_face(whole)))
    before = _anonymous_kib()
    experts = [read_like(path, theta_0).weights for _ in range(20)]
    stacked = "transformer.resblocks.0.attn.in_proj_weight"
    assert sum(float(expert[stacked].sum()) for expert in experts) == 0
    assert _anonymous_kib() - before < 5 * theta_0[stacked].nbytes / 1024  # 20 would be kept, if any were


def _anonymous_kib() -> int:
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0])
