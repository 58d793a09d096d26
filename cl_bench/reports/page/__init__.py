"""One self-contained page: tables, figures and every run. `python -m cl_bench.reports page FOLDER OUT`."""

from cl_bench.reports.page.command import main
from cl_bench.reports.page.html import html

__all__ = ["html", "main"]
