"""Sets a share of the training images aside, so that settings can be chosen without the test set."""

import numpy as np

_SEED = 0  # fixed, since which images are set aside belongs to the scenario, not to a run


def split(labels: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Splits positions into those kept for training and those set aside, class by class.

    Args:
        labels: (N,) the classes that the split balances.
        share: Share of each class that is set aside, from 0 to 1; rounded to whole images.

    Returns:
        Two sorted int64 arrays, positions kept and set aside, that together hold each of 0 to N - 1 once.
    """
    random = np.random.default_rng(_SEED)
    aside = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        positions = np.flatnonzero(labels == label)
        aside[random.permutation(positions)[: round(share * len(positions))]] = True
    return np.flatnonzero(~aside), np.flatnonzero(aside)
