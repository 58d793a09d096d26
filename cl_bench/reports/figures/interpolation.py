"""Accuracy and loss on the way from the first task's model to the last one's."""

from collections.abc import Iterator

import numpy as np

from cl_bench.reports.figures.drawing import Drawing, columns, set_title
from cl_bench.reports.figures.records import Analysis, Records
from cl_bench.reports.figures.style import look
from cl_bench.reports.names import in_order, trainer_label

NEEDS = "the analysis interpolation"
_PATHS = {"linear": "linear", "fisher": "Fisher-weighted"}


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: a row per trainer, accuracy beside loss; means over both tasks."""
    for scenario, analyses in records.analyses_of("interpolation").items():
        by_name = {trainer_label(analysis["source"]): analysis for analysis in analyses}
        order = sorted(in_order(by_name), key=lambda name: _is_tangent(by_name[name]))
        figure, rows = columns(2, len(order), 2.6, 1.5, sharex=True, sharey="col")
        for (accuracy, loss), name in zip(rows, order, strict=True):
            analysis = by_name[name]
            for number, (path, label) in enumerate(_PATHS.items()):
                if path in analysis["accuracy"]:
                    for axis, quantity in ((accuracy, "accuracy"), (loss, "loss")):
                        means = np.mean(np.array(analysis[quantity][path], dtype=float), axis=1)
                        axis.plot(analysis["share"], means, label=label, **look(number))
            begin, end = analysis["task"]
            accuracy.set(ylabel="accuracy (%)", title=_title(name, analysis))
            loss.set(ylabel="loss (nats)", xticks=[0, 0.5, 1])
            loss.set_xticklabels([f"task {begin}'s\nweights", "half way", f"task {end}'s\nweights"])
        legend = max((accuracy for accuracy, _ in rows), key=lambda axis: len(axis.lines))
        figure.legend(*legend.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        set_title(figure, scenario)
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: accuracy (left) and cross-entropy (right) on the test images of the first and the last task, "
            "each among its own classes, mean of both, along the path from the first task's weights to the last one's.",
        )


def _title(name: str, analysis: Analysis) -> str:
    if name.startswith("tangent"):
        return name
    return f"{name} ({'in the tangent space' if _is_tangent(analysis) else 'plain'})"


def _is_tangent(analysis: Analysis) -> bool:
    trainer = analysis["source"]["choices"]["trainer"]
    return bool(trainer == "tangent" or (trainer == "cmm" and analysis["source"]["trainer"].get("tangent", True)))
