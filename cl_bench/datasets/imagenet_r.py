"""ImageNet-R (Hendrycks et al. 2021): 30,000 renditions of 200 ImageNet classes in 15 styles, which are its domains.

The publications split it 80/20 at random and did not keep the list; the split here is our own, see `split`.
"""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cl_bench.datasets.releases.imagenet_prompts import imagenet_prompts
from cl_bench.datasets.releases.listing import list_images
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.datasets.releases.split import split_off
from cl_bench.datasets.releases.wordnet import class_names
from cl_bench.images.images import ImageDataset

RELEASE = Release(
    name="imagenet_r",
    title="ImageNet-R",
    folder="imagenet-r",
    classes=200,
    train=24_000,
    test=6_000,
    size=2_191_079_936,
    archives=(
        Archive(
            "imagenet-r.tar",
            ("https://people.eecs.berkeley.edu/~hendrycks/imagenet-r.tar",),
            "sha256:18c6bf493b39a0d975d48e587437f562caab9c52ae6327dcfa9dd8eb54aa1b52",
        ),
    ),
)
DOMAINS = (
    "art", "cartoon", "deviantart", "embroidery", "graffiti", "graphic", "misc", "origami", "painting", "sculpture",
    "sketch", "sticker", "tattoo", "toy", "videogame",
)  # fmt: skip


@cache
def load(root: Path) -> ImageDataset:
    """Reads `root/imagenet-r/<WordNet id>/<domain>_<number>.jpg`, and the class names from README.txt beside them.

    Class ids are positions in the sorted names as README.txt writes them, "African_chameleon" first: the publications
    number the classes so, and their class order counts on it.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    folder, error = RELEASE.find(root, "imagenet-r"), partial(RELEASE.error, root)
    readme = RELEASE.find(root, "imagenet-r/README.txt")
    listing = list_images(folder, error)
    RELEASE.check_classes(root, folder, listing.classes)
    names = class_names(readme, listing.classes, error)
    labels = np.array([sorted(names).index(name) for name in names])[listing.labels]
    files = RELEASE.images(root, folder, listing.files)
    train, test, digest = split_off(files, listing.files, labels, _domains(folder, listing.files, error))
    spoken = tuple(name.replace("_", " ") for name in sorted(names))
    return ImageDataset("imagenet_r", spoken, imagenet_prompts(), train, test, DOMAINS, digest)


def _domains(folder: Path, files: list[str], error: Callable[[str], Exception]) -> NDArray[np.int64]:
    number = {domain: i for i, domain in enumerate(DOMAINS)}
    of_file = [file.rpartition("/")[2].partition("_")[0] for file in files]
    for file, domain in zip(files, of_file, strict=True):
        if domain not in number:
            raise error(f"{folder / file} does not begin with one of the domains {', '.join(DOMAINS)}")
    return np.array([number[domain] for domain in of_file], dtype=np.int64)
