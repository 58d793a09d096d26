from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from cl_bench.mergers import DOP, OPCM, SVC, TSV, Average, BaseMerger, IsoC, IsoCTS, Wudi
from cl_bench.mergers.engine.blocks import Stack
from cl_bench.mergers.engine.matrices import Matrices, MatrixMerger, is_fused_attention, is_matrix, is_outside_layers
from tests.mergers.matrix_models import FUSED, OUTSIDE_LAYERS, SHAPES, WIDTH, by_hand, encoders


class Loudest(MatrixMerger):
    """The task matrix of the largest norm, in float64: a rule that tells whole matrices from thirds of them."""

    def combine_matrices(self, vectors: Tensor) -> Tensor:
        return loudest(vectors)


def loudest(vectors: Tensor) -> Tensor:
    return vectors[vectors.flatten(1).norm(dim=1).argmax()].double()


def halving(vectors: Tensor) -> Tensor:
    merged = vectors[0]
    for vector in vectors[1:]:
        merged = (merged + vector) / 2
    return merged


RESTS = {
    "average": lambda vectors: vectors.mean(0),
    "sum": lambda vectors: vectors.sum(0),
    "halving": halving,
    "pretrained": lambda vectors: vectors[0] * 0,
}


@pytest.mark.parametrize("rest", RESTS)
@pytest.mark.parametrize("matrices", get_args(Matrices))
@pytest.mark.parametrize("split", [True, False])
def test_every_parameter_is_merged_by_its_rule(rest: Any, matrices: Any, split: bool) -> None:
    models = encoders(4, seed=5)
    merged = Loudest(0.3, split, matrices, rest).merge(models[0], models[1:])
    expected = by_hand(models, loudest, RESTS[rest], matrices, split)
    for name in SHAPES:
        torch.testing.assert_close(merged[name], models[0][name] + 0.3 * expected[name])
    assert merged["steps"] == 7


def test_splitting_makes_a_difference_only_where_attention_is_fused() -> None:
    models = encoders(4, seed=5)
    fused, split = (Loudest(1.0, split, "all", "sum").merge(models[0], models[1:]) for split in (False, True))
    assert [name for name in SHAPES if not torch.equal(fused[name], split[name])] == [FUSED]


@pytest.mark.parametrize(
    ("name", "shape", "linear", "no_embedding"),
    [
        ("visual.transformer.resblocks.11.attn.out_proj.weight", (8, 8), True, True),
        ("encoder.layers.0.self_attn.q_proj.weight", (8, 8), True, True),
        ("positional_embedding", (5, 8), False, False),
        ("embeddings.position_embedding.weight", (5, 8), False, False),
        ("token_embedding.weight", (5, 8), False, False),
        ("proj", (8, 4), False, True),
        ("visual.proj", (8, 4), False, True),
        ("visual_projection.weight", (4, 8), True, True),
        ("text_projection", (8, 4), False, False),
        ("matrix", (8, 4), False, True),
    ],
)
def test_kinds_of_matrices_are_told_by_their_names(
    name: str, shape: tuple[int, int], linear: bool, no_embedding: bool
) -> None:
    assert is_matrix(name, torch.zeros(shape), "linear") == linear
    assert is_matrix(name, torch.zeros(shape), "no_embeddings") == no_embedding
    assert is_matrix(name, torch.zeros(shape), "all")


@pytest.mark.parametrize(
    "shape", [(), (3,), (0, 3), (3, 0), (0, 4, 3, 3), (2, 3, 1, 1), (768, 3, 16, 16), (8, 1, 3, 3), (4, 4, 3)]
)
def test_what_is_never_a_matrix(shape: tuple[int, ...]) -> None:
    assert not any(is_matrix("weight", torch.zeros(shape), matrices) for matrices in get_args(Matrices))


@pytest.mark.parametrize(
    ("name", "linear", "no_embedding", "every"),
    [
        ("layer1.0.conv1.weight", True, True, True),
        ("blocks.0.se.conv_reduce.weight", True, True, True),
        ("patch_embed2.proj.weight", False, False, True),
        ("pos_embed", False, False, False),
        ("relative_position_bias", False, False, False),
    ],
)
@pytest.mark.parametrize("shape", [(8, 6, 3, 3), (4, 2, 1, 1)])
def test_a_kernel_over_channels_is_a_matrix_and_a_table_of_four_dimensions_is_none(
    name: str, shape: tuple[int, ...], linear: bool, no_embedding: bool, every: bool
) -> None:
    assert is_matrix(name, torch.zeros(shape), "linear") == linear
    assert is_matrix(name, torch.zeros(shape), "no_embeddings") == no_embedding
    assert is_matrix(name, torch.zeros(shape), "all") == every


@pytest.mark.parametrize(
    "held", ["class_embedding", "visual.class_embedding", "embeddings.class_embedding", "logit_scale"]
)
def test_what_is_outside_of_layers_is_told_by_its_name(held: str) -> None:
    assert is_outside_layers(held)
    assert not any(map(is_outside_layers, set(SHAPES) - set(OUTSIDE_LAYERS)))


def test_fused_attention_is_told_by_name_and_shape() -> None:
    assert is_fused_attention("attn.in_proj_weight", torch.zeros(3 * WIDTH, WIDTH))
    assert is_fused_attention("blocks.0.attn.qkv.weight", torch.zeros(3 * WIDTH, WIDTH))
    assert not is_fused_attention("attn.in_proj_weight", torch.zeros(4, 4))
    assert not is_fused_attention("mlp.c_fc.weight", torch.zeros(3 * WIDTH, WIDTH))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
def test_the_result_has_the_type_of_the_model(dtype: torch.dtype) -> None:
    models = encoders(3, dtype=dtype)
    merged = Loudest(1.0, True, "all", "average").merge(models[0], models[1:])
    assert {merged[name].dtype for name in SHAPES} == {dtype}
    stack = Stack("weight", torch.zeros(2, 2), [torch.ones(2, 2)] * 3, [{}] * 3)
    assert Loudest(1.0, True, "all", "average").combine_stack(stack).dtype == torch.float32


METHODS = [TSV(), IsoC(), IsoCTS(), OPCM(), Wudi(steps=9), DOP(steps=9)]


@pytest.mark.parametrize("merger", METHODS, ids=lambda merger: type(merger).__name__)
def test_number_of_threads_changes_no_bit(merger: MatrixMerger) -> None:
    generator = torch.Generator().manual_seed(0)
    pretrained, *finetuned = (
        {
            "weight": torch.randn(300, 200, generator=generator),
            "in_proj_weight": torch.randn(384, 128, generator=generator),
        }
        for _ in range(5)
    )
    before, results = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        results.append(merger.merge(pretrained, finetuned))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert all(torch.equal(results[0][name], results[1][name]) for name in pretrained)


@pytest.mark.parametrize("merger", [*METHODS, SVC(Average())], ids=lambda merger: type(merger).__name__)
def test_a_kernel_is_merged_as_the_matrix_that_it_multiplies_patches_by(merger: BaseMerger) -> None:
    generator = torch.Generator().manual_seed(1)
    kernels = [{"conv.weight": torch.randn(6, 4, 3, 2, generator=generator, dtype=torch.float64)} for _ in range(4)]
    matrices = [{"conv.weight": model["conv.weight"].reshape(6, 24)} for model in kernels]
    merged = merger.merge(kernels[0], kernels[1:])["conv.weight"]
    assert torch.equal(merged, merger.merge(matrices[0], matrices[1:])["conv.weight"].reshape(6, 4, 3, 2))
    tables = [{"conv": model["conv.weight"]} for model in kernels]  # the same numbers, but the rest
    assert not torch.allclose(merged, merger.merge(tables[0], tables[1:])["conv"])


@pytest.mark.parametrize("merger", METHODS, ids=lambda merger: type(merger).__name__)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_computed_in_single_precision(merger: MatrixMerger, dtype: torch.dtype) -> None:
    half = encoders(3, dtype=dtype)
    single = [{name: tensor.float() for name, tensor in model.items()} for model in half]
    merged, expected = merger.merge(half[0], half[1:]), merger.merge(single[0], single[1:])
    assert all(torch.equal(merged[name], expected[name].to(dtype)) for name in SHAPES)


@pytest.mark.parametrize(("matrices", "rest"), [("some", "sum"), ("all", "none")])
def test_unknown_settings_are_refused(matrices: Any, rest: Any) -> None:
    with pytest.raises(ValueError, match="matrices must be" if matrices == "some" else "rest must be"):
        Loudest(1.0, False, matrices, rest)
