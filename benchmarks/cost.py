"""Estimates from steps what the papers' tables cost: `python -m benchmarks.cost [SECONDS]`.

SECONDS is what a plain step takes, forward, backward and optimizer, on a batch of 128 images. The default was measured
with ViT-B/16 on one H100 in single precision, the published one (see the README). A step of another trainer takes as
many times longer as docs/bench_train.md measured, and the forward pass of evaluation a third of a step.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from cl_bench.datasets.releases.catalog import release
from cl_bench.experiment import released
from cl_bench.reports.tables.formats.markdown import grid
from cl_bench.reports.tables.layouts import LAYOUTS
from cl_bench.runtime import configurations

_SECONDS = 0.33
_MODEL = 86_192_640 * 4 / 2**30  # GiB of ViT-B/16's visual tower in single precision
_STEP = {"EWC": 1.06, "LwF": 1.33, "Tangent": 1.85, "CMM": 1.84}  # times a plain step
_AFTERWARDS = {"EWC": 1.0, "CMM": 2.6}  # times a plain step, for each batch of one more pass over the task's images
_KEPT = {"EWC": 2, "CMM": 2}  # tensors as large as the model, for each task: statistics beside the weights

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Work:
    """What one stream of a scenario takes.

    Attributes:
        tasks: T.
        steps: Of training, all tasks and epochs together.
        batches: Of one pass over all training images.
        evaluated: Test images, in batches as large as those of training.
        datasets: Names of what has to be there.
    """

    tasks: int
    steps: int
    batches: int
    evaluated: float
    datasets: tuple[str, ...]


def work(config: Config) -> Work:
    """Counts a scenario's steps as a run would take them, from its configuration and its data's published sizes."""
    scenario, optim = config["scenario"], config["optim"]
    kind = scenario["_target_"].rpartition(".")[2]
    if kind == "SeveralDatasets":
        names = tuple(scenario["datasets"])
        sizes: list[float] = [release(name).train for name in names]
        epochs = [scenario["epochs"][name] for name in names]
    else:
        names = (scenario["dataset"]["_target_"].split(".")[-2],)
        sizes = _sizes(names[0], scenario["tasks"] if kind == "ClassIncremental" else None)
        epochs = [optim["epochs"]] * len(sizes)
    batches = [math.ceil(size / optim["batch_size"]) for size in sizes]
    return Work(
        tasks=len(sizes),
        steps=sum(number * passes for number, passes in zip(batches, epochs, strict=True)),
        batches=sum(batches),
        evaluated=sum(release(name).test for name in names) / optim["batch_size"],
        datasets=names,
    )


def _sizes(dataset: str, tasks: int | None) -> list[float]:
    """Training images of each task: equal shares, but for domains whose sizes are known."""
    known = release(dataset)
    if tasks is None and known.per_domain:
        return [train for train, _ in known.per_domain.values()]
    tasks = tasks or 15  # the domains of ImageNet-R, which the release counts together
    return [known.train / tasks] * tasks


def main(seconds: float) -> None:
    """Prints a line for each table."""
    header = ["table", "runs", "trainings", "steps of training", "GPU hours", "GiB of weights", "GB to download"]
    print(grid(header, [_row(layout.name, seconds) for layout in LAYOUTS]), end="")


def _row(name: str, seconds: float) -> list[str]:
    params = _composed(f"+sweep=table_{name}", sweep=True)
    scenarios, methods, seeds = (_listed(params[key]) for key in ("scenario", "+method", "seed"))
    works = [work(_composed(f"scenario={scenario}")) for scenario in scenarios]
    configs = [_composed(f"+method={method}") for method in methods]
    trainers = list(_trainers(configs))
    trained = sum(_in_steps(trainer, one) for trainer in trainers for one in works)
    evaluated = sum(_evaluations(config, one) * one.evaluated / 3 for config in configs for one in works)
    disk = sum((1 if t == "Joint" else one.tasks * _KEPT.get(t, 1)) * _MODEL for t in trainers for one in works)
    fetched = sum(release(dataset).size for dataset in {name for one in works for name in one.datasets}) / 1e9
    n = len(seeds)
    return [
        name,
        f"{len(scenarios) * len(methods) * n:,}",
        f"{len(scenarios) * len(trainers) * n:,}",
        f"{sum(one.steps for one in works) * len(trainers) * n:,}",
        f"{(trained + evaluated) * n * seconds / 3600:,.0f}",
        f"{disk * n:,.0f}",
        f"{fetched:,.1f}",
    ]


def _trainers(configs: Sequence[Config]) -> Iterator[str]:
    """Classes of trainings that differ, one for each; mergers share them, unless tasks start from what they merged."""
    different = {}
    for config in configs:
        trainer = config["trainer"]
        merger = config["merger"] if trainer.get("starts_from") == "merged" else None
        different[json.dumps([trainer, merger], sort_keys=True)] = trainer["_target_"].rpartition(".")[2]
    return (name for name in different.values() if name != "ZeroShot")


def _in_steps(trainer: str, one: Work) -> float:
    """The training of a stream in plain steps."""
    return one.steps * _STEP.get(trainer, 1) + one.batches * _AFTERWARDS.get(trainer, 0)


def _evaluations(config: Config, one: Work) -> int:
    """How often all test images are seen: by the zero-shot model, and then after each training task."""
    trainer = config["trainer"]["_target_"].rpartition(".")[2]
    return 1 + {"ZeroShot": 0, "Joint": 1}.get(trainer, one.tasks)


@cache
def _composed(override: str, sweep: bool = False) -> Config:
    configurations.announce(None)
    released.register()
    with initialize_config_dir(str(configurations.CONF), version_base="1.3"):
        config = compose("config", [override], return_hydra_config=True)
    if sweep:
        return dict(config.hydra.sweeper.params)
    parts = ("scenario", "optim", "trainer", "merger")
    return {part: OmegaConf.to_container(config[part], resolve=True) for part in parts}


def _listed(values: str | int) -> list[str]:
    return [value.strip() for value in str(values).split(",")]


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS)
