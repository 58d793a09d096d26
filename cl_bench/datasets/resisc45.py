"""NWPU-RESISC45 (Cheng, Han and Lu 2017): 31,500 aerial images of 45 kinds of scene, 256 × 256 pixels.

The release has no split. The lists are those of Neumann, Pinto, Zhai and Houlsby (2019), three fifths for training and
a fifth for testing; the fifth for validation is not used.
"""

from functools import cache
from pathlib import Path

from cl_bench.datasets.releases.listing import subfolders
from cl_bench.datasets.releases.reading import by_folder, read_lines
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

_MIRROR = "https://huggingface.co/datasets/torchgeo/resisc45/resolve/a826b44d938a883185f11ebe3d512d38b464312f/"
_LISTS = "https://storage.googleapis.com/remote_sensing_representations/"

RELEASE = Release(
    name="resisc45",
    title="NWPU-RESISC45",
    folder="NWPU-RESISC45",
    classes=45,
    train=18_900,
    test=6_300,
    size=427_000_000,
    archives=(
        Archive("NWPU-RESISC45.zip", (_MIRROR + "NWPU-RESISC45.zip",), "md5:75206b2e16446591afa88e2628744886"),
        Archive(
            "resisc45-train.txt",
            (_MIRROR + "resisc45-train.txt", _LISTS + "resisc45-train.txt"),
            "md5:b5a4c05a37de15e4ca886696a85c403e",
        ),
        Archive(
            "resisc45-test.txt",
            (_MIRROR + "resisc45-test.txt", _LISTS + "resisc45-test.txt"),
            "md5:3dda9e4988b47eb1de9f07993653eb08",
        ),
    ),
)

PROMPTS = tuple(
    f"{kind} of {article}{{}}."
    for article in ("", "a ", "the ")
    for kind in (
        "satellite imagery", "aerial imagery", "satellite photo", "aerial photo", "satellite view", "aerial view",
    )
)  # fmt: skip


@cache
def load(root: Path) -> ImageDataset:
    """Reads `root/NWPU-RESISC45/<class>/<class>_<number>.jpg` and `root/resisc45-{train,test}.txt`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    folder = RELEASE.find(root, "NWPU-RESISC45")
    classes = subfolders(folder)
    RELEASE.check_classes(root, folder, classes)
    names = tuple(name.replace("_", " ") for name in classes)
    train, test = (_read_split(root, classes, f"resisc45-{split}.txt") for split in ("train", "test"))
    return ImageDataset("resisc45", names, PROMPTS, train, test)


def _read_split(root: Path, classes: list[str], listing: str) -> Images:
    """The lists leave the folders out: `airplane_001.jpg` lies in `airplane`."""
    names = [f"{name.rpartition('_')[0]}/{name}" for name in read_lines(RELEASE, root, listing)]
    return by_folder(RELEASE, root, "NWPU-RESISC45", names, classes, listing)
