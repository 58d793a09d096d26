"""The papers' tables: which scenarios they are about, and what their numbers mean."""

from dataclasses import dataclass

_ACCURACY = "after the last task, in percent of the test images"
_FORGETTING = "how far tasks but the last fell from their best accuracy (max minus last), in points"


@dataclass(frozen=True)
class Layout:
    """One of the papers' tables; its miniature is laid out alike.

    Attributes:
        name: As in `python -m cl_bench.reports table NAME`; its sweep is called `table_NAME`.
        kinds: Classes of `cl_bench.scenarios` whose runs belong here.
        captions: What the numbers are, by metric: `accuracy` and `forgetting`.
        columns_are_datasets: Columns are the data sets of one scenario and their mean, not scenarios.
        has_published_rows: Methods that others published have a row, also where nobody ran them here.
    """

    name: str
    kinds: frozenset[str]
    captions: dict[str, str]
    columns_are_datasets: bool = False
    has_published_rows: bool = True


LAYOUTS = (
    Layout(
        "cil",
        frozenset({"ClassIncremental"}),
        {
            "accuracy": f"Class-incremental learning: task-agnostic accuracy (among all classes) {_ACCURACY}",
            "forgetting": f"Class-incremental learning: {_FORGETTING}, task-agnostic",
        },
    ),
    Layout(
        "dil",
        frozenset({"DomainIncremental"}),
        {
            "accuracy": f"Domain-incremental learning: accuracy {_ACCURACY}, all domains together",
            "forgetting": f"Domain-incremental learning: {_FORGETTING}",
        },
    ),
    Layout(
        "8ds",
        frozenset({"SeveralDatasets"}),
        {
            "accuracy": f"Data sets one after another: accuracy among each data set's own classes {_ACCURACY}",
            "forgetting": f"Data sets one after another: {_FORGETTING}, among each data set's own classes",
        },
        columns_are_datasets=True,
    ),
    Layout(
        "ablation",
        frozenset({"ClassIncremental", "DomainIncremental", "SeveralDatasets"}),
        {
            "accuracy": f"Parts of the methods: task-agnostic accuracy {_ACCURACY}; "
            "where every task is a data set, the mean over data sets of the accuracy among their own classes",
            "forgetting": f"Parts of the methods: {_FORGETTING}, of the same accuracy",
        },
        has_published_rows=False,
    ),
)
