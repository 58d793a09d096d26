"""What a configuration says without data and models, and how a group of it becomes a part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, FiniteFloat

from cl_bench.evaluation import Settings
from cl_bench.experiment import task_weights
from cl_bench.experiment.user_parts import made
from cl_bench.heads import HeadSettings, ZeroShot
from cl_bench.mergers import BaseMerger
from cl_bench.mergers.engine.result_type import TypeName
from cl_bench.mergers.engine.running_statistics import RunningStatistics
from cl_bench.runtime.devices import Devices
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import validated
from cl_bench.store import recordable
from cl_bench.trainers import Optimization

T = TypeVar("T")


@dataclass(frozen=True)
class RunSettings:
    """What a configuration says without data and models.

    Attributes:
        seed: Of training.
        store_dir: Where streams and heads are kept.
        prepared_dir: Where decoded images are kept.
        devices: What computes, and how.
        head_settings: How the head's rows come about.
        evaluation: What is evaluated, and when.
        merger: The merger, with the first λ; without weights that are given by the tasks' names, until these are known.
        scalings: All λ with which the merged model is evaluated.
        running_statistics: What becomes of normalization layers' statistics in the merged model.
        optimization: How a task is optimized.
        save_merged: Whether the merged model is written beside the result, or in which type.
    """

    seed: int
    store_dir: Path
    prepared_dir: Path
    devices: Devices
    head_settings: HeadSettings
    evaluation: Settings
    merger: BaseMerger
    scalings: tuple[float, ...]
    running_statistics: RunningStatistics
    optimization: Optimization
    save_merged: bool | TypeName


def read_settings(config: Mapping[str, Any]) -> RunSettings:
    """Reads and checks them.

    Raises:
        UserError: A setting is missing, unknown or does not fit.
    """
    recordable.check(config)
    scalings, merger = read_merger(group_settings(config, "merger"))
    return RunSettings(
        seed=validated(config.get("seed"), Annotated[int, Field(ge=0)], "seed"),
        store_dir=validated(group_settings(config, "paths").get("store_dir"), Path, "paths.store_dir"),
        prepared_dir=validated(group_settings(config, "paths").get("prepared_dir"), Path, "paths.prepared_dir"),
        devices=part(config, "lightning", Devices),
        head_settings=part(config, "head", HeadSettings) if "head" in config else ZeroShot(),  # as of earlier versions
        evaluation=part(config, "evaluation", Settings),
        scalings=scalings,
        merger=merger,
        running_statistics=validated(
            config.get("running_statistics", "pretrained"), RunningStatistics, "running_statistics"
        ),
        optimization=part(config, "optim", Optimization),
        save_merged=validated(config.get("save_merged", False), Literal[False, True, TypeName], "save_merged"),
    )


def part(config: Mapping[str, Any], group: str, kind: type[T], **given: Any) -> T:
    """Makes the part that a group's settings describe, and checks that it is of the given kind."""
    return made(kind, group_settings(config, group), group, **given)


def group_settings(config: Mapping[str, Any], group: str) -> Mapping[str, Any]:
    """The settings of a group."""
    node = config.get(group)
    if not isinstance(node, Mapping):
        raise UserError(f"{group} is no group of settings but {node!r}: choose one by its name, {group}=…")
    return node


def read_merger(node: Mapping[str, Any], tasks: Sequence[str] | None = None) -> tuple[tuple[float, ...], BaseMerger]:
    """All λ that are asked for, since `merger.scaling` may be a list, and the merger with the first.

    Args:
        node: The settings of the merger.
        tasks: See `task_weights.in_order`.
    """
    node = task_weights.in_order(node, tasks)
    if not isinstance(node.get("scaling"), list):
        merger = part({"merger": node}, "merger", BaseMerger)
        return (merger.scaling,), merger
    grid = validated(node["scaling"], Annotated[list[FiniteFloat], Field(min_length=1)], "merger.scaling")
    return tuple(grid), part({"merger": {**node, "scaling": grid[0]}}, "merger", BaseMerger)
