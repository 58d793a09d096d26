"""Experts as the run uses them: read, and held against θ₀ before anything is evaluated."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from cl_bench.experiment.experts import model_card
from cl_bench.experiment.experts.located import Located
from cl_bench.experiment.relative_change import relative_change
from cl_bench.runtime.errors import UserError
from cl_bench.store import measurements
from cl_bench.store.layouts.reader import read_like
from cl_bench.store.references import Reference, ReferredFile, look_at

log = logging.getLogger(__name__)

_SUSPICIOUS = 0.3  # published experts change CLIP by a few hundredths of its norm
_OTHER_MODEL = 1.0  # further from θ₀ than zero is


@dataclass(frozen=True)
class Expert:
    """Weights for a task, which were trained elsewhere.

    Attributes:
        task: Its name.
        source: The path as it was typed, or the name on the hub.
        commit: Of the hub, to which the name led.
        reference: Its files.
        licence: As its model card says.
        ours: Whether this project exported it, so that it was trained on our split.
        relative_change: ‖θ_t − θ₀‖ / ‖θ₀‖.
    """

    task: str
    source: str
    commit: str | None
    reference: Reference
    licence: str | None
    ours: bool
    relative_change: float


def check(found: Located, pretrained: Mapping[str, Tensor], start: Any, store_dir: Path) -> Expert:
    """Reads an expert and holds it against θ₀; what was found of the same files before is not computed again.

    Args:
        found: Its files.
        pretrained: θ₀.
        start: Plain data that differ whenever θ₀ does.
        store_dir: The store.

    Raises:
        UserError: It cannot be read, or was not fine-tuned from θ₀; names the task.
    """
    try:
        files = look_at(found.path, store_dir)
        layout, change = _held_against(found.path, files, pretrained, start, store_dir)
        _check_change(found.path, change)
    except UserError as error:
        raise type(error)(f"{found.task}: {error}") from error
    card = model_card.read(found.path)
    reference = Reference(path=str(found.path.absolute()), files=files, layout=layout)
    return Expert(found.task, found.source, found.commit, reference, card.licence, card.ours, change)


def warn(experts: Sequence[Expert]) -> None:
    """Warns of experts that may not be what they are taken for."""
    for expert in experts:
        if expert.relative_change > _SUSPICIOUS:
            log.warning(
                "%s: %s is far from the pre-trained weights (by %.2g of their norm): was it fine-tuned from others?",
                *(expert.task, expert.source, expert.relative_change),
            )
        elif expert.relative_change == 0:
            log.warning(
                "%s: %s is the pre-trained model itself, so its task vector is zero", expert.task, expert.source
            )
    for number, expert in enumerate(experts):
        if same := [one.task for one in experts[:number] if one.reference.content == expert.reference.content]:
            log.warning("%s and %s have the same weights, %s", same[0], expert.task, expert.source)


def _held_against(
    path: Path, files: Sequence[ReferredFile], pretrained: Mapping[str, Tensor], start: Any, store_dir: Path
) -> tuple[str, float]:
    """The layout of a model, and its relative change."""
    of = {"measurement": "expert", "schema": 1, "files": [file.sha256 for file in files], "pretrained": start}
    known = measurements.read(store_dir / "experts", of)
    if known is None:
        read = read_like(path, pretrained)
        known = {"layout": read.layout, "relative_change": relative_change(pretrained, read.weights)}
        if math.isfinite(known["relative_change"]):
            measurements.write(store_dir / "experts", of, known)
    return known["layout"], known["relative_change"]


def _check_change(path: Path, change: float) -> None:
    if not math.isfinite(change):
        raise UserError(f"{path} holds NaN or infinite weights.")
    if change > _OTHER_MODEL:
        raise UserError(
            f"{path} is as far from the pre-trained weights as another model (by {change:.2g} of their norm): it was "
            "not fine-tuned from this backbone."
        )
