"""Which results were made with other settings than those they stand beside.

The records decide, not a list of what settings should be. Each setting is compared where it should be the same. A run
is flagged if it departs from what more than half of the runs there have; where no value has more than half, all are
flagged, because nobody can say which ones are odd.

- Neither method nor scenario brings them, so they are compared over the whole table: batch size, precision, limits,
  backbone, head, device, versions.
- The method brings them: the settings of its trainer and merger, compared along its row.
- The scenario brings them: epochs, number of tasks, order of arrival, images and the words for them, compared down its
  column.
- Both bring them (learning rate, warm-up, the rest of `optim`): compared among runs on one scenario whose trainer has
  the same settings.

So a learning rate that belongs to a trainer or to a scenario is not flagged, and one that was changed for a single
result is. Settings of training do not count where nothing was trained.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cl_bench.reports.records import Result
from cl_bench.reports.runs import RecordedRun
from cl_bench.reports.settings import Settings, class_names, flattened
from cl_bench.store.later_settings import ZERO_SHOT

_VERSIONS = ("cl_bench", "torch", "open_clip_torch")


def flags(runs: Sequence[RecordedRun]) -> dict[RecordedRun, tuple[str, ...]]:
    """Finds what each run does differently, such as "batch_size 64"; runs that depart in nothing are left out."""
    found: dict[RecordedRun, list[str]] = defaultdict(list)
    for group_of, settings in _COMPARISONS:
        groups: dict[tuple[Any, ...], list[RecordedRun]] = defaultdict(list)
        for run in runs:
            groups[group_of(run)].append(run)
        for group in groups.values():
            for run, text in _departures(group, settings):
                found[run].append(text)
    return {run: tuple(found[run]) for run in runs if run in found}


def _departures(
    group: Sequence[RecordedRun], settings: Callable[[Result], Settings]
) -> Iterator[tuple[RecordedRun, str]]:
    all_settings = [settings(run.result) for run in group]
    for name in dict.fromkeys(name for each in all_settings for name in each):
        having = [(run, json.dumps(each[name])) for run, each in zip(group, all_settings, strict=True) if name in each]
        (value, count), *_ = Counter(value for _, value in having).most_common(1)
        usual = value if 2 * count > len(having) else None
        yield from ((run, f"{name} {value.strip(chr(34))}") for run, value in having if value != usual)


def _general_settings(result: Result) -> Settings:
    config = result["config"]
    always = {
        **flattened({"backbone": config.get("backbone", {}), "head": config.get("head", ZERO_SHOT)}),
        "device": result.get("devices", {}).get("kind"),
        "running_statistics": config.get("running_statistics", "pretrained"),
        **{name: result.get("versions", {}).get(name) for name in _VERSIONS},
    }
    if not result["training"]:
        return always
    lightning, optim = config.get("lightning", {}), config.get("optim", {})
    limits = {name: lightning.get(name) for name in ("precision", "limit_train_batches")}
    limits["matmul_precision"] = lightning.get("matmul_precision", "highest")
    return {"batch_size": optim.get("batch_size"), **limits, **always}


def _settings_of_method(result: Result) -> Settings:
    config = result["config"]
    return flattened({name: config.get(name, {}) for name in ("trainer", "merger")})


def _settings_of_scenario(result: Result) -> Settings:
    config = result["config"]
    scenario = flattened({k: v for k, v in config.get("scenario", {}).items() if k not in ("dataset", "datasets")})
    found = {n: _order(value, result) if n.endswith(("_order", "seed")) else value for n, value in scenario.items()}
    images = sorted(f"{data['name']} {data['images'][:8]}" for data in result.get("datasets", ()))
    words = {"prompts": (config.get("dataset") or {}).get("prompts"), **class_names(result)}
    found |= {"images": ", ".join(images), **{name: value for name, value in words.items() if value is not None}}
    return {"epochs": config.get("optim", {}).get("epochs"), **found} if result["training"] else found


def _optimization(result: Result) -> Settings:
    compared_elsewhere = ("batch_size", "epochs")
    optim = {k: v for k, v in result["config"].get("optim", {}).items() if k not in compared_elsewhere}
    return flattened(optim) if result["training"] else {}


def _order(order: Any, result: Result) -> Any:
    """Names orders that are drawn from the run's seed alike: they differ from each other as they should."""
    return "of the seed" if order == result["seed"] else order


def _trainer(run: RecordedRun) -> str:
    return json.dumps(run.result["config"].get("trainer"), sort_keys=True)


_COMPARISONS: tuple[tuple[Callable[[RecordedRun], tuple[Any, ...]], Callable[[Result], Settings]], ...] = (
    (lambda run: (), _general_settings),
    (lambda run: (run.method,), _settings_of_method),
    (lambda run: (run.scenario,), _settings_of_scenario),
    (lambda run: (run.scenario, _trainer(run)), _optimization),
)
