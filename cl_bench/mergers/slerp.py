"""SLERP: from task to task along an arc between the merged task vector and the next one."""

import math
from typing import ClassVar

from torch import Tensor

from cl_bench.mergers import MergeBlock, Merger, State, TaskBlock
from cl_bench.mergers.numerics.sums import dot

_PARALLEL = 0.9995  # above this |cosine| the arc is so short, or so long, that it is not determined


class Slerp(Merger):
    """Per parameter, spherical linear interpolation between the merged task vector M and each new one, τ_t.

    After the first task M = τ_1; then, from task 2 on, with s = 1/t and Ω the angle between M and τ_t,

        M ← (sin((1 - s) Ω) · M + sin(s Ω) · τ_t) / sin Ω

    Where M or τ_t is 0, or |cos Ω| > 0.9995, M ← (1 - s) M + s τ_t. Vectors that agree are averaged. Vectors at right
    angles keep their length, which an average would shorten. The order of the tasks matters from the third on.

    The memory is one number per element, and a copy of the largest parameter.

    Source: Shoemake, "Animating Rotation with Quaternion Curves", SIGGRAPH 1985, which has no arXiv number; for models,
    and with the limit 0.9995, mergekit (arXiv 2403.13257), which interpolates between two.

    Differs from the publication in: mergekit interpolates weights; here it is task vectors, one parameter after the
    other, and any number of tasks, of which each has the share 1/t.

    Args:
        scaling: λ of the merged task vector, which the publication does not have; 1 leaves it as it is.
    """

    state: ClassVar = {"merged": None}
    whole_parameters = True

    def __init__(self, scaling: float = 1.0) -> None:
        super().__init__(scaling)

    def fold(self, state: State, block: TaskBlock) -> None:
        """The rule above; the first task has the share 1 of a line that begins at 0."""
        (merged,) = state
        share = 1 / block.task
        old, new = _shares(merged, block.vector, share)
        merged.mul_(old).add_(block.vector * new)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """M itself."""
        (merged,) = state
        return merged


def _shares(merged: Tensor, vector: Tensor, share: float) -> tuple[float, float]:
    """By what the merged vector and the new one are multiplied."""
    lengths = math.sqrt(dot(merged, merged)) * math.sqrt(dot(vector, vector))
    cosine = dot(merged, vector) / lengths if lengths else 1.0
    if abs(cosine) > _PARALLEL:
        return 1 - share, share
    angle = math.acos(cosine)
    return math.sin((1 - share) * angle) / math.sin(angle), math.sin(share * angle) / math.sin(angle)
