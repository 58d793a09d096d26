"""Models of timm, with random weights in local files; no network is asked."""

from functools import partial

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from cl_bench.backbones import Timm, TinyClip
from cl_bench.runtime.errors import Missing, UserError

SMALL = ("test_vit", "test_vit3", "test_efficientnet", "test_convnext", "test_resnet")


def random_model(name, **options):
    """With weights that are no round numbers, zeros or ones anywhere."""
    torch.manual_seed(0)
    model = timm.create_model(name, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape)
    return model


def written(model, path, **changed):
    save_file({**model.state_dict(), **changed}, path)
    return str(path)


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    model = random_model("test_vit")
    return model, written(model, tmp_path_factory.mktemp("vit") / "vit.safetensors")


@pytest.mark.parametrize("name", SMALL)
def test_features_are_what_the_whole_model_computes_before_its_classifier(name, tmp_path):
    whole = random_model(name)
    backbone = Timm(name, written(whole, tmp_path / "model.safetensors"))
    images = torch.randn(2, 3, backbone.transform.size, backbone.transform.size)
    with torch.no_grad():
        expected = whole.forward_head(whole.forward_features(images), pre_logits=True)
        assert torch.equal(backbone.encoder(images), expected)
    assert expected.shape == (2, backbone.feature_size) and backbone.feature_size != 1000


def test_the_same_weights_in_open_clips_layout_give_the_same_features():
    clip = TinyClip()
    theirs = VisionTransformer(
        *(32, 8, 3, 0, "token", 96, 4, 3),
        pre_norm=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-5),
    ).eval()
    own = clip.encoder.state_dict()
    names = {
        "cls_token": own.pop("class_embedding").view(1, 1, -1),
        "pos_embed": own.pop("positional_embedding")[None],
        "patch_embed.proj.weight": own.pop("conv1.weight"),
    }
    projection = own.pop("proj")
    parts = (
        ("ln_pre", "norm_pre"),
        ("ln_post", "norm"),
        ("transformer.resblocks", "blocks"),
        ("attn.in_proj_", "attn.qkv."),
        ("attn.out_proj", "attn.proj"),
        ("ln_", "norm"),
        ("c_fc", "fc1"),
        ("c_proj", "fc2"),
    )
    for name, tensor in own.items():
        for before, after in parts:
            name = name.replace(before, after)
        names[name] = tensor
    theirs.load_state_dict(names)
    images = torch.randn(3, 3, 32, 32, generator=torch.manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(theirs(images) @ projection, clip.encoder(images))


def test_images_look_as_the_models_own_configuration_says(vit, tmp_path):
    white = torch.full((1, 160, 160, 3), 255, dtype=torch.uint8)
    net = written(random_model("test_efficientnet"), tmp_path / "net.safetensors")
    found = [
        Timm(name, file).transform(white)[0, :, 0, 0]
        for name, file in (("test_vit", vit[1]), ("test_efficientnet", net))
    ]
    assert torch.allclose(found[0], torch.ones(3))
    assert torch.allclose(found[1], (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225]))


def test_a_name_of_several_models_that_see_images_differently_is_warned_of(tmp_path, caplog):
    file = written(random_model("vit_tiny_patch16_224", num_classes=0), tmp_path / "tiny.safetensors")
    Timm("vit_tiny_patch16_224", file)  # all of its weights were trained with the same normalization
    assert "normalized differently" not in caplog.text
    file = written(random_model("vit_small_patch16_224", num_classes=0), tmp_path / "small.safetensors")
    Timm("vit_small_patch16_224", file)
    assert "vit_small_patch16_224.dino" in caplog.text and "mean is (0.5, 0.5, 0.5)" in caplog.text
    caplog.clear()
    white = torch.full((1, 224, 224, 3), 255, dtype=torch.uint8)
    assert Timm("vit_small_patch16_224.dino", file).transform(white).max() > 2  # (1 - 0.406) / 0.225
    assert "normalized differently" not in caplog.text


def test_weights_for_patches_of_another_size_are_refused(tmp_path):
    file = written(random_model("vit_small_patch16_224", num_classes=0), tmp_path / "p16.safetensors")
    with pytest.raises(UserError, match=r"patch_embed.proj.weight has the shape \(384, 3, 16, 16\) there"):
        Timm("vit_small_patch32_224", file)


def test_another_size_resamples_position_embeddings_as_timm_does(vit):
    backbone = Timm("test_vit", vit[1], size=32)
    theirs = timm.create_model("test_vit", num_classes=0, img_size=32)
    timm.models.load_checkpoint(
        theirs, vit[1], strict=False, filter_fn=timm.models.vision_transformer.checkpoint_filter_fn
    )
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(backbone.encoder(images), theirs.eval()(images))
    assert backbone.transform.size == 32 and backbone.identity != Timm("test_vit", vit[1]).identity


def test_a_convolutional_network_takes_any_size(tmp_path):
    file = written(random_model("test_efficientnet"), tmp_path / "net.safetensors")
    small, own = (Timm("test_efficientnet", file, size) for size in (40, None))
    assert (small.transform.size, own.transform.size) == (40, 160)
    assert small.identity["weights"] == own.identity["weights"] and small.identity != own.identity


def test_what_timms_own_evaluation_does_otherwise_is_logged(vit, caplog):
    with caplog.at_level("INFO"):
        Timm("test_vit", vit[1])
    assert "timm evaluates the central 95 % of an image's short side, resized by bicubic" in caplog.text


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("vit_base_patch17", r"backbone\.model=vit_base_patch17 is not a model of timm"),
        (
            "test_vit.in99k",
            r"backbone\.model=test_vit\.in99k: timm has no such weights of test_vit; it has: r160_in1k\.",
        ),
    ],
)
def test_a_name_that_timm_does_not_know_is_refused(model, message):
    with pytest.raises(UserError, match=message):
        Timm(model, "weights.safetensors")


def test_weights_of_another_architecture_and_gaps_are_refused(vit, tmp_path):
    """timm itself would leave a gap as it was drawn, without a word, wherever a classifier is left out."""
    model, file = vit
    gap = {name: tensor for name, tensor in model.state_dict().items() if name != "blocks.3.norm1.bias"}
    save_file(gap, tmp_path / "gap.safetensors")
    other = written(model, tmp_path / "other.safetensors", **{"norm.weight": torch.ones(3)})
    unknown = written(model, tmp_path / "unknown.safetensors", extra=torch.ones(3))
    cases = (
        ("test_vit2", file, "reg_token"),
        ("test_vit", str(tmp_path / "gap.safetensors"), r"blocks\.3\.norm1\.bias"),
        ("test_vit", other, r"norm\.weight"),
        ("test_vit", unknown, "extra"),
        ("test_vit", str(tmp_path / "nowhere.pt"), "There is no model"),
    )
    for name, path, named in cases:
        with pytest.raises(
            Missing, match=rf"(?s)^The weights {path} of {name} could not.*{named}.*backbone\.pretrained"
        ):
            Timm(name, path)


def test_published_weights_without_a_network_are_one_message(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        Missing, match=r"^timm's weights of test_vit\.r160_in1k could not be loaded: .*\n.*backbone\.pretrained=path"
    ):
        Timm("test_vit.r160_in1k", True)


def test_a_size_that_the_model_cannot_read_is_refused(vit):
    with pytest.raises(UserError, match=r"cannot encode images of 100 x 100 pixels: .*; name another backbone\.size"):
        Timm("test_vit", vit[1], size=100)


def test_a_model_that_makes_no_vector_is_refused(vit, monkeypatch):
    monkeypatch.setattr(VisionTransformer, "forward", VisionTransformer.forward_features)
    with pytest.raises(UserError, match=r"backbone\.model=test_vit makes no vector of an image"):
        Timm("test_vit", vit[1])
