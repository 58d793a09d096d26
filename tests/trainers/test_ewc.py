"""EWC against a loop that sums gradients as PyTorch does by itself."""

import pytest
import torch
from torch.nn import functional

from cl_bench.images import batches
from cl_bench.runtime import seeds
from cl_bench.trainers import EWC
from tests.helpers.small import optimization
from tests.trainers import streams


class _PlainEWC:
    """Penalty and Fisher information, written down a second time."""

    def __init__(
        self,
        strength,
        decay,
        fisher,
        batch_size,
        fisher_outputs="classes",
        starts_from="previous",
        stream=streams.STREAM,
    ):
        assert starts_from == "previous"
        self.outputs, self.stream = fisher_outputs, stream
        self.strength, self.decay, self.accumulates, self.batch_size = (
            strength,
            decay,
            fisher == "accumulated",
            batch_size,
        )
        self.fisher, self.previous = None, None

    def loss(self, task, step, encoder, images, labels):
        loss = streams.cross_entropy(encoder, images, labels, streams.classes_of(task, self.stream))
        if task > 0:
            for f, p, old in zip(self.fisher, encoder.parameters(), self.previous, strict=True):
                loss = loss + self.strength * (f * (p - old) ** 2).sum() / 2
        return loss

    def after_task(self, task, encoder):
        samples, seed = self.stream.train_stream[task].samples, seeds.derive(streams.SEED, task, "training")
        order = batches.TrainingOrder(samples, self.batch_size, seed, 0)
        parameters = list(encoder.parameters())
        total = [torch.zeros_like(p) for p in parameters]
        encoder.zero_grad()
        for images, _ in streams.images_of(samples, order):
            if not self.accumulates:
                encoder.zero_grad()
            if self.outputs == "features":
                outputs = encoder(images)
            else:
                outputs = streams.logits(encoder, images, streams.classes_of(task, self.stream))
            functional.cross_entropy(outputs, outputs.argmax(1)).backward()
            total = [t + len(images) * p.grad**2 for t, p in zip(total, parameters, strict=True)]
        of_task = [t / len(samples) for t in total]
        before = self.fisher or [torch.zeros_like(t) for t in total]
        self.fisher = [self.decay * f + (1 - self.decay) * t for f, t in zip(before, of_task, strict=True)]
        self.previous = [p.detach().clone() for p in parameters]


def test_a_stream_of_domains_equals_the_plain_loop_as_released_and_as_in_the_paper(configure):
    settings, stream, last = optimization(epochs=4, batch_size=5), streams.DOMAINS, []
    for typed, outputs in (([], "features"), (["trainer.fisher_outputs=classes"], "classes")):
        node = configure("trainer=ewc", *typed, "trainer.strength=50", "scenario=domain_incremental")["trainer"]
        assert node.pop("_target_") == "cl_bench.trainers.EWC"
        plain = _PlainEWC(**node, batch_size=5, stream=stream)
        assert plain.outputs == outputs and plain.accumulates and plain.decay == 0.5
        trained = streams.trained(EWC, settings, stream, **node)
        streams.assert_same_streams(trained, streams.plain_loop(plain.loss, plain.after_task, settings, stream))
        last.append(trained[-1])
    assert streams.distance(*last) > 1e-3


@pytest.mark.parametrize("batch_size", [4, 3], ids=["even", "uneven last batch"])
@pytest.mark.parametrize("fisher", ["accumulated", "per_batch"])
def test_a_stream_equals_the_plain_loop(fisher, batch_size):
    settings, options = optimization(epochs=4, batch_size=batch_size), {"strength": 50.0, "decay": 0.3}
    plain = _PlainEWC(**options, fisher=fisher, batch_size=batch_size)
    expected = streams.plain_loop(plain.loss, plain.after_task, settings)
    trained = streams.trained(EWC, settings, fisher=fisher, **options)
    streams.assert_same_streams(trained, expected)
    assert streams.distance(trained[-1], streams.without_help(settings)) > 1e-3


def test_fisher_information_is_left_behind_for_every_parameter():
    trainer, pretrained = streams.made(EWC)
    weights, statistics = streams.learned(trainer, 0, pretrained)
    assert statistics.keys() == {"fisher"} == EWC.memory
    assert {name: f.shape for name, f in statistics["fisher"].items()} == {n: w.shape for n, w in weights.items()}
    assert all((f >= 0).all() and f.device.type == "cpu" for f in statistics["fisher"].values())
    assert sum(float(f.sum()) for f in statistics["fisher"].values()) > 0


def test_without_strength_it_is_sequential_fine_tuning():
    assert streams.distance(streams.trained(EWC, strength=0.0)[-1], streams.without_help()) == 0
