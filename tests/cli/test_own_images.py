"""One's own folders on the real command line, from the files and from the cache; data that is missing or damaged."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from cl_bench.datasets import digits
from cl_bench.experiment.parts import build
from cl_bench.runtime.errors import UserError
from tests.conftest import FEW_STEPS

pytestmark = pytest.mark.slow
COMMON = ("backbone=tiny_clip", "hydra.run.dir=run", "scenario.tasks=2", *FEW_STEPS)


def write_digits(root, count=120, domains=("",)):
    """Real digits as PNG files, `root/<domain>/<class>/<number>.png`."""
    data = digits.load().train
    for i in range(count):
        for domain in domains:
            path = root / domain / f"digit_{data.labels[i]}" / f"{i:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(data.pixels[i])
            (image.rotate(90) if domain == "lying" else image).save(path)


def test_a_folder_is_trained_on_from_the_cache_and_from_the_files(run_py, tmp_path):
    write_digits(tmp_path / "images")
    results = []
    for resampling in ("batched", "pillow", "batched"):
        run = run_py("scenario=folder", "dataset.root=images", f"backbone.resampling={resampling}", *COMMON)
        assert run.returncode == 0, run.stderr
        assert ("120 images prepared" in run.stdout) == (not results)
        results.append(json.loads((tmp_path / "run" / "result.json").read_text()))
    fast, published, again = results
    assert fast["fingerprint"] == again["fingerprint"] != published["fingerprint"]
    assert 20 <= sum(task["images"] for task in fast["tasks"]) <= 28  # a fifth of each class is held out
    assert len(fast["datasets"][0]["split"]) == 64 and fast["datasets"][0]["split"] == published["datasets"][0]["split"]
    assert fast["matrix"]["task_agnostic"][0] == published["matrix"]["task_agnostic"][0]
    assert "2 of 2 tasks reused" in run.stdout


def write_bitmaps(root, shift):
    """Digits as files of one size, written at one time; the labels are right with a `shift` of 0 only."""
    data = digits.load().train
    for label in range(4):
        for number, row in enumerate(np.flatnonzero(data.labels == (label + shift) % 4)[:20]):
            path = root / f"digit_{label}" / f"{number:03d}.bmp"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(data.pixels[row]).save(path)
            os.utime(path, ns=(10**18, 10**18))


def test_images_whose_content_alone_has_changed_are_trained_anew_and_that_is_said(run_py, tmp_path):
    ways = "backbone.resampling=batched,pillow"
    sweep = ("-m", "scenario=folder", "dataset.root=images", ways, "hydra.sweep.dir=swept",
             "hydra.sweep.subdir=${backbone.resampling}", *COMMON)  # fmt: skip
    records, said = [], []
    for shift in (1, 0, 0):
        write_bitmaps(tmp_path / "images", shift)
        run = run_py(*sweep)
        assert run.returncode == 0, run.stderr
        paths = [tmp_path / "swept" / way / "result.json" for way in ("batched", "pillow")]
        records.append([json.loads(path.read_text()) for path in paths])
        said.append(run.stdout)
    for way, (wrong, right, again) in zip(("batched", "pillow"), zip(*records, strict=True), strict=True):
        assert wrong["fingerprint"] != right["fingerprint"]
        assert wrong["datasets"][0]["sha256"] != right["datasets"][0]["sha256"]
        assert not any(task["reused"] for task in right["training"])
        assert again == right
        assert f"done anew, since images have changed: swept/{way}\n" in said[1]
        assert f"skipped, its result is there: swept/{way}\n" in said[2]
    assert [text.count("80 images prepared") for text in said] == [1, 1, 0]
    assert [text.count("done anew") for text in said] == [0, 2, 0]


def test_domains_in_folders_come_one_after_another(run_py, tmp_path):
    write_digits(tmp_path / "images", domains=("upright", "lying"))
    arguments = ("scenario=folder_domains", "dataset.root=images", "task_order=[upright,lying]", *COMMON)
    run = run_py(*(argument for argument in arguments if argument != "scenario.tasks=2"))
    assert run.returncode == 0, run.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert [task["name"] for task in result["tasks"]] == ["upright", "lying"]
    assert sum(task["images"] for task in result["tasks"]) == 48


def test_a_damaged_image_is_one_message_and_nothing_half_written_stays(run_py, tmp_path):
    write_digits(tmp_path / "images")
    path = sorted((tmp_path / "images" / "digit_3").iterdir())[0]
    path.write_bytes(path.read_bytes()[:100])
    run = run_py("scenario=folder", "dataset.root=images", *COMMON)
    assert run.returncode == 2 and "Traceback" not in run.stderr
    assert str(path.relative_to(tmp_path)) in run.stderr and "damaged" in run.stderr
    left = [path for path in (tmp_path / "data" / "prepared").iterdir() if path.suffix != ".lock"]
    assert not [path for path in left if path.name != "file_hashes"]  # these are of the files, and right


def test_a_damaged_image_that_a_worker_reads_is_one_message(run_py, tmp_path):
    write_digits(tmp_path / "images")
    path = sorted((tmp_path / "images" / "digit_3").iterdir())[0]
    path.write_bytes(path.read_bytes()[:100])
    pillow = ("backbone.resampling=pillow", "lightning.workers=1")
    run = run_py("scenario=folder", "dataset.root=images", *pillow, *COMMON)
    assert run.returncode == 2 and "Traceback" not in run.stderr
    assert f"Error: {path.relative_to(tmp_path)} is missing or damaged" in run.stderr


def test_folders_called_by_numbers_get_the_names_that_are_given(run_py, tmp_path):
    write_digits(tmp_path / "images")
    for path in (tmp_path / "images").iterdir():
        path.rename(path.with_name(path.name.removeprefix("digit_")))
    names = "dataset.class_names={0: zero, 1: one}"
    run = run_py("scenario=folder", "dataset.root=images", names, "scenario.tasks=5", *COMMON[:2], *FEW_STEPS)
    assert run.returncode == 0, run.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["tasks"][0]["name"] == "zero, one" and result["tasks"][1]["name"] == "2, 3"
    assert result["config"]["dataset"]["class_names"] == {"0": "zero", "1": "one"}


def test_a_folder_whose_name_is_no_text_is_refused_before_training_or_named(configure, tmp_path):
    write_digits(tmp_path / "images")
    (tmp_path / "images/digit_0").rename(os.fsdecode(os.fsencode(tmp_path) + b"/images/caf\xe9"))
    folder = ("scenario=folder", f"dataset.root={tmp_path / 'images'}", *COMMON)
    with pytest.raises(UserError, match=r"the class 'caf\\udce9' is no text .* 'dataset.class_names="):
        build(configure(*folder))
    parts = build(configure(*folder, f"dataset.class_names={[chr(97 + i) for i in range(10)]}"))
    assert len(parts.experiences[0].samples)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("merger.scaling", float("nan"), "merger.scaling is nan"),
        ("optim.optimizer.betas", [0.9, float("inf")], r"optim.optimizer.betas\[1\] is inf"),
        ("dataset.name", "caf\udce9", r"dataset.name is 'caf\\udce9'"),
        ("scenario.options", {0: 1}, "scenario.options has the key 0"),
        ("method", b"bytes", "method is a bytes"),
    ],
)
def test_settings_that_a_record_could_not_hold_are_refused(configure, setting, value, message):
    config = configure(*FEW_STEPS)
    *path, last = setting.split(".")
    node = config
    for key in path:
        node = node[key]
    node[last] = value
    with pytest.raises(UserError, match=f"^{message}.*; change this setting"):
        build(config)


@pytest.mark.parametrize("scenario", ["cub200_10", "domainnet", "eight_datasets"])
def test_missing_data_names_the_command_that_fetches_it(configure, scenario):
    name = {"cub200_10": "cub200", "eight_datasets": "cars"}.get(scenario, scenario)
    with pytest.raises(UserError, match=f"python -m cl_bench.datasets download {name} --data-dir data"):
        build(configure(f"scenario={scenario}", "backbone=tiny_clip"))


def test_missing_data_is_one_message(run_py):
    run = run_py("scenario=imagenet_r_domains", "paths.data_dir=nowhere", "hydra.run.dir=run")
    assert run.returncode == 2 and "Traceback" not in run.stderr
    assert "python -m cl_bench.datasets download imagenet_r --data-dir nowhere" in run.stderr
