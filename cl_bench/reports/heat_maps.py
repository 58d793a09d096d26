"""The accuracy matrices over time, as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

_KINDS = {"task_agnostic": "all classes", "task_aware": "the task's classes"}


def heat_maps(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes `matrix_merged.png` and, where there are such rows, `matrix_finetuned.png`.

    Each shows both matrices: rows after each training task, columns the tasks that are evaluated. Learned tasks are
    framed; the others are answered zero-shot.
    """
    matrices = {"merged": result["matrix"], "finetuned": (result["finetuned"] or {}).get("matrix")}
    paths = []
    for name, matrix in matrices.items():
        if matrix is not None:
            paths.append(folder / f"matrix_{name}.png")
            _draw(matrix, f"{_title(result)}, {name}", result).savefig(paths[-1], dpi=150)
    return paths


def _title(result: Mapping[str, Any]) -> str:
    choices = result["choices"]
    return " · ".join(str(choices[key]) for key in ("scenario", "trainer", "merger") if key in choices)


def _draw(matrix: Mapping[str, Sequence], title: str, result: Mapping[str, Any]) -> Figure:
    rows, columns = np.shape(matrix["task_agnostic"])
    cell = 0.55 if columns <= 10 else 0.3
    figure = Figure(figsize=(2 * (cell * columns + 1.2) + 1, max(2.6, cell * rows + 1.6)), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (kind, among) in zip(axes, _KINDS.items(), strict=True):
        image = _panel(axis, np.array(matrix[kind], dtype=float), joint=rows != columns + 1)
        axis.set_title(f"{kind.replace('_', '-')}: among {among}", fontsize=9)
        axis.set_xlabel("evaluated on task")
    axes[0].set_ylabel("after training task")
    figure.colorbar(image, ax=axes, label=f"accuracy on {result['split']} images (%)", shrink=0.9)
    figure.suptitle(title, fontsize=10)
    return figure


def _panel(axis: Axes, values: np.ndarray, joint: bool) -> matplotlib.image.AxesImage:
    rows, columns = values.shape
    image = axis.imshow(values, cmap="viridis", vmin=0, vmax=100, aspect="equal")
    step = 1 if columns <= 20 else 5
    axis.set_xticks(range(0, columns, step), [str(i + 1) for i in range(0, columns, step)], fontsize=8)
    axis.set_yticks(range(0, rows, step), ["zero-shot", *map(str, range(1, rows))][::step], fontsize=8)
    for (row, column), value in np.ndenumerate(values):
        if columns <= 10 and np.isfinite(value):
            color = "black" if value > 60 else "white"
            axis.text(column, row, f"{value:.0f}", ha="center", va="center", color=color, fontsize=8)
        if row > 0 and (column < row or joint):
            axis.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor="white", lw=0.8))
    return image
