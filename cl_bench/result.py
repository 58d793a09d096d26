"""What a run writes down: everything that a reader needs to trust, repeat and compare its numbers."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch

from cl_bench import distributed, scalings
from cl_bench.callbacks import MergeAndEvaluate
from cl_bench.evaluation import Counts, accuracies
from cl_bench.measure import Meter
from cl_bench.parts import Parts

_PACKAGES = (
    "cl_bench",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "open_clip_torch",
    "avalanche-lib",
    "torchmetrics",
)


def compose(
    config: Mapping[str, Any],
    parts: Parts,
    fingerprint: str,
    callback: MergeAndEvaluate,
    meter: Meter,
    validation: Sequence[float] | None,
) -> dict[str, Any]:
    """The record of a finished run, as plain data. Accuracies are in percent, seconds and MiB say so in their names.

    `accuracy`, `metrics` and `matrix` are of the merged model, and where `merger.scaling` was a list, with the λ that
    was chosen on validation images, or else the first; `scalings` has all of them. `finetuned` holds the same
    for the weights of each task before merging. `left_out` says which kind of accuracy is null in all of them, and
    why. `tasks` counts the images that were really evaluated. `datasets` says
    whose split it was, and by SHA-256 which images; `code`, which code it was, see `source_code`. Rows of a matrix:
    zero-shot, then after each training task; columns: tasks, in order of arrival.
    """
    tasks = list(parts.scenario.test_stream)
    reported = scalings.chosen(validation)
    rows = [row.merged[reported] if row.merged else None for row in callback.rows]
    merged, images = accuracies(rows, len(tasks), parts.kinds), rows[0].total.tolist()
    return {
        "choices": config.get("choices", {}),
        "config": {key: value for key, value in config.items() if key != "choices"},
        "fingerprint": fingerprint,
        "code": parts.code,
        "split": parts.evaluation.split,
        "headline": {"name": parts.scenario.headline, "value": scalings.at(merged, parts.scenario.headline)},
        **merged,
        "left_out": parts.left_out,
        "scalings": scalings.record(parts, callback, validation),
        "finetuned": _finetuned(parts, [row.finetuned for row in callback.rows[1:]], rows[0], len(tasks)),
        "tasks": [
            {"name": task.name, "classes": len(task.classes_in_this_experience), "images": count}
            for task, count in zip(tasks, images, strict=True)
        ],
        "datasets": [
            {"name": data.name, "split": data.split, "sha256": data.identity} for data in parts.scenario.datasets
        ],
        "training": callback.records,
        "seconds": {
            "training": sum(record["seconds"] for record in callback.records),
            "merging": meter.seconds.get("merging", 0.0),
            "evaluation": meter.seconds["evaluation"],
        },
        "peak_memory_mib": {
            "training": max((record["peak_memory_mib"] for record in callback.records), default=None),
            "merging": meter.peak_memory_mib.get("merging"),
            "evaluation": meter.peak_memory_mib["evaluation"],
        },
        "seed": parts.seed,
        "devices": {"kind": _device_name(parts.devices.device), "count": distributed.world_size()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }


def _finetuned(
    parts: Parts, rows: Sequence[Counts | None], zero_shot: Counts | None, tasks: int
) -> dict[str, Any] | None:
    if not any(rows):
        return None
    return accuracies([zero_shot, *rows], tasks, parts.kinds)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} ({platform.machine()})"
