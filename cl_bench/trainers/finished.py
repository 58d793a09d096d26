"""A finished model, whoever made it."""

from typing import ClassVar

from cl_bench.scenarios import Experience, Scenario
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.imported import Imported


class Finished(Imported):
    """Learns nothing: one model, merged or trained elsewhere, is evaluated on all tasks beside θ₀.

    Args:
        given: What every trainer is given.
        weights: Where the model is: a path, or a name on the Hugging Face hub.
    """

    one_for_all: ClassVar[bool] = True

    def __init__(self, given: Given, weights: str) -> None:
        super().__init__(given, weights)

    def experiences(self, scenario: Scenario) -> list[Experience]:
        """Returns one experience with the images of all tasks, for which the model stands."""
        return [scenario.joint()]
