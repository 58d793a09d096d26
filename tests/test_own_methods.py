"""Classes of one's own on the real command line, as the README has it: from the folder that they lie in."""

import json

import pytest

from tests.conftest import SHORT

pytestmark = pytest.mark.slow

MERGERS = """
from cl_bench.mergers.base import StackMerger

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
    (tmp_path / "my_trainers.py").write_text("from tests.strangers import *\n")


def record(folder):
    return json.loads((folder / "result.json").read_text())


def test_mergers_of_ones_own_run_under_their_names_and_a_wrong_one_is_told_before_training(run_py, own, tmp_path):
    swept = run_py(
        "-m", *SHORT, "merger._target_=my_mergers.Flat,my_mergers.Median", "hydra.sweep.dir=swept",
        "hydra.sweep.subdir=${hydra:runtime.choices.merger}",
    )  # fmt: skip
    assert swept.returncode == 2 and "Traceback" not in swept.stderr
    assert swept.stderr.count("merger=my_mergers.Flat cannot merge 'class_embedding' of shape (96,): ValueError") == 2
    assert sorted(path.parent.name for path in tmp_path.glob("swept/*/result.json")) == ["my_mergers.Median"]
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
        ("LossOfEach", "training_step returns a tensor of shape (3,); it has to"),
        ("LossWithoutGradient", "training_step returns a tensor of shape (), without a gradient; it has to"),
        ("LosesWeights", "end_task: what it returns lacks 'class_embedding'"),
        ("EndsWithWeightsAlone", "end_task returns dict; it has to return the weights and the statistics"),
    ],
)
def test_what_a_trainer_does_wrong_is_told_before_it_is_kept(run_py, own, tmp_path, name, message):
    refused = run_py(*SHORT, f"trainer._target_=my_trainers.{name}")
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert refused.stderr.startswith(f"Error: trainer=tests.strangers.{name}: {message}")
    assert not list(tmp_path.glob("store/streams/*/*.safetensors"))


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        (None, "my_merger.Median", "there is no module 'my_merger' in this folder or among the installed packages."),
        ("import no_such_package", "my_merger.Median", "No module named 'no_such_package' (my_merger.py, line 1"),
        (
            "1 / 0",
            "my_merger.Median",
            "ZeroDivisionError: division by zero (my_merger.py, line 1, in <module>); debug=",
        ),
        ("class Median(:", "my_merger.Median", "SyntaxError: invalid syntax (my_merger.py, line 1)"),
        ("class Median: pass", "my_merger.Medain", "my_merger.py) has no Medain; it has: Median."),
        ("Median = 5", "my_merger.Median", "is nothing that can be called"),
        ("", "statistics.Median", "statistics.py) has no Median"),
        ("", "my_merger", "must be the import path of a class or function, not 'my_merger'"),
    ],
)
def test_what_cannot_be_imported_is_told(run_py, tmp_path, text, target, message):
    if text is not None:
        (tmp_path / "my_merger.py").write_text(text)
    refused = run_py(*SHORT, f"merger._target_={target}")
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert refused.stderr.startswith("Error: merger._target_") and message in refused.stderr


def test_debug_shows_the_traceback_of_ones_own_line(run_py, tmp_path):
    (tmp_path / "my_trainer.py").write_text(
        "from cl_bench.trainers import Sequential\n\nclass Mine(Sequential):\n    def __init__(self, **options):\n"
        "        super().__init__(**options)\n        self.share = 1 / 0\n"
    )
    told = run_py(*SHORT, "trainer._target_=my_trainer.Mine")
    line = (
        "trainer._target_=my_trainer.Mine fails: ZeroDivisionError: division by zero (my_trainer.py, line 6, in __init"
    )
    assert told.returncode == 2 and told.stderr.startswith(f"Error: {line}") and "Traceback" not in told.stderr
    shown = run_py(*SHORT, "trainer._target_=my_trainer.Mine", "debug=true")
    assert shown.returncode == 1 and "self.share = 1 / 0" in shown.stderr


def test_the_merge_command_says_where_a_merger_of_ones_own_fails(command, own, tmp_path):
    import torch
    from safetensors.torch import save_file

    for name in ("base", "a"):
        save_file({"w": torch.zeros(2, 3)}, tmp_path / f"{name}.safetensors")
    (tmp_path / "my_merger.py").write_text(
        "from my_mergers import Median\n\nclass Mine(Median):\n    def combine_stack(self, stack):\n        return 1 / 0\n"
    )
    files = ("pretrained=base.safetensors", "finetuned=[a.safetensors]", "out=out.safetensors")
    failed = command("-m", "cl_bench.merge", "merger._target_=my_merger.Mine", *files, cwd=tmp_path)
    assert failed.returncode == 2 and "Traceback" not in failed.stderr
    assert "merger=Mine fails: ZeroDivisionError: division by zero (my_merger.py, line 5, in combine" in failed.stderr
    done = command("-m", "cl_bench.merge", "merger._target_=my_mergers.Median", *files, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
