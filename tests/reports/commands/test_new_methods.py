"""Trainers and mergers of which `cl_bench.reports` has never heard are in everything that is made of records."""

import json

import pytest

from cl_bench.reports.command_line import main
from tests.reports.page_records import record, scaling, write

CLASSES = {"si": "cl_bench.trainers.SI", "slerp": "my_pkg.mergers.Slerp", "my_pkg.Median": "my_pkg.Median"}
NEW = {"si_magmax": "SI + MagMax", "sequential_slerp": "Sequential + slerp", "sequential+my_pkg.Median": ""}


def made(trainer, merger, seed, value):
    result = record("glyphs_5", seed=seed, value=value)
    classes = [CLASSES.get(choice, f"cl_bench.{choice}") for choice in (trainer, merger)]
    parts = {"trainer": {"_target_": classes[0]}, "merger": {"_target_": classes[1], "scaling": 0.5}}
    return {
        **result,
        "choices": {"scenario": "glyphs_5", "trainer": trainer, "merger": merger},
        "config": {**result["config"], **parts, "method": None},
        "fingerprint": f"{trainer} {seed}",
        "scalings": [scaling(at, value + at, 50.0, chosen=at == 0.5) for at in (0.25, 0.5, 1.0)],
    }


@pytest.fixture
def runs(tmp_path):
    methods = [("sequential", "magmax"), ("cmm", "cmm"), ("si", "magmax"), ("sequential", "slerp"),
               ("sequential", "my_pkg.Median")]  # fmt: skip
    results = [made(*method, seed, 50.0 + i + seed) for i, method in enumerate(methods) for seed in (1, 2)]
    write(tmp_path / "table_cil_mini", *results)
    return tmp_path


def test_tables_have_a_row_for_each_before_cmm(runs, capsys):
    assert main(["table", "cil_mini", str(runs), str(runs / "out")]) == 0
    lines = (runs / "out/cil_mini.md").read_text().splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("|") and "±" in line]
    assert rows == ["MagMax", "Sequential + my_pkg.Median", "Sequential + slerp", "SI + MagMax", "CMM"]
    capsys.readouterr()
    assert main(["table", str(runs)]) == 0
    printed = capsys.readouterr().out
    for row in ("trainer=si merger=magmax", "trainer=sequential merger=slerp", "merger._target_=my_pkg.Median"):
        assert row in printed


def test_figures_have_a_panel_or_a_line_for_each(runs):
    assert main(["figures", str(runs), str(runs / "out")]) == 0
    over_time = (runs / "out/accuracy_over_time_glyphs_5.svg").read_text()
    over_scaling = (runs / "out/accuracy_over_scaling_glyphs_5.svg").read_text()
    for name in ("SI + MagMax", "sequential + slerp", "sequential + my_pkg.Median"):
        assert f"<!-- {name} -->" in over_time
    for name in ("SI", "slerp", "my_pkg.Median"):
        assert f"<!-- {name} -->" in over_scaling


def test_the_page_and_a_comparison_have_each(runs, capsys):
    assert main(["page", str(runs), str(runs / "page.html")]) == 0
    page = (runs / "page.html").read_text()
    entries = json.loads(page.split('id="entries">')[1].split("</script>")[0])
    assert {entry["method"] for entry in entries} == {*NEW, "sequential_magmax", "cmm"}
    assert all(f'<th scope="row">{name}</th>' in page for name in filter(None, NEW.values()))
    capsys.readouterr()
    assert main(["compare", str(runs), str(runs)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert all(name in printed for name in ("SI + MagMax", "Sequential +", "slerp"))
