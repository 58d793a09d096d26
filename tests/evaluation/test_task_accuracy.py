import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.evaluation.task_accuracy import Counts, TaskAccuracy

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
    assert [part.tolist() for part in counts] == [agnostic, aware, total]
    assert all(part.dtype == torch.int64 for part in counts)
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


def test_states_are_summed_over_processes_and_start_anew() -> None:
    metric = TaskAccuracy(TASKS)
    metric.update(*batch(0, 20))
    assert set(metric._reductions) == set(Counts._fields)
    assert all(
        reduction is torch.Tensor.sum or "sum" in str(reduction) for reduction in metric._reductions.values()
    )
    metric.reset()
    assert all(not part.any() for part in metric.compute())


def test_counts_stay_when_the_metric_goes_on() -> None:
    metric = TaskAccuracy(TASKS)
    metric.update(*batch(0, 20))
    counts = metric.compute()
    metric.update(*batch(1, 20))
    assert int(counts.total.sum()) == 20
    assert int(metric.compute().total.sum()) == 40
