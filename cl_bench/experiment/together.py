"""Parts that depend on each other: they are made with what the others say, and have to go together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from textwrap import shorten
from typing import Any

from torch import Tensor, nn

from cl_bench.backbones import Backbone
from cl_bench.experiment import rehearsal
from cl_bench.experiment.image_tower import no_image_tower
from cl_bench.experiment.per_task import check_per_task
from cl_bench.experiment.sees_test_images import check_adaptation
from cl_bench.experiment.settings import RunSettings, group_settings, part, read_merger
from cl_bench.heads import Head
from cl_bench.mergers import Last
from cl_bench.mergers.engine.pretrained import parameters_of
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.setting_names import choice
from cl_bench.scenarios import Experience, Scenario, images_needed
from cl_bench.trainers import Given, TaskTrainer
from cl_bench.trainers.base import layers
from cl_bench.trainers.imported import Imported
from cl_bench.trainers.ranpac import RanPAC
from cl_bench.trainers.statistics import fisher_diagonal


def make_trainer(
    config: Mapping[str, Any],
    settings: RunSettings,
    backbone: Backbone,
    head: Head,
    encoder: nn.Module | None = None,
) -> TaskTrainer:
    """Makes the trainer, which is given the encoder and head of the run and told what the merger needs of it."""
    given = Given(
        encoder=backbone.encoder if encoder is None else encoder,
        head=head.rows,
        transform=backbone.transform,
        optimization=settings.optimization,
        compile=settings.devices.compile,
        keep=settings.merger.requires,
        head_arrives=head.arrival is not None,
        head_lr=head.lr,
        seed=settings.seed,
    )
    trainer = part(config, "trainer", TaskTrainer, given=given)
    rehearsal.trainer(trainer)
    return trainer


def check_split(settings: RunSettings, scenario: Scenario) -> None:
    """Refuses to evaluate on validation images where there are none."""
    if settings.evaluation.split not in scenario.streams:
        raise UserError("evaluation.split=validation needs images: add scenario.validation_share=0.2, for example.")


def check_together(settings: RunSettings, scenario: Scenario, trainer: TaskTrainer) -> list[Experience]:
    """Refuses a trainer, merger and scenario that do not go together; returns the experiences of its tasks."""
    merger, optimization = settings.merger, settings.optimization
    experiences = trainer.experiences(scenario)
    leaves = trainer.leaves if trainer.trains or not experiences else frozenset()
    if missing := merger.requires - leaves:
        raise UserError(
            f"{choice('merger', type(merger))} needs {', '.join(sorted(missing))} of the training, "
            f"which {choice('trainer', type(trainer))} does not leave behind."
        )
    if asking := [rule for rule in merger.chain() if rule.starts_from not in (None, trainer.starts_from)]:
        raise UserError(
            f"{choice('merger', type(asking[0]))} needs tasks that start from the merged weights: "
            f"add trainer.starts_from={asking[0].starts_from}."
        )
    if any(rule.starts_from for rule in merger.chain()) and (merger.inside or merger.scaling != 1):
        # Tasks would start from other weights than those that the rule takes them to have started from.
        raise UserError(
            f"{choice('merger', type(merger))}: a rule that needs tasks that start from the merged weights has to make "
            "these weights itself: use it alone, with merger.scaling=1."
        )
    if trainer.refines and not merger.restarts:
        raise UserError(
            f"{choice('trainer', type(trainer))} refines the merged model, from which {choice('merger', type(merger))} "
            "cannot go on; choose merger=cmm merger.scaling=1, or trainer.refinement=null."
        )
    if isinstance(trainer, Imported) and trainer.one_for_all and not isinstance(merger, Last):
        raise UserError(
            f"{choice('trainer', type(trainer))} evaluates a model as it is: there is nothing to merge, so leave out "
            f"{choice('merger', type(merger))}."
        )
    if isinstance(trainer, RanPAC) and not isinstance(merger, Last):
        raise UserError(
            "trainer=ranpac: its last classifier knows all tasks, so there is nothing to merge; leave out "
            f"{choice('merger', type(merger))}."
        )
    if settings.save_merged and (reason := no_image_tower(trainer)):
        raise UserError(f"save_merged=true: {reason}; leave it out.")
    untrained = not trainer.trains or isinstance(trainer, Imported) or trainer.weights().keys() == {"head"}
    if trainer.head_rows.learns and untrained:
        raise UserError(
            f"{choice('trainer', type(trainer))} trains no encoder beside the head's rows, as "
            f"{choice('head', type(settings.head_settings))} has it; choose head=prototypes."
        )
    weights = trainer.weights()
    try:
        merger.check_names(parameters_of(weights))
    except ValueError as error:
        raise UserError(f"{choice('merger', type(merger))}: {error}.") from error
    check_per_task(settings, scenario, trainer, experiences)
    check_adaptation(settings, scenario, trainer, experiences)
    trained = [] if isinstance(trainer, Imported) else experiences
    if trained and trainer.trains:
        _check_layers(settings, {name: weights[name] for name in parameters_of(weights)})
        if "fisher_diagonal" in merger.requires:
            fisher_diagonal.check(trainer.encoder, trainer.transform.size)
    if optimization.epochs is None and (silent := [task.name for task in trained if not task.epochs]):
        raise UserError(
            "optim.epochs=null, and the scenario does not say how often to pass over the images of "
            f"{shorten(', '.join(silent), 100)}: set a number for all, such as optim.epochs=10."
        )
    several = len(settings.scalings) > 1
    images_needed.check(scenario, trained, settings.evaluation.split == "validation" or several)
    if several and (trainer.starts_from == "merged" or trainer.refines):
        raise UserError(
            "merger.scaling is a list, but tasks start from the merged weights: name one number; a run for each is "
            f"-m merger.scaling={','.join(map(str, settings.scalings))}."
        )
    return experiences


def _check_layers(settings: RunSettings, parameters: Mapping[str, Tensor]) -> None:
    """Refuses to ask of the encoder's layers what they cannot give."""
    if settings.optimization.layer_decay is not None:
        layers.check(parameters)
    if "grams" in settings.merger.requires and not any(tensor.dim() == 2 for tensor in parameters.values()):
        raise UserError(
            f"{choice('merger', type(settings.merger))} needs Gram matrices of linear layers, of which the image "
            "encoder has none; choose another merger."
        )


def with_task_weights(
    config: Mapping[str, Any], settings: RunSettings, trainer: TaskTrainer, experiences: Sequence[Experience]
) -> RunSettings:
    """The same with a merger that has the weights of tasks, now that these are known; checks them and their number."""
    merger, weights = read_merger(group_settings(config, "merger"), _names(experiences))[1], trainer.weights()
    try:
        merger.check_tasks({name: weights[name] for name in parameters_of(weights)}, len(experiences))
    except ValueError as error:
        raise UserError(f"{choice('merger', type(merger))}: {error}.") from error
    return replace(settings, merger=merger)


def rehearse_merger(
    config: Mapping[str, Any],
    settings: RunSettings,
    backbone: Backbone,
    trainer: TaskTrainer,
    experiences: Sequence[Experience],
) -> None:
    """Has the merger merge in small, if it is the user's own, before anything is trained."""
    node, tasks = group_settings(config, "merger"), _names(experiences)
    rehearsal.merger(
        lambda: read_merger(node, tasks)[1], trainer.weights(), backbone.frozen_parameters, settings.running_statistics
    )


def _names(experiences: Sequence[Experience]) -> list[str]:
    return [experience.name for experience in experiences]
