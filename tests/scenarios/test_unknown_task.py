"""Several data sets where nobody says which one an image comes from."""

import json

import pytest

from cl_bench.scenarios import SeveralDatasets
from tests.scenarios.conftest import make_dataset


def scenario(**settings):
    return SeveralDatasets({"a": make_dataset(3, seed=1), "b": make_dataset(4, seed=2)}, **settings)


def test_all_classes_compete_in_joint_training_and_each_task_is_learned_among_its_own():
    known, unknown = scenario(), scenario(task_known=False)
    assert known.joint().class_masks.sum(dim=1).tolist() == [3, 4]
    assert unknown.joint().class_masks.sum(dim=1).tolist() == [7]
    for one, other in zip(known.train_stream, unknown.train_stream, strict=True):
        assert (one.class_masks == other.class_masks).all()


def test_streams_are_told_apart_since_joint_training_and_replay_differ():
    assert scenario().identity() == scenario(task_known=True).identity() != scenario(task_known=False).identity()


def test_the_headline_is_the_mean_over_data_sets_of_the_accuracy_among_all_classes(run_py, tmp_path):
    said = run_py(
        "scenario=mini_eight", "task_order=[digits,capitals]", "scenario.task_known=false", "optim.epochs=1",
        "lightning=cpu", "dataset.shots=4",
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    (path,) = tmp_path.glob("outputs/*/*/result.json")
    result = json.loads(path.read_text())
    last, aware = (result["matrix"][kind][-1] for kind in ("task_agnostic", "task_aware"))
    assert result["headline"]["name"] == "metrics.task_agnostic.average_accuracy"
    assert result["headline"]["value"] == pytest.approx(sum(last) / 2) and sum(last) < sum(aware)
    assert result["scenario"]["kind"] == "dataset-incremental, task unknown" and result["left_out"] == {}
