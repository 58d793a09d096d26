"""EuroSAT (Helber, Bischke, Dengel and Borth 2019): 27,000 satellite images, 64 × 64 pixels, 10 kinds of land use.

The release has no split. Ours holds out 270 images of each class for testing and 270 for validation, by the rule of
`split`: of each class, the 270 lowest ranks are for testing, the next 270 for validation, which nothing here uses.
`eurosat_split.json` has their numbers.
"""

import json
from functools import cache, partial
from pathlib import Path

import numpy as np

from cl_bench.datasets.releases.listing import list_images
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.datasets.releases.split import parts
from cl_bench.images.images import ImageDataset

FOLDERS = {
    "AnnualCrop": 3000,
    "Forest": 3000,
    "HerbaceousVegetation": 3000,
    "Highway": 2500,
    "Industrial": 2500,
    "Pasture": 2000,
    "PermanentCrop": 2500,
    "Residential": 3000,
    "River": 2500,
    "SeaLake": 3000,
}
"""Folder of each class, in the order of the class ids, and how many images it holds: `<folder>_1.jpg` and so on."""

HELD_OUT = 270
"""Images of each class for testing, and as many for validation."""

RELEASE = Release(
    name="eurosat",
    title="EuroSAT",
    folder="eurosat",
    classes=10,
    train=21_600,
    test=2_700,
    size=94_280_567,
    archives=(
        Archive(
            "EuroSAT.zip",
            (
                "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
                "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                "https://madm.dfki.de/files/sentinel/EuroSAT.zip",
            ),
            "md5:c8fa014336c82ac7804f0398fcb19387",
            into="eurosat",
        ),
    ),
    per_class=([count - 2 * HELD_OUT for count in FOLDERS.values()], [HELD_OUT] * 10),
)

PROMPTS = (
    "a centered satellite photo of {}.",
    "a centered satellite photo of a {}.",
    "a centered satellite photo of the {}.",
)

# What CLIP's authors call the classes.
CLASS_NAMES = (
    "annual crop land",
    "forest",
    "brushland or shrubland",
    "highway or road",
    "industrial buildings or commercial buildings",
    "pasture land",
    "permanent crop land",
    "residential buildings or homes or apartments",
    "river",
    "lake or sea",
)


@cache
def load(root: Path) -> ImageDataset:
    """Reads `root/eurosat/2750/<class>/<class>_<number>.jpg`, torchvision's layout, or `root/EuroSAT_RGB/<class>/…`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: A folder is missing, or holds no image.
    """
    folder = RELEASE.find(root, "eurosat/2750", "EuroSAT_RGB")
    listing = list_images(folder, partial(RELEASE.error, root))
    if listing.classes != list(FOLDERS):
        raise RELEASE.error(root, f"{folder} must have the folders {', '.join(FOLDERS)}, and no others")
    names, files = np.array(listing.files), RELEASE.images(root, folder, listing.files)
    test, validation = (np.isin(names, held_out(split)) for split in ("test", "validation"))
    rows = ~validation
    splits = parts(files.select(rows), names[rows].tolist(), test[rows], listing.labels[rows])
    return ImageDataset("eurosat", CLASS_NAMES, PROMPTS, *splits[:2], split=splits[2])


def held_out(split: str) -> list[str]:
    """The images of a split (`test` or `validation`): `<class>/<class>_<number>.jpg`."""
    numbers = json.loads(Path(__file__).with_name("eurosat_split.json").read_text())[split]
    return [f"{folder}/{folder}_{number}.jpg" for folder in FOLDERS for number in numbers[folder]]
