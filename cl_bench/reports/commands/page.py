"""`python -m cl_bench.reports page FOLDER OUT`: one self-contained file with tables, figures and every run."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cl_bench.reports.page.html import html
from cl_bench.reports.page.pictures import pictures
from cl_bench.reports.records import IN_TABLES, read_all
from cl_bench.reports.tables.over_orders import all_tables_over_orders
from cl_bench.reports.tables.papers import all_papers_tables
from cl_bench.runtime import tilde
from cl_bench.runtime.errors import UserError
from cl_bench.store import atomic

_NEEDS = (
    *IN_TABLES,
    *("scalings", "finetuned", "accuracy_after_task", "devices.count", "config.merger", "peak_memory_mib"),
    *("scenario.kind", "tasks.*.name", "tasks.*.classes", "tasks.*.images", "tasks.*.training_images"),
    *("datasets.*.split",),
    *("training.*.seconds", "training.*.peak_memory_mib", "training.*.steps", "training.*.reused"),
    *("seconds.training", "seconds.merging", "seconds.evaluation"),
)


def main(arguments: Sequence[str], program: str) -> None:
    """Writes the page from all result records below a folder.

    Raises:
        UserError: There is no record or figure where one was named, a record is damaged, a package is missing, or OUT
            exists and is something else than a page.
    """
    parser = argparse.ArgumentParser(
        prog=program, description="One self-contained HTML file of all runs below a folder, with the papers' tables."
    )
    parser.add_argument("folder", type=tilde.path, help="where result.json files lie, such as multirun")
    parser.add_argument("out", type=tilde.path, help="the file to write, such as report/index.html")
    parser.add_argument(
        "--figures", type=tilde.path, help="a folder of *.svg files, with captions in *.txt beside them"
    )
    given = parser.parse_args(arguments)
    _check_replaceable(given.out)
    results = read_all(given.folder, _NEEDS)
    found = pictures(given.figures) if given.figures else []
    tables = [*all_papers_tables(results), *all_tables_over_orders(results)]
    atomic.write_text(given.out, html(results, given.folder, tables, found))
    print(f"written: {given.out}, {len(results)} runs")


def _check_replaceable(out: Path) -> None:
    """Lets an earlier page be replaced, but no file that somebody wrote."""
    if out.is_file() and b"<title>cl_bench: " not in out.read_bytes()[:1000]:
        raise UserError(f"{out} is there already, and is no page of cl_bench's; name another file, or remove it.")
