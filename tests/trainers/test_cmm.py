"""CMM against a loop that trains, merges and refines with nothing but PyTorch; its parts; and whole runs."""

from functools import partial

import pytest
import torch
from torch.func import functional_call, jvp
from torch.nn import functional

from cl_bench import mergers
from cl_bench.experiment.parts import build
from cl_bench.experiment.run import run
from cl_bench.images import batches
from cl_bench.mergers import RunningMerge
from cl_bench.runtime import seeds
from cl_bench.runtime.errors import UserError
from cl_bench.store import Stream
from cl_bench.trainers import CMM
from tests.conftest import FEW_IMAGES, SHORT, configuration
from tests.helpers.small import SmallEncoder, head, optimization
from tests.trainers import streams

# See test_tangent.py; here ε also keeps the refinement's first steps, of the size of its learning rate, comparable.
SETTINGS = optimization(epochs=4, optimizer=partial(torch.optim.AdamW, eps=1e-3))
LR = 1e-3


def _merged_stream(settings=SETTINGS, second_moments=True, alpha=0.4, stream=streams.STREAM, **options):
    """The merged model after each task, as a run makes it."""
    merger = mergers.CMM(alpha, second_moments)
    trainer, pretrained = streams.made(CMM, settings, stream, keep=merger.requires, **{"refinement_lr": LR, **options})
    running, merged = RunningMerge(merger, pretrained), []
    for task in range(len(stream.train_stream)):
        learned = streams.learned(trainer, task, running.merged(), settings, stream)
        streams.fold(running, trainer, task, *learned, stream)
        merged.append(running.merged())
    return merged


def _forward(tangent):
    origin = SmallEncoder().double().requires_grad_(False)
    start = {name: tensor.detach() for name, tensor in origin.named_parameters()}

    def forward(weights, images):
        if not tangent:
            return functional_call(origin, weights, (images,))
        moves = {name: weights[name] - start[name] for name in start}
        features, change = jvp(lambda at: functional_call(origin, at, (images,)), (start,), (moves,))
        return features + change

    return forward


def _plain(tangent=True, refinement="l2", second_moments=True, alpha=0.4, stream=streams.STREAM):
    """The published algorithm once more: one model, one Fisher matrix, nothing of Lightning or of the mergers."""
    forward = _forward(tangent)
    merged = {name: p.detach().clone() for name, p in SmallEncoder().double().named_parameters()}
    fisher, after = None, []
    for task, experience in enumerate(stream.train_stream):
        previous, samples, classes = merged, experience.samples, streams.classes_of(task, stream)
        learned = {name: tensor.clone().requires_grad_() for name, tensor in previous.items()}
        optimizer = SETTINGS.optimizer(learned.values(), lr=SETTINGS.lr)
        order = batches.TrainingOrder(samples, SETTINGS.batch_size, streams.SEED, task, SETTINGS.epochs)
        for step, (images, labels) in enumerate(streams.images_of(samples, order)):
            optimizer.param_groups[0]["lr"] = streams.learning_rate(SETTINGS, step, len(order))
            logits = functional.normalize(forward(learned, images.double()), dim=1) @ head().double()[classes].T
            local = torch.tensor([classes.index(label) for label in labels.tolist()])
            optimizer.zero_grad()
            functional.cross_entropy(logits, local).backward()
            torch.nn.utils.clip_grad_norm_(learned.values(), SETTINGS.gradient_clip)
            optimizer.step()
        of_task = {name: optimizer.state[p]["exp_avg_sq"] for name, p in learned.items()}
        learned = {name: tensor.detach() for name, tensor in learned.items()}
        if task == 0:
            merged, fisher = learned, of_task
        elif second_moments:
            new = {name: (1 - alpha) * fisher[name] + alpha * of_task[name] for name in learned}
            merged = {
                name: ((1 - alpha) * fisher[name] * previous[name] + alpha * of_task[name] * learned[name]) / new[name]
                for name in learned
            }
            fisher = new
        else:
            merged = {name: (1 - alpha) * previous[name] + alpha * learned[name] for name in learned}
        if refinement and task > 0:
            merged = _refined(forward, samples, task, previous, merged, refinement)
        after.append(merged)
    return after


def _refined(forward, samples, task, previous, merged, loss):
    layer = merged["proj"].clone().requires_grad_()
    optimizer = torch.optim.AdamW([layer], lr=LR)
    seed = seeds.derive(streams.SEED, task, "refinement")
    for images, _ in streams.images_of(samples, batches.TrainingOrder(samples, SETTINGS.batch_size, seed, 0)):
        difference = forward({**merged, "proj": layer}, images.double()) - forward(previous, images.double())
        optimizer.zero_grad()
        (difference.square() if loss == "l2" else difference.abs()).mean().backward()
        torch.nn.utils.clip_grad_norm_([layer], SETTINGS.gradient_clip)
        optimizer.step()
    return {**merged, "proj": layer.detach()}


@pytest.fixture
def unfused():
    """What forward mode needs: the oracle cannot do without either."""
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield
    torch.backends.mha.set_fastpath_enabled(True)


PARTS = {
    "published": {},
    "l1": {"refinement": "l1"},
    "no tangent space": {"tangent": False},
    "no second moments": {"second_moments": False},
    "no refinement": {"refinement": None},
    "Fisher only": {"tangent": False, "refinement": None},
}


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_a_stream_equals_the_plain_loop_whichever_parts_are_left_out(unfused, parts):
    merged = _merged_stream(**parts)
    streams.assert_same_streams(merged, _plain(**parts))


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["scenario=domain_incremental"], {"second_moments": False}),
        (["scenario=office31"], {"second_moments": False, "alpha": 0.6, "refinement": None}),
        (["merger.second_moments=true", "scenario=domain_incremental"], {}),
    ],
    ids=["released", "released for Office-31", "the paper's rule"],
)
def test_a_stream_of_domains_equals_the_plain_loop_as_released_and_as_in_the_paper(
    unfused, configure, overrides, parts
):
    config = configure("trainer=cmm", *overrides)
    trainer, merger = ({name: config[group][name] for name in names} for group, names in _DECIDED.items())
    merged = _merged_stream(stream=streams.DOMAINS, **trainer, **merger)
    streams.assert_same_streams(merged, _plain(stream=streams.DOMAINS, **parts))
    assert merger["second_moments"] or not mergers.CMM(**merger).requires  # streams then keep none


_DECIDED = {"trainer": ("tangent", "refinement"), "merger": ("alpha", "second_moments")}


def test_every_part_makes_a_difference():
    published = _merged_stream()[-1]
    for name, parts in PARTS.items():
        distance = streams.distance(_merged_stream(**parts)[-1], published)
        assert distance == 0 if name == "published" else distance > 1e-5


def test_the_refinement_changes_one_layer_and_brings_features_closer():
    trainer, pretrained = streams.made(CMM, SETTINGS, refinement_lr=LR)
    weights, _ = streams.learned(trainer, 0, pretrained, SETTINGS)
    experience, forward = streams.STREAM.train_stream[0], _forward(tangent=True)
    seeds.reseed(streams.SEED, 0, "refinement")
    changed = trainer.refine(experience, pretrained, weights)
    assert changed.keys() == {"proj"}
    order = batches.TrainingOrder(experience.samples, 100, 0, 0)
    ((images, _),) = streams.images_of(experience.samples, order)

    def mismatch(model):
        return functional.mse_loss(forward(model, images.double()), forward(pretrained, images.double()))

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        torch.backends.mha.set_fastpath_enabled(False)
        assert mismatch({**weights, **changed}) < mismatch(weights)
        torch.backends.mha.set_fastpath_enabled(True)


class Stopped(BaseException):
    """As Ctrl-C or a crash would be: nothing in the run expects it."""


OPTIONS = (*SHORT, "trainer=cmm", "scenario.tasks=3", "trainer.refinement_lr=1e-3", FEW_IMAGES)


def do(folder, *overrides):
    """A run with its store in the folder: the configuration and the result."""
    (folder / "run").mkdir(parents=True, exist_ok=True)
    config = configuration(folder, *OPTIONS, *overrides)
    return config, run(config, folder / "run")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stopped: its folder, configuration and result."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, *do(folder)


def test_a_run_that_was_stopped_while_refining_goes_on_there(whole, tmp_path, monkeypatch):
    folder, _, result = whole
    refine, calls = CMM.refine, []

    def stopping(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise Stopped
        return refine(*arguments)

    monkeypatch.setattr(CMM, "refine", stopping)
    with pytest.raises(Stopped):
        do(tmp_path)
    _, resumed = do(tmp_path)
    assert [record["reused"] for record in resumed["training"]] == [True, True, True]
    assert resumed["matrix"] == result["matrix"]
    assert len(calls) == 3  # the first was stored
    expected, files = (
        {path.name: path.read_bytes() for path in store.glob("store/streams/*/*.safetensors")}
        for store in (folder, tmp_path)
    )
    assert files == expected
    assert sorted(name for name in files if "refined" in name) == [
        "task_001.refined.safetensors",
        "task_002.refined.safetensors",
    ]


def test_a_run_that_reuses_everything_refines_nothing_and_finds_the_same(whole, monkeypatch):
    folder, _, first = whole
    monkeypatch.setattr(CMM, "refine", None)
    _, again = do(folder)
    assert again["matrix"] == first["matrix"] and again["seconds"]["training"] == first["seconds"]["training"]


def test_refined_weights_are_what_the_next_task_starts_from_and_what_is_evaluated(whole, tmp_path):
    _, config, refined = whole
    other_config, merged = do(tmp_path, "trainer.refinement=null")
    assert refined["fingerprint"] != merged["fingerprint"]
    assert refined["matrix"] != merged["matrix"]
    parts, plain = build(config), build(other_config)
    stream, other = (Stream(one.store_dir / "streams", one.training) for one in (parts, plain))
    for task, same in ((0, True), (1, True), (2, False)):
        (weights, _), (others, _) = stream.read(task), other.read(task)
        assert all(torch.equal(weights[name], others[name]) for name in weights) == same


def test_a_merger_that_cannot_go_on_from_refined_weights_is_refused(configure):
    for overrides in (["merger=magmax"], ["merger.scaling=0.5"]):
        with pytest.raises(UserError, match=r"cannot go on; choose merger=cmm merger\.scaling=1, or trainer\.ref"):
            build(configure("trainer=cmm", *overrides))
    build(configure("trainer=cmm", "merger=magmax", "trainer.refinement=null"))


def test_a_layer_that_is_not_there_is_named(configure):
    with pytest.raises(UserError, match=r"backbone\.projection=head is no parameter"):
        build(configure("trainer=cmm", "backbone.projection=head"))
    with pytest.raises(
        UserError, match=r"trainer\.refined=head is no parameter .*; trainer\.refined=null for its last"
    ):
        build(configure("trainer=cmm", "trainer.refined=head"))


def test_the_refined_layer_comes_from_the_backbones_configuration(configure):
    assert configure("trainer=cmm", "backbone.projection=conv1.weight")["trainer"]["refined"] == "conv1.weight"
