"""Which λ the numbers of a record are of, where `merger.scaling` was a list.

The λ of a list is chosen on validation images, by the run itself. Without such images its record begins with the
numbers of the first λ, which nobody chose: these are in no table, comparison or figure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from cl_bench.reports.headline import headline_at
from cl_bench.reports.methods import method_of
from cl_bench.runtime.errors import UserError

Record = TypeVar("Record", bound=Mapping[str, Any])

HOW_TO_CHOOSE = (
    "scenario.validation_share=0.2 sets training images aside to choose λ by (and trains anew); "
    "merger.scaling=0.4, say, names one (and trains nothing)"
)
_AT_EACH = ("accuracy", "accuracy_after_task", "metrics", "matrix")
_MOST_METHODS = 4


def is_unchosen(result: Mapping[str, Any]) -> bool:
    """Whether the record's own numbers are of a λ that nobody chose; where nothing was merged, any λ would do."""
    scalings, given = result.get("scalings") or (), _given(result)
    several = len(scalings) > 1 or (isinstance(given, list) and len(given) > 1)
    return several and bool(result["training"]) and not any(one.get("chosen") for one in scalings)


def scaling_of(result: Mapping[str, Any]) -> float | None:
    """The λ of the record's own numbers; None where it has none, or where nobody chose it."""
    if is_unchosen(result) or not result["training"]:
        return None
    for one in result.get("scalings") or ():
        if one.get("chosen"):
            return one["scaling"]
    given = _given(result)
    return given[0] if isinstance(given, list) else given


def chosen_flag(results: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """What a cell says of the λ that its runs chose; nothing where they had one each."""
    values = {scaling_of(result) for result in results if result.get("scalings")} - {None}
    return (f"λ chosen on validation images: {', '.join(f'{value:g}' for value in sorted(values))}",) if values else ()


def at_each(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The record as runs with one λ would have left it: of a list that nobody chose from, a record for each λ."""
    if not is_unchosen(result):
        return [dict(result)]
    config, headline = result["config"], result["headline"]
    return [
        {
            **result,
            **{name: one.get(name, {}) for name in _AT_EACH},
            "headline": {**headline, "value": headline_at(one, result)},
            "config": {**config, "merger": {**config["merger"], "scaling": one["scaling"]}},
            "scalings": None,
        }
        for one in result.get("scalings") or ()
    ]


def chosen_only(results: Iterable[Record]) -> tuple[list[Record], str | None]:
    """The records whose numbers may be shown, and a line on those that are left out, if there are any."""
    results = list(results)
    unchosen = [result for result in results if is_unchosen(result)]
    return [result for result in results if not is_unchosen(result)], left_out(unchosen)


def all_chosen(results: Sequence[Record]) -> Sequence[Record]:
    """The same records, for readers that need each of them.

    Raises:
        UserError: Of some of them nobody chose the λ.
    """
    if line := chosen_only(results)[1]:
        raise UserError(line)
    return results


def left_out(unchosen: Sequence[Mapping[str, Any]]) -> str | None:
    """What is said of records that are left out: of which methods they are, and what their user can do."""
    if not unchosen:
        return None
    methods = list(dict.fromkeys(map(method_of, unchosen)))
    named = ", ".join(methods[:_MOST_METHODS]) + (", …" if len(methods) > _MOST_METHODS else "")
    runs = "1 run" if len(unchosen) == 1 else f"{len(unchosen)} runs"
    each = "python -m cl_bench.reports table FOLDER has a row for each λ"
    return f"Left out: {runs} with a list of λ of which none was chosen ({named}). {HOW_TO_CHOOSE}; {each}."


def _given(result: Mapping[str, Any]) -> Any:
    """`merger.scaling` as it was set, or the merger's own default."""
    return (result["config"].get("merger") or {}).get("scaling", result.get("scaling"))
