"""A class of the user's own that is edited between two commands: what was computed with it is done anew, and said."""

import json
import os

import pytest

from tests.conftest import SHORT

TRAINER = """
from cl_bench.trainers import Sequential
from my_pkg.factor import FACTOR


class Mine(Sequential):
    def on_after_backward(self):
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(FACTOR)
"""
MERGER = """
from cl_bench.mergers import TaskArithmetic


class Half(TaskArithmetic):
    def combine(self, state, block):
        return super().combine(state, block) * {factor}
"""
COMMON = (
    *SHORT,
    "optim.gradient_clip=null",
    "trainer._target_=my_pkg.Mine",
    "merger._target_=my_pkg.Half",
    "merger.scaling=0.5",
)


@pytest.mark.slow
def test_an_edited_trainer_is_trained_anew_and_an_edited_merger_merges_anew(run_py, tmp_path):
    package = tmp_path / "src" / "my_pkg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from my_pkg.half import Half\nfrom my_pkg.mine import Mine\n")
    (package / "mine.py").write_text(TRAINER)
    (package / "half.py").write_text(MERGER.format(factor=0.5))
    (package / "factor.py").write_text("FACTOR = 1.0\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}

    def sweep():
        run = run_py("-m", *COMMON, "seed=5", "hydra.sweep.dir=swept", "hydra.sweep.subdir=job", env=environment)
        assert run.returncode == 0, run.stderr
        return run.stdout, json.loads((tmp_path / "swept/job/result.json").read_text())

    said, first = sweep()
    assert "0 of 2 tasks reused" in said and "code has changed" not in said
    assert set(first["code"]["outside"]) == {f"my_pkg/{name}.py" for name in ("half", "mine", "factor")}

    (package / "half.py").write_text(MERGER.format(factor=-9.0))
    said, merged = sweep()
    assert "done anew, since code has changed (my_pkg/half.py): swept/job\n" in said
    assert "2 of 2 tasks reused" in said and "trained anew" not in said
    assert merged["fingerprint"] == first["fingerprint"] and merged["matrix"] != first["matrix"]

    (package / "factor.py").write_text("FACTOR = 0.0\n")
    said, trained = sweep()
    assert "done anew, since code has changed (my_pkg/factor.py): swept/job\n" in said
    before = f"store/streams/{first['fingerprint']}"
    assert f"trained anew, since code has changed: my_pkg/factor.py (before: {before})" in said
    assert "0 of 2 tasks reused" in said and trained["finetuned"]["matrix"] != first["finetuned"]["matrix"]

    said, same = sweep()
    assert "skipped, its result is there: swept/job\n" in said and same == trained
