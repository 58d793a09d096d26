"""Merges checkpoint files, as plain settings say: reads the models, merges them and writes one file."""

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from rich import progress
from safetensors import SafetensorError
from torch import Tensor

from cl_bench.experiment import task_weights
from cl_bench.experiment.user_parts import made
from cl_bench.mergers import BaseMerger
from cl_bench.mergers.engine.pretrained import parameters_of
from cl_bench.mergers.engine.result_type import TypeName, converted, wide_enough
from cl_bench.mergers.engine.running_statistics import RunningStatistics
from cl_bench.runtime import process
from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError, shortened
from cl_bench.runtime.instantiate import validated
from cl_bench.runtime.setting_names import choice
from cl_bench.runtime.user_code import explained
from cl_bench.store.atomic import write_safetensors
from cl_bench.store.layouts.alike import Models


@dataclass(frozen=True)
class MergeSettings:
    """What `conf/merge.yaml` says, checked.

    Attributes:
        merger: The rule.
        pretrained: The file of θ₀.
        finetuned: The files of θ₁ to θ_T, in the order of the tasks.
        out: The file to write.
        statistics: For each task the files of what its training left behind, by name.
        running_statistics: Whose running means and variances the merged model gets.
        out_dtype: The type of the merged model's weights; None for that of `pretrained`.
        frozen_parameters: Parameters of the published model beside those in the files.
        overwrite: Whether `out` may be replaced.
    """

    merger: BaseMerger
    pretrained: Path
    finetuned: list[Path]
    out: Path
    statistics: list[dict[str, Path]]
    running_statistics: RunningStatistics
    out_dtype: TypeName | None
    frozen_parameters: int
    overwrite: bool


def merge_files(config: Mapping[str, Any]) -> None:
    """Merges the files that a configuration names, and prints what was written; after a failure nothing is.

    Args:
        config: Plain data, as in `conf/merge.yaml`.

    Raises:
        UserError: A setting, a file or a model does not fit.
    """
    begin = time.perf_counter()
    process.limit_threads()
    settings = _settings(config)
    _check_merger(settings.merger)
    _check_out(settings)
    _check_statistics(settings)
    try:
        models = Models(settings.pretrained, settings.finetuned)
        settings.merger.check_names(parameters_of(models.pretrained))
        with explained(f"merger={type(settings.merger).__name__}", type(settings.merger), but=ValueError):
            merged = models.whole(_merged(settings, models))
        if settings.out_dtype is not None:
            merged = converted(merged, settings.out_dtype)
    except ValueError as error:
        raise UserError(f"{str(error).removesuffix('.')}.") from error
    if not merged:
        raise UserError(f"pretrained={settings.pretrained} has no tensors: there is nothing to merge.")
    try:
        write_safetensors(settings.out, merged)
    except (OSError, SafetensorError) as error:
        raise UserError(f"out={settings.out} cannot be written ({error}).") from error
    seconds = time.perf_counter() - begin
    for path, names in models.left_out.items():
        print(f"{path}: merged without its {shortened(names)}")
    if models.kept:
        print(f"{len(models.kept)} tensors that none of the models has are those of {settings.pretrained}")
    rule = type(settings.merger).__name__
    print(f"{settings.out}: {len(settings.finetuned)} models merged by {rule} in {seconds:.1f} s")


def _settings(config: Mapping[str, Any]) -> MergeSettings:
    for name in ("pretrained", "finetuned", "out"):
        if config.get(name, "???") == "???":
            raise UserError(f"{name} is missing; {typed('merge')} --help shows an example.")
    finetuned: list[Path] = validated(config["finetuned"], list[Path], "finetuned")
    merger = task_weights.in_order(config.get("merger"), _names(finetuned))
    return MergeSettings(
        merger=made(BaseMerger, merger, "merger"),
        pretrained=validated(config["pretrained"], Path, "pretrained"),
        finetuned=finetuned,
        out=validated(config["out"], Path, "out"),
        statistics=validated(config.get("statistics"), list[dict[str, Path]], "statistics"),
        running_statistics=validated(config.get("running_statistics"), RunningStatistics, "running_statistics"),
        out_dtype=validated(config.get("out_dtype"), TypeName | None, "out_dtype"),
        frozen_parameters=validated(config.get("frozen_parameters"), Annotated[int, Field(ge=0)], "frozen_parameters"),
        overwrite=validated(config["overwrite"], bool, "overwrite"),
    )


def _names(finetuned: list[Path]) -> list[str]:
    """What weights call the models: their files' names without the ending, or whole paths where two are alike."""
    stems = [path.stem for path in finetuned]
    return stems if len(set(stems)) == len(stems) else list(map(str, finetuned))


def _check_merger(merger: BaseMerger) -> None:
    if merger.sees_test_images:
        raise UserError(
            f"{choice('merger', type(merger))} learns on test images, and this command has none; {typed('run')} does, "
            "with trainer=imported for files."
        )
    if merger.per_task:
        raise UserError(
            f"{choice('merger', type(merger))} makes a model for each task, and this command writes one for all; "
            "choose another merger. From Python, cl_bench.mergers.RunningMerge has merged_for(task)."
        )


def _check_out(settings: MergeSettings) -> None:
    """Refuses, before minutes of merging, what could not be written at their end, or would be lost by it."""
    out = settings.out
    if out.suffix != ".safetensors":
        raise UserError(f"out={out}: the merged model is written as safetensors; give the file that ending.")
    folder = next(folder for folder in out.absolute().parents if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"out={out} cannot be written: {folder} is no folder that you may write to.")
    statistics = [path for by_name in settings.statistics for path in by_name.values()]
    if out.resolve() in [path.resolve() for path in (settings.pretrained, *settings.finetuned, *statistics)]:
        raise UserError(f"out={out} is one of the files to be read, and would be lost; name another one.")
    if settings.overwrite:
        return
    with contextlib.suppress(FileNotFoundError):
        there = out.stat()
        written = time.strftime("%Y-%m-%d %H:%M", time.localtime(there.st_mtime))
        raise UserError(
            f"out={out} is there already: {there.st_size:,} bytes, written {written}. "
            "Add overwrite=true to replace it, or name another file."
        )


def _check_statistics(settings: MergeSettings) -> None:
    statistics, rule = settings.statistics, type(settings.merger)
    if settings.merger.requires and not statistics:
        kinds = sorted(settings.merger.requires)
        each = ", ".join(f"{kind}: {kind}_a.safetensors" for kind in kinds)
        raise UserError(
            f"{choice('merger', rule)} needs the statistics {', '.join(map(repr, kinds))} of each model: "
            f"'statistics=[{{{each}}},…]'"
        )
    if statistics and len(statistics) != len(settings.finetuned):
        raise UserError(f"statistics has {len(statistics)} entries; finetuned has {len(settings.finetuned)} models.")


def _merged(settings: MergeSettings, models: Models) -> dict[str, Tensor]:
    """The merged weights; a terminal shows how far the merge is."""
    start, dtype = models.pretrained, settings.out_dtype
    columns = (progress.TextColumn("merging"), progress.BarColumn(), progress.TaskProgressColumn())
    with progress.Progress(*columns, disable=not sys.stdout.isatty(), transient=True) as bar:
        task = bar.add_task("merging", total=1.0)
        return settings.merger.merge(
            start if dtype is None else wide_enough(start, dtype),
            models.finetuned,
            settings.frozen_parameters + models.kept_elements,
            [{name: models.statistic(path) for name, path in by_name.items()} for by_name in settings.statistics],
            lambda share: bar.advance(task, share),
            settings.running_statistics,
        )
