"""Kuzushiji-MNIST (Clanuwat et al. 2018): 60,000 + 10,000 cursive Japanese characters, 28 × 28 pixels, official split.

The ten classes are hiragana, one for each row of the syllabary.
"""

from functools import cache
from pathlib import Path

from cl_bench.datasets.releases.idx import read_split
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset

_HOST = "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"
_CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "md5:bdb82020997e1d708af4cf47b453dcf7",
    "train-labels-idx1-ubyte.gz": "md5:e144d726b3acfaa3e44228e80efcd344",
    "t10k-images-idx3-ubyte.gz": "md5:5c965bf0a639b31b8f53240b1b52f4d7",
    "t10k-labels-idx1-ubyte.gz": "md5:7320c461ea6c1c855c0b718fb2a4b134",
}

RELEASE = Release(
    name="kmnist",
    title="KMNIST",
    folder="KMNIST",
    classes=10,
    train=60_000,
    test=10_000,
    size=21_240_888,
    archives=tuple(
        Archive(file, (_HOST + file,), checksum, into="KMNIST/raw") for file, checksum in _CHECKSUMS.items()
    ),
    per_class=([6000] * 10, [1000] * 10),
)

PROMPTS = ("a photo of the character {}.",)

# As the tables of ready checkpoints have them; torchvision writes them in Latin letters: o, ki, su, tsu, na, …
CLASS_NAMES = tuple("おきすつなはまやれを")


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/KMNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte`, also with `.gz`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    train, test = (read_split(RELEASE, root, f"KMNIST/raw/{split}") for split in ("train", "t10k"))
    return ImageDataset("kmnist", CLASS_NAMES, PROMPTS, train, test)
