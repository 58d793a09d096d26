"""A few of many."""

import numpy as np


def spread(count: int, most: int) -> list[int]:
    """At most so many of 0 to count-1, evenly spread, the first and the last among them."""
    return sorted({int(place) for place in np.linspace(0, count - 1, most).round()})
