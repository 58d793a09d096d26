"""Whole runs in this process, short ones."""

import math

import pytest

from cl_bench.errors import UserError
from cl_bench.launch import launch
from cl_bench.store import read_result
from tests.conftest import SHORT


@pytest.fixture
def do(configure, tmp_path):
    def do(*overrides):
        value = launch(configure(*SHORT[1:], *overrides), tmp_path / "run")
        return read_result(tmp_path / "run" / "result.json"), value

    return do


def _shape(result):
    matrix = result["matrix"]["task_agnostic"]
    return len(matrix), len(matrix[0])


@pytest.mark.parametrize(
    ("overrides", "shape"),
    [
        (["trainer=zero_shot"], (1, 5)),
        (["trainer=joint"], (2, 5)),
        (["trainer=independent", "merger=average"], (6, 5)),
        (["scenario=glyphs_20", "evaluation=final"], (21, 20)),
        (["scenario=glyphs_domains", "merger=rand_mix"], (7, 6)),
        (["scenario=mini_eight", "merger=ties"], (9, 8)),
        (["scenario=mini_eight", "trainer=joint"], (2, 8)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_every_trainer_and_kind_of_scenario_gives_its_matrix_and_headline(do, overrides, shape):
    result, value = do(*overrides)
    assert _shape(result) == shape and value is None
    record = result
    for key in result["headline"]["name"].split("."):
        record = record[key]
    assert record == result["headline"]["value"] and 0 <= record <= 100
    assert len(result["training"]) == shape[0] - 1


def test_in_several_datasets_the_headline_is_the_mean_of_their_own_accuracies(do):
    result, _ = do("scenario=mini_eight", "trainer=zero_shot")
    assert result["headline"]["value"] == pytest.approx(sum(result["matrix"]["task_aware"][-1]) / 8)


def test_over_domains_all_classes_are_every_tasks_classes(do):
    result, _ = do("scenario=glyphs_domains", "trainer=zero_shot")
    assert result["matrix"]["task_agnostic"] == result["matrix"]["task_aware"]


def test_sequential_with_last_reports_the_raw_weights(do):
    merged, _ = do("merger=magmax")
    last, _ = do("merger=last")
    assert last["matrix"] == merged["finetuned"]["matrix"]
    assert last["finetuned"] is None  # it would say the same twice


def test_a_validation_run_returns_its_headline_and_looks_at_no_test_image(do):
    result, value = do("evaluation.split=validation", "scenario.validation_share=0.2")
    assert value == result["headline"]["value"] and result["split"] == "validation"
    assert sum(task["images"] for task in result["tasks"]) == pytest.approx(0.2 * 1347, abs=5)


def test_a_merge_that_leaves_the_range_of_numbers_names_the_merger_and_the_task(do):
    with pytest.raises(UserError, match="MagMax cannot merge task 1: merged"):
        do("merger.scaling=1e60")


def test_tensorboard_gets_training_and_rows(do, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    do("logger=tensorboard", "optim.epochs=4")
    events = EventAccumulator(str(tmp_path / "run" / "log")).Reload()
    assert {"train/loss", "train/lr", "test/task_agnostic", "test/task_aware"} <= set(events.Tags()["scalars"])
    assert [scalar.step for scalar in events.Scalars("test/task_agnostic")] == [0, 12, 24, 36, 48, 60]


@pytest.mark.parametrize(
    "override", ["lightning.precision=bf16-mixed", "lightning.workers=1", "backbone.resampling=pillow"]
)
def test_other_ways_to_compute_give_about_the_same_accuracy(do, override):
    plain, _ = do("evaluation=final")
    other, _ = do("evaluation=final", override)
    assert math.isclose(plain["accuracy"]["task_aware"], other["accuracy"]["task_aware"], abs_tol=5)
