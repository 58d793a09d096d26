"""Figures that were drawn before, for the page to carry along."""

import base64
import shlex
from dataclasses import dataclass
from pathlib import Path

from cl_bench.runtime.errors import UserError


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        name: Of its file.
        caption: One sentence; also what is read out where the figure is not seen.
        source: The SVG as a data URI: as an image its scripts do not run, and its names do not mix with others'.
    """

    name: str
    caption: str
    source: str


def pictures(folder: Path) -> list[Picture]:
    """All `*.svg` of a folder by name; the caption is in `<name>.txt`, or else the name is all there is.

    Raises:
        UserError: There is none.
    """
    files = sorted(folder.glob("*.svg"))
    if not files:
        draw = f"python -m cl_bench.reports figures RUNS {shlex.quote(str(folder))}"
        raise UserError(f"There is no *.svg in {folder}; draw them: {draw}\nor leave --figures away.")
    return [
        Picture(
            name=file.stem,
            caption=_caption(file.with_suffix(".txt")),
            source="data:image/svg+xml;base64," + base64.b64encode(file.read_bytes()).decode(),
        )
        for file in files
    ]


def _caption(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip() if file.is_file() else file.stem.replace("_", " ")
