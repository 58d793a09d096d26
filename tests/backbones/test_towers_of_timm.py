"""Models of open_clip whose image towers are timm's: those of SigLIP 2 and EVA-02, made small, with random weights."""

import json

import huggingface_hub
import open_clip
import pytest
import torch
import yaml
from open_clip.model import _build_vision_tower
from safetensors.torch import save_file
from torch.nn import functional

from cl_bench.backbones import OpenClip
from cl_bench.backbones.open_clip import _look
from cl_bench.experiment.head import with_words
from cl_bench.experiment.run import run
from cl_bench.heads.zero_shot import zero_shot_head
from cl_bench.runtime.errors import Missing
from cl_bench.store.layouts.reader import read_like
from tests.conftest import ROOT, SHORT
from tests.helpers import timm_towers

CHOICES = ("siglip2_b_16", "eva02_b_16", "vit_b_16_laion2b")
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))


def choice(name):
    return yaml.safe_load((ROOT / "conf" / "backbone" / f"{name}.yaml").read_text())["backbone"]


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_names_weights_and_a_projection_that_are_there(name):
    node = choice(name)
    assert node["pretrained"] in open_clip.list_pretrained_tags_by_model(node["model"])
    configuration = open_clip.get_model_config(node["model"])
    with torch.device("meta"):
        tower = _build_vision_tower(configuration["embed_dim"], configuration["vision_cfg"])
    shapes = {parameter: tuple(tensor.shape) for parameter, tensor in tower.named_parameters()}
    if node["projection"] is None:
        assert not any("head" in parameter or parameter.endswith("proj") for parameter in shapes)
    else:
        assert set(shapes[node["projection"]]) == {768, configuration["embed_dim"]}


def test_images_of_weights_in_a_file_look_as_those_of_the_published_weights(caplog):
    assert _look("ViT-B-16-SigLIP2") == {"mean": (0.5,) * 3, "std": (0.5,) * 3, "resize_mode": "squash"}
    for openais in ("ViT-B-16-quickgelu", "EVA02-B-16", "ViT-B-16"):
        assert _look(openais)["mean"] == open_clip.OPENAI_DATASET_MEAN and _look(openais)["resize_mode"] == "shortest"
    assert not caplog.text
    assert _look("ViT-L-14") == {}
    assert "ViT-L-14: a file" in caplog.text and "wrong for laion2b_s32b_b82k: name" in caplog.text


def test_siglip_reads_images_and_words_as_open_clip_does(tmp_path, monkeypatch, caplog):
    file = timm_towers.siglip(tmp_path, monkeypatch)
    with caplog.at_level("INFO"):
        backbone = OpenClip("small-siglip", str(file), projection=None)
    assert "small-siglip: open_clip squashes images" in caplog.text
    assert torch.equal(backbone.transform(torch.full((1, 32, 32, 3), 255, dtype=torch.uint8)), torch.ones(1, 3, 32, 32))
    model = open_clip.create_model("small-siglip", pretrained=str(file)).eval()
    names, prompts = ("3", "the number 8"), ("a photo of {}.", "digit {}")
    texts = open_clip.get_tokenizer("small-siglip")([prompt.format(name) for name in names for prompt in prompts])
    with torch.no_grad():
        assert torch.equal(backbone.encoder(IMAGES), model.encode_image(IMAGES))
        means = model.encode_text(texts, normalize=True).view(2, 2, -1).mean(dim=1)
        rows = functional.normalize(means, dim=1)
        logits = functional.normalize(model.encode_image(IMAGES), dim=1) @ rows.T * model.logit_scale.exp()
    head = zero_shot_head(backbone, names, prompts)
    mine = functional.normalize(backbone.encoder(IMAGES), dim=1) @ head.T
    torch.testing.assert_close(mine, logits)
    torch.testing.assert_close(mine.softmax(1), (logits + model.logit_bias.detach()).softmax(1))  # the bias cancels
    assert model.logit_bias != 0 and head.shape == (2, backbone.feature_size)


def test_eva02_reads_images_as_open_clip_does(tmp_path, monkeypatch):
    file = timm_towers.eva02(tmp_path, monkeypatch)
    backbone = OpenClip("small-eva02", str(file), projection="trunk.head.weight")
    with torch.no_grad():
        expected = open_clip.create_model("small-eva02", pretrained=str(file)).eval().encode_image(IMAGES)
        assert torch.equal(backbone.encoder(IMAGES), expected) and expected.shape == (2, backbone.feature_size)
        assert backbone.encode_text(["a dog"]).shape == (1, 40)


@pytest.mark.parametrize("prefix", ["", "visual.", "model.visual."])
def test_an_expert_of_eva02_has_its_projection(prefix, tmp_path, monkeypatch):
    """Its name is that of a classifier elsewhere."""
    state = torch.load(timm_towers.eva02(tmp_path, monkeypatch))
    start = {name.removeprefix("visual."): tensor for name, tensor in state.items() if name.startswith("visual.")}
    save_file({prefix + name: tensor + 1 for name, tensor in start.items()}, tmp_path / "expert.safetensors")
    weights = read_like(tmp_path / "expert.safetensors", start).weights
    assert "trunk.head.weight" in weights and weights.keys() == start.keys()
    assert all(torch.equal(weights[name], tensor + 1) for name, tensor in start.items())


def test_a_tokenizer_that_is_not_there_is_one_message_and_nobody_asks_for_it_without_words(tmp_path, monkeypatch):
    file = timm_towers.siglip(tmp_path, monkeypatch)
    config = json.loads((tmp_path / "small-siglip.json").read_text())
    config["text_cfg"]["hf_tokenizer_name"] = "nobody/has-this"
    (tmp_path / "small-siglip-2.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "small-siglip-2.json")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    backbone = OpenClip("small-siglip-2", str(file), projection=None)
    assert backbone.encoder(IMAGES).shape == (2, 48)
    with pytest.raises(Missing) as refused:
        with_words(backbone)
    first, remedy = str(refused.value).split("\n")
    assert first.startswith("The tokenizer nobody/has-this of small-siglip-2 could not be loaded: ")
    assert "hf download nobody/has-this" in remedy and "head=prototypes" in remedy


@pytest.mark.parametrize("trainer", ["sequential", "cmm"])
def test_a_run_with_siglips_words(trainer, configure, tmp_path, monkeypatch):
    file = timm_towers.siglip(tmp_path, monkeypatch)
    own = ("backbone=siglip2_b_16", "backbone.model=small-siglip", f"backbone.pretrained={file}")
    result = run(configure(*SHORT, *own, f"trainer={trainer}"), tmp_path)
    assert result["config"]["head"]["_target_"] == "cl_bench.heads.ZeroShot"
    assert result["metrics"]["task_agnostic"] is not None
