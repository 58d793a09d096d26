"""`cl-bench export` as a user types it: the embedded data's experts, written, and imported again."""

import json
import shutil
from functools import partial

import pytest
import torch
from transformers import CLIPVisionModelWithProjection

from cl_bench.backbones import TinyClip
from cl_bench.export.models import folders
from cl_bench.store.models import read_model
from tests.conftest import FEW_STEPS, SHORT

pytestmark = pytest.mark.slow

NUMBERS = ("accuracy", "accuracy_after_task", "metrics", "matrix", "headline", "left_out", "tasks", "datasets")


def result(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.fixture
def export(command, tmp_path):
    """Types the command in the test's folder."""
    return partial(command, "-m", "cl_bench.export", cwd=tmp_path)


def test_exported_experts_give_the_numbers_of_the_trained_ones_bit_for_bit(run_py, export, tmp_path):
    mini = ("scenario=mini_eight", "lightning=cpu", "merger=ties", "evaluation=final")
    run = (*mini, *FEW_STEPS, "trainer=independent", "save_merged=true", "hydra.run.dir=my run")
    assert run_py(*run).returncode == 0
    trained = result(tmp_path / "my run")
    done = export("my run", "experts of mine")
    assert done.returncode == 0, done.stderr
    names = [task["name"] for task in trained["tasks"]]
    assert sorted(path.name for path in (tmp_path / "experts of mine").iterdir()) == sorted([*names, "merged"])

    weights = "trainer.weights='experts of mine/%s'"
    done = run_py(*mini, "trainer=imported", weights, "save_merged=true", "hydra.run.dir=read")
    assert done.returncode == 0, done.stderr
    read = result(tmp_path / "read")
    # With evaluation=final, only the last task's own weights are evaluated, but every expert is, on its own task.
    shares = [one["metrics"]["task_aware"].pop("normalized_accuracy") for one in (trained, read)]
    assert shares[0] is None and 0 < shares[1] < 200
    for key in NUMBERS:
        assert read[key] == trained[key], key
    assert read["notes"] == [] and len(read["experts"]) == 8
    assert [one["relative_change"] for one in read["training"]] == [
        one["relative_change"] for one in trained["training"]
    ]
    assert read["merged_model"] == {**trained["merged_model"], "sha256": read["merged_model"]["sha256"]}
    merged, again = (read_model(tmp_path / run / "merged.safetensors") for run in ("my run", "read"))
    assert all(torch.equal(merged[name], again[name]) for name in merged) and merged.keys() == again.keys()

    encoder = TinyClip().encoder
    encoder.load_state_dict(merged)
    images = torch.randn(4, 3, 32, 32, generator=torch.manual_seed(1))
    model = CLIPVisionModelWithProjection.from_pretrained(tmp_path / "experts of mine" / "merged")
    with torch.no_grad():
        torch.testing.assert_close(model(pixel_values=images).image_embeds, encoder(images), rtol=1e-5, atol=1e-5)

    # Of a run of imported experts, the merged model alone is exported.
    done = export("read/result.json", "merged again")
    assert done.returncode == 0 and done.stdout == "merged again/merged: the merged model\n"
    facts = json.loads((tmp_path / "merged again/merged/cl_bench.json").read_text())
    assert facts["our_split"] is True and facts["merger"]["_target_"].endswith("Ties")


def test_a_card_says_where_the_rows_of_the_head_came_from(run_py, export, tmp_path):
    for head, says in (("zero_shot", "text encoder is that of the pre-trained"), ("prototypes", "not in this folder")):
        assert run_py(*SHORT, f"head={head}", f"hydra.run.dir={head}").returncode == 0
        assert export(head, f"out {head}").returncode == 0
        folder = tmp_path / f"out {head}" / "task_01"
        card, facts = ((folder / name).read_text(encoding="utf-8") for name in ("README.md", "cl_bench.json"))
        assert says in card and f"| head | {head} |" in card
        assert json.loads(facts)["head"]["_target_"].lower().endswith(head.replace("_", ""))


def test_folders_that_are_there_are_replaced_only_where_that_is_asked_for_and_theirs(run_py, export, tmp_path):
    assert run_py(*SHORT, "hydra.run.dir=run").returncode == 0
    assert export("run", "out").returncode == 0
    weights = tmp_path / "out/task_01/model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(b"")
    (tmp_path / "out/task_02/mine.txt").touch()
    refused = export("run", "out")
    assert refused.returncode == 2 and "out/task_01, out/task_02. Add --overwrite" in refused.stderr
    assert weights.read_bytes() == b""
    assert export("run", "out", "--overwrite").returncode == 0
    assert weights.read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["task_01", "task_02"]
    assert not (tmp_path / "out/task_02/mine.txt").exists()

    (tmp_path / "out/task_01/cl_bench.json").unlink()
    shutil.move(tmp_path / "out/task_02", tmp_path / "elsewhere")
    (tmp_path / "out/task_02").symlink_to(tmp_path / "elsewhere")
    refused = export("run", "out", "--overwrite")
    assert refused.returncode == 2 and "out/task_01, out/task_02: no export of this command" in refused.stderr
    assert weights.exists() and (tmp_path / "elsewhere/model.safetensors").exists()

    (tmp_path / "run/merged.safetensors").write_bytes(b"of somebody else")
    record = result(tmp_path / "run")
    record["merged_model"] = {"file": "merged.safetensors", "sha256": "0" * 64}
    (tmp_path / "run/result.json").write_text(json.dumps(record))
    refused = export("run", "other")
    assert refused.returncode == 2 and "merged.safetensors is missing, or has another SHA-256" in refused.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("trainer", ["head_only", "tangent"])
def test_what_is_no_image_tower_is_refused(run_py, export, tmp_path, trainer):
    asked = run_py(*SHORT, f"trainer={trainer}", "save_merged=true")
    assert asked.returncode == 2 and f"save_merged=true: trainer={trainer} " in asked.stderr
    assert run_py(*SHORT, f"trainer={trainer}", "hydra.run.dir=run").returncode == 0
    refused = export("run", "out")
    assert refused.returncode == 2 and f"run/result.json: trainer={trainer} " in refused.stderr
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_not_there_is_named(export):
    refused = export("no run", "out")
    assert refused.returncode == 2 and "There is no " in refused.stderr and "no run" in refused.stderr


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (["dtd", "sun397"], ["dtd", "sun397"]),
        (["cat, dog", "cow"], ["task_01", "task_02"]),
        (["dtd", "../dtd"], ["task_01", "task_02"]),
        (["dtd", ".hidden"], ["task_01", "task_02"]),
        (["dtd", "DTD"], ["task_01", "task_02"]),
        (["merged", "dtd"], ["task_01", "task_02"]),
        (["dtd", "dtd"], ["task_01", "task_02"]),
        (["größe"], ["task_01"]),
    ],
)
def test_tasks_have_their_names_as_folders_where_that_is_possible(tasks, expected):
    assert folders(tasks) == expected
