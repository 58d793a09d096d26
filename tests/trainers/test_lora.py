"""Low-rank updates against a plain PyTorch loop with a hand-written A and B, in double precision."""

import copy
import logging
import sys

import pytest
import pytorch_lightning as pl
import torch
from torch.func import functional_call
from torch.nn import functional

from cl_bench.backbones import TinyClip
from cl_bench.callbacks import Checkpoint, StepSeeds
from cl_bench.images import batches
from cl_bench.images.transforms import crop_boxes
from cl_bench.runtime import seeds
from cl_bench.runtime.devices import Devices
from cl_bench.runtime.errors import UserError
from cl_bench.trainers import Given, LoRA, UnfinishedTask
from cl_bench.trainers.base.optimization import factor
from tests.helpers.small import TRANSFORM, SmallEncoder, head, optimization, pixels_at, scenario, small_given

SEED, RANK, ALPHA = 3, 2, 3.0
TARGETS = ("self_attn", "linear1", "linear2")
ADAPTED = [
    "block.self_attn.in_proj_weight",
    "block.self_attn.out_proj.weight",
    "block.linear1.weight",
    "block.linear2.weight",
]
SETTINGS = optimization(lr=3e-2)


def _trainer(**options):
    return LoRA(small_given(SETTINGS), **{"rank": RANK, "alpha": ALPHA, "targets": TARGETS, **options})


def _learn(trainer, experience, task, weights, callbacks=(), resumed=None):
    """Trains one task; returns its weights, and the adapters that it began with."""
    done = resumed.step if resumed else 0
    order = batches.TrainingOrder(experience.samples, SETTINGS.batch_size, SEED, task, SETTINGS.epochs, done=done)
    seeds.reseed(SEED, task, "training")
    trainer.begin_task(weights, experience, order.steps, resumed)
    initial = {name: parameter.detach().clone() for name, parameter in trainer.trained().items()}
    runner = Devices(accelerator="cpu").trainer(SETTINGS.gradient_clip, [StepSeeds(SEED, task, done), *callbacks])
    runner.fit(trainer, batches.loader(experience.samples, order, TRANSFORM, workers=0))
    learned, statistics = trainer.end_task()
    trainer.remember(experience, learned, statistics)
    return learned, initial


def _stream(trainer, stream):
    weights, trained, initials = trainer.weights(), [trainer.weights()], []
    for task, experience in enumerate(stream.train_stream):
        weights, initial = _learn(trainer, experience, task, weights)
        trained.append(weights)
        initials.append(initial)
    return trained, initials


def _factors(initial):
    """By name of the adapted weight, its (A, B), from what peft calls them."""
    pairs = {}
    for name in ADAPTED:
        layer = name.removesuffix(".in_proj_weight").removesuffix(".weight")
        layer = layer.replace("self_attn.out_proj", "self_attn.base_layer.out_proj")
        pairs[name] = [initial[f"{layer}.lora_{which}.task.weight"].clone() for which in "AB"]
    return pairs


def _plain_task(start, pairs, experience, task):
    """One task without Lightning and peft: every adapted weight is W + alpha / rank · B · A."""
    encoder, rows = SmallEncoder().double(), head().double()
    learned = [part.requires_grad_() for pair in pairs.values() for part in pair]
    optimizer = torch.optim.AdamW(learned, lr=SETTINGS.lr)
    samples, classes = experience.samples, experience.class_masks[0].nonzero().flatten()
    order = batches.TrainingOrder(samples, SETTINGS.batch_size, SEED, task, SETTINGS.epochs)
    assert len(order) >= 20
    for step, (positions, draws, _) in enumerate(order):
        pixels = pixels_at(samples, positions)
        crops = crop_boxes(torch.tensor([pixels.shape[1:3]] * len(pixels)), draws)
        optimizer.param_groups[0]["lr"] = SETTINGS.lr * factor(step, SETTINGS.warmup_steps, len(order))
        weights = {**start, **{name: start[name] + ALPHA / RANK * b @ a for name, (a, b) in pairs.items()}}
        features = functional_call(encoder, weights, (TRANSFORM(pixels, crops).double(),))
        local = torch.tensor([classes.tolist().index(label) for label in samples.labels[positions].tolist()])
        loss = functional.cross_entropy(functional.normalize(features, dim=1) @ rows[classes].T, local)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, SETTINGS.gradient_clip)
        optimizer.step()
    return {**start, **{name: (start[name] + ALPHA / RANK * b @ a).detach() for name, (a, b) in pairs.items()}}


@pytest.mark.parametrize("starts_from", ["previous", "pretrained"])
def test_a_stream_equals_the_plain_loop_and_the_rest_keeps_its_bits(starts_from):
    trainer, stream = _trainer(starts_from=starts_from), scenario(per_class=12)
    weights = pretrained = trainer.weights()
    expected = pretrained
    for task, experience in enumerate(stream.train_stream):
        start = pretrained if starts_from == "pretrained" else weights
        weights, initial = _learn(trainer, experience, task, start)
        pairs = _factors(initial)
        assert sum(a.numel() + b.numel() for a, b in pairs.values()) == sum(p.numel() for p in initial.values())
        assert all(a.any() and not b.any() for a, b in pairs.values())
        expected = _plain_task(pretrained if starts_from == "pretrained" else expected, pairs, experience, task)
        assert weights.keys() == pretrained.keys() == trainer.encoder.state_dict().keys()
        for name, tensor in weights.items():
            if name in ADAPTED:
                change = expected[name] - start[name]
                assert float((tensor - expected[name]).norm() / expected[name].norm()) < 1e-9
                assert torch.linalg.matrix_rank(change, rtol=1e-9) == RANK and change.norm() > 1e-3
            else:
                assert torch.equal(tensor, pretrained[name])


def test_a_task_gives_the_same_bits_whether_the_one_before_was_trained_or_stored():
    stream = scenario()
    trained, _ = _stream(_trainer(dropout=0.2), stream)
    again = _trainer(dropout=0.2)
    again.remember(stream.train_stream[0], trained[1], {})
    second, _ = _learn(again, stream.train_stream[1], 1, trained[1])
    assert all(torch.equal(tensor, trained[2][name]) for name, tensor in second.items())


def test_stopped_within_a_task_a_fresh_trainer_goes_on_with_the_same_bits():
    stream, written = scenario(), []
    trainer = _trainer(dropout=0.2)
    first, _ = _learn(trainer, stream.train_stream[0], 0, trainer.weights())
    keep = Checkpoint(lambda tensors: written.append(copy.deepcopy(tensors)), lambda: 1.5, 7, None, 0)
    second, _ = _learn(trainer, stream.train_stream[1], 1, first, [keep])
    assert len(written) >= 2
    for tensors in written:
        progress = UnfinishedTask.from_tensors(tensors)
        assert all("lora_" in name for name in progress.weights)
        again, initial = _learn(_trainer(dropout=0.2), stream.train_stream[1], 1, first, resumed=progress)
        assert all(b.any() for _, b in _factors(initial).values())
        assert all(torch.equal(tensor, second[name]) for name, tensor in again.items())


def test_dropout_is_used_while_training():
    plain, _ = _stream(_trainer(), scenario())
    dropped, _ = _stream(_trainer(dropout=0.5), scenario())
    assert not torch.equal(plain[1]["block.linear1.weight"], dropped[1]["block.linear1.weight"])


def test_only_adapters_change_in_any_step_and_their_number_is_told(caplog):
    trainer, stream, seen = _trainer(targets=("self_attn",)), scenario(), []
    start = trainer.weights()

    class Look(pl.Callback):
        def on_train_batch_end(self, *_):
            state = trainer.encoder.state_dict()
            seen.append(all(torch.equal(state[key], start[key.replace("base_layer.", "")]) for key in frozen(state)))

    def frozen(state):
        return [key for key in state if "lora_" not in key]

    with caplog.at_level(logging.INFO, "cl_bench"):
        _learn(trainer, stream.train_stream[0], 0, start, [Look()])
    assert all(seen) and len(seen) >= 20
    inside, outside = RANK * (12 + 36), RANK * (12 + 12)
    assert f"a task learns {inside + outside} numbers" in caplog.text


@pytest.mark.parametrize("targets", [("attn",), ("self_attn", "fc"), (), ("out_proj",), ("self_attn.out_proj",)])
def test_layers_that_cannot_be_adapted_are_refused_with_those_that_can(targets):
    with pytest.raises(UserError, match="linear layers and attentions are: linear1, linear2, self_attn"):
        _trainer(targets=targets)


def test_without_peft_its_installation_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"pip install 'cl_bench\[lora\]'"):
        _trainer()


def test_the_default_targets_are_all_linear_layers_of_open_clips_blocks():
    encoder = TinyClip().encoder
    linear = {name for name, p in encoder.named_parameters() if p.ndim == 2 and name.startswith("transformer.")}
    trainer = LoRA(Given(encoder, 10 * torch.eye(6, 96), TinyClip().transform, SETTINGS))
    start = trainer.weights()
    trained, _ = _learn(trainer, scenario().train_stream[0], 0, start)
    assert {name for name, tensor in trained.items() if not torch.equal(tensor, start[name])} == linear
