"""What all figures share: a drawing, its panels, and how it is written."""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cl_bench.store import atomic

_LETTER = 0.085  # inches, on average, in a title
_SMALL_LETTER = 0.055  # inches, on average, beside an axis
_METADATA = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}


class Drawing(NamedTuple):
    """One figure.

    Attributes:
        scenario: The name of its scenario.
        figure: What was drawn.
        caption: One sentence; it is also the text for those who cannot see the figure.
    """

    scenario: str
    figure: Figure
    caption: str


def save(figure: Figure, caption: str, path: Path) -> None:
    """Writes `<path>.svg`, `.pdf`, `.png` and the caption as `.txt`; the same figure gives the same bytes."""
    for kind, metadata in _METADATA.items():
        content = io.BytesIO()
        titled = {**metadata, "Title": path.name} | ({"Description": caption} if kind == "svg" else {})
        figure.savefig(content, format=kind, metadata=titled)
        atomic.write_bytes(_with_ending(path, kind), content.getvalue())
    atomic.write_text(_with_ending(path, "txt"), caption + "\n")


def _with_ending(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


def columns(count: int, rows: int, width: float, height: float, **options: Any) -> tuple[Figure, list[list[Axes]]]:
    """Makes a figure of panels of this size in inches, and its axes row by row."""
    figure = Figure(figsize=(width * count + 0.5, height * rows + 0.3))
    return figure, figure.subplots(rows, count, squeeze=False, **options).tolist()


def panels(count: int, width: float, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """Makes a figure of panels of this size in inches, up to three in a row, and its axes."""
    across = min(3, count)
    figure, rows = columns(across, -(-count // across), width, height, **options)
    axes = [axis for row in rows for axis in row]
    for spare in axes[count:]:
        spare.set_axis_off()
    return figure, axes[:count]


def set_title(figure: Figure, title: str) -> None:
    """Writes a title above all panels, in as many lines as it needs."""
    figure.suptitle(textwrap.fill(title, int(figure.get_figwidth() / _LETTER)))


def inches_for(names: Sequence[str] | None) -> float:
    """The room that names of tasks take beside and below a panel."""
    return _SMALL_LETTER * max(map(len, names)) if names else 0.0


def number_tasks(axis: Axes, first: int, last: int) -> None:
    """Puts whole numbers on the horizontal axis."""
    axis.set_xlim(first - 0.5, last + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def marker_every(count: int) -> int:
    """Says at every which point a line has a marker, so that it still looks like a line."""
    return max(1, count // 12)
