"""RegMean: linear layers that come closest to what each task's own layer gives on the task's images."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers import Stack, StackMerger
from cl_bench.mergers.numerics.one_thread import one_thread
from cl_bench.mergers.numerics.products import product


class RegMean(StackMerger):
    """Regression mean: per linear layer, the least-squares solution over all tasks; the mean of everything else.

    With W_t, (d_out, d_in) as PyTorch has it, and G_t = X_tᵀ X_t, (d_in, d_in), the Gram matrix of what the layer reads
    of task t, the merged layer W minimizes Σ_t ‖X_t Wᵀ - X_t W_tᵀ‖²:

        W = (Σ_t W_t G_t) (Σ_t G_t)⁻¹

    Before that, the elements of G_t off the diagonal are multiplied by ``reduction``. Where no task's layer ever reads
    anything but zero, the column of W is the mean.

    G_t is what the task's training leaves behind as ``grams``. A layer for which a task has none is averaged, and so
    are biases, norms, embeddings, convolutions, and bare matrices such as open_clip's last projection. The equation is
    solved in double precision.

    Source: Jin, Ren, Preotiuc-Pietro and Cheng, ICLR 2023, arXiv 2212.09849.

    Differs from the publication in: G_t is a mean and not a sum, as in the authors' code, so tasks count equally
    however many images they have. The same solution is computed from task vectors instead of weights, which rounds
    less.

    Args:
        scaling: λ of the merged task vector, which the publication does not have; 1 leaves it as it is.
        reduction: The factor for elements off the diagonal. The publication mostly has 0.9, and 0.1 for some models; 1
            reduces nothing, and 0 makes each column of W a weighted mean.

    Raises:
        ValueError: ``reduction`` is not in [0, 1]; or, while merging, what a layer reads is linearly dependent, which
            can be only with ``reduction`` = 1.
    """

    def __init__(
        self,
        scaling: float = 1.0,
        reduction: Annotated[float, Field(ge=0, le=1)] = 0.9,
    ) -> None:
        super().__init__(scaling)
        if not 0 <= reduction <= 1:
            raise ValueError(f"reduction must be between 0 and 1, but is {reduction}")
        self._reduction = reduction
        self.requires = frozenset({"grams"})

    def fits(self, statistic: Tensor, parameter: Tensor) -> bool:
        """Whether it is the Gram matrix of what a linear layer with this weight reads."""
        return parameter.dim() == 2 and statistic.shape == (parameter.shape[1], parameter.shape[1])

    def combine_stack(self, stack: Stack) -> Tensor:
        """(Σ_t τ_t G_t) (Σ_t G_t)⁻¹ where all tasks have G_t, otherwise the mean of τ_t."""
        mean = sum(stack.vectors, torch.zeros_like(stack.pretrained)) / len(stack.vectors)
        grams = [gram for left in stack.statistics if (gram := left.get("grams")) is not None]
        if len(grams) < len(stack.statistics):
            return mean
        with one_thread():
            return self._solution(stack, grams, mean)

    def _solution(self, stack: Stack, grams: list[Tensor], mean: Tensor) -> Tensor:
        total = mean.new_zeros(grams[0].shape, dtype=torch.float64)
        targets = torch.zeros_like(mean, dtype=torch.float64)
        for gram, vector in zip(grams, stack.vectors, strict=True):
            reduced = self._reduced(gram.to(total))
            total += reduced
            targets += product(vector.double(), reduced)
        unread = total.diagonal() == 0
        total.diagonal()[unread] = 1.0
        targets[:, unread] = mean[:, unread].double()
        factor, failed = torch.linalg.cholesky_ex(total)
        if failed:
            raise ValueError(
                f"RegMean: what {stack.name!r} reads is linearly dependent; choose a reduction below {self._reduction}"
            )
        return torch.cholesky_solve(targets.T, factor).T.to(mean)

    def _reduced(self, gram: Tensor) -> Tensor:
        return gram.mul(self._reduction).diagonal_scatter(gram.diagonal())
