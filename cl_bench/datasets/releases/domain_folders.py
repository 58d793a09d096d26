"""Reads releases that have one folder per domain and class, and no split of their own."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from cl_bench.datasets.releases.listing import list_images
from cl_bench.datasets.releases.release import Release
from cl_bench.datasets.releases.split import split_off
from cl_bench.images.images import ImageDataset


def read(release: Release, root: Path, domains: Mapping[str, Path], prompts: tuple[str, ...]) -> ImageDataset:
    """Reads `<domain's folder>/<class>/<image>`, with the 80/20 split of `split`.

    Args:
        release: The data set.
        root: The folder of all data sets.
        domains: The folder of each domain, in the order of their ids.
        prompts: Templates of the zero-shot head.

    Raises:
        UserError: Files or classes are missing.
    """
    folder = Path(root) / release.folder
    listing = list_images(
        folder, partial(release.error, root), [path.relative_to(folder).as_posix() for path in domains.values()]
    )
    release.check_classes(root, folder, listing.classes)
    files, names = release.images(root, folder, listing.files), listing.names(tuple(domains))
    train, test, digest = split_off(files, names, listing.labels, listing.parts)
    class_names = tuple(name.replace("_", " ") for name in listing.classes)
    return ImageDataset(release.name, class_names, prompts, train, test, tuple(domains), digest)
