"""Random state that depends on the place in a run, never on the way there.

Every stage of every task draws from its own seed. So a run that was killed and resumed, or that read its first tasks
from the store, goes on with the same random numbers as one that did all the work.
"""

import random

import numpy as np
import torch


def derive(seed: int, *place: int | str) -> int:
    """The seed of one place of a run, for example `derive(5, task, "order", epoch)`: 63 bits."""
    key = [part if isinstance(part, int) else int.from_bytes(part.encode(), "big") for part in place]
    low, high = np.random.SeedSequence([seed, *key]).generate_state(2)
    return (int(high) << 32 | int(low)) & (2**63 - 1)


def generator(seed: int, *place: int | str) -> torch.Generator:
    """A new torch generator for one place of a run."""
    return torch.Generator().manual_seed(derive(seed, *place))


def reseed(seed: int, *place: int | str) -> None:
    """Sets the global random state of torch (all devices), numpy and Python for one place of a run."""
    value = derive(seed, *place)
    torch.manual_seed(value)
    np.random.seed(value % 2**32)
    random.seed(value)
