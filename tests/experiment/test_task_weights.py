"""`merger.weights`: tasks by name or in order, in runs."""

import json

import pytest
import torch
from safetensors.torch import load_file

from cl_bench.experiment.check import check
from cl_bench.experiment.parts import build
from cl_bench.experiment.task_weights import in_order
from cl_bench.mergers import Average
from cl_bench.mergers.engine.task_weights import TaskWeights
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.memo import Memo
from tests.conftest import SHORT

AVERAGE = {"_target_": "cl_bench.mergers.Average", "scaling": 1.0}
OTHERS = {"_target_": "tests.experiment.test_task_weights.Another", "weights": {"cars": "words of its own"}}


class Another:
    def __init__(self, weights: dict[str, str]) -> None:
        """A class whose weights are no weights of tasks."""


class Mine(Average):
    def __init__(self, share: float, weights: TaskWeights = None) -> None:
        """A rule of somebody else's that takes weights of tasks."""
        super().__init__(share, weights)


def test_names_become_places_and_other_tasks_have_1():
    tasks = ["dtd", "cars", "7"]
    assert in_order({**AVERAGE, "weights": {"cars": 0.3, 7: 2}}, tasks)["weights"] == [1.0, 0.3, 2.0]
    inside = in_order({"_target_": "cl_bench.mergers.Lines", "of": {**AVERAGE, "weights": {"dtd": 0}}}, tasks)
    assert inside["of"]["weights"] == [0.0, 1.0, 1.0]
    assert in_order({**AVERAGE, "weights": [1, 2, 3]}, tasks)["weights"] == [1.0, 2.0, 3.0]
    assert in_order({**AVERAGE, "weights": {"cars": 0.3}}, None)["weights"] is None
    mine = {"_target_": "tests.experiment.test_task_weights.Mine", "share": 0.5, "weights": {"cars": 3}}
    assert in_order({"rules": [{"merger": mine}]}, tasks)["rules"][0]["merger"]["weights"] == [1.0, 3.0, 1.0]
    for untouched in (OTHERS, AVERAGE, {**AVERAGE, "weights": None}, None, "magmax", [OTHERS]):
        assert in_order(untouched, tasks) == untouched


def test_what_was_trained_before_there_were_weights_is_found_again(configure):
    from_merged = (*SHORT, "merger=average", "trainer.starts_from=merged")
    with_null, weighted = (build(configure(*from_merged, f"merger.weights={w}")) for w in ("null", "[1,2]"))
    assert with_null.training["merger"] == AVERAGE
    assert weighted.training["merger"] == {**AVERAGE, "weights": [1.0, 2.0]}
    first, second = (task.name for task in with_null.experiences)
    config = configure(*from_merged)
    by_name = build({**config, "merger": {**AVERAGE, "weights": {second: 2, first: 1}}})
    assert by_name.training == weighted.training and by_name.stream().fingerprint == weighted.stream().fingerprint


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ("[1,2,3]", "merger.weights lists 3 weights, but there are 2 tasks"),
        ("[1]", "merger.weights lists 1 weights, but there are 2 tasks"),
        ("{cars:1}", "merger.weights names 'cars', which is no task here; the tasks are: 'digit 0, digit 1, "),
        ("{cars:nan}", "merger.weights={'cars': 'nan'} does not fit"),
        ("{cars:two}", "merger.weights={'cars': 'two'} does not fit"),
        ("{}", "merger.weights={} does not fit"),
        ("[1,-1]", "weights must not be negative"),
        ("[0,0]", "no task counts"),
        ("0.5", "merger.weights=0.5 does not fit"),
        ("[true,2]", "merger.weights=[True, 2] does not fit: input should be numbers, not true or false"),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_training(configure, weights, named):
    config = configure(*SHORT, "merger=average")
    config["merger"]["weights"] = json.loads(weights) if ":" not in weights else dict([weights.strip("{}").split(":")])
    for look in (build, lambda config: check(config, Memo())):  # of a run, and of a sweep before its first job
        with pytest.raises(UserError) as refused:
            look(config)
        assert named in str(refused.value)


CLASSES = ["digit 0, digit 1", "digit 2, digit 3"]
TYPED = r"'merger.weights={digit 0\, digit 1: 0.3}'"


@pytest.mark.parametrize(
    ("weights", "tasks", "told"),
    [
        (
            {"digit 0": 3},
            CLASSES,
            "merger.weights names 'digit 0', which is no task here; the tasks are: 'digit 0, digit 1', "
            f"'digit 2, digit 3'. By name, with 1 for the others: {TYPED}",
        ),
        (
            [1],
            CLASSES,
            "merger.weights lists 1 weights, but there are 2 tasks: 'digit 0, digit 1', 'digit 2, digit 3'. "
            f"Give each one in this order. By name, with 1 for the others: {TYPED}",
        ),
        (
            {"a": 1, "b": 2},
            ["Käfer"],
            "merger.weights names 'a', 'b', which are no tasks here; the tasks are: 'Käfer'.",
        ),
        (
            [1],
            ["Käfer", "é"],
            "merger.weights lists 1 weights, but there are 2 tasks: 'Käfer', 'é'. Give each one in this order.",
        ),
    ],
)
def test_messages_show_where_each_name_ends_and_how_one_is_typed(weights, tasks, told):
    with pytest.raises(UserError) as refused:
        in_order({**AVERAGE, "weights": weights}, tasks)
    assert str(refused.value) == told


@pytest.mark.parametrize("weights", [{"cars": True}, [1.0, False], {"dtd": 2.0, "cars": False}])
def test_true_and_false_are_no_weights(weights):
    with pytest.raises(UserError, match=r"merger\.weights=.* does not fit: input should be numbers, not true or false"):
        in_order({**AVERAGE, "weights": weights}, ["dtd", "cars"])


@pytest.mark.slow
def test_a_run_gives_tasks_their_weights(configure, run_py, tmp_path):
    options = (*SHORT, "trainer=independent", "merger=average", "save_merged=true", "evaluation=final")
    first = build(configure(*options)).experiences[0].name
    escaped = first.replace(",", "\\,")  # Hydra's keys have no quotes
    done = run_py(*options, f"merger.weights={{{escaped}: 0.25}}", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run/result.json").read_text())
    assert record["config"]["merger"]["weights"] == {first: 0.25}
    one, other = (load_file(path) for path in sorted(tmp_path.glob("store/streams/*/task_00?.safetensors")))
    for name, tensor in load_file(tmp_path / "run/merged.safetensors").items():
        torch.testing.assert_close(tensor, 0.2 * one[name] + 0.8 * other[name], rtol=1e-4, atol=1e-6)
