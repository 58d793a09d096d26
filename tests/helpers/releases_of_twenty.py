"""Writes the data sets that join the eight in longer tables, in the exact layouts of their releases."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from scipy.io import savemat

from cl_bench.datasets import food101, oxford_iiit_pet
from tests.helpers.releases import write_idx, write_idx_file, write_images, write_lines

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


def write_flowers102(root: Path) -> None:
    """Of each class two training images, one for validation and one test image, in no order."""
    folder = root / "flowers-102"
    labels = 1 + np.arange(408) * 41 % 102
    numbers = np.arange(1, 409)
    write_images(folder / "jpg", [f"image_{number:05d}.jpg" for number in numbers])
    savemat(folder / "imagelabels.mat", {"labels": labels[None].astype(np.uint8)})
    parts = {"trnid": numbers[204:][::-1], "valid": numbers[:102], "tstid": numbers[102:204]}
    savemat(folder / "setid.mat", {name: part[None].astype(np.uint16) for name, part in parts.items()})


def write_oxford_iiit_pet(root: Path) -> None:
    """Of each breed two training images and one test image; cats' names have a capital letter, as in the release."""
    folder = root / "oxford-iiit-pet"
    for split, numbers in (("trainval", (100, 12)), ("test", (7,))):
        names = [
            (f"{name.title() if label % 3 else name}_{number}", 1 + label)
            for number in numbers
            for label, name in enumerate(oxford_iiit_pet.CLASS_NAMES)
        ]
        write_lines(folder / "annotations" / f"{split}.txt", [f"{name} {label} 1 1" for name, label in names])
        write_images(folder / "images", [f"{name}.jpg" for name, _ in names])


def write_food101(root: Path) -> None:
    """Of each dish two training images and one test image; the lists are not sorted."""
    folder = root / "food-101"
    dishes = [name.replace(" ", "_") for name in food101.CLASS_NAMES[::-1]]
    for split, numbers in (("train", (1005649, 7)), ("test", (12,))):
        listed = {dish: [f"{dish}/{number}" for number in numbers] for dish in dishes}
        write_lines(folder / f"meta/{split}.json", [json.dumps(listed)])
        write_images(folder / "images", [f"{name}.jpg" for names in listed.values() for name in names])


def write_stl10(root: Path) -> dict:
    """Random images, labels counting through the classes. Returns both splits' pixels and labels."""
    random, arrays = np.random.default_rng(0), {}
    (root / "stl10_binary").mkdir(parents=True)
    for split, count in (("train", 20), ("test", 10)):
        pixels, labels = random.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8), np.arange(count) % 10
        pixels.transpose(0, 3, 2, 1).tofile(root / f"stl10_binary/{split}_X.bin")
        (labels + 1).astype(np.uint8).tofile(root / f"stl10_binary/{split}_y.bin")
        arrays[split] = pixels, labels
    return arrays


def write_fer2013(root: Path, file: str = "fer2013.csv") -> None:
    """Of each of the files' classes two training images and one test image, all of one gray; the usages alternate."""
    blank = " " if file == "icml_face_data.csv" else ""
    rows = [["emotion", f"{blank}Usage", f"{blank}pixels"]]
    for k in range(21):
        usage = ("Training", ("PublicTest", "PrivateTest")[k // 3 % 2], "Training")[k % 3]
        rows.append([str(k // 3), usage, " ".join([str(10 * k)] * 48 * 48)])
    write_lines(root / "fer2013" / file, [",".join(row) for row in rows])


def write_emnist(root: Path, kind: str = "letters", folder: str = "EMNIST/raw") -> dict:
    """Random images, labels counting through the classes, mirrored in the files. Returns both splits upright."""
    random, arrays = np.random.default_rng(0), {}
    classes, first = {"letters": (26, 1), "digits": (10, 0)}[kind]
    for split, count in (("train", 2 * classes), ("test", classes)):
        gray, labels = random.integers(0, 256, (count, 28, 28), dtype=np.uint8), np.arange(count) % classes
        write_idx_file(root / folder / f"emnist-{kind}-{split}-images-idx3-ubyte", gray.swapaxes(1, 2))
        write_idx_file(root / folder / f"emnist-{kind}-{split}-labels-idx1-ubyte", labels + first)
        arrays[split] = gray, labels
    return arrays


WRITERS: dict[str, Callable[[Path], object]] = {
    "fashion_mnist": partial(write_idx, folder="FashionMNIST/raw"),
    "kmnist": partial(write_idx, folder="KMNIST/raw"),
    "rendered_sst2": write_rendered_sst2,
    "aircraft": write_aircraft,
    "flowers102": write_flowers102,
    "oxford_iiit_pet": write_oxford_iiit_pet,
    "food101": write_food101,
    "stl10": write_stl10,
    "fer2013": write_fer2013,
    "emnist": write_emnist,
}
"""One function per data set; each writes two training images and one test image of all its classes, or more."""
