"""Gram matrices against the layers' inputs, computed step by step."""

import pytest
import torch
from torch.nn import functional

from cl_bench.backbones import TinyClip
from cl_bench.trainers import CMM, Given, HeadOnly, LoRA, Sequential, Tangent
from cl_bench.trainers.statistics.grams import grams
from tests.helpers.small import optimization, scenario
from tests.trainers import statistics_oracles as oracles


def _read(encoder, images):
    """What each linear layer of the small encoder reads, (B, tokens, d_in), by its weight."""
    block, attention = encoder.block, encoder.block.self_attn
    tokens = encoder.patches(images).flatten(2).transpose(1, 2)
    queries, keys, values = (
        part.unflatten(2, (2, 6)).transpose(1, 2)
        for part in functional.linear(tokens, attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=2)
    )
    mixed = (queries @ keys.transpose(2, 3) / 6**0.5).softmax(dim=3) @ values
    mixed = mixed.transpose(1, 2).flatten(2)
    after = block.norm1(tokens + attention.out_proj(mixed))
    hidden = block.linear1(after).relu()
    inputs = {"self_attn.in_proj_weight": tokens, "self_attn.out_proj.weight": mixed}
    inputs |= {"linear1.weight": after, "linear2.weight": hidden}
    return {f"block.{name}": tensor for name, tensor in inputs.items()}


@pytest.mark.parametrize("enough", [None, 6], ids=["all images", "two batches of 4"])
def test_every_linear_layer_has_the_mean_over_images(enough, monkeypatch):
    if enough:
        monkeypatch.setattr("cl_bench.trainers.statistics.grams.IMAGES", enough)
    _, encoder, experience, grams = oracles.learned(Sequential, "grams")
    with torch.no_grad():
        images = torch.cat([images for images, *_ in oracles.passed(experience, limit=2 if enough else None)])
        expected = {name: torch.einsum("bti,btj->ij", x, x) / len(x) for name, x in _read(encoder, images).items()}
    oracles.assert_same(grams, expected, rtol=1e-9)


def test_in_open_clip_all_but_the_bare_projection_are_found():
    clip, data = TinyClip(), scenario()
    encoder = clip.encoder
    expected = {
        name: (p.shape[1], p.shape[1])
        for name, p in encoder.named_parameters()
        if p.dim() == 2 and name not in ("proj", "positional_embedding")
    }
    trainer = Sequential(Given(encoder, torch.zeros(6, 96), clip.transform, optimization()))
    trainer.begin_task(trainer.weights(), data.train_stream[0], steps=1)
    assert len(expected) >= 8 and {name: gram.shape for name, gram in grams(trainer).items()} == expected


def test_trainers_whose_layers_are_not_the_encoders_own_leave_none():
    assert not any("grams" in trainer.leaves for trainer in (Tangent, CMM, LoRA, HeadOnly))
