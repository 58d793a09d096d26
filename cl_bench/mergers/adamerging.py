"""AdaMerging: the task vectors, each with coefficients of its own that are learned on unlabelled test images."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from cl_bench.mergers import Stack, StackMerger

Granularity = Literal["layer_wise", "task_wise"]


class AdaMerging(StackMerger):
    """θ_p = θ_0,p + λ · Σ_t c_t,p · τ_t,p, with coefficients c that make the merged model sure of its predictions.

    There is one coefficient for each task and parameter p ("layer_wise"), or one for each task ("task_wise"). From
    ``start`` on, Adam minimizes the sum over tasks of the mean entropy of the merged model's predictions on a batch of
    ``batch_size`` images of each task, for ``steps`` steps. The images are *unlabelled test images*, so such numbers do
    not compare with those of rules that see none. Coefficients are clamped to [0, 1].

    The rule itself sees no image: a run learns the coefficients (``cl_bench.experiment.adaptation``) and hands them
    over. Without them there is nothing to merge by.

    Beside the models of all tasks, the memory is the largest parameter, once per task; to learn takes the merged model
    and its gradient, too.

    Source: Yang et al., "AdaMerging: Adaptive Model Merging for Multi-Task Learning", ICLR 2024, arXiv 2310.02575. The
    clamp, the sum over tasks and Adam's settings are those of the authors' code.

    Differs from the publication in: tasks arrive one by one, so coefficients are learned anew whenever the merged model
    is evaluated, of the tasks so far and on their images.

    Args:
        granularity: "layer_wise" or "task_wise".
        start: Of all coefficients.
        steps: Of Adam.
        learning_rate: Adam's.
        batch_size: Images of each task in a step.
        scaling: λ, which the publication does not have; 1 leaves it out.

    Attributes:
        coefficients: Gives (T,) coefficients for the name of a parameter and T; an error before they are learned.

    Raises:
        ValueError: ``granularity`` is unknown.
    """

    sees_test_images = True

    def __init__(
        self,
        granularity: Granularity = "layer_wise",
        start: Annotated[float, Field(ge=0, le=1)] = 0.3,
        steps: Annotated[int, Field(ge=1)] = 500,
        learning_rate: Annotated[float, Field(gt=0)] = 1e-3,
        batch_size: Annotated[int, Field(ge=1)] = 16,
        scaling: float = 1.0,
    ) -> None:
        super().__init__(scaling)
        if granularity not in ("layer_wise", "task_wise"):
            raise ValueError(f"granularity must be 'layer_wise' or 'task_wise', not {granularity!r}")
        self.granularity, self.start = granularity, start
        self.steps, self.learning_rate, self.batch_size = steps, learning_rate, batch_size
        self.coefficients: Callable[[str, int], Tensor] = _not_learned

    def combine_stack(self, stack: Stack) -> Tensor:
        """Σ_t c_t · τ_t."""
        return weighted(stack.vectors, self.coefficients(stack.name, len(stack.weights)))


def weighted(vectors: Tensor, coefficients: Tensor) -> Tensor:
    """Σ_t c_t · τ_t of (T, …) task vectors, which are changed; one rounding at a time, in the order of the tasks."""
    terms = (vector.mul_(coefficient) for vector, coefficient in zip(vectors, coefficients.tolist(), strict=True))
    total: Tensor = next(terms).clone()
    for term in terms:
        total.add_(term)
    return total


def _not_learned(name: str, tasks: int) -> Tensor:
    raise ValueError(f"AdaMerging has no coefficients for {tasks} tasks: a run learns them on test images")
