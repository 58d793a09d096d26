"""A head that learns: against a plain PyTorch loop in double precision, and in whole short runs."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from cl_bench.analyses.opened_run import open_run
from cl_bench.backbones import TinyClip
from cl_bench.experiment.evaluating import evaluate, evaluate_pretrained
from cl_bench.experiment.learning import learn
from cl_bench.experiment.merging import merge
from cl_bench.experiment.record import write_result
from cl_bench.experiment.state import begin
from cl_bench.images import batches
from cl_bench.images.transforms import crop_boxes
from cl_bench.runtime.devices import Devices
from cl_bench.trainers import Independent, LwF, Sequential
from cl_bench.trainers.base.optimization import factor
from tests.conftest import FEW_IMAGES, SHORT
from tests.helpers.small import TRANSFORM, SmallEncoder, domains, head, optimization, pixels_at, scenario, small_given

SEED, LR = 3, 0.05
SETTINGS = optimization()


def _learn(trainer, experience, task, weights):
    order = batches.TrainingOrder(experience.samples, SETTINGS.batch_size, SEED, task, SETTINGS.epochs)
    trainer.begin_task(weights, experience, order.steps)
    runner = Devices(accelerator="cpu").trainer(SETTINGS.gradient_clip, [])
    runner.fit(trainer, batches.loader(experience.samples, order, TRANSFORM, workers=0))
    learned, statistics = trainer.end_task()
    trainer.head_rows.freeze(trainer.head, trainer.head_rows.learned())
    trainer.remember(experience, learned, statistics)
    return learned


def _plain_task(start, rows, new, experience, task):
    """One task: the encoder, and the rows of new classes at a rate of their own."""
    encoder, samples, classes = SmallEncoder().double(), experience.samples, experience.class_masks[0]
    encoder.load_state_dict(start)
    own = rows[new].clone().requires_grad_()
    parameters = list(encoder.parameters())
    optimizer = torch.optim.AdamW([{"params": parameters, "lr": SETTINGS.lr}, {"params": [own], "lr": LR}])
    order = batches.TrainingOrder(samples, SETTINGS.batch_size, SEED, task, SETTINGS.epochs)
    for step, (positions, draws, _) in enumerate(order):
        pixels = pixels_at(samples, positions)
        crops = crop_boxes(torch.tensor([pixels.shape[1:3]] * len(pixels)), draws)
        for group, lr in zip(optimizer.param_groups, (SETTINGS.lr, LR), strict=True):
            group["lr"] = lr * factor(step, SETTINGS.warmup_steps, len(order))
        used = rows.clone()
        used[new] = own
        features = functional.normalize(encoder(TRANSFORM(pixels, crops).double()), dim=1)
        logits = (features @ used.T).masked_fill(~classes, -torch.inf)
        loss = functional.cross_entropy(logits, samples.labels[positions])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*parameters, own], SETTINGS.gradient_clip)
        optimizer.step()
    after = rows.clone()
    after[new] = own.detach()
    return {name: tensor.detach() for name, tensor in encoder.state_dict().items()}, after


@pytest.mark.parametrize(("kind", "stream"), [(Sequential, scenario(per_class=12)), (Independent, domains())])
def test_a_stream_equals_the_plain_loop_and_rows_are_frozen_after_their_task(kind, stream):
    trainer = kind(small_given(SETTINGS, head_lr=LR, head_arrives=True))
    weights, rows, seen = trainer.weights(), head().double(), set()
    pretrained = weights
    for task, experience in enumerate(stream.train_stream):
        start = pretrained if kind is Independent else weights
        arrived = experience.class_masks.any(dim=0).nonzero().flatten().tolist()
        new = [label for label in arrived if label not in seen]
        seen.update(new)
        expected, rows = _plain_task(start, rows, new, experience, task)
        weights = _learn(trainer, experience, task, start)
        for name, tensor in weights.items():
            assert float((tensor - expected[name]).norm() / expected[name].norm()) < 1e-9
        assert float((trainer.head - rows).norm() / rows.norm()) < 1e-9
    assert not torch.equal(trainer.head, head().double())


def test_the_teacher_of_lwf_answers_with_the_frozen_rows():
    trainer, stream = LwF(small_given(SETTINGS, head_lr=LR, head_arrives=True)), scenario(per_class=12)
    weights = trainer.weights()
    for task, experience in enumerate(stream.train_stream):
        before = trainer.head.clone()
        weights = _learn(trainer, experience, task, weights)
        earlier = ~experience.class_masks[0]
        assert torch.equal(trainer.head[earlier], before[earlier])


def test_a_run_stores_the_rows_and_another_one_reuses_them(run_py, tmp_path):
    again = (*SHORT, FEW_IMAGES, "head=linear", f"paths.store_dir={tmp_path}/store")
    first, second = tmp_path / "first", tmp_path / "second"
    run_py(*again, f"hydra.run.dir={first}")
    run_py(*again, f"hydra.run.dir={second}")
    records = [json.loads((folder / "result.json").read_text()) for folder in (first, second)]
    assert [task["reused"] for task in records[1]["training"]] == [True, True]
    for name in ("accuracy", "matrix", "metrics", "finetuned", "images_without_row"):
        assert records[0][name] == records[1][name]
    assert len(list((tmp_path / "store").glob("streams/*/*head*"))) == 2


def test_a_run_is_evaluated_and_analysed_with_the_rows_that_tasks_left(configure, tmp_path):
    run = begin(configure(*SHORT, FEW_IMAGES, "head=linear"))
    evaluate_pretrained(run)
    for task in run.tasks:
        learned = learn(run, task)
        merge(run, task, learned)
        evaluate(run, task, learned)
        classes, rows = (learned.statistics["head"][name] for name in ("classes", "rows"))
        assert torch.equal(run.arrived.rows[classes], rows)
        assert run.arrived.known.nonzero().flatten().tolist() == sorted({*classes.tolist(), *range(5 * task.number)})
        assert not torch.allclose(rows, run.parts.head.rows[classes])
    write_result(run, tmp_path)
    assert torch.equal(open_run(tmp_path / "result.json").parts.head.rows, run.arrived.rows)


@pytest.mark.slow
def test_two_processes_learn_the_rows_that_one_learns(run_py, tmp_path):
    rows = {}
    for devices in (1, 2):
        store = tmp_path / f"store_{devices}"
        options = (*SHORT, FEW_IMAGES, "head=linear", f"lightning.devices={devices}", f"paths.store_dir={store}")
        shown = run_py(*options)
        assert shown.returncode == 0, shown.stderr
        rows[devices] = [load_file(path)["rows"] for path in sorted(store.glob("streams/*/*head*.safetensors"))]
        (means,) = (load_file(path)["head"] for path in store.glob("heads/*.safetensors"))
        rows[devices].append(means)
    assert len(rows[1]) == 3
    for alone, together in zip(rows[1], rows[2], strict=True):
        assert float((alone - together).norm() / alone.norm()) < 1e-5


@pytest.mark.parametrize("trainer", ["zero_shot", "head_only", "finished", "imported"])
def test_a_trainer_without_an_encoder_to_train_is_refused(run_py, tmp_path, trainer):
    save_file(TinyClip().encoder.state_dict(), tmp_path / "own.safetensors")
    path = tmp_path / "own.safetensors"
    read = {"finished": [f"trainer.weights={path}"], "imported": [f"trainer.weights=[{path},{path}]"]}
    found = run_py(*SHORT, f"trainer={trainer}", "head=linear", *read.get(trainer, ()))
    assert found.returncode == 2
    assert "choose head=prototypes" in found.stderr
