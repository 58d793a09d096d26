"""Synaptic Intelligence against a loop that takes two gradients at every step."""

import pytest
import torch

from cl_bench.trainers import SI
from tests.helpers.small import SmallEncoder, head, optimization, small_given
from tests.trainers import streams


class _Plain:
    """Path integral, importance and penalty, written down a second time."""

    def __init__(self, strength, damping):
        self.strength, self.damping = strength, damping
        self.importance = self.previous = self.start = self.before = None

    def loss(self, task, step, encoder, images, labels):
        parameters = list(encoder.parameters())
        loss = streams.cross_entropy(encoder, images, labels, streams.classes_of(task))
        if step == 0:
            self.start = [p.detach().clone() for p in parameters]
            self.path = [torch.zeros_like(p) for p in parameters]
        else:
            self.count_last_step(parameters)
        self.gradient = torch.autograd.grad(loss, parameters, retain_graph=True)
        self.before = [p.detach().clone() for p in parameters]
        if task > 0:
            for omega, p, old in zip(self.importance, parameters, self.previous, strict=True):
                loss = loss + self.strength * (omega * (p - old) ** 2).sum()
        return loss

    def count_last_step(self, parameters):
        steps = zip(self.path, self.gradient, parameters, self.before, strict=True)
        self.path = [w - g * (p.detach() - b) for w, g, p, b in steps]

    def after_task(self, task, encoder):
        parameters = list(encoder.parameters())
        self.count_last_step(parameters)
        gained = [
            w / ((p.detach() - s) ** 2 + self.damping)
            for w, p, s in zip(self.path, parameters, self.start, strict=True)
        ]
        before = self.importance or [torch.zeros_like(g) for g in gained]
        self.importance = [torch.relu(o + g) for o, g in zip(before, gained, strict=True)]
        self.previous = [p.detach().clone() for p in parameters]


@pytest.mark.parametrize(("strength", "clip"), [(3.0, 0.5), (300.0, None)])
def test_a_stream_equals_the_plain_loop(strength, clip):
    settings = optimization(epochs=4, gradient_clip=clip)
    plain = _Plain(strength, damping=1e-2)
    expected = streams.plain_loop(plain.loss, plain.after_task, settings)
    trained = streams.trained(SI, settings, strength=strength, damping=1e-2)
    streams.assert_same_streams(trained, expected)
    assert streams.distance(trained[-1], streams.without_help(settings)) > 1e-3


def test_importance_is_left_behind_for_every_parameter_and_never_falls_below_zero():
    trainer, weights = streams.made(SI, strength=300.0)
    for task in range(2):
        weights, statistics = streams.learned(trainer, task, weights)
    assert statistics.keys() == {"importance"} == SI.memory
    assert {name: o.shape for name, o in statistics["importance"].items()} == {n: w.shape for n, w in weights.items()}
    assert all((o >= 0).all() and o.device.type == "cpu" for o in statistics["importance"].values())
    assert sum(float(o.sum()) for o in statistics["importance"].values()) > 0
    assert min(float(path.min()) for path in trainer.within_task.values()) < 0  # steps that raised the cross-entropy


def test_without_strength_it_is_sequential_fine_tuning():
    assert streams.distance(streams.trained(SI, strength=0.0)[-1], streams.without_help()) == 0


def test_in_bfloat16_the_path_is_added_up_in_single_precision():
    found = {}
    for precision in ("32-true", "bf16-mixed"):
        trainer = SI(small_given(streams.SETTINGS, encoder=SmallEncoder(), head=head()))
        _, statistics = streams.learned(trainer, 0, trainer.weights(), precision=precision)
        found[precision] = torch.cat([omega.flatten() for omega in statistics["importance"].values()])
    exact, rounded = found.values()
    assert rounded.dtype == torch.float32 and 0 < float((rounded - exact).norm() / exact.norm()) < 0.05
