"""Which results were made with other settings than those they stand beside.

What the records say decides, not a list of what settings should be. Each setting is compared where it should be the
same, and a run that departs from what more than half of the runs there have is flagged; where no value has more than
half, all are, for then nobody can say which ones are odd.

- Nobody brings them, so they are compared over the whole table: batch size, precision, limits, backbone, device,
  versions.
- The method brings them: its trainer's and merger's own settings, compared along its row.
- The scenario brings them: epochs, number of tasks, order of arrival, images and the words for them, compared down its
  column.
- Both bring them (learning rate, warm-up, the rest of `optim`): compared among runs on one scenario whose trainer has
  the same settings.

So a learning rate that belongs to a trainer or to a scenario is not flagged, and one that was changed for a single
result is. What is said of training does not count for what was not trained.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cl_bench.reports.markdown import Result
from cl_bench.reports.runs import Run, class_names, flattened

_VERSIONS = ("cl_bench", "torch", "open_clip_torch")

Settings = dict[str, Any]


def flags(runs: Sequence[Run]) -> dict[Run, tuple[str, ...]]:
    """What each run does differently, such as "batch_size 64"; runs that depart in nothing are left out."""
    found: dict[Run, list[str]] = defaultdict(list)
    for beside, settings in _COMPARED:
        groups: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
        for run in runs:
            groups[beside(run)].append(run)
        for group in groups.values():
            for run, text in _departures(group, settings):
                found[run].append(text)
    return {run: tuple(found[run]) for run in runs if run in found}


def _departures(group: Sequence[Run], settings: Callable[[Result], Settings]) -> Iterator[tuple[Run, str]]:
    all_settings = [settings(run.result) for run in group]
    for name in dict.fromkeys(name for each in all_settings for name in each):
        having = [(run, json.dumps(each[name])) for run, each in zip(group, all_settings, strict=True) if name in each]
        (value, count), *_ = Counter(value for _, value in having).most_common(1)
        usual = value if 2 * count > len(having) else None
        yield from ((run, f"{name} {value.strip(chr(34))}") for run, value in having if value != usual)


def _of_nobody(result: Result) -> Settings:
    config = result["config"]
    own = {
        **flattened({"backbone": config.get("backbone", {})}),
        "device": result.get("devices", {}).get("kind"),
        "running_statistics": config.get("running_statistics", "pretrained"),
        **{name: result.get("versions", {}).get(name) for name in _VERSIONS},
    }
    if not result["training"]:
        return own
    lightning, optim = config.get("lightning", {}), config.get("optim", {})
    limits = {name: lightning.get(name) for name in ("precision", "limit_train_batches")}
    return {"batch_size": optim.get("batch_size"), **limits, **own}


def _of_method(result: Result) -> Settings:
    config = result["config"]
    return flattened({name: config.get(name, {}) for name in ("trainer", "merger")})


def _of_scenario(result: Result) -> Settings:
    config = result["config"]
    scenario = flattened({k: v for k, v in config.get("scenario", {}).items() if k not in ("dataset", "datasets")})
    own = {n: _order(value, result) if n.endswith(("_order", "seed")) else value for n, value in scenario.items()}
    images = sorted(f"{data['name']} {data['images'][:8]}" for data in result.get("datasets", ()))
    words = {"prompts": (config.get("dataset") or {}).get("prompts"), **class_names(result)}
    own |= {"images": ", ".join(images), **{name: value for name, value in words.items() if value is not None}}
    return {"epochs": config.get("optim", {}).get("epochs"), **own} if result["training"] else own


def _of_both(result: Result) -> Settings:
    apart = ("batch_size", "epochs")
    optim = {k: v for k, v in result["config"].get("optim", {}).items() if k not in apart}
    return flattened(optim) if result["training"] else {}


def _order(order: Any, result: Result) -> Any:
    """Orders of arrival that are drawn from the run's own seed differ from each other as they should."""
    return "of the seed" if order == result["seed"] else order


def _trainer(run: Run) -> str:
    return json.dumps(run.result["config"].get("trainer"), sort_keys=True)


_COMPARED: tuple[tuple[Callable[[Run], tuple[Any, ...]], Callable[[Result], Settings]], ...] = (
    (lambda run: (), _of_nobody),
    (lambda run: (run.method,), _of_method),
    (lambda run: (run.scenario,), _of_scenario),
    (lambda run: (run.scenario, _trainer(run)), _of_both),
)
