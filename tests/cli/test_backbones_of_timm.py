"""Encoders of timm, as a user types them: from a file, from the hub, and what cannot be asked of them."""

import json

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from cl_bench.backbones import Timm
from cl_bench.experiment.parts import build
from cl_bench.runtime.errors import UserError
from tests.conftest import SHORT
from tests.helpers.hub_server import serving

MODEL = ("backbone=timm", "backbone.model=test_vit.r160_in1k", "backbone.size=32")


@pytest.fixture
def weights(tmp_path):
    """Of a small vision transformer, with a classifier, for images of another size."""
    torch.manual_seed(0)
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "vit.safetensors")
    return tmp_path / "vit.safetensors"


def test_a_run_learns_with_class_means_and_its_merged_model_is_timms(run_py, weights, tmp_path):
    own = (*MODEL, "backbone.pretrained=vit.safetensors", "optim.lr=1e-3", *SHORT)
    done = run_py(*own, "hydra.run.dir=one", "save_merged=true")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "one" / "result.json").read_text())
    assert result["versions"]["timm"] == timm.__version__
    assert result["config"]["head"]["_target_"] == "cl_bench.heads.Prototypes"
    assert result["accuracy"]["task_agnostic"] is not None
    model = timm.create_model("test_vit", num_classes=0, img_size=32)
    model.load_state_dict(load_file(tmp_path / "one" / "merged.safetensors"))
    start = Timm("test_vit", str(weights), size=32).encoder.state_dict()
    moved = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, start[name])]
    assert len(moved) > 50
    again = run_py(*own, "merger=ties")
    assert again.returncode == 0 and "2 of 2 tasks reused" in again.stdout, again.stderr + again.stdout


def test_published_weights_come_from_the_hub_or_one_message_says_how(
    cold_run_py, run_py, weights, tmp_path, monkeypatch
):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = cold_run_py(*MODEL, *SHORT)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "timm's weights of test_vit.r160_in1k could not be loaded" in done.stderr
    assert "backbone.pretrained=path/to/weights" in done.stderr

    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(weights.read_bytes())
    with serving() as hub:
        hub.add("timm/test_vit.r160_in1k", folder)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        done = cold_run_py(*MODEL, *SHORT, "trainer=zero_shot", "hydra.run.dir=one")
    assert done.returncode == 0, done.stderr
    local = run_py(*MODEL, *SHORT, "trainer=zero_shot", "hydra.run.dir=two", "backbone.pretrained=vit.safetensors")
    assert local.returncode == 0, local.stderr
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    assert one["matrix"] == two["matrix"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("head=zero_shot",), "head=zero_shot needs a text tower, which test_efficientnet does not have; choose head="),
        (
            ("merger=regmean",),
            "merger=regmean needs Gram matrices of linear layers, of which the image encoder has none",
        ),
        (("optim.layer_decay=0.7",), r"optim\.layer_decay: the encoder has a parameter conv_stem\.weight, whose depth"),
        (("trainer=lora",), "trainer=lora adapts linear layers and attentions, of which the encoder has none"),
        (("backbone.projection=proj",), "backbone.projection=proj is no parameter of the image encoder of test_eff"),
        (("trainer=cmm", "trainer.refined=nope"), "trainer.refined=nope is no parameter of the image encoder"),
        (
            ("backbone.pretrained=false",),
            "backbone.pretrained=false: an encoder has to know something before any task",
        ),
        (("backbone.pretrained=null",), "backbone.pretrained=None does not fit"),
        (("backbone.size=0",), "backbone.size=0 does not fit"),
        (("backbone.model=tiny_vit",), "backbone.model=tiny_vit is not a model of timm"),
    ],
)
def test_what_cannot_be_asked_of_it_is_said_before_anything_starts(overrides, message, configure, tmp_path):
    torch.save(timm.create_model("test_efficientnet").state_dict(), tmp_path / "net.pt")
    own = ("backbone=timm", "backbone.model=test_efficientnet", f"backbone.pretrained={tmp_path}/net.pt")
    with pytest.raises(UserError, match=message):
        build(configure(*own, "backbone.size=32", *SHORT, *overrides))


def test_data_sets_that_are_never_trained_on_need_words(run_py, weights):
    done = run_py(*MODEL, "backbone.pretrained=vit.safetensors", *SHORT, "evaluation.retention=[glyphs]")
    assert done.returncode == 2
    assert (
        "evaluation.retention needs a text tower, which test_vit.r160_in1k does not have; leave it out." in done.stderr
    )


def test_a_model_has_to_be_named(configure):
    with pytest.raises(UserError, match=r"backbone\.model"):
        build(configure("backbone=timm", *SHORT))
