"""What services call a run."""

from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class Named(Protocol):
    """A logger whose service shows a name for each run."""

    def call(self, scenario: str) -> None:
        """Says what the run measures, before the service is told of it."""


def run_name(scenario: str, folder: Path) -> str:
    """What is measured, and the run's folder as one sees it from the working directory.

    `digits_5: outputs/2026-01-31/12-00-00`
    """
    folder = folder.resolve()
    return f"{scenario}: {folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder}"
