"""CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 photographs, 32 × 32 pixels, 10 classes, the official split."""

from functools import cache
from pathlib import Path

from cl_bench.datasets import cifar100
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset

RELEASE = Release(
    name="cifar10",
    title="CIFAR-10",
    folder="cifar-10-batches-py",
    classes=10,
    train=50_000,
    test=10_000,
    size=170_498_071,
    archives=(
        Archive(
            "cifar-10-python.tar.gz",
            (
                "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                "https://cave.cs.toronto.edu/kriz/cifar-10-python.tar.gz",
            ),
            "md5:c58f30108f718f92721af3b95e74349a",
        ),
    ),
    per_class=([5000] * 10, [1000] * 10),
)

PROMPTS = cifar100.PROMPTS


@cache
def load(root: Path, checksum: bool = True) -> ImageDataset:
    """Reads torchvision's layout: `root/cifar-10-batches-py/{data_batch_1 … data_batch_5,test_batch,batches.meta}`.

    Args:
        root: The folder of all data sets.
        checksum: Whether the files must be the release's to the bit. False admits files of the same layout with other
            images.

    Raises:
        UserError: Files are missing or damaged.
    """
    from torchvision.datasets import CIFAR10

    return cifar100.read(RELEASE, CIFAR10, root, checksum)
