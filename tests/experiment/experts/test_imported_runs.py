"""Runs whose tasks' weights are read from files: `trainer=imported` and `trainer=finished`, as a user types them."""

import json
import shutil

import pytest
from safetensors.torch import save_file

from tests.conftest import FEW_STEPS
from tests.helpers import experts
from tests.helpers.experts import SCENARIO, THREE

IMPORTED = (*SCENARIO, "trainer=imported", "trainer.weights=experts/%s")


def result(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.fixture
def imported(run_py, tmp_path):
    """Runs with experts of three tasks, and returns the result and what was printed."""
    experts.write(tmp_path / "experts", *THREE)

    def imported(name, *overrides):
        done = run_py(*IMPORTED, f"hydra.run.dir={name}", *overrides)
        assert done.returncode == 0, done.stderr
        return result(tmp_path / name), done.stdout + done.stderr

    return imported


def test_what_was_trained_and_is_read_again_has_the_same_numbers(run_py, tmp_path):
    assert run_py(*SCENARIO, *FEW_STEPS, "trainer=independent", "merger=opcm", "hydra.run.dir=trained").returncode == 0
    trained = result(tmp_path / "trained")
    for number, task in enumerate(trained["tasks"]):
        stored = tmp_path / "store" / "streams" / trained["fingerprint"] / f"task_{number:03d}.safetensors"
        (tmp_path / "experts").mkdir(exist_ok=True)
        shutil.copy(stored, tmp_path / "experts" / f"{task['name']}.safetensors")
    weights = "trainer.weights=experts/%s.safetensors"
    done = run_py(*SCENARIO, "trainer=imported", weights, "merger=opcm", "hydra.run.dir=read")
    assert done.returncode == 0, done.stderr
    read = result(tmp_path / "read")
    for key in ("accuracy", "accuracy_after_task", "metrics", "matrix", "headline", "left_out", "tasks", "datasets"):
        assert read[key] == trained[key]
    for kind, matrix in trained["finetuned"]["matrix"].items():
        own = [
            [value if row == task else None for task, value in enumerate(values)]
            for row, values in enumerate(matrix[1:])
        ]
        assert read["finetuned"]["matrix"][kind] == [matrix[0], *own]
        assert [expert["accuracy"][kind] for expert in read["experts"]] == [values[i] for i, values in enumerate(own)]
    assert [one["relative_change"] for one in read["experts"]] == [
        one["relative_change"] for one in trained["training"]
    ]
    assert trained["experts"] is None and trained["notes"] == []


def test_nothing_is_copied_and_seed_optimization_order_and_merger_share_what_was_measured(imported, tmp_path):
    first, _ = imported("first", "merger=ties", "evaluation.batch_size=64")
    streams = tmp_path / "store" / "streams"
    assert not list(streams.rglob("*.safetensors"))
    manifest = json.loads((streams / first["fingerprint"] / "manifest.json").read_text())
    files = [task["reference"]["files"][0] for task in manifest["tasks"].values()]
    assert [file["path"] for file in files] == [
        str(tmp_path / "experts" / name / "model.safetensors") for name in THREE
    ]
    assert [[file["sha256"]] for file in files] == [expert["sha256"] for expert in first["experts"]]
    measured = sorted((tmp_path / "store" / "experts").glob("*.json"))
    times = [path.stat().st_mtime_ns for path in measured]
    assert len(measured) == 6  # each was held against θ₀, and evaluated

    again, _ = imported("again", "merger=average", "seed=9", "optim.lr=1", "optim.epochs=3")
    assert again["fingerprint"] == first["fingerprint"]
    other, _ = imported("other", "merger=magmax", "task_order=[greek,digits,textures]")
    assert other["fingerprint"] != first["fingerprint"]
    assert sorted((tmp_path / "store" / "experts").glob("*.json")) == measured
    assert [path.stat().st_mtime_ns for path in measured] == times
    by_task = {expert["task"]: expert["accuracy"] for expert in first["experts"]}
    assert {expert["task"]: expert["accuracy"] for expert in other["experts"]} == by_task


def test_analyses_and_a_grid_of_scalings_work_as_for_trained_tasks(imported, command, tmp_path):
    found, _ = imported("run", "merger=task_arithmetic", "merger.scaling=[0.3,1]", "scenario.validation_share=0.5")
    assert [one["scaling"] for one in found["scalings"]] == [0.3, 1]
    assert any("Validation images are training images" in note for note in found["notes"])
    done = command("-m", "cl_bench.analyses", "run", "--only", "cosine_similarity", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "experts" / "greek" / "model.safetensors").unlink()
    done = command("-m", "cl_bench.analyses", "run", "--only", "pruning", cwd=tmp_path)
    assert done.returncode == 2 and "greek" in done.stderr


def test_a_finished_model_is_evaluated_beside_the_pretrained_one(run_py, tmp_path):
    save_file(experts.moved(1), tmp_path / "merged.safetensors")
    finished = (*SCENARIO, "trainer=finished", "hydra.run.dir=run")
    done = run_py(*finished, "trainer.weights=merged.safetensors")
    assert done.returncode == 0, done.stderr
    found = result(tmp_path / "run")
    assert [len(rows) for rows in found["matrix"].values() if rows] and found["finetuned"] is None
    assert all(len(rows) == 2 and rows[0] != rows[1] for rows in found["matrix"].values() if rows)
    assert found["experts"][0]["source"] == "merged.safetensors" and found["experts"][0]["accuracy"] is None
    for wrong, text in (
        (("trainer.weights=merged.safetensors", "merger=ties"), "merger=ties"),
        ((), "trainer.weights is missing"),
        (("trainer.weights=gone.safetensors",), "The finished model is missing:\n  gone.safetensors\n"),
    ):
        done = run_py(*finished, *wrong)
        assert done.returncode == 2 and text in done.stderr and "%s" not in done.stderr


def test_a_run_that_is_killed_while_it_evaluates_goes_on(begin_run_py, run_py, imported, tmp_path):
    whole, _ = imported("whole", "merger=ties", f"paths.store_dir={tmp_path}/other")
    begun = begin_run_py(*IMPORTED, "merger=ties", "hydra.run.dir=run")
    begun.kill_when(lambda printed: "2 of 3" in printed)
    done = run_py(*IMPORTED, "merger=ties", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    found = result(tmp_path / "run")
    assert found["matrix"] == whole["matrix"] and found["finetuned"] == whole["finetuned"]
    assert [one["reused"] for one in found["training"]][:2] == [True, True]


def test_tasks_of_classes_have_a_list(run_py, tmp_path):
    experts.write(tmp_path / "experts", "a", "b")
    tasks = ("scenario.tasks=2", "trainer=imported", "merger=ties", "lightning=cpu", "hydra.run.dir=run")
    done = run_py(*tasks, "trainer.weights=[experts/a,experts/b/model.safetensors]")
    assert done.returncode == 0, done.stderr
    found = result(tmp_path / "run")
    assert [expert["source"] for expert in found["experts"]] == ["experts/a", "experts/b/model.safetensors"]
    assert found["notes"] == [
        "It is not known on which images the weights of all tasks were trained: test images may be among them."
    ]
    assert f"note: {found['notes'][0]}" in done.stdout
    for wrong, text in (
        ("trainer.weights=[experts/a]", "lists 1 places, but the scenario has 2 tasks"),
        ("trainer.weights=experts/%s", "a list with a place for each task in order of arrival"),
        ("trainer.weights=5", "trainer.weights=5 does not fit"),
    ):
        done = run_py(*tasks, wrong)
        assert done.returncode == 2 and text in done.stderr and "Traceback" not in done.stderr
