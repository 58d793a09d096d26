"""A merger's weights of tasks.

Rules know no names. So settings that name tasks become lists in the order of the tasks.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, FiniteFloat

from cl_bench.mergers.engine.task_weights import TaskWeights
from cl_bench.runtime.errors import UserError, shortened
from cl_bench.runtime.instantiate import hints, located, validated
from cl_bench.runtime.keys import typed_key
from cl_bench.runtime.spelling import nearest_first

_ByName = Annotated[dict[str | int, FiniteFloat], Field(min_length=1)]


def in_order(node: Any, tasks: Sequence[str] | None, where: str = "merger") -> Any:
    """A merger's settings, in which weights are lists with a place for each task, also those of a rule inside.

    Args:
        node: The settings, or any part of them; what is no merger with weights stays as it is.
        tasks: Names of the tasks, in order; None where they are not known yet: weights by name are then left for later.
        where: Place of the node in the configuration, for messages.

    Raises:
        UserError: A name is that of no task, a list has another length, or a weight is no finite number.
    """
    if isinstance(node, list):
        return [in_order(item, tasks, f"{where}.{place}") for place, item in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    inside = {key: in_order(value, tasks, f"{where}.{key}") for key, value in node.items()}
    if node.get("weights") is not None and _takes_weights(node, where):
        inside["weights"] = _listed(node["weights"], tasks, f"{where}.weights")
    return inside


def _takes_weights(node: Mapping[str, Any], where: str) -> bool:
    return "_target_" in node and hints(located(node, where)).get("weights") == TaskWeights


def _listed(weights: Any, tasks: Sequence[str] | None, where: str) -> list[float] | None:
    _refuse_true_and_false(weights, where)
    if isinstance(weights, Mapping):
        valid: dict[str | int, float] = validated(weights, _ByName, where)
        named = {str(name): weight for name, weight in valid.items()}
        if tasks is None:
            return None
        if unknown := [name for name in named if name not in tasks]:
            known = nearest_first(unknown[0], dict.fromkeys(tasks))
            no_task = "which is no task" if len(unknown) == 1 else "which are no tasks"
            raise UserError(
                f"{where} names {_quoted(unknown)}, {no_task} here; the tasks are: {_quoted(known) or 'none'}."
                f"{_by_name(where, known)}"
            )
        return [named.get(task, 1.0) for task in tasks]
    listed: list[float] = validated(weights, list[FiniteFloat], where)
    if tasks is not None and len(listed) != len(tasks):
        raise UserError(
            f"{where} lists {len(listed)} weights, but there are {len(tasks)} tasks: {_quoted(tasks)}. Give each one "
            f"in this order.{_by_name(where, tasks)}"
        )
    return listed


def _quoted(names: Iterable[str]) -> str:
    """Up to ten names, of which each may have commas."""
    return shortened(map(repr, names))


def _by_name(where: str, tasks: Iterable[str]) -> str:
    """How weights by name are typed, with the first name that can be typed; nothing where none can be."""
    name = next(filter(None, map(typed_key, tasks)), None)
    return "" if name is None else f" By name, with 1 for the others: {shlex.quote(f'{where}={{{name}: 0.3}}')}"


def _refuse_true_and_false(weights: Any, where: str) -> None:
    """Python and pydantic take them for 1 and 0."""
    values = weights.values() if isinstance(weights, Mapping) else weights if isinstance(weights, Sequence) else ()
    if any(isinstance(value, bool) for value in values):
        raise UserError(f"{where}={weights!r} does not fit: input should be numbers, not true or false.")
