"""What a GPU does with training and evaluation: images per second, beside the most that its bf16 units can do.

`make bench-gpu` runs it as `python -m benchmarks.gpu OUT`. All is measured in one process, one after the other; medians
are over chunks of half a second. What would begin after `--minutes` is left out, and what fails says so in its cell.
"""

import argparse
import itertools
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from benchmarks import gpu_models, gpu_reading, gpu_training
from benchmarks.gpu_page import Measured, write
from cl_bench.trainers import TRAINERS

_MODELS = ["ViT-B-32-quickgelu", "ViT-B-16-quickgelu", "ViT-L-14-quickgelu"]
_TRAINERS = ["sequential", "ewc", "lwf", "tangent"]
_TRAINED_WITH = "bf16"  # by the trainers that are held against each other
_EVALUATED_WITH = ("float32", "bf16")
_IMAGES = 2500  # of a task of CIFAR100/20

T = TypeVar("T")


class Budget:
    """Measures as long as there is time.

    Args:
        device: Is cleaned after each measurement.
        minutes: How long measurements may begin.
    """

    def __init__(self, device: torch.device, minutes: float) -> None:
        self._device, self._begin, self._end = device, time.monotonic(), time.monotonic() + 60 * minutes

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._begin

    def measured(self, what: str, measure: Callable[[], T]) -> T | str:
        """What a measurement finds, or why there is nothing."""
        if time.monotonic() > self._end:
            return "no time left"
        try:
            return measure()
        except torch.cuda.OutOfMemoryError:
            return "out of memory"
        except Exception as error:  # a failure must not cost the other measurements
            print(f"{what} failed:", file=sys.stderr)
            traceback.print_exc()
            return f"failed: {type(error).__name__}"
        finally:
            print(f"{self.seconds:4.0f} s  {what}", flush=True)
            gpu_training.clean(self._device)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and writes a Markdown file."""
    args = _arguments(arguments)
    device = torch.device(args.device)
    budget, found = Budget(device, args.minutes), Measured(device, args.batch, args.images, gpu_models.peak(device))
    size, seconds = (args.batch, args.images), args.seconds
    uncompiled = [way for way in args.ways if not gpu_models.WAYS[way].get("compile")]

    def train(trainer: str, model: str, way: str) -> gpu_training.Pace | str:
        kind = TRAINERS[trainer]
        return budget.measured(
            f"{trainer}, {model}, {way}", lambda: gpu_training.trained(kind, model, way, device, *size, seconds)
        )

    for model in args.models:
        found.operations[model] = gpu_models.operations(model, True), gpu_models.operations(model, False)
        for way in uncompiled:
            found.training[model, way] = train("sequential", model, way)
    middle = args.models[len(args.models) // 2]
    found.plain[middle] = budget.measured(
        f"plain loop, {middle}", lambda: gpu_training.plain(middle, device, *size, seconds)
    )
    for trainer in args.trainers:
        found.trainers[middle, trainer] = train(trainer, middle, _TRAINED_WITH)
    for model in args.models:
        for way in _EVALUATED_WITH:
            found.evaluation[model, way] = budget.measured(
                f"evaluation, {model}, {way}",
                lambda model=model, way=way: gpu_reading.evaluated(model, way, device, seconds),
            )
    with tempfile.TemporaryDirectory() as folder:
        found.fed = budget.measured(
            "prepared cache", lambda: gpu_reading.fed(middle, device, Path(folder), args.images)
        )
    for model, way in itertools.product(args.models, args.ways):
        if way not in uncompiled:  # last, since compiling takes longest
            found.training[model, way] = train("sequential", model, way)
    found.peak_afterwards, found.seconds = gpu_models.peak(device), budget.seconds
    write(args.path, found)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--models", nargs="+", default=_MODELS, help="tiny_clip, or names of open_clip")
    parser.add_argument("--ways", nargs="+", default=list(gpu_models.WAYS), choices=gpu_models.WAYS)
    parser.add_argument("--trainers", nargs="+", default=_TRAINERS, choices=TRAINERS)
    parser.add_argument("--batch", type=int, default=128, help="images of a training step")
    parser.add_argument("--images", type=int, default=_IMAGES, help="images of a task")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement, after its first steps")
    parser.add_argument("--minutes", type=float, default=6.5, help="after which no measurement begins")
    args = parser.parse_args(arguments)
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("this machine has no GPU; --device cpu --models tiny_clip --ways float32 bf16 measures its CPU.")
    if unknown := sorted(set(args.models) - gpu_models.known()):
        parser.error(f"--models: {', '.join(unknown)}: neither tiny_clip nor a model of open_clip.")
    return args


if __name__ == "__main__":
    main()
