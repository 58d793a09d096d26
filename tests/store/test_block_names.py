"""Which block a name speaks of, for models of several libraries."""

import pytest

from cl_bench.store.block_names import block_of


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("transformer.resblocks.0.attn.in_proj_weight", 0),
        ("visual.transformer.resblocks.11.ln_1.bias", 11),
        ("blocks.7.mlp.fc1.weight", 7),
        ("vision_model.encoder.layers.23.self_attn.q_proj.bias", 23),
        ("vit.encoder.layer.3.output.dense.weight", 3),
        ("h.5.ln_1.weight", 5),
        ("encoder.block.2.layer.1.layer_norm.weight", 2),
        ("layers.1.blocks.0.norm1.weight", 1),
        ("conv1.weight", None),
        ("class_embedding", None),
        ("layer1.0.conv1.weight", None),
        ("width.3.weight", None),
        ("proj", None),
        ("blocks.weight", None),
    ],
)
def test_block(name: str, block: int | None) -> None:
    assert block_of(name) == block
