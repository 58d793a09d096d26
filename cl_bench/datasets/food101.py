"""Food-101 (Bossard, Guillaumin and Van Gool 2014): 101,000 photographs of 101 dishes, the official split."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

RELEASE = Release(
    name="food101",
    title="Food-101",
    folder="food-101",
    classes=101,
    train=75_750,
    test=25_250,
    size=4_996_278_331,
    archives=(
        Archive(
            "food-101.tar.gz",
            ("http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",),
            "md5:85eeb15f3717b99a5da872d97d918f87",
        ),
    ),
    per_class=([750] * 101, [250] * 101),
)

PROMPTS = ("a photo of {}, a type of food.",)

# As the tables of ready checkpoints have them: the sorted names of the release's folders, with blanks.
CLASS_NAMES = (
    "apple pie", "baby back ribs", "baklava", "beef carpaccio", "beef tartare", "beet salad", "beignets",
    "bibimbap", "bread pudding", "breakfast burrito", "bruschetta", "caesar salad", "cannoli", "caprese salad",
    "carrot cake", "ceviche", "cheese plate", "cheesecake", "chicken curry", "chicken quesadilla",
    "chicken wings", "chocolate cake", "chocolate mousse", "churros", "clam chowder", "club sandwich",
    "crab cakes", "creme brulee", "croque madame", "cup cakes", "deviled eggs", "donuts", "dumplings",
    "edamame", "eggs benedict", "escargots", "falafel", "filet mignon", "fish and chips", "foie gras",
    "french fries", "french onion soup", "french toast", "fried calamari", "fried rice", "frozen yogurt",
    "garlic bread", "gnocchi", "greek salad", "grilled cheese sandwich", "grilled salmon", "guacamole", "gyoza",
    "hamburger", "hot and sour soup", "hot dog", "huevos rancheros", "hummus", "ice cream", "lasagna",
    "lobster bisque", "lobster roll sandwich", "macaroni and cheese", "macarons", "miso soup", "mussels",
    "nachos", "omelette", "onion rings", "oysters", "pad thai", "paella", "pancakes", "panna cotta",
    "peking duck", "pho", "pizza", "pork chop", "poutine", "prime rib", "pulled pork sandwich", "ramen",
    "ravioli", "red velvet cake", "risotto", "samosa", "sashimi", "scallops", "seaweed salad",
    "shrimp and grits", "spaghetti bolognese", "spaghetti carbonara", "spring rolls", "steak",
    "strawberry shortcake", "sushi", "tacos", "takoyaki", "tiramisu", "tuna tartare", "waffles",
)  # fmt: skip


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/food-101/{meta/{train,test}.json,images/<dish>/<number>.jpg}`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    train, test = (_read_split(root, f"food-101/meta/{split}.json") for split in ("train", "test"))
    return ImageDataset("food101", CLASS_NAMES, PROMPTS, train, test)


def _read_split(root: Path, listing: str) -> Images:
    """Reads `{"apple_pie": ["apple_pie/1005649", …], …}`."""
    path = RELEASE.find(root, listing)
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        if sorted(listed) != [name.replace(" ", "_") for name in CLASS_NAMES]:
            raise ValueError("it does not list the 101 dishes")
        names = [name for dish in listed for name in listed[dish]]
        if strange := [name for dish in listed for name in listed[dish] if name.partition("/")[0] != dish]:
            raise ValueError(f"{strange[0]!r} is no image of its dish")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RELEASE.error(root, f"{path} is damaged ({error})") from error
    numbers = {dish: number for number, dish in enumerate(sorted(listed))}
    labels = np.array([numbers[name.partition("/")[0]] for name in names], dtype=np.int64)
    folder = RELEASE.find(root, "food-101/images")
    return Images(RELEASE.images(root, folder, [f"{name}.jpg" for name in names]), labels)
