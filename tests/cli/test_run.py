"""The real command line."""

import json

import pytest

from tests.conftest import SHORT
from tests.helpers.cpu_seconds import cpu_seconds_of_children

pytestmark = pytest.mark.slow


def _result(folder):
    (path,) = folder.glob("outputs/*/*/result.json")
    return json.loads(path.read_text())


def test_help_starts_in_about_a_second_and_names_groups_and_examples(cold_run_py):
    before = cpu_seconds_of_children()
    helped = cold_run_py("--help")
    assert helped.returncode == 0 and cpu_seconds_of_children() - before < 2.5
    groups = ("backbone: ", "dataset: ", "merger: ", "scenario: ", "trainer: ")
    for word in (*groups, "tiny_clip", "cub200", "magmax", "cifar100_10", "sequential"):
        assert word in helped.stdout
    assert helped.stdout.count("python run.py ") >= 5


def test_a_run_leaves_its_result_pictures_and_logs_and_a_second_one_trains_nothing(run_py, cold_run_py, tmp_path):
    first = cold_run_py(*SHORT)
    assert first.returncode == 0, first.stderr
    assert "0 of 2 tasks reused" in first.stdout and "zero-shot" in first.stdout
    assert "\x1b" not in first.stdout and "it/s" not in first.stdout + first.stderr  # no terminal: quiet
    assert first.stderr == ""
    result = _result(tmp_path)
    (folder,) = tmp_path.glob("outputs/*/*")
    assert (folder / "matrix_merged.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "log" / "metrics.csv").read_text().count("\n") >= 3
    assert result["schema"] == 3 and result["choices"]["merger"] == "magmax"
    assert len(result["matrix"]["task_agnostic"]) == 3 and len(result["matrix"]["task_agnostic"][0]) == 2
    assert 0 <= result["accuracy"]["task_agnostic"] <= 100

    again = run_py(*SHORT, "merger=ties", "merger.scaling=0.3", "evaluation=final", "hydra.run.dir=again")
    assert "2 of 2 tasks reused" in again.stdout
    other = json.loads((tmp_path / "again" / "result.json").read_text())
    assert other["fingerprint"] == result["fingerprint"]
    assert other["matrix"]["task_agnostic"][1] == [None, None]
    assert other["finetuned"]["accuracy"] == result["finetuned"]["accuracy"]


@pytest.mark.parametrize("trainer", ("tangent", "cmm"))
def test_forward_mode_shows_no_warning_of_torch_about_itself(cold_run_py, trainer):
    run = cold_run_py(*SHORT, f"trainer={trainer}")
    assert run.returncode == 0 and run.stderr == ""


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["merger=nope"], "merger=nope: there is no such choice"),
        (["merger.scalling=1"], "merger.scalling"),
        (["optim.lr=fast"], "optim.lr='fast'"),
        (["scenario=cifar100_5", "backbone=tiny_clip"], "data/cifar-100-python"),
    ],
)
def test_mistakes_get_one_message_and_exit_code_2(run_py, overrides, named):
    failed = run_py(*overrides)
    assert failed.returncode == 2
    assert failed.stderr.startswith("Error: ") and named in failed.stderr
    assert "Traceback" not in failed.stderr and "Traceback" not in failed.stdout


def test_debug_shows_the_traceback(run_py):
    failed = run_py("optim.lr=fast", "debug=true")
    assert failed.returncode not in (0, 2) and "Traceback" in failed.stderr


def test_in_a_multirun_a_mistake_is_told_before_anything_is_started(run_py, tmp_path):
    swept = run_py("-m", "merger=task_arithmetic,last", "hydra.sweep.dir=swept", *SHORT)
    assert swept.returncode == 2 and "merger.scaling is missing" in swept.stderr
    assert not list(tmp_path.glob("swept/*/")) and not (tmp_path / "store").exists()


def test_a_killed_run_goes_on_where_it_stopped_and_ends_with_the_same_bits(run_py, begin_run_py, tmp_path):
    arguments = (*SHORT, "scenario.tasks=5")
    whole = run_py(*arguments, "paths.store_dir=whole", "hydra.run.dir=whole_run")
    assert whole.returncode == 0, whole.stderr
    killed = begin_run_py(*arguments, "paths.store_dir=killed")
    killed.kill_when(lambda printed: "\n2 of 5" in printed)
    resumed = run_py(*arguments, "paths.store_dir=killed", "hydra.run.dir=resumed_run")
    assert resumed.returncode == 0, resumed.stderr
    done = sum(line.endswith("(reused)") for line in resumed.stdout.splitlines())
    assert 2 <= done < 5 and f"{done} of 5 tasks reused" in resumed.stdout
    for task in range(5):
        one, other = (
            next(tmp_path.glob(f"{name}/streams/*/task_00{task}.safetensors")) for name in ("whole", "killed")
        )
        assert one.read_bytes() == other.read_bytes()
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole_run", "resumed_run")]
    assert results[0]["matrix"] == results[1]["matrix"]


def test_a_damaged_task_is_done_again_with_a_warning_and_the_same_bits(run_py, tmp_path):
    run_py(*SHORT, "hydra.run.dir=first")
    (weights,) = tmp_path.glob("store/streams/*/task_000.safetensors")
    before = weights.read_bytes()
    weights.write_bytes(before[:-4] + bytes(4))
    mended = run_py(*SHORT, "hydra.run.dir=second")
    assert mended.returncode == 0
    assert "task_000.safetensors" in mended.stdout and "done again" in mended.stdout
    assert "1 of 2 tasks reused" in mended.stdout
    assert weights.read_bytes() == before
