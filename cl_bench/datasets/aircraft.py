"""FGVC-Aircraft (Maji, Kannala, Rahtu, Blaschko and Vedaldi 2013): 10,000 photographs of 100 variants of aircraft.

The release has three thirds, for training, validation and testing. We train on the first two, which its list `trainval`
joins.
"""

from functools import cache
from pathlib import Path

from cl_bench.datasets.releases.reading import checked_labels, read_lines
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

RELEASE = Release(
    name="aircraft",
    title="FGVC-Aircraft",
    folder="fgvc-aircraft-2013b",
    classes=100,
    train=6_667,
    test=3_333,
    size=2_753_340_328,
    archives=(
        Archive(
            "fgvc-aircraft-2013b.tar.gz",
            ("https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",),
            "md5:d4acdd33327262359767eeaa97a4f732",
        ),
    ),
)

PROMPTS = ("a photo of a {}, a type of aircraft.",)

_DATA = "fgvc-aircraft-2013b/data"


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/fgvc-aircraft-2013b/data/{variants.txt,images_variant_….txt,images/<id>.jpg}`.

    Class ids are lines of `variants.txt`, and names are as they stand there: "707-320", "Cessna 172".

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    listing = f"{_DATA}/variants.txt"
    names = read_lines(RELEASE, root, listing)
    RELEASE.check_classes(root, Path(root) / listing, names)
    train, test = (_read_split(root, names, f"{_DATA}/images_variant_{split}.txt") for split in ("trainval", "test"))
    return ImageDataset("aircraft", tuple(names), PROMPTS, train, test)


def _read_split(root: Path, names: list[str], listing: str) -> Images:
    """Reads a list of lines such as `1025794 707-320`; the copyright line at the foot of an image is kept."""
    numbers = {name: number for number, name in enumerate(names)}
    rows = [line.partition(" ")[::2] for line in read_lines(RELEASE, root, listing)]
    for image, variant in rows:
        if not image.isdecimal() or variant not in numbers:
            path = Path(root) / listing
            raise RELEASE.error(root, f"{path} is damaged: {image + ' ' + variant!r} is no image of a known variant")
    labels = checked_labels(RELEASE, root, listing, [numbers[variant] for _, variant in rows])
    folder = RELEASE.find(root, f"{_DATA}/images")
    return Images(RELEASE.images(root, folder, [f"{image}.jpg" for image, _ in rows]), labels)
