"""One pass against a loop over images and tasks."""

import contextlib

import numpy as np
import pytest
import torch

from cl_bench.evaluation import Evaluator
from cl_bench.evaluation.accuracies import KINDS, accuracies
from cl_bench.runtime import distributed
from tests.helpers.small import TRANSFORM, SmallEncoder, head, pixels_at, scenario


def _evaluator(stream, encoder, batch_size=7):
    samples, masks = stream.evaluated("test")
    return Evaluator(
        encoder, head(), TRANSFORM, samples, masks, batch_size, 0, torch.device("cpu"), contextlib.nullcontext
    )


def naive(stream, encoder):
    """Per task: (images right among all classes, images right among the task's classes, images)."""
    encoder, rows, counts = encoder.eval(), head().double(), []
    for experience in stream.test_stream:
        classes, right = experience.classes_in_this_experience, [0, 0]
        for position in range(len(experience.samples)):
            pixels = pixels_at(experience.samples, torch.tensor([position]))
            with torch.no_grad():
                feature = encoder(TRANSFORM(pixels))[0].double()
            logits = (rows @ (feature / feature.norm())).tolist()
            label = int(experience.samples.labels[position])
            right[0] += max(range(len(logits)), key=logits.__getitem__) == label
            right[1] += max(classes, key=logits.__getitem__) == label
        counts.append((*right, len(experience.samples)))
    return counts


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_counts_are_those_of_the_loop(batch_size):
    stream, encoder = scenario(tasks=3), SmallEncoder(seed=4)
    counts = _evaluator(stream, SmallEncoder(seed=9), batch_size)(encoder.state_dict())
    expected = naive(stream, encoder)
    assert counts.agnostic_correct.tolist() == [row[0] for row in expected]
    assert counts.aware_correct.tolist() == [row[1] for row in expected]
    assert counts.total.tolist() == [row[2] for row in expected]


def test_shares_of_several_processes_add_up(monkeypatch):
    stream, weights = scenario(tasks=3), SmallEncoder(seed=4).state_dict()
    alone = _evaluator(stream, SmallEncoder())(weights)
    shares = []
    for rank in range(3):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(distributed, "world_size", lambda: 3)
        evaluator = _evaluator(stream, SmallEncoder())
        monkeypatch.setattr(distributed, "is_main", lambda: True)
        shares.append(evaluator(weights))
    for name in ("agnostic_correct", "aware_correct", "total"):
        assert torch.equal(sum(getattr(share, name) for share in shares), getattr(alone, name))


def test_the_encoder_given_is_not_changed():
    encoder = SmallEncoder()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    _evaluator(scenario(), encoder)(SmallEncoder(seed=5).state_dict())
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_accuracies_come_from_counts_and_leave_gaps_where_nothing_was_evaluated():
    stream = scenario(tasks=3)
    encoder = SmallEncoder(seed=4)
    counts = _evaluator(stream, encoder)(encoder.state_dict())
    found = accuracies([counts, None, None, counts], 3)
    expected = naive(stream, encoder)
    for column, kind in enumerate(KINDS):
        row = [100 * task[column] / task[2] for task in expected]
        assert found["matrix"][kind][0] == pytest.approx(row) == found["matrix"][kind][3]
        assert np.isnan(found["matrix"][kind][1:3]).all()
        pooled = 100 * sum(task[column] for task in expected) / sum(task[2] for task in expected)
        assert found["accuracy"][kind] == pytest.approx(pooled)
        assert found["accuracy_after_task"][kind][1:3] == [None, None]
        assert found["metrics"][kind]["forgetting_max_minus_last"] is None
