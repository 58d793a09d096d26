"""Layer-wise learning-rate decay."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from cl_bench.runtime.errors import UserError
from cl_bench.store.block_names import block_of

# Beginnings of names in vision transformers of open_clip, and of timm; within open_clip these stand behind `trunk.`.
_BEFORE = (
    *("conv1.", "class_embedding", "positional_embedding", "ln_pre.", "patchnorm_pre_ln."),
    *("patch_embed.", "cls_token", "reg_token", "pos_embed", "norm_pre."),
)
_AFTER = ("ln_post.", "proj", "attn_pool.", "norm.", "fc_norm.", "head.")


def groups(parameters: Mapping[str, nn.Parameter], lr: float, decay: float) -> list[dict[str, Any]]:
    """Returns the parameter groups of a vision transformer: block i of L learns with lr · decay^(L - i).

    Parameters after the blocks learn with lr; those before them (patches, positions) count as block 0.

    Source: Clark et al. 2020, arXiv 2003.10555.

    Args:
        parameters: The trained parameters, by name in the image tower.
        lr: Learning rate of the last layer.
        decay: From 0 to 1.

    Raises:
        UserError: See `check`.
    """
    check(parameters)
    depths = {name: _depth(name) for name in parameters}
    top = 1 + max((depth for depth in depths.values() if depth is not None), default=0)
    members: dict[int, list[nn.Parameter]] = defaultdict(list)
    for name, parameter in parameters.items():
        depth = depths[name]
        members[top if depth is None else depth].append(parameter)
    return [{"params": members[depth], "lr": lr * decay ** (top - depth)} for depth in sorted(members)]


def check(names: Iterable[str]) -> None:
    """Checks that the depth of every parameter is known.

    Raises:
        UserError: A parameter belongs to no layer of a vision transformer of open_clip or timm.
    """
    inside = [name.removeprefix("trunk.") for name in names]
    if unknown := [name for name in inside if block_of(name) is None and not name.startswith(_BEFORE + _AFTER)]:
        raise UserError(
            f"optim.layer_decay: the encoder has a parameter {unknown[0]}, whose depth in the network is not known; "
            "leave it out."
        )


def _depth(name: str) -> int | None:
    """Returns 0 before the blocks, 1 and so on in them, None after them."""
    if (block := block_of(name)) is not None:
        return block + 1
    return 0 if name.removeprefix("trunk.").startswith(_BEFORE) else None
