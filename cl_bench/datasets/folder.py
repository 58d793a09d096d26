"""The user's own images, in folders of classes."""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cl_bench.datasets.releases import annotations, split
from cl_bench.datasets.releases.class_folders import beside, list_all_images
from cl_bench.datasets.releases.listing import SUFFIXES, Listing, images, subfolders
from cl_bench.images.files import ImageFiles
from cl_bench.images.images import ImageDataset, Images
from cl_bench.runtime.errors import Missing, UserError, shortened

log = logging.getLogger(__name__)

Names: TypeAlias = dict[str | int, str | int] | list[str | int] | None
"""None: the folders' names with ' ' for '_'. A mapping: names for some folders. A list: names in the order of the
sorted folders."""

Share: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
PROMPTS = ("a photo of a {}.",)

_SPLIT = re.compile(
    r"((?P<train>train|training)|(?P<test>test|testing|eval|evaluation)|(?P<val>val|valid|validation|dev))"
    r"[\s_.-]*(set|split|data|images?|imgs?|\d+)?",
    flags=re.IGNORECASE,
)
"""Names that everybody understands as a split: `Train`, `train_images`, `val2017`."""

_ORDER = ("train", "test", "val")

_LAYOUTS = (
    "Expected are ROOT/train/CLASS/image and ROOT/test/CLASS/image (or ROOT/val/… in its place), or ROOT/CLASS/image "
    "with a split of our own (scenario=folder); or ROOT/DOMAIN/CLASS/image (scenario=folder_domains)."
)


def load(
    root: Path,
    class_names: Names = None,
    prompts: tuple[str, ...] = PROMPTS,
    test_share: Share = split.SHARE,
    name: str | None = None,
) -> ImageDataset:
    """Images of classes: `root/{train,test}/<class>/…`, or `root/<class>/…` with a split of our own, see `split`.

    If `root` has the folders `train` and `test`, these are the split; `val` is the test set if there is no `test` (also
    in tiny-imagenet's layout, see `annotations`). A warning names everything beside them, which is left out. Otherwise
    each folder of `root` is a class. Class ids are positions in the sorted names of the class folders.

    A file in a class folder that is not an image is refused.

    Args:
        root: The folder.
        class_names: Names of the classes in the prompts, see `Names`.
        prompts: Templates of the zero-shot head; '{}' stands for the class name.
        test_share: Share of each class's images for testing if the folders give no split; rounded, at least one image
            and at most all but one.
        name: Of the data set, in tables and figures; None: the folder's name.

    Raises:
        UserError: The folder has another layout, a class has no images, or the settings do not fit it.
    """
    called, name = name or _called(root), name or "folder"
    _check(root, prompts, name)
    folders = set(subfolders(root))
    if "train" in folders and (test_part := _test_part(root, folders)):
        train, test, classes, digest = _as_given(root, name, test_part)
    elif folders and all(map(_split, folders)):
        raise _error(name, f"{root} holds {_and(folders)} only: a split is made of folders called train and test")
    else:
        train, test, classes, digest = _held_out(root, name, test_share)
    return ImageDataset(called, _named(classes, class_names, name), prompts, train, test, split=digest)


def load_domains(
    root: Path,
    class_names: Names = None,
    prompts: tuple[str, ...] = PROMPTS,
    test_share: Share = split.SHARE,
    name: str | None = None,
) -> ImageDataset:
    """Images of the same classes in several domains: `root/<domain>/<class>/…` with a split of our own, see `split`.

    Class ids are positions in the sorted names of all class folders; a domain may lack some of them.

    Args:
        root: The folder.
        class_names: Names of the classes in the prompts, see `Names`.
        prompts: Templates of the zero-shot head; '{}' stands for the class name.
        test_share: Share of the images for testing, in proportion from each class of each domain.
        name: Of the data set, in tables and figures; None: the folder's name.

    Raises:
        UserError: The folder has another layout, a class has no images, or the settings do not fit it.
    """
    called, name = name or _called(root), name or "folder_domains"
    _check(root, prompts, name)
    domains = subfolders(root)
    if not domains:
        raise _error(name, f"{root} holds no folders of domains")
    if splits := [domain for domain in domains if _split(domain)]:
        folders, are = ("folder", "is no domain") if len(splits) == 1 else ("folders", "are no domains")
        raise _error(name, f"{root} holds the {folders} {_and(splits)}, which {are}")
    listing = _listed(root, name, domains)
    if all(map(_split, listing.classes)):
        raise _error(name, f"the domains of {root} hold {_and(listing.classes)}, which are no classes")
    if len(domains) == 1:
        log.warning("%s: %s holds one domain only, %s: there will be one task", name, root, domains[0])
    _warn_of_others(root, name, domains, listing.classes)
    train, test, digest = split.split_off(
        _files(root, listing, name), listing.files, listing.labels, listing.parts, test_share
    )
    share = f"dataset.test_share={test_share}"
    numbers = range(len(domains))
    if few := [root / domains[i] for i in numbers if not (i in _domains(train) and i in _domains(test))]:
        have = "has" if len(few) == 1 else "have"
        raise _error(name, f"{shortened(few)} {have} too few images for {share}: one part gets none")
    if lacking := [folder for i, folder in enumerate(listing.classes) if i not in train.labels]:
        classes = "class" if len(lacking) == 1 else "classes"
        raise _error(name, f"{root} has too few images of the {classes} {shortened(lacking)} for {share}")
    names = _named(listing.classes, class_names, name)
    return ImageDataset(called, names, prompts, train, test, tuple(domains), digest)


def _domains(images: Images) -> set[int]:
    return set() if images.domains is None else set(images.domains.tolist())


def _called(root: Path) -> str:
    """The folder's name, even if it is the working directory."""
    return "".join(letter if letter.isprintable() else "_" for letter in root.resolve().name) or "folder"


def _check(root: Path, prompts: tuple[str, ...], name: str) -> None:
    if not root.is_dir():
        raise _error(name, f"{root} is no folder", Missing)  # another machine may have it
    try:
        loose = images(root)
    except OSError as problem:
        raise _error(name, f"{problem.filename} cannot be read ({problem.strerror})") from problem
    if loose:
        raise _error(name, f"{root} holds images itself ({loose[0]}), which have no class")
    for prompt in prompts:
        if "{}" not in prompt:
            raise UserError(f"{name}: dataset.prompts: the prompt {prompt!r} has no '{{}}', where the class name goes.")
    if not prompts:
        raise UserError(f"{name}: dataset.prompts must have at least one prompt, such as {PROMPTS[0]!r}.")


def _test_part(root: Path, folders: Collection[str]) -> str | None:
    """The folder of the test images: `test`, or `val` if there is no `test`, or none with classes."""
    if "val" in folders and annotations.is_annotated(root / "val"):
        has_classes = "test" in folders and set(subfolders(root / "test")) - {annotations.IMAGES}
        return "test" if has_classes else "val"
    return next((part for part in ("test", "val") if part in folders), None)


def _as_given(root: Path, name: str, test_part: str) -> tuple[Images, Images, list[str], str]:
    train, read = _listed(root, name, ["train"]), set()
    if test_part == "val" and annotations.is_annotated(root / "val"):
        test = annotations.list_annotated(root, "val", lambda problem: _error(name, problem))
        read = {annotations.FILE, annotations.IMAGES}
    else:
        test = _listed(root, name, [test_part])
    if test_part == "val":
        why = "test/ has no class folders" if (root / "test").is_dir() else "there is no test/"
        log.info("%s: %s, so val/ is the test set", name, why)
    _warn_of_others(root, name, ("train", test_part), {*train.classes, *test.classes, *read})
    for these, others, part in ((train, test, test_part), (test, train, "train")):
        if lacking := sorted(set(these.classes) - set(others.classes)):
            classes = "class" if len(lacking) == 1 else "classes"
            raise _error(name, f"{root / part} lacks the {classes} {shortened(lacking)}, which the other split has")
    splits = [Images(_files(root, listing, name), listing.labels) for listing in (train, test)]
    return splits[0], splits[1], train.classes, "official"


def _held_out(root: Path, name: str, share: float) -> tuple[Images, Images, list[str], str]:
    listing = _listed(root, name, [""])
    _warn_of_others(root, name, (), listing.classes)
    held = split.held_out(listing.files, listing.labels, _quotas(root, listing, name, share))
    train, test, digest = split.parts(_files(root, listing, name), listing.files, held, listing.labels)
    return train, test, listing.classes, digest


def _quotas(root: Path, listing: Listing, name: str, share: float) -> NDArray[np.int64]:
    sizes = np.bincount(listing.labels)
    if few := [root / listing.classes[label] for label in np.flatnonzero(sizes < 2)]:
        have = "has one image only" if len(few) == 1 else "have one image only each"
        raise _error(name, f"{shortened(few)} {have}: one to learn and one to test are needed")
    quotas: NDArray[np.int64] = np.rint(share * sizes).astype(np.int64).clip(1, sizes - 1)
    return quotas


def _listed(root: Path, name: str, parts: list[str]) -> Listing:
    return list_all_images(root, lambda problem: _error(name, problem), parts)


def _warn_of_others(root: Path, name: str, parts: Sequence[str], classes: Collection[str]) -> None:
    """Warns once of everything beside the parts and beside the classes."""
    others = beside(root, parts) if parts else []
    for folder in parts or ("",):
        others += [f"{folder}/{other}".lstrip("/") for other in beside(root / folder, classes)]
    if others:
        log.warning("%s: left out, beside the folders that are read: %s in %s", name, shortened(others), root)


def _files(root: Path, listing: Listing, name: str) -> ImageFiles:
    return ImageFiles(root, listing.files, f"It is an image of the data set {name}: repair or remove it.")


def _named(folders: list[str], class_names: Names, name: str) -> tuple[str, ...]:
    """The name of each class."""
    if isinstance(class_names, list):
        if len(class_names) != len(folders):
            raise UserError(
                f"{name}: dataset.class_names has {len(class_names)} class names for {len(folders)} class folders."
            )
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
            raise UserError(
                f"{name}: dataset.class_names has {folder}, which is none of the folders {_shortened(folders)}."
            )
    return [given.get(folder, folder.replace("_", " ")) for folder in folders]


def _split(folder: str) -> str:
    """The split (train, test, val) that a folder's name means; empty: none."""
    found = _SPLIT.fullmatch(folder)
    return next((split for split in _ORDER if found.group(split)), "") if found else ""


def _and(folders: Collection[str]) -> str:
    """Names of splits in a sentence, training images first."""
    *first, last = sorted(folders, key=lambda folder: (_ORDER.index(_split(folder)), folder))
    return f"{', '.join(first)} and {last}" if first else last


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f", … ({len(names)} in all)" if len(names) > 8 else "")


def _error(name: str, problem: str, kind: type[UserError] = UserError) -> UserError:
    return kind(f"{name}: {problem}.\n{_LAYOUTS}\nImages end in {', '.join(SUFFIXES)}.")
