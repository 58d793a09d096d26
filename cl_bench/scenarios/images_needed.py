"""Checks before training that every task has the images that the run needs."""

import logging
from collections.abc import Sequence
from textwrap import shorten

from cl_bench.runtime.errors import UserError
from cl_bench.scenarios.scenario import Experience, Scenario

log = logging.getLogger(__name__)

_ADD = "add some to its classes, or take fewer tasks (scenario.tasks=…)"


def check(scenario: Scenario, trained: Sequence[Experience], chooses: bool) -> None:
    """Refuses settings that leave no images to train on, to evaluate or to choose settings by.

    Args:
        scenario: The scenario.
        trained: The tasks that are trained.
        chooses: Whether the run evaluates validation images.

    Raises:
        UserError: A task has no training image, no test image or, where they are needed, no validation image; there
            are fewer training images than classes; or all images of a class are set aside.
    """
    shares = "validation" in scenario.streams
    lower = "scenario.validation_share sets them all aside: lower it" if shares else _ADD
    _check_each_has_images(trained, "training", lower)
    _check_each_has_images(scenario.test_stream, "test", _ADD)
    if chooses and shares:
        raise_it = "scenario.validation_share of the images of its classes is less than one: raise it"
        _check_each_has_images(scenario.streams["validation"], "validation", raise_it)
    images, classes = sum(len(task.samples) for task in trained), sum(len(names) for names, _ in scenario.labels)
    if trained and images < classes:
        remedy = "lower scenario.validation_share, or add images" if shares else "add images"
        raise UserError(f"There are {images} training images for {classes} classes, which cannot be learned: {remedy}.")
    _warn_of_single_classes(trained)
    if trained and shares:
        _check_classes_keep_images(scenario, trained)


def _warn_of_single_classes(trained: Sequence[Experience]) -> None:
    if single := [task.name for task in trained if bool((task.class_masks.sum(1) == 1).all())]:
        log.warning(
            "%d of %d tasks have a single class (%s): told apart from no other class, its images teach nothing unless "
            "the trainer replays earlier ones, and task-aware accuracy is 100 %% whatever the model; take fewer tasks "
            "(scenario.tasks=…)",
            *(len(single), len(trained), shorten(", ".join(single), 60)),
        )


def _check_classes_keep_images(scenario: Scenario, trained: Sequence[Experience]) -> None:
    kept = {label for task in trained for label in task.samples.targets}
    aside = {label for task in scenario.streams["validation"] for label in task.samples.targets}
    names = [name for labels in scenario.labels for name in labels.class_names]
    if lost := [names[label] for label in sorted(aside - kept)]:
        more = f" and {len(lost) - 10} more classes" if len(lost) > 10 else ""
        raise UserError(
            f"scenario.validation_share sets aside all training images of {', '.join(lost[:10])}{more}: lower it."
        )


def _check_each_has_images(tasks: Sequence[Experience], kind: str, remedy: str) -> None:
    for number, task in enumerate(tasks, start=1):
        if not len(task.samples):
            raise UserError(f"Task {number} ({shorten(task.name, 60)}) has no {kind} image; {remedy}.")
