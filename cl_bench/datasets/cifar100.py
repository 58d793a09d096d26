"""CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 photographs, 32 × 32 pixels, 100 classes, the official split."""

import pickle
from functools import cache
from pathlib import Path

from cl_bench.datasets.images import ImageDataset, Images
from cl_bench.datasets.reading import checked_labels
from cl_bench.datasets.release import Archive, Release

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
            images; they are unpickled, so they must come from a source that is trusted.

    Raises:
        UserError: The files are not there, or damaged.
    """
    from torchvision.datasets import CIFAR100

    return read(RELEASE, CIFAR100, root, checksum)


def read(release: Release, reader: type, root: Path, checksum: bool) -> ImageDataset:
    """Reads CIFAR-10 or CIFAR-100.

    Args:
        release: Which of the two.
        reader: Torchvision's class for it.
        root: As in `load`.
        checksum: As in `load`.

    Raises:
        UserError: The files are not there, or damaged.
    """
    for file, _ in [*reader.train_list, *reader.test_list, (reader.meta["filename"], "")]:
        release.find(root, f"{release.folder}/{file}")
    if not checksum:
        reader = type(
            "AnyFiles", (reader,), {"_check_integrity": lambda self: True, "meta": {**reader.meta, "md5": None}}
        )
    # The last four are what Python's documentation names for damaged pickles.
    damage = (RuntimeError, OSError, ValueError, KeyError, TypeError)
    damage += (pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError)
    try:
        train, test = reader(str(root), train=True), reader(str(root), train=False)
    except damage as error:
        folder = Path(root) / release.folder
        raise release.error(root, f"a file in {folder} is damaged, or not the release's") from error
    splits = [Images(data.data, checked_labels(release, root, release.folder, data.targets)) for data in (train, test)]
    return ImageDataset(release.name, tuple(train.classes), PROMPTS, *splits)
