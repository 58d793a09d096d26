"""A few of many numbers."""

import numpy as np


def evenly_spaced(count: int, most: int) -> list[int]:
    """At most `most` of the numbers 0 to count - 1, evenly spaced, with the first and the last among them."""
    return sorted({int(place) for place in np.linspace(0, count - 1, most).round()})
