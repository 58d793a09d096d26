"""The page, in a real browser: what it shows is what the records and tables hold.

Over 300 lines: all tests share one page, which takes seconds to make and to open.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cl_bench.reports.command_line import main as reports
from cl_bench.reports.page.html import html
from cl_bench.reports.page.pictures import Picture, pictures
from cl_bench.reports.tables.table import Cell, Row, Table
from cl_bench.runtime.errors import UserError
from tests.conftest import ROOT
from tests.reports.page_records import record, scaling, write

pytestmark = pytest.mark.slow

_QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-component-update", "--disable-sync")
WIDE, NARROW = 1400, 400
PLOTS = ("plot-after", "plot-matrices", "plot-scalings", "plot-time")
NASTY = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>\"'&amp;</script>"


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None and "CI" not in os.environ:
        pytest.skip("the page is tested in chromium, which is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium, args=[*_QUIET, "--disable-background-networking"]
        )
        yield started
        started.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of some records; at the end, nothing must have been fetched and nothing must have failed."""
    wrong, pages = [], []

    def opened(records, tables=(), figures=(), width=WIDE):
        file = tmp_path / "index.html"
        named = [
            {**one, "path": f"multirun/{one.get('place', f'sweep/{i}')}/result.json"} for i, one in enumerate(records)
        ]
        file.write_text(html(named, Path("multirun"), tables, figures), encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url) if request.url != file.as_uri() else None)
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto(file.as_uri())
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert [text for text in wrong if not text.startswith("data:")] == []


def draw(page, *names):
    """Scrolls to plots and waits until they are there."""
    for name in names:
        page.locator(f"#{name}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name} .main-svg, #{name} .empty")


def until(page, condition):
    """Waits for what comes soon; `page.wait_for_function` would be refused by the page's security policy."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(condition)


def column(page, name):
    """The texts of a column of the list of runs."""
    names = page.locator("#run-table thead tr > *").all_text_contents()
    return page.locator(f"#run-table tbody tr > :nth-child({names.index(name) + 1})").all_text_contents()


def plotted(page, name):
    return page.evaluate(f"document.getElementById('{name}').data.map(({{name, x, y}}) => ({{name, x, y}}))")


RUNS = [
    record("alpha", "sequential_last", 1, 50.0),
    record("alpha", "sequential_magmax", 1, 70.0),
    record("alpha", "sequential_magmax", 2, 60.0),
    record("beta", "independent_average", 1, 9.5),
]

TABLE = Table(
    name="cil",
    caption="Accuracy in percent.",
    columns=("alpha", "alpha ref. A", "beta"),
    rows=(
        Row("MagMax", {"alpha": Cell((70.0, 60.0)), "alpha ref. A": Cell((71.5,), source="A", note="a re-run")}),
        Row("Average", {"alpha": Cell((9.5,), flags=("batch_size 64",)), "beta": Cell((80.0,))}),
        Row("Sequential", {"alpha": Cell((50.0, 54.0)), "beta": Cell((8.0,))}),
    ),
    references=frozenset({"alpha ref. A"}),
    notes=("ref. A: somebody else's.",),
)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_it_opens_without_a_fault_and_nothing_is_cut_off(opened, tmp_path, width):
    wide = Table(
        "wide", "Many columns.", tuple(f"column {i}" for i in range(40)), (Row("a", {"column 1": Cell((1.0,))}),)
    )
    more = [record("alpha", "joint_last", 1, 99.0, finetuned=None, training=[{**RUNS[0]["training"][0]}])]
    page = opened([*RUNS, *more, record(tasks=50)], [TABLE, wide], width=width)
    draw(page, *PLOTS)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in PLOTS:
        left, right = page.evaluate(
            f"(r => [r.left, r.right])(document.getElementById('{name}').getBoundingClientRect())"
        )
        assert 0 <= left < right <= width
    assert page.get_attribute("html", "lang") == "en"
    buttons = page.evaluate("[...document.querySelectorAll('.modebar-btn')].map((one) => one.dataset.title)")
    assert "Zoom" in buttons and not [name for name in buttons if "hare" in name or "loud" in name]  # no uploading
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    page.locator("#run-table .open").first.click()
    assert page.evaluate("document.getElementById('run').getBoundingClientRect().right") <= width
    assert (tmp_path / "page.png").stat().st_size > 50_000


def test_a_table_shows_means_ranks_and_footnotes_and_sorts_and_filters(opened):
    page = opened(RUNS, [TABLE])
    rows = page.locator("article.results tbody tr")

    def names():
        return rows.locator("th").all_text_contents()

    assert "65.00 ± 7.07" in rows.nth(0).locator("td").nth(0).text_content()
    assert (
        rows.nth(0).locator("td.best").count() == 1
        and rows.nth(2).locator("td.second .mean").first.text_content() == "52.00"
    )
    notes = page.locator(".notes").text_content()
    assert "a re-run" in notes and "batch_size 64" in notes and "somebody else's" in notes
    assert rows.nth(0).locator("td").nth(2).text_content() == ""  # nobody ran it

    header = page.locator("article.results thead th")
    header.nth(1).locator("button").click()
    assert names() == ["MagMax", "Sequential", "Average"] and header.nth(1).get_attribute("aria-sort") == "descending"
    header.nth(1).locator("button").press("Enter")
    assert names() == ["Average", "Sequential", "MagMax"] and header.nth(1).get_attribute("aria-sort") == "ascending"
    header.nth(3).locator("button").click()
    assert names() == ["Average", "Sequential", "MagMax"] and header.nth(1).get_attribute("aria-sort") is None
    header.nth(3).locator("button").click()
    assert names() == ["Sequential", "Average", "MagMax"]  # what is empty stays at the end

    page.get_by_label("Filter rows").fill("mag")
    assert rows.locator("visible=true").locator("th").all_text_contents() == ["MagMax"]
    assert page.locator(".count").text_content() == "1 of 3 rows"
    page.get_by_label("Published numbers").uncheck()
    assert not header.nth(2).is_visible() and header.nth(3).is_visible()


def test_where_less_is_better_a_column_begins_with_the_least(opened):
    rows = tuple(Row(name, {"alpha": Cell((value,))}) for name, value in (("a", 3.0), ("b", -1.0), ("c", 2.0)))
    page = opened(RUNS, [Table("forgetting", "In points.", ("alpha",), rows, higher_is_better=False)])
    page.locator("article.results thead button").nth(1).click()
    assert page.locator("article.results tbody th").all_text_contents() == ["b", "c", "a"]
    assert page.locator("td.best .mean").text_content() == "-1.00"


def test_the_list_of_runs_sorts_searches_and_filters(opened):
    page = opened(RUNS)
    assert (
        column(page, "accuracy") == ["50.00", "70.00", "60.00", "9.50"] and column(page, "forgetting") == ["7.50"] * 4
    )
    assert column(page, "seconds") == ["331.5"] * 4 and column(page, "memory") == ["9000"] * 4
    by_accuracy = page.locator("#run-table thead button", has_text="accuracy")
    by_accuracy.click()
    assert column(page, "accuracy") == ["70.00", "60.00", "50.00", "9.50"]
    by_accuracy.click()
    assert column(page, "accuracy") == ["9.50", "50.00", "60.00", "70.00"]
    assert page.locator("#run-table th[aria-sort=ascending]").text_content() == "accuracy"
    page.get_by_label("Search").fill("MAGMAX seed 2")
    assert column(page, "accuracy") == ["60.00"] and page.locator("#run-count").text_content() == "1 of 4 runs"
    page.get_by_label("Search").fill("")
    page.get_by_label("scenario").select_option("alpha")
    page.get_by_label("seed", exact=False).last.select_option("1")
    assert column(page, "accuracy") == ["50.00", "70.00"]
    page.get_by_label("Search").fill("nothing of this name")
    assert column(page, "accuracy") == [] and page.locator("#run-count").text_content() == "0 of 4 runs"


def test_runs_with_two_encoders_are_told_apart_and_not_drawn_together_unasked(opened):
    def with_encoder(run, backbone, target):
        return run | {
            "choices": run["choices"] | {"backbone": backbone, "head": "prototypes"},
            "config": run["config"] | {"backbone": {"_target_": target}},
        }

    runs = [with_encoder(run, "efficientnet_lite0", "a.B") for run in RUNS[:2]]
    runs += [with_encoder(run | {"seed": 3}, "tiny_clip", "a.C") for run in [*RUNS[1:2], record("alpha", "lora_ties")]]
    page = opened(runs)
    assert column(page, "settings") == ["backbone=efficientnet_lite0"] * 2 + ["backbone=tiny_clip"] * 2
    draw(page, "plot-after")
    assert [line["name"] for line in plotted(page, "plot-after")] == [
        f"{method}, backbone=efficientnet_lite0, seed 1" for method in ("sequential_last", "sequential_magmax")
    ]
    page.get_by_label("encoder").select_option("tiny_clip prototypes")
    assert column(page, "seed") == ["3", "3"]

    other = json.loads(json.dumps(with_encoder(RUNS[1], "tiny_clip", "a.C")))
    other["config"]["merger"]["scaling"] = 0.7
    page = opened([with_encoder(RUNS[1], "efficientnet_lite0", "a.B"), other])
    assert column(page, "λ") == ["0.5", "0.7"]
    draw(page, "plot-scalings")
    assert page.locator("#plot-scalings").inner_text() == "No runs in the list differ in λ alone."


def test_long_lists_have_pages(opened):
    page = opened([record(seed=seed, value=float(seed % 97)) for seed in range(120)])
    assert column(page, "seed") == [str(seed) for seed in range(50)]
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Next").click()
    assert column(page, "seed") == [str(seed) for seed in range(100, 120)]
    assert page.locator("#page-number").text_content() == "Page 3 of 3"
    assert page.get_by_role("button", name="Next").is_disabled()
    page.locator("#run-table thead button", has_text="seed").click()
    assert page.locator("#page-number").text_content() == "Page 1 of 3"


def test_a_run_opens_with_its_matrices_times_and_configuration_and_closes_by_keyboard(opened):
    page = opened(RUNS)
    page.locator("#run-table .open").nth(2).press("Enter")
    run = page.locator("#run")
    assert run.is_visible() and run.locator("h2").text_content() == "sweep/2"
    matrix = run.locator("table.matrix").first.locator("tbody tr")
    found = [[float(x) for x in matrix.nth(i).locator("td").all_text_contents()] for i in range(6)]
    assert np.abs(np.array(found) - RUNS[2]["matrix"]["task_agnostic"]).max() <= 0.056
    said = run.text_content()
    for word in ("optim.batch_size128", "60.00 %", "sequential + magmax, λ = 0.5", "made-up device", "torch2.15.0"):
        assert word in said
    assert "/somewhere/else" not in page.content()  # where it ran is nobody's business
    page.keyboard.press("Escape")
    assert not run.is_visible()


def test_plots_hold_the_numbers_of_the_picked_runs(opened):
    page = opened(RUNS)
    draw(page, "plot-after")
    assert [line["name"] for line in plotted(page, "plot-after")] == [
        "sequential_last, alpha, seed 1", "sequential_magmax, alpha, seed 1",
    ]  # fmt: skip
    page.get_by_role("button", name="Pick none").click()
    page.get_by_label("pick sweep/3").check()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "pick sweep/3"
    draw(page, "plot-after", "plot-matrices")
    until(page, "document.getElementById('plot-after').data.length === 1")
    (line,) = plotted(page, "plot-after")
    assert line["x"] == list(range(6))
    assert line["y"] == pytest.approx(RUNS[3]["accuracy_after_task"]["task_agnostic"], abs=0.006)

    def heat():
        return np.array(page.evaluate("document.getElementById('plot-matrices').children[0].data[0].z"))

    assert np.abs(heat() - RUNS[3]["matrix"]["task_agnostic"]).max() <= 0.006
    page.locator("#matrix-kind").select_option("task_aware")
    until(page, "document.querySelector('#plot-matrices > div')?.data")
    assert np.abs(heat() - RUNS[3]["matrix"]["task_aware"]).max() <= 0.006


def test_accuracy_over_scalings_is_drawn_from_lists_and_from_sweeps(opened):
    several = [scaling(0.2, 40.0, 45.0), scaling(0.4, 60.0, 65.0, chosen=True)]
    swept = [
        record("beta", "cmm_cmm", 1, value, config={**RUNS[0]["config"], "method": "cmm", "merger": {"scaling": at}})
        for at, value in ((1.0, 30.0), (0.5, 20.0))
    ]
    page = opened([record("alpha", "sequential_magmax", 1, 60.0, scalings=several), *swept, RUNS[3]])
    assert column(page, "λ") == ["0.4", "1", "0.5", "0.5"]
    draw(page, "plot-scalings")
    first, validation, second = plotted(page, "plot-scalings")
    assert (first["x"], first["y"], validation["y"]) == ([0.2, 0.4], [40.0, 60.0], [45.0, 65.0])
    assert (second["x"], second["y"]) == ([0.5, 1.0], [20.0, 30.0])


def test_of_scalings_that_nobody_chose_from_none_is_the_runs_accuracy(opened):
    several = [scaling(0.2, 40.0), scaling(0.4, 60.0)]
    other = record("alpha", "independent_average", 1, 9.5)
    page = opened([record("alpha", "sequential_magmax", 1, 40.0, scalings=several), other])
    assert (column(page, "λ"), column(page, "accuracy")) == (["", "0.5"], ["", "9.50"])
    draw(page, *PLOTS)
    assert [line["name"] for line in plotted(page, "plot-after")] == ["independent_average, seed 1"]
    assert "no λ was chosen" in page.locator("#plot-matrices").text_content()
    assert [line["y"] for line in plotted(page, "plot-scalings")] == [[40.0, 60.0]]
    assert [line["y"] for line in plotted(page, "plot-time")] == [[9.5], [None]]
    assert "1 run with a list of λ" in page.locator("#overview").text_content()
    page.locator("#run-table .open").first.click()
    told = page.locator("#run").text_content()
    assert "none was chosen" in told and "merger.scaling=0.4" in told and "Each λ" in told


def test_a_click_on_a_point_of_time_against_accuracy_opens_its_run(opened):
    page = opened(RUNS)
    draw(page, "plot-time")
    points = [(x, y) for trace in plotted(page, "plot-time") for x, y in zip(trace["x"], trace["y"], strict=True)]
    assert sorted(points) == [(331.5, 9.5), (331.5, 50.0), (331.5, 60.0), (331.5, 70.0)]
    box = page.locator("#plot-time .scatterlayer .trace").first.locator(".point").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#run[open]")
    assert page.locator("#run h2").text_content() == "sweep/3"


def test_what_people_named_is_text_and_nothing_else(opened):
    tasks = [{"name": NASTY, "classes": 1, "images": 1, "training_images": 1}] * 5
    own = record(NASTY, f"sequential_{NASTY}", place=f"{NASTY.replace('/', '')}/0", tasks=5) | {"tasks": tasks}
    table = Table(
        NASTY, NASTY, (NASTY,), (Row(NASTY, {NASTY: Cell((1.0,), flags=(NASTY,), note=NASTY)}),), notes=(NASTY,)
    )
    picture = Picture(
        NASTY, NASTY, "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="
    )
    page = opened([own, RUNS[0]], [table], [picture])
    draw(page, *PLOTS)
    assert column(page, "method")[0] == f"sequential_{NASTY}" and column(page, "scenario")[0] == NASTY
    assert page.locator("article.results tbody th").text_content() == NASTY
    page.locator("#run-table .open").first.click()
    assert NASTY in page.locator("#run").text_content()
    assert page.evaluate("window.hacked") is None and page.locator("main img").count() == 1
    legend = page.locator("#plot-after .legendtext").first.text_content()
    assert NASTY.replace("&amp;", "&") in legend.replace("&amp;", "&")


def test_figures_are_carried_along_with_their_captions(opened, tmp_path):
    for name in ("b", "a_b"):
        svg = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30"><rect width="9" height="9"/></svg>'
        (tmp_path / f"{name}.svg").write_text(svg)
    (tmp_path / "b.txt").write_text("Accuracy over λ.\n")
    page = opened(RUNS, figures=pictures(tmp_path))
    page.locator("#figures").scroll_into_view_if_needed()
    until(page, "[...document.images].every((image) => image.naturalWidth === 90)")
    assert [image.get_attribute("alt") for image in page.locator("img").all()] == ["a b", "Accuracy over λ."]
    with pytest.raises(UserError, match=r"no \*\.svg"):
        pictures(tmp_path / "nothing")


def test_print_leaves_controls_away(opened):
    page = opened(RUNS, [TABLE])
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible() and not page.get_by_label("Search").is_visible()
    assert page.locator("#run-table tbody tr").first.is_visible() and page.locator("article.results").is_visible()


def test_a_thousand_runs_of_twenty_tasks_open_in_less_than_two_seconds(opened):
    methods = ("sequential_last", "sequential_magmax", "independent_average", "cmm_cmm")
    records = [record(f"s{s}", m, seed, tasks=20) for s in range(25) for m in methods for seed in range(10)]
    page = opened(records)
    seconds = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000
    assert len(column(page, "seed")) == 50 and page.locator("#run-count").text_content() == "1000 runs"
    assert 0 < seconds < 2, seconds
    page.get_by_label("Search").fill("s24 cmm")
    assert column(page, "seed") == [str(seed) for seed in range(10)]


def _page(*arguments):
    command = [sys.executable, "-m", "cl_bench.reports", "page", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_the_command_writes_the_same_bytes_for_the_same_records(tmp_path):
    write(tmp_path / "multirun/table_cil", *RUNS[:3])
    for name in ("one.html", "other.html"):
        done = _page(tmp_path / "multirun", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert "3 runs" in done.stdout
    one = (tmp_path / "one.html").read_bytes()
    assert one == (tmp_path / "other.html").read_bytes()
    assert b'<article class="results' in one and str(tmp_path).encode() not in one
    assert one.count(b"plotly.js v") == 1


def test_a_page_is_replaced_but_no_file_that_somebody_has_written(tmp_path, capsys):
    write(tmp_path / "runs", *RUNS[:1])
    command, page, notes = ["page", str(tmp_path / "runs")], tmp_path / "index.html", tmp_path / "notes.html"
    assert [reports([*command, str(page)]) for _ in range(2)] == [0, 0]
    notes.write_text("mine")
    assert (reports([*command, str(notes)]), notes.read_text()) == (2, "mine")
    assert capsys.readouterr().err.startswith(f"Error: {notes} is there already")


def test_mistakes_get_one_message(tmp_path, monkeypatch):
    failed = _page(tmp_path, tmp_path / "page.html")
    assert failed.returncode == 2 and failed.stderr.startswith("Error: ") and "Traceback" not in failed.stderr
    assert not (tmp_path / "page.html").exists()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UserError, match=r"jinja2: pip install 'cl_bench\[report\]'"):
        html([], tmp_path, [], [])


def test_a_run_in_which_a_kind_is_left_out_says_why(opened):
    kinds = {"task_agnostic": None, "task_aware": [[10.0, 20.0, 30.0]] * 4}
    left = record(
        matrix=kinds,
        tasks=3,
        metrics={"task_agnostic": None, "task_aware": {"average_accuracy": 20.0, "forgetting_max_minus_last": 1.0}},
        accuracy_after_task={"task_agnostic": None, "task_aware": [10.0] * 4},
        headline={"name": "metrics.task_aware.average_accuracy", "value": 20.0},
        finetuned=None,
        left_out={"task_agnostic": "data sets share words"},
    )
    page = opened([left])
    draw(page, "plot-matrices")
    assert "task-agnostic is left out, data sets share words" in page.locator("#plot-matrices").inner_text()
    page.locator("#run-table tbody button.open").first.click()
    shown = page.locator("#run-content").inner_text()
    assert "task-agnostic left out" in shown and "Accuracy matrix, merged, among the task's classes" in shown
