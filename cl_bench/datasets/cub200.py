"""CUB-200-2011 (Wah, Branson, Welinder, Perona, Belongie 2011): 11,788 photographs of 200 birds, the official split."""

from functools import cache, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from cl_bench.datasets.releases.imagenet_prompts import imagenet_prompts
from cl_bench.datasets.releases.list_files import two_columns
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

RELEASE = Release(
    name="cub200",
    title="CUB-200-2011",
    folder="CUB_200_2011",
    classes=200,
    train=5_994,
    test=5_794,
    size=1_150_585_339,
    archives=(
        Archive(
            "CUB_200_2011.tgz",
            (
                "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz?download=1",
                "http://www.vision.caltech.edu/visipedia-data/CUB-200-2011/CUB_200_2011.tgz",
            ),
            "md5:97eceeb196236b17998738112f37df78",
        ),
    ),
)

_Table: TypeAlias = dict[str, str]


@cache
def load(root: Path) -> ImageDataset:
    """Reads `root/CUB_200_2011/images` and the four lists beside it.

    Class names are those of the folders, "Black footed Albatross" for "001.Black_footed_Albatross".

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    classes, files, labels, training = (
        _by_id(root, name) for name in ("classes.txt", "images.txt", "image_class_labels.txt", "train_test_split.txt")
    )
    folder = RELEASE.find(root, "CUB_200_2011/images")
    RELEASE.check_classes(root, folder.parent / "classes.txt", classes)
    _check(root, folder.parent, classes, files, labels, training)
    numbers = {identifier: i for i, identifier in enumerate(sorted(classes, key=classes.__getitem__))}
    train, test = (
        Images(
            RELEASE.images(root, folder, [file for image, file in files.items() if training[image] == flag]),
            np.array([numbers[labels[image]] for image in files if training[image] == flag], dtype=np.int64),
        )
        for flag in ("1", "0")
    )
    names = tuple(classes[identifier].partition(".")[2].replace("_", " ") for identifier in numbers)
    return ImageDataset("cub200", names, imagenet_prompts(), train, test)


def _by_id(root: Path, name: str) -> _Table:
    return dict(two_columns(RELEASE.find(root, f"CUB_200_2011/{name}"), partial(RELEASE.error, root)))


def _check(root: Path, folder: Path, classes: _Table, files: _Table, labels: _Table, training: _Table) -> None:
    for name, table in (("image_class_labels.txt", labels), ("train_test_split.txt", training)):
        if table.keys() != files.keys():
            raise RELEASE.error(root, f"{folder / name} does not list the same images as images.txt: one is damaged")
    if not classes.keys() >= set(labels.values()):
        raise RELEASE.error(root, f"{folder / 'image_class_labels.txt'} has classes that classes.txt does not know")
    if set(training.values()) != {"0", "1"}:
        raise RELEASE.error(root, f"{folder / 'train_test_split.txt'} must hold both 0 and 1, and nothing else")
