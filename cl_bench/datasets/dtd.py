"""Describable Textures Dataset (Cimpoi, Maji, Kokkinos, Mohamed and Vedaldi 2014): 5,640 images of 47 textures.

The release has ten ways to split it into three thirds; the publications use the first, with the thirds for
training and validation joined, and so do we.
"""

from functools import cache
from pathlib import Path

from cl_bench.datasets.releases.listing import subfolders
from cl_bench.datasets.releases.reading import by_folder, read_lines
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset

RELEASE = Release(
    name="dtd",
    title="DTD",
    folder="dtd",
    classes=47,
    train=3_760,
    test=1_880,
    size=625_239_812,
    archives=(
        Archive(
            "dtd-r1.0.1.tar.gz",
            (
                "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
                "https://thor.robots.ox.ac.uk/dtd/dtd-r1.0.1.tar.gz",
            ),
            "sha256:e42855a52a4950a3b59612834602aa253914755c95b0cff9ead6d07395f8e205",
            into="dtd",
        ),
    ),
    per_class=([80] * 47, [40] * 47),
)

PROMPTS = tuple(
    f"a photo of {article} {{}} {noun}."
    for article in ("a", "the")
    for noun in ("texture", "pattern", "thing", "object")
)

_IMAGES, _LABELS = "dtd/dtd/images", "dtd/dtd/labels"


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/dtd/dtd/images/<class>/…` and `root/dtd/dtd/labels/{train1,val1,test1}.txt`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    folder = RELEASE.find(root, _IMAGES)
    classes = subfolders(folder)
    RELEASE.check_classes(root, folder, classes)
    first, second, third = (read_lines(RELEASE, root, f"{_LABELS}/{part}1.txt") for part in ("train", "val", "test"))
    train, test = (by_folder(RELEASE, root, _IMAGES, names, classes, _LABELS) for names in (first + second, third))
    return ImageDataset("dtd", tuple(name.replace("_", " ") for name in classes), PROMPTS, train, test)
