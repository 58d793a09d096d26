"""Data sets that are never trained on: what is measured, what it leaves alone, and what is refused."""

import json

import pytest
import torch

from cl_bench.evaluation import Counts
from cl_bench.experiment.retention import described
from tests.conftest import FEW_IMAGES, SHORT

GLYPHS = "evaluation.retention=[glyphs]"


def record(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.mark.slow
def test_the_last_row_is_what_the_merged_model_gets_right_and_the_first_what_zero_shot_does(run_py, tmp_path):
    done = run_py(*SHORT, GLYPHS, "save_merged=true", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    kept = record(tmp_path / "run")["retention"]
    assert kept["datasets"] == ["glyphs"] and [len(row) for row in kept["matrix"]] == [1, 1, 1]
    assert kept["zero_shot"] == kept["matrix"][0][0] and kept["last"] == kept["matrix"][-1][0]
    assert kept["change"] == kept["last"] - kept["zero_shot"] != 0
    assert f"retention: {kept['last']:.2f} on glyphs, which were never trained on" in done.stdout

    glyphs = ("scenario=class_incremental", "dataset=glyphs", "scenario.tasks=1", "lightning=cpu")
    weights = "trainer.weights=run/merged.safetensors"
    again = run_py(*glyphs, "trainer=finished", weights, "hydra.run.dir=glyphs")
    assert again.returncode == 0, again.stderr
    alone = record(tmp_path / "glyphs")["accuracy_after_task"]["task_agnostic"]
    assert alone == [kept["zero_shot"], kept["last"]]

    without = run_py(*SHORT, "hydra.run.dir=without")
    assert without.returncode == 0 and "2 of 2 tasks reused" in without.stdout
    first, second = record(tmp_path / "run"), record(tmp_path / "without")
    assert second["retention"] is None
    assert all(first[key] == second[key] for key in ("fingerprint", "headline", "matrix", "metrics", "finetuned"))


@pytest.mark.slow
def test_rows_that_were_not_evaluated_are_null_and_the_reported_scaling_is_the_one_that_counts(run_py, tmp_path):
    grid = ("merger.scaling=[0.0,1.0]", FEW_IMAGES, "evaluation=final")
    done = run_py(*SHORT, *grid, GLYPHS, "hydra.run.dir=grid")
    assert done.returncode == 0, done.stderr
    result = record(tmp_path / "grid")
    one = run_py(
        *SHORT, FEW_IMAGES, "evaluation=final", f"merger.scaling={result['scaling']}", GLYPHS, "hydra.run.dir=one"
    )
    assert one.returncode == 0, one.stderr
    assert result["retention"] == record(tmp_path / "one")["retention"]
    assert result["retention"]["matrix"][1] == [None] and None not in result["retention"]["matrix"][2]


@pytest.mark.slow
def test_two_processes_find_the_same_and_tables_and_figures_show_it(run_py, command, tmp_path):
    for devices in (1, 2):
        done = run_py(
            *SHORT, GLYPHS, f"lightning.devices={devices}", "trainer=zero_shot", f"hydra.run.dir=runs/{devices}"
        )
        assert done.returncode == 0, done.stderr
    one, two = (record(tmp_path / "runs" / str(devices))["retention"] for devices in (1, 2))
    assert one == two and one["last"] == one["zero_shot"] and one["change"] == 0

    assert run_py(*SHORT, GLYPHS, "hydra.run.dir=trained/a").returncode == 0
    table = command("-m", "cl_bench.reports", "table", "trained", "--metrics", "retention", cwd=tmp_path)
    assert table.returncode == 0 and "never trained on" in " ".join(table.stdout.split()), table.stderr
    assert f"{record(tmp_path / 'trained/a')['retention']['last']:.2f}" in table.stdout
    drawn = command("-m", "cl_bench.reports", "figures", "trained", "figures", cwd=tmp_path)
    assert drawn.returncode == 0 and len(list((tmp_path / "figures").glob("retention_*.png"))) == 1, (
        drawn.stdout + drawn.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluation.retention=[glyph]",), "evaluation.retention names 'glyph', which is no data set; there are: "),
        (("evaluation.retention=glyphs",), "is no list of data sets; type evaluation.retention=[glyphs]."),
        (("evaluation.retention=[glyphs,glyphs]",), "evaluation.retention names a data set twice"),
        (("evaluation.retention=[digits]", "+dataset.test=90"), "or with the same images, is trained on"),
        (("evaluation.retention=[dtd]",), "DTD: data/dtd/dtd/images is missing."),
        (
            (GLYPHS, "trainer=head_only"),
            "evaluation.retention means nothing to a trainer that leaves the encoder as it is",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_message_before_anything_is_trained(run_py, tmp_path, arguments, message):
    done = run_py("lightning=cpu", *arguments)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("store/streams/*"))


def test_means_are_over_data_sets_whatever_their_sizes_and_null_where_nothing_was_evaluated():
    def counts(*correct_of):
        correct, total = (torch.tensor(numbers) for numbers in zip(*correct_of, strict=True))
        return Counts(torch.zeros_like(correct), correct, total)

    rows = [counts((5, 10), (10, 100)), None, counts((8, 10), (40, 100))]
    assert described(["few", "many"], rows) == {
        "datasets": ["few", "many"],
        "matrix": [[50.0, 10.0], [None, None], [80.0, 40.0]],
        "zero_shot": 30.0,
        "last": 60.0,
        "change": 30.0,
    }
    assert described([], [None]) is None
