"""What every trainer owes, whoever wrote it: this project's own trainers pass the same checks."""

from collections.abc import Callable, Mapping, Sequence

import pytorch_lightning as pl
import torch
from torch import Tensor

from cl_bench.callbacks import Checkpoint, StepSeeds
from cl_bench.images import batches
from cl_bench.runtime import seeds
from cl_bench.runtime.devices import Devices
from cl_bench.scenarios import Experience
from cl_bench.testing import small
from cl_bench.trainers import Given, TaskTrainer, UnfinishedTask, Weights

Make = Callable[[Given], TaskTrainer]
Learned = tuple[Weights, Mapping[str, Weights]]  # a task's weights and statistics

_SEED, _STOP = 3, 7


def check_trainer(make: Make) -> None:
    """Checks that a trainer keeps what every trainer promises.

    It takes a few seconds: the trainer learns three tasks of random images with a small encoder, several times.

    - A task changes weights, keeps their names and shapes, and leaves what is frozen as it is. All weights are finite.
    - `end_task` returns copies on the CPU, with exactly the statistics that `memory` and the merger name.
    - What is left behind for mergers changes no bit of the weights, and the same seed gives the same bits.
    - A run that goes on from stored tasks, or within a task from its checkpoint, ends with the bits of one that was
      never stopped.

    Whether the loss is right, nobody but you can check: hold it against a few lines of plain PyTorch.

    Args:
        make: Makes the trainer with the settings to check, such as ``MyTrainer`` itself or
            ``lambda given: MyTrainer(given, strength=2.0)``. It is called often.

    Raises:
        AssertionError: The trainer breaks a promise. Says which one and what to do.
    """
    trainer = make(small.given())
    assert isinstance(trainer, TaskTrainer), f"{type(trainer).__name__} is no TaskTrainer; derive it from that class"
    whole = _learn_all(trainer)
    _check_statistics_leave_training_alone(make, whole)
    if len(whole) > 1:
        _check_going_on_from_stored_tasks(make, whole)
        _check_going_on_within_a_task(make, whole)


def _learn_all(trainer: TaskTrainer) -> list[Learned]:
    pretrained = trainer.weights()
    weights: Weights = pretrained
    learned: list[Learned] = []
    for number, task in enumerate(trainer.experiences(small.three_tasks())):
        start = pretrained if trainer.starts_from == "pretrained" else weights
        learned.append(_learn(trainer, number, task, start))
        _check_learned(trainer, start, learned[-1])
        trainer.remember(task, *learned[-1])
        weights = learned[-1][0]
    return learned


def _learn(
    trainer: TaskTrainer,
    number: int,
    task: Experience,
    start: Weights,
    resumed: UnfinishedTask | None = None,
    callbacks: Sequence[pl.Callback] = (),
) -> Learned:
    """One task, as a run learns it."""
    optimization, done = trainer.optimization, resumed.step if resumed else 0
    epochs = optimization.epochs or 1
    order = batches.TrainingOrder(task.samples, optimization.batch_size, _SEED, number, epochs, done=done)
    seeds.reseed(_SEED, number, "training")
    trainer.begin_task(start, task, order.steps, resumed)
    frozen = _copies(_frozen(trainer))
    fit = Devices(accelerator="cpu").trainer(optimization.gradient_clip, [StepSeeds(_SEED, number, done), *callbacks])
    fit.fit(trainer, batches.loader(task.samples, order, trainer.transform, workers=0))
    _assert_same(_frozen(trainer), frozen, "Training changes what requires no gradient")
    return trainer.end_task()


def _frozen(trainer: TaskTrainer) -> dict[str, Tensor]:
    return {name: p for name, p in trainer.encoder.named_parameters() if not p.requires_grad}


def _check_learned(trainer: TaskTrainer, start: Weights, learned: Learned) -> None:
    assert isinstance(learned, tuple) and len(learned) == 2, (
        "end_task has to return the weights and the statistics, two mappings; call super().end_task()"
    )
    weights, statistics = learned
    assert {name: tensor.shape for name, tensor in weights.items()} == {n: t.shape for n, t in start.items()}, (
        "A task ends with other names or shapes than it began with; a merger needs the same ones from all tasks"
    )
    expected = trainer.memory | trainer.keep
    assert statistics.keys() == expected, (
        f"end_task returns the statistics {sorted(statistics)}, not {sorted(expected)}: those that `memory` names come "
        "from for_later_tasks, those for mergers from super().end_task()"
    )
    mine = {tensor.data_ptr() for tensor in trainer.state_dict().values() if tensor.numel()}
    for what, tensors in (("the weights", weights), *statistics.items()):
        for name, tensor in tensors.items():
            assert bool(torch.isfinite(tensor).all()), f"After a task, {name!r} of {what} has a NaN or infinite value"
            assert tensor.device.type == "cpu" and not tensor.requires_grad and tensor.data_ptr() not in mine, (
                f"{name!r} of {what} has to be a copy on the CPU: tensor.detach().cpu().clone()"
            )
    assert any(not torch.equal(tensor, start[name]) for name, tensor in weights.items()), (
        "A task of twenty steps changes no weight; does the loss depend on them?"
    )


def _check_statistics_leave_training_alone(make: Make, whole: Sequence[Learned]) -> None:
    trainer = make(small.given(keep=make(small.given()).leaves))
    for (weights, _), (expected, _) in zip(_learn_all(trainer), whole, strict=True):
        _assert_same(
            weights,
            expected,
            "Trained a second time, with statistics for mergers, the weights have other bits; draw from torch's global "
            "generator, which every step seeds, and let end_task change nothing",
        )


def _check_going_on_from_stored_tasks(make: Make, whole: Sequence[Learned]) -> None:
    trainer, last = make(small.given()), len(whole) - 1
    pretrained, tasks = trainer.weights(), trainer.experiences(small.three_tasks())
    for task, learned in zip(tasks[:last], whole, strict=False):
        trainer.remember(task, *learned)
    start = pretrained if trainer.starts_from == "pretrained" else whole[last - 1][0]
    _assert_same_learned(
        _learn(trainer, last, tasks[last], start),
        whole[last],
        "A run that finds the first tasks in the store learns the last one otherwise; what a task needs from earlier "
        "ones belongs in `memory`, for_later_tasks and remember",
    )


def _check_going_on_within_a_task(make: Make, whole: Sequence[Learned]) -> None:
    kept: list[dict[str, Tensor]] = []
    write = Checkpoint(lambda tensors: kept.append(_copies(tensors)), lambda: 0.0, _STOP, None, 0)
    for resumed in (False, True):
        trainer = make(small.given())
        pretrained, tasks = trainer.weights(), trainer.experiences(small.three_tasks())
        trainer.remember(tasks[0], *whole[0])
        start = pretrained if trainer.starts_from == "pretrained" else whole[0][0]
        unfinished = UnfinishedTask.from_tensors(kept[0]) if resumed else None
        _assert_same_learned(
            _learn(trainer, 1, tasks[1], start, unfinished, [] if resumed else [write]),
            whole[1],
            f"A run that is stopped after step {_STOP} of a task and goes on ends with other bits than one without a "
            "break; what grows with every step belongs in `within_task`",
        )


def _copies(tensors: Weights) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _assert_same_learned(one: Learned, other: Learned, what: str) -> None:
    _assert_same(one[0], other[0], what)
    for name, tensors in other[1].items():
        _assert_same(one[1][name], tensors, what)


def _assert_same(one: Weights, other: Weights, what: str) -> None:
    for name, tensor in other.items():
        assert name in one, f"{what} ({name!r} is missing)."
        same = torch.equal(one[name], tensor)
        assert same, f"{what} ({name!r}, by up to {float((one[name] - tensor).abs().max()):.3g})."
