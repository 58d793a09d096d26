"""CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 photographs, 32 × 32 pixels, 100 classes, the official split."""

import pickle
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from torchvision.datasets import CIFAR100

from cl_bench.datasets.images import ImageDataset, Images
from cl_bench.errors import UserError

_FOLDER, _ARCHIVE = "cifar-100-python", "cifar-100-python.tar.gz"

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
    reader = CIFAR100 if checksum else _AnyFiles
    try:
        train, test = reader(str(root), train=True), reader(str(root), train=False)
    except (RuntimeError, OSError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(
            f"CIFAR-100 is missing or damaged: looked for {root / _FOLDER} with the release's files train, test and "
            f"meta.\nUnpack {_ARCHIVE} into {root}, or name the folder that holds {_FOLDER}: paths.data_dir=…"
        ) from error
    splits = [Images(data.data, np.array(data.targets, dtype=np.int64)) for data in (train, test)]
    return ImageDataset("cifar100", tuple(train.classes), PROMPTS, *splits)


class _AnyFiles(CIFAR100):
    meta: ClassVar = {**CIFAR100.meta, "md5": None}

    def _check_integrity(self) -> bool:
        return True
