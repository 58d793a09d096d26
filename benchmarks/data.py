"""How fast images arrive: from the prepared cache, from files, and from torchvision's ImageFolder; `make bench-data`.

All in one run, since machines differ and are noisy: the ways take turns, and medians are compared. The photographs are
scikit-learn's two, in crops of their own, as 500 × 375 JPEG files; every way ends with what the encoder reads.
"""

import itertools
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from cl_bench.backbones import TinyClip
from cl_bench.datasets import folder
from cl_bench.heads.zero_shot import zero_shot_head
from cl_bench.images import batches
from cl_bench.images.files import ImageFiles
from cl_bench.images.images import ImageDataset, Images
from cl_bench.images.prepared import prepare
from cl_bench.images.samples import Samples
from cl_bench.images.transforms import ImageTransform
from cl_bench.reports.tables.formats.markdown import grid
from cl_bench.scenarios import ClassIncremental
from cl_bench.store.atomic import write_text
from cl_bench.trainers import Given, Optimization, Sequential

_PHOTOGRAPHS, _BATCH, _ROUNDS, _SIZE = 1024, 128, 7, 224
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's


def main(path: Path, workers: int = 2) -> None:
    """Measures and writes `path`, a Markdown file."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        _write_photographs(root / "photographs")
        large = _large_images(root, workers)
        looking, decoding = _looking(root)
    small = _small_images()
    reference = statistics.median(large["torchvision ImageFolder"])
    rows = [[way, f"{statistics.median(rates):.0f}", f"{statistics.median(rates) / reference:.1f}"]
            for way, rates in large.items()]  # fmt: skip
    text = _TEXT.format(
        machine=f"{torch.get_num_threads()} threads of an {platform.machine()} CPU, torch {torch.__version__}",
        photographs=_PHOTOGRAPHS,
        workers=workers,
        rounds=_ROUNDS,
        large=grid(["from", "images per second", "times ImageFolder"], rows),
        looking=1e6 * looking,
        decoding=1e6 * decoding,
        share=100 * looking / decoding,
        small=grid(["data set", "batch, ms", "training step, ms", "share"], small),
    )
    write_text(path, text)
    print(text)


def _write_photographs(root: Path, size: tuple[int, int] = (500, 375)) -> None:
    random, pictures = np.random.default_rng(0), [Image.fromarray(image) for image in load_sample_images().images]
    for i in range(_PHOTOGRAPHS):
        target = root / f"class_{i % 4}" / f"{i:04d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        left, top = random.integers(0, 40, 2).tolist()
        picture = pictures[i % 2].crop((left, top, left + 600, top + 387))
        picture.resize(size, Image.Resampling.LANCZOS).save(target, quality=90)


def _large_images(root: Path, workers: int) -> dict[str, list[float]]:
    """Images per second of each way, one number a round."""
    files = folder.load(root / "photographs", test_share=0.01)
    begin = time.perf_counter()
    cached = prepare(files, _SIZE, root / "prepared")
    preparing = _PHOTOGRAPHS / (time.perf_counter() - begin)
    published = transforms.Compose(
        [
            transforms.RandomResizedCrop(_SIZE, (0.9, 1.0), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(_MEAN, _STD),
        ]
    )
    theirs = DataLoader(
        datasets.ImageFolder(str(root / "photographs"), published),
        _BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=True,
    )
    ways: dict[str, Callable[[], Iterable[torch.Tensor]]] = {
        "torchvision ImageFolder": lambda: (images for images, _ in theirs),
        "files (`backbone.resampling=pillow`)": _ours(files, ImageTransform(_SIZE, _MEAN, _STD, "pillow"), workers),
        "prepared cache": _ours(cached, ImageTransform(_SIZE, _MEAN, _STD), workers),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for turn, (way, images) in itertools.product(range(_ROUNDS + 1), ways.items()):
        begin = time.perf_counter()
        count = sum(len(batch) for batch in images())
        if turn:  # the first round starts the workers
            rates[way].append(count / (time.perf_counter() - begin))
    return {**rates, "(preparing the cache, once)": [preparing]}


def _ours(data: ImageDataset, transform: ImageTransform, workers: int) -> Callable[[], Iterable[torch.Tensor]]:
    samples = Samples.select(data.train, np.arange(len(data.train)))
    loader = batches.loader(samples, batches.TrainingOrder(samples, _BATCH, 0, 0), transform, workers)
    return lambda: (batches.to_images(batch, transform) for batch in loader)


def _looking(root: Path) -> tuple[float, float]:
    """Median seconds per file of seeing that its SHA-256 is known, and of decoding it, with one thread."""
    _write_photographs(root / "squares", (_SIZE, _SIZE))
    time.sleep(2.5)  # younger files are read each time
    files = folder.load(root / "squares", test_share=0.01).train.pixels
    looking, decoding = [], []
    for turn in range(_ROUNDS + 1):
        begin = time.perf_counter()
        fresh = ImageFiles(files.root, files.names, "", root / "prepared")
        assert fresh.identity
        if turn:  # the first round reads the files
            looking.append((time.perf_counter() - begin) / len(files))
        begin = time.perf_counter()
        for row in range(len(files)):
            files[row]
        decoding.append((time.perf_counter() - begin) / len(files))
    return statistics.median(looking), statistics.median(decoding)


def _small_images() -> list[list[str]]:
    """Milliseconds that a batch of arrays costs, beside those of a training step of the miniature."""
    rows = []
    for name, side, count in (("CIFAR's size, 32 × 32", 32, 50_000), ("MNIST's size, 28 × 28", 28, 60_000)):
        random = np.random.default_rng(0)
        pixels = random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        images = Images(pixels, np.arange(count) % 10)
        data = ImageDataset(
            name, tuple("abcdefghij"), ("a photo of a {}.",), images, Images(pixels[:10], np.arange(10))
        )
        fetching, training = _batch_and_step(ClassIncremental(data, 1))
        share = f"{100 * fetching / training:.1f} %"
        rows.append([name, f"{1000 * fetching:.2f}", f"{1000 * training:.1f}", share])
    return rows


def _batch_and_step(scenario: ClassIncremental) -> tuple[float, float]:
    """Median seconds of making one batch, and of the whole step that trains on it, that included."""
    backbone, experience = TinyClip(), scenario.train_stream[0]
    head = zero_shot_head(backbone, *scenario.labels[0])
    optimization = Optimization(torch.optim.AdamW, 1e-4, 1, _BATCH)
    trainer = Sequential(Given(backbone.encoder, head, backbone.transform, optimization))
    order = batches.TrainingOrder(experience.samples, _BATCH, 0, 0)
    trainer.begin_task(trainer.weights(), experience, order.steps)
    optimizer = torch.optim.AdamW(backbone.encoder.parameters(), 1e-4, fused=True)
    loader = iter(batches.loader(experience.samples, order, backbone.transform, workers=0))
    fetching, training = [], []
    for _ in range(60):
        begin = time.perf_counter()
        batch = next(loader)
        images = batches.to_images(batch, backbone.transform)
        fetching.append(time.perf_counter() - begin)
        optimizer.zero_grad()
        trainer.task_loss(images, batch).backward()
        optimizer.step()
        training.append(time.perf_counter() - begin)
    return statistics.median(fetching[10:]), statistics.median(training[10:])


_TEXT = """# How fast images arrive

Made by `make bench-data` on {machine}. Medians of {rounds} rounds in one run; the ways take turns.

## Photographs, 500 × 375 JPEG, for an encoder that reads 224 × 224

Random crops of {photographs} images in batches of 128, {workers} worker processes for each way; from the call to
normalized float tensors.

{large}

Before a run, each file is looked at: whether its SHA-256 is known, or it has to be read again. That takes
{looking:.1f} µs, {share:.1f} % of decoding a JPEG of 224 × 224 ({decoding:.0f} µs with one thread).

## Arrays, for `tiny_clip`

Random crops of 128 images, as the share of the training step that they are made for.

{small}
"""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
