import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.evaluation.counting import Counts, TaskAccuracy

TASKS, CLASSES = 3, 6
allowed = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1]]).bool()
KINDS = ("task_agnostic", "task_aware")


def batch(seed: int, images: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tasks = torch.randint(TASKS, (images,), generator=generator)
    labels = torch.multinomial(allowed[tasks].double(), 1, generator=generator)[:, 0] if images else tasks
    return torch.randn(images, CLASSES, generator=generator), labels, tasks, allowed


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**31), st.integers(0, 9)), min_size=1, max_size=4))
def test_agrees_with_loops(batches: list[tuple[int, int]]) -> None:
    metric = TaskAccuracy(TASKS)
    agnostic, aware, total = [0] * TASKS, [0] * TASKS, [0] * TASKS
    for seed, images in batches:
        logits, labels, tasks, masks = batch(seed, images)
        metric.update(logits, labels, tasks, masks)
        for scores, label, task in zip(logits.tolist(), labels.tolist(), tasks.tolist(), strict=True):
            own = [c for c in range(CLASSES) if masks[task, c]]
            agnostic[task] += max(range(CLASSES), key=scores.__getitem__) == label
            aware[task] += max(own, key=scores.__getitem__) == label
            total[task] += 1
    counts = metric.compute()
    parts = (counts.agnostic_correct, counts.aware_correct, counts.total)
    assert [part.tolist() for part in parts] == [agnostic, aware, total]
    assert all(part.dtype == torch.int64 for part in parts)
    for kind, correct in zip(KINDS, (agnostic, aware), strict=True):
        expected = [100 * c / n if n else math.nan for c, n in zip(correct, total, strict=True)]
        assert counts.matrix_row(kind).tolist() == pytest.approx(expected, nan_ok=True)
        pooled = 100 * sum(correct) / sum(total) if sum(total) else math.nan
        assert counts.pooled(kind) == pytest.approx(pooled, nan_ok=True)


def test_pooled_weights_images_and_not_tasks() -> None:
    counts = Counts(torch.tensor([1, 30]), torch.tensor([1, 60]), torch.tensor([1, 99]))
    assert counts.pooled("task_agnostic") == 31.0
    assert counts.pooled("task_aware") == 61.0
    assert counts.matrix_row("task_aware").tolist() == pytest.approx([100, 100 * 60 / 99])


def test_one_task() -> None:
    metric = TaskAccuracy(1)
    zeros = torch.zeros(4, dtype=torch.int64)
    metric.update(torch.tensor([[2.0, 1.0]] * 3 + [[1.0, 2.0]]), zeros, zeros, torch.ones(1, 2).bool())
    counts = metric.compute()
    assert counts.matrix_row("task_agnostic").tolist() == [75.0]
    assert counts.total.tolist() == [4]


def test_processes_count_together() -> None:
    alone, together = TaskAccuracy(TASKS), TaskAccuracy(TASKS)
    alone.update(*batch(0, 20))
    together.update(*batch(0, 20))
    together.distributed_available_fn = lambda: True
    together.dist_sync_fn = lambda counts, group=None: [counts, counts + 1]  # what the other process has
    one, both = alone.compute(), together.compute()
    for name in ("agnostic_correct", "aware_correct", "total"):
        assert torch.equal(getattr(both, name), 2 * getattr(one, name) + 1)


def test_counts_stay_when_the_metric_goes_on() -> None:
    metric = TaskAccuracy(TASKS)
    metric.update(*batch(0, 20))
    counts = metric.compute()
    metric.update(*batch(1, 20))
    assert int(counts.total.sum()) == 20
    assert int(metric.compute().total.sum()) == 40


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.booleans(), min_size=CLASSES, max_size=CLASSES))
def test_of_classes_without_a_row_none_answers_and_their_images_are_wrong_or_do_not_count(seed, rows):
    known = torch.tensor(rows)
    logits, labels, tasks, masks = batch(seed, 30)
    metric = TaskAccuracy(TASKS)
    metric.update(logits, labels, tasks, masks, known)
    counts = metric.compute()
    for task in range(TASKS):
        own = [c for c in range(CLASSES) if masks[task, c] and known[c]]
        mine = [
            (s, label)
            for s, label, t in zip(logits.tolist(), labels.tolist(), tasks.tolist(), strict=True)
            if t == task
        ]
        mine = mine if own else []
        there = [c for c in range(CLASSES) if known[c]]
        assert counts.total[task] == len(mine)
        assert counts.agnostic_correct[task] == sum(max(there, key=s.__getitem__) == label for s, label in mine)
        assert counts.aware_correct[task] == sum(max(own, key=s.__getitem__) == label for s, label in mine)
        assert counts.without_row[task] == sum(not known[label] for _, label in mine)


@pytest.mark.parametrize("some_have_no_row", [False, True])
def test_nothing_waits_for_a_value_that_a_device_computes(some_have_no_row: bool) -> None:
    """Tensors on the device `meta` have no values, so whoever asks for one fails."""
    known = torch.ones(CLASSES, dtype=torch.bool, device="meta") if some_have_no_row else None
    metric = TaskAccuracy(TASKS).to("meta")
    metric.update(*(tensor.to("meta") for tensor in batch(0, 5)), known)
    assert metric.total.shape == (TASKS,)
