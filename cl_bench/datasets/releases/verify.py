"""Counts a data set's images and compares them with the published sizes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from cl_bench.datasets.releases.release import Release
from cl_bench.images.files import ImageFiles
from cl_bench.images.images import ImageDataset, Images
from cl_bench.runtime.errors import shortened

_SPLITS = ("train", "test")
_SHOWN = 20  # names of classes or files; of the others, the number


def verify(release: Release, dataset: ImageDataset) -> list[str]:
    """Compares a data set with the published sizes; checks that image files exist, but does not open them.

    Args:
        release: The published sizes.
        dataset: As it was read from disk.

    Returns:
        One sentence for each difference; empty if everything is as published.
    """
    return [*sizes(release, dataset), *_domains(release, dataset), *_classes(release, dataset), *_files(dataset)]


def show(release: Release, dataset: ImageDataset, findings: Sequence[str], console: Console) -> None:
    """Prints tables of the splits, the domains and the classes that differ, and then the findings."""
    console.print(_split_table(release, dataset))
    if dataset.domain_names:
        console.print(_domain_table(release, dataset))
    if differing := _differing(release, dataset):
        console.print(_class_table(release, dataset, differing))
    if not findings:
        console.print(f"{release.name}: matches the published sizes")
    for finding in findings:
        console.print(f"{release.name}: {finding}", soft_wrap=True)


def _splits(dataset: ImageDataset) -> tuple[Images, Images]:
    return dataset.train, dataset.test


def sizes(release: Release, dataset: ImageDataset) -> Iterator[str]:
    """Compares only the numbers of classes and images, which needs no file; returns what differs."""
    if len(dataset.class_names) != release.classes:
        yield f"{len(dataset.class_names):,} classes instead of {release.classes:,}"
    trained = len(dataset.train) if dataset.shots is None else dataset.shots.drawn_from
    there = (trained, len(dataset.test))
    for split, count, published in zip(_SPLITS, there, (release.train, release.test), strict=True):
        if count != published:
            yield f"{split}: {count:,} images instead of {published:,}"


def _domains(release: Release, dataset: ImageDataset) -> Iterator[str]:
    there = _by_domain(dataset)
    for domain in {**release.per_domain, **there} if release.per_domain else ():
        counts, published = there.get(domain, (0, 0)), release.per_domain.get(domain, (0, 0))
        for split, count, expected in zip(_SPLITS, counts, published, strict=True):
            if count != expected:
                yield f"domain {domain}, {split}: {count:,} images instead of {expected:,}"


def _classes(release: Release, dataset: ImageDataset) -> Iterator[str]:
    for split, counts in zip(_SPLITS, _by_class(dataset), strict=True):
        if empty := np.flatnonzero(counts == 0).tolist():
            yield f"{split}: classes without images: {_names(dataset, empty)}"
    if differing := _differing(release, dataset):
        yield f"classes with other numbers of images: {_names(dataset, differing)}"


def _files(dataset: ImageDataset) -> Iterator[str]:
    for split, images in zip(_SPLITS, _splits(dataset), strict=True):
        if isinstance(images.pixels, ImageFiles):
            paths = (images.pixels.root / name for name in images.pixels.names)
            missing = [path for path in paths if not _has_content(path)]
            if missing:
                yield f"{split}: image files that are missing or empty: {len(missing):,}: {shortened(missing)}"


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _by_class(dataset: ImageDataset) -> list[NDArray[np.int64]]:
    return [np.bincount(images.labels, minlength=len(dataset.class_names)) for images in _splits(dataset)]


def _by_domain(dataset: ImageDataset) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(int(np.sum(images.domains == i)) for images in _splits(dataset))
        for i, name in enumerate(dataset.domain_names)
    }


def _differing(release: Release, dataset: ImageDataset) -> list[int]:
    """Classes whose number of images is not the published one, if that is known."""
    if release.per_class is None or len(dataset.class_names) != release.classes:
        return []
    pairs = zip(_by_class(dataset), _published(release), strict=True)
    return np.flatnonzero(np.any([counts != published for counts, published in pairs], axis=0)).tolist()


def _published(release: Release) -> list[NDArray[np.int64]]:
    return [np.asarray(numbers) for numbers in release.per_class or ()]


def _names(dataset: ImageDataset, classes: Sequence[int]) -> str:
    more = f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else ""
    return ", ".join(dataset.class_names[i] for i in classes[:_SHOWN]) + more


def _split_table(release: Release, dataset: ImageDataset) -> Table:
    table = _table(f"{release.title}, {len(dataset.class_names)} classes", "split")
    for name in ("images", "published", "least in a class", "most in a class"):
        table.add_column(name, justify="right")
    for split, images, published, counts in zip(
        _SPLITS, _splits(dataset), (release.train, release.test), _by_class(dataset), strict=True
    ):
        table.add_row(split, *(f"{number:,}" for number in (len(images), published, counts.min(), counts.max())))
    return table


def _domain_table(release: Release, dataset: ImageDataset) -> Table:
    table = _table("Train / test images of each domain", "domain", "there", "published")
    for domain, counts in _by_domain(dataset).items():
        table.add_row(domain, _pair(counts), _pair(release.per_domain.get(domain)))
    return table


def _class_table(release: Release, dataset: ImageDataset, differing: Sequence[int]) -> Table:
    table = _table("Train / test images of the classes that differ", "class", "there", "published")
    there, published = (np.stack(counts, axis=1) for counts in (_by_class(dataset), _published(release)))
    for i in differing[:_SHOWN]:
        table.add_row(dataset.class_names[i], _pair(there[i]), _pair(published[i]))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(*columns, title=title, title_justify="left", box=box.SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _pair(counts: Sequence[int] | None) -> str:
    return "" if counts is None else " / ".join(f"{count:,}" for count in counts)
