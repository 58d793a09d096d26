"""A rehearsal for the user's own classes: each does in small what the run will ask of it, before anything is trained.

What only training can show is checked in training, before it is stored. The project's own classes are not rehearsed.
"""

import contextlib
import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from cl_bench.backbones import Backbone
from cl_bench.mergers import BaseMerger
from cl_bench.mergers.engine.checks import check_task
from cl_bench.mergers.engine.pretrained import parameters_of
from cl_bench.mergers.engine.running_statistics import RunningStatistics
from cl_bench.mergers.engine.trial import trial
from cl_bench.runtime import user_code
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.user_code import describe, is_from_outside
from cl_bench.scenarios import Experience, Scenario
from cl_bench.trainers import TaskTrainer, Weights

log = logging.getLogger(__name__)


def scenario(scenario: Scenario) -> None:
    """Checks the tasks of a scenario.

    Raises:
        UserError: The streams differ in length or hold something other than tasks, or a label is of no class.
    """
    if not is_from_outside(scenario):
        return
    what, classes = _named("scenario", scenario), sum(len(labels.class_names) for labels in scenario.labels)
    streams = {name: list(stream) for name, stream in scenario.streams.items()}
    for name in ("train", "test"):
        if not streams.get(name):
            raise UserError(f"{what} has no task in its {name}_stream.")
    if len({len(stream) for stream in streams.values()}) > 1:
        lengths = ", ".join(f"{len(stream)} in {name}_stream" for name, stream in streams.items())
        raise UserError(f"{what} has different numbers of tasks: {lengths}; task i of each belongs together.")
    for name, stream in streams.items():
        for number, task in enumerate(stream, start=1):
            where = f"{what}, {name}_stream, task {number}"
            if not isinstance(task, Experience):
                raise UserError(f"{where} is {_kind(task)}, not a cl_bench.scenarios.Experience.")
            if task.class_masks.dim() != 2 or task.class_masks.shape[1] != classes:
                shape = tuple(task.class_masks.shape)
                raise UserError(f"{where}: class_masks have shape {shape}, not (groups, {classes}): one per class.")
            if task.classes_in_this_experience and max(task.classes_in_this_experience) >= classes:
                raise UserError(f"{where} has a label {max(task.classes_in_this_experience)} of {classes} classes.")


def backbone(backbone: Backbone, head: Tensor) -> None:
    """Lets an image encoder encode two black images.

    Args:
        backbone: Holds the encoder.
        head: (C, D), whose width D the features must have.

    Raises:
        UserError: The encoder fails, or its features have another width.
    """
    if not is_from_outside(backbone):
        return
    what, encoder = _named("backbone", backbone), backbone.encoder
    was_training, size = encoder.training, backbone.transform.size
    try:
        with torch.no_grad():
            features = encoder.eval()(torch.zeros(2, 3, size, size))
    except Exception as error:
        raise UserError(
            f"{what}: its encoder cannot encode images of {size} x {size} pixels: {describe(error)}; debug=true "
            "shows the traceback."
        ) from error
    finally:
        encoder.train(was_training)
    expected = (2, head.shape[1])
    if not isinstance(features, Tensor) or tuple(features.shape) != expected:
        raise UserError(f"{what}: of two images its encoder makes {_kind(features)}, not features of shape {expected}.")


def merger(
    make: Callable[[], BaseMerger], pretrained: Mapping[str, Tensor], frozen: int, statistics: RunningStatistics
) -> None:
    """Lets a merger merge two random task vectors into θ₀, in the shapes of the run.

    Args:
        make: Makes a new merger each time, since one may remember what it has seen.
        pretrained: θ₀.
        frozen: Number of parameters of the published model that are not in θ₀.
        statistics: What becomes of normalization layers' statistics.

    Raises:
        UserError: The merger fails, changes its inputs or returns no weights; names class, parameter and line.
    """
    users = [one for one in make().chain() if is_from_outside(one)]
    if not users:
        return
    what = _named("merger", users[0])
    try:
        differs = trial(make(), pretrained, frozen, statistics)
    except Exception as error:
        parameter = _failing_parameter(make, pretrained, frozen, error)
        raise UserError(
            f"{what} cannot merge{parameter}: {describe(error)}. It was tried on random task vectors, before training; "
            "debug=true shows the traceback."
        ) from error
    if not differs:
        log.warning(
            "%s merges random task vectors to the pre-trained weights themselves; fold changes the state in place, as "
            "in state[0].add_(block.vector).",
            what,
        )


def _failing_parameter(
    make: Callable[[], BaseMerger], pretrained: Mapping[str, Tensor], frozen: int, error: Exception
) -> str:
    """Names the first parameter that cannot be merged on its own; empty where each of them can."""
    for name in parameters_of(pretrained):
        try:
            trial(make(), {name: pretrained[name]}, frozen)
        except Exception as alone:
            if type(alone) is type(error):
                return f" {name!r} of shape {tuple(pretrained[name].shape)}"
    return ""


def trainer(trainer: TaskTrainer) -> None:
    """Checks every loss and every penalty that a trainer returns, and in the first step that the head's rows learn.

    Lightning skips a step that returns no loss, without a word: the run would train nothing.
    """
    if not is_from_outside(trainer):
        return
    what, step, penalty = _named("trainer", trainer), trainer.training_step, trainer.penalty
    rows_are_checked = not trainer.head_rows.learns

    @functools.wraps(step)
    def checked(*arguments: Any, **options: Any) -> Any:
        nonlocal rows_are_checked
        answer = step(*arguments, **options)
        loss = answer.get("loss") if isinstance(answer, dict) else answer
        if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
            without = ", without a gradient" if isinstance(loss, Tensor) and not loss.requires_grad else ""
            raise UserError(
                f"{what}: training_step returns {_kind(loss)}{without}; it has to return the loss, a tensor of one "
                f"number that has a gradient{user_code.defined(step)}."
            )
        if not rows_are_checked:
            _check_rows(what, trainer, loss)
            rows_are_checked = True
        return answer

    @functools.wraps(penalty)
    def checked_penalty() -> Tensor | float:
        answer: Any = penalty()
        if not isinstance(answer, (Tensor, int, float)) or (isinstance(answer, Tensor) and answer.numel() != 1):
            raise UserError(
                f"{what}: penalty returns {_kind(answer)}; it has to return one number{user_code.defined(penalty)}."
            )
        return answer

    trainer.training_step = checked  # type: ignore[method-assign]
    trainer.penalty = checked_penalty  # type: ignore[method-assign]


def _check_rows(what: str, trainer: TaskTrainer, loss: Tensor) -> None:
    """Refuses a trainer under which the rows of a head that learns would stay as they are, without a word."""
    rows = trainer.head_rows.rows
    if rows is None or not trainer.automatic_optimization:
        return
    if torch.autograd.grad(loss, [rows], retain_graph=True, allow_unused=True)[0] is None:
        raise UserError(
            f"{what}: its loss does not depend on the head's rows, so they would learn nothing; compare features with "
            "self.head_rows.of(self.head), as TaskTrainer.logits does, or choose head=prototypes."
        )
    groups = trainer.trainer.optimizers[0].param_groups
    if not any(one is rows for group in groups for one in group["params"]):
        raise UserError(
            f"{what}: configure_optimizers leaves the head's rows out, so they would learn nothing; add the group "
            "self.head_rows.group(), or choose head=prototypes."
        )


def explained(trainer: TaskTrainer) -> contextlib.AbstractContextManager[None]:
    """Within the block, an error in the code of a user's own trainer becomes one message."""
    return user_code.explained_if_raised_outside(_named("trainer", trainer), trainer)


def left_behind(trainer: TaskTrainer, before: Weights) -> tuple[Weights, Mapping[str, Weights]]:
    """Asks a trainer for what a task leaves behind: its weights and statistics.

    Args:
        trainer: Has just trained a task.
        before: Weights with the names and shapes that are expected.

    Raises:
        UserError: The trainer returns other weights, or not all statistics that have to be kept.
    """
    answer = trainer.end_task()
    if not is_from_outside(trainer):
        return answer
    what = f"{_named('trainer', trainer)}: end_task"
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise UserError(f"{what} returns {_kind(answer)}; it has to return the weights and the statistics, by name.")
    try:
        check_task(f"{what}: what it returns", answer[0], before)
    except ValueError as error:
        raise UserError(f"{error}.") from error
    if missing := sorted((trainer.memory | trainer.keep) - answer[1].keys()):
        remedy = "return what memory names from for_later_tasks, and the others from super().end_task()"
        raise UserError(f"{what} returns no {', '.join(missing)} among the statistics; {remedy}.")
    return answer


def _named(group: str, part: object) -> str:
    return f"{group}={type(part).__module__}.{type(part).__qualname__}"


def _kind(thing: object) -> str:
    return f"a tensor of shape {tuple(thing.shape)}" if isinstance(thing, Tensor) else f"{type(thing).__name__}"
