"""One's own images, in folders of classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cl_bench.datasets import split
from cl_bench.datasets.image_files import ImageFiles
from cl_bench.datasets.images import ImageDataset, Images
from cl_bench.datasets.listing import SUFFIXES, Listing, images, list_images, subfolders
from cl_bench.errors import UserError

Names: TypeAlias = dict[str | int, str | int] | list[str | int] | None
"""None: the folders' names with ' ' for '_'. A mapping from folder to name, for the folders whose name does not do.
A list of names in the order of the sorted folders."""

Share: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
PROMPTS = ("a photo of a {}.",)

_LAYOUTS = (
    "Expected are ROOT/train/CLASS/image and ROOT/test/CLASS/image, or ROOT/CLASS/image with a split of our own "
    "(cl_bench.datasets.folder.load); or ROOT/DOMAIN/CLASS/image (cl_bench.datasets.folder.load_domains)."
)


def load(
    root: Path,
    class_names: Names = None,
    prompts: tuple[str, ...] = PROMPTS,
    test_share: Share = split.SHARE,
    name: str = "folder",
) -> ImageDataset:
    """Images of classes: `root/{train,test}/<class>/…`, or `root/<class>/…` with a split of our own, see `split`.

    If `root` has a folder `train` and a folder `test`, these are the split, and whatever lies beside them is left out;
    else each of its folders is a class. Class ids are positions in the sorted names of the class folders.

    Args:
        root: The folder.
        class_names: Names of the classes in the prompts, see `Names`.
        prompts: Templates of the zero-shot head; '{}' stands for the class name.
        test_share: Share of each class's images that is held out where the folders give no split; rounded, and at
            least one image, at most all but one.
        name: Of the data set; tells several folders of one scenario apart.

    Raises:
        UserError: The folder has another layout, a class has no images, or the settings don't fit it.
    """
    _check(root, prompts, name)
    if {"train", "test"} <= set(subfolders(root)):
        train, test, classes, digest = _as_given(root, name)
    else:
        train, test, classes, digest = _held_out(root, name, test_share)
    return ImageDataset(name, _named(classes, class_names, name), prompts, train, test, split=digest)


def load_domains(
    root: Path,
    class_names: Names = None,
    prompts: tuple[str, ...] = PROMPTS,
    test_share: Share = split.SHARE,
    name: str = "folder_domains",
) -> ImageDataset:
    """Images of the same classes in several domains: `root/<domain>/<class>/…` with a split of our own, see `split`.

    Class ids are positions in the sorted names of all class folders; a domain may lack some of them.

    Args:
        root: The folder.
        class_names: Names of the classes in the prompts, see `Names`.
        prompts: Templates of the zero-shot head; '{}' stands for the class name.
        test_share: Share of the images that is held out, of each class of each domain its part.
        name: Of the data set; tells several folders of one scenario apart.

    Raises:
        UserError: The folder has another layout, a class has no images, or the settings don't fit it.
    """
    _check(root, prompts, name)
    domains = subfolders(root)
    if not domains:
        raise _error(name, f"{root} holds no folders of domains")
    if {"train", "test"} <= set(domains):
        raise _error(name, f"{root} holds the folders train and test, which are no domains")
    listing = _listed(root, name, domains)
    train, test, digest = split.split_off(
        _files(root, listing, name), listing.files, listing.labels, listing.parts, test_share
    )
    for number, domain in enumerate(domains):
        if not ((train.domains == number).any() and (test.domains == number).any()):
            raise _error(name, f"{root / domain} has too few images for test_share={test_share}: one part gets none")
    for number, folder in enumerate(listing.classes):
        if not (train.labels == number).any():
            raise _error(name, f"{root} has too few images of the class {folder} for test_share={test_share}")
    names = _named(listing.classes, class_names, name)
    return ImageDataset(name, names, prompts, train, test, tuple(domains), digest)


def _check(root: Path, prompts: tuple[str, ...], name: str) -> None:
    if not root.is_dir():
        raise _error(name, f"{root} is no folder")
    if loose := images(root):
        raise _error(name, f"{root} holds images itself ({loose[0]}), which have no class")
    for prompt in prompts:
        if "{}" not in prompt:
            raise UserError(f"{name}: the prompt {prompt!r} has no '{{}}', where the class name goes.")
    if not prompts:
        raise UserError(f"{name}: there must be at least one prompt, such as {PROMPTS[0]!r}.")


def _as_given(root: Path, name: str) -> tuple[Images, Images, list[str], str]:
    train, test = (_listed(root, name, [part]) for part in ("train", "test"))
    for these, others, part in ((train, test, "test"), (test, train, "train")):
        if lacking := sorted(set(these.classes) - set(others.classes)):
            raise _error(name, f"{root / part} lacks the class {lacking[0]}, which the other split has")
    splits = [Images(_files(root, listing, name), listing.labels) for listing in (train, test)]
    return splits[0], splits[1], train.classes, "official"


def _held_out(root: Path, name: str, share: float) -> tuple[Images, Images, list[str], str]:
    listing = _listed(root, name, [""])
    held = split.held_out(listing.files, listing.labels, _quotas(root, listing, name, share))
    train, test, digest = split.parts(_files(root, listing, name), listing.files, held, listing.labels)
    return train, test, listing.classes, digest


def _quotas(root: Path, listing: Listing, name: str, share: float) -> NDArray[np.int64]:
    sizes = np.bincount(listing.labels)
    if sizes.min() < 2:
        folder = root / listing.classes[sizes.argmin()]
        raise _error(name, f"{folder} has one image only: one to learn and one to test are needed")
    return np.rint(share * sizes).astype(np.int64).clip(1, sizes - 1)


def _listed(root: Path, name: str, parts: list[str]) -> Listing:
    return list_images(root, lambda problem: _error(name, problem), parts)


def _files(root: Path, listing: Listing, name: str) -> ImageFiles:
    return ImageFiles(root, listing.files, f"It is an image of the data set {name}: repair or remove it.")


def _named(folders: list[str], class_names: Names, name: str) -> tuple[str, ...]:
    """The name of each class."""
    if isinstance(class_names, list):
        if len(class_names) != len(folders):
            raise UserError(f"{name}: there are {len(class_names)} class names for {len(folders)} class folders.")
        names = [str(given) for given in class_names]
    else:
        names = _mapped(folders, {str(folder): str(given) for folder, given in (class_names or {}).items()}, name)
    twice = [given for i, given in enumerate(names) if given in names[:i]]
    if twice:
        raise UserError(f"{name}: two classes have the name {twice[0]!r}; prompts could not tell them apart.")
    return tuple(names)


def _mapped(folders: list[str], given: Mapping[str, str], name: str) -> list[str]:
    for folder in given:
        if folder not in folders:
            raise UserError(f"{name}: class_names has {folder}, which is none of the folders {_shortened(folders)}.")
    return [given.get(folder, folder.replace("_", " ")) for folder in folders]


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f", … ({len(names)} in all)" if len(names) > 8 else "")


def _error(name: str, problem: str) -> UserError:
    return UserError(f"{name}: {problem}.\n{_LAYOUTS}\nImages end in {', '.join(SUFFIXES)}.")
