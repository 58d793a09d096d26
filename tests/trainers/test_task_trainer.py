"""Trainers against a plain PyTorch loop, step by step, in double precision."""

import math

import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from cl_bench.images import batches
from cl_bench.images.transforms import crop_boxes
from cl_bench.runtime import seeds
from cl_bench.runtime.devices import Devices
from cl_bench.runtime.errors import UserError
from cl_bench.trainers import Independent, Joint, Sequential, ZeroShot
from cl_bench.trainers.base.optimization import factor
from cl_bench.trainers.statistics import STATISTICS
from tests.helpers.small import TRANSFORM, SmallEncoder, head, optimization, pixels_at, scenario, small_given
from tests.trainers import streams

SEED = 3


def _train(trainer_class, stream_of, settings):
    trainer = trainer_class(small_given(settings))
    pretrained = trainer.weights()
    weights, trained = pretrained, []
    for task, experience in enumerate(trainer.experiences(stream_of)):
        order = batches.TrainingOrder(experience.samples, settings.batch_size, SEED, task, settings.epochs)
        start = pretrained if trainer.starts_from == "pretrained" else weights
        trainer.begin_task(start, experience, order.steps)
        runner = Devices(accelerator="cpu").trainer(settings.gradient_clip, [pl.Callback()])
        runner.fit(trainer, batches.loader(experience.samples, order, TRANSFORM, workers=0))
        weights, statistics = trainer.end_task()
        trainer.remember(experience, weights, statistics)
        trained.append(weights)
    return pretrained, trained


def _plain_loop(experiences, settings, start_from_pretrained):
    """The protocol once more, without Lightning, schedulers, loaders or masks."""
    encoder, rows = SmallEncoder().double(), head().double()
    pretrained = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    trained = []
    for task, experience in enumerate(experiences):
        if start_from_pretrained:
            encoder.load_state_dict(pretrained)
        optimizer = torch.optim.AdamW(encoder.parameters(), lr=settings.lr)
        samples, classes = experience.samples, experience.class_masks[0].nonzero().flatten()
        order = batches.TrainingOrder(samples, settings.batch_size, SEED, task, settings.epochs)
        for step, (positions, draws, _) in enumerate(order):
            pixels = pixels_at(samples, positions)
            crops = crop_boxes(torch.tensor([pixels.shape[1:3]] * len(pixels)), draws)
            if step < settings.warmup_steps:
                lr = settings.lr * (step + 1) / settings.warmup_steps
            else:
                done = (step - settings.warmup_steps) / max(1, len(order) - settings.warmup_steps)
                lr = settings.lr * 0.5 * (1 + math.cos(math.pi * done))
            optimizer.param_groups[0]["lr"] = lr
            features = encoder(TRANSFORM(pixels, crops).double())
            logits = functional.normalize(features, dim=1) @ rows[classes].T
            local = torch.tensor([classes.tolist().index(label) for label in samples.labels[positions].tolist()])
            loss = functional.cross_entropy(logits, local)
            optimizer.zero_grad()
            loss.backward()
            if settings.gradient_clip is not None:
                torch.nn.utils.clip_grad_norm_(encoder.parameters(), settings.gradient_clip)
            optimizer.step()
        trained.append({name: tensor.clone() for name, tensor in encoder.state_dict().items()})
    return trained


def _distance(one, other):
    return max(float((one[name] - other[name]).norm() / other[name].norm()) for name in other)


class _MasksOfTheFirstTask(Sequential):
    def begin_task(self, weights, experience, steps, resumed=None):
        super().begin_task(weights, experience, steps, resumed)
        self.class_masks = streams.STREAM.train_stream[0].class_masks


def test_statistics_among_classes_without_the_images_own_are_refused():
    trainer, weights = streams.made(_MasksOfTheFirstTask)
    trainer.begin_task(weights, streams.STREAM.train_stream[1], steps=1)
    seeds.reseed(streams.SEED, 1, "training")
    with pytest.raises(
        UserError, match=r"_MasksOfTheFirstTask: class_masks leave out the class of an image that is read for its squ"
    ):
        STATISTICS["squared_gradients"](trainer)


@pytest.mark.parametrize(
    "settings",
    [
        optimization(),
        optimization(warmup_steps=500),
        optimization(gradient_clip=None),
        optimization(batch_size=7),
    ],
    ids=["published form", "warm-up longer than the task", "no clip", "uneven last batch"],
)
@pytest.mark.parametrize("trainer", [Sequential, Independent])
def test_a_stream_equals_the_plain_loop(trainer, settings):
    stream = scenario()
    assert settings.epochs * len(stream.train_stream[0].samples) / settings.batch_size >= 10
    _, trained = _train(trainer, stream, settings)
    expected = _plain_loop(list(stream.train_stream), settings, start_from_pretrained=trainer is Independent)
    assert len(trained) == 2
    for mine, plain in zip(trained, expected, strict=True):
        assert _distance(mine, plain) < 1e-9


def test_joint_training_equals_the_plain_loop_on_all_data():
    stream, settings = scenario(), optimization()
    _, (trained,) = _train(Joint, stream, settings)
    (expected,) = _plain_loop([stream.joint()], settings, start_from_pretrained=True)
    assert _distance(trained, expected) < 1e-9


def test_zero_shot_has_nothing_to_train():
    assert _train(ZeroShot, scenario(), optimization())[1] == []


def test_classes_of_other_tasks_do_not_count_while_training():
    first = scenario(tasks=3).train_stream[0]
    trainer = Sequential(small_given())
    trainer.begin_task(trainer.encoder.state_dict(), first, steps=1)
    logits = torch.randn(4, 6, dtype=torch.float64)
    batch = batches.Batch([], torch.tensor([0, 1, 0, 1]), torch.zeros(4, dtype=torch.int64), 4)
    changed = logits.clone()
    changed[:, 2:] += torch.randn(4, 4, dtype=torch.float64)
    assert torch.equal(trainer.cross_entropy(logits, batch), trainer.cross_entropy(changed, batch))
    assert not torch.equal(trainer.cross_entropy(logits, batch), trainer.cross_entropy(logits + changed, batch))


@given(warmup=st.integers(0, 30), steps=st.integers(1, 60))
def test_the_schedule_rises_to_one_and_falls_towards_zero(warmup, steps):
    factors = [factor(step, warmup, steps) for step in range(steps)]
    assert all(0 < value <= 1 for value in factors)
    assert factors[:warmup] == pytest.approx([(i + 1) / warmup for i in range(min(warmup, steps))])
    assert all(later <= sooner for sooner, later in zip(factors[warmup:], factors[warmup + 1 :], strict=False))


def test_the_published_warmup_is_cut_off_where_tasks_are_short():
    assert factor(399, 500, 400) == pytest.approx(0.8)  # CIFAR100/10: 8.0e-6 of 1e-5
    assert optimization(warmup_ratio=0.1).warmup(400) == 40


def test_a_smoothed_label_is_spread_over_the_tasks_own_classes():
    first = scenario(tasks=3).train_stream[0]
    trainer = Sequential(small_given(optimization(label_smoothing=0.1)))
    trainer.begin_task(trainer.encoder.state_dict(), first, steps=1)
    logits, labels = torch.randn(4, 6, dtype=torch.float64), torch.tensor([0, 1, 0, 1])
    batch = batches.Batch([], labels, torch.zeros(4, dtype=torch.int64), 4)
    classes = first.classes_in_this_experience
    expected = functional.cross_entropy(logits[:, classes], labels, label_smoothing=0.1)
    assert float(trainer.cross_entropy(logits, batch)) == pytest.approx(float(expected), rel=1e-12)
