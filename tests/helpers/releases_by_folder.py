"""Writes small data sets in the exact layouts of the releases that come as folders of image files."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

from cl_bench.datasets import caltech101

WNIDS = tuple(f"n{1_440_000 + 137 * i:08d}" for i in range(200))
DOMAINS_R = (
    "art", "cartoon", "deviantart", "embroidery", "graffiti", "graphic", "misc", "origami", "painting", "sculpture",
    "sketch", "sticker", "tattoo", "toy", "videogame",
)  # fmt: skip
DOMAINNET = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
CLASSES_345 = ("The_Mona_Lisa", "syringe", "t-shirt", "teddy-bear", *(f"thing_{i:03d}" for i in range(341)))
CLASSES_31 = ("back_pack", "bike", *(f"office_thing_{i:02d}" for i in range(29)))
CLASSES_65 = ("Alarm_Clock", "TV", "Table", *(f"Thing_{i:02d}" for i in range(62)))
CLASSES_12 = (
    "aeroplane", "bike", "bird", "boat", "bottle", "bus", "car", "dog", "horse", "monitor", "motorbike", "people",
)  # fmt: skip


def jpeg(color: tuple[int, int, int] = (200, 30, 60)) -> bytes:
    """An image of 10 x 8 pixels."""
    file = io.BytesIO()
    Image.new("RGB", (10, 8), color).save(file, "JPEG")
    return file.getvalue()


def write_images(folder: Path, names: Iterable[str], content: bytes = jpeg()) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_imagenet_r(root: Path) -> None:
    """Five images of each class, all in one domain; class i is in domain i mod 15."""
    folder = root / "imagenet-r"
    for i, wnid in enumerate(WNIDS):
        write_images(folder / wnid, (f"{DOMAINS_R[i % 15]}_{k}.jpg" for k in range(5)))
    text = ["A text about the images,", "", "no line of which looks like those below.", ""]
    names = [f"{wnid} {'Made' if i == 199 else 'made'}_up_{199 - i}" for i, wnid in enumerate(WNIDS)]
    (folder / "README.txt").write_text("\n".join(text + names) + "\n")


def write_imagenet_a(root: Path) -> None:
    """Five images of each class, whose names have spaces, as in the release."""
    folder = root / "imagenet-a"
    for i, wnid in enumerate(WNIDS):
        write_images(folder / wnid, (f"0.{i:04d}{k}_digital clock _ parking meter_0.8{k}.jpg" for k in range(5)))
    names = [f"{wnid} made-up thing {199 - i}" for i, wnid in enumerate(WNIDS)]
    (folder / "README.txt").write_text("\n".join(["A text about the images.", "", *names]) + "\n")


def write_caltech101(root: Path) -> None:
    """Five images of each class, and two of the background, which is no class."""
    folder = root / "caltech101/101_ObjectCategories"
    for name in caltech101.CLASS_NAMES:
        write_images(folder / name, (f"image_{k:04d}.jpg" for k in range(1, 6)))
    write_images(folder / "BACKGROUND_Google", ("image_0001.jpg", "image_0002.jpg"))


def write_cub200(root: Path) -> None:
    """Of each class two training images and a test image."""
    folder = root / "CUB_200_2011"
    birds = [f"{i:03d}.Made_up_Bird{i}" for i in range(1, 201)]
    files = [f"{bird}/{bird[4:]}_{k:04d}_{i}.jpg" for i, bird in enumerate(birds) for k in (3, 9, 1)]
    write_images(folder / "images", files)
    columns = {
        "classes.txt": birds,
        "images.txt": files,
        "image_class_labels.txt": [1 + i // 3 for i in range(600)],
        "train_test_split.txt": [int(i % 3 != 1) for i in range(600)],
    }
    for name, column in columns.items():
        (folder / name).write_text("".join(f"{i} {value}\n" for i, value in enumerate(column, start=1)))


def write_domainnet(root: Path) -> None:
    """Each class has a training and a test image in quickdraw; the first 20 have in the other domains too.

    As in the release, painting has no training images of t-shirt and no test images of syringe, and the classes'
    numbers in the lists are those of names sorted regardless of case.
    """
    folder = root / "domainnet"
    numbers = {name: i for i, name in enumerate(sorted(CLASSES_345, key=str.lower))}
    lacking = {("painting", "train", "t-shirt"), ("painting", "test", "syringe")}
    for domain in DOMAINNET:
        for k, split in enumerate(("train", "test")):
            classes = CLASSES_345 if domain == "quickdraw" else CLASSES_345[:20]
            kept = [name for name in classes if (domain, split, name) not in lacking]
            files = [f"{domain}/{name}/{domain}_{numbers[name]:03d}_{k:06d}.jpg" for name in kept]
            write_images(folder, files)
            lines = (f"{file} {numbers[name]}\n" for file, name in zip(files, kept, strict=True))
            (folder / f"{domain}_{split}.txt").write_text("".join(lines))


def write_office31(root: Path) -> None:
    """Five images of each class in each domain, but no bike in dslr."""
    for domain in ("amazon", "dslr", "webcam"):
        for name in CLASSES_31:
            if (domain, name) != ("dslr", "bike"):
                folder = root / "office31" / domain / "images" / name
                write_images(folder, (f"frame_{k:04d}.jpg" for k in range(1, 6)))


def write_office_home(root: Path) -> None:
    """Five images of each of three classes in each domain; two of the others."""
    folder = root / "OfficeHomeDataset_10072016"
    for domain in ("Art", "Clipart", "Product", "Real World"):
        for i, name in enumerate(CLASSES_65):
            write_images(folder / domain / name, (f"{k:05d}.jpg" for k in range(1, 6 if i < 3 else 3)))
    (folder / "ImageInfo.csv").write_text("a table that is not read\n")


def write_image_clef(root: Path) -> None:
    """Five images of each class in each domain; the lists of b and c name folders that are not there."""
    folder = root / "image_CLEF"
    (folder / "list").mkdir(parents=True)
    for domain in "bcip":
        files = [(f"{i:03d}_{k:04d}.jpg", i) for i in range(12) for k in range(5)]
        write_images(folder / domain, (file for file, _ in files))
        between = [f"{domain}/{i:03d}.source/" if domain in "bc" else f"{domain}/" for _, i in files]
        lines = (f"{place}{file} {i}\n" for place, (file, i) in zip(between, files, strict=True))
        (folder / "list" / f"{domain}List.txt").write_text("".join(lines))


WRITERS: dict[str, Callable[[Path], None]] = {
    "imagenet_r": write_imagenet_r,
    "imagenet_a": write_imagenet_a,
    "caltech101": write_caltech101,
    "cub200": write_cub200,
    "domainnet": write_domainnet,
    "office31": write_office31,
    "office_home": write_office_home,
    "image_clef": write_image_clef,
}
"""One function per data set; each writes all of its classes and domains, with few images, below the given folder."""
