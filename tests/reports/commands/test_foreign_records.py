"""Records that somebody else wrote, or edited: each command says in one line what is wrong, or takes names as names."""

import csv
import io
import json

import pytest

from cl_bench.analyses import source as analyses
from cl_bench.reports.command_line import main
from cl_bench.reports.tables.formats.latex import latex
from cl_bench.reports.tables.formats.markdown import markdown
from cl_bench.reports.tables.formats.tidy import tidy
from cl_bench.reports.tables.table import Cell, Row, Table
from cl_bench.store.result import SCHEMA
from tests.reports.page_records import record

DAMAGE = {
    "choices": [None, "text", {}, {"trainer": 5}, {"trainer": "\x1b[2J", "merger": "b"}],
    "scenario": [None, "text", {}, {"name": 5}, {"name": "\x1b[2J", "kind": "class-incremental"}],
    "datasets": [None, {}, [{"name": "a"}], [{"name": "a", "images": 5}]],
    "config": [None, [], {"merger": "text"}],
    "headline": [None, {"name": "accuracy.task_agnostic", "value": "high"}, {"value": 5.0}],
    "metrics": [None, {}, {"task_agnostic": None}, {"task_agnostic": {"forgetting_max_minus_last": "much"}}],
    "matrix": [None, {"task_agnostic": None}, {"task_agnostic": [[1.0], [1.0, 2.0]]}, {"task_agnostic": [["a"]]}],
    "seed": ["5", None, [5]],
    "training": [None, {}, ["text"], [{"seconds": "long"}]],
    "versions": [None, ["torch"]],
    "devices": [None, {}],
    "scalings": ["text", [{}], [{"scaling": 0.5}]],
}
MISSING = object()
NOT_READ = {"figures": ("versions", "devices", "metrics")}


def commands(folder):
    """What is typed for each command."""
    return {
        "table": ["table", "cil", str(folder), str(folder / "out")],
        "compare": ["compare", str(folder), str(folder)],
        "page": ["page", str(folder), str(folder / "out.html")],
        "figures": ["figures", str(folder), str(folder / "out")],
    }


@pytest.mark.parametrize("command", ["table", "compare", "page", "figures"])
@pytest.mark.parametrize("key", DAMAGE)
def test_damage_is_one_line_that_names_the_file(key, command, tmp_path, capsys):
    path = tmp_path / "result.json"
    whole = {"schema": SCHEMA, **record()}
    whole["config"] |= {"trainer": {}}
    for damage in [*DAMAGE[key], *([MISSING] if key != "scalings" else [])]:
        left = {name: value for name, value in whole.items() if name != key}
        path.write_text(json.dumps(left if damage is MISSING else {**left, key: damage}))
        code, told = main(commands(tmp_path)[command]), capsys.readouterr().err
        if code or key not in NOT_READ.get(command, ()):
            assert code == 2 and told.startswith(f"Error: {path} ") and told.count("\n") == 1, (damage, told)


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "[]", '{"schema": 1}', "\x00"])
def test_what_is_no_record_at_all_is_told(text, tmp_path, capsys):
    (tmp_path / "result.json").write_text(text)
    for command in commands(tmp_path).values():
        assert main(command) == 2
        assert capsys.readouterr().err.startswith(f"Error: {tmp_path / 'result.json'} ")


def test_figures_stay_in_their_folder_whatever_a_scenario_is_called(tmp_path, capsys):
    for number, scenario in enumerate(("../../outside", "a/b", "$x^", "/tmp/absolute")):
        found = record(scenario, tasks=3)
        found["config"] |= {"trainer": {}}
        place = tmp_path / "runs" / str(number) / "result.json"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps({"schema": SCHEMA, **found}))
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["figures", str(tmp_path / "runs"), str(tmp_path / "a" / "b" / "figures")]) == 0
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert {path.parent for path in new} == {tmp_path / "a" / "b" / "figures"}
    assert "accuracy_over_time_.._.._outside.svg" in {path.name for path in new}


def test_an_analysis_with_other_numbers_than_it_says_is_named(tmp_path, capsys):
    source = {"choices": {"trainer": "t", "merger": "m"}, "trainer": {}, "merger": {}, "images": []}
    source |= {"scenario": {"name": "s", "kind": "k"}}
    (tmp_path / "analyses").mkdir()
    path = tmp_path / "analyses" / "pruning.json"
    (tmp_path / "result.json").write_text(
        json.dumps({"schema": SCHEMA, **record(), "config": {"trainer": {}, "merger": {}}})
    )
    for damage in ({"source": source}, {"source": None}, {"source": {**source, "scenario": {"name": []}}}):
        path.write_text(json.dumps({"schema": analyses.SCHEMA, "analysis": "pruning", **damage}))
        assert main(["figures", str(tmp_path), str(tmp_path / "out")]) == 2
        assert str(path) in capsys.readouterr().err


NASTY = '=HYPERLINK("x")|<script>alert(1)</script>\n\n\\input{/etc/passwd}'


def test_names_are_text_in_every_format():
    table = Table(
        "cil", NASTY, (NASTY,), (Row(NASTY, {NASTY: Cell((1.0,), flags=(NASTY,), note=NASTY)}),), notes=(NASTY,)
    )
    text, tex, rows = markdown(table), latex(table), list(csv.reader(io.StringIO(tidy(table))))
    assert "<script" not in text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == 3 and all(line.replace("\\|", "").count("|") == 3 for line in lines)
    assert r"\input" not in tex and "\n\n" not in tex
    assert [row[1][0] for row in rows[1:]] == ["'"] and all(not field.startswith("=") for row in rows for field in row)


def test_comparing_takes_names_for_names(tmp_path, capsys):
    path = tmp_path / "result.json"
    path.write_text(json.dumps({"schema": SCHEMA, **record("[/red] <b>", method="[bold]_x")}))
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 0
    assert "[/red] <b>" in capsys.readouterr().out


def test_all_damaged_records_are_named_up_to_ten(tmp_path, capsys):
    for number in range(12):
        (tmp_path / f"{number:02d}").mkdir()
        (tmp_path / f"{number:02d}" / "result.json").write_text("{")
    for typed in commands(tmp_path).values():
        assert main(typed) == 2
        *lines, more = capsys.readouterr().err.splitlines()
        assert more == "and 2 more." and len(lines) == 10
        assert all(f"/{number:02d}/result.json is damaged" in line for number, line in enumerate(lines))
