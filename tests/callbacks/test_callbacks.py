"""Progress, loss and rows, through real trainings of a small model."""

import io
import math
import time
from functools import partial
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger

from cl_bench.callbacks import FiniteLoss, ProgressBars, TrainingLog
from cl_bench.images import batches
from cl_bench.loggers import log_metrics
from cl_bench.runtime.devices import Devices
from cl_bench.runtime.errors import UserError
from cl_bench.trainers import Given, Sequential
from tests.helpers.small import TRANSFORM, SmallEncoder, head, optimization, scenario


def _fit(callbacks, trainer_class=Sequential):
    settings, experience = optimization(), scenario().train_stream[0]
    trainer = trainer_class(Given(SmallEncoder(), head(), TRANSFORM, settings))
    order = batches.TrainingOrder(experience.samples, settings.batch_size, 0, 0, settings.epochs)
    trainer.begin_task(trainer.encoder.state_dict(), experience, order.steps)
    runner = Devices(accelerator="cpu").trainer(settings.gradient_clip, callbacks)
    runner.fit(trainer, batches.loader(experience.samples, order, TRANSFORM, workers=0))
    return runner


class _Failing(Sequential):
    """Its loss is infinite from the fourth step on."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss if self.trainer.global_step < 3 else loss * math.inf


def test_a_loss_that_is_no_number_stops_the_task_and_names_task_and_step():
    with pytest.raises(UserError, match=r"became inf in step 4 of task 7; the last finite loss was \d") as caught:
        _fit([FiniteLoss(task=7)], _Failing)
    assert "optim.lr" in str(caught.value)


def test_a_loss_on_a_gpu_is_read_one_step_later_when_its_copy_has_arrived(monkeypatch):
    done, arrived = [], torch.tensor(0.5)

    class Event:
        def record(self):
            done.append("asked for")

        def synchronize(self):
            done.append("there")

    class Loss:
        is_cuda = True

        def detach(self):
            return self

        def to(self, device, non_blocking):
            assert (device, non_blocking) == ("cpu", True)
            return arrived

    monkeypatch.setattr(torch.cuda, "Event", Event)
    check = FiniteLoss(task=1)
    for step in (1, 2):
        check.on_train_batch_end(SimpleNamespace(global_step=step), None, {"loss": Loss()}, None, step)
    assert done == ["asked for", "there", "asked for"]
    arrived.fill_(math.nan)
    with pytest.raises(UserError, match=r"became nan in step 2 of task 1; the last finite loss was 0\.5"):
        check.on_train_end(None, None)


def test_a_loss_that_stays_finite_stops_nothing():
    assert _fit([FiniteLoss(task=1)]).global_step == 24


def test_training_is_logged_along_one_axis_through_all_tasks(tmp_path):
    logger = CSVLogger(tmp_path, name=None, version="log")
    _fit([TrainingLog(partial(log_metrics, logger), first_step=100, task=3)])
    logger.save()
    lines = (tmp_path / "log" / "metrics.csv").read_text().splitlines()
    columns = lines[0].split(",")
    rows = [dict(zip(columns, map(float, line.split(",")), strict=True)) for line in lines[1:]]
    assert [row["step"] for row in rows] == [110, 120]
    assert all(row["train/task"] == 3 and row["train/loss"] > 0 and 0 < row["train/lr"] <= 1e-2 for row in rows)


class _Slow(pl.Callback):
    """Waits in the last epoch until it has been drawn, ten times a second, by a thread of its own."""

    def __init__(self, stream):
        self._stream = stream

    def on_train_batch_end(self, trainer, *_):
        give_up = time.monotonic() + 20
        while trainer.global_step > 16 and "epoch 3 of 3" not in self._stream.getvalue() and time.monotonic() < give_up:
            time.sleep(0.01)


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(monkeypatch, terminal):
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("rich._console", None)  # one that an earlier test made remembers that there was no terminal
    with ProgressBars(tasks=2) as progress:
        progress.begin_task(steps=24, epochs=3, done=0)
        _fit([progress, *([_Slow(stream)] if terminal else [])])
        progress.advance()
    shown = stream.getvalue()
    assert all((word in shown) == terminal for word in ("epoch 3 of 3", "/24", "1/2", "left"))
    assert terminal or shown == ""
