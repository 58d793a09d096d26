"""What a merger that makes a model for each task means for a run: what is left out, and what it does not go with."""

from cl_bench.experiment.settings import RunSettings
from cl_bench.mergers import BaseMerger
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.setting_names import choice
from cl_bench.scenarios import Experience, Scenario
from cl_bench.trainers import TaskTrainer


def left_out_by(merger: BaseMerger) -> dict[str, str]:
    """The kinds of accuracy that such models do not have, each with the reason; none for other mergers."""
    if not merger.per_task:
        return {}
    return {"task_agnostic": f"{_name(merger)} makes a model for each task, which answers only where the task is known"}


def notes(merger: BaseMerger) -> list[str]:
    """What a reader of such models' numbers has to know."""
    if not merger.per_task:
        return []
    return [
        f"{_name(merger)} answers each task by a model of its own, and by the pre-trained one before it arrives; rules "
        "that make one model have less to go by, so compare task-aware accuracies alone."
    ]


def check_per_task(
    settings: RunSettings, scenario: Scenario, trainer: TaskTrainer, experiences: list[Experience]
) -> None:
    """Refuses what needs one model of all tasks.

    Raises:
        UserError: The run asks for such a model; names the setting.
    """
    merger = settings.merger
    if not merger.per_task:
        return
    each = f"{_name(merger)} makes a model for each task"
    if trainer.starts_from == "merged":
        raise UserError(
            f"{each}, so there is no merged model for {choice('trainer', type(trainer))} to start from; choose another "
            "merger, or trainer=sequential."
        )
    if experiences and len(experiences) != len(scenario.test_stream):
        raise UserError(
            f"{each}, but {choice('trainer', type(trainer))} learns {len(experiences)} for "
            f"{len(scenario.test_stream)} tasks; choose merger=last."
        )
    if settings.save_merged:
        raise UserError(f"{each}, so save_merged=true has no merged model to write; leave it out.")
    if settings.evaluation.retention:
        names = ",".join(settings.evaluation.retention)
        raise UserError(
            f"{each}, and none for data sets that are never trained on; leave evaluation.retention=[{names}] out."
        )


def _name(merger: BaseMerger) -> str:
    return choice("merger", type(merger))
