"""How all figures look: small enough for a column of a paper, told apart without colors, too."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import matplotlib

# Okabe and Ito's palette for all kinds of color vision, without its yellow, which paper does not show.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
_MARKERS = "osD^vPX"
_DASHES = ("-", "--", "-.", ":")

# The same trainer or way looks the same in every figure.
_FIXED = {"independent": 0, "sequential": 1, "EWC": 2, "LwF": 3, "tangent": 5, "CMM": 6}

_SETTINGS: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 200,
    "text.parse_math": False,  # names may have dollar signs
    "svg.hashsalt": "cl_bench",  # without it, identifiers differ from one time to the next
    "pdf.fonttype": 42,
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The settings for drawing and saving, whatever the user's own are."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of names in other scripts
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def look(name: str, place: int) -> dict[str, Any]:
    """Color, marker and dashes of a line: of a known name always the same, else by its place among the lines."""
    known = [number for begin, number in _FIXED.items() if name == begin]
    number = known[0] if known else place
    return {
        "color": _COLORS[number % len(_COLORS)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "markerfacecolor": "white" if number % 2 else _COLORS[number % len(_COLORS)],
    }


REFERENCE: dict[str, Any] = {"color": "#666666", "linewidth": 0.9, "linestyle": (0, (1, 2))}
"""A line that is there to compare with."""
