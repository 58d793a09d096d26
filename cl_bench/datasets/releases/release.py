"""What is known of a data set before its files are there: where to get them, where they belong, and how many images."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cl_bench.images.files import ImageFiles
from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import Missing


@dataclass(frozen=True)
class Archive:
    """One file of the release.

    Attributes:
        file: Its name.
        urls: Where to fetch it; they are tried in this order.
        checksum: `md5:…` or `sha256:…` of the file; empty if the publisher gives none.
        into: The folder below that of all data sets into which it is unpacked, or moved if it is not an archive.
        inside: Path in it of another archive, which alone is unpacked; empty if the files lie in this one.
    """

    file: str
    urls: tuple[str, ...]
    checksum: str = ""
    into: str = ""
    inside: str = ""


@dataclass(frozen=True)
class Release:
    """A published data set.

    Attributes:
        name: As in `dataset=` and in the project's file names.
        title: The name that its authors gave it.
        folder: Its folder, below the folder of all data sets.
        classes: Number of classes.
        train: Number of training images.
        test: Number of test images.
        size: Approximate bytes of the files to fetch.
        archives: The files to fetch; empty if the user has to fetch them.
        by_hand: How the user gets the files, if the license or the host requires that.
        per_class: Training and test images of each class, if published.
        per_domain: Training and test images of each domain.
    """

    name: str
    title: str
    folder: str
    classes: int
    train: int
    test: int
    size: int
    archives: tuple[Archive, ...] = ()
    by_hand: str = ""
    per_class: tuple[Sequence[int], Sequence[int]] | None = None
    per_domain: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def find(self, root: Path, *parts: str) -> Path:
        """The path of a file or folder of the release, below the folder of all data sets.

        Args:
            root: The folder of all data sets.
            parts: Paths below it, of which one must exist; several if the release was packed in several ways.

        Raises:
            Missing: None of them exists.
        """
        for part in parts:
            if (Path(root) / part).exists():
                return Path(root) / part
        raise self.error(root, " or ".join(str(Path(root) / part) for part in parts) + " is missing")

    def error(self, root: Path, problem: str) -> Missing:
        """One message that names the data set, the problem and the remedy."""
        return Missing(f"{self.title}: {problem}.\n{self.remedy(root)}")

    def remedy(self, root: Path) -> str:
        """How to get the files."""
        command = f"{typed('data')} download {self.name} --data-dir {shlex.quote(str(root))}"
        return f"Get it with: {command}\nor name the folder that holds {self.folder}: paths.data_dir=…"

    def check_classes(self, root: Path, place: Path, found: Collection[str]) -> None:
        """Checks that no class is missing, since the ids of the others would change.

        Args:
            root: The folder of all data sets.
            place: The folder or file of the classes.
            found: The classes in it.

        Raises:
            Missing: Their number is not that of the release.
        """
        if len(found) != self.classes:
            raise self.error(root, f"{place} has {len(found)} classes instead of {self.classes}")

    def images(self, root: Path, folder: Path, names: Sequence[str]) -> ImageFiles:
        """Image files whose messages contain this remedy; names are relative to `folder`."""
        return ImageFiles(folder, names, self.remedy(root))
