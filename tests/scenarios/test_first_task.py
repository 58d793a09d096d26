"""A larger first task: who gets which classes, and what is refused."""

import itertools

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import ClassIncremental
from cl_bench.scenarios.order import PUBLISHED
from tests.scenarios.conftest import make_dataset


def arrived(scenario):
    return [experience.class_masks[0].nonzero().flatten().tolist() for experience in scenario.train_stream]


@given(classes=st.integers(1, 30), tasks=st.integers(1, 30), first=st.integers(1, 31), seed=st.integers(0, 3))
def test_the_others_share_what_the_first_task_leaves(classes, tasks, first, seed):
    data = make_dataset(classes, per_class=1)
    fits = first <= classes - (tasks - 1) and (tasks > 1 or first == classes)
    if not fits:
        with pytest.raises(UserError, match=r"scenario\.(first_task|tasks)="):
            ClassIncremental(data, tasks, first_task=first, class_order=seed)
        return
    scenario = ClassIncremental(data, tasks, first_task=first, class_order=seed)
    order = np.random.default_rng(seed).permutation(classes).tolist()
    chunks = arrived(scenario)
    assert chunks[0] == sorted(order[:first]) and len(chunks) == tasks
    if tasks > 1:
        others = make_dataset(classes - first, per_class=1)
        assert [len(chunk) for chunk in chunks[1:]] == [len(c) for c in arrived(ClassIncremental(others, tasks - 1))]
    sizes = list(itertools.accumulate(map(len, chunks)))
    assert chunks == [sorted(order[begin:end]) for begin, end in zip([0, *sizes], sizes, strict=False)]


def test_pilots_stream_has_100_classes_and_then_10_at_a_time():
    order = yaml.safe_load(PUBLISHED.read_text())["class_order"]["imagenet_a"]
    assert order == np.random.RandomState(1993).permutation(200).tolist()
    data = make_dataset(200, per_class=1, name="imagenet_a")
    chunks = arrived(ClassIncremental(data, 11, first_task=100, class_order="published"))
    assert [len(chunk) for chunk in chunks] == [100, *[10] * 10]
    assert chunks[0] == sorted(order[:100]) and chunks[10] == sorted(order[190:])


def test_it_changes_what_is_learned_first_and_nothing_without_it():
    data = make_dataset(10, per_class=2)
    whole, alike = ClassIncremental(data, 5), ClassIncremental(data, 5, first_task=2)
    assert arrived(whole) == arrived(alike) and whole.identity() == alike.identity()
    assert ClassIncremental(data, 5, first_task=3).identity() != whole.identity()
    assert whole.kind == "class-incremental" and alike.kind == "class-incremental, 2 classes first"


def test_the_command_line(run_py):
    said = run_py("scenario.first_task=9")
    assert said.returncode == 2
    assert "Error: scenario.first_task=9 leaves 1 of the 10 classes of digits to 4 other tasks" in said.stderr
    for wrong in ("scenario.first_task=0", "scenario.first_task=two", "scenario.first_task=1.5"):
        said = run_py(wrong)
        assert said.returncode == 2 and said.stderr.startswith(f"Error: {wrong.partition('=')[0]}=")
        assert said.stderr.count("\n") == 1
