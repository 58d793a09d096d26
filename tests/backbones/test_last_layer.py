"""Which layer of an encoder makes its features."""

import open_clip
import pytest
import timm
import torch
from torch import Tensor, nn

from cl_bench.backbones import TinyClip
from cl_bench.backbones.last_layer import last_layer
from tests.helpers.small import SmallEncoder


class Backwards(nn.Module):
    """Registers its layers in another order than it runs them in, and one that it does not run."""

    def __init__(self) -> None:
        super().__init__()
        self.runs_last = nn.Linear(4, 4)
        self.runs_first = nn.Linear(12, 4)
        self.never_runs = nn.Linear(4, 4)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.runs_first(images.flatten(1))
        features: Tensor = hidden + self.runs_last(hidden.relu())
        return features


class Nothing(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def test_an_encoder_of_clip_ends_with_its_projection() -> None:
    assert last_layer(TinyClip().encoder, 32) == ["proj"] == last_layer(SmallEncoder().double(), 8)
    resnet = open_clip.model.ModifiedResNet([1, 1, 1, 1], 16, 8, 32, 8)
    assert last_layer(resnet, 32) == ["attnpool.c_proj.weight", "attnpool.c_proj.bias"]


@pytest.mark.parametrize(
    ("name", "pool", "expected"),
    [
        ("test_vit", "token", ["norm.weight", "norm.bias"]),
        ("test_vit", "avg", ["fc_norm.weight", "fc_norm.bias"]),
        ("test_convnext", "avg", ["head.norm.weight", "head.norm.bias"]),
    ],
)
def test_a_tower_of_timm_without_a_classifier_ends_with_its_last_normalization(
    name: str, pool: str, expected: list[str]
) -> None:
    encoder = timm.create_model(name, num_classes=0, global_pool=pool, pretrained=False)
    assert last_layer(encoder.train(), 160) == expected
    assert encoder.training and not any(p.grad is not None for p in encoder.parameters())


def test_the_way_of_computing_decides_not_that_of_registering() -> None:
    with torch.inference_mode():
        assert last_layer(Backwards(), 2) == ["runs_last.weight", "runs_last.bias"]


def test_an_encoder_without_parameters_has_none() -> None:
    assert last_layer(Nothing(), 2) == []
