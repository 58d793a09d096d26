"""The record of a run, `result.json`: what a reader needs to trust, repeat and compare its numbers."""

import itertools
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from cl_bench import store
from cl_bench.evaluation import Counts
from cl_bench.evaluation.accuracies import KINDS, accuracies
from cl_bench.experiment import earlier_result, per_task, retention, scaling_grid, sees_test_images
from cl_bench.experiment.experts import record as experts
from cl_bench.experiment.merged_file import write_merged
from cl_bench.experiment.parts import Parts
from cl_bench.experiment.scenario_name import measured
from cl_bench.experiment.state import Run
from cl_bench.runtime import distributed, signals
from cl_bench.runtime.setting_names import choice
from cl_bench.scenarios import Scenario

_PACKAGES = (
    "cl_bench",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "open_clip_torch",
    "timm",
    "avalanche-lib",
    "torchmetrics",
)


def write_result(run: Run, folder: Path) -> dict[str, Any]:
    """Writes `result.json` into the run's folder, and the merged model where that is asked for.

    A result of another configuration that lies there is kept.
    """
    validation = scaling_grid.on_validation(run)
    result = _compose(run, validation)
    if distributed.is_main():
        earlier_result.set_aside(folder / "result.json", result["config"])
        if run.parts.save_merged:
            result["merged_model"] = write_merged(run, scaling_grid.chosen(validation), result, folder)
        store.write_result(folder / "result.json", result)
    signals.tell(None)
    return result


def _compose(run: Run, validation: Sequence[float] | None) -> dict[str, Any]:
    """Makes the record of a finished run, as plain data.

    Accuracies are in percent; names of other numbers end with their unit. A matrix has a row for zero-shot and one for
    each training task, and a column for each task in order of arrival.

    - `accuracy`, `metrics`, `matrix`: of the merged model. Where `merger.scaling` was a list, they hold for `scaling`:
      the λ that was chosen on validation images, or else the first one. `scalings` has them for each λ.
    - `finetuned`: the same for the weights of each task before merging. Experts that others trained are evaluated on
      their own task alone, so that below zero-shot only the diagonal of its matrix has values.
    - `retention`: the merged model's accuracy on the test images of data sets that are never trained on, each among its
      own classes; null where none is named.
    - `experts`: whose weights were read; null where tasks were trained. `accuracy` is each one's own.
    - `notes`: what a reader of the numbers has to know.
    - `sees_test_images`: whether the merger has learned on unlabelled test images (those of `split`), so that its
      numbers stand apart.
    - `merged_model`: the file of the merged model beside the record, and its SHA-256; null where none was asked for.
    - `left_out`: which kind of accuracy is null in all of these, and why; where the headline is of it, that is null.
    - `images_without_row`: for each row of a matrix and each task, how many of its images are of a class that has not
      arrived, so that they count as wrong; null where the head had all classes from the beginning.
    - `per_task`: null unless the merger makes a model for each task. `chosen` has what validation images chose for each
      task, null where there was nothing to choose by. θ₀ answers for tasks that have not arrived.
    - `tasks`: `images` were evaluated, `training_images` can be trained on; `class_names` is null where a task has all
      classes of its data set.
    - `datasets`: `sha256` is the hash of images and class names, `images` that of the images alone; `shots` says how
      training images were drawn, null where all are there.
    - `code`: which versions of the project's classes, and which source of the user's, see `source_code`.
    """
    parts, config, meter = run.parts, run.config, run.meter
    reported = scaling_grid.chosen(validation)
    rows = [row.merged[reported] if row.merged else None for row in run.rows]
    number, images = len(parts.scenario.test_stream), run.rows[-1].merged[0].total.tolist()
    merged = accuracies(rows, number, parts.kinds, run.finetuned, parts.comparable)
    return {
        "choices": config.get("choices", {}),
        "config": {key: value for key, value in config.items() if key != "choices"},
        "scenario": measured(config, parts.scenario),
        "fingerprint": run.stream.fingerprint,
        "code": parts.code,
        "split": parts.evaluation.split,
        "headline": {"name": parts.scenario.headline, "value": scaling_grid.at(merged, parts.scenario.headline)},
        **merged,
        "left_out": parts.left_out,
        "images_without_row": _without_row(parts, rows),
        "scaling": parts.scalings[reported],
        "scalings": scaling_grid.record(run, validation),
        "per_task": _per_task(run, reported),
        "sees_test_images": parts.merger.sees_test_images and bool(run.tasks),
        "merged_model": None,
        "finetuned": _finetuned(parts, run.finetuned, number),
        "retention": retention.described(
            parts.evaluation.retention, [row.retained[reported] if row.retained else None for row in run.rows]
        ),
        "experts": experts.described(parts, [row.finetuned for row in run.rows[1:]]),
        "notes": [*_notes_on_head(parts), *experts.notes(parts), *_notes_on_merger(run)],
        "tasks": _tasks(parts.scenario, images),
        "datasets": [
            {
                "name": data.name,
                "split": data.split,
                "shots": data.shots._asdict() if data.shots else None,
                "sha256": data.identity,
                "images": data.images_identity,
                "class_names": data.class_names,
            }
            for data in parts.scenario.datasets
        ],
        "training": run.records,
        "seconds": {
            "training": sum(record["seconds"] for record in run.records),
            "merging": meter.seconds.get("merging", 0.0),
            "evaluation": meter.seconds["evaluation"],
        },
        "peak_memory_mib": {
            "training": max(_numbers(record["peak_memory_mib"] for record in run.records), default=None),
            "merging": meter.peak_memory_mib.get("merging"),
            "evaluation": meter.peak_memory_mib["evaluation"],
        },
        "seed": parts.seed,
        "devices": {"kind": _device_name(parts.devices.device), "count": distributed.world_size()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }


def _notes_on_head(parts: Parts) -> list[str]:
    if parts.head.arrival is None:
        return []
    name = choice("head", type(parts.head_settings))
    own = "; each expert's own is among all" if parts.has_expert_of_each_task else ""
    return [f"{name}: accuracy is among the classes that have arrived{own}, so there is none before any task"]


def _without_row(parts: Parts, rows: Sequence[Counts | None]) -> list[list[int] | None] | None:
    if parts.head.arrival is None:
        return None
    return [None if row is None else row.without_row.tolist() for row in rows]


def _notes_on_merger(run: Run) -> list[str]:
    merger = run.parts.merger
    return [*per_task.notes(merger), *sees_test_images.notes(merger)] if run.tasks else []


def _per_task(run: Run, reported: int) -> dict[str, Any] | None:
    if not (run.parts.merger.per_task and run.tasks):
        return None
    return {"chosen": list(run.rows[-1].candidates[reported])}


def _tasks(scenario: Scenario, images: Sequence[int]) -> list[dict[str, Any]]:
    ends = list(itertools.accumulate(len(labels.class_names) for labels in scenario.labels))
    whole = [set(range(end - len(labels.class_names), end)) for end, labels in zip(ends, scenario.labels, strict=True)]
    every = [name for labels in scenario.labels for name in labels.class_names]
    tasks = []
    for train, test, count in zip(scenario.train_stream, scenario.test_stream, images, strict=True):
        classes = test.class_masks[0].nonzero().flatten().tolist()
        tasks.append(
            {
                "name": test.name,
                "classes": len(test.classes_in_this_experience),
                "images": count,
                "training_images": len(train.samples),
                "class_names": None if set(classes) in whole else [every[label] for label in classes],
            }
        )
    return tasks


def _finetuned(parts: Parts, rows: Sequence[Counts | None], tasks: int) -> dict[str, Any] | None:
    if not rows:
        return None
    found = accuracies(rows, tasks, parts.kinds, rows, parts.comparable)
    if parts.experts:  # on the images of all tasks together, they were not evaluated
        found["accuracy"] = dict.fromkeys(KINDS)
        found["accuracy_after_task"] = {
            kind: None if values is None else [values[0], *([None] * (len(rows) - 1))]
            for kind, values in found["accuracy_after_task"].items()
        }
    return found


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} ({platform.machine()})"
