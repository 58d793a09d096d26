"""Chooses learning rates and λ for the runs of `make photos`, by the accuracy on validation images.

The rule: for each trainer the rate with the best mean over its mergers, each with its best λ; and at this rate, for
each merger the λ with the best mean over seeds. Of equals, the smaller one is taken. The last task's weights (`last`)
stand for themselves, with λ = 1. CMM takes the tangent space's rate, or without the tangent space that of sequential
fine-tuning, which joint training takes, too.

`make photos` runs it as `python -m benchmarks.photo_settings FOLDER METHOD`, which prints settings as they are typed.
"""

import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from cl_bench.reports.headline import headline_at
from cl_bench.reports.names import method_of
from cl_bench.reports.records import Result, read_all
from cl_bench.runtime.errors import UserError

Tried = Mapping[tuple[str, float, str], Mapping[float, float]]
"""By trainer, rate and merger: the mean accuracy of each λ over seeds."""

_UNTRAINED = ("zero_shot", "ranpac")
_RATE_OF = {"joint": "sequential", "cmm": "tangent", "cmm_without_tangent": "sequential"}


def settings(folder: Path, method: str) -> list[str]:
    """What was chosen for a method, from all result records below `folder`; nothing for one that trains nothing.

    Raises:
        UserError: Its rate was not tried.
    """
    if method in _UNTRAINED:
        return []
    tried, trainer = tried_in(read_all(folder)), trainer_of(method)
    if not any(name == trainer for name, _, _ in tried):
        raise UserError(f"No rate of {trainer} was tried in {folder}: make photo-settings-{trainer}")
    rate = chosen_rate(tried, trainer)
    scalings = tried.get((trainer, rate, method.removeprefix(f"{trainer}_")))
    return [f"optim.lr={rate:g}", *([f"merger.scaling={best(scalings):g}"] if scalings else [])]


def trainer_of(method: str) -> str:
    """The trainer whose rate a method takes: `sequential` for `sequential_ties`."""
    if method in _RATE_OF:
        return _RATE_OF[method]
    first = method.partition("_")[0]
    return _RATE_OF.get(first, first)


def tried_in(results: Sequence[Result]) -> Tried:
    """Averages the accuracy of each λ over seeds.

    Raises:
        UserError: A record is not of validation images, or has one λ.
    """
    values: dict[tuple[str, float, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        if result["split"] != "validation" or not result["scalings"]:
            raise UserError(f"{result['path']} ({method_of(result)}) is no run with a list of λ on validation images.")
        choices, rate = result["choices"], result["config"]["optim"]["lr"]
        for one in result["scalings"]:
            if choices["merger"] == "last" and one["scaling"] != 1:
                continue
            values[choices["trainer"], rate, choices["merger"]][one["scaling"]].append(headline_at(one, result))
    return {cell: {scaling: statistics.mean(of) for scaling, of in by.items()} for cell, by in values.items()}


def chosen_rate(tried: Tried, trainer: str) -> float:
    """The rate of a trainer with the best mean over its mergers, each with its best λ."""
    return best({rate: mean_at(tried, trainer, rate) for name, rate, _ in tried if name == trainer})


def mean_at(tried: Tried, trainer: str, rate: float) -> float:
    """The mean over mergers of the accuracy with the best λ."""
    return statistics.mean(max(by.values()) for (name, at, _), by in tried.items() if (name, at) == (trainer, rate))


def best(values: Mapping[float, float]) -> float:
    """The rate or λ with the highest value; of equals, the smallest."""
    return max(sorted(values), key=lambda value: values[value])


if __name__ == "__main__":
    try:
        print(*settings(Path(sys.argv[1]), sys.argv[2]))
    except UserError as error:
        sys.exit(f"Error: {error}")
