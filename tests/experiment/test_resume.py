"""A run that is stopped at any moment and started again ends with the same bits as one that was not."""

import json
import re
import signal

import pytest

from cl_bench.experiment.run import run
from cl_bench.trainers import TRAINERS, TaskTrainer
from tests.conftest import FEW_IMAGES, SHORT

STEPS = (
    "lightning.limit_train_batches=5",
    "optim.epochs=2",
    "optim.batch_size=8",
    "lightning.checkpoint_steps=3",
    "evaluation=final",
    "evaluation.finetuned=false",
    FEW_IMAGES,
)


OF_SEVERAL_TASKS = sorted(TRAINERS.keys() - {"joint", "zero_shot", "imported", "finished", "ranpac"})


class Stopped(BaseException):
    """As Ctrl-C or a crash would be: nothing in the run expects it."""


def trained(folder):
    return {path.name: path.read_bytes() for path in folder.glob("streams/*/task_*.safetensors")}


@pytest.fixture
def do(configure, tmp_path, monkeypatch):
    """Runs with a store of its own, and stops in step `stop` of all that it makes."""
    step = TaskTrainer.training_step

    def do(store, *overrides, stop=None):
        made = 0

        def counted(self, batch, batch_idx):
            nonlocal made
            made += 1
            if made == stop:
                raise Stopped
            return step(self, batch, batch_idx)

        monkeypatch.setattr(TaskTrainer, "training_step", counted)
        run(configure(*SHORT, *STEPS, *overrides, f"paths.store_dir={tmp_path / store}"), tmp_path)
        return made

    return do


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [*((f"trainer={name}",) for name in OF_SEVERAL_TASKS), ("head=linear",), ("trainer=lora", "head=linear")],
    ids=str,
)
def test_stopped_and_started_again_it_ends_with_the_same_bits(do, tmp_path, options):
    assert do("whole", *options) == 20
    for stop, left in ((9, 14), (11, 10), (18, 4)):
        with pytest.raises(Stopped):
            do(f"stopped_{stop}", *options, stop=stop)
        assert do(f"stopped_{stop}", *options) == left  # a checkpoint every three steps
        assert trained(tmp_path / f"stopped_{stop}") == trained(tmp_path / "whole")
        assert not list(tmp_path.glob(f"stopped_{stop}/streams/*/*.partial.safetensors"))


@pytest.mark.slow
def test_any_optimizer_goes_on_from_its_state(do, tmp_path):
    options = ("optim.optimizer._target_=torch.optim.NAdam", "~optim.optimizer.fused")
    do("whole", *options)
    for stop in (3, 10, 14):
        with pytest.raises(Stopped):
            do(f"stopped_{stop}", *options, stop=stop)
        do(f"stopped_{stop}", *options)
        assert trained(tmp_path / f"stopped_{stop}") == trained(tmp_path / "whole")


@pytest.mark.slow
def test_killed_in_the_middle_of_a_task_it_goes_on_there(run_py, begin_run_py, tmp_path):
    # Synaptic Intelligence has state between tasks and within a task, and OPCM folds one task after the other.
    options = (*SHORT, *STEPS, "trainer=si", "merger=opcm", "lightning.limit_train_batches=null", "optim.epochs=4")

    def accuracies():
        return [json.loads(path.read_text())["accuracy"] for path in tmp_path.glob("outputs/*/*/result.json")]

    expected = run_py(*options, "paths.store_dir=whole")
    assert expected.returncode == 0, expected.stderr
    killed = begin_run_py(*options, "paths.store_dir=killed")
    killed.kill_when(lambda _: list(tmp_path.glob("killed/streams/*/task_001.partial.safetensors")))
    resumed = run_py(*options, "paths.store_dir=killed")
    assert resumed.returncode == 0, resumed.stderr
    assert "task 2: an earlier run was stopped after" in resumed.stdout and "1 of 2 tasks reused" in resumed.stdout
    assert trained(tmp_path / "killed") == trained(tmp_path / "whole")

    stopped = begin_run_py(*options, "paths.store_dir=stopped")
    stopped.signal_when(signal.SIGTERM, lambda _: list(tmp_path.glob("stopped/streams/*/task_001.partial.safetensors")))
    told = stopped.completed()
    kept = re.fullmatch(r"Terminated\. Kept: 1 of 2 tasks, and (\d+) of (\d+) steps of task 2\. The .*\n", told.stderr)
    assert told.returncode == 143 and kept, told.stderr
    again = run_py(*options, "paths.store_dir=stopped")
    assert again.returncode == 0, again.stderr
    assert f"task 2: an earlier run was stopped after {kept[1]} of {kept[2]} steps: going on from there" in again.stdout
    assert trained(tmp_path / "stopped") == trained(tmp_path / "whole")
    assert len(accuracies()) == 3 and all(one == accuracies()[0] for one in accuracies())
