"""Whole runs in this process, short ones."""

import gc
import math

import pytest
import torch
from safetensors.torch import load_file

from cl_bench.experiment import learning, run
from cl_bench.experiment.parts import build
from cl_bench.experiment.state import begin
from cl_bench.launching.launch import launch
from cl_bench.runtime.errors import UserError
from cl_bench.store import read_result
from tests.conftest import FEW_IMAGES, FEW_STEPS, FEW_TESTED, SHORT


@pytest.fixture
def do(configure, tmp_path):
    def do(*overrides):
        few = [] if overrides[0].startswith("scenario=") else [FEW_TESTED]
        value = launch(configure(*FEW_STEPS, *few, *overrides), tmp_path / "run")
        return read_result(tmp_path / "run" / "result.json"), value

    return do


def _shape(result):
    matrix = result["matrix"]["task_aware"]
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


@pytest.mark.parametrize("merger", ["fisher", "cofima", "regmean"])
def test_a_merger_gets_what_it_asks_of_the_training(do, tmp_path, merger):
    result, _ = do("scenario.tasks=2", FEW_IMAGES, f"merger={merger}")
    again, _ = do("scenario.tasks=2", FEW_IMAGES, f"merger={merger}")
    average, _ = do("scenario.tasks=2", FEW_IMAGES, "merger=average")
    assert not any(task["reused"] for task in result["training"]) and all(task["reused"] for task in again["training"])
    assert result["matrix"] == again["matrix"] != average["matrix"]
    assert result["finetuned"]["matrix"] == average["finetuned"]["matrix"]


def test_a_trainer_that_cannot_leave_that_behind_says_so(do):
    with pytest.raises(UserError, match="merger=regmean needs grams of the training, which trainer=head_only does not"):
        do("merger=regmean", "trainer=head_only")


def test_in_several_datasets_the_headline_is_the_mean_of_their_own_accuracies(do):
    result, _ = do("scenario=mini_eight", "trainer=zero_shot")
    assert result["headline"]["value"] == pytest.approx(sum(result["matrix"]["task_aware"][-1]) / 8)


def test_over_domains_all_classes_are_every_tasks_classes(do):
    result, _ = do("scenario=glyphs_domains", "trainer=zero_shot")
    assert result["matrix"]["task_agnostic"] == result["matrix"]["task_aware"]


def test_sequential_with_last_reports_the_raw_weights(do):
    merged, _ = do("scenario.tasks=3", "merger=magmax")
    last, _ = do("scenario.tasks=3", "merger=last")
    assert last["matrix"] == merged["finetuned"]["matrix"]
    assert last["finetuned"] is None  # it would say the same twice


def test_a_validation_run_returns_its_headline_and_looks_at_no_test_image(do):
    result, value = do("evaluation.split=validation", "scenario.validation_share=0.2")
    assert value == result["headline"]["value"] and result["split"] == "validation"
    assert sum(task["images"] for task in result["tasks"]) == pytest.approx(0.2 * 1347, abs=5)


def test_a_merge_that_leaves_the_range_of_numbers_names_the_merger_and_the_task(do):
    with pytest.raises(UserError, match="merger=magmax cannot merge task 1: merged"):
        do("merger.scaling=1e60")


@pytest.mark.parametrize(
    "override", ["lightning.precision=bf16-mixed", "lightning.workers=1", "backbone.resampling=pillow"]
)
def test_other_ways_to_compute_give_about_the_same_accuracy(do, override):
    plain, _ = do("scenario.tasks=2", "evaluation=final")
    other, _ = do("scenario.tasks=2", "evaluation=final", override)
    assert math.isclose(plain["accuracy"]["task_aware"], other["accuracy"]["task_aware"], abs_tol=5)


def test_a_stream_that_starts_from_merged_weights_depends_on_the_merger(do):
    merged, _ = do("scenario.tasks=3", "trainer.starts_from=merged", "merger=average")
    other, _ = do("scenario.tasks=3", "trainer.starts_from=merged", "merger=magmax")
    again, _ = do("scenario.tasks=3", "trainer.starts_from=merged", "merger=average")
    assert merged["fingerprint"] == again["fingerprint"] != other["fingerprint"]
    assert merged["matrix"] == again["matrix"] and all(record["reused"] for record in again["training"])
    before, _ = do("scenario.tasks=3", "merger=average")
    assert before["fingerprint"] != merged["fingerprint"]


def test_with_the_last_weights_as_merged_ones_it_is_sequential_training(do):
    merged, _ = do("scenario.tasks=3", "trainer.starts_from=merged", "merger=last")
    sequential, _ = do("scenario.tasks=3", "merger=last")
    assert merged["matrix"] == sequential["matrix"]


def test_a_warmup_longer_than_a_task_is_told(do, caplog):
    caplog.set_level("INFO", "cl_bench")
    do("scenario.tasks=2", "optim.warmup_ratio=null", "optim.warmup_steps=500", "optim.lr=1e-5")
    line = "task 1: the warm-up of 500 steps is longer than its 3 steps: the learning rate reaches 6e-08 of 1e-05"
    assert line in caplog.text
    caplog.clear()
    do("scenario.tasks=2", "optim.warmup_ratio=0.5")
    assert "warm-up" not in caplog.text


def test_a_task_that_is_over_leaves_nothing_in_memory(do, monkeypatch):
    """A Lightning trainer refers to itself in circles, and holds the optimizer's state: twice the weights."""
    alive, evaluate = [], run.evaluate

    def counted(*arguments):
        evaluate(*arguments)
        alive.append(sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects()))

    monkeypatch.setattr(run, "evaluate", counted)
    do("scenario.tasks=5", "evaluation=final")
    assert max(alive[1:]) - min(alive[1:]) < 20


GRID = "merger.scaling=[0.1,0.5,1.0]"


def test_a_grid_of_scalings_is_what_single_runs_say_and_trains_once(do):
    grid, _ = do(GRID, "scenario.tasks=3")
    assert [one["scaling"] for one in grid["scalings"]] == [0.1, 0.5, 1.0]
    for one in grid["scalings"]:
        alone, _ = do(f"merger.scaling={one['scaling']}", "scenario.tasks=3")
        assert all(record["reused"] for record in alone["training"]) and alone["scalings"] is None
        assert one["matrix"] == alone["matrix"] and one["accuracy"] == alone["accuracy"]
    assert not any(one["chosen"] for one in grid["scalings"])
    assert grid["matrix"] == grid["scalings"][0]["matrix"]  # the first, not the best on test images


def test_of_a_grid_the_best_on_validation_images_is_reported(do):
    options = ("scenario.validation_share=0.3", "scenario.tasks=3", "evaluation=final")
    grid, value = do(GRID, *options)
    validation = [
        do(f"merger.scaling={one['scaling']}", *options, "evaluation.split=validation")[1] for one in grid["scalings"]
    ]
    assert [one["validation"] for one in grid["scalings"]] == validation
    best = validation.index(max(validation))
    assert [one["chosen"] for one in grid["scalings"]] == [i == best for i in range(3)]
    assert grid["accuracy"] == grid["scalings"][best]["accuracy"] and value is None
    on_validation, value = do(GRID, *options, "evaluation.split=validation")
    assert value == max(validation) and [one["chosen"] for one in on_validation["scalings"]].index(True) == best


def test_a_grid_is_shown_with_the_one_that_was_chosen(do, capsys):
    do(GRID, "scenario.tasks=2", "evaluation=final")
    shown = capsys.readouterr().out
    assert "sequential + magmax, λ = 0.5" not in shown or "*" not in shown
    assert (
        "No λ was chosen, so figures and the papers' tables leave this run out. scenario.validation_share=0.2" in shown
    )
    do(GRID, "scenario.tasks=2", "evaluation=final", "scenario.validation_share=0.2")
    shown = capsys.readouterr().out
    assert shown.count(" * ") == 1 and "* chosen on validation images, where it has" in shown


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["merger.scaling=[]"], r"merger\.scaling=\[\] does not fit"),
        (["merger.scaling=[0.1,much]"], r"merger\.scaling=\[0\.1, 'much'\] does not fit"),
        ([GRID, "trainer.starts_from=merged"], r"merger\.scaling is a list, but tasks start from the merged weights"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(do, overrides, message):
    with pytest.raises(UserError, match=message):
        do(*overrides)


def test_training_that_hardly_changes_the_weights_is_told_with_what_to_change(do, caplog):
    weak = ("scenario.tasks=2", "optim.warmup_ratio=null", "optim.warmup_steps=500", "optim.lr=1e-6")
    line = "task 1: training hardly changed the weights (by "
    advice = (
        "; its warm-up is longer than its 3 steps: try optim.warmup_ratio=0.1, or raise optim.lr=1e-06 or optim.epoc"
    )
    for _ in range(2):  # trained, and from the store
        caplog.clear()
        result, _ = do(*weak)
        assert line in caplog.text and advice in caplog.text and line.replace("1", "2") in caplog.text
    assert all(0 < record["relative_change"] < 1e-4 for record in result["training"])
    caplog.clear()
    do("scenario.tasks=2", "optim.lr=1e-7")
    assert line in caplog.text and "; raise optim.lr=1e-07 or optim.epochs" in caplog.text
    caplog.clear()
    result, _ = do("scenario.tasks=2")
    assert "hardly changed" not in caplog.text and all(
        1e-3 < record["relative_change"] < 1 for record in result["training"]
    )


def test_the_change_is_of_the_weights_that_a_task_started_from(do, configure, tmp_path):
    result, _ = do("scenario.tasks=2", "trainer=independent")
    pretrained = build(configure("trainer=independent")).pretrained
    for task, record in enumerate(result["training"]):
        (file,) = tmp_path.glob(f"store/streams/*/task_{task:03d}.safetensors")
        weights = load_file(file)
        change = sum(((weights[name] - tensor).double() ** 2).sum() for name, tensor in pretrained.items()) ** 0.5
        norm = sum((tensor.double() ** 2).sum() for tensor in pretrained.values()) ** 0.5
        assert record["relative_change"] == pytest.approx(float(change / norm), rel=1e-6)


def test_of_two_runs_that_want_a_task_the_one_that_waited_loads_it(configure, monkeypatch):
    first, second = (begin(configure(*SHORT)) for _ in range(2))
    trained = learning.learn(first, first.tasks[0])
    monkeypatch.setattr(learning, "_train", None)  # the second has been waiting for the first one's lock
    loaded = learning.learn(second, second.tasks[0])
    assert not trained.record["reused"] and loaded.record["reused"]
    assert all(torch.equal(loaded.weights[name], tensor) for name, tensor in trained.weights.items())
