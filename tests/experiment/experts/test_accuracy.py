"""Experts' own accuracy: counted as everything else is, and the same whatever the order of tasks."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from cl_bench.experiment.experts import accuracy
from cl_bench.experiment.experts.accuracy import canonical_order, own_accuracy
from cl_bench.experiment.state import begin
from tests.helpers import experts
from tests.helpers.experts import SCENARIO, THREE

HEADS = st.lists(st.lists(st.sampled_from([-1.0, 0.0, -0.0, 0.5]), min_size=2, max_size=2), min_size=1, max_size=8)


@given(HEADS, st.randoms(use_true_random=False), st.data())
def test_the_order_of_classes_follows_from_their_rows_alone(rows, random, data):
    head, mask = (
        torch.tensor(rows),
        torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))),
    )
    shuffled = list(range(len(rows)))
    random.shuffle(shuffled)
    order, other = canonical_order(head, mask), canonical_order(head[shuffled], mask[shuffled])
    assert sorted(order.tolist()) == list(range(len(rows)))
    assert torch.equal(head[order], head[shuffled][other]) and torch.equal(mask[order], mask[shuffled][other])


@pytest.fixture
def begun(configure, tmp_path):
    """Begins a run with experts of three tasks, in an order."""
    experts.write(tmp_path / "experts", *THREE, share=0.3)

    def begun(*order):
        weights = f"trainer.weights={tmp_path}/experts/%s"
        return begin(configure(*SCENARIO, f"task_order=[{','.join(order)}]", "trainer=imported", weights))

    return begun


def test_it_is_what_evaluating_the_expert_on_all_tasks_finds_of_its_own(begun, monkeypatch):
    for order in (THREE, THREE[::-1]):
        run = begun(*order)
        for task, name in enumerate(order):
            weights = experts.moved(THREE.index(name), 0.3)
            counts, whole = own_accuracy(run, task, weights), run.evaluator(weights)
            for kind in ("task_agnostic", "task_aware"):
                own, every = counts.matrix_row(kind), whole.matrix_row(kind)
                assert own[task] == every[task] and own.isnan().sum() == len(order) - 1
        monkeypatch.setattr(accuracy._Question, "answer", None)  # the second order finds all there already


def test_what_it_depends_on_is_in_its_name(begun, tmp_path):
    run, folder = begun(*THREE), tmp_path / "store" / "experts"
    for task, name in enumerate(THREE):
        own_accuracy(run, task, experts.moved(THREE.index(name), 0.3))
    found = [json.loads(file.read_text())["of"] for file in folder.glob("*.json")]
    measured = [of for of in found if of["measurement"] == "accuracy"]
    assert len(measured) == 3 and len({of["selection"] for of in measured}) == 3
    fewer = begun("digits", "greek")  # among the classes of two data sets
    for task, name in enumerate(("digits", "greek")):
        own_accuracy(fewer, task, experts.moved(THREE.index(name), 0.3))
    assert len([*folder.glob("*.json")]) == len(found) + 2


def test_another_expert_of_the_same_task_is_measured_itself(begun, tmp_path):
    first = own_accuracy(begun(*THREE), 0, experts.moved(0, 0.3))
    save_file(experts.pretrained(), tmp_path / "experts" / THREE[0] / "model.safetensors")
    run = begun(*THREE)
    second, whole = own_accuracy(run, 0, experts.pretrained()), run.evaluator(experts.pretrained())
    assert second.matrix_row("task_aware")[0] == whole.matrix_row("task_aware")[0]
    assert second.matrix_row("task_aware")[0] != first.matrix_row("task_aware")[0]
