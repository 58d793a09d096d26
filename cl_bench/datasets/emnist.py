"""EMNIST (Cohen, Afshar, Tapson and van Schaik 2017): handwritten letters or digits, 28 × 28 pixels, official splits.

Two of the release's six parts are read. `letters`, the default: 124,800 + 20,800 images of 26 letters, large and small
ones together. `digits`: 240,000 + 40,000 images. The files have the images mirrored at their diagonal, as torchvision
returns them; here they stand upright.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from cl_bench.datasets import mnist
from cl_bench.datasets.releases.idx import read_split
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

RELEASE = Release(
    name="emnist",
    title="EMNIST",
    folder="EMNIST",
    classes=26,
    train=124_800,
    test=20_800,
    size=561_753_746,
    archives=(
        Archive(
            "gzip.zip",
            ("https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",),
            "md5:58c8d27c78d21e728a6bc7b3cc06412e",
            into="EMNIST/raw",
        ),
    ),
    per_class=([4800] * 26, [800] * 26),
)
_DIGITS = replace(RELEASE, classes=10, train=240_000, test=40_000, per_class=([24_000] * 10, [4000] * 10))

# As the tables of ready checkpoints have them: "digit" is what they say of letters.
PROMPTS = ('a photo of the digit character: "{}".',)
CLASS_NAMES = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@cache
def load(root: Path, kind: Literal["letters", "digits"] = "letters") -> ImageDataset:
    """Reads `root/EMNIST/raw/emnist-<kind>-{train,test}-{images-idx3,labels-idx1}-ubyte`, torchvision's layout.

    The files may have `.gz`, and may lie in a folder `gzip` there, as in the archive.

    Args:
        root: The folder of all data sets.
        kind: Which part; the data set of digits is called `emnist_digits`.

    Raises:
        UserError: Files are missing or damaged.
    """
    folder = "EMNIST/raw/gzip" if (Path(root) / "EMNIST/raw/gzip").is_dir() else "EMNIST/raw"
    release, first = (RELEASE, 1) if kind == "letters" else (_DIGITS, 0)
    train, test = (
        _upright(read_split(release, root, f"{folder}/emnist-{kind}-{split}", first)) for split in ("train", "test")
    )
    if kind == "digits":
        return ImageDataset("emnist_digits", mnist.CLASS_NAMES, mnist.PROMPTS, train, test)
    return ImageDataset("emnist", CLASS_NAMES, PROMPTS, train, test)


def _upright(images: Images) -> Images:
    return Images(np.ascontiguousarray(np.swapaxes(np.asarray(images.pixels), 1, 2)), images.labels)
