"""LwF against a loop that keeps a second model."""

import copy

import pytest
import torch
from torch.nn import functional

from cl_bench.images.batches import Batch
from cl_bench.scenarios import DomainIncremental
from cl_bench.trainers import LwF
from tests.scenarios.conftest import make_dataset
from tests.trainers import streams

DOMAINS = DomainIncremental(make_dataset(classes=6, per_class=4, domains=3))


def _plain(strength, temperature, stream):
    teacher = None

    def loss(task, step, encoder, images, labels):
        total = streams.cross_entropy(encoder, images, labels, streams.classes_of(task, stream))
        if task > 0:
            earlier = sorted({c for before in range(task) for c in streams.classes_of(before, stream)})
            with torch.no_grad():
                old = functional.softmax(streams.logits(teacher, images, earlier) / temperature, dim=1)
            new = functional.softmax(streams.logits(encoder, images, earlier) / temperature, dim=1)
            total = total + strength * -(old * new.log()).sum(dim=1).mean()
        return total

    def after_task(task, encoder):
        nonlocal teacher
        teacher = copy.deepcopy(encoder)

    return streams.plain_loop(loss, after_task, stream=stream)


@pytest.mark.parametrize("stream", [streams.STREAM, DOMAINS], ids=["classes", "domains"])
def test_a_stream_equals_the_plain_loop(stream):
    trained = streams.trained(LwF, stream=stream, strength=2.0, temperature=1.5)
    streams.assert_same_streams(trained, _plain(2.0, 1.5, stream))
    assert streams.distance(trained[-1], streams.without_help(stream=stream)) > 1e-3


def test_student_and_teacher_run_once_per_batch_and_the_teacher_is_no_part_of_the_trainer():
    trainer, pretrained = streams.made(LwF)
    first = streams.STREAM.train_stream[0]
    trainer.remember(first, pretrained, {})
    assert len(list(trainer.parameters())) == len(list(trainer.encoder.parameters()))
    assert set(trainer.state_dict()) == {f"encoder.{name}" for name in pretrained}
    trainer.begin_task(pretrained, streams.STREAM.train_stream[1], steps=1)
    calls = []
    for who, module in (("student", trainer.encoder), ("teacher", trainer._teacher[0])):
        module.register_forward_hook(lambda *_, who=who: calls.append((who, torch.is_grad_enabled())))
    batch = Batch([], torch.tensor([2, 3]), torch.tensor([0, 0]), 2)
    trainer.task_loss(torch.rand(2, 3, 8, 8), batch).backward()
    assert sorted(calls) == [("student", True), ("teacher", False)]
    assert all(parameter.grad is None for parameter in trainer._teacher[0].parameters())
