"""Words that a model does not know, classes that it cannot tell apart, words that data sets share: as users type it."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from cl_bench.datasets import digits
from tests.conftest import FEW_STEPS

pytestmark = pytest.mark.slow
COMMON = ("scenario=folder", "dataset.root=images", "backbone=tiny_clip", "scenario.tasks=2", "hydra.run.dir=run")


def write_digits(root, names, count):
    """`count` images of one digit in each class folder."""
    data = digits.load().train
    for label, name in enumerate(names):
        for number, row in enumerate(np.flatnonzero(data.labels == label)[:count]):
            path = root / name / f"{number:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(data.pixels[row]).save(path)


def read(tmp_path):
    return json.loads((tmp_path / "run" / "result.json").read_text())


def test_classes_whose_words_the_model_does_not_know_are_learned(run_py, tmp_path):
    write_digits(tmp_path / "images", ("dog", "horse", "guitar", "house"), 60)
    learning = ("lightning=cpu", "optim.epochs=4", "optim.batch_size=32", "optim.lr=4e-4", "optim.warmup_ratio=0.1")
    run = run_py(*COMMON, *learning)
    assert run.returncode == 0, run.stderr
    words = "dog, guitar, horse, house"
    assert run.stdout.count(f"images: tiny_clip was not trained on these words of the class names: {words};") == 1
    result = read(tmp_path)
    before, *_, after = result["finetuned"]["accuracy_after_task"]["task_agnostic"]
    assert before < 35 and after > before + 15  # of four classes
    assert result["accuracy"]["task_aware"] > result["accuracy_after_task"]["task_aware"][0] + 10
    assert result["left_out"] == {}


def test_letter_case_is_refused_before_training(run_py, tmp_path):
    write_digits(tmp_path / "images", ("A", "a", "B", "b"), 5)
    run = run_py(*COMMON, *FEW_STEPS)
    assert run.returncode == 2 and "Traceback" not in run.stderr
    assert "cannot tell these classes apart, since their rows are the same: 'A' and 'a'; 'B' and 'b'." in run.stderr
    assert "dataset.class_names={folder: name}" in run.stderr and not (tmp_path / "run" / "result.json").exists()


def test_a_number_that_a_tie_would_decide_is_left_out_everywhere(run_py, tmp_path):
    several = ("scenario=mini_eight", "task_order=[digits,textures,handwritten]", "hydra.run.dir=run")
    run = run_py(*several, "merger.scaling=[0.2,0.5]", "scenario.validation_share=0.2", *FEW_STEPS)
    assert run.returncode == 0, run.stderr
    result = read(tmp_path)
    assert "task-agnostic is left out: data sets share words" in run.stdout
    assert result["left_out"].keys() == {"task_agnostic"} and "'digit 9'" in result["left_out"]["task_agnostic"]
    for record in (result, result["finetuned"], *result["scalings"]):
        for number in ("accuracy", "accuracy_after_task", "metrics", "matrix"):
            assert record[number]["task_agnostic"] is None and record[number]["task_aware"] is not None
    shown = [one["accuracy_after_task"]["task_aware"][2] for one in result["scalings"]]
    assert f"2 of 3  λ 0.2: {shown[0]:5.2f}  λ 0.5: {shown[1]:5.2f}  textures" in run.stdout
    with (tmp_path / "run/log/metrics.csv").open() as file:
        logged = {name for name in next(csv.reader(file)) if name.startswith("test/")}
    assert logged == {"test/scaling_0.2/task_aware", "test/scaling_0.5/task_aware"}
    assert {path.name for path in (tmp_path / "run").glob("*.png")} == {"matrix_merged.png", "matrix_finetuned.png"}
