"""Rendered SST2 (Radford et al. 2021): 6,920 + 1,821 sentences of film reviews, each drawn as an image of its words.

The release's third part, 872 images for validation, is not used.
"""

from functools import cache, partial
from pathlib import Path

from cl_bench.datasets.releases.listing import list_images
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

RELEASE = Release(
    name="rendered_sst2",
    title="Rendered SST2",
    folder="rendered-sst2",
    classes=2,
    train=6_920,
    test=1_821,
    size=131_000_000,
    archives=(
        Archive(
            "rendered-sst2.tgz",
            ("https://openaipublic.azureedge.net/clip/data/rendered-sst2.tgz",),
            "md5:2384d08e9dcfa4bd55b324e610496ee5",
        ),
    ),
    per_class=((3310, 3610), (912, 909)),
)

PROMPTS = ("a {} review of a movie.",)
CLASS_NAMES = ("negative", "positive")


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/rendered-sst2/{train,test}/{negative,positive}/<number>.png`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing.
    """
    train, test = (_read_split(root, f"rendered-sst2/{split}") for split in ("train", "test"))
    return ImageDataset("rendered_sst2", CLASS_NAMES, PROMPTS, train, test)


def _read_split(root: Path, part: str) -> Images:
    folder = RELEASE.find(root, part)
    listing = list_images(folder, partial(RELEASE.error, root))
    if listing.classes != list(CLASS_NAMES):
        raise RELEASE.error(root, f"{folder} must have the folders {' and '.join(CLASS_NAMES)}, and no others")
    return Images(RELEASE.images(root, folder, listing.files), listing.labels)
