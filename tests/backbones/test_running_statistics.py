"""Layers with running statistics: found whatever their class, and constants of a linearized encoder."""

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from cl_bench.backbones import TinyClip
from cl_bench.backbones.linearized import Linearized
from cl_bench.backbones.running_statistics import has_running_statistics, keep_running_statistics
from cl_bench.runtime.errors import UserError
from tests.helpers.batch_normalized import batch_normalized


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(4),
        nn.SyncBatchNorm(4),
        BatchNormAct2d(4),
        nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_they_stay_and_are_used_and_nothing_else_changes_its_mode(layer):
    encoder = nn.Sequential(nn.Conv2d(3, 4, 1), layer, nn.Dropout(0.5)).train()
    keep_running_statistics(encoder)
    before = {name: tensor.clone() for name, tensor in layer.named_buffers()}
    one, other = (layer(torch.cat([torch.ones(1, 4, 2, 2), torch.full((1, 4, 2, 2), rest)])) for rest in (0.0, 9.0))
    assert torch.equal(one[0], other[0]) and before
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.named_buffers())
    assert [module.training for module in (encoder[0], layer, encoder[2])] == [True, False, True]
    assert all(child.training for child in layer.children())


def test_layers_without_them_are_left_alone():
    encoder = nn.Sequential(nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.BatchNorm2d(4, track_running_stats=False)).train()
    keep_running_statistics(encoder)
    assert all(module.training for module in encoder) and not has_running_statistics(encoder)
    assert not has_running_statistics(TinyClip().encoder) and has_running_statistics(batch_normalized())


def test_a_linearized_encoder_keeps_them_with_its_weights():
    encoder = batch_normalized().double().eval()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    linearized = Linearized(encoder).train()
    linearized(torch.rand(2, 3, 32, 32, dtype=torch.float64)).sum().backward()
    after = linearized.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)
    linearized.load_state_dict(dict(before))  # without torch's own notes, as weights are stored


def test_other_state_cannot_be_linearized():
    encoder = nn.Linear(3, 2)
    encoder.register_buffer("table", torch.ones(2))
    with pytest.raises(UserError, match=r"Linear cannot be linearized: table is no parameter of it"):
        Linearized(encoder)
