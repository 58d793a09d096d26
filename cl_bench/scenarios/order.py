"""In which order classes, domains or data sets arrive."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import yaml

from cl_bench.errors import UserError

Order: TypeAlias = list[int] | list[str] | int | str | None
"""None: as the data set numbers them. An integer: a random order from this seed. `published`: the publications'
order for this data set. A list of numbers or names, or the path of a YAML or JSON file that holds one."""

PUBLISHED = Path(__file__).with_name("orders.yaml")


def resolve(order: Order, names: Sequence[str], dataset: str, kind: str, some: bool = False) -> list[int]:
    """Turns a setting into a permutation of 0 to len(names) - 1.

    Args:
        order: The setting.
        names: What is ordered, by number.
        dataset: Name under which the published orders list the data set.
        kind: `class_order` or `domain_order`, as in the setting and in the published orders.
        some: Whether a list may leave something out.

    Raises:
        UserError: The setting is not a permutation of what the data set has; says what is missing or twice.
    """
    if order is None:
        return list(range(len(names)))
    if isinstance(order, int):
        if order < 0:
            raise UserError(f"scenario.{kind}={order}: a seed is 0 or more; a list says the order itself.")
        return np.random.default_rng(order).permutation(len(names)).tolist()
    where = f"scenario.{kind}"
    if order == "published":
        listed = yaml.safe_load(PUBLISHED.read_text())[kind].get(dataset)
        if listed is None:
            raise UserError(f"{where}=published: the publications have no order for {dataset}; use a seed or a list.")
        order = listed
    elif isinstance(order, str):
        order = _read(Path(order).expanduser(), where)
    return _permutation(order, names, where, some)


def _read(path: Path, where: str) -> list[int] | list[str]:
    try:
        if not path.is_file():  # a record may name a device, which never ends
            raise FileNotFoundError(f"there is no file {path}")
        listed = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{where}={path}: not a readable YAML or JSON file ({error}).") from error
    if not isinstance(listed, list):
        raise UserError(f"{where}={path}: the file must hold one list of numbers or names.")
    return listed


def _permutation(order: Sequence[int | str], names: Sequence[str], where: str, some: bool) -> list[int]:
    number = {name: i for i, name in enumerate(names)}
    unknown = [item for item in order if item not in number and item not in range(len(names))]
    if unknown:
        raise UserError(f"{where} names {unknown[0]!r}, which is none of: {_shortened(names)}.")
    numbers = [number[item] if isinstance(item, str) else item for item in order]
    missing = [] if some else sorted(set(range(len(names))) - set(numbers))
    if missing or not numbers or len(numbers) > len(set(numbers)):
        problem = f"leaves out {missing[0]} ({names[missing[0]]})" if missing else "names something twice"
        raise UserError(
            f"{where} must hold each of 0 to {len(names) - 1} {'at most ' * some}once; "
            f"it {problem if numbers else 'is empty'}."
        )
    return numbers


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f", … ({len(names)} in all)" if len(names) > 8 else "")
