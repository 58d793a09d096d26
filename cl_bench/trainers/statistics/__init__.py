"""What training leaves behind for mergers, beside the weights: one file each, found by name in `STATISTICS`."""

from collections.abc import Mapping

from cl_bench.trainers.statistics import fisher_diagonal, grams, second_moments, squared_gradients
from cl_bench.trainers.statistics.learned import Learned, Statistic

STATISTICS: Mapping[str, Statistic] = {
    "second_moments": second_moments.second_moments,
    "fisher_diagonal": fisher_diagonal.fisher_diagonal,
    "squared_gradients": squared_gradients.squared_gradients,
    "grams": grams.grams,
}
"""A merger names what it needs of these in `requires`, a trainer what it can leave behind in `leaves`."""

FROM_ANOTHER_PASS = frozenset(STATISTICS) - {"second_moments"}
"""Names of those that read the task's images once more."""

__all__ = ["FROM_ANOTHER_PASS", "STATISTICS", "Learned", "Statistic"]
