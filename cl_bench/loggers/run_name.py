"""The names of runs in W&B and MLflow."""

from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class Named(Protocol):
    """A logger that names runs."""

    def call(self, scenario: str) -> None:
        """Names the run after its scenario; called before anything is logged."""


def run_name(scenario: str, folder: Path) -> str:
    """The name of a run: its scenario, and its folder relative to the working directory.

    `digits_5: outputs/2026-01-31/12-00-00`
    """
    folder = folder.resolve()
    return f"{scenario}: {folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder}"
