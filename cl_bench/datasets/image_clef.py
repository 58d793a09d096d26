"""ImageCLEF-DA (Caputo and Patricia 2014; images as released by Long et al. 2017): 12 classes in four domains.

600 images each from Bing (b), Caltech-256 (c), ImageNet (i) and Pascal VOC 2012 (p), 50 of each class. It has no split
of its own; the 80/20 split here is ours, see `split`.
"""

from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cl_bench.datasets.releases.list_files import two_columns
from cl_bench.datasets.releases.listing import images, list_images, subfolders
from cl_bench.datasets.releases.release import Release
from cl_bench.datasets.releases.split import split_off
from cl_bench.images.images import ImageDataset

RELEASE = Release(
    name="image_clef",
    title="ImageCLEF-DA",
    folder="image_CLEF",
    classes=12,
    train=1_920,
    test=480,
    size=0,
    by_hand=(
        "Get the archive from https://drive.google.com/file/d/0B9kJH0-rJ2uRS3JILThaQXJhQlk/view (a page to be opened "
        "in a browser) and unpack it into the folder of all data sets, so that image_CLEF has the folders b, c, i, p "
        "and list."
    ),
    per_class=((160,) * 12, (40,) * 12),
    per_domain={domain: (480, 120) for domain in "bcip"},
)
DOMAINS = ("b", "c", "i", "p")
CLASSES = (
    "aeroplane", "bike", "bird", "boat", "bottle", "bus", "car", "dog", "horse", "monitor", "motorbike", "people",
)  # fmt: skip
PROMPTS = (
    "a photo of a {}.",
    "an image of a {}.",
    "a snapshot of a {}.",
    "a clear picture of a {}.",
    "an example of a {} in a natural setting.",
)

_NUMBER = {name: i for i, name in enumerate(CLASSES)} | {str(i): i for i in range(len(CLASSES))}


@cache
def load(root: Path) -> ImageDataset:
    """Reads the images that `root/image_CLEF/list/{b,c,i,p}List.txt` lists, or one folder per domain and class.

    The release keeps all images of a domain in one folder, and its lists say which class each is of. Other copies
    have `root/image_CLEF/<domain>/<class>/…`, where classes go by name or by number; there, the lists are not read.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    folder = RELEASE.find(root, "image_CLEF", "image_clef")
    for domain in DOMAINS:
        RELEASE.find(root, f"{folder.name}/{domain}")
    in_folders = _NUMBER.keys() & set(subfolders(folder / DOMAINS[0]))
    files, labels, domains = _from_folders(root, folder) if in_folders else _from_lists(root, folder)
    names = [
        f"{DOMAINS[domain]}/{CLASSES[label]}/{file.rpartition('/')[2]}"
        for file, label, domain in zip(files, labels, domains, strict=True)
    ]
    RELEASE.check_classes(root, folder, set(labels.tolist()))
    train, test, digest = split_off(RELEASE.images(root, folder, files), names, labels, domains)
    return ImageDataset("image_clef", CLASSES, PROMPTS, train, test, DOMAINS, digest)


def _from_lists(root: Path, folder: Path) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    files, labels, counts = [], [], []
    for domain in DOMAINS:
        path = RELEASE.find(root, f"{folder.name}/list/{domain}List.txt")
        # Some lists name a folder of the source (c/105.horse/105_0250.jpg) that the release does not have.
        flat = set(images(folder / domain))
        rows = two_columns(path, partial(RELEASE.error, root))
        for file, number in rows:
            if number not in _NUMBER:
                raise RELEASE.error(root, f"{path} is damaged: {number} of {file} is no class from 0 to 11")
            base = file.rpartition("/")[2]
            files.append(f"{domain}/{base}" if base in flat else file)
            labels.append(_NUMBER[number])
        counts.append(len(rows))
    return files, np.array(labels, dtype=np.int64), np.repeat(np.arange(len(DOMAINS)), counts)


def _from_folders(root: Path, folder: Path) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    listing = list_images(folder, partial(RELEASE.error, root), DOMAINS)
    if unknown := [name for name in listing.classes if name not in _NUMBER]:
        raise RELEASE.error(root, f"{folder}: {unknown[0]} is none of the classes {', '.join(CLASSES)}, nor 0 to 11")
    numbers = np.array([_NUMBER[name] for name in listing.classes], dtype=np.int64)
    return listing.files, numbers[listing.labels], listing.parts
