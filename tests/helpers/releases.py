"""Writes data sets in the exact layouts of their releases: every class, few images, made-up content.

Images in files are of one color, which `color` tells from their names; images in arrays are noise.
"""

import gzip
import hashlib
import io
import pickle
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from cl_bench.datasets import eurosat
from cl_bench.runtime.errors import UserError

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100 = ("apple", "aquarium_fish", *(f"thing_{i:02d}" for i in range(98)))
TEXTURES = (
    "banded", "blotchy", "braided", "bubbly", "bumpy", "chequered", "cobwebbed", "cracked", "crosshatched",
    "crystalline", "dotted", "fibrous", "flecked", "freckled", "frilly", "gauzy", "grid", "grooved", "honeycombed",
    "interlaced", "knitted", "lacelike", "lined", "marbled", "matted", "meshed", "paisley", "perforated", "pitted",
    "pleated", "polka-dotted", "porous", "potholed", "scaly", "smeared", "spiralled", "sprinkled", "stained",
    "stratified", "striped", "studded", "swirly", "veined", "waffled", "woven", "wrinkled", "zigzagged",
)  # fmt: skip
AERIAL = (
    "airplane", "airport", "baseball_diamond", "basketball_court", "beach", "bridge", "chaparral", "church",
    "circular_farmland", "cloud", "commercial_area", "dense_residential", "desert", "forest", "freeway",
    "golf_course", "ground_track_field", "harbor", "industrial_area", "intersection", "island", "lake", "meadow",
    "medium_residential", "mobile_home_park", "mountain", "overpass", "palace", "parking_lot", "railway",
    "railway_station", "rectangular_farmland", "river", "roundabout", "runway", "sea_ice", "ship", "snowberg",
    "sparse_residential", "stadium", "storage_tank", "tennis_court", "terrace", "thermal_power_station", "wetland",
)  # fmt: skip
SCENES = ("/a/abbey", "/a/apse/indoor", "/b/bazaar/outdoor", *(f"/t/thing_{i:03d}" for i in range(394)))
CARS = ("AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012", *(f"Car {i} 2012" for i in range(194)))


def color(name: str) -> tuple[int, int, int]:
    """The color of the image file of this name (without folders)."""
    return tuple(hashlib.sha256(name.encode()).digest()[:3])


def has_color_of(pixels: np.ndarray, name: str) -> bool:
    """Whether an image is the one that was written under this name, up to JPEG's loss."""
    return bool(np.abs(pixels.astype(int) - color(name)).max() <= 4)


def write_images(folder: Path, names: Iterable[str]) -> None:
    """Images of 7 × 5 pixels; the suffix of the name is the format."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_encoded(path.name))


@cache
def _encoded(name: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (7, 5), color(name)).save(file, Image.registered_extensions()[Path(name).suffix], quality=95)
    return file.getvalue()


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def refusal(load: Callable[[Path], object], root: Path) -> str:
    """The message with which a data set is refused."""
    with pytest.raises(UserError) as refused:
        load.__wrapped__(root)
    return str(refused.value)


def write_cifar10(root: Path, train: int = 20, test: int = 10, seed: int = 0) -> dict:
    """Random images, labels counting through the classes; the training images in five files. Returns both splits."""
    arrays, folder = _noise(train, test, 10, seed), root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, rows in enumerate(np.array_split(np.arange(train), 5), start=1):
        _pickle_batch(folder / f"data_batch_{number}", "labels", *(array[rows] for array in arrays["train"]))
    _pickle_batch(folder / "test_batch", "labels", *arrays["test"])
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CIFAR10), "num_vis": 3072}))
    return arrays


def write_cifar100(
    root: Path, train: int = 200, test: int = 100, seed: int = 0, tested: Sequence[int] | None = None
) -> dict:
    """Random images, labels counting through the classes, or `tested`. Returns both splits' pixels and labels."""
    arrays, folder = _noise(train, test, 100, seed), root / "cifar-100-python"
    if tested is not None:
        arrays["test"] = arrays["test"][0][: len(tested)], np.array(tested)
    folder.mkdir(parents=True)
    for split, (pixels, labels) in arrays.items():
        _pickle_batch(folder / split, "fine_labels", pixels, labels)
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": list(CIFAR100)}))
    return arrays


def _noise(train: int, test: int, classes: int, seed: int, size: tuple[int, ...] = (32, 32, 3)) -> dict:
    """Per split, pixels and labels."""
    random = np.random.default_rng(seed)
    return {
        split: (random.integers(0, 256, (count, *size), dtype=np.uint8), np.arange(count) % classes)
        for split, count in (("train", train), ("test", test))
    }


def _pickle_batch(path: Path, key: str, pixels: np.ndarray, labels: np.ndarray) -> None:
    planar = pixels.transpose(0, 3, 1, 2).reshape(len(pixels), 3072)
    path.write_bytes(pickle.dumps({"data": planar, key: labels.tolist()}))


def write_mnist(root: Path, train: int = 20, test: int = 10, seed: int = 0, compressed: bool = False) -> dict:
    """Random images, labels counting through the digits. Returns both splits' pixels, (N, 28, 28), and labels."""
    return write_idx(root, "MNIST/raw", train, test, seed, compressed)


def write_idx(
    root: Path, folder: str, train: int = 20, test: int = 10, seed: int = 0, compressed: bool = False
) -> dict:
    """As `write_mnist`, in the folder of another data set of ten classes that has MNIST's format."""
    arrays = _noise(train, test, 10, seed, (28, 28))
    for split, (pixels, labels) in arrays.items():
        prefix = {"train": "train", "test": "t10k"}[split]
        for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            write_idx_file(root / folder / f"{prefix}-{name}-ubyte{'.gz' if compressed else ''}", array)
    return arrays


def write_idx_file(path: Path, array: np.ndarray) -> None:
    shape = b"".join(length.to_bytes(4, "big") for length in array.shape)
    content = bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_svhn(root: Path, train: int = 20, test: int = 10, seed: int = 0) -> dict:
    """Random images, labels counting through the digits. Returns both splits' pixels and labels."""
    arrays, folder = _noise(train, test, 10, seed), root / "svhn"
    folder.mkdir(parents=True)
    for split, (pixels, labels) in arrays.items():
        labels = np.where(labels == 0, 10, labels).astype(np.uint8)
        variables = {"X": pixels.transpose(1, 2, 3, 0), "y": labels[:, None]}
        savemat(folder / f"{split}_32x32.mat", variables, do_compression=True)
    return arrays


def write_eurosat(root: Path, folder: str = "eurosat/2750") -> None:
    """Of each class two images for training, one for testing and one for validation."""
    test, validation = eurosat.held_out("test"), eurosat.held_out("validation")
    held_out = {*test, *validation}
    for i, (name, count) in enumerate(eurosat.FOLDERS.items()):
        files = (f"{name}/{name}_{k}.jpg" for k in range(1, count + 1))
        training = [file for file in files if file not in held_out]
        write_images(root / folder, [*training[:2], test[270 * i], validation[270 * i]])


def write_gtsrb(root: Path) -> None:
    """Of each class two training images and one test image, which are in no order."""
    folder = root / "gtsrb"
    for i in range(43):
        write_images(folder / "GTSRB/Training", [f"{i:05d}/{track:05d}_{3 * i:05d}.ppm" for track in (0, 7)])
        write_lines(folder / f"GTSRB/Training/{i:05d}/GT-{i:05d}.csv", ["Filename;Width;Height;…"])
    tests = [f"{k:05d}.ppm" for k in range(43)]
    write_images(folder / "GTSRB/Final_Test/Images", tests)
    rows = [f"{name};7;5;1;1;6;4;{16 * k % 43}" for k, name in enumerate(tests)]
    write_lines(folder / "GT-final_test.csv", ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId", *rows])


def write_dtd(root: Path) -> None:
    """One image of each class in each third of the first split; another one in none of them."""
    folder = root / "dtd/dtd"
    for k, part in ((2, "train"), (4, "val"), (5, "test"), (7, None)):
        names = [f"{name}/{name}_{k:04d}.jpg" for name in TEXTURES]
        write_images(folder / "images", names)
        if part:
            write_lines(folder / f"labels/{part}1.txt", names)


def write_cars(root: Path, images: bool = True) -> None:
    """Of each class two training images and one test image, in no order; or the lists without the images."""
    folder = root / "stanford_cars"
    (folder / "devkit").mkdir(parents=True)
    savemat(folder / "devkit/cars_meta.mat", {"class_names": np.array(CARS, dtype=object)[None]}, do_compression=True)
    for split, listing, count in (
        ("cars_train", "devkit/cars_train_annos.mat", 392),
        ("cars_test", "cars_test_annos_withlabels.mat", 196),
    ):
        names = [f"{k:05d}.jpg" for k in range(1, count + 1)]
        write_images(folder / split, names if images else names[:1])
        fields = [
            *((f"bbox_{side}", object) for side in ("x1", "y1", "x2", "y2")),
            ("class", object),
            ("fname", object),
        ]
        rows = [(1, 1, 6, 4, 1 + 45 * k % 196, name) for k, name in enumerate(names)]
        savemat(folder / listing, {"annotations": np.array([rows], dtype=fields)}, do_compression=True)


def write_resisc45(root: Path) -> None:
    """Of each class two training images, one test image, and one for validation, which no list that is read has."""
    for ks, split in (((1, 3), "train"), ((2,), "test"), ((4,), "val")):
        names = [f"{name}_{k:03d}.jpg" for name in AERIAL for k in ks]
        write_images(root / "NWPU-RESISC45", [f"{name.rpartition('_')[0]}/{name}" for name in names])
        write_lines(root / f"resisc45-{split}.txt", names)


def write_sun397(root: Path, images: bool = True) -> None:
    """Of each class two training images and one test image; or the lists without the images."""
    folder = root / "SUN397"
    write_lines(folder / "ClassName.txt", SCENES)
    for letters, split in (("ab", "Training"), ("c", "Testing")):
        names = [f"{scene}/sun_{letter * 16}.jpg" for scene in SCENES for letter in letters]
        write_images(folder, [name.lstrip("/") for name in names] if images else [])
        write_lines(folder / f"{split}_01.txt", names)


WRITERS: dict[str, Callable[[Path], object]] = {
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
    "mnist": write_mnist,
    "svhn": write_svhn,
    "eurosat": write_eurosat,
    "gtsrb": write_gtsrb,
    "dtd": write_dtd,
    "cars": write_cars,
    "resisc45": write_resisc45,
    "sun397": write_sun397,
}
"""One function per data set; each writes two training images and one test image of all its classes, or more."""
