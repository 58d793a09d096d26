"""What a record says of experts, and what a reader of their numbers has to know."""

from collections.abc import Iterator, Sequence
from typing import Any

from cl_bench.evaluation import Counts
from cl_bench.evaluation.accuracies import KINDS
from cl_bench.experiment.experts.checked import Expert
from cl_bench.experiment.experts.published import published
from cl_bench.experiment.parts import Parts


def described(parts: Parts, own: Sequence[Counts | None]) -> list[dict[str, Any]] | None:
    """Plain data on each expert; None where tasks were trained.

    Args:
        parts: Of the run.
        own: Counts of each one's own accuracy, where it was measured.
    """
    if not parts.experts:
        return None
    return [
        {
            "task": expert.task,
            "source": expert.source,
            "commit": expert.commit,
            "files": [file.path for file in expert.reference.files],
            "sha256": expert.reference.content,
            "layout": expert.reference.layout,
            "licence": expert.licence,
            "relative_change": expert.relative_change,
            "accuracy": counts and _own(parts, counts, task),
        }
        for task, (expert, counts) in enumerate(zip(parts.experts, own, strict=True))
    ]


def notes(parts: Parts) -> list[str]:
    """Says which test images the experts may have been trained on, and which validation images."""
    return [*on_test_images(parts.experts), *_on_validation_images(parts)] if parts.experts else []


def _own(parts: Parts, counts: Counts, task: int) -> dict[str, float | None]:
    return {kind: float(counts.matrix_row(kind)[task]) if kind in parts.kinds else None for kind in KINDS}


def on_test_images(experts: Sequence[Expert]) -> Iterator[str]:
    """Says whose test images may have been trained on; the order of tasks makes no difference.

    Args:
        experts: Of a run.
    """
    known = published()
    theirs = [expert for expert in experts if expert.source.startswith(f"{known.owner}/") and expert.commit]

    def names(tasks: Sequence[str]) -> str:
        return "all tasks" if len(tasks) == len(experts) else ", ".join(sorted(tasks))

    if mixed := [one.task for one in theirs if known.test_images.get(one.task) == "mixed"]:
        yield (
            f"The experts of {names(mixed)} may have been trained on some of the test images: their publisher's split "
            "is not the one used here."
        )
    if unknown := [one.task for one in theirs if one.task not in known.test_images]:
        yield (
            f"It is not known whether the experts of {names(unknown)} were trained on some of the test images: their "
            "publisher's split is not listed."
        )
    if others := [one.task for one in experts if one not in theirs and not one.ours]:
        yield (
            f"It is not known on which images the weights of {names(others)} were trained: test images may be among "
            "them."
        )


def _on_validation_images(parts: Parts) -> Iterator[str]:
    chooses = len(parts.scalings) > 1 and "validation" in parts.scenario.streams
    if chooses or parts.evaluation.split == "validation":
        yield (
            "Validation images are training images that are set aside here, but the weights that were read may have "
            "been trained on them."
        )
