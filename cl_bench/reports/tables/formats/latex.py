r"""A table in LaTeX, with booktabs: `\input` it as it is."""

import itertools
from collections.abc import Iterator, Sequence

from cl_bench.reports.tables.formats.cells import LEGEND, PrintedCell, footnotes, has_ranks, printed_cells
from cl_bench.reports.tables.table import Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **dict.fromkeys("\n\r", " "),
    "±": r"$\pm$",
    "λ": r"$\lambda$",
    "α": r"$\alpha$",
    "θ": r"$\theta$",
    "τ": r"$\tau$",
    "–": "--",
    "…": r"\dots{}",
}
_WIDEST = 9  # columns that fit beside each other on a page


def latex(table: Table) -> str:
    """Writes a floating table, no wider than the text, with caption, label and notes; needs booktabs and graphicx.

    Many columns go into blocks below each other, a data set's columns together. A row stands in the blocks where it has
    a cell.
    """
    lines = [
        r"% \usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(table.caption)}}}",
        rf"\label{{tab:{table.name}}}",
        *(line for block in _blocks(table.columns) for line in _tabular(table, block)),
        *(rf"\par\footnotesize {note}" for note in _notes(table)),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Writes plain text as LaTeX."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def _blocks(columns: Sequence[str]) -> list[list[int]]:
    """Splits the columns into blocks that stand below each other."""
    blocks: list[list[int]] = [[]]
    for _, group in itertools.groupby(range(len(columns)), key=lambda i: _parts(columns[i])[0]):
        together = list(group)
        if blocks[-1] and len(blocks[-1]) + len(together) > _WIDEST:
            blocks.append([])
        blocks[-1] += together
    return blocks


def _tabular(table: Table, block: Sequence[int]) -> Iterator[str]:
    yield r"\par\medskip\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%"
    yield rf"\begin{{tabular}}{{l{'r' * len(block)}}}"
    yield r"\toprule"
    yield from _header([table.columns[i] for i in block])
    yield r"\midrule"
    for row, cells in zip(table.rows, printed_cells(table), strict=True):
        if any(cells[i] for i in block) or not row.cells:  # a heading has none
            yield " & ".join([escaped(row.name), *(_cell(cells[i]) for i in block)]) + r" \\"
    yield r"\bottomrule"
    yield r"\end{tabular}}"


def _header(columns: Sequence[str]) -> Iterator[str]:
    """Writes data sets above, numbers of tasks and references below, as the papers do."""
    parts = [_parts(column) for column in columns]
    above, rules, first = [], [], 2
    for family, group in itertools.groupby(family for family, _ in parts):
        width = len(list(group))
        above.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(family)}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + width - 1}}}")
        first += width
    yield " & ".join(["", *above]) + r" \\"
    if any(below for _, below in parts):
        yield " ".join(rules)
        yield " & ".join(["method", *(escaped(below) for _, below in parts)]) + r" \\"


def _parts(column: str) -> tuple[str, str]:
    """Splits `cifar100_10 ref. A` into `cifar100`, which stands above, and `/10 ref. A`, which stands below."""
    base, separator, letter = column.partition(" ref. ")
    family, _, tasks = base.rpartition("_")
    reference = f"ref. {letter}" if separator else ""
    return (family, f"/{tasks} {reference}".strip()) if family and tasks.isdigit() else (base, reference)


def _cell(cell: PrintedCell | None) -> str:
    if cell is None:
        return ""
    number = cell.mean.replace("-", "$-$") + (rf" $\pm$ {cell.deviation}" if cell.deviation else "")
    text = {0: number, 1: rf"\textbf{{{number}}}", 2: rf"\underline{{{number}}}"}[cell.rank]
    count = f" ($n={cell.n}$)" if cell.n else ""
    marks = rf"\textsuperscript{{{','.join(cell.marks)}}}" if cell.marks else ""
    return f"{text}{count}{marks}"


def _notes(table: Table) -> Iterator[str]:
    if has_ranks(table):
        yield LEGEND
    yield from map(escaped, table.notes)
    for text, mark in footnotes(table).items():
        yield rf"\textsuperscript{{{mark}}} {escaped(text)}"
