"""Memory and seconds of merging against the number of tasks."""

from collections.abc import Iterator

from cl_bench.reports.figures.drawing import Drawing, columns, number_tasks, set_title
from cl_bench.reports.figures.records import Records
from cl_bench.reports.figures.style import REFERENCE, look

NEEDS = "the analysis merge_cost"
_WAYS = {"running": "task by task", "kept": "all weights kept"}


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: memory and seconds, a line per way, from one run."""
    for scenario, (analysis, *_) in records.analyses_of("merge_cost").items():
        figure, ((memory, seconds),) = columns(2, 1, 2.9, 2.3)
        for number, (way, name) in enumerate(_WAYS.items()):
            for axis, quantity in ((memory, "memory"), (seconds, "seconds")):
                values = [float("nan") if value is None else value for value in analysis[way][quantity]]
                axis.plot(analysis["tasks"], values, label=name, **look(number))
        memory.axhline(analysis["weights"], label="one model's weights", **REFERENCE)
        memory.set(xlabel="number of tasks", ylabel="peak of allocated memory (MiB)")
        seconds.set(xlabel="number of tasks", ylabel="time of the whole merge (s)")
        for axis in (memory, seconds):
            axis.set_ylim(bottom=0)
            number_tasks(axis, 1, analysis["tasks"][-1])
        memory.legend()
        set_title(figure, f"{scenario}: MagMax")
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: peak memory (left) and seconds (right) of merging by MagMax against the number of tasks, "
            "task by task in a running state, and with all tasks' weights kept until the end.",
        )
