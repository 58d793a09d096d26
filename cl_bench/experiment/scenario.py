"""Makes the scenario of a run, with its data sets."""

import logging
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from cl_bench.datasets.releases.catalog import releases
from cl_bench.datasets.releases.verify import sizes
from cl_bench.experiment import few_shot
from cl_bench.experiment.settings import group_settings, part
from cl_bench.experiment.user_parts import made
from cl_bench.images.images import ImageDataset
from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.memo import Memo
from cl_bench.scenarios import Scenario

log = logging.getLogger(__name__)

Once: TypeAlias = Memo | Callable[[Any, Callable[[], Any]], Any]
"""Makes what a key stands for, or has it from before."""


def make_scenario(config: Mapping[str, Any], memo: Memo | None = None) -> Scenario:
    """Makes the scenario; where its data set is that of the group `dataset`, messages name that group.

    Args:
        config: Of the run.
        memo: Data sets that were read for other runs; None: they are read anew.
    """
    node = group_settings(config, "scenario")
    _check_has_order(node, config.get("task_order"))
    few_shot.check(config)
    datasets = _read_datasets(node, config.get("dataset") or {}, memo or (lambda key, make: make()))
    return part({"scenario": {**node, **datasets}}, "scenario", Scenario)


def warn_of_other_sizes(scenario: Scenario, data_dir: str) -> None:
    """Warns of a published data set that is not complete, perhaps because it was unpacked in part."""
    known, folder = releases(), "" if data_dir == "data" else f" --data-dir {shlex.quote(data_dir)}"
    for data in scenario.datasets:
        for finding in sizes(known[data.name], data) if data.name in known else ():
            log.warning(
                "%s is not as published, %s: %s verify %s%s",
                *(data.name, finding, typed("data"), data.name, folder),
            )


def _read_datasets(node: Mapping[str, Any], dataset: Mapping[str, Any], memo: Once) -> dict[str, Any]:
    """Reads the data sets of a scenario, each once; those that are `_partial_` stay functions that read them."""

    def read(one: Any, where: str) -> ImageDataset:
        if not isinstance(one, Mapping):
            raise UserError(f"{where}={one!r} does not fit: it has to be the settings of a data set.")
        whole, draw = few_shot.separate({**one, "_partial_": False}, where, dataset)
        data: ImageDataset = memo(["dataset", whole], lambda: _make_dataset(whole, where))
        return data if draw is None else memo(["shots", whole, draw], lambda: few_shot.draw(data, draw))

    found: dict[str, Any] = {}
    if isinstance(one := node.get("dataset"), Mapping):
        found["dataset"] = read(one, "dataset" if one == dataset else "scenario.dataset")
    if isinstance(several := node.get("datasets"), Mapping):
        places = {name: (one, f"scenario.datasets.{name}") for name, one in several.items()}
        found["datasets"] = {
            name: partial(read, *place) if _is_partial(place[0]) else read(*place) for name, place in places.items()
        }
    return found


def _is_partial(node: Any) -> bool:
    return isinstance(node, Mapping) and bool(node.get("_partial_"))


def _make_dataset(node: Mapping[str, Any], where: str) -> ImageDataset:
    return made(ImageDataset, node, where)


def _check_has_order(node: Mapping[str, Any], arrival: Any) -> None:
    if arrival is not None and not any(key.endswith("_order") or value == arrival for key, value in node.items()):
        seeds = ", ".join(f"scenario.{name}=…" for name in node if name.endswith("seed")) or "none of its own"
        raise UserError(f"task_order={arrival} means nothing to this scenario; what it draws by: {seeds}.")
