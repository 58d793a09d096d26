"""Classes of one's own on the real command line, as the README has it: from the folder that they lie in."""

import json

import pytest

from tests.conftest import SHORT

pytestmark = pytest.mark.slow

MERGERS = """
from cl_bench.mergers import StackMerger

class Median(StackMerger):
    def __init__(self, scaling: float = 0.9):
        super().__init__(scaling)

    def combine_stack(self, stack):
        return stack.vectors.median(dim=0).values

class Flat(Median):
    def combine_stack(self, stack):
        return stack.vectors.median()
"""


@pytest.fixture
def own(tmp_path):
    """A module in the folder that commands are started from, which is on no path."""
    (tmp_path / "my_mergers.py").write_text(MERGERS)
    (tmp_path / "my_trainers.py").write_text("from tests.helpers.strangers import *\n")


def record(folder):
    return json.loads((folder / "result.json").read_text())


def test_mergers_of_ones_own_run_under_their_names_and_a_wrong_one_is_told_before_training(run_py, own, tmp_path):
    sweep = ("-m", *SHORT, "hydra.sweep.dir=swept", "hydra.sweep.subdir=${hydra:runtime.choices.merger}")
    refused = run_py(*sweep, "merger._target_=my_mergers.Flat,my_mergers.Median")
    assert refused.returncode == 2 and "Traceback" not in refused.stderr and "1 of 2 jobs are wrong" in refused.stderr
    assert "merger=my_mergers.Flat cannot merge 'class_embedding' of shape (96,): ValueError" in refused.stderr
    assert not list(tmp_path.glob("swept/*/result.json"))
    swept = run_py(*sweep, "merger._target_=my_mergers.Median,cl_bench.mergers.Average")
    assert swept.returncode == 0, swept.stderr
    result = record(tmp_path / "swept/my_mergers.Median")
    assert (result["choices"]["trainer"], result["choices"]["merger"]) == ("sequential", "my_mergers.Median")
    assert result["config"]["merger"] == {"_target_": "my_mergers.Median"}
    assert not any(task["reused"] for task in result["training"])  # the wrong one trained nothing
    assert "sequential + my_mergers.Median" in swept.stdout

    (tmp_path / "my/conf/merger").mkdir(parents=True)
    (tmp_path / "my/conf/merger/median.yaml").write_text("_target_: my_mergers.Median\n")
    chosen = run_py("--config-dir", "my/conf", "merger=median", *SHORT, "hydra.run.dir=chosen")
    assert chosen.returncode == 0, chosen.stderr
    again = record(tmp_path / "chosen")
    assert again["choices"]["merger"] == "median" and again["matrix"] == result["matrix"]
    assert all(task["reused"] for task in again["training"])

    (tmp_path / "my/conf/merger/magmax.yaml").write_text("_target_: my_mergers.Median\n")
    hidden = run_py("--config-dir", "my/conf", *SHORT)
    assert hidden.returncode == 2 and "Traceback" not in hidden.stderr
    assert "my/conf/merger/magmax.yaml would not be read" in hidden.stderr
    assert "merger/my_magmax.yaml, and merger=my_magmax." in hidden.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NoLoss", "training_step returns NoneType; it has to return the loss, a tensor of one number"),
        ("NoPenalty", "penalty returns NoneType; it has to return one number ("),
        ("FailsInTheLoss", "fails: AttributeError: 'FailsInTheLoss' object has no attribute 'nothing_of_this_name' ("),
        ("FailsToBegin", "fails: KeyError: 'begin' ("),
        ("EndsWithWeightsAlone", "end_task returns dict; it has to return the weights and the statistics"),
    ],
)
def test_what_a_trainer_does_wrong_is_told_before_it_is_kept(run_py, own, tmp_path, name, message):
    refused = run_py(*SHORT, f"trainer._target_=my_trainers.{name}")
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert refused.stderr.startswith(f"Error: trainer=tests.helpers.strangers.{name}") and message in refused.stderr
    assert not list(tmp_path.glob("store/streams/*/*.safetensors"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "ForgetsTheRows",
            "its loss does not depend on the head's rows, so they would learn nothing; compare features",
        ),
        ("OptimizesTheEncoder", "configure_optimizers leaves the head's rows out, so they would learn nothing; add"),
    ],
)
def test_a_trainer_under_which_the_heads_rows_would_learn_nothing_is_refused(run_py, own, tmp_path, name, message):
    refused = run_py(*SHORT, f"trainer._target_=my_trainers.{name}", "head=linear")
    assert refused.returncode == 2 and refused.stderr.startswith(f"Error: trainer=tests.helpers.strangers.{name}: ")
    assert message in refused.stderr and not list(tmp_path.glob("store/streams/*/*.safetensors"))
    taken = run_py(*SHORT, f"trainer._target_=my_trainers.{name}", "head=prototypes")
    assert taken.returncode == 0, taken.stderr


def test_the_heads_rows_learn_under_a_trainer_of_ones_own(run_py, own):
    learned = run_py(*SHORT, "trainer._target_=my_trainers.Plain", "head=linear")
    assert learned.returncode == 0, learned.stderr


def test_a_module_that_is_nowhere_or_fails_is_told(run_py, tmp_path):
    missing = run_py(*SHORT, "merger._target_=my_merger.Median")
    assert missing.returncode == 2 and "Traceback" not in missing.stderr
    assert missing.stderr.startswith("Error: merger._target_: my_merger.Median cannot be imported: there is no module")
    assert "PYTHONPATH=FOLDER python run.py" in missing.stderr
    (tmp_path / "my_merger.py").write_text("share = 1 / 0\n")
    failed = run_py(*SHORT, "merger._target_=my_merger.Median")
    assert failed.returncode == 2 and "Traceback" not in failed.stderr
    assert "ZeroDivisionError: division by zero (my_merger.py, line 1, in <module>); debug=true" in failed.stderr
    shown = run_py(*SHORT, "merger._target_=my_merger.Median", "debug=true")
    assert shown.returncode == 1 and "share = 1 / 0" in shown.stderr


def test_the_merge_command_says_where_a_merger_of_ones_own_fails(command, own, tmp_path):
    import torch
    from safetensors.torch import save_file

    for name in ("base", "a"):
        save_file({"w": torch.zeros(2, 3)}, tmp_path / f"{name}.safetensors")
    (tmp_path / "my_merger.py").write_text(
        "from my_mergers import Median\n\nclass Mine(Median):\n    def combine_stack(self, stack):\n        1 / 0\n"
    )
    files = ("pretrained=base.safetensors", "finetuned=[a.safetensors]", "out=out.safetensors")
    failed = command("-m", "cl_bench.merge", "merger._target_=my_merger.Mine", *files, cwd=tmp_path)
    assert failed.returncode == 2 and "Traceback" not in failed.stderr
    assert "merger=Mine fails: ZeroDivisionError: division by zero (my_merger.py, line 5, in combine" in failed.stderr
    done = command("-m", "cl_bench.merge", "merger._target_=my_mergers.Median", *files, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
