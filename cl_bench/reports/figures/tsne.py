"""The features of one class's images, for several models, in two dimensions."""

from collections.abc import Iterator

import numpy as np

from cl_bench.reports.figures.drawing import Drawing, panels, set_title
from cl_bench.reports.figures.records import Records
from cl_bench.reports.figures.style import look
from cl_bench.reports.names import in_order, method_label

NEEDS = "the analysis tsne"


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: a panel per method, a color and marker per model."""
    for scenario, analyses in records.analyses_of("tsne").items():
        by_name = {method_label(analysis["source"]): analysis for analysis in analyses}
        figure, axes = panels(len(by_name), 2.1, 2.1)
        for axis, name in zip(axes, in_order(by_name), strict=True):
            for number, (model, points) in enumerate(by_name[name]["points"].items()):
                across, up = np.array(points, dtype=float).T
                line = {**look(number), "linestyle": "none", "markersize": 3, "markeredgewidth": 0.6}
                axis.plot(across, up, label=model, alpha=0.75, **line)
            axis.set(title=name, xlabel="t-SNE 1", ylabel="t-SNE 2")
            axis.tick_params(labelbottom=False, labelleft=False, length=0)
            axis.grid(False)
        ncols = 4 if len(axes) > 1 else 2
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=ncols, handletextpad=0.1)
        set_title(figure, scenario)
        of_class = f"{analyses[0]['images']} test images of one class of the first task ({analyses[0]['class']})"
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: t-SNE of the normalized features of {of_class}, for the pre-trained model, after the first "
            "and the last task, and for the merged model.",
        )
