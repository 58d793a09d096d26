"""An image encoder alone, and what identifies it."""

import copy

import pytest
import torch
from torch import nn

from cl_bench.backbones import Backbone, TinyClip
from cl_bench.backbones.sha256 import sha256
from cl_bench.heads.zero_shot import head_key
from cl_bench.runtime.errors import UserError
from cl_bench.store.fingerprint import fingerprint
from cl_bench.testing.small import SmallEncoder

LOOK = {"size": 8, "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5)}


def test_the_embedded_model_keeps_its_identity():
    """Stored streams and heads are found by it."""
    assert fingerprint(TinyClip().identity) == "3efb8cbd6a8cd3f2"
    assert head_key(TinyClip(), ("digit 3",), ("{}",)) == "ddae82c58fc9c8ce"


def test_an_encoder_alone_is_frozen_and_sees_images_as_it_says():
    backbone = Backbone("small", SmallEncoder(), {"weights": "w"}, LOOK, 5, projection="proj")
    assert not backbone.encoder.training and not any(p.requires_grad for p in backbone.encoder.parameters())
    white = backbone.transform(torch.full((1, 8, 8, 3), 255, dtype=torch.uint8))
    assert torch.allclose(white[0, :, 0, 0], torch.tensor([1.8, 1.6, 1.4]))
    assert backbone.feature_size == 5 and backbone.frozen_parameters == 0


@pytest.mark.parametrize("change", [{"preprocessing": {**LOOK, "std": (1, 1, 1)}}, {"resampling": "pillow"}])
def test_what_changes_the_features_of_an_image_changes_the_identity(change):
    one = Backbone("small", SmallEncoder(), {}, LOOK, 5)
    other = Backbone("small", SmallEncoder(), {}, **{"preprocessing": LOOK, **change}, feature_size=5)
    assert one.identity != other.identity


def test_a_projection_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"backbone\.projection=head is no parameter .* of small"):
        Backbone("small", SmallEncoder(), {}, LOOK, 5, projection="head")


def test_each_bit_and_name_of_the_weights_counts():
    encoder = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    others = [copy.deepcopy(encoder) for _ in range(2)]
    others[0][1].num_batches_tracked += 1
    others[1][0].weight.data[0, 0] = torch.nextafter(encoder[0].weight[0, 0].detach(), torch.tensor(9.0))
    hashes = {sha256(each) for each in (encoder, *others, nn.Sequential(*encoder, nn.Identity(), nn.Linear(1, 1)))}
    assert len(hashes) == 4 and sha256(copy.deepcopy(encoder)) in hashes
