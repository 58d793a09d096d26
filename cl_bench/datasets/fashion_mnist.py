"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 60,000 + 10,000 pieces of clothing, 28 × 28 pixels, official split."""

from functools import cache
from pathlib import Path

from cl_bench.datasets.releases.idx import read_split
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset

_HOSTS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
_CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
}

RELEASE = Release(
    name="fashion_mnist",
    title="Fashion-MNIST",
    folder="FashionMNIST",
    classes=10,
    train=60_000,
    test=10_000,
    size=30_878_645,
    archives=tuple(
        Archive(file, tuple(host + file for host in _HOSTS), checksum, into="FashionMNIST/raw")
        for file, checksum in _CHECKSUMS.items()
    ),
    per_class=([6000] * 10, [1000] * 10),
)

PROMPTS = ("a photo of a {}.", "a photo of the {}.")

# As the tables of ready checkpoints have them: the authors' names, but for the spaces in the first one.
CLASS_NAMES = (
    "T - shirt / top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's `root/FashionMNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte`, also with `.gz`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    train, test = (read_split(RELEASE, root, f"FashionMNIST/raw/{split}") for split in ("train", "t10k"))
    return ImageDataset("fashion_mnist", CLASS_NAMES, PROMPTS, train, test)
