"""A stream of three tasks learned by every trainer, by one process or by a group.

As a program under torchrun, all in one process group (gloo on the CPU); what each process ends with is left in the
folder given, as `<case>.<rank>.safetensors`.
"""

import functools
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from safetensors.torch import save_file

from cl_bench import mergers
from cl_bench.mergers import RunningMerge
from cl_bench.runtime import distributed
from cl_bench.trainers import (
    CMM,
    EWC,
    L2SP,
    HeadOnly,
    Independent,
    Joint,
    LoRA,
    LwF,
    Optimization,
    Replay,
    Sequential,
    Tangent,
    TaskTrainer,
)
from tests.helpers.small import optimization, scenario
from tests.trainers import streams

# Batches of 7, 7, 7 and 1: shares of a batch are unequal, and of the last one the second process has none.
STREAM = scenario(tasks=3, per_class=11)

# Two processes add in another order than one, and AdamW makes whole steps of gradients that are nothing but rounding,
# as those of the keys' biases are in attention. In double precision, rounding is far below its own eps of 1e-8.
ADAMW = optimization(epochs=5, batch_size=7)

# Not so with L2-SP: where the keys' biases are off the anchor by a rounding error, a step back is strength * lr / eps
# times as long as the error, and goes far beyond. With this eps it is a tenth of it.
LARGE_EPS = optimization(epochs=5, batch_size=7, optimizer=functools.partial(torch.optim.AdamW, eps=1e-2))


class Case(NamedTuple):
    """A trainer with its own settings."""

    trainer: type[TaskTrainer]
    settings: Optimization = ADAMW
    options: Mapping[str, Any] = MappingProxyType({})


CASES = {
    "sequential": Case(Sequential),
    "independent": Case(Independent),
    "joint": Case(Joint),
    "ewc_accumulated": Case(EWC, options={"fisher": "accumulated", "strength": 50.0}),
    "ewc_per_batch": Case(EWC, options={"fisher": "per_batch", "strength": 50.0}),
    "ewc_features": Case(EWC, options={"fisher_outputs": "features", "strength": 50.0}),
    "lwf": Case(LwF),
    "l2sp_pretrained": Case(L2SP, LARGE_EPS, {"anchor": "pretrained"}),
    "l2sp_previous": Case(L2SP, LARGE_EPS, {"anchor": "previous"}),
    "replay": Case(Replay, options={"buffer_images": 9}),
    "replay_one_image": Case(Replay, options={"choice": "class_balanced", "replay_batch_size": 1}),
    "tangent": Case(Tangent),
    "cmm": Case(CMM, options={"refinement_lr": 1e-3}),
    "lora": Case(LoRA, options={"rank": 2, "targets": ("self_attn", "linear1", "linear2")}),
    "head_only": Case(HeadOnly),
}


def learned(case):
    """The weights after each task and the statistics left with them, by `<task>/<weights or statistic>/<parameter>`."""
    options = {**case.options, "keep": case.trainer.leaves}
    trainer, pretrained = streams.made(case.trainer, case.settings, STREAM, **options)
    stream, weights, left = SimpleNamespace(train_stream=trainer.experiences(STREAM)), pretrained, {}
    running = RunningMerge(mergers.CMM(second_moments=trainer.refines), pretrained)
    for task in range(len(stream.train_stream)):
        start = {"pretrained": pretrained, "previous": weights, "merged": running.merged()}[trainer.starts_from]
        weights, statistics = streams.learned(trainer, task, start, case.settings, stream)
        streams.fold(running, trainer, task, weights, statistics, stream)
        for kind, tensors in {"weights": weights, "merged": running.merged(), **statistics}.items():
            left.update({f"{task}/{kind}/{name}": tensor for name, tensor in tensors.items()})
    return left


def _process(folder):
    """What each process of the group does."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))  # one that is left alone gives up then
    for name, case in CASES.items():
        save_file(learned(case), folder / f"{name}.{distributed.rank()}.safetensors")
    dist.destroy_process_group()


if __name__ == "__main__":
    _process(Path(sys.argv[1]))
