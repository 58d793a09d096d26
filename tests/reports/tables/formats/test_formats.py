"""Ranks, footnotes and numbers of runs, and how Markdown, LaTeX and CSV show them."""

import csv
import io
import re

import pytest

from cl_bench.reports.tables.formats.cells import footnotes, has_ranks, printed_cells
from cl_bench.reports.tables.formats.latex import escaped, latex
from cl_bench.reports.tables.formats.markdown import markdown
from cl_bench.reports.tables.formats.tidy import COLUMNS, tidy
from cl_bench.reports.tables.table import Cell, Row, Table


def table(*rows, columns=("a_5",), **more):
    return Table("cil", "Accuracy, 100 % of it.", columns, rows, **more)


def competing(*means, **more):
    return table(*(Row(f"m{i}", {"a_5": Cell((mean,))}) for i, mean in enumerate(means)), **more)


def ranks(made):
    return [cells[0].rank for cells in printed_cells(made)]


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ((1.0, 3.0, 2.0), [0, 1, 2]),
        ((3.0, 3.0, 2.0), [1, 1, 0]),
        ((3.0, 2.0, 2.0, 1.0), [1, 2, 2, 0]),
        ((3.001, 3.004, 2.0), [1, 1, 0]),  # equal as printed
        ((3.0,), [0]),
    ],
)
def test_best_and_second(means, expected):
    assert ranks(competing(*means)) == expected


def test_where_less_is_better_the_least_is_best():
    assert ranks(competing(1.0, 3.0, 2.0, higher_is_better=False)) == [1, 0, 2]


def test_bounds_and_references_do_not_compete():
    columns = ("a_5", "a_5 ref. A")
    rows = (
        Row("bound", {"a_5": Cell((99.0,)), "a_5 ref. A": Cell((99.0,), source="s")}, competes=False),
        Row("one", {"a_5": Cell((50.0,)), "a_5 ref. A": Cell((98.0,), source="s")}),
        Row("two", {"a_5": Cell((40.0,)), "a_5 ref. A": Cell((97.0,), source="s")}),
        Row("not run", {}),
    )
    made = table(*rows, columns=columns, references=frozenset(columns[1:]))
    assert [[cell and cell.rank for cell in row] for row in printed_cells(made)] == [
        [0, 0],
        [1, 0],
        [2, 0],
        [None, None],
    ]
    assert has_ranks(made) and not has_ranks(table(rows[0], rows[1], columns=columns, references=made.references))


@pytest.fixture
def full():
    rows = (
        Row("Zero_shot", {"a_5": Cell((10.0,)), "a_10": Cell((20.0,))}, competes=False),
        Row("B & C", {"a_5": Cell((60.0, 64.0, 65.0)), "a_10": Cell((-1.0, -2.0), flags=("batch_size 64", "lr 0.1"))}),
        Row(
            "D", {"a_5": Cell((61.0, 61.0, 61.0), flags=("lr 0.1",)), "a_5 ref. A": Cell((80.355,), (), "S_1", "n, 1")}
        ),
    )
    columns = ("a_5", "a_5 ref. A", "a_10", "domains")
    return table(*rows, columns=columns, references=frozenset({"a_5 ref. A"}), notes=("ref. A: S_1, ±.",))


def test_footnotes_are_lettered_in_the_order_of_reading(full):
    assert footnotes(full) == {"batch_size 64": "a", "lr 0.1": "b", "n, 1": "c"}
    many = table(*(Row(str(i), {"a_5": Cell((1.0,), flags=(f"flag {i}",))}) for i in range(28)))
    assert list(footnotes(many).values())[24:] == ["y", "z", "aa", "ab"]


def test_markdown(full):
    lines = markdown(full).splitlines()
    assert lines[0] == full.caption
    assert lines[2] == "| method | a_5 | a_5 ref. A | a_10 | domains |"
    assert lines[4:7] == [
        "| Zero_shot | 10.00 (n = 1) |  | 20.00 (n = 1) |  |",
        "| B & C | **63.00 ± 2.65** |  | -1.50 ± 0.71 (n = 2)<sup>a,b</sup> |  |",
        "| D | <u>61.00 ± 0.00</u><sup>b</sup> | 80.36<sup>c</sup> |  |  |",
    ]
    assert [line for line in lines[7:] if line] == [
        "Best in bold, second underlined, and equals alike; bounds and references do not compete.",
        "ref. A: S_1, ±.",
        "<sup>a</sup> batch_size 64",
        "<sup>b</sup> lr 0.1",
        "<sup>c</sup> n, 1",
    ]


def test_latex_is_a_booktabs_table_in_which_every_row_has_every_column(full):
    text = latex(full)
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")].splitlines()
    rows = [line for line in body if line.endswith(r"\\")]
    assert rows[0] == r" & \multicolumn{3}{c}{a} & \multicolumn{1}{c}{domains} \\"
    assert r"\cmidrule(lr){2-4} \cmidrule(lr){5-5}" in body
    assert rows[1] == r"method & /5 & /5 ref. A & /10 &  \\"
    assert rows[2] == r"Zero\_shot & 10.00 ($n=1$) &  & 20.00 ($n=1$) &  \\"
    marked = r"$-$1.50 $\pm$ 0.71 ($n=2$)\textsuperscript{a,b}"
    assert rows[3] == rf"B \& C & \textbf{{63.00 $\pm$ 2.65}} &  & {marked} &  \\"
    assert r"\underline{61.00 $\pm$ 0.00}\textsuperscript{b}" in rows[4]
    assert r"\begin{tabular}{lrrrr}" in text and r"\caption{Accuracy, 100 \% of it.}" in text


def test_latex_breaks_wide_tables_between_data_sets():
    columns = (*(f"a_{i}" for i in range(6)), *(f"b_{i}" for i in range(4)), *(f"c_{i}" for i in range(3)), "d")
    rows = (Row("all", dict.fromkeys(columns, Cell((1.0,)))), Row("last", {"d": Cell((2.0,))}))
    blocks = latex(table(*rows, columns=columns)).split(r"\begin{tabular}")[1:]
    assert [block[: block.index("\n")] for block in blocks] == ["{lrrrrrr}", "{lrrrrrrrr}"]
    assert ["last" in block for block in blocks] == [False, True] and blocks[1].count("2.00") == 1


def test_latex_is_balanced_and_ascii(full):
    text = latex(full)
    assert text.isascii() and not re.search(r"(?<!\\)[%_#]", "\n".join(text.splitlines()[1:]).replace("{!}{%", ""))
    opened = re.findall(r"\\begin\{(\w+)\}", text)
    assert opened == re.findall(r"\\end\{(\w+)\}", text)[::-1] and opened == ["table", "tabular"]
    assert text.replace(r"\{", "").count("{") == text.replace(r"\}", "").count("}")


def test_special_characters_are_escaped():
    assert escaped("a_b & 5 % ± λ {x} \\ ~ ^ # $") == (
        r"a\_b \& 5 \% $\pm$ $\lambda$ \{x\} \textbackslash{} \textasciitilde{} \textasciicircum{} \# \$"
    )


def test_csv_has_a_line_for_each_cell(full):
    lines = list(csv.DictReader(io.StringIO(tidy(full))))
    assert tuple(lines[0]) == COLUMNS and len(lines) == 6
    of = {(line["row"], line["column"]): line for line in lines}
    ours = of["B & C", "a_10"]
    assert (ours["mean"], ours["n"], ours["values"]) == ("-1.5", "2", "-1.0 -2.0")
    assert float(ours["std"]) == pytest.approx(0.5**0.5) and ours["flags"] == "batch_size 64; lr 0.1"
    reference = of["D", "a_5 ref. A"]
    assert (reference["mean"], reference["std"], reference["source"], reference["note"]) == (
        "80.355",
        "",
        "S_1",
        "n, 1",
    )
