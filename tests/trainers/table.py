"""The one table of trainers: what the tests that every trainer has to pass run it with.

A trainer without a row here takes part with its defaults.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from cl_bench.trainers import TRAINERS, Optimization, TaskTrainer
from tests.helpers.small import optimization, scenario

# Batches of 7, 7, 7 and 1: shares of a batch are unequal, and of the last one the second process has none.
STREAM = scenario(tasks=3, per_class=11)

# Two processes add in another order than one, and AdamW makes whole steps of gradients that are nothing but rounding,
# as those of the keys' biases are in attention. In double precision, rounding is far below its own eps of 1e-8.
ADAMW = optimization(epochs=5, batch_size=7)

# Not so with L2-SP: where the keys' biases are off the anchor by a rounding error, a step back is strength * lr / eps
# times as long as the error, and goes far beyond. With this eps it is a tenth of it.
LARGE_EPS = optimization(epochs=5, batch_size=7, optimizer=functools.partial(torch.optim.AdamW, eps=1e-2))


class Case(NamedTuple):
    """A trainer and its settings."""

    trainer: type[TaskTrainer]
    settings: Optimization
    options: Mapping[str, Any]


_ROWS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "cmm": ({"refinement_lr": 1e-3},),
    "ewc": (
        {"strength": 50.0},
        {"strength": 50.0, "fisher": "per_batch"},
        {"strength": 50.0, "fisher_outputs": "features"},
    ),
    "l2sp": ({"anchor": "pretrained"}, {"anchor": "previous"}),
    "lora": ({"rank": 2, "targets": ("self_attn", "linear1", "linear2")},),
    "replay": ({"buffer_images": 9}, {"choice": "class_balanced", "replay_batch_size": 1}),
    "si": ({"strength": 30.0},),
}

CASES = {
    f"{name}_{number}": Case(trainer, LARGE_EPS if name == "l2sp" else ADAMW, options)
    for name, trainer in TRAINERS.items()
    if name not in ("zero_shot", "imported", "finished", "ranpac")  # which take no step
    for number, options in enumerate(_ROWS.get(name, ({},)))
}
