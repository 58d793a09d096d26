"""What a merger that learns on unlabelled test images means for a run: what it does not go with, and what is said."""

from cl_bench.experiment.settings import RunSettings
from cl_bench.mergers import BaseMerger
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.setting_names import choice
from cl_bench.scenarios import Experience, Scenario
from cl_bench.trainers import TaskTrainer


def notes(merger: BaseMerger) -> list[str]:
    """What a reader of its numbers has to know."""
    if not merger.sees_test_images:
        return []
    return [
        f"{_name(merger)} looks at unlabelled test images, and at which task each is of, so it stands in a group of "
        "its own and does not compete with rules that see none."
    ]


def check_adaptation(
    settings: RunSettings, scenario: Scenario, trainer: TaskTrainer, experiences: list[Experience]
) -> None:
    """Refuses what would train on test images, choose by them, or has no test images for each task.

    Raises:
        UserError: Names the setting.
    """
    merger = settings.merger
    if not merger.sees_test_images:
        return
    looks = f"{_name(merger)} learns on unlabelled test images"
    if trainer.starts_from == "merged":
        raise UserError(
            f"{looks}, and tasks that start from the merged weights would be trained on what it has seen; choose "
            "trainer=sequential, or another merger."
        )
    if len(settings.scalings) > 1:
        raise UserError(
            f"{looks} for each λ anew, so merger.scaling cannot be a list; name one number, or leave it out, since the "
            "coefficients take its place."
        )
    if experiences and len(experiences) != len(scenario.test_stream):
        raise UserError(
            f"{looks} of each task, but {choice('trainer', type(trainer))} learns {len(experiences)} for "
            f"{len(scenario.test_stream)} tasks; choose merger=last."
        )


def _name(merger: BaseMerger) -> str:
    return choice("merger", type(merger))
