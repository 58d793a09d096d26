"""Caltech-101 (Fei-Fei, Fergus and Perona 2004): 8,677 photographs of 101 kinds of things.

The release has no split, and publications have many. Ours holds out a fifth of each class, see `split`. The folder
`BACKGROUND_Google` is no class, and is left out.
"""

from functools import cache, partial
from pathlib import Path

import numpy as np

from cl_bench.datasets.releases.listing import list_images
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.datasets.releases.split import split_off
from cl_bench.images.images import ImageDataset

RELEASE = Release(
    name="caltech101",
    title="Caltech-101",
    folder="caltech101",
    classes=101,
    train=6_942,
    test=1_735,
    size=137_414_764,
    archives=(
        Archive(
            "caltech-101.zip",
            ("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",),
            "md5:3138e1922a9193bfa496528edbbc45d0",
            into="caltech101",
            inside="caltech-101/101_ObjectCategories.tar.gz",
        ),
    ),
)

PROMPTS = ("a photo of a {}.",)

# The release's folders, sorted, as torchvision names the classes. "Faces_easy" has faces alone, cut out of "Faces".
CLASS_NAMES = (
    "Faces", "Faces_easy", "Leopards", "Motorbikes", "accordion", "airplanes", "anchor", "ant", "barrel", "bass",
    "beaver", "binocular", "bonsai", "brain", "brontosaurus", "buddha", "butterfly", "camera", "cannon", "car_side",
    "ceiling_fan", "cellphone", "chair", "chandelier", "cougar_body", "cougar_face", "crab", "crayfish",
    "crocodile", "crocodile_head", "cup", "dalmatian", "dollar_bill", "dolphin", "dragonfly", "electric_guitar",
    "elephant", "emu", "euphonium", "ewer", "ferry", "flamingo", "flamingo_head", "garfield", "gerenuk",
    "gramophone", "grand_piano", "hawksbill", "headphone", "hedgehog", "helicopter", "ibis", "inline_skate",
    "joshua_tree", "kangaroo", "ketch", "lamp", "laptop", "llama", "lobster", "lotus", "mandolin", "mayfly",
    "menorah", "metronome", "minaret", "nautilus", "octopus", "okapi", "pagoda", "panda", "pigeon", "pizza",
    "platypus", "pyramid", "revolver", "rhino", "rooster", "saxophone", "schooner", "scissors", "scorpion",
    "sea_horse", "snoopy", "soccer_ball", "stapler", "starfish", "stegosaurus", "stop_sign", "strawberry",
    "sunflower", "tick", "trilobite", "umbrella", "watch", "water_lilly", "wheelchair", "wild_cat", "windsor_chair",
    "wrench", "yin_yang",
)  # fmt: skip

_BACKGROUND = "BACKGROUND_Google"


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/caltech101/101_ObjectCategories/<class>/image_<number>.jpg`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: A folder is missing, or holds no image.
    """
    folder = RELEASE.find(root, "caltech101/101_ObjectCategories")
    listing = list_images(folder, partial(RELEASE.error, root))
    unlike = sorted(({*listing.classes} - {_BACKGROUND}) ^ {*CLASS_NAMES})
    if unlike:
        what = "lacks" if unlike[0] in CLASS_NAMES else "also has"
        raise RELEASE.error(
            root, f"{folder} must have the folders of the {len(CLASS_NAMES)} classes; it {what} {unlike[0]}"
        )
    kept = np.array([name != _BACKGROUND for name in listing.classes])[listing.labels]
    names = np.array(listing.files)[kept].tolist()
    labels = np.array([CLASS_NAMES.index(name.partition("/")[0]) for name in names], dtype=np.int64)
    train, test, digest = split_off(RELEASE.images(root, folder, names), names, labels)
    return ImageDataset("caltech101", CLASS_NAMES, PROMPTS, train, test, split=digest)
