"""STL-10 (Coates, Lee and Ng 2011): 5,000 + 8,000 photographs, 96 × 96 pixels, 10 classes, the official split.

The release's 100,000 images without labels are not used.
"""

from functools import cache
from pathlib import Path

import numpy as np

from cl_bench.datasets.releases.reading import checked_labels
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

RELEASE = Release(
    name="stl10",
    title="STL-10",
    folder="stl10_binary",
    classes=10,
    train=5_000,
    test=8_000,
    size=2_640_397_119,
    archives=(
        Archive(
            "stl10_binary.tar.gz",
            ("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",),
            "md5:91f7769df0f17e558f3565bffb0c7dfb",
        ),
    ),
    per_class=([500] * 10, [800] * 10),
)

PROMPTS = ("a photo of a {}.", "a photo of the {}.")

# In the order of the release's labels, 1 to 10.
CLASS_NAMES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")

_IMAGE = (3, 96, 96)  # in the file: color, column, row


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/stl10_binary/{train,test}_{X,y}.bin`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    return ImageDataset("stl10", CLASS_NAMES, PROMPTS, _read_split(root, "train"), _read_split(root, "test"))


def _read_split(root: Path, split: str) -> Images:
    listing = f"stl10_binary/{split}_y.bin"
    labels = checked_labels(RELEASE, root, listing, np.fromfile(RELEASE.find(root, listing), np.uint8), first=1)
    path = RELEASE.find(root, f"stl10_binary/{split}_X.bin")
    if path.stat().st_size != len(labels) * np.prod(_IMAGE):
        raise RELEASE.error(root, f"{path} is damaged: it has {path.stat().st_size} bytes for {len(labels)} labels")
    planes = np.fromfile(path, np.uint8).reshape(-1, *_IMAGE)
    return Images(np.ascontiguousarray(planes.transpose(0, 3, 2, 1)), labels)
