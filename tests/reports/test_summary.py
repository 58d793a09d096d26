"""The table of one run on the terminal."""

import pytest

from cl_bench.reports.summary import show
from tests.reports.small_records import record


def test_the_table_names_models_and_numbers(capsys, tmp_path):
    show(record(), tmp_path)
    printed = capsys.readouterr().out
    for word in ("zero-shot", "sequential + magmax", "12.50", "61.25", "88.50", "7.50", "2 of 3 tasks reused"):
        assert word in printed


def test_a_long_import_path_leaves_the_numbers_their_room(capsys, tmp_path):
    choices = record()["choices"] | {"merger": "my_company.research.continual.mergers.MedianOfMedians"}
    show(record(choices=choices), tmp_path)
    printed = capsys.readouterr().out
    for word in ("sequential + my_company.research", "continual.mergers.Median", "12.50", "61.25", "88.50", "7.50"):
        assert word in printed


@pytest.mark.parametrize("columns", [80, 100, 120])
@pytest.mark.parametrize("merger", ["opcm", "my_company.research.continual.mergers.MedianOfMedians"])
def test_headers_break_at_hyphens_and_no_word_is_cut(capsys, tmp_path, monkeypatch, columns, merger):
    monkeypatch.setattr("os.isatty", lambda descriptor: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    show(record(choices=record()["choices"] | {"merger": merger}), tmp_path)
    printed = capsys.readouterr().out
    table = [line for line in printed.splitlines() if line[:1] in "│┃"]
    assert "…" not in printed and max(map(len, table)) <= columns
    assert all(word in printed for word in ("agnostic", "aware", "incremental", "forgetting", "transfer"))
