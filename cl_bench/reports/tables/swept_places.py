"""Where a run stands in the table of a sweep: its column, its row, and the order of both."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cl_bench.reports.headline import headline_kind
from cl_bench.reports.names import method_position
from cl_bench.reports.runs import RecordedRun
from cl_bench.reports.scenario_names import scenario_position
from cl_bench.reports.settings import Settings, typed

_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


@dataclass(frozen=True)
class Column:
    """What was measured.

    Attributes:
        scenario: The scenario's name.
        split: `test` or `validation`.
        headline: The name of the headline.
        tasks: Number of tasks.
        images: Name and content of each data set, whatever their order of arrival.
    """

    scenario: str
    split: str
    headline: str
    tasks: int
    images: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, run: RecordedRun) -> "Column":
        """The column to which a run belongs."""
        result = run.result
        tasks = len(result["matrix"][headline_kind(result)][0])
        images = tuple(sorted((data["name"], data["images"]) for data in result["datasets"]))
        return cls(run.scenario, result["split"], result["headline"]["name"], tasks, images)

    def in_words(self, field: str) -> str:
        """One of the attributes, for a name that the scenario's alone does not make unique."""
        return {
            "split": f"{self.split} images",
            "headline": self.headline,
            "tasks": f"{self.tasks} tasks",
            "images": "images " + ", ".join(content[:8] for _, content in self.images),
        }[field]


@dataclass(frozen=True)
class PlacedRun:
    """A run and its place in the table.

    Attributes:
        run: The run.
        column: Its column.
        row: The choices and settings that make its row.
    """

    run: RecordedRun
    column: Column
    row: Settings

    @property
    def row_name(self) -> str:
        """The row as it was typed; where nothing differs, the method."""
        return typed(self.row) or self.run.method


def column_names(columns: Sequence[Column]) -> dict[Column, str]:
    """Gives each column the scenario's name, with what else tells it apart from others of that name."""
    names = {}
    for column in columns:
        others = [one for one in columns if one.scenario == column.scenario and one != column]
        fields = ("split", "tasks", "headline", "images")
        differing = [f for f in fields if any(getattr(one, f) != getattr(column, f) for one in others)]
        words = ", ".join(column.in_words(field) for field in differing)
        names[column] = f"{column.scenario} ({words})" if words else column.scenario
    return names


def position(one: PlacedRun) -> tuple[Any, ...]:
    """Sorts runs by column, method and settings; numbers within settings count as numbers."""
    words = [_sortable(f"{name}={value}") for name, value in one.row.items()]
    scenario, name = scenario_position(one.column.scenario)
    return scenario, _sortable(name), method_position(one.run.method), words, one.run.seed, repr(one.run.order)


def _sortable(text: str) -> list[tuple[int, float, str]]:
    """Splits a text so that words sort by their letters, and numbers by their value."""
    parts: list[tuple[int, float, str]] = []
    end = 0
    for found in _NUMBER.finditer(text):
        parts += [(1, 0.0, text[end : found.start()]), (0, float(found.group()), "")]
        end = found.end()
    return [*parts, (1, 0.0, text[end:])]
