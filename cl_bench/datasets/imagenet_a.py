"""ImageNet-A (Hendrycks, Zhao, Basart, Steinhardt and Song 2021): 7,500 photographs of 200 classes, picked to deceive.

The release has no split. Publications hold out a fifth at random; the split here is our own, see `split`.
"""

from functools import cache, partial
from pathlib import Path

from cl_bench.datasets.releases.imagenet_prompts import imagenet_prompts
from cl_bench.datasets.releases.listing import list_images
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.datasets.releases.split import split_off
from cl_bench.datasets.releases.wordnet import class_names
from cl_bench.images.images import ImageDataset

RELEASE = Release(
    name="imagenet_a",
    title="ImageNet-A",
    folder="imagenet-a",
    classes=200,
    train=6_000,
    test=1_500,
    size=687_552_512,
    archives=(
        Archive(
            "imagenet-a.tar",
            ("https://people.eecs.berkeley.edu/~hendrycks/imagenet-a.tar",),
            "sha256:3bb3632277e6ba6392ea64c02ddbf4dd2266c9caffd6bc09c9656d28f012589e",
        ),
    ),
)


@cache
def load(root: Path) -> ImageDataset:
    """Reads `root/imagenet-a/<WordNet id>/….jpg`, and the class names from README.txt beside them.

    Class ids are positions in the sorted WordNet ids, since those who publish class orders (PILOT) number them so.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    folder, error = RELEASE.find(root, "imagenet-a"), partial(RELEASE.error, root)
    readme = RELEASE.find(root, "imagenet-a/README.txt")
    listing = list_images(folder, error)
    RELEASE.check_classes(root, folder, listing.classes)
    names = tuple(name.replace("_", " ") for name in class_names(readme, listing.classes, error))
    train, test, digest = split_off(RELEASE.images(root, folder, listing.files), listing.files, listing.labels)
    return ImageDataset("imagenet_a", names, imagenet_prompts(), train, test, split=digest)
