"""`python -m cl_bench.reports figures FOLDER OUT`: all figures that records and analyses allow."""

import argparse
from collections.abc import Sequence

from cl_bench.reports.figures.all import write
from cl_bench.runtime import tilde


def main(arguments: Sequence[str], program: str) -> None:
    """Writes the figures.

    Raises:
        UserError: There is no record, or one is damaged.
    """
    parser = argparse.ArgumentParser(
        prog=program, description="All figures that the records and analyses below a folder allow."
    )
    parser.add_argument("folder", type=tilde.path, help="where the runs lie, multirun for example")
    parser.add_argument(
        "out", type=tilde.path, help="folder for the figures: .svg, .pdf, .png, and the caption in .txt"
    )
    given = parser.parse_args(arguments)
    write(given.folder, given.out)
