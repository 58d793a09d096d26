"""Models with the names of open_clip's encoder, for the tests of methods that merge matrices."""

from collections.abc import Callable

import torch
from torch import Tensor

from cl_bench.mergers.engine.model_folding import TaskParameter

WIDTH = 4
SHAPES = {
    "class_embedding": (WIDTH,),
    "positional_embedding": (5, WIDTH),
    "proj": (WIDTH, 3),
    "conv1.weight": (WIDTH, 3, 2, 2),
    "ln_pre.weight": (WIDTH,),
    "transformer.resblocks.0.attn.in_proj_weight": (3 * WIDTH, WIDTH),
    "transformer.resblocks.0.attn.in_proj_bias": (3 * WIDTH,),
    "transformer.resblocks.0.mlp.c_fc.weight": (2 * WIDTH, WIDTH),
    "transformer.resblocks.0.mlp.c_proj.weight": (WIDTH, 2 * WIDTH),
    "logit_scale": (),
    "empty.weight": (0, WIDTH),
}
OUTSIDE_LAYERS = ("class_embedding", "logit_scale")
FUSED, FULL, WIDE = (name for name in SHAPES if name.endswith(("in_proj_weight", "c_fc.weight", "c_proj.weight")))
NO_MATRICES = {"all": (), "no_embeddings": ("positional_embedding",), "linear": ("positional_embedding", "proj")}
"""What has two dimensions and is no matrix, by `Matrices`."""


PARAMETER = TaskParameter(FULL, torch.empty(0), 2, {}, torch.Generator())
"""What a rule that folds a matrix is told of it, for rules that do not ask."""


def encoders(tasks: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[dict[str, Tensor]]:
    """θ_0 to θ_T, and a buffer of integers."""
    generator = torch.Generator().manual_seed(seed)
    return [
        {name: torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for name, shape in SHAPES.items()}
        | {"steps": torch.tensor(7)}
        for _ in range(tasks + 1)
    ]


def task_vectors(models: list[dict[str, Tensor]], name: str) -> Tensor:
    """(T, *shape), in float64."""
    return torch.stack([model[name].double() - models[0][name].double() for model in models[1:]])


def low_rank(rank: int, m: int, n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    left = torch.randn(m, rank, generator=generator, dtype=torch.float64)
    return left @ torch.randn(rank, n, generator=generator, dtype=torch.float64)


def partial_isometry(matrix: Tensor) -> Tensor:
    """U · Vᵀ, from the singular values that are not 0 as LAPACK gives them."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    rank = int((values > 1e-6 * values.max()).sum())
    return left[:, :rank] @ right[:rank]


def by_hand(
    models: list[dict[str, Tensor]],
    rule: Callable[[Tensor], Tensor],
    rest: Callable[[Tensor], Tensor],
    matrices: str,
    split: bool,
) -> dict[str, Tensor]:
    """The merged task vectors of every parameter, from the rule for one matrix and that for the rest."""
    merged = {}
    for name, shape in SHAPES.items():
        vectors = task_vectors(models, name)
        if len(shape) != 2 or 0 in shape or name in NO_MATRICES[matrices]:
            merged[name] = rest(vectors)
        elif split and name == FUSED:
            merged[name] = torch.cat([rule(vectors[:, i : i + WIDTH]) for i in (0, WIDTH, 2 * WIDTH)])
        else:
            merged[name] = rule(vectors)
    return merged
