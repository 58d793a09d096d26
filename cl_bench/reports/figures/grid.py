"""A matrix as a picture."""

from collections.abc import Sequence

import numpy as np
from matplotlib import font_manager, ft2font
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray

_COLORS = "cividis"  # even in gray and for all kinds of color vision
_MOST_WITH_NUMBERS = {0: 10, 2: 6}  # columns, by digits behind the point


def draw_grid(
    axis: Axes,
    values: NDArray[np.float64],
    limits: tuple[float, float],
    digits: int,
    rows_from: int,
    first_row: str | None = None,
    names: Sequence[str] | None = None,
    size: float = 6.5,
) -> AxesImage:
    """Draws a cell for each value, with its number where there are not too many.

    Args:
        axis: Where to draw.
        values: (rows, columns); NaN stays empty.
        limits: The values at both ends of the colors.
        digits: Behind the point of the numbers: 0 or 2.
        rows_from: Number of the first row; columns count from 1.
        first_row: What stands in place of the first row's number.
        names: The tasks' names, for both axes; None: tasks go by their numbers.
        size: Of the numbers, in points; a little less where there are many.
    """
    rows, columns = values.shape
    image = axis.imshow(values, cmap=_COLORS, vmin=limits[0], vmax=limits[1], aspect="auto")
    axis.grid(False)
    _label_tasks(axis, rows, columns, rows_from, first_row, names)
    for (row, column), value in np.ndenumerate(values if columns <= _MOST_WITH_NUMBERS[digits] else values[:0]):
        if np.isfinite(value):
            ink = "black" if value > limits[0] + 0.55 * (limits[1] - limits[0]) else "white"
            text = f"{round(value, digits) + 0.0:.{digits}f}"  # no minus before a zero
            axis.text(
                column, row, text, ha="center", va="center", color=ink, fontsize=size if columns <= 6 else size - 1
            )
    return image


def _label_tasks(
    axis: Axes, rows: int, columns: int, rows_from: int, first_row: str | None, names: Sequence[str] | None
) -> None:
    if names is not None:
        names = [name if _can_be_drawn(name) else str(i) for i, name in enumerate(names, start=1)]
        axis.set_xticks(range(columns), names, rotation=90 if columns > 1 else 0)
        beside = [first_row, *names] if first_row else names
        axis.set_yticks(range(rows), beside if len(beside) == rows else [*beside[:1], "all tasks at once"][:rows])
        return
    step = 1 if columns <= 10 else 5 if columns <= 25 else 10
    named = [i for i in range(columns) if (i + 1) % step == 0]
    axis.set_xticks(named, [str(i + 1) for i in named])
    named = [i for i in range(rows) if (i + rows_from) % step == 0 or (i == 0 and first_row)]
    axis.set_yticks(named, [first_row if i == 0 and first_row else str(i + rows_from) for i in named])


def _can_be_drawn(name: str) -> bool:
    """Whether the font has all letters of a name; it would draw a box for any that it lacks."""
    font = ft2font.FT2Font(font_manager.findfont(font_manager.FontProperties()))
    return all(font.get_char_index(ord(letter)) for letter in name)


def outline_learned(axis: Axes, learned: Sequence[int]) -> None:
    """Draws a stepped line around what was learned: the first `learned[i]` columns of row i, and nothing of row 0."""
    if len(learned) == 1:
        return
    corners = [(-0.5, 0.5)]
    for row, count in enumerate(learned[1:], start=1):
        corners += [(count - 0.5, row - 0.5), (count - 0.5, row + 0.5)]
    across, down = zip(*corners[:-1], strict=True)
    width = 1.4 if len(learned) <= 25 else 0.7
    (line,) = axis.plot(across, down, color="white", linewidth=width, marker="", clip_on=False)
    line.set(solid_joinstyle="miter", solid_capstyle="butt")
    line.set_path_effects([Stroke(linewidth=width + 1, foreground="black"), Normal()])
