"""A stream of three tasks learned by every trainer, by one process or by a group.

As a program under torchrun, all in one process group (gloo on the CPU); what each process ends with is left in the
folder given, as `<case>.<rank>.safetensors`.
"""

import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.distributed as dist
from safetensors.torch import save_file

from cl_bench import mergers
from cl_bench.mergers import RunningMerge
from cl_bench.runtime import distributed
from tests.trainers import streams
from tests.trainers.table import CASES, STREAM


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
