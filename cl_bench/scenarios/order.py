"""The order in which classes, domains or data sets arrive."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import yaml
from pydantic import StrictInt

from cl_bench.runtime.errors import UserError

log = logging.getLogger(__name__)

Item: TypeAlias = bool | int | float | str | None
Order: TypeAlias = list[Item] | StrictInt | str | None
"""None: the data set's own order. An integer: a random order from this seed. `published`: the publications' order for
this data set. `published_42`: the order of seed 42 in which others merged ready checkpoints of 8, 14 or 20 data sets. A
list: of names or, if not all its items are names, of numbers from 0. Any other text: the path of a YAML or JSON file
that holds such a list."""

PUBLISHED = Path(__file__).with_name("orders.yaml")


def resolve(order: Order, names: Sequence[str], dataset: str, kind: str, some: bool = False) -> list[int]:
    """Turns a setting into a permutation of 0 to len(names) - 1.

    The names of classes may be numbers. A list whose items are all names is therefore one of names.

    Args:
        order: The setting.
        names: The names of what is ordered, by number.
        dataset: The data set's name among the published orders.
        kind: `class_order`, `domain_order` or `dataset_order`: the scenario's argument, and the published orders' key.
        some: Whether a list may leave something out.

    Raises:
        UserError: The setting is no permutation of the names; says what is missing or appears twice.
    """
    if order is None:
        return list(range(len(names)))
    if isinstance(order, int):
        if order < 0:
            raise UserError(f"task_order={order}: a seed is 0 or more; a list says the order itself.")
        shuffled: list[int] = np.random.default_rng(order).permutation(len(names)).tolist()
        return shuffled
    if order == "published":
        listed = yaml.safe_load(PUBLISHED.read_text())[kind].get(dataset)
        if listed is None:
            raise UserError(
                f"task_order=published: the publications have no order for {dataset}; use a seed or a list."
            )
        return _permutation(listed, names, some)
    if isinstance(order, str) and (numbered := re.fullmatch(r"published_(\d+)", order)):
        return _permutation(_merging_order(int(numbered[1]), names), names, some)
    items: Sequence[Item] = _read(Path(order).expanduser()) if isinstance(order, str) else order
    numbers = _permutation(items, names, some)
    if any(_position(item) is not None for item in items):
        what = {"class_order": "classes", "domain_order": "domains"}.get(kind, "data sets")
        are_names = [_text(item, names) for item in items] == [names[i] for i in numbers]
        taken = f"names of {what}" if are_names else f"positions of {what}, from 0"
        log.info("task_order: its numbers are taken as %s: %s", taken, _shortened([names[i] for i in numbers]))
    return numbers


def _merging_order(seed: int, names: Sequence[str]) -> list[str]:
    """The order in which others merged ready checkpoints of just these data sets."""
    scenarios: dict[str, dict[int, list[str]]] = yaml.safe_load(PUBLISHED.read_text())["merging_orders"]
    orders = next((of_seeds for of_seeds in scenarios.values() if set(next(iter(of_seeds.values()))) == set(names)), {})
    if seed in orders:
        return orders[seed]
    which = f"there are published_{min(orders)} to published_{max(orders)}" if orders else "use a seed or a list"
    known = "" if orders else f" but for {', '.join(scenarios)}"
    raise UserError(f"task_order=published_{seed}: nobody has published such an order{known}; {which}.")


def _read(path: Path) -> list[str]:
    """Reads a list from a file, each item as it is written: 010 stays the text 010."""
    try:
        if not path.is_file():  # the path in a record may be a device, which could be read forever
            raise FileNotFoundError(f"there is no file {path}")
        listed = yaml.load(path.read_text(), yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"task_order={path}: not a readable YAML or JSON file ({error}).") from error
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise UserError(f"task_order={path}: the file must hold one list of numbers or names.")
    return listed


def _permutation(order: Sequence[Item], names: Sequence[str], some: bool) -> list[int]:
    numbers = _numbers(order, names)
    missing = [] if some else sorted(set(range(len(names))) - set(numbers))
    if missing or not numbers or len(numbers) > len(set(numbers)):
        problem = f"leaves out {missing[0]} ({names[missing[0]]})" if missing else "names something twice"
        raise UserError(
            f"task_order must hold each of 0 to {len(names) - 1}, or each name, {'at most ' * some}once; "
            f"it {problem if numbers else 'is empty'}."
        )
    return numbers


def _numbers(order: Sequence[Item], names: Sequence[str]) -> list[int]:
    number = {name: i for i, name in enumerate(names)}
    texts, positions = [_text(item, names) for item in order], [_position(item) for item in order]
    if all(text in number for text in texts):
        return [number[text] for text in texts]
    unknown = [i for i, position in enumerate(positions) if position not in range(len(names))]
    if not unknown:
        return [position for position in positions if position is not None]
    if strange := [i for i in unknown if texts[i] not in number]:
        hint = (
            "" if isinstance(order[strange[0]], str) else "; a name that looks like a number or a truth value is quoted"
        )
        raise UserError(f"task_order names {order[strange[0]]!r}, which is none of: {_shortened(names)}{hint}.")
    other = next(text for text in texts if text not in number)
    raise UserError(
        f"task_order mixes names ({texts[unknown[0]]}) and numbers that are no names ({other}): name all or number all."
    )


def _text(item: Item, names: Sequence[str]) -> str:
    """The item as a name; YAML has already turned what looks like a number, a truth value or null into a value."""
    if isinstance(item, float):
        alike = [name for name in names if _number(name) == item]
    else:
        typed = "null" if item is None else str(item)
        alike = [name for name in names if name.lower() == typed.lower()] if item in (None, True, False) else []
    return alike[0] if len(alike) == 1 else str(item)


def _number(name: str) -> float | None:
    try:
        return float(name)
    except ValueError:
        return None


def _position(item: Item) -> int | None:
    """The item as a number from 0; None where it cannot be one."""
    if isinstance(item, str):
        return int(item) if item.isascii() and item.isdigit() else None
    return item if isinstance(item, int) and not isinstance(item, bool) else None


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f", … ({len(names)} in all)" if len(names) > 8 else "")
