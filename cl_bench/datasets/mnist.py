"""MNIST (LeCun, Cortes and Burges 1998): 60,000 + 10,000 handwritten digits, 28 × 28 pixels, the official split."""

from functools import cache
from pathlib import Path

from cl_bench.datasets.releases.idx import read_split
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset

_HOSTS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
_CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
}

RELEASE = Release(
    name="mnist",
    title="MNIST",
    folder="MNIST",
    classes=10,
    train=60_000,
    test=10_000,
    size=11_594_722,
    archives=tuple(
        Archive(file, tuple(host + file for host in _HOSTS), checksum, into="MNIST/raw")
        for file, checksum in _CHECKSUMS.items()
    ),
    per_class=(
        (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    ),
)

# CLIP's authors' for MNIST and SVHN.
PROMPTS = ('a photo of the number: "{}".',)
CLASS_NAMES = tuple("0123456789")


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/MNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte`, also with `.gz`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    train, test = (read_split(RELEASE, root, f"MNIST/raw/{split}") for split in ("train", "t10k"))
    return ImageDataset("mnist", CLASS_NAMES, PROMPTS, train, test)
