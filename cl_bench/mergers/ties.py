"""TIES: trim, elect signs, and average the values that agree."""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from cl_bench.mergers import State, TaskBlock, TaskVector, Weights
from cl_bench.mergers.engine.sparse import ElectedByWeight, SparseMerger
from cl_bench.mergers.engine.task_weights import TaskWeights, shares, weight_of


class Ties(SparseMerger):
    """TIES-Merging: resolve interference among task vectors in three steps.

    1. Trim: of each whole task vector keep the k = ⌊density · N⌋ elements (at least one) of largest magnitude, and all
       that equal the smallest of these; the rest becomes 0.
    2. Elect: per element, the sign of the sum of the kept values. Where that sum is 0, it is the majority sign: the
       sign of the sum of all elements' elected signs, negative if that is 0 too.
    3. Merge: per element, the mean of the kept values that have the elected sign; 0 where none has it.

    With weights w_t the kept values are multiplied by them after step 1. These then elect, and step 3 has their sum,
    divided by the sum of the weights of the values that agree. The memory is two sums and two counts per element,
    whatever the number of tasks; with weights it is four sums.

    Source: Yadav et al., "TIES-Merging", NeurIPS 2023, arXiv 2306.01708; λ and the scope as published with
    "MagMax", arXiv 2407.06322. The weights are those of mergekit's ``ties`` (arXiv 2403.13257), normalized by
    default there.

    Differs from the publication in: the authors' code keeps k + 1 elements instead of k. It adds the kept values in the
    order of the tasks, and here those of each sign are added first; a sum that cancels exactly in one order may leave a
    rounding error in the other. mergekit takes a sum of 0 for positive, trims each parameter by itself, and allows
    negative weights, with which a task has a negative share of a mean.

    Args:
        scaling: λ.
        density: Share of elements that trimming keeps.
        trim_scope: What N counts: "encoder", the elements of the task vector; "whole_model", these and the
            ``frozen_parameters`` zeros beside them, which is how the published results were made (0.2
            of CLIP ViT-B/16 with its text tower keeps 34.7 % of the image encoder).
        weights: w_t of each task, in order; None where all tasks count alike.

    Raises:
        ValueError: ``density`` is not in (0, 1], ``trim_scope`` is unknown, or the weights are those of no mean;
            or, while merging, there are more tasks than weights.
    """

    def __init__(
        self,
        scaling: float = 0.55,
        density: Annotated[float, Field(gt=0, le=1)] = 0.2,
        trim_scope: Literal["encoder", "whole_model"] = "whole_model",
        weights: TaskWeights = None,
    ) -> None:
        super().__init__(scaling, "ties")
        if not 0 < density <= 1:
            raise ValueError(f"density must be above 0 and at most 1, but is {density}")
        if trim_scope not in ("encoder", "whole_model"):
            raise ValueError(f"trim_scope must be 'encoder' or 'whole_model', not {trim_scope!r}")
        self.density = density
        self.trim_scope = trim_scope
        self.weights, self._shares, self._by_weight = weights, shares(weights), ElectedByWeight()
        if weights is not None:
            self._combination, self.state = self._by_weight, ElectedByWeight.state  # type: ignore[misc]

    def look(self, vector: TaskVector) -> float:
        """The trimming threshold: the k-th largest magnitude."""
        frozen = vector.frozen_parameters if self.trim_scope == "whole_model" else 0
        keep = max(1, int(self.density * (vector.elements + frozen)))
        return 0.0 if keep >= vector.elements else vector.kth_largest_magnitude(keep)

    def check_tasks(self, parameters: Weights, tasks: int) -> None:
        """Refuses more tasks than weights."""
        if self.weights is not None:
            weight_of(self.weights, tasks)

    def fold(self, state: State, block: TaskBlock) -> None:
        """Combines what is kept, times the task's weight, with what was kept of the tasks before."""
        if self._shares is None:
            super().fold(state, block)
        else:
            self._by_weight.fold_weighted(state, self.sparsify(block), weight_of(self._shares, block.task))

    def sparsify(self, block: TaskBlock) -> Tensor:
        """The values that reach the threshold."""
        # The mask is a float, 1 or 0, as in MagMax.
        return block.vector.abs().ge_(block.glance).mul_(block.vector)
