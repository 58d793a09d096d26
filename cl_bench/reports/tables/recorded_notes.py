"""Notes that records carry, such as on test images that an expert may have been trained on, for the tables of them."""

from collections.abc import Iterator, Sequence

from cl_bench.reports.runs import RecordedRun


def recorded_notes(runs: Sequence[RecordedRun]) -> Iterator[str]:
    """Yields each note once, with the scenarios that it is about; records of earlier versions have none."""
    scenarios: dict[str, dict[str, None]] = {}
    for run in runs:
        for note in run.result.get("notes") or ():
            scenarios.setdefault(note, {})[run.scenario] = None
    for note, names in scenarios.items():
        yield f"{', '.join(names)}: {note}"
