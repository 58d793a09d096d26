"""The head of a run: made of class names or of images, and searched for classes that it cannot tell apart."""

import copy
import hashlib
import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cl_bench.backbones import Backbone, Clip
from cl_bench.backbones.features import features_of
from cl_bench.experiment.settings import RunSettings
from cl_bench.heads import Head
from cl_bench.heads.alike import alike
from cl_bench.heads.naming import listed, named_clusters
from cl_bench.heads.prototypes import class_means
from cl_bench.heads.zero_shot import head_key, zero_shot_head
from cl_bench.images.samples import Samples
from cl_bench.runtime import distributed, source_code
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import Experience, Scenario
from cl_bench.store import atomic, permissions

log = logging.getLogger(__name__)


_SCHEMA = 1  # rises when class means are computed in another way


def make_head(settings: RunSettings, scenario: Scenario, backbone: Backbone) -> Head:
    """Makes the scenario's head, or reads it from the store; all ranks do.

    Raises:
        UserError: It is made of words, and the backbone has no text tower.
    """
    folder = settings.store_dir / "heads"
    with permissions.explained("paths.store_dir=…"):
        if settings.head_settings.from_words:
            return Head(words_head(backbone, scenario, folder))
        arrival = first_arrivals(scenario)
        return Head(_class_means(settings, scenario, backbone, arrival, folder), arrival, settings.head_settings.lr)


def words_head(backbone: Backbone, scenario: Scenario, folder: Path) -> Tensor:
    """`scenario_head` of rank 0, on all ranks."""
    head = distributed.from_main(scenario_head(backbone, scenario, folder) if distributed.is_main() else None)
    assert head is not None  # rank 0 made it
    return head


def first_arrivals(scenario: Scenario) -> Tensor:
    """`Head.arrival` of a head that is made of training images."""
    classes, stream = sum(len(labels.class_names) for labels in scenario.labels), scenario.train_stream
    arrival = torch.full((classes,), len(stream))
    for number in reversed(range(len(stream))):
        arrival[stream[number].classes_in_this_experience] = number
    return arrival


def as_tasks_arrive(head: Head, scenario: Scenario, experiences: Sequence[Experience]) -> tuple[Head, list[Experience]]:
    """Fits the head and the tasks of a trainer to each other, where rows are made when classes arrive.

    Joint training brings all classes at once. And while a task is learned, classes that are still to come do not
    compete for its images.
    """
    if (arrival := head.arrival) is None:
        return head, list(experiences)
    if len(experiences) != (tasks := len(scenario.train_stream)):
        arrival = (arrival == tasks).long() * tasks
    arriving = [copy.copy(experience) for experience in experiences]
    for number, experience in enumerate(arriving):
        experience.class_masks = experience.class_masks & (arrival <= number)
    return replace(head, arrival=arrival), arriving


def _class_means(
    settings: RunSettings, scenario: Scenario, backbone: Backbone, arrival: Tensor, folder: Path
) -> Tensor:
    """Computes the class means, once: the store keeps them under all that they depend on."""
    content = [_SCHEMA, backbone.identity, scenario.identity(), settings.devices.precision]
    content.append(source_code.outside(type(backbone)))
    if settings.devices.matmul_precision != "highest":
        content.append(settings.devices.matmul_precision)
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{key}.safetensors"
    cached = distributed.from_main(atomic.read_safetensors(path) if distributed.is_main() else None)
    if cached is not None:
        return cached["head"]
    if distributed.is_main():
        log.info("head: class means of the features of all training images, once")
    encoder = copy.deepcopy(backbone.encoder).eval().to(settings.devices.device)
    features = features_of(
        encoder,
        _arriving(scenario, arrival),
        backbone.transform,
        settings.evaluation.batch_size,
        settings.devices.workers,
        settings.devices.device,
        settings.devices.autocast,
    )
    rows = class_means(features, len(arrival), backbone.feature_size)
    if distributed.is_main():
        atomic.write_safetensors(path, {"head": rows})
    return rows


def _arriving(scenario: Scenario, arrival: Tensor) -> Samples:
    """The training images of each class in the first task that has some."""
    parts = []
    for number, experience in enumerate(scenario.train_stream):
        parts.append(experience.samples.where(arrival[experience.samples.labels] == number))
    return Samples.concatenate(parts, [0] * len(parts))


def scenario_head(backbone: Backbone, scenario: Scenario, folder: Path) -> Tensor:
    """Makes the (C, D) head: the rows of all data sets, one after another.

    Words of class names that the model does not know are named in a warning.

    Args:
        backbone: Its text tower makes the rows.
        scenario: Has the class names and prompts.
        folder: Where heads are kept.
    """
    clip, heads = with_words(backbone), []
    for data, (class_names, prompts) in zip(scenario.datasets, scenario.labels, strict=True):
        if unknown := clip.unknown_words(class_names):
            log.warning(
                "%s: %s was not trained on these words of the class names: %s; each stands for itself, without a "
                "meaning until training gives it one.",
                *(data.name, clip.name, listed(unknown)),
            )
        heads.append(zero_shot_head(clip, class_names, prompts, folder))
    return torch.cat(heads)


def head_identity(settings: RunSettings, backbone: Backbone, scenario: Scenario) -> list[Any]:
    """Plain data that differ whenever the head does, where backbone and scenario are the same."""
    if not settings.head_settings.from_words:
        return ["class means", _SCHEMA, settings.head_settings.lr]
    clip = with_words(backbone)
    return [head_key(clip, class_names, prompts) for class_names, prompts in scenario.labels]


def with_words(
    backbone: Backbone, asking: str = "head=zero_shot", remedy: str = "choose head=prototypes or head=linear"
) -> Clip:
    """Refuses a backbone that cannot make a zero-shot head; returns the others.

    Args:
        backbone: The backbone.
        asking: The setting that needs words.
        remedy: What to do about it.

    Raises:
        UserError: It has no text tower, or its tokenizer is not there.
    """
    if not isinstance(backbone, Clip):
        raise UserError(f"{asking} needs a text tower, which {backbone.name} does not have; {remedy}.")
    backbone.tokens([""])  # some tokenizers have to be downloaded, and now is the time to find that they cannot
    return backbone


def check_head(settings: RunSettings, config: Mapping[str, Any], backbone: Backbone) -> None:
    """Refuses a user's own head, and a backbone without the words that a run needs, before images are prepared."""
    if (source := type(settings.head_settings).__module__).partition(".")[0] != "cl_bench":
        raise UserError(
            f"head._target_={source}.{type(settings.head_settings).__name__}: a head of your own cannot make rows, "
            "since head= says only where they come from; a classifier of your own is a trainer, see trainers/ranpac.py."
        )
    if settings.head_settings.from_words:
        with_words(backbone)
    if config.get("retention"):
        with_words(backbone, "evaluation.retention", "leave it out")


def left_out(head: Head, scenario: Scenario, config: Mapping[str, Any]) -> dict[str, str]:
    """Refuses a head that cannot tell competing classes apart, and says which accuracies mean nothing.

    An accuracy means nothing where classes of several data sets have the same row, so that a tie would decide.

    Args:
        head: The head.
        scenario: Says which classes compete for an image.
        config: The run's configuration, whose settings the remedy names.

    Returns:
        The kinds of accuracy that are left out, each with the reason.

    Raises:
        UserError: Two classes that compete for an image have the same row.
    """
    names = [name for labels in scenario.labels for name in labels.class_names]
    competing, known = _competing(scenario), head.known(len(scenario.train_stream))
    found = alike(head.rows, competing if known is None else competing & known)
    if found.confused and head.arrival is not None:
        raise UserError(
            f"head={head_name(config)} cannot tell these classes apart, since the means of their features are the "
            f"same: {named_clusters(found.confused, names)}.\nSee that their training images differ."
        )
    if found.confused:
        dataset, other = (_dataset_name(label, scenario) for label in found.confused[0][:2])
        equal = any(names[pair.first] == names[pair.second] for pair in found.confused)
        raise UserError(
            "The head cannot tell these classes apart, since their rows are the same: "
            f"{named_clusters(found.confused, names)}.\n"
            + (_remedy(config, dataset, equal) if dataset == other else _remedy_between(dataset, other))
        )
    if scenario.one_label_space and distributed.is_main():
        _warn_of_shared_names(scenario, "prompts" if head.arrival is None else "training images")
    if found.close and distributed.is_main():
        log.warning(
            "The head's rows are nearly the same for: %s; images of these classes are hard to tell apart.",
            named_clusters(found.close, names),
        )
    if not found.tied:
        return {}
    tied = named_clusters(found.tied, names)
    why = "data sets share words" if head.arrival is None else "classes of several data sets have the same mean"
    return {"task_agnostic": f"{why}, and among all classes a tie would decide between {tied}"}


def head_name(config: Mapping[str, Any]) -> str:
    """The choice of the group `head`, as the user types it."""
    return str(config.get("choices", {}).get("head") or "zero_shot")


def _warn_of_shared_names(scenario: Scenario, by: str) -> None:
    """Warns where the task is not known and two data sets have a class of one name, told apart by their rows alone."""
    owners: dict[str, list[str]] = {}
    for data in scenario.datasets:
        for name in data.class_names:
            owners.setdefault(name.replace("_", " ").casefold(), []).append(data.name)
    shared = [f"{name} ({', '.join(of)})" for name, of in owners.items() if len({*of}) > 1]
    if shared:
        log.warning(
            "Several data sets have classes of the same name, told apart by their %s alone; an image counts as right "
            "only for the class of its own data set: %s",
            *(by, listed(shared)),
        )


def _competing(scenario: Scenario) -> Tensor:
    """(G, C) bool: which classes compete for an image.

    All classes do where the headline is an accuracy among all of them. Elsewhere it is those that some image is
    compared with.
    """
    masks = torch.cat([experience.class_masks for stream in scenario.streams.values() for experience in stream])
    if scenario.one_label_space or "task_aware" not in scenario.headline:
        return torch.ones_like(masks[:1])
    different: Tensor = torch.unique(masks, dim=0)
    return different


def _dataset_name(label: int, scenario: Scenario) -> str:
    """The name of the data set that a class belongs to."""
    ends = itertools.accumulate(len(labels.class_names) for labels in scenario.labels)
    return next(data.name for data, end in zip(scenario.datasets, ends, strict=True) if label < end)


def _remedy(config: Mapping[str, Any], dataset: str, equal: bool) -> str:
    """What the user can do about classes that look the same; no backbone tells classes of equal names apart."""
    other = "choose another backbone, such as backbone=vit_b_16"
    setting = _class_names_setting(config, dataset)
    if equal:
        return f"Rename one of those that have the same name{f', {setting}' if setting else ' in the data set'}."
    if setting is None:
        return f"These names are the data set's, so {other}."
    return f"Name them with other words (letter case and spaces make no difference), {setting}, or {other}."


def _remedy_between(dataset: str, other: str) -> str:
    return (
        f"They are classes of two data sets, {dataset} and {other}, that share words, and the task is not known: leave "
        "one of the two out, task_order=[…], or let the task be known, scenario.task_known=true."
    )


def _class_names_setting(config: Mapping[str, Any], dataset: str) -> str | None:
    """The setting that renames the classes of a data set, as the user types it; None where there is no such setting."""
    node, scenario = config.get("dataset"), config["scenario"]
    if node is not None and scenario.get("dataset") == node and "class_names" in node:
        return "'dataset.class_names={folder: name}'"
    if "class_names" in scenario:
        return "'scenario.class_names=[…]'"
    for name, node in scenario.get("datasets", {}).items():
        if "cl_bench.datasets.folder." in node.get("_target_", "") and name == dataset:
            return f"'++scenario.datasets.{name}.class_names={{folder: name}}'"
    return None
