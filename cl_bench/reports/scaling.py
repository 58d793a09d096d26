"""Which λ the numbers of a record belong to, where `merger.scaling` was a list.

A run chooses the λ of a list by itself, on validation images. Without such images its record begins with the numbers of
the first λ, which nobody chose: these enter no table, comparison or figure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from cl_bench.reports.headline import headline_at
from cl_bench.reports.names import method_of
from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError

Record = TypeVar("Record", bound=Mapping[str, Any])

HOW_TO_CHOOSE = (
    "scenario.validation_share=0.2 sets training images aside to choose λ by (and trains anew); "
    "merger.scaling=0.4, say, names one (and trains nothing)"
)
_DIFFERS_WITH_SCALING = ("accuracy", "accuracy_after_task", "metrics", "matrix")
_MOST_METHODS = 4  # in a message


def is_unchosen(result: Mapping[str, Any]) -> bool:
    """Whether nobody chose the λ that the record's numbers belong to. Where nothing was merged, any λ would do."""
    scalings, setting = result.get("scalings") or (), _setting(result)
    several = len(scalings) > 1 or (isinstance(setting, list) and len(setting) > 1)
    return several and bool(result["training"]) and not any(one.get("chosen") for one in scalings)


def scaling_of(result: Mapping[str, Any]) -> float | None:
    """The λ of the record's numbers; None where it has none, or where nobody chose it."""
    if is_unchosen(result) or not result["training"]:
        return None
    chosen: list[float] = [one["scaling"] for one in result.get("scalings") or () if one.get("chosen")]
    if chosen:
        return chosen[0]
    setting = _setting(result)
    scaling: float | None = setting[0] if isinstance(setting, list) else setting
    return scaling


def chosen_flag(results: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The footnote of a cell whose runs chose their λ; nothing where each had but one."""
    values = {value for result in results if result.get("scalings") and (value := scaling_of(result)) is not None}
    return (f"λ chosen on validation images: {', '.join(f'{value:g}' for value in sorted(values))}",) if values else ()


def one_per_scaling(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Splits a record of a list that nobody chose from into one record for each λ, as runs with one λ leave them."""
    if not is_unchosen(result):
        return [dict(result)]
    config, headline = result["config"], result["headline"]
    return [
        {
            **result,
            **{name: one.get(name, {}) for name in _DIFFERS_WITH_SCALING},
            "headline": {**headline, "value": headline_at(one, result)},
            "config": {**config, "merger": {**config["merger"], "scaling": one["scaling"]}},
            "scalings": None,
        }
        for one in result.get("scalings") or ()
    ]


def chosen_only(results: Iterable[Record]) -> tuple[list[Record], str | None]:
    """Keeps the records whose numbers may be reported.

    Returns:
        These records, and a line about those that are left out, if there are any.
    """
    results = list(results)
    unchosen = [result for result in results if is_unchosen(result)]
    return [result for result in results if not is_unchosen(result)], left_out(unchosen)


def all_chosen(results: Sequence[Record]) -> Sequence[Record]:
    """Returns the same records, for readers that need each of them.

    Raises:
        UserError: Nobody chose the λ of some of them.
    """
    if line := chosen_only(results)[1]:
        raise UserError(line)
    return results


def left_out(unchosen: Sequence[Mapping[str, Any]]) -> str | None:
    """Says which methods are left out because nobody chose their λ, and what their user can do."""
    if not unchosen:
        return None
    methods = list(dict.fromkeys(map(method_of, unchosen)))
    named = ", ".join(methods[:_MOST_METHODS]) + (", …" if len(methods) > _MOST_METHODS else "")
    runs = "1 run" if len(unchosen) == 1 else f"{len(unchosen)} runs"
    rows = f"{typed('report')} table FOLDER has a row for each λ"
    return f"Left out: {runs} with a list of λ of which none was chosen ({named}). {HOW_TO_CHOOSE}; {rows}."


def _setting(result: Mapping[str, Any]) -> Any:
    """`merger.scaling` as the user set it, or the merger's own default."""
    return (result["config"].get("merger") or {}).get("scaling", result.get("scaling"))
