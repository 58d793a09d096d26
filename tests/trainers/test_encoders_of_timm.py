"""Every trainer on encoders whose layers are not open_clip's: a transformer of timm, and a convolutional network."""

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from cl_bench.images import batches
from cl_bench.images.transforms import ImageTransform, crop_boxes
from cl_bench.mergers.engine.running_statistics import is_running_statistic
from cl_bench.runtime import seeds
from cl_bench.runtime.devices import Devices
from cl_bench.runtime.errors import UserError
from cl_bench.trainers import Given, LoRA, Sequential
from cl_bench.trainers.statistics.grams import grams
from tests.helpers.small import optimization, pixels_at, scenario
from tests.helpers.timm_towers import TOWERS
from tests.trainers.table import CASES

SIZE, SEED = 32, 3
STREAM = scenario(tasks=2, per_class=4)
SETTINGS = optimization(epochs=1, batch_size=8, lr=1e-3, warmup_steps=0)
TRANSFORM = ImageTransform(SIZE, (0.5,) * 3, (0.5,) * 3)
MODELS = {"test_vit": {"img_size": SIZE}, "test_efficientnet": {}}


def encoder(name):
    torch.manual_seed(0)
    net = timm.create_model(name, num_classes=0, **MODELS.get(name, {})).requires_grad_(False).eval()
    for buffer, tensor in net.named_buffers():
        if is_running_statistic(buffer) and tensor.is_floating_point():
            tensor.copy_(0.5 + torch.rand(tensor.shape))
    return net


def given(name, settings=SETTINGS, **options):
    net = encoder(name)
    rows = torch.randn(6, net.num_features, generator=torch.Generator().manual_seed(1))
    return Given(net, 10 * functional.normalize(rows, dim=1), TRANSFORM, settings, **options)


def learned(trainer, task, weights, settings=SETTINGS):
    experience = trainer.experiences(STREAM)[task]
    order = batches.TrainingOrder(experience.samples, settings.batch_size, SEED, task, settings.epochs)
    seeds.reseed(SEED, task, "training")
    trainer.begin_task(weights, experience, order.steps)
    runner = Devices(accelerator="cpu").trainer(settings.gradient_clip, [])
    runner.fit(trainer, batches.loader(experience.samples, order, TRANSFORM, workers=0))
    weights, statistics = trainer.end_task()
    trainer.remember(experience, weights, statistics)
    return weights, statistics


def options_of(name, case):
    """Those of the table, but for what names parts of its small encoder."""
    options = {key: value for key, value in case.options.items() if key != "targets"}
    return options | {"refined": None} if name.startswith("cmm") else options


def pairs():
    """Of trainers and encoders, but for low-rank updates of convolutions: see below."""
    every = [(case, model) for case in CASES for model in MODELS]
    some = [
        (case, model) for case in CASES for model in TOWERS if case.startswith(("sequential", "tangent", "cmm", "lora"))
    ]
    return [pair for pair in every + some if pair != ("lora_0", "test_efficientnet")]


@pytest.mark.parametrize(("case", "model"), pairs())
def test_a_trainer_learns_and_running_statistics_stay(case, model):
    made = CASES[case]
    leaves = made.trainer.leaves
    trainer = made.trainer(given(model, keep=leaves), **options_of(case, made))
    start = weights = trainer.weights()
    for task in range(len(trainer.experiences(STREAM))):
        weights, statistics = learned(trainer, task, weights)
    if trainer.refines:
        weights = weights | trainer.refine(STREAM.train_stream[1], start, weights)
    assert leaves <= statistics.keys() and weights.keys() == start.keys()
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())
    kept = [name for name in start if is_running_statistic(name)]
    assert all(torch.equal(weights[name], start[name]) for name in kept)
    assert any(not torch.equal(weights[name], start[name]) for name in start)
    assert len(kept) > 20 or model != "test_efficientnet" or case.startswith("head_only")


@pytest.mark.parametrize(
    "touched", [lambda trainer: None, lambda trainer: trainer.train()], ids=["left alone", "touched"]
)
def test_a_task_equals_a_loop_in_which_normalization_layers_evaluate(touched):
    trainer = Sequential(given("test_efficientnet"))
    start = trainer.weights()
    configure = trainer.configure_optimizers
    trainer.configure_optimizers = lambda: (touched(trainer), configure())[1]  # as late as Lightning could do it
    weights = learned(trainer, 0, start)[0]

    net, rows = encoder("test_efficientnet").requires_grad_(True).train(), trainer.head
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    experience = STREAM.train_stream[0]
    order = batches.TrainingOrder(experience.samples, 8, SEED, 0, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for step, (positions, draws, _) in enumerate(order):
        pixels = pixels_at(experience.samples, positions)
        images = TRANSFORM(pixels, crop_boxes(torch.tensor([pixels.shape[1:3]] * len(pixels)), draws))
        logits = functional.normalize(net(images), dim=1) @ rows[experience.classes_in_this_experience].T
        optimizer.param_groups[0]["lr"] = (
            1e-3 * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / order.steps)).item())
        )
        optimizer.zero_grad()
        functional.cross_entropy(logits, experience.samples.labels[positions]).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-4, atol=1e-5)


def test_low_rank_updates_change_the_layers_that_open_clips_names_stand_for():
    trainer = LoRA(given("test_vit", optimization(epochs=1, batch_size=8, lr=1e-2, warmup_steps=0)), rank=2)
    start = trainer.weights()
    weights = learned(trainer, 0, start)[0]
    changed = {name for name in start if not torch.equal(weights[name], start[name])}
    ends = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    assert changed == {f"blocks.{block}.{end}.weight" for block in range(6) for end in ends}
    update = weights["blocks.2.attn.qkv.weight"] - start["blocks.2.attn.qkv.weight"]
    assert torch.linalg.matrix_rank(update.double(), rtol=1e-4) == 2


def test_low_rank_updates_leave_running_statistics_alone():
    net = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 6))
    trainer = LoRA(Given(net, torch.eye(6), TRANSFORM, SETTINGS), rank=2, targets=("3",))
    start = trainer.weights()
    weights = learned(trainer, 0, start)[0]
    assert {name for name in start if not torch.equal(weights[name], start[name])} == {"3.weight"}


def test_low_rank_updates_of_layers_that_are_never_called_are_refused():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = nn.Module()
            self.attn.qkv = nn.Linear(3, 6)

        def forward(self, images):
            return functional.linear(images.mean((2, 3)), self.attn.qkv.weight)

    parts = Given(Reads(), torch.ones(6, 6), TRANSFORM, SETTINGS)
    with pytest.raises(UserError, match=r"cannot adapt attn\.qkv: the encoder uses the weights without calling"):
        LoRA(parts, targets=("attn",))


def test_low_rank_updates_of_an_encoder_of_convolutions_are_refused():
    with pytest.raises(UserError, match="linear layers and attentions, of which the encoder has none"):
        LoRA(given("test_efficientnet"))


@pytest.mark.parametrize("model", ["test_vit", *TOWERS])
def test_gram_matrices_are_those_of_what_each_linear_layer_reads(model):
    trainer = Sequential(given(model))
    trainer.begin_task(trainer.weights(), STREAM.train_stream[0], steps=1)
    read = {}
    net = encoder(model)
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Linear):
            inputs = read.setdefault(f"{name}.weight", [])
            layer.register_forward_pre_hook(lambda _, given, inputs=inputs: inputs.append(given[0].flatten(1, -2)))
    with torch.no_grad():
        for batch in trainer.another_pass("images"):
            net(batches.to_images(batch, TRANSFORM))
    expected = {name: torch.cat(inputs) for name, inputs in read.items()}
    found = grams(trainer)
    assert found.keys() == expected.keys() and len(found) > 8
    for name, inputs in expected.items():
        gram = torch.einsum("bti,btj->ij", inputs.double(), inputs.double()) / len(inputs)
        torch.testing.assert_close(found[name].double(), gram, rtol=1e-4, atol=1e-4 * float(gram.abs().max()))
