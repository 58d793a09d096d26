"""Images whose classes are listed in a file: tiny-imagenet's `val/images/…` with `val/val_annotations.txt`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cl_bench.datasets.releases.class_folders import beside
from cl_bench.datasets.releases.listing import Listing, images, subfolders
from cl_bench.runtime.errors import shortened

FILE, IMAGES = "val_annotations.txt", "images"


def is_annotated(folder: Path) -> bool:
    """Whether a folder has all images in one folder, and a file that lists their classes."""
    return (folder / FILE).is_file() and subfolders(folder) == [IMAGES]


def list_annotated(root: Path, part: str, error: Callable[[str], Exception]) -> Listing:
    """Lists `root/<part>/images/<image>`, class by class; each line of the file begins with an image and its class.

    Raises:
        Exception: From `error`: a line has no class, or the file and the folder list different images.
    """
    folder, file = root / part / IMAGES, root / part / FILE
    try:
        names, lines, others = images(folder), file.read_text(encoding="utf-8").splitlines(), beside(folder, ())
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f"{root / part} cannot be read ({problem})") from problem
    class_of = {}
    for number, line in enumerate(lines, start=1):
        name, _, rest = line.partition("\t")
        class_of[name] = rest.partition("\t")[0]
        if not class_of[name]:
            raise error(f"line {number} of {file} does not name an image and its class, parted by a tab")
    if differing := sorted(set(class_of).symmetric_difference({*names, *others})):
        raise error(f"{file} and {folder} differ in: {shortened(differing)}")
    if unread := sorted(set(others) - set(names)):
        raise error(f"{folder} holds what would not be read: {shortened(unread)}")
    ordered = sorted(names, key=lambda name: (class_of[name], name))
    classes = sorted(set(class_of.values()))
    labels = np.array([classes.index(class_of[name]) for name in ordered], dtype=np.int64)
    return Listing([f"{part}/{IMAGES}/{name}" for name in ordered], classes, labels, np.zeros_like(labels))
