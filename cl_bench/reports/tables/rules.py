"""Notes on runs of CMM and EWC that followed another rule than the papers': that of the code released for domains."""

from collections.abc import Iterator, Sequence

from cl_bench.reports.runs import RecordedRun

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


def rules(runs: Sequence[RecordedRun]) -> Iterator[str]:
    """Yields the notes for a table of these runs; a row that says so by its name needs none."""
    for (group, setting, value), text in _RELEASED_FOR_DOMAINS:
        found = [
            run
            for run in runs
            if run.result["config"].get(group, {}).get(setting) == value
            and not run.method.endswith(f"without_{setting}")
        ]
        if found:
            methods = ", ".join(dict.fromkeys(run.name for run in found))
            scenarios = ", ".join(dict.fromkeys(run.scenario for run in found))
            yield f"{methods} on {scenarios}: {text}."
