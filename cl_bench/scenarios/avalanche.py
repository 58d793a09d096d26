"""The classic benchmarks of Avalanche, by name."""

import hashlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.utils.data import DataLoader

from cl_bench.images.images import ImageDataset, Images
from cl_bench.images.samples import Samples
from cl_bench.runtime import distributed
from cl_bench.runtime.cores import available_cores
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios.scenario import Experience, Scenario

_PART = 512  # images whose hash a process computes at a time


class Avalanche(Scenario):
    """A benchmark of `avalanche.benchmarks.classic` (Carta et al. 2023, arXiv 2302.01766) as a stream for CLIP.

    The benchmark's training and evaluation transforms are left out; those that make its tasks (rotations, permutations)
    are applied. The classes of a task are those of its training images. The head has the classes of all tasks.

    Args:
        benchmark: Its name: SplitMNIST, RotatedMNIST, SplitCIFAR100, CORe50, …
        tasks: Number of experiences; null where the benchmark fixes it.
        root: Folder of the data set, in the layout that Avalanche reads or downloads.
        seed: Seed of the order of classes and of everything else that the benchmark draws.
        options: More arguments of the benchmark.
        class_names: One name per class; null: the names in the data set.
        prompts: Templates of the zero-shot head.

    Raises:
        UserError: The benchmark or an option does not exist, its data cannot be read, or its classes have no names.
    """

    kind = "Avalanche benchmark"

    def __init__(
        self,
        benchmark: str,
        tasks: Annotated[int, Field(ge=1)] | None,
        root: Path,
        seed: int = 0,
        options: dict[str, Any] | None = None,
        class_names: list[str] | None = None,
        prompts: list[str] | None = None,
    ) -> None:
        arguments = {"n_experiences": tasks, "seed": seed, **(options or {})}
        made = _make(benchmark, arguments, root)
        train, test = list(made.train_stream), list(made.test_stream)
        names = class_names or _class_names(train[0].dataset)
        if names is None:
            raise UserError(
                f"scenario.benchmark={benchmark}: its classes have no names; 'scenario.class_names=[…]' does."
            )
        dataset = ImageDataset(
            benchmark.lower(),
            tuple(names),
            tuple(prompts or ("a photo of a {}.",)),
            _images(train),
            _images(test),
            split=f"Avalanche's {benchmark}",
        )
        masks = [_mask(experience, len(names)) for experience in train]
        super().__init__(
            [dataset],
            train=_experiences(dataset.train, train, masks),
            test=_experiences(dataset.test, test, masks),
        )


class _AvalancheImages:
    """The images of all experiences of a stream, one after another, as Avalanche returns them.

    Their identity is a hash of all images, since Avalanche does not show which files they come from and what transforms
    do to them.
    """

    def __init__(self, datasets: Sequence[Any]) -> None:
        self._datasets = tuple(datasets)
        self._ends = np.cumsum([len(dataset) for dataset in datasets])
        self.identity: str = distributed.from_main(_sha256(self) if distributed.is_main() else "")

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        which = int(np.searchsorted(self._ends, row, side="right"))
        dataset = self._datasets[which]
        image = dataset[row - int(self._ends[which]) + len(dataset)][0]
        if isinstance(image, Tensor):
            gray_or_rgb = (image * 255 if image.is_floating_point() else image).round().clamp(0, 255).byte()
            return np.array(gray_or_rgb.expand(3, -1, -1).permute(1, 2, 0))
        return np.array(image.convert("RGB"))


class _Digests(torch.utils.data.Dataset[bytes]):
    """The SHA-256 of each part of the images."""

    def __init__(self, images: _AvalancheImages) -> None:
        self._images = images

    def __len__(self) -> int:
        return -(-len(self._images) // _PART)

    def __getitem__(self, part: int) -> bytes:
        digest = hashlib.sha256()
        for row in range(part * _PART, min((part + 1) * _PART, len(self._images))):
            image = self._images[row]
            digest.update(f"{image.shape}".encode() + image.tobytes())
        return digest.digest()


def _sha256(images: _AvalancheImages) -> str:
    """Hashes all images in their order, in as many processes as there are cores; threads would wait for each other."""
    digests = _Digests(images)
    workers = min(available_cores(), len(digests)) if len(digests) > 1 else 0
    generator = torch.Generator()  # leaves the global random state as it is
    parts = DataLoader(digests, batch_size=None, num_workers=workers, generator=generator)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _make(benchmark: str, arguments: Mapping[str, Any], root: Path) -> Any:
    """Calls the function of Avalanche that makes the benchmark, with those arguments that it takes."""
    from avalanche.benchmarks import classic

    known = [name for name, value in vars(classic).items() if inspect.isfunction(value) and name[0].isupper()]
    if benchmark not in known:
        raise UserError(f"scenario.benchmark={benchmark} is not a classic benchmark of Avalanche: {', '.join(known)}.")
    function = getattr(classic, benchmark)
    takes = inspect.signature(function).parameters
    for name, value in arguments.items():
        if name not in takes and value is not None and name != "seed":
            raise UserError(f"scenario: {benchmark} of Avalanche does not take {name}; it takes {', '.join(takes)}.")
    given = {name: value for name, value in arguments.items() if name in takes and value is not None}
    plain = dict.fromkeys(("train_transform", "eval_transform"), None)
    try:
        return function(**given, **plain, dataset_root=root)
    except (OSError, RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise UserError(f"scenario.benchmark={benchmark}: Avalanche cannot make it from {root} ({error}).") from error


def _class_names(dataset: Any) -> Sequence[str] | None:
    """The class names of the data set that Avalanche has wrapped, at whatever depth; None where it has none."""
    names: Any = getattr(dataset, "classes", None)
    if isinstance(names, list):
        return names
    inner = getattr(dataset, "_flat_data", dataset)
    parts: Iterator[Any] = iter(getattr(inner, "_datasets", ()))
    wrapped = getattr(inner, "dataset", None)
    return next(filter(None, map(_class_names, parts)), None) or (None if wrapped is None else _class_names(wrapped))


def _images(experiences: Sequence[Any]) -> Images:
    labels = np.concatenate(
        [np.asarray(list(experience.dataset.targets), dtype=np.int64) for experience in experiences]
    )
    return Images(_AvalancheImages([experience.dataset for experience in experiences]), labels)


def _mask(experience: Any, classes: int) -> Tensor:
    mask = torch.zeros(1, classes, dtype=torch.bool)
    mask[0, sorted(set(experience.dataset.targets))] = True
    return mask


def _experiences(images: Images, made: Sequence[Any], masks: Sequence[Tensor]) -> list[Experience]:
    ends = np.cumsum([len(experience.dataset) for experience in made])
    positions = np.split(np.arange(ends[-1]), ends[:-1])
    return [
        Experience(f"experience {task + 1}", Samples.select(images, part), mask)
        for task, (part, mask) in enumerate(zip(positions, masks, strict=True))
    ]
