"""Figures that the page carries along; another command drew them."""

import base64
import shlex
from dataclasses import dataclass
from pathlib import Path

from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        name: The name of its file.
        caption: One sentence; it is also read out to those who do not see the figure.
        source: The SVG as a data URI: in an image no script runs, and names do not mix with those of other images.
    """

    name: str
    caption: str
    source: str


def pictures(folder: Path) -> list[Picture]:
    """Reads all `*.svg` of a folder, by name. The caption lies in `<name>.txt`; without that file it is the name.

    Raises:
        UserError: There is none.
    """
    files = sorted(folder.glob("*.svg"))
    if not files:
        draw = f"{typed('report')} figures RUNS {shlex.quote(str(folder))}"
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
