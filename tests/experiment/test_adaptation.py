"""AdaMerging in a run: which coefficients are learned on which images, and what is refused and said."""

import json

import pytest
import torch
from safetensors import safe_open
from torch.func import functional_call
from torch.nn import functional

from cl_bench.experiment.adaptation import Draws, adapt, learned
from cl_bench.experiment.learning import learn, stored
from cl_bench.experiment.merging import merge
from cl_bench.experiment.run import run
from cl_bench.experiment.state import begin
from cl_bench.images import batches
from cl_bench.mergers import AdaMerging, RunningMerge
from tests.conftest import SHORT
from tests.mergers.per_task_models import quarters

FEW = ("+dataset.train=100", "trainer=independent", "optim.lr=1e-3", "merger=adamerging", "merger.batch_size=5")


def after_all_tasks(config):
    """A run whose tasks are learned and merged, and its merger's coefficients."""
    state = begin(config)
    for task in state.tasks:
        merge(state, task, stored(state, task) or learn(state, task))
    adapt(state)
    return state, {name: state.parts.merger.coefficients(name, len(state.tasks)) for name in state.parts.pretrained}


def naive(state, merger, names):
    """The same in one graph, in float64: every task vector in memory, and Adam on what autograd gives."""
    parts = state.parts
    start = {name: weights.double() for name, weights in parts.pretrained.items()}
    vectors = {
        name: torch.stack([state.stream.read(t)[0][name].double() - start[name] for t in (0, 1)]) for name in names
    }
    samples, masks = parts.scenario.evaluated("test")
    encoder = parts.trainer.encoder.double().eval().requires_grad_(False)
    columns = len(names) if merger.granularity == "layer_wise" else 1
    raw = torch.full((2, columns), merger.start, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=merger.learning_rate)
    draws = Draws(samples, 2, merger.batch_size, merger.steps, parts.seed)
    for batch in batches.loader(samples, draws, parts.backbone.transform, 0):
        used = raw.clamp(0, 1).expand(2, len(names))
        merged = {
            name: start[name] + torch.tensordot(used[:, place], vectors[name], 1) for place, name in enumerate(names)
        }
        head = merged.get("head", parts.head.rows.double())
        images = batches.to_images(batch, parts.backbone.transform).double()
        features = encoder(images) if "head" in merged else functional_call(encoder, merged, (images,))
        logits = functional.normalize(features, dim=1) @ head.T
        probabilities = [logits[i][masks[group]].softmax(0) for i, group in enumerate(batch.groups.tolist())]
        entropies = torch.stack([-(p * p.log()).sum() for p in probabilities])
        optimizer.zero_grad()
        sum(entropies[batch.groups == task].mean() for task in (0, 1)).backward()
        optimizer.step()
    return raw.detach().clamp(0, 1).expand(2, len(names))


@pytest.mark.parametrize(
    "settings",
    [
        ("merger.steps=6", "merger.learning_rate=0.02"),
        ("merger.granularity=task_wise", "merger.steps=12", "merger.learning_rate=0.1"),
        ("trainer=head_only", "optim.lr=1", "merger.steps=4", "merger.learning_rate=0.05"),
    ],
    ids=["layer_wise", "task_wise", "head_only"],
)
def test_the_coefficients_are_those_of_a_naive_loop_in_double_precision(configure, settings):
    state, coefficients = after_all_tasks(configure(*SHORT, *FEW, *settings))
    names = list(coefficients)
    expected = naive(state, state.parts.merger, names)
    found = torch.stack([coefficients[name] for name in names], dim=1)
    assert float((found - 0.3).abs().max()) > 0.03 and found.min() >= 0 and found.max() <= 1
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)


def test_coefficients_never_leave_0_to_1_also_while_they_are_learned():
    start, *models = quarters(2, seed=1)
    merger, seen = AdaMerging(steps=9, learning_rate=0.2), []
    running = RunningMerge(merger, start)
    for model in models:
        running.add(model)

    def slope(merged):  # against the first task's vector, and along the second's
        seen.append(merged)
        return {name: (model - start[name]) - (models[1][name] - start[name]) for name, model in models[0].items()}

    found = learned(merger, running, slope)
    first, second = (torch.stack([column[task] for column in found.values()]) for task in (0, 1))
    assert 0 in first and 1 in second and min(first.min(), second.min()) == 0 and max(first.max(), second.max()) == 1
    for name, (one, other) in found.items():  # the last step has not moved those that were at their bounds
        if {float(one), float(other)} <= {0.0, 1.0}:
            expected = start[name] + one * (models[0][name] - start[name]) + other * (models[1][name] - start[name])
            torch.testing.assert_close(seen[-1][name], expected, rtol=0, atol=1e-12)


def test_labels_do_not_count_and_a_run_that_goes_on_learns_the_same(configure):
    config = configure(*SHORT, *FEW, "merger.steps=2")
    _, first = after_all_tasks(config)
    state = begin(config)
    for experience in state.parts.scenario.test_stream:
        experience.samples.labels = torch.zeros_like(experience.samples.labels)
    for task in state.tasks:
        merge(state, task, stored(state, task))
    adapt(state)
    assert all(torch.equal(state.parts.merger.coefficients(name, 2), first[name]) for name in first)
    with pytest.raises(ValueError, match="learned for 2 tasks, not for 1"):
        state.parts.merger.coefficients("proj", 1)


def test_every_step_draws_images_of_each_task_so_far_and_no_image_twice(configure):
    samples, _ = begin(configure(*SHORT, *FEW)).parts.scenario.evaluated("test")
    requests = list(Draws(samples, 2, 16, 5, seed=3))
    assert [sorted(samples.groups[one.positions].tolist()) for one in requests] == [[0] * 16 + [1] * 16] * 5
    assert all(len(set(one.positions.tolist())) == 32 for one in requests)
    assert not torch.equal(requests[0].positions, requests[1].positions)
    (few,) = Draws(samples, 1, 10**6, 1, seed=3)
    assert len(few.positions) == int((samples.groups == 0).sum())


def test_the_last_row_is_the_same_whether_or_not_earlier_models_were_evaluated_and_the_record_says_what_was_seen(
    configure, tmp_path
):
    short = (*SHORT, *FEW, "merger.steps=3", "merger.learning_rate=0.1")
    every, last = (
        run(configure(*short), tmp_path / "every"),
        run(configure(*short, "evaluation=final", "save_merged=true"), tmp_path / "last"),
    )
    with safe_open(tmp_path / "last/merged.safetensors", "pt") as file:
        assert "looks at unlabelled test images" in file.metadata()["notes"]
    for result in (every, last):
        assert result["sees_test_images"] is True and result["headline"]["value"] is not None
        assert any("looks at unlabelled test images" in note for note in result["notes"])
    assert every["matrix"]["task_aware"][-1] == last["matrix"]["task_aware"][-1]
    assert every["matrix"]["task_aware"][0] != every["matrix"]["task_aware"][-1]


@pytest.mark.parametrize("trainer", ["lora", "tangent"])
def test_other_trainers_encoders_learn_coefficients_too(configure, trainer):
    _, coefficients = after_all_tasks(configure(*SHORT, *FEW, f"trainer={trainer}", "merger.steps=2"))
    moved = sum(bool((value != 0.3).any()) for value in coefficients.values())
    assert moved > 5 and all(value.isfinite().all() for value in coefficients.values())


@pytest.mark.slow
def test_two_processes_find_the_same(run_py, tmp_path):
    for devices in (1, 2):
        done = run_py(*SHORT, *FEW, "merger.steps=2", f"lightning.devices={devices}", f"hydra.run.dir={devices}")
        assert done.returncode == 0, done.stderr
    one, two = (json.loads((tmp_path / f"{devices}/result.json").read_text()) for devices in (1, 2))
    assert one["matrix"] == two["matrix"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("trainer.starts_from=merged",),
            "tasks that start from the merged weights would be trained on what it has seen",
        ),
        (("merger.scaling=[0.5,1.0]", "scenario.validation_share=0.2"), "so merger.scaling cannot be a list"),
        (("trainer=joint",), "but trainer=joint learns 1 for 5 tasks"),
        (
            ("merger=lines", "merger@merger.of=adamerging", "merger.beta=0.5"),
            "of must merge without images; AdaMerging",
        ),
        (("merger.granularity=block_wise",), "merger.granularity"),
        (("merger.steps=0",), "merger.steps"),
    ],
)
def test_what_it_does_not_go_with_is_refused_before_anything_is_trained(run_py, tmp_path, arguments, message):
    merger = () if arguments[0].startswith("merger=") else ("merger=adamerging",)
    done = run_py("lightning=cpu", *merger, *arguments)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("store/streams/*"))


def test_the_command_that_merges_files_refuses_it(command, tmp_path):
    files = ("pretrained=base.safetensors", "finetuned=[a.safetensors]", "out=merged.safetensors")
    done = command("-m", "cl_bench.merge", "merger=adamerging", *files, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("Error: merger=adamerging learns on test images, and this")
