"""Writes the data sets that join the eight in longer tables, in the exact layouts of their releases."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.helpers.releases import write_idx, write_images, write_lines

VARIANTS = ("707-320", "Boeing 717", "F/A-18", *(f"Aircraft {i}" for i in range(97)))


def write_rendered_sst2(root: Path) -> None:
    """Of each class two training images, one test image, and one for validation, which is not read."""
    for split, numbers in (("train", (3, 11)), ("test", (2,)), ("valid", (5,))):
        names = [f"{split}/{name}/{number:04d}.png" for name in ("negative", "positive") for number in numbers]
        write_images(root / "rendered-sst2", names)


def write_aircraft(root: Path) -> None:
    """Of each variant two training images and one test image, in no order; `trainval` joins `train` and `val`."""
    folder = root / "fgvc-aircraft-2013b/data"
    write_lines(folder / "variants.txt", VARIANTS)
    rows = {"train": [], "val": [], "test": []}
    for k in range(300):
        rows[("train", "val", "test")[k % 3]].append(f"{34_000 + 7 * k:07d} {VARIANTS[(k // 3) * 37 % 100]}")
    rows["trainval"] = rows["train"] + rows["val"]
    for split, lines in rows.items():
        write_lines(folder / f"images_variant_{split}.txt", lines)
        write_images(folder / "images", [f"{line.split()[0]}.jpg" for line in lines])


WRITERS: dict[str, Callable[[Path], object]] = {
    "fashion_mnist": partial(write_idx, folder="FashionMNIST/raw"),
    "kmnist": partial(write_idx, folder="KMNIST/raw"),
    "rendered_sst2": write_rendered_sst2,
    "aircraft": write_aircraft,
}
"""One function per data set; each writes two training images and one test image of all its classes, or more."""
