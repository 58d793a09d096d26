"""A linear probe against a plain PyTorch loop, in double precision, and in whole short runs."""

import copy
import itertools

import pytest
import torch
from torch.nn import functional

from cl_bench.callbacks import Checkpoint
from cl_bench.experiment.parts import build
from cl_bench.experiment.run import run
from cl_bench.images import batches
from cl_bench.images.transforms import crop_boxes
from cl_bench.runtime.devices import Devices
from cl_bench.store import Stream
from cl_bench.trainers import HeadOnly, UnfinishedTask
from cl_bench.trainers.base.optimization import factor
from tests.conftest import SHORT
from tests.helpers.small import TRANSFORM, SmallEncoder, head, optimization, pixels_at, scenario, small_given

SEED = 3
SETTINGS = optimization(lr=0.1)


def _trainer(**options):
    return HeadOnly(small_given(SETTINGS), **options)


def _learn(trainer, experience, task, weights, callbacks=(), resumed=None):
    done = resumed.step if resumed else 0
    order = batches.TrainingOrder(experience.samples, SETTINGS.batch_size, SEED, task, SETTINGS.epochs, done=done)
    trainer.begin_task(weights, experience, order.steps, resumed)
    runner = Devices(accelerator="cpu").trainer(SETTINGS.gradient_clip, list(callbacks))
    runner.fit(trainer, batches.loader(experience.samples, order, TRANSFORM, workers=0))
    learned, statistics = trainer.end_task()
    trainer.remember(experience, learned, statistics)
    return learned


def _plain_task(start, experience, task):
    """One task without Lightning, masks or a whole head: the rows of the task's classes are all there is."""
    encoder = SmallEncoder().double()
    samples, classes = experience.samples, experience.class_masks[0].nonzero().flatten()
    rows = start[classes].clone().requires_grad_()
    optimizer = torch.optim.AdamW([rows], lr=SETTINGS.lr)
    order = batches.TrainingOrder(samples, SETTINGS.batch_size, SEED, task, SETTINGS.epochs)
    assert len(order) >= 20
    for step, (positions, draws, _) in enumerate(order):
        pixels = pixels_at(samples, positions)
        crops = crop_boxes(torch.tensor([pixels.shape[1:3]] * len(pixels)), draws)
        optimizer.param_groups[0]["lr"] = SETTINGS.lr * factor(step, SETTINGS.warmup_steps, len(order))
        features = functional.normalize(encoder(TRANSFORM(pixels, crops).double()).detach(), dim=1)
        local = torch.tensor([classes.tolist().index(label) for label in samples.labels[positions].tolist()])
        loss = functional.cross_entropy(features @ rows.T, local)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([rows], SETTINGS.gradient_clip)
        optimizer.step()
    learned = start.clone()
    learned[classes] = rows.detach()
    return learned


@pytest.mark.parametrize("starts_from", ["previous", "pretrained"])
def test_a_stream_equals_the_plain_loop_and_other_rows_and_the_encoder_keep_their_bits(starts_from):
    trainer, stream = _trainer(starts_from=starts_from), scenario(per_class=12)
    encoder, zero_shot = copy.deepcopy(trainer.encoder.state_dict()), head().double()
    weights, expected = trainer.weights(), zero_shot
    assert weights.keys() == {"head"} and torch.equal(weights["head"], zero_shot)
    for task, experience in enumerate(stream.train_stream):
        start = zero_shot if starts_from == "pretrained" else weights["head"]
        expected = _plain_task(zero_shot if starts_from == "pretrained" else expected, experience, task)
        weights, mine = _learn(trainer, experience, task, {"head": start}), experience.class_masks[0]
        assert weights.keys() == {"head"}
        assert float((weights["head"] - expected).norm() / expected.norm()) < 1e-9
        assert torch.equal(weights["head"][~mine], start[~mine])
        assert ((weights["head"] - start)[mine].norm(dim=1) > 0.1).all()
    assert all(torch.equal(tensor, encoder[name]) for name, tensor in trainer.encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in trainer.encoder.parameters())


def test_a_task_gives_the_same_bits_whether_the_one_before_was_trained_or_stored():
    stream, trainer, again = scenario(), _trainer(), _trainer()
    first = _learn(trainer, stream.train_stream[0], 0, trainer.weights())
    again.remember(stream.train_stream[0], first, {})
    second = [_learn(one, stream.train_stream[1], 1, first)["head"] for one in (trainer, again)]
    assert torch.equal(*second)


def test_stopped_within_a_task_a_fresh_trainer_goes_on_with_the_same_bits():
    stream, trainer, written = scenario(), _trainer(), []
    first = _learn(trainer, stream.train_stream[0], 0, trainer.weights())
    keep = Checkpoint(lambda tensors: written.append(copy.deepcopy(tensors)), lambda: 1.5, 7, None, 0)
    second = _learn(trainer, stream.train_stream[1], 1, first, [keep])
    assert len(written) >= 2
    for tensors in written:
        progress = UnfinishedTask.from_tensors(tensors)
        assert torch.equal(
            _learn(_trainer(), stream.train_stream[1], 1, first, resumed=progress)["head"], second["head"]
        )


@pytest.mark.parametrize("merger", ["magmax", "last"])
def test_a_run_stores_merges_and_evaluates_heads(configure, tmp_path, merger):
    overrides = [*SHORT, f"merger={merger}", "optim.lr=0.1", "optim.warmup_steps=1"]
    config = configure(*overrides, "trainer=head_only")
    result = run(config, tmp_path)
    agnostic = result["matrix"]["task_agnostic"]
    zero_shot = run(configure(*SHORT, "trainer=zero_shot"), tmp_path)
    assert agnostic[0] == zero_shot["matrix"]["task_agnostic"][0]
    assert agnostic[1] != agnostic[0] and agnostic[2] != agnostic[1]
    parts = build(config)
    stream = Stream(parts.store_dir / "streams", parts.training)
    heads = [parts.head.rows, *(stream.read(task)[0]["head"] for task in range(2))]
    changed = [(after != before).any(dim=1) for before, after in itertools.pairwise(heads)]
    assert [rows.nonzero().flatten().tolist() for rows in changed] == [
        sorted(experience.classes_in_this_experience) for experience in parts.experiences
    ]
    assert stream.read(1)[0].keys() == {"head"}
