"""CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 photographs, 32 × 32 pixels, 100 classes, the official split."""

import pickle
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cl_bench.datasets.releases import array_pickle
from cl_bench.datasets.releases.reading import checked_labels
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images
from cl_bench.runtime.errors import shortened

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

RELEASE = Release(
    name="cifar100",
    title="CIFAR-100",
    folder="cifar-100-python",
    classes=100,
    train=50_000,
    test=10_000,
    size=169_001_437,
    archives=(
        Archive(
            "cifar-100-python.tar.gz",
            (
                "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
                "https://cave.cs.toronto.edu/kriz/cifar-100-python.tar.gz",
            ),
            "md5:eb9058c3a382ffc7106e4002c42a8d85",
        ),
    ),
    per_class=([500] * 100, [100] * 100),
)

# The prompts of CLIP's authors for CIFAR.
_KINDS = ("", "blurry ", "black and white ", "low contrast ", "high contrast ", "bad ", "good ")
PROMPTS = tuple(
    [f"a {kind}photo of a {{}}." for kind in _KINDS]
    + ["a photo of a small {}.", "a photo of a big {}."]
    + [f"a {kind}photo of the {{}}." for kind in _KINDS]
    + ["a photo of the small {}.", "a photo of the big {}."]
)


@cache
def load(root: Path, checksum: bool = True) -> ImageDataset:
    """Reads torchvision's layout: `root/cifar-100-python/{train,test,meta}`.

    Class names keep torchvision's underscores ("aquarium_fish"), as the published results do.

    Args:
        root: The folder of all data sets.
        checksum: Whether the files must be the release's to the bit. False admits files of the same layout with other
            images.

    Raises:
        UserError: Files are missing or damaged.
    """
    from torchvision.datasets import CIFAR100

    return read(RELEASE, CIFAR100, root, checksum)


def read(release: Release, reader: "type[CIFAR10]", root: Path, checksum: bool) -> ImageDataset:
    """Reads CIFAR-10 or CIFAR-100.

    Args:
        release: Which of the two.
        reader: Torchvision's class for it.
        root: As in `load`.
        checksum: As in `load`.

    Raises:
        UserError: Files are missing or damaged.
    """
    from torchvision.datasets.utils import check_integrity

    for file, _ in [*reader.train_list, *reader.test_list, (reader.meta["filename"], "")]:
        release.find(root, f"{release.folder}/{file}")
    # The last four are what Python's documentation names for damaged pickles.
    damage = (
        *(RuntimeError, OSError, ValueError, KeyError, TypeError),
        *(pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError),
    )
    folder = Path(root) / release.folder
    files = [*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])]
    if checksum and (others := [name for name, md5 in files if not check_integrity(str(folder / name), md5)]):
        are = f"a file in {folder} is" if len(others) == 1 else f"files in {folder} are"
        raise release.error(root, f"{are} damaged, or not the release's (another MD5: {shortened(others)})")
    try:
        batches = [_batches(folder, names) for names in (reader.train_list, reader.test_list)]
        classes = array_pickle.read(folder / reader.meta["filename"])[reader.meta["key"]]
    except damage as error:
        raise release.error(root, f"a file in {folder} is damaged, or not the release's ({error})") from error
    train, test = (Images(pixels, checked_labels(release, root, release.folder, labels)) for pixels, labels in batches)
    return ImageDataset(release.name, tuple(classes), PROMPTS, train, test)


def _batches(folder: Path, files: Sequence[Sequence[str]]) -> tuple[NDArray[np.uint8], list[int]]:
    """(N, 32, 32, 3) images and N labels of all files, one after another."""
    contents = [array_pickle.read(folder / name) for name, _ in files]
    pixels = np.vstack([content["data"] for content in contents]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    labels = [label for content in contents for label in content.get("labels") or content["fine_labels"]]
    return pixels, labels
