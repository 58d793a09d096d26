"""What services call a run."""

from pathlib import Path


def run_name(folder: Path) -> str:
    """The run's folder as one sees it from the working directory: `outputs/2026-01-31/12-00-00`."""
    folder = folder.resolve()
    return str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)
