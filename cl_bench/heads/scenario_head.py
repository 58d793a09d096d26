"""The head of a scenario: made, and looked at for classes that it cannot tell apart."""

import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cl_bench.backbones import Backbone
from cl_bench.heads import alike
from cl_bench.heads.zero_shot import head_key, zero_shot_head
from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import Scenario

log = logging.getLogger(__name__)

_NAMED = 10  # of words or classes, in a message


def scenario_head(backbone: Backbone, scenario: Scenario, folder: Path) -> Tensor:
    """(C, D): the rows of all data sets, one after another; words that the model does not know are named.

    Args:
        backbone: Whose text tower makes them.
        scenario: Has class names and prompts.
        folder: Where heads are kept.
    """
    heads = []
    for data, (class_names, prompts) in zip(scenario.datasets, scenario.labels, strict=True):
        if unknown := backbone.unknown_words(class_names):
            log.warning(
                "%s: %s was not trained on these words of the class names: %s; each stands for itself, without a "
                "meaning until training gives it one.",
                *(data.name, backbone.name, _some(unknown, ", ")),
            )
        heads.append(zero_shot_head(backbone, class_names, prompts, folder))
    return torch.cat(heads)


def head_identity(backbone: Backbone, scenario: Scenario) -> list[str]:
    """Differs whenever the head does."""
    return [head_key(backbone, class_names, prompts) for class_names, prompts in scenario.labels]


def left_out(head: Tensor, scenario: Scenario, config: Mapping[str, Any]) -> dict[str, str]:
    """Looks for classes whose rows are the same, or nearly so.

    Args:
        head: (C, D).
        scenario: Says which classes compete for an image.
        config: Of the run, for the names of its settings.

    Returns:
        Which kinds of accuracy are left out, since between rows of several data sets that are the same a tie would
        decide, and why.

    Raises:
        UserError: Two classes that compete for an image have the same row.
    """
    rows = functional.normalize(head, dim=1)
    names = [repr(name) for labels in scenario.labels for name in labels.class_names]
    competing = _competing(scenario)
    pairs = alike.close_pairs(rows, competing)
    if same := _same(pairs):
        raise UserError(
            f"The head cannot tell these classes apart, since their rows are the same: {_groups(same, names)}.\n"
            f"{_remedy(config, _dataset_of(same[0].first, scenario))}"
        )
    others = []
    if not competing.all(dim=1).any():
        known = {pair[:2] for pair in pairs}
        everyone = torch.ones(1, len(rows), dtype=torch.bool)
        others = [pair for pair in alike.close_pairs(rows, everyone) if pair[:2] not in known]
    if distributed.is_main() and (close := [pair for pair in (*pairs, *others) if pair.distance >= alike.SAME]):
        log.warning(
            "The head's rows are nearly the same for: %s; images of these classes are hard to tell apart.",
            _groups(close, names),
        )
    tied = _same(others)
    if not tied:
        return {}
    reason = f"data sets share words, and among all classes a tie would decide between {_groups(tied, names)}"
    return {"task_agnostic": reason}


def _same(pairs: Iterable[alike.Pair]) -> list[alike.Pair]:
    return [pair for pair in pairs if pair.distance < alike.SAME]


def _competing(scenario: Scenario) -> Tensor:
    """(G, C) bool: all classes where the headline is among all of them, else those that any image is compared with."""
    masks = torch.cat([experience.class_masks for stream in scenario.streams.values() for experience in stream])
    if scenario.one_label_space or "task_aware" not in scenario.headline:
        return torch.ones_like(masks[:1])
    return masks.unique(dim=0)


def _groups(pairs: Iterable[alike.Pair], names: Sequence[str]) -> str:
    """Such as "'A' and 'a'; 2 classes named 'digit 0'", at most ten of each."""
    return _some([_group([names[i] for i in cluster]) for cluster in alike.clusters(pairs)], "; ")


def _group(names: Sequence[str]) -> str:
    different = list(dict.fromkeys(names))
    if len(different) == 1:
        return f"{len(names)} classes named {names[0]}"
    if len(different) > _NAMED:
        return _some(different, ", ")
    return f"{', '.join(different[:-1])} and {different[-1]}"


def _some(items: Sequence[str], between: str) -> str:
    rest = len(items) - _NAMED
    return between.join(items[:_NAMED]) + (f"{between}… ({rest} more)" if rest > 0 else "")


def _dataset_of(label: int, scenario: Scenario) -> str:
    ends = itertools.accumulate(len(labels.class_names) for labels in scenario.labels)
    return next(data.name for data, end in zip(scenario.datasets, ends, strict=True) if label < end)


def _remedy(config: Mapping[str, Any], dataset: str) -> str:
    """What can be done about it, by which names the configuration gives."""
    other = "choose another backbone, such as backbone=vit_b_16"
    setting = _setting_of_names(config, dataset)
    if setting is None:
        return f"These names are the data set's, so {other}."
    return f"Name them with other words (letter case and spaces make no difference), {setting}, or {other}."


def _setting_of_names(config: Mapping[str, Any], dataset: str) -> str | None:
    node, scenario = config.get("dataset"), config["scenario"]
    if node is not None and scenario.get("dataset") == node and "class_names" in node:
        return "'dataset.class_names={folder: name}'"
    if "class_names" in scenario:
        return "'scenario.class_names=[…]'"
    for name, node in scenario.get("datasets", {}).items():
        if "cl_bench.datasets.folder." in node.get("_target_", "") and name == dataset:
            return f"'++scenario.datasets.{name}.class_names={{folder: name}}'"
    return None
