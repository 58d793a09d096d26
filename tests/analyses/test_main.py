"""Analyses and figures of real runs, from the command line."""

import json
from xml.etree import ElementTree

import pytest

from cl_bench.analyses.__main__ import main
from cl_bench.reports import command_line

pytestmark = pytest.mark.slow


def test_analyses_are_made_once_and_figures_from_them(runs, command, monkeypatch, capsys):
    monkeypatch.chdir(runs)
    first = command("-m", "cl_bench.analyses", "runs", cwd=runs)
    assert first.returncode == 0, first.stderr
    assert "runs/cmm: cosine_similarity, interpolation, feature_mismatch, tsne\n" in first.stdout
    written = sorted((runs / "runs").glob("*/analyses/*.json"))
    times = [path.stat().st_mtime_ns for path in written]
    for path in written:
        analysis, record = json.loads(path.read_text()), json.loads((path.parents[1] / "result.json").read_text())
        assert analysis["source"]["fingerprint"] == record["fingerprint"] and analysis["units"]
    assert {path.stem for path in written} == {
        *("sign_conflicts", "task_shares", "cosine_similarity", "merge_cost", "pruning"),
        *("interpolation", "feature_mismatch", "tsne"),
    }

    assert main(["runs"]) == 0
    assert "runs/cmm: nothing (there already: cosine_similarity, " in capsys.readouterr().out
    assert [path.stat().st_mtime_ns for path in written] == times

    assert command_line.main(["figures", "runs", "figures"]) == 0
    missing = "which needs a run with merger.scaling as a list"
    assert f"accuracy_over_scaling: not for digits (class-incremental, 2 tasks), {missing}" in capsys.readouterr().out
    figures = sorted((runs / "figures").glob("*.svg"))
    assert len(figures) == 9
    for path in figures:
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
        assert path.with_suffix(".txt").read_text().startswith("digits (class-incremental, 2 tasks): ")


def test_what_no_run_is_made_for_is_said(runs, monkeypatch, capsys):
    monkeypatch.chdir(runs)
    assert main(["runs/sequential_magmax", "--only", "feature_mismatch"]) == 0
    assert capsys.readouterr().out == (
        "feature_mismatch: needs trainer=cmm with a refinement, and two tasks at least; there is no such run below "
        "runs/sequential_magmax\n"
    )


def test_all_damaged_records_are_named(tmp_path, capsys):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text("{" if name != "b" else '{"schema": 0}')
    assert main([str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [f"{tmp_path}/{name}/result.json " in line for name, line in zip("abc", lines, strict=True)] == [True] * 3


def test_mistakes_are_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["."]) == 2
    assert capsys.readouterr().err == "Error: There is no result.json below .; run something first.\n"
    with pytest.raises(SystemExit, match="2"):
        main([".", "--only", "nothing"])
    assert "sign_conflicts" in capsys.readouterr().err
