"""Runs whose head is made of images: `head=prototypes`."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from cl_bench.experiment.head import as_tasks_arrive, first_arrivals
from cl_bench.experiment.parts import build
from cl_bench.heads import Head
from cl_bench.reports.names import row_name
from tests.conftest import FEW_IMAGES, SHORT
from tests.helpers.small import domains, scenario

QUICK = (*SHORT, FEW_IMAGES)


def _result(folder):
    return json.loads((folder / "result.json").read_text())


def test_simplecil_is_what_a_loop_over_the_images_finds(run_py, configure, tmp_path):
    options = ("scenario.tasks=2", "trainer=zero_shot", "head=prototypes", "lightning=cpu")
    assert run_py(*options, f"hydra.run.dir={tmp_path}").returncode == 0
    found, parts = _result(tmp_path), build(configure(*options))
    encoder, stream = parts.backbone.encoder.eval(), parts.scenario

    def features(samples):
        ((pixels, rows, _),) = samples.located(torch.arange(len(samples)))
        with torch.no_grad():
            return functional.normalize(encoder(parts.backbone.transform(torch.from_numpy(pixels[rows]), None)), dim=1)

    means = torch.full((10, parts.head.rows.shape[1]), torch.nan)
    expected = [[None, None]]
    for task in stream.train_stream:
        learned, labels = features(task.samples), task.samples.labels
        for label in task.classes_in_this_experience:
            means[label] = functional.normalize(learned[labels == label].mean(dim=0), dim=0)
        row = []
        for test in stream.test_stream:
            cosines = (features(test.samples) @ means.T).nan_to_num(-2.0)
            seen = bool(
                set(test.classes_in_this_experience) <= set(means.isfinite().all(1).nonzero().flatten().tolist())
            )
            row.append(float(100 * (cosines.argmax(1) == test.samples.labels).double().mean()) if seen else None)
        expected.append(row)
    matrix = found["matrix"]["task_agnostic"]
    assert [[value is None for value in row] for row in matrix] == [
        [value is None for value in row] for row in expected
    ]
    for row, wanted in zip(matrix[1:], expected[1:], strict=True):
        assert [value for value in row if value] == pytest.approx([value for value in wanted if value], abs=0.3)
    assert found["accuracy_after_task"]["task_agnostic"][0] is None
    assert found["metrics"]["task_agnostic"]["forward_transfer_against_zero_shot"] is None
    assert any("so there is none before any task" in note for note in found["notes"])


def test_the_table_calls_it_simplecil_and_has_a_dash_for_zero_shot(run_py, command, tmp_path):
    for folder, options in (("one", ("trainer=zero_shot", "head=prototypes")), ("two", ("head=prototypes",))):
        shown = run_py(*QUICK, *options, f"hydra.run.dir={tmp_path / folder}")
        assert shown.returncode == 0, shown.stderr
        (zero_shot,) = [line for line in shown.stdout.splitlines() if "│ zero-shot" in line]
        assert zero_shot.count("–") == 5
    folders = (str(tmp_path / "one"), str(tmp_path / "two"))
    table = command("-m", "cl_bench.reports", "table", *folders, cwd=tmp_path)
    assert table.returncode == 0, table.stderr
    assert "trainer=zero_shot" in table.stdout
    assert row_name(_result(tmp_path / "one")) == "SimpleCIL"


def test_figures_and_page_are_drawn_of_runs_without_a_zero_shot_row(run_py, command, tmp_path):
    grid = ("merger.scaling=[0.2,0.5,1]", "scenario.validation_share=0.9")
    assert run_py(*SHORT, *grid, "head=prototypes", f"hydra.run.dir={tmp_path / 'run'}").returncode == 0
    found = _result(tmp_path / "run")
    assert sum(one["chosen"] for one in found["scalings"]) == 1
    for what in ("figures", "page"):
        drawn = command("-m", "cl_bench.reports", what, str(tmp_path / "run"), str(tmp_path / what), cwd=tmp_path)
        assert drawn.returncode == 0, drawn.stderr


@pytest.mark.parametrize("head", ["zero_shot", "prototypes"])
def test_models_are_compared_with_each_tasks_own_only_among_the_same_classes(run_py, tmp_path, head):
    assert run_py(*QUICK, "trainer=independent", f"head={head}", f"hydra.run.dir={tmp_path}").returncode == 0
    kinds = _result(tmp_path)["metrics"]
    assert kinds["task_aware"]["normalized_accuracy"] is not None
    assert (kinds["task_agnostic"]["normalized_accuracy"] is None) == (head == "prototypes")


def test_a_head_of_the_users_own_is_refused(run_py, tmp_path):
    own = "import cl_bench.heads\n\n\nclass MyHead(cl_bench.heads.Prototypes):\n    pass\n"
    (tmp_path / "mine.py").write_text(own, encoding="utf-8")
    refused = run_py(*QUICK, "head._target_=mine.MyHead", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert refused.returncode == 2 and "head._target_=mine.MyHead: a head of your own" in refused.stderr


@pytest.mark.parametrize("options", [("trainer=joint",), ("trainer=lwf",), ("trainer=head_only",), ("merger=emr",)])
def test_other_trainers_and_rules_run_with_class_means(run_py, tmp_path, options):
    shown = run_py(*QUICK, *options, "head=prototypes", f"hydra.run.dir={tmp_path}")
    assert shown.returncode == 0, shown.stderr
    assert _result(tmp_path)["accuracy"]["task_aware"] > 50


def test_data_sets_that_are_never_trained_on_keep_their_heads_of_words(run_py, tmp_path):
    kept = {}
    for head in ("zero_shot", "prototypes"):
        folder = tmp_path / head
        shown = run_py(*QUICK, f"head={head}", "evaluation.retention=[glyphs]", f"hydra.run.dir={folder}")
        assert shown.returncode == 0, shown.stderr
        kept[head] = _result(folder)["retention"]["matrix"]
    assert kept["prototypes"][0] == kept["zero_shot"][0]  # of θ₀, which both begin with
    assert len(kept["prototypes"]) == 3 and None not in kept["prototypes"][-1]


def test_classes_that_are_still_to_come_compete_with_none():
    stream = domains()
    arrival = first_arrivals(stream)
    arrival[2:] = 1
    head, tasks = as_tasks_arrive(Head(torch.zeros(len(arrival), 3), arrival), stream, stream.train_stream)
    assert [task.class_masks.sum().item() for task in tasks] == [2, len(arrival), len(arrival)]
    assert stream.train_stream[0].class_masks.all()  # the scenario's own stay as they are
    head, _ = as_tasks_arrive(head, stream, [stream.joint()])
    assert head.known(0).sum() == 0
    assert head.known(1).all()


def test_classes_without_training_images_never_get_a_row():
    stream = scenario()
    arrival = first_arrivals(stream)
    assert sorted(arrival.tolist()) == [0] * 3 + [1] * 3


def test_equal_images_of_two_classes_are_refused_before_training(run_py, tmp_path):
    for name in ("left", "right", "other"):
        for split, number in (("train", 4), ("test", 2)):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for i in range(number):
                pixels = np.random.default_rng(i + 100 * (name == "other")).integers(
                    0, 255, (32, 32, 3), dtype=np.uint8
                )
                Image.fromarray(pixels).save(folder / f"{i}.png")
    found = run_py(
        "scenario=folder",
        f"dataset.root={tmp_path}/images",
        "scenario.tasks=1",
        "head=prototypes",
        "lightning=cpu",
        "backbone=tiny_clip",
    )
    assert found.returncode == 2
    assert "'left' and 'right'" in found.stderr
    assert "training images" in found.stderr
