"""Finds experts' files on this machine, or fetches them from the hub."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cl_bench.experiment.experts.sources import ALL_TASKS, Source
from cl_bench.runtime.errors import Missing
from cl_bench.store import hub


class Located(NamedTuple):
    """An expert's files.

    Attributes:
        task: Its name.
        path: Of a file or folder on this machine.
        source: The path as it was typed, or the name on the hub.
        commit: Of the hub, to which the name led.
    """

    task: str
    path: Path
    source: str
    commit: str | None = None


class _Lost(NamedTuple):
    """An expert that is nowhere."""

    source: Source
    reason: str


def locate(sources: Sequence[Source]) -> list[Located]:
    """Finds all experts; an existing path wins over a name on the hub.

    Raises:
        Missing: Some are not here and cannot be fetched; says which files belong where, for all of them.
    """
    found: list[Located] = []
    lost: list[_Lost] = []
    reachable = True
    for source in sources:
        if here := _here(source):
            found.append(here)
        elif (name := _hub_name(source)) is None:
            lost.append(_Lost(source, "not here"))
        else:
            try:
                fetched = hub.fetch(name, offline=not reachable)
            except Missing as error:
                reachable = reachable and not hub.is_unreachable(error)
                lost.append(_Lost(source, str(error)))
            else:
                found.append(Located(source.task, fetched.folder, name, fetched.commit))
    if lost:
        raise Missing(_where_they_belong(lost))
    return found


def _here(source: Source) -> Located | None:
    for place in source.places:
        path = Path(place).expanduser()
        if path.exists():
            return Located(source.task, path, place)
    return None


def _hub_name(source: Source) -> str | None:
    """The name on the hub that a source may mean; none where the first part is a folder here."""
    place = source.places[0]
    return place if hub.is_name(place) and not Path(place.partition("/")[0]).is_dir() else None


def _where_they_belong(lost: Sequence[_Lost]) -> str:
    is_finished = lost[0].source.task == ALL_TASKS
    whose = "these tasks" if len(lost) > 1 else "a task"
    lines = ["The finished model is missing:" if is_finished else f"The weights of {whose} are missing:"]
    names = [name for one in lost if (name := _hub_name(one.source))]
    for one in lost:
        task = "" if is_finished else f"{one.source.task}: "
        lines.append(f"  {task}{' or '.join(map(shlex.quote, one.source.places))}")
    if names:
        first = next(one for one in lost if _hub_name(one.source))
        lines.append(f"The hub said: {first.reason}")
        lines.append("Without a network, fetch them elsewhere and copy these folders of the hub's cache to here:")
        lines += [f"  {hub.cache_folder(name)}" for name in names]
    if is_finished:
        lines.append("trainer.weights may name any file or folder of this machine.")
    elif names:
        lines.append("or put each one's files into a folder of its task's name: trainer.weights=experts/%s")
    else:
        lines.append(
            "trainer.weights is a pattern such as experts/%s, a list with a place for each task in order of arrival, "
            "or a mapping from tasks' names to places."
        )
    return "\n".join(lines)
