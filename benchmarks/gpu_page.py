"""docs/bench_gpu.md, written by two scripts: speed by `benchmarks.gpu`, accuracy by `benchmarks.gpu_accuracy`."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks import gpu_models, gpu_reading
from benchmarks.gpu_reading import Evaluated, Fed
from benchmarks.gpu_training import Pace
from cl_bench.reports.tables.formats.markdown import grid
from cl_bench.store.atomic import write_text

STEPS_OF_A_RUN = 20 * 10 * 20  # CIFAR100/20: 20 tasks, 10 epochs, 2,500 images in batches of 128
_ACCURACY = "\n## Accuracy\n"
_NO_ACCURACY = "\nIt was not measured: `make bench-gpu-accuracy` runs the embedded data on a GPU, and fills this in.\n"


@dataclass
class Measured:
    """What was found; a text says why a measurement found nothing.

    Attributes:
        device: Where.
        batch: Images of a training step.
        images: Images of a task.
        peak: Operations per second of large bf16 products, before anything else was measured.
        operations: For one image, forward and backward, and forward alone; by model.
        training: Sequential fine-tuning, by model and way.
        trainers: By model and trainer.
        plain: The published loop, by model.
        evaluation: By model and way.
        fed: The prepared cache.
        peak_afterwards: The peak at the end.
        seconds: That all of it took.
    """

    device: torch.device
    batch: int
    images: int
    peak: float
    operations: dict[str, tuple[float, float]] = field(default_factory=dict)
    training: dict[tuple[str, str], Pace | str] = field(default_factory=dict)
    trainers: dict[tuple[str, str], Pace | str] = field(default_factory=dict)
    plain: dict[str, Pace | str] = field(default_factory=dict)
    evaluation: dict[tuple[str, str], Evaluated | str] = field(default_factory=dict)
    fed: Fed | str = ""
    peak_afterwards: float = 0.0
    seconds: float = 0.0


def write(path: Path, found: Measured) -> None:
    """Writes the first half of the page; what it says of accuracy stays."""
    _, accuracy = halves(path)
    text = _TEXT.format(
        machine=f"{gpu_models.name(found.device)}, torch {torch.__version__}",
        seconds=found.seconds,
        peak=found.peak / 1e12,
        afterwards=found.peak_afterwards / 1e12,
        batch=found.batch,
        images=found.images,
        training=_training(found),
        steps=STEPS_OF_A_RUN,
        trainers=_trainers(found),
        evaluated=gpu_reading.batch_size(found.device),
        evaluation=_evaluation(found),
        fed=_fed(found.fed),
    )
    write_text(path, f"{text}{_ACCURACY}{accuracy}")


def write_accuracy(path: Path, text: str) -> None:
    """Writes the second half of the page; what it says of speed stays."""
    write_text(path, f"{halves(path)[0]}{_ACCURACY}{text}")


def halves(path: Path) -> tuple[str, str]:
    """The page as it is: speed and accuracy, or what stands for them where nothing was measured."""
    page = path.read_text(encoding="utf-8") if path.is_file() else ""
    speed, _, accuracy = page.partition(_ACCURACY)
    return speed or _NO_SPEED, accuracy or _NO_ACCURACY


def paid_back(compiled: Pace, eager: Pace) -> str:
    """After how many steps the time that compiling took is won back."""
    won = eager.step - compiled.step
    return f"{compiled.warm_up / won:,.0f}" if won > 0 else "never"


def _training(found: Measured) -> str:
    rows = []
    for model, way in sorted(found.training, key=lambda cell: [*found.operations].index(cell[0])):
        pace = found.training[model, way]
        if isinstance(pace, str):
            rows.append([f"{model}, {way}", pace, *[""] * 5])
            continue
        reference, eager = found.training.get((model, "float32")), found.training.get((model, "bf16"))
        compiled = "compiled" in way
        rows.append(
            [
                f"{model}, {way}",
                f"{pace.images:,.0f}",
                f"{1000 * pace.step:.1f}",
                f"{100 * pace.images * found.operations[model][0] / found.peak:.1f} %",
                f"{pace.images / reference.images:.2f}" if isinstance(reference, Pace) else "",
                f"{pace.warm_up:.1f}",
                paid_back(pace, eager) if compiled and isinstance(eager, Pace) else "",
            ]
        )
    header = ["model, way", "images per second", "ms per step", "of the peak", "times float32", "warm-up, s"]
    return grid([*header, "paid back after steps"], rows)


def _trainers(found: Measured) -> str:
    rows = []
    for (model, trainer), pace in found.trainers.items():
        rows.append([f"{model}, `{trainer}`", *_beside(pace, found.trainers.get((model, "sequential")))])
    for model, pace in found.plain.items():
        rows.append([f"{model}, published loop, float32", *_beside(pace, found.trainers.get((model, "sequential")))])
    return grid(["trained by", "images per second", "ms per step", "times sequential's step"], rows)


def _beside(pace: Pace | str, reference: Pace | str | None) -> list[str]:
    if isinstance(pace, str):
        return [pace, "", ""]
    times = f"{pace.step / reference.step:.2f}" if isinstance(reference, Pace) else ""
    return [f"{pace.images:,.0f}", f"{1000 * pace.step:.1f}", times]


def _evaluation(found: Measured) -> str:
    rows = []
    for (model, way), one in found.evaluation.items():
        cells = [one, "", "", ""]
        if not isinstance(one, str):
            share = one.forward * found.operations[model][1] / found.peak
            times = one.forward / one.evaluation
            cells = [f"{one.evaluation:,.0f}", f"{one.forward:,.0f}", f"{times:.2f}", f"{100 * share:.1f} %"]
        rows.append([f"{model}, {way}", *cells])
    header = ["model, way", "evaluation, images per second", "forward pass alone", "times its seconds"]
    return grid([*header, "forward pass, of the peak"], rows)


def _fed(fed: Fed | str) -> str:
    if isinstance(fed, str):
        return f"Nothing was found: {fed}.\n"
    return (
        f"{fed.images:,.0f} images per second, which are {fed.gigabytes:.2f} GB of 8-bit squares per second. A large "
        f"copy from page-locked memory moves {fed.copy:.1f} GB per second.\n"
    )


_NO_SPEED = """# On a GPU

Speed was not measured: `make bench-gpu` needs a GPU, takes eight minutes at most, and fills this in.
"""

_TEXT = """# On a GPU

Made by `make bench-gpu` on {machine}, in {seconds:.0f} s. Large square products
in bf16 reached {peak:.1f} TFLOP/s before and {afterwards:.1f} TFLOP/s after all else was measured; the first is the
peak that shares below are of. Weights and images are random, which changes no time. Numbers of training are medians
over chunks of half a second, or of one step that takes longer, after the first steps; the others are medians of three
rounds.

## Training

`trainer=sequential` as a run does it: {images:,} images of 32 × 32 a task, cropped and enlarged on the device, in
batches of {batch}. A share of the peak counts the products of one forward and one backward pass, by
`torch.utils.flop_counter`. Warm-up: what the first steps take beyond their share, most of it compiling where there is
any. It is paid back after so many steps, beside bf16 without compiling; a run of CIFAR100/20 has {steps:,}. In float32,
the patch embedding is computed in TF32 where the card has it, which is PyTorch's default for convolutions.

{training}
## Trainers

In the second task of a stream, with bf16. The published loop computes in float32, crops and enlarges images with PIL in
up to eight worker processes, and copies them as they come.

{trainers}
## Evaluation

Of images of CIFAR's size, in batches of {evaluated}, beside the same encoder's forward pass on one batch that lies on
the device.

{evaluation}
## Images from the prepared cache

Random crops of images of 224 × 299 pixels, in up to eight worker processes, until they lie on the device, normalized.

{fed}"""
