"""CMM with encoders that have no projection: it refines the last layer that makes the features."""

import open_clip
import pytest
import torch
from torch import nn
from torch.func import functional_call

from cl_bench.experiment.parts import build
from cl_bench.experiment.run import run
from cl_bench.images import batches
from cl_bench.runtime import seeds
from cl_bench.runtime.errors import UserError
from cl_bench.store import Stream
from cl_bench.trainers import CMM
from tests.conftest import FEW_IMAGES, SHORT
from tests.helpers.small import optimization, small_given
from tests.store import clip_files
from tests.trainers import streams

SETTINGS = optimization()
LR = 1e-3


class Unprojected(nn.Module):
    """(B, 3, 8, 8) to (B, 5), with a normalization at the end as towers without a projection have it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.hidden, self.norm = nn.Linear(192, 5), nn.LayerNorm(5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.hidden(images.flatten(1).double()))


def test_without_a_projection_the_last_layer_is_refined_as_a_plain_loop_does():
    trainer = CMM(small_given(SETTINGS, encoder=Unprojected().double()), tangent=False, refinement_lr=LR, refined=None)
    previous = Unprojected().double().state_dict()
    merged = {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in previous.items()}
    samples, encoder = streams.STREAM.train_stream[1].samples, Unprojected().double()
    seeds.reseed(streams.SEED, 1, "refinement")
    changed = trainer.refine(streams.STREAM.train_stream[1], previous, merged)
    encoder.load_state_dict(merged)
    layer, seed = list(encoder.norm.parameters()), seeds.derive(streams.SEED, 1, "refinement")
    optimizer = torch.optim.AdamW(layer, lr=LR)
    for images, _ in streams.images_of(samples, batches.TrainingOrder(samples, SETTINGS.batch_size, seed, 0)):
        difference = encoder(images) - functional_call(encoder, previous, (images,))
        optimizer.zero_grad()
        difference.square().mean().backward()
        torch.nn.utils.clip_grad_norm_(layer, SETTINGS.gradient_clip)
        optimizer.step()
    assert changed.keys() == {"norm.weight", "norm.bias"}
    for name, tensor in changed.items():
        torch.testing.assert_close(tensor, encoder.state_dict()[name], rtol=1e-9, atol=1e-12)
        assert not torch.allclose(tensor, merged[name], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "lr", "told"), [(4.0, 1e-7, True), (0.01, 1e-7, False), (4.0, 1e-3, False), (4.0, 0, False)]
)
def test_steps_that_are_lost_in_the_rounding_of_the_weights_are_told(caplog, size, lr, told):
    class Single(Unprojected):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.norm(self.hidden(images.flatten(1)))

    trainer = CMM(small_given(SETTINGS, encoder=Single()), tangent=False, refinement_lr=lr, refined=None)
    previous = {name: torch.randn_like(tensor) for name, tensor in Single().state_dict().items()}
    merged = {name: torch.full_like(tensor, size) for name, tensor in previous.items()}
    seeds.reseed(streams.SEED, 1, "refinement")
    changed = trainer.refine(streams.STREAM.train_stream[1], previous, merged)
    kept = all(torch.equal(changed[name], merged[name]) for name in changed)
    assert kept == (told or lr == 0)
    assert ("refinement changed 0 % of the numbers in norm.weight, norm.bias: steps" in caplog.text) == told


@pytest.mark.slow
def test_a_tower_of_timm_without_a_projection_is_learned_merged_and_refined(configure, tmp_path, monkeypatch):
    vision = {"timm_model_name": "test_vit", "timm_model_pretrained": False, "timm_pool": "token", "timm_proj": "none"}
    width = {"embed_dim": 64, "vision_cfg": {**vision, "image_size": 160}}
    monkeypatch.setattr(clip_files, "CONFIGURATION", {**clip_files.CONFIGURATION, **width})
    clip_files.register(tmp_path, monkeypatch)
    torch.manual_seed(0)
    torch.save(open_clip.create_model("small-quickgelu").state_dict(), tmp_path / "timm.pt")
    own = ("backbone=vit_b_32", "backbone.model=small-quickgelu", f"backbone.pretrained={tmp_path / 'timm.pt'}")
    options = (*own, *SHORT, FEW_IMAGES, "trainer=cmm", "trainer.refinement_lr=1e-3", "evaluation=final")
    with pytest.raises(
        UserError, match=r"is no parameter of .*; where it has no projection, backbone\.projection=null"
    ):
        build(configure(*options))
    config = configure(*options, "backbone.projection=null")
    run(config, tmp_path / "run")
    parts = build(config)
    refined = Stream(parts.store_dir / "streams", parts.training).read_extra(1, "refined")
    assert refined.keys() == {"trunk.norm.weight", "trunk.norm.bias"}
    assert not torch.equal(refined["trunk.norm.bias"], parts.pretrained["trunk.norm.bias"])
