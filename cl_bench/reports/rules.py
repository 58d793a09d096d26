"""Which rule runs of CMM and EWC followed, where the released code for domains has another one than the papers."""

from collections.abc import Iterator, Sequence

from cl_bench.reports.methods import readable
from cl_bench.reports.runs import Run

_RELEASED_FOR_DOMAINS = (
    (
        ("merger", "second_moments", False),
        "models are averaged without second moments, as in the code released for domains; "
        "the paper's rule is merger.second_moments=true",
    ),
    (
        ("trainer", "fisher_outputs", "features"),
        "the Fisher information is that of the encoder's features, as in the code released for domains; "
        "the paper's rule is trainer.fisher_outputs=classes",
    ),
)


def rules(runs: Sequence[Run]) -> Iterator[str]:
    """What has to stand below a table of these runs; a row that says so by its name needs no note."""
    for (group, setting, value), text in _RELEASED_FOR_DOMAINS:
        found = [
            run
            for run in runs
            if run.result["config"].get(group, {}).get(setting) == value
            and not run.method.endswith(f"without_{setting}")
        ]
        if found:
            methods = ", ".join(dict.fromkeys(readable(run.method) for run in found))
            scenarios = ", ".join(dict.fromkeys(run.scenario for run in found))
            yield f"{methods} on {scenarios}: {text}."
