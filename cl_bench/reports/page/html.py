"""The page as text, with everything in one file."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

from cl_bench.reports.page.entries import details, entries
from cl_bench.reports.page.overview import overview
from cl_bench.reports.page.pictures import Picture
from cl_bench.reports.records import Result
from cl_bench.reports.tables.formats.cells import LEGEND, footnotes, has_ranks, printed_cells
from cl_bench.reports.tables.table import Table
from cl_bench.runtime.commands import install_extra
from cl_bench.runtime.errors import UserError

_HERE = Path(__file__).parent
_SCRIPTS = ("elements.js", "sorting.js", "tables.js", "runs.js", "plots.js", "run.js")  # each needs those before it

_compact = partial(json.dumps, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def html(results: Sequence[Result], folder: Path, tables: Sequence[Table], pictures: Sequence[Picture]) -> str:
    """Writes the page.

    Opening it fetches nothing, and its security policy lets nothing be fetched: style, scripts, plotly.js and data are
    inside. Names that people gave (folders, methods, classes) are escaped: in HTML by Jinja, in JSON by its signs for
    `<`, `>` and `&`; the page's scripts set text alone.

    Args:
        results: Records, each with its file's name under `path`, below `folder`.
        folder: Where the records were read.
        tables: The papers' tables.
        pictures: Figures that were drawn before.

    Raises:
        UserError: A package is missing.
    """
    jinja2, plotly = _packages()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    to_json = partial(jinja2.utils.htmlsafe_json_dumps, dumps=_compact)
    cells = [list(zip(table.rows, printed_cells(table), strict=True)) for table in tables]
    page: str = environment.get_template("page.html").render(
        overview=overview(results),
        tables=[(table, rows, footnotes(table)) for table, rows in zip(tables, cells, strict=True)],
        legend=LEGEND,
        has_ranks=has_ranks,
        pictures=pictures,
        entries=to_json(entries(results, folder)),
        details=[to_json(details(result)) for result in results],
        style=_inlined((_HERE / "page.css").read_text(encoding="utf-8")),
        scripts=[_inlined((_HERE / name).read_text(encoding="utf-8")) for name in _SCRIPTS],
        plotly=_inlined(plotly.get_plotlyjs()),
    )
    return page


def _inlined(source: str) -> str:
    """Keeps a script from ending early within HTML: inside its strings, the backslash changes nothing."""
    from markupsafe import Markup

    return Markup(source.replace("</script", "<\\/script"))


def _packages() -> tuple[ModuleType, ModuleType]:
    try:
        import jinja2
        from plotly import offline
    except ImportError as error:
        raise UserError(f"The page needs the package {error.name}: {install_extra('report')}") from error
    return jinja2, offline
