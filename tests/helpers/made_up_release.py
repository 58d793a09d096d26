"""A data set that the catalog finds beside the real ones: 2 classes, 2 domains, 5 tiny images in files."""

from PIL import Image

MODULE = """
from pathlib import Path

import numpy as np

from cl_bench.images.images import ImageDataset, Images
from cl_bench.datasets.releases.release import Archive, Release

RELEASE = Release(
    name="{name}",
    title="Birds of the Loopback",
    folder="{name}",
    classes=2,
    train=3,
    test=2,
    size=1_500_000,
    archives=({archives}),
    by_hand="{by_hand}",
    per_class=((2, 1), (1, 1)),
)


def load(root):
    folder = RELEASE.find(root, RELEASE.folder)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    train, test = ([name for name in names if name.startswith(split)] for split in ("train", "test"))
    splits = [
        Images(RELEASE.images(root, folder, part), np.array([int(name[-5]) for name in part], dtype=np.int64))
        for part in (train, test)
    ]
    return ImageDataset(RELEASE.name, ("wren", "owl"), ("a photo of a {{}}.",), *splits)
"""

FILES = ("train/a0.png", "train/b0.png", "train/c1.png", "test/d0.png", "test/e1.png")  # the digit is the class


def write_module(folder, name="birds", archives="", by_hand=""):
    """Writes `folder/NAME.py`, for a folder that is added to the package's `__path__`."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(MODULE.format(name=name, archives=archives, by_hand=by_hand))
    return folder


def write_images(folder):
    for i, file in enumerate(FILES):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 280), (40 * i, 0, 0)).save(folder / file)
