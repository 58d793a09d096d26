"""How all figures look: small enough for a column of a paper, and readable without colors."""

import contextlib
import itertools
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib

# Okabe and Ito's palette for all kinds of color vision, without its yellow, which paper does not show.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
_MARKERS = "osD^vPX"
_DASHES = ("-", "--", "-.", ":")

# These trainers look the same in every figure.
_FIXED = {"independent": 0, "sequential": 1, "EWC": 2, "LwF": 3, "tangent": 5, "CMM": 6}

_SETTINGS: Any = {  # matplotlib types its names, of which these are a few
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
    """Sets how figures are drawn and saved, whatever the user's own settings are."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of names in other scripts
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Gives each line of a figure its look: a fixed one, or the first that is free from its place on."""
    numbers = {name: _FIXED[name] for name in names if name in _FIXED}
    for place, name in enumerate(names):
        if name not in numbers:
            numbers[name] = next(number for number in itertools.count(place) if number not in numbers.values())
    return {name: look(numbers[name]) for name in names}


def look(number: int) -> dict[str, Any]:
    """Color, marker and dashes of a line."""
    return {
        "color": _COLORS[number % len(_COLORS)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "markerfacecolor": "white" if number % 2 else _COLORS[number % len(_COLORS)],
    }


REFERENCE: dict[str, Any] = {"color": "#666666", "linewidth": 0.9, "linestyle": (0, (1, 2))}
"""The look of a line that others are compared with."""
