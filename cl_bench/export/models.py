"""The models of a finished run, under the names of their folders."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from cl_bench.analyses.opened_run import OpenedRun
from cl_bench.experiment.image_tower import no_image_tower
from cl_bench.experiment.merged_file import find_merged
from cl_bench.runtime.errors import UserError, shortened
from cl_bench.store.models import read_model

MERGED = "merged"


class ExportedModel(NamedTuple):
    """A model that is written.

    Attributes:
        folder: The name of its folder.
        task: Whose weights they are; None for the merged model.
        weights: By open_clip's names of the image tower.
    """

    folder: str
    task: str | None
    weights: Mapping[str, Tensor]


def models(run: OpenedRun, record: Path) -> list[ExportedModel]:
    """All that the run has left: the merged model where it was saved, and θ_t of each task that it trained.

    Experts that were imported are files of somebody else, and stay where they are.

    Args:
        run: The run.
        record: Its `result.json`.

    Raises:
        UserError: Its weights are no image tower, the merged model is not the record's, or there is nothing to export.
    """
    if reason := no_image_tower(run.parts.trainer):
        raise UserError(f"{record}: {reason}.")
    found = [] if run.parts.experts else list(_tasks(run))
    if merged := find_merged(run.record, record.parent):
        found.append(ExportedModel(MERGED, None, read_model(merged)))
    if not found:
        raise UserError(
            f"{record} has neither tasks that were trained nor a merged model. Run it with save_merged=true to get one."
        )
    return found


def folders(tasks: Sequence[str]) -> list[str]:
    """Names of folders for tasks: their own where all can be folders' names, as data sets' can; else numbers."""
    plain = all(re.fullmatch(r"\w[\w.-]{0,99}", task, re.ASCII) for task in tasks)
    if plain and len({task.lower() for task in (*tasks, MERGED)}) == len(tasks) + 1:
        return list(tasks)
    return [f"task_{number:02d}" for number in range(1, len(tasks) + 1)]


def _tasks(run: OpenedRun) -> Iterator[ExportedModel]:
    names = [experience.name for experience in run.parts.experiences]
    for folder, name, weights in zip(folders(names), names, run.finetuned, strict=True):
        if weights.keys() != run.parts.pretrained.keys():
            raise UserError(f"{name}: its stored weights have other names than the backbone: {shortened(weights)}.")
        yield ExportedModel(folder, name, weights)
