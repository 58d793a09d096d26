"""Layer-wise learning-rate decay on real open_clip towers."""

import pytest
import timm
import torch
from open_clip.transformer import VisionTransformer

from cl_bench.backbones import TinyClip
from cl_bench.runtime.errors import UserError
from cl_bench.trainers.base.layers import groups
from tests.helpers import timm_towers
from tests.helpers.small import SmallEncoder, optimization


def test_rates_fall_from_the_last_block_to_the_patches():
    encoder = TinyClip().encoder
    named = dict(encoder.named_parameters())
    blocks = len(encoder.transformer.resblocks)
    rate = {id(p): group["lr"] for group in groups(named, 1.0, 0.5) for p in group["params"]}
    assert len(rate) == len(named)
    for name, parameter in named.items():
        if name.startswith("transformer.resblocks."):
            depth = int(name.split(".")[2]) + 1
        else:
            depth = 0 if name.startswith(("conv1", "class_embedding", "positional", "ln_pre")) else blocks + 1
        assert rate[id(parameter)] == 0.5 ** (blocks + 1 - depth), name


def test_every_parameter_of_the_published_tower_has_its_depth():
    with torch.device("meta"):
        visual = VisionTransformer(224, 16, 768, 12, 12, 4.0, output_dim=512)
    made = groups(dict(visual.named_parameters()), 1e-5, 0.75)
    assert len(made) == 14 and sum(len(group["params"]) for group in made) == len(list(visual.parameters()))


def test_the_schedule_scales_every_groups_own_rate():
    encoder, settings = TinyClip().encoder, optimization(layer_decay=0.5, lr=1.0, warmup_steps=4)
    optimizer, schedule = settings.build(dict(encoder.named_parameters()), 10)
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.step()
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([2 * rate for rate in rates])
    assert rates[-1] == 0.25 and rates[0] == 0.25 * 0.5 ** (len(rates) - 1)


@pytest.mark.parametrize(
    ("model", "prefix", "after"),
    [
        ("test_vit", "", ("norm.",)),
        ("test_vit2", "", ("norm.", "fc_norm.")),
        *((tower, "trunk.", ("norm.", "attn_pool.", "head.")) for tower in timm_towers.TOWERS),
    ],
)
def test_towers_of_timm_have_depths_too(model, prefix, after):
    named = dict(timm.create_model(model, num_classes=0 if model.startswith("test") else 5).named_parameters())
    named = {prefix + name: parameter for name, parameter in named.items() if not name.startswith("head.") or prefix}
    rate = {id(p): group["lr"] for group in groups(named, 1.0, 0.5) for p in group["params"]}
    blocks = 1 + max(int(name.split("blocks.")[1].split(".")[0]) for name in named if "blocks." in name)
    for name, parameter in named.items():
        inner = name.removeprefix(prefix)
        if inner.startswith("blocks."):
            depth = int(inner.split(".")[1]) + 1
        else:
            depth = blocks + 1 if inner.startswith((*after, "head.")) else 0
        assert rate[id(parameter)] == 0.5 ** (blocks + 1 - depth), name


def test_an_encoder_of_unknown_depth_is_refused():
    with pytest.raises(UserError, match=r"optim\.layer_decay: the encoder has a parameter patches\.weight"):
        optimization(layer_decay=0.5).build(dict(SmallEncoder().named_parameters()), 10)
