"""The accuracy matrices of one run, as the pictures that lie beside its record."""

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from cl_bench.reports.figures.grid import draw_grid, outline_learned
from cl_bench.reports.scaling import is_unchosen, scaling_of
from cl_bench.reports.task_names import task_names

_WIDEST = 15.3  # inches of a panel, however many tasks there are: a picture has less than 2^16 pixels
_LETTER, _LINE = 0.085, 0.17  # inches that a title takes: a letter's width on average, a line's height

_SAME = "task-agnostic and task-aware alike: among all classes"
_KINDS = {"task_agnostic": "all classes", "task_aware": "the task's classes"}


def heat_maps(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes `matrix_merged.png` and, where there are such rows, `matrix_finetuned.png`.

    Each shows both matrices, or one where the other is left out or is the same (every domain has all classes). Rows
    stand for the training tasks, columns for the tasks that are evaluated; domains and data sets go by their names.
    Below the stepped line are tasks that were learned, above it those answered zero-shot.

    Returns:
        The files.
    """
    matrices = {"merged": result["matrix"], "finetuned": (result["finetuned"] or {}).get("matrix")}
    paths = []
    for name, matrix in matrices.items():
        if matrix is not None:
            paths.append(folder / f"matrix_{name}.png")
            scaling = scaling_in_words(result) if name == "merged" else ""
            with rc_context({"text.parse_math": False}), warnings.catch_warnings():  # names may contain dollar signs
                warnings.filterwarnings("ignore", "Glyph .* missing from font")  # for which it draws boxes
                draw(matrix, f"{_title(result)}, {name}{scaling}", result).savefig(paths[-1], dpi=150)
    return paths


def _title(result: Mapping[str, Any]) -> str:
    choices = result["choices"]
    return " · ".join(
        [result["scenario"]["name"], *(str(choices[key]) for key in ("trainer", "merger") if key in choices)]
    )


def scaling_in_words(result: Mapping[str, Any]) -> str:
    """Says for the title which λ the picture shows, where there were several."""
    if not (scalings := result["scalings"]) or not result["training"]:
        return ""
    if is_unchosen(result):
        return f", λ = {scalings[0]['scaling']:g}: the first of {len(scalings)}, not chosen"
    return f", λ = {scaling_of(result):g}: chosen on validation images"


def draw(matrix: Mapping[str, Any], title: str, result: Mapping[str, Any]) -> Figure:
    """Draws one picture.

    Args:
        matrix: Accuracies in percent, (rows, tasks) for each kind; None for a kind that is left out.
        title: What stands above.
        result: The record, for the names of tasks and the split.
    """
    kinds = [kind for kind in _KINDS if matrix[kind] is not None]
    same = len(kinds) == 2 and matrix[kinds[0]] == matrix[kinds[1]]
    kinds = kinds[:1] if same else kinds
    names = task_names(result["scenario"], [task["name"] for task in result["tasks"]])
    beside = 0.1 * max(map(len, names)) if names else 0.0  # inches
    rows, columns = np.shape(matrix[kinds[0]])
    cell = 0.55 if columns <= 10 else min(0.3, _WIDEST / max(columns, rows))
    panel = cell * columns + 1.2
    width, height = len(kinds) * panel + 1 + beside, max(2.6, cell * rows + 1.6) + beside
    title = textwrap.fill(title, int(width / _LETTER))
    figure = Figure(figsize=(width, height + _LINE * title.count("\n")), layout="constrained")
    axes = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axis, kind in zip(axes, kinds, strict=True):
        image = _panel(axis, np.array(matrix[kind], dtype=float), names)
        among = _SAME if same else f"{kind.replace('_', '-')}: among {_KINDS[kind]}"
        axis.set_title(textwrap.fill(among, int(panel / _LETTER)), fontsize=9)
        axis.set_xlabel("evaluated on task")
    axes[0].set_ylabel("after training task")
    figure.colorbar(image, ax=axes, label=f"accuracy on {result['split']} images (%)", shrink=0.9)
    figure.suptitle(title, fontsize=10)
    return figure


def _panel(axis: Axes, values: NDArray[np.float64], names: Sequence[str] | None) -> AxesImage:
    rows, columns = values.shape
    image = draw_grid(axis, values, (0.0, 100.0), digits=0, rows_from=0, first_row="zero-shot", names=names, size=8)
    joint = rows != columns + 1
    outline_learned(axis, [0, *(columns if joint else row for row in range(1, rows))])
    return image
