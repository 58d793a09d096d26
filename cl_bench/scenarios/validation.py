"""Sets a share of the training images aside, so that settings can be chosen without looking at the test set."""

import numpy as np

_SEED = 0  # fixed: which images are set aside is part of the scenario, not of a run


def split(labels: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions kept for training and positions set aside, class by class.

    Args:
        labels: (N,) what the shares are balanced over.
        share: Of each class, in 0 to 1; rounded to whole images.

    Returns:
        Two sorted int64 arrays that together hold 0 to N - 1 once.
    """
    random = np.random.default_rng(_SEED)
    aside = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        positions = np.flatnonzero(labels == label)
        aside[random.permutation(positions)[: round(share * len(positions))]] = True
    return np.flatnonzero(~aside), np.flatnonzero(aside)
