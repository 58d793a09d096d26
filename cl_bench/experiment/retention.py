"""What a model still knows of data sets that are never trained on: `evaluation.retention=[textures]`.

Each has its own head and is evaluated among its own classes, on its test images, after every task beside θ₀.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from cl_bench.backbones import Backbone
from cl_bench.evaluation import Counts
from cl_bench.experiment.head import left_out, words_head
from cl_bench.experiment.settings import RunSettings
from cl_bench.experiment.user_parts import made
from cl_bench.heads import Head
from cl_bench.images.images import ImageDataset
from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.memo import Memo
from cl_bench.runtime.source_code import targets
from cl_bench.scenarios import Scenario, SeveralDatasets
from cl_bench.store import permissions

log = logging.getLogger(__name__)


class Retained(NamedTuple):
    """The data sets that are never trained on, with their head."""

    scenario: Scenario
    head: Tensor  # (C, D)


def retained_scenario(config: Mapping[str, Any], scenario: Scenario, memo: Memo | None = None) -> Scenario | None:
    """Reads the data sets; None where none is named.

    Args:
        config: Of the run.
        scenario: What is trained on.
        memo: Data sets that were read for other runs.

    Raises:
        UserError: Files are missing, or a data set is trained on.
    """
    nodes: Mapping[str, Mapping[str, Any]] = config.get("retention") or {}
    if not nodes:
        return None
    found = {name: _read(name, node, memo) for name, node in nodes.items()}
    images, names = ({getattr(data, key) for data in scenario.datasets} for key in ("images_identity", "name"))
    if known := [name for name, data in found.items() if data.images_identity in images or data.name in names]:
        raise UserError(
            f"evaluation.retention={known[0]}: a data set of this name, or with the same images, is trained on, so it "
            "says nothing of what never is; leave it out."
        )
    _warn_of_same_reader(nodes, config)
    return SeveralDatasets(dict(found))


def retained(
    config: Mapping[str, Any], settings: RunSettings, scenario: Scenario, backbone: Backbone
) -> Retained | None:
    """Prepares images and makes the head of the data sets that are never trained on; None where none is named.

    Raises:
        UserError: See `retained_scenario`; or the head cannot tell two classes of a data set apart.
    """
    found = retained_scenario(config, scenario)
    if found is None:
        return None
    with permissions.explained("paths.prepared_dir=…"), distributed.main_first():
        if backbone.transform.resampling == "batched":
            found.prepare(backbone.transform.size, settings.prepared_dir)
        else:
            found.look_at_files(settings.prepared_dir)
    head = words_head(backbone, found, settings.store_dir / "heads")
    left_out(Head(head), found, config)
    return Retained(found, head)


def described(names: Sequence[str], rows: Sequence[Counts | None]) -> dict[str, Any] | None:
    """What the record says, in percent; None where no data set is named.

    Args:
        names: Of the data sets.
        rows: What θ₀ and then the merged model after each task got right; None where it was not evaluated.

    Returns:
        `datasets`; `matrix`, a row for each of `rows` and a column for each data set; `zero_shot` and `last`, the means
        of the first and the last row; `change`, their difference.
    """
    if not names:
        return None
    nothing: list[float | None] = [None] * len(names)
    matrix = [nothing if row is None else row.matrix_row("task_aware").tolist() for row in rows]
    zero_shot, last = (float(np.mean(np.array(row, dtype=float))) for row in (matrix[0], matrix[-1]))
    change = last - zero_shot
    return {"datasets": list(names), "matrix": matrix, "zero_shot": zero_shot, "last": last, "change": change}


def check_encoder_changes(found: Retained | None, pretrained: Mapping[str, Tensor]) -> None:
    """Refuses data sets that are never trained on where only the head's rows of other classes learn.

    Args:
        found: The data sets.
        pretrained: What tasks change, before any task.
    """
    if found is not None and pretrained.keys() == {"head"}:
        raise UserError(
            "evaluation.retention means nothing to a trainer that leaves the encoder as it is: zero-shot is all that "
            "could be measured. Leave it out, or choose another trainer."
        )


def _warn_of_same_reader(nodes: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]) -> None:
    """Other images of a data set that is trained on have another identity, and perhaps another name."""
    trained = {target for _, target in targets({"scenario": config["scenario"]})}
    for name, node in nodes.items():
        if node.get("_target_") in trained and distributed.is_main():
            log.warning(
                "evaluation.retention=%s is read by %s, as trained images are: see that they share no image.",
                *(name, node["_target_"]),
            )


def _read(name: str, node: Mapping[str, Any], memo: Memo | None) -> ImageDataset:
    def read() -> ImageDataset:
        return made(ImageDataset, node, f"evaluation.retention={name}")

    dataset: ImageDataset = memo(["dataset", node], read) if memo else read()
    return dataset
