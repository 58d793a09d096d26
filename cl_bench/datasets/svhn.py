"""Street View House Numbers (Netzer et al. 2011): 73,257 + 26,032 digits, 32 × 32 pixels, the official split."""

from functools import cache
from pathlib import Path

import numpy as np

from cl_bench.datasets import mnist
from cl_bench.datasets.releases.reading import checked_labels, read_mat
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

RELEASE = Release(
    name="svhn",
    title="SVHN",
    folder="svhn",
    classes=10,
    train=73_257,
    test=26_032,
    size=246_316_178,
    archives=(
        Archive(
            "train_32x32.mat",
            ("http://ufldl.stanford.edu/housenumbers/train_32x32.mat",),
            "sha256:435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            into="svhn",
        ),
        Archive(
            "test_32x32.mat",
            ("http://ufldl.stanford.edu/housenumbers/test_32x32.mat",),
            "sha256:cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            into="svhn",
        ),
    ),
    per_class=(
        (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
        (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595),
    ),
)

PROMPTS = mnist.PROMPTS


@cache
def load(root: Path) -> ImageDataset:
    """Reads `root/svhn/{train,test}_32x32.mat`, torchvision's layout; the files' class 10 is the digit 0.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    return ImageDataset("svhn", mnist.CLASS_NAMES, PROMPTS, _read_split(root, "train"), _read_split(root, "test"))


def _read_split(root: Path, split: str) -> Images:
    part = f"svhn/{split}_32x32.mat"
    variables = read_mat(RELEASE, root, part)
    pixels, labels = np.asarray(variables.get("X")), variables.get("y")
    if labels is None or pixels.shape != (32, 32, 3, np.size(labels)) or pixels.dtype != np.uint8:
        raise RELEASE.error(root, f"{Path(root) / part} is damaged: it lacks X, (32, 32, 3, N) bytes, or y, N labels")
    digits = (checked_labels(RELEASE, root, part, labels, first=1) + 1) % 10
    return Images(np.ascontiguousarray(pixels.transpose(3, 0, 1, 2)), digits)
