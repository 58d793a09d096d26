"""Writes docs/miniature/README.md: what the embedded data give, in tables and pictures.

`make miniature` runs it as `python -m benchmarks.miniature FOLDER SECONDS RUNS`, after other commands have written the
tables, figures and page into FOLDER from the records below RUNS, in that many seconds.
"""

import sys
from pathlib import Path

from benchmarks.documents import machine, versions
from cl_bench.reports.records import read_all
from cl_bench.store import atomic

_PAGE = """# The papers' tables and figures, in small

Made by `make miniature` in a fresh clone: `make tables-mini figures-mini report`, {minutes:.0f} minutes on {machine};
nothing here is typed by hand. {runs} runs, two at a time, of {streams} trainings, on the embedded data with their
own learning rates and two fifths of the steps of each epoch (`multirun_configs/sweep/shared/mini.yaml`): these numbers
show that everything runs, and how the methods compare on small data, not what the papers report.
Versions: {versions}.

All runs on one page, with plots to pick from: `make tables-mini figures-mini report` writes `report/index.html`.

## Tables

The same as LaTeX and CSV beside them in [tables/](tables/).

{tables}
## Figures

`make figures-mini` writes them as SVG and PDF, too.

{figures}"""


def write(folder: Path, seconds: float, runs: Path) -> None:
    """Writes the page from what lies in `folder`."""
    results = read_all(runs)
    trained = {result["fingerprint"] for result in results if result["training"]}
    pictures = sorted((folder / "figures").glob("*.png"))
    page = _PAGE.format(
        minutes=seconds / 60,
        machine=machine(),
        runs=len(results),
        streams=len(trained),
        versions=versions(results),
        tables="\n".join(path.read_text(encoding="utf-8") for path in sorted((folder / "tables").glob("*.md"))),
        figures="\n".join(f"![{_caption(path)}](figures/{path.name})\n\n{_caption(path)}\n" for path in pictures),
    )
    atomic.write_text(folder / "README.md", page)


def _caption(picture: Path) -> str:
    return picture.with_suffix(".txt").read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    write(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
