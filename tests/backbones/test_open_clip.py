"""Which models and weights are accepted; no network is asked."""

import json

import open_clip
import pytest
import torch

from cl_bench.backbones import OpenClip
from cl_bench.runtime.errors import UserError
from tests.store import clip_files as files


@pytest.mark.parametrize(
    ("model", "pretrained", "named"),
    [
        ("ViT-B-99", "openai", "ViT-B-99"),
        ("ViT-B-16-quickgelu", "nope", "openai, dfn2b"),
        ("ViT-B-16", "openai", "use backbone.model=ViT-B-16-quickgelu"),
        ("ViT-B-32-quickgelu", "laion2b_e16", "neither a file nor a tag"),
    ],
)
def test_mistakes_are_named_before_anything_is_loaded(model, pretrained, named):
    with pytest.raises(UserError, match=named):
        OpenClip(model, pretrained)


def test_a_file_that_holds_no_weights_is_named(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"backbone\.pretrained=path/to/weights"):
        OpenClip("ViT-B-32-quickgelu", str(tmp_path / "weights.safetensors"))


def test_another_architecture_is_read_from_one_file_and_from_several(tmp_path, monkeypatch):
    vision = {"timm_model_name": "test_vit", "timm_model_pretrained": False, "timm_pool": "avg", "image_size": 32}
    config = files.CONFIGURATION | {"vision_cfg": vision}
    (tmp_path / "small-timm.json").write_text(json.dumps(config))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", list(open_clip.factory._MODEL_CONFIG_PATHS))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
    open_clip.add_model_config(tmp_path)
    state = open_clip.create_model("small-timm").state_dict()
    one = files.safetensors(tmp_path / "one.safetensors", state)
    for path in (one, files.sharded(tmp_path / "shards", state), tmp_path / "shards"):
        encoder = OpenClip("small-timm", str(path), projection="head.proj.weight").encoder.state_dict()
        assert all(torch.equal(tensor, state[f"visual.{name}"]) for name, tensor in encoder.items())
    del state["logit_scale"]
    with pytest.raises(UserError, match="logit_scale"):
        OpenClip("small-timm", str(files.sharded(tmp_path / "lost", state)), projection="head.proj.weight")
