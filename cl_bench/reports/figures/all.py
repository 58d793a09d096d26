"""All figures that the records and analyses of a folder allow."""

import contextlib
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from cl_bench.reports.figures import (
    accuracy_over_scaling,
    accuracy_over_time,
    cosine_similarity,
    feature_mismatch,
    interpolation,
    merge_cost,
    pruning,
    retention,
    sign_conflicts,
    task_shares,
    tsne,
)
from cl_bench.reports.figures.drawing import save
from cl_bench.reports.figures.records import Records
from cl_bench.reports.figures.style import style
from cl_bench.reports.scaling import chosen_only
from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError, shortened

_FIGURES = (
    accuracy_over_time,
    accuracy_over_scaling,
    retention,
    sign_conflicts,
    pruning,
    task_shares,
    cosine_similarity,
    merge_cost,
    interpolation,
    feature_mismatch,
    tsne,
)


def write(folder: Path, out: Path) -> list[str]:
    """Writes every figure that the records below `folder` allow, and says what the others need.

    Returns:
        The names of the figures.

    Raises:
        UserError: There is no record, or one is damaged.
    """
    records, names = Records.below(folder), []
    if records.left_out:
        print(records.left_out)
    if line := chosen_only(records.results)[1]:
        print(f"accuracy_over_time: {line}")
    files = _file_names(records.scenarios)
    for figure in _FIGURES:
        kind, drawn = figure.__name__.rpartition(".")[2], []
        with style(), _damage_reported(kind, records):
            for drawing in figure.drawings(records):
                save(drawing.figure, drawing.caption, out / f"{kind}_{files[drawing.scenario]}")
                drawn.append(drawing.scenario)
        names += [f"{kind}_{files[scenario]}" for scenario in drawn]
        if drawn:
            print(f"{kind}: {', '.join(drawn)}")
        if missing := [scenario for scenario in records.scenarios if scenario not in drawn]:
            analyze = f": {typed('analyze')} {shlex.quote(str(folder))}" * figure.NEEDS.startswith("the analysis")
            print(f"{kind}: not for {', '.join(missing)}, which needs {figure.NEEDS}{analyze}")
    return names


def _file_names(scenarios: Sequence[str]) -> dict[str, str]:
    """Makes file names of the scenarios' names, whatever signs these have, so that no figure replaces another."""
    names = {scenario: re.sub(r"[^\w.-]+", "_", scenario).removesuffix("_") for scenario in scenarios}
    counts = Counter(name.casefold() for name in names.values())
    return {
        scenario: name if counts[name.casefold()] == 1 else f"{name}_{sha256(scenario.encode()).hexdigest()[:8]}"
        for scenario, name in names.items()
    }


@contextlib.contextmanager
def _damage_reported(kind: str, records: Records) -> Iterator[None]:
    """Names the files of an analysis from whose numbers no figure can be drawn."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        files = [analysis["path"] for analysis in records.analyses if analysis["analysis"] == kind]
        if not files or isinstance(error, UserError):
            raise
        raise UserError(
            f"One of these is damaged ({type(error).__name__}: {error}): {shortened(files)}. Delete it and run "
            f"{typed('analyze')} {shlex.quote(str(Path(files[0]).parents[1]))}"
        ) from error
