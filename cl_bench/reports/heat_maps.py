"""The accuracy matrices over time, as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from cl_bench.reports.grid import draw_grid, outline_learned
from cl_bench.reports.scaling import is_unchosen, scaling_of

_WIDEST = 15.3  # inches of a panel, however many tasks there are: a picture has less than 2^16 pixels

_KINDS = {"task_agnostic": "all classes", "task_aware": "the task's classes"}


def heat_maps(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes `matrix_merged.png` and, where there are such rows, `matrix_finetuned.png`.

    Each shows both matrices, or the one that is not left out: rows after each training task, columns the tasks that are
    evaluated. A stepped line parts the learned tasks, below it, from those that are answered zero-shot.
    """
    matrices = {"merged": result["matrix"], "finetuned": (result["finetuned"] or {}).get("matrix")}
    paths = []
    for name, matrix in matrices.items():
        if matrix is not None:
            paths.append(folder / f"matrix_{name}.png")
            of = of_scaling(result) if name == "merged" else ""
            _draw(matrix, f"{_title(result)}, {name}{of}", result).savefig(paths[-1], dpi=150)
    return paths


def _title(result: Mapping[str, Any]) -> str:
    choices = result["choices"]
    return " · ".join(str(choices[key]) for key in ("scenario", "trainer", "merger") if key in choices)


def of_scaling(result: Mapping[str, Any]) -> str:
    """Of which λ the picture is, where there were several."""
    if not (scalings := result["scalings"]) or not result["training"]:
        return ""
    if is_unchosen(result):
        return f", λ = {scalings[0]['scaling']:g}: the first of {len(scalings)}, not chosen"
    return f", λ = {scaling_of(result):g}: chosen on validation images"


def _draw(matrix: Mapping[str, Sequence], title: str, result: Mapping[str, Any]) -> Figure:
    kinds = [kind for kind in _KINDS if matrix[kind] is not None]
    rows, columns = np.shape(matrix[kinds[0]])
    cell = 0.55 if columns <= 10 else min(0.3, _WIDEST / max(columns, rows))
    width, height = len(kinds) * (cell * columns + 1.2) + 1, max(2.6, cell * rows + 1.6)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axis, kind in zip(axes, kinds, strict=True):
        image = _panel(axis, np.array(matrix[kind], dtype=float))
        axis.set_title(f"{kind.replace('_', '-')}: among {_KINDS[kind]}", fontsize=9)
        axis.set_xlabel("evaluated on task")
    axes[0].set_ylabel("after training task")
    figure.colorbar(image, ax=axes, label=f"accuracy on {result['split']} images (%)", shrink=0.9)
    figure.suptitle(title, fontsize=10)
    return figure


def _panel(axis: Axes, values: np.ndarray) -> AxesImage:
    rows, columns = values.shape
    image = draw_grid(axis, values, (0.0, 100.0), digits=0, rows_from=0, first_row="zero-shot", size=8)
    joint = rows != columns + 1
    outline_learned(axis, [0, *(columns if joint else row for row in range(1, rows))])
    return image
