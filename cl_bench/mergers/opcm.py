"""OPCM: each new task vector is stripped of the directions that the models so far have taken, then added."""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers import Stack, Weights
from cl_bench.mergers.engine.matrices import Matrices, MatrixMerger, Rest, combine_rest, is_outside_layers
from cl_bench.mergers.numerics.one_thread import one_thread
from cl_bench.mergers.numerics.products import product
from cl_bench.mergers.numerics.side_by_side import side_by_side
from cl_bench.mergers.numerics.singular import singular
from cl_bench.mergers.numerics.sums import exact_sum


class OPCM(MatrixMerger):
    """Orthogonal projection-based continual merging.

    For each weight matrix M_1 = τ_1 and M_t = M_{t-1} + P(τ_t). With M_{t-1} = U · diag(σ) · Vᵀ, all of U and V, P
    takes τ_t into these coordinates, Uᵀ · τ_t · V, sets the diagonal and the leading (k, k) block to 0, and goes back;
    k is the number of leading σ whose sum stays within ``alpha`` of the whole. Of any other parameter M is the sum.
    The whole model is then scaled to the task vectors' mean length: τ = M_T · mean_t ‖τ_t‖ / ‖M_T‖. All of M_T is kept
    until then, which takes the memory of one model more.

    What belongs to no layer of a CLIP model, its class embedding above all, is not merged: it stays as the first task
    has it, M_1 = τ_1 and M_t = s_{t-1} · M_{t-1}, where s_t = mean_{i≤t} ‖τ_i‖ / ‖M_t‖ is what the whole model is
    scaled by after task t. As a rule, it shrinks with every task.

    Source: Tang et al., "Merging Models on the Fly Without Retraining", NeurIPS 2025, arXiv 2501.09522. The
    publication scales after every task, which comes to the same for what is merged: P does not depend on the length
    of M. Which layers, k and ``alpha`` are those of the authors' code, FusionBench, which has separate projections to
    queries, keys and values, and goes through the layers, so that it does not get to see the class embedding. Merged as
    the rest (``outside_layers=merged``), the class embedding differs by 97 % of its change after five tasks of the
    embedded digits, and everything else, by way of ‖M_t‖, by 0.04 %.

    Differs from the publication in: singular vectors that nothing determines, where the rank of M is not full, have no
    diagonal to be set to 0; and alpha = 1 takes the whole block, where the published code takes none of it.

    Args:
        scaling: λ, which the publication does not have; 1 leaves the merged vector as it is.
        alpha: Share of the sum of singular values whose directions are kept free of new tasks.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.
        rest: See ``Rest``.
        outside_layers: What becomes of the class embedding, and of ``logit_scale`` where there is one: "first", as
            above, or "merged", as ``rest`` says.

    Raises:
        ValueError: ``alpha`` is not in [0, 1], or a choice is unknown.
    """

    version = 2  # since then, the class embedding is treated as released

    def __init__(
        self,
        scaling: float = 1.0,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.5,
        split_qkv: bool = True,
        matrices: Matrices = "linear",
        rest: Rest = "sum",
        outside_layers: Literal["first", "merged"] = "first",
    ) -> None:
        super().__init__(scaling, split_qkv, matrices, rest)
        if outside_layers not in ("first", "merged"):
            raise ValueError(f"outside_layers must be 'first' or 'merged', not {outside_layers!r}")
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be between 0 and 1, but is {alpha}")
        self._alpha, self._keeps_first = alpha, outside_layers == "first"

    def look_over(self, stacks: Callable[[], Iterator[Stack]]) -> Weights:
        """M_T of each parameter by its name, scaled by mean_t ‖τ_t‖ / ‖M_T‖ over all of them."""
        merged, of_first = dict[str, Tensor](), dict[str, Tensor]()
        of_tasks, of_merged, kept = list[Tensor](), list[Tensor](), list[Tensor]()  # squared lengths of each parameter
        for stack in stacks():
            squares = _squares(stack.vectors)
            of_tasks.append(squares)
            if self._keeps_first and is_outside_layers(stack.name):
                of_first[stack.name] = stack.vectors[0].clone()
                kept.append(squares[:1])
            else:
                merged[stack.name], squares = self._summed(stack)
                of_merged.append(squares)
        scale, of_kept = _scales(*map(exact_sum, (of_tasks, of_merged, kept)))
        return {name: vector.mul_(scale) for name, vector in merged.items()} | {
            name: vector.mul_(of_kept) for name, vector in of_first.items()
        }

    def combine_stack(self, stack: Stack) -> Tensor:
        """M_T, scaled."""
        return stack.overview[stack.name].clone()

    def combine_matrices(self, vectors: Tensor) -> Tensor:
        """M_T."""
        return self._steps_summed(vectors)[0]

    def _steps(self, vectors: Tensor) -> Iterator[Tensor]:
        """M_1 to M_T."""
        merged = vectors[0].double()
        yield merged
        for vector in vectors[1:]:
            left, values, right = singular(merged)
            taken = product(product(left.T, vector.double()), right.T)
            leading = int((values.cumsum(0) <= self._alpha * values.sum()).sum())
            kept = ~torch.eye(len(values), dtype=torch.bool, device=values.device)
            kept[:leading, :leading] = False
            merged = merged + vector - product(product(left, taken.masked_fill(kept, 0)), right)
            yield merged

    def _summed(self, stack: Stack) -> tuple[Tensor, Tensor]:
        """M_T of one parameter, and (T,) the squared length of each M_t."""
        if parts := self.parts(stack):
            last, squares = zip(*side_by_side(self._steps_summed, parts), strict=True)
            merged, so_far = torch.cat(last).to(stack.pretrained).view_as(stack.pretrained), torch.stack(squares).sum(0)
        else:
            numbers = range(1, len(stack.vectors) + 1)
            merged = combine_rest(stack.vectors, self._rest)
            so_far = _squares(combine_rest(stack.vectors[:tasks], self._rest) for tasks in numbers)
        return merged, torch.cat([so_far[:-1], _squares([merged])])

    def _steps_summed(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """The same of one matrix."""
        squares = []
        for merged in self._steps(vectors):
            squares.append(_squares([merged]))
        return merged, torch.cat(squares)


def _squares(vectors: Iterable[Tensor]) -> Tensor:
    """The squared length of each, in float64, on the CPU."""
    with one_thread():
        return torch.stack([vector.double().square().sum().cpu() for vector in vectors])


def _scales(of_tasks: Tensor, of_merged: Tensor, kept: Tensor) -> tuple[float, float]:
    """What M_T is multiplied by in the end, and what is kept of the first task is.

    Args:
        of_tasks: (T,) squared lengths of the task vectors; () of a model without parameters.
        of_merged: (T,) those of what is merged after each task, before it is scaled; () if nothing is.
        kept: That of what is kept of the first task, at first.
    """
    lengths, scale, of_kept = of_tasks.reshape(-1).sqrt(), 0.0, 1.0
    for t, square in enumerate(of_merged.expand(lengths.shape)):
        length = (square + of_kept**2 * kept.sum()).sqrt()
        scale = float(lengths[: t + 1].mean() / length) if length > 0 else 0.0
        of_kept *= scale
    return scale, of_kept
