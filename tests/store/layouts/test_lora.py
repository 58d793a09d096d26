"""LoRA experts: what PEFT computes with them, and what is read from their folders."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from cl_bench.runtime.errors import UserError
from cl_bench.store.layouts.files import files_of
from cl_bench.store.layouts.reader import read_like
from cl_bench.store.models import read_model
from tests.store.layouts.encoders import Architecture, assert_features, own_features, shaken, small

MATRICES = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
SETTINGS = {
    "plain": {},
    "q and v": {"target_modules": ["q_proj", "v_proj"]},
    "rslora": {"use_rslora": True},
    "patterns": {
        "rank_pattern": {"layers.0.self_attn.q_proj": 2, "fc[12]": 3},
        "alpha_pattern": {"v_proj": 3, "^encoder.layers.1.mlp.fc1": 5},
    },
    "patterns, rslora": {"use_rslora": True, "rank_pattern": {"k_proj": 1}, "alpha_pattern": {"k_proj": 2.5}},
    "gaussian": {"init_lora_weights": "gaussian"},
}


def saved(model: nn.Module, folder: Path, **settings) -> nn.Module:
    """A LoRA expert of random values on a model, saved."""
    import peft

    settings = {"target_modules": MATRICES, "r": 4, "lora_alpha": 8} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expert = peft.get_peft_model(model, peft.LoraConfig(**settings)).eval()
        shaken(nn.ParameterList(p for n, p in expert.named_parameters() if "lora_" in n), seed=7)
        expert.save_pretrained(folder)
    return expert


def on(name: str, tmp_path: Path) -> tuple[Architecture, nn.Module]:
    """θ₀ as open_clip has it, and the same in a model of `transformers`."""
    encoder = small()
    model = encoder.hugging_face(name)
    model.save_pretrained(tmp_path / "base")
    encoder.tower.load_state_dict(dict(read_like(tmp_path / "base", encoder.theta_0).weights))
    return encoder, model


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_features_are_those_that_peft_computes(settings: dict, tmp_path: Path) -> None:
    encoder, model = on("CLIPVisionModel", tmp_path)
    expert = saved(model, tmp_path / "expert", **settings)
    found = read_like(tmp_path / "expert", encoder.theta_0)
    assert found.layout.startswith("PEFT LoRA of rank ") and list(found.weights) == list(encoder.theta_0)
    expected = own_features(expert.base_model.model, encoder.images, encoder.theta_0["proj"])
    assert_features(found, encoder, expected)
    folder = tmp_path / "expert"
    assert files_of(folder) == [folder / "adapter_config.json", folder / "adapter_model.safetensors"]


@pytest.mark.parametrize("vision_model", [True, False])
def test_the_projection_may_be_changed_and_vision_model_may_be_missing(vision_model: bool, tmp_path: Path) -> None:
    encoder, model = on("CLIPVisionModelWithProjection", tmp_path)
    expert = saved(model, tmp_path / "expert", target_modules=["q_proj", "visual_projection"])
    weights = tmp_path / "expert" / "adapter_model.safetensors"
    if not vision_model:
        save_file({name.replace("vision_model.", ""): t for name, t in load_file(weights).items()}, weights)
    found = read_like(tmp_path / "expert", encoder.theta_0)
    assert_features(found, encoder, own_features(expert.base_model.model, encoder.images, encoder.theta_0["proj"]))


def test_a_merger_is_told_that_an_adapter_is_no_model(tmp_path: Path) -> None:
    _, model = on("CLIPVisionModel", tmp_path)
    saved(model, tmp_path / "expert")
    with pytest.raises(UserError, match="expert is a LoRA expert, a change of θ₀ and no model"):
        read_model(tmp_path / "expert")
    (tmp_path / "base" / "training_args.bin").write_bytes(b"objects")
    torch.save(dict(read_model(tmp_path / "base")), tmp_path / "base" / "pytorch_model.bin")
    (tmp_path / "base" / "model.safetensors").unlink()
    assert read_model(tmp_path / "base")


def test_what_has_no_change_is_theta_0_itself(tmp_path: Path) -> None:
    encoder, model = on("CLIPVisionModel", tmp_path)
    saved(model, tmp_path / "expert", target_modules=["q_proj"])
    weights = read_like(tmp_path / "expert", encoder.theta_0).weights
    for name, tensor in encoder.theta_0.items():
        same = "attn.in_proj_weight" not in name
        assert (weights[name].data_ptr() == tensor.data_ptr()) == same
        if not same:
            assert torch.equal(weights[name][16:], tensor[16:]) and not torch.equal(weights[name][:16], tensor[:16])


def test_peft_itself_takes_fan_in_fan_out_for_false(tmp_path: Path) -> None:
    import peft

    encoder, model = on("CLIPVisionModel", tmp_path)
    saved(encoder.hugging_face("CLIPVisionModel"), tmp_path / "expert")
    change(tmp_path / "expert", fan_in_fan_out=True)
    with pytest.warns(UserWarning, match="Setting fan_in_fan_out to False"):
        expert = peft.PeftModel.from_pretrained(model, tmp_path / "expert").eval()
    found = read_like(tmp_path / "expert", encoder.theta_0)
    assert_features(found, encoder, own_features(expert.base_model.model, encoder.images, encoder.theta_0["proj"]))


def test_weights_in_half_precision_and_in_a_pytorch_file(tmp_path: Path) -> None:
    encoder, model = on("CLIPVisionModel", tmp_path)
    saved(model, tmp_path / "expert")
    weights = tmp_path / "expert" / "adapter_model.safetensors"
    halves = {name: tensor.half() for name, tensor in load_file(weights).items()}
    save_file({name: tensor.float() for name, tensor in halves.items()}, weights)
    expected = dict(read_like(tmp_path / "expert", encoder.theta_0).weights)
    weights.unlink()
    torch.save(halves, weights.with_suffix(".bin"))
    found = read_like(tmp_path / "expert", encoder.theta_0).weights
    assert all(
        torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in expected.items()
    )


def change(folder: Path, **settings: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def with_tensors(edit: Callable[[dict], dict]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = folder / "adapter_model.safetensors"
        save_file({name: t.contiguous() for name, t in edit(load_file(path)).items()}, path)

    return write


def only(settings: dict[str, object]) -> Callable[[Path], None]:
    return lambda folder: change(folder, **settings)


Q = "base_model.model.encoder.layers.0.self_attn.q_proj"
REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "another method": (only({"peft_type": "IA3"}), 'plain LoRA matrices can be read, not peft_type="IA3"'),
    "pissa": (only({"init_lora_weights": "pissa_niter_4"}), 'not init_lora_weights="pissa_niter_4"'),
    "a bias": (only({"bias": "all"}), 'not bias="all"'),
    "modules to save": (only({"modules_to_save": ["classifier"]}), r'not modules_to_save=\["classifier"\]'),
    "what is not known yet": (only({"use_quantum": True}), "not use_quantum=true"),
    "another rank": (only({"r": 3}), r"lora_A of 'encoder.layers.0.mlp.fc1' has shape \(4, 16\), but .* \(3, 16\)"),
    "a rank of zero": (only({"r": 0}), "the rank 0 or the alpha 8"),
    "a bad pattern": (only({"rank_pattern": {"(": 2}}), r"'\(' is no pattern of layers"),
    "no B": (
        with_tensors(lambda tensors: {n: t for n, t in tensors.items() if n != f"{Q}.lora_B.weight"}),
        "lora_B of 'encoder.layers.0.self_attn.q_proj' is missing",
    ),
    "a bias of B": (
        with_tensors(lambda tensors: tensors | {f"{Q}.lora_B.bias": torch.ones(16)}),
        "lora_B.bias' is no LoRA matrix of a linear layer",
    ),
    "a text tower": (
        with_tensors(lambda tensors: {n.replace("encoder", "text_model.encoder"): t for n, t in tensors.items()}),
        "'text_model.encoder.layers.0.mlp.fc1' is no matrix of an image encoder",
    ),
    "one layer more": (
        with_tensors(lambda tensors: {n.replace("layers.1", "layers.7"): t for n, t in tensors.items()}),
        "'encoder.layers.7.mlp.fc1' is no matrix of the pre-trained encoder",
    ),
    "two encoders": (
        with_tensors(
            lambda tensors: {n.replace("model.enc", "model.a.enc") if "s.1" in n else n: tensors[n] for n in tensors}
        ),
        "it changes several encoders",
    ),
    "nothing": (with_tensors(lambda tensors: {}), "has no LoRA matrices"),
    "no configuration": (lambda folder: (folder / "adapter_config.json").write_text("[]"), "is no configuration"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[Architecture, Path]:
    folder = tmp_path_factory.mktemp("lora")
    encoder, model = on("CLIPVisionModel", folder)
    saved(model, folder / "expert")
    return encoder, folder / "expert"


@pytest.mark.parametrize(("edit", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_understood_is_refused(edit, message: str, written, tmp_path: Path) -> None:
    encoder, folder = written
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    read_like(tmp_path, encoder.theta_0)
    edit(tmp_path)
    with pytest.raises(UserError, match=message) as raised:
        read_like(tmp_path, encoder.theta_0)
    assert str(raised.value).startswith(str(tmp_path)) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "settings", [{"use_dora": True}, {"target_modules": ["patch_embedding"]}, {"bias": "lora_only"}]
)
def test_what_peft_itself_writes_beyond_lora_matrices_is_refused(settings: dict, tmp_path: Path) -> None:
    encoder, model = on("CLIPVisionModel", tmp_path)
    saved(model, tmp_path / "expert", **settings)
    with pytest.raises(UserError, match="expert") as raised:
        read_like(tmp_path / "expert", encoder.theta_0)
    assert "\n" not in str(raised.value)
