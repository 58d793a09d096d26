"""What is known of a data set before its files are there: where they come from and belong, how many they are."""

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
        urls: Where it can be fetched; the first that works counts.
        checksum: `md5:…` or `sha256:…` of the file; empty where the publisher gives none.
        into: Folder, below that of all data sets, that it is unpacked into, or laid into if it is no archive.
    """

    file: str
    urls: tuple[str, ...]
    checksum: str = ""
    into: str = ""


@dataclass(frozen=True)
class Release:
    """A published data set.

    Attributes:
        name: As in `dataset=` and in the file names of the project.
        title: As its authors call it.
        folder: Where it lies, below the folder of all data sets.
        classes: Number of classes.
        train: Number of training images.
        test: Number of test images.
        size: Bytes of the files to fetch, about.
        archives: What to fetch; empty where that has to be done by hand.
        by_hand: Where to get it and what to do with it, where the license or the host asks for that.
        per_class: Training and test images of each class, where that is the same number for all of them, or known.
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
            parts: The path below it, or several alternatives if the release was packed in several ways.

        Raises:
            Missing: None of them is there.
        """
        for part in parts:
            if (Path(root) / part).exists():
                return Path(root) / part
        raise self.error(root, " or ".join(str(Path(root) / part) for part in parts) + " is missing")

    def error(self, root: Path, problem: str) -> Missing:
        """One message that names the data set, the problem and the remedy."""
        return Missing(f"{self.title}: {problem}.\n{self.remedy(root)}")

    def remedy(self, root: Path) -> str:
        """What brings the files there."""
        command = f"{typed('data')} download {self.name} --data-dir {shlex.quote(str(root))}"
        return f"Get it with: {command}\nor name the folder that holds {self.folder}: paths.data_dir=…"

    def check_classes(self, root: Path, place: Path, found: Collection[str]) -> None:
        """Makes sure that no class is missing: ids, which count through them, would mean others.

        Args:
            root: The folder of all data sets.
            place: The folder or file in which the classes were found.
            found: The classes.

        Raises:
            Missing: They are not as many as the release has.
        """
        if len(found) != self.classes:
            raise self.error(root, f"{place} has {len(found)} classes instead of {self.classes}")

    def images(self, root: Path, folder: Path, names: Sequence[str]) -> ImageFiles:
        """Image files whose messages know this remedy; names are relative to `folder`."""
        return ImageFiles(folder, names, self.remedy(root))
