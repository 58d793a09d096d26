"""References to models that others made: where their files are, and what was in them."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from cl_bench.runtime.errors import Missing, UserError
from cl_bench.store.file_hashes import hashes
from cl_bench.store.layouts.files import files_of


class ReferredFile(BaseModel):
    """A file of a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str  # absolute
    bytes: NonNegativeInt
    sha256: str


class Reference(BaseModel):
    """A model in files that are not the store's.

    Attributes:
        path: Of the file or folder that the model is read from; absolute.
        files: All files whose content makes the model, in a fixed order.
        layout: In words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    files: Annotated[tuple[ReferredFile, ...], Field(min_length=1)]
    layout: str

    @property
    def content(self) -> list[str]:
        """Plain data that differ whenever the model's files do, wherever they are."""
        return [file.sha256 for file in self.files]


def look_at(path: Path, kept_in: Path) -> tuple[ReferredFile, ...]:
    """Finds the files of a model and their SHA-256.

    Args:
        path: As ``layouts.read_like`` takes it.
        kept_in: Folder that keeps the SHA-256 of files, see ``file_hashes``.

    Raises:
        UserError: A file is missing or cannot be read; names it.
    """
    files = [file.absolute() for file in files_of(path)]
    return tuple(
        ReferredFile(path=str(file), bytes=file.stat().st_size, sha256=_sha256(file, kept_in)) for file in files
    )


def damage(reference: Reference, kept_in: Path) -> str | None:
    """What has happened to a model since it was referred to; None if nothing has."""
    for known in reference.files:
        path = Path(known.path)
        try:
            found = _sha256(path, kept_in)
        except UserError as error:
            return str(error)
        if found != known.sha256:
            return f"{path} has changed since it was imported"
    return None


def _sha256(file: Path, kept_in: Path) -> str:
    return hashes(file.parent, [file.name], kept_in, lambda path, problem: Missing(f"{path} {problem}"))[0]
