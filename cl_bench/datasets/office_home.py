"""Office-Home (Venkateswara, Eusebio, Chakraborty, Panchanathan 2017): 15,588 images, 65 classes, four domains.

It has no split of its own; the 80/20 split here is ours, see `split`.
"""

from functools import cache
from pathlib import Path

from cl_bench.datasets.releases.domain_folders import read
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset

RELEASE = Release(
    name="office_home",
    title="Office-Home",
    folder="OfficeHomeDataset_10072016",
    classes=65,
    train=12_470,
    test=3_118,
    size=1_100_000_000,
    archives=(
        Archive(
            "OfficeHomeDataset_10072016.zip",
            (
                "https://drive.google.com/uc?id=0B81rNlvomiwed0V1YUxQdC1uOTg&resourcekey=0-2SNWq0CDAuWOBRRBL7ZZsw",
                "https://drive.google.com/uc?id=1uY0pj7oFsjMxRwaD3Sxy0jgel0fsYXLC",
            ),
            "md5:b1c14819770c4448fd5b6d931031c91c",
        ),
    ),
    per_domain={
        "art": (1_942, 485),
        "clipart": (3_492, 873),
        "product": (3_551, 888),
        "real_world": (3_485, 872),
    },
)
PROMPTS = (
    "a photo of a {} in an office setting.",
    "an image of a {} at a workspace.",
    "a picture of a {} in a modern office environment.",
    "a realistic photo of a {} from the Office-Home dataset.",
    "a depiction of a {} in a business context.",
)

_FOLDERS = {"art": "Art", "clipart": "Clipart", "product": "Product", "real_world": "Real World"}


@cache
def load(root: Path) -> ImageDataset:
    """Reads `root/OfficeHomeDataset_10072016/{Art,Clipart,Product,Real World}/<class>/…`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    domains = {name: RELEASE.find(root, f"{RELEASE.folder}/{folder}") for name, folder in _FOLDERS.items()}
    return read(RELEASE, root, domains, PROMPTS)
