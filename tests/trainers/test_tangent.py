"""Training in the tangent space against a loop that goes back through `torch.func.jvp`, and in a whole run."""

from functools import partial

import pytest
import torch
from torch.func import functional_call, jvp
from torch.nn import functional

from cl_bench.experiment.parts import build
from cl_bench.experiment.run import run
from cl_bench.images import batches
from cl_bench.store import Stream
from cl_bench.trainers import Sequential, Tangent
from tests.conftest import SHORT
from tests.helpers.small import SmallEncoder, head, optimization
from tests.trainers import streams

# The two ways to the gradient round differently, and AdamW's usual ε would make steps out of that where the gradient is
# zero, as that of keys' biases is.
SETTINGS = optimization(epochs=4, optimizer=partial(torch.optim.AdamW, eps=1e-3))


def _plain():
    origin = SmallEncoder().double().requires_grad_(False)
    start = dict(origin.named_parameters())

    def loss(task, step, encoder, images, labels):
        moves = {name: weight - start[name] for name, weight in encoder.named_parameters()}
        features, change = jvp(lambda at: functional_call(origin, at, (images,)), (start,), (moves,))
        classes = streams.classes_of(task)
        logits = functional.normalize(features + change, dim=1) @ head().double()[classes].T
        return functional.cross_entropy(logits, torch.tensor([classes.index(label) for label in labels.tolist()]))

    return streams.plain_loop(loss, settings=SETTINGS)


@pytest.fixture
def unfused():
    """What forward mode needs: the oracle cannot do without either."""
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield
    torch.backends.mha.set_fastpath_enabled(True)


def test_a_stream_equals_the_plain_loop(unfused):
    trained = streams.trained(Tangent, SETTINGS)
    streams.assert_same_streams(trained, _plain())
    assert streams.distance(trained[-1], streams.trained(Sequential, SETTINGS)[-1]) > 1e-2


def test_processes_do_not_hand_round_what_never_changes():
    trainer, pretrained = streams.made(Tangent)
    assert set(trainer._ddp_params_and_buffers_to_ignore) == {f"encoder.origin.{name}" for name in pretrained}


@torch.no_grad()
def test_a_run_is_evaluated_in_the_tangent_space(configure, tmp_path):
    settings = ["optim.lr=1e-2", "optim.warmup_steps=0", "trainer.checkpointing=true"]
    config = configure(*SHORT, "trainer=tangent", "merger=last", "evaluation=final", *settings)
    (tmp_path / "run").mkdir()
    result = run(config, tmp_path / "run")
    parts = build(config)
    weights, _ = Stream(parts.store_dir / "streams", parts.training).read(1)
    linearized = parts.trainer.encoder
    tangent, plain = (_accuracy(parts, module, weights) for module in (linearized, linearized.origin))
    assert result["headline"]["value"] == pytest.approx(tangent, abs=0.3)  # an image, where batches differ
    assert abs(tangent - plain) > 3


def _accuracy(parts, encoder, weights):
    samples, _ = parts.scenario.evaluated("test")
    correct = 0
    for batch in batches.loader(samples, batches.EvaluationOrder(samples, 512), parts.backbone.transform, 0):
        features = functional_call(encoder, weights, (batches.to_images(batch, parts.backbone.transform),))
        correct += int((functional.linear(features, parts.head.rows).argmax(dim=1) == batch.labels).sum())
    return 100 * correct / len(samples)
