"""`dataset.shots=16`, as it is typed, for every kind of scenario and for a data set of one's own."""

import json

import numpy as np
import pytest

from cl_bench.datasets import digits
from cl_bench.experiment.parts import build
from cl_bench.experiment.scenario import make_scenario
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.memo import Memo
from tests.helpers.releases import write_dtd

QUICK = ("optim.epochs=1", "lightning=cpu")


def result_of(folder):
    (path,) = folder.glob("outputs/*/*/result.json")
    return json.loads(path.read_text())


def trained_on(scenario):
    return [np.bincount(task.samples.labels.numpy()) for task in scenario.train_stream]


def test_a_run_says_what_was_drawn(run_py, tmp_path):
    said = run_py("scenario=digits_5", "scenario.tasks=2", "dataset.shots=16", "+dataset.test=90", *QUICK)
    assert said.returncode == 0, said.stderr
    assert "digits (class-incremental, 2 tasks, 16 shots)" in said.stdout
    result = result_of(tmp_path)
    assert [task["training_images"] for task in result["tasks"]] == [80, 80]
    everything = len(digits.load(test=90).train)
    assert result["datasets"][0]["shots"] == {"per_class": 16, "seed": 0, "drawn_from": everything}
    assert result["config"]["dataset"]["shots"] == 16


def test_every_data_set_of_several(run_py, tmp_path):
    said = run_py("scenario=mini_eight", "task_order=[digits,handwritten,games]", "dataset.shots=3", *QUICK)
    assert said.returncode == 0, said.stderr
    result = result_of(tmp_path)
    assert [data["shots"]["per_class"] for data in result["datasets"]] == [3, 3, 3]
    classes = [len(data["class_names"]) for data in result["datasets"]]
    assert [task["training_images"] for task in result["tasks"]] == [3 * count for count in classes]


@pytest.mark.parametrize(
    ("scenario", "images"),
    [("class_incremental", 60), ("data_incremental", 60), ("glyphs_domains", 26 * 6)],
)
def test_any_kind_of_scenario(configure, scenario, images):
    made = make_scenario(configure(f"scenario={scenario}", "dataset.shots=6"))
    assert sum(map(np.sum, trained_on(made))) == images
    assert len(made.datasets[0].test) == len(make_scenario(configure(f"scenario={scenario}")).datasets[0].test)


def test_one_of_several_can_say_otherwise(configure):
    some = ("scenario=mini_eight", "task_order=[digits,greek,games]")
    made = make_scenario(
        configure(*some, "dataset.shots=2", "++scenario.datasets.greek.shots=5", "++scenario.datasets.games.shots=null")
    )
    whole = make_scenario(configure(*some))
    counts = [{*counts.tolist()} - {0} for counts in trained_on(made)]
    assert counts[:2] == [{2}, {5}] and len(made.train_stream[2].samples) == len(whole.train_stream[2].samples)


def test_the_draw_has_a_seed_of_its_own_and_the_fingerprint_follows_the_images(configure):
    made = {
        settings: build(configure("scenario.tasks=2", *settings)).training["scenario"]
        for settings in [
            (),
            ("dataset.shots=8",),
            ("dataset.shots=8", "seed=7"),
            ("dataset.shots=8", "dataset.shots_seed=1"),
            ("dataset.shots_seed=1",),
        ]
    }
    whole, eight, other_run, other_draw, unused = made.values()
    assert eight == other_run and whole == unused
    assert len({str(identity) for identity in (whole, eight, other_draw)}) == 3


def test_a_sweep_reads_the_data_set_once_and_draws_the_same(configure):
    memo, read = Memo(), []

    class Counting(Memo):
        def __call__(self, key, make):
            return memo(key, lambda: read.append(key[0]) or make())

    configs = [configure("scenario.tasks=2", f"dataset.shots={shots}") for shots in (4, 8, 4)]
    swept = [make_scenario(config, Counting()) for config in configs]
    assert read == ["dataset", "shots", "shots"]
    alone = [make_scenario(config) for config in configs]
    assert [s.identity() for s in swept] == [s.identity() for s in alone]


def test_a_class_that_has_fewer_is_named(configure, caplog):
    build(configure("scenario.tasks=2", "+dataset.train=300", "dataset.shots=31"))
    (line,) = [record.getMessage() for record in caplog.records if "fewer than 31" in record.getMessage()]
    assert line.startswith("digits: ") and "keep all of them: digit " in line


def test_missing_images_are_told_of_the_whole_data_set_and_not_of_the_draw(configure, tmp_path, caplog):
    write_dtd(tmp_path)
    config = configure(
        "scenario=class_incremental",
        "dataset=dtd",
        f"paths.data_dir={tmp_path}",
        "dataset.shots=1",
        "paths.prepared_dir=p",
    )
    data = build({**config, "paths": {**config["paths"], "prepared_dir": str(tmp_path / "p")}}).scenario.datasets[0]
    assert len(data.train) == 47
    assert "train: 94 images instead of 3,760" in caplog.text and "47 images instead of 3,760" not in caplog.text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("dataset.shots=0",), r"dataset\.shots=0 does not fit"),
        (("dataset.shots=true",), r"dataset\.shots=True does not fit"),
        (("dataset.shots=few",), r"dataset\.shots='few' does not fit"),
        (("dataset.shots=4", "dataset.shots_seed=-1"), r"dataset\.shots_seed=-1 does not fit"),
        (("scenario=mini_eight", "dataset.shots=1.5"), r"dataset\.shots=1\.5 does not fit"),
        (("scenario=mini_eight", "++scenario.datasets.digits.shots=0"), r"scenario\.datasets\.digits\.shots=0 does"),
        (("scenario.dataset=3",), r"scenario\.dataset=3 does not fit"),
        (("scenario=mini_eight", "scenario.datasets.digits=3"), r"scenario\.datasets\.digits=3 does not fit"),
        (("scenario=avalanche", "dataset.shots=4"), r"dataset\.shots=4 means nothing to this scenario"),
    ],
)
def test_what_does_not_fit_is_refused(configure, overrides, message):
    with pytest.raises(UserError, match=message):
        make_scenario(configure(*overrides))


MINE = """
import numpy as np

from cl_bench.images.images import ImageDataset, Images


def load(number: int = 20) -> ImageDataset:
    labels = np.repeat(np.arange(4), number)
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8)
    names = ("red", "green", "blue", "gray")
    return ImageDataset("mine", names, ("a {} picture",), Images(pixels, labels), Images(pixels[::5] // 2, labels[::5]))
"""


def test_a_function_of_ones_own_has_it_too(run_py, tmp_path):
    (tmp_path / "my_data.py").write_text(MINE)
    (tmp_path / "conf/dataset").mkdir(parents=True)
    (tmp_path / "conf/dataset/mine.yaml").write_text("_target_: my_data.load\nnumber: 12\n")
    own = ("--config-dir", "conf", "dataset=mine", "scenario.tasks=2", "dataset.shots=5", *QUICK)
    said = run_py(*own)
    assert said.returncode == 0, said.stderr
    result = result_of(tmp_path)
    assert [task["training_images"] for task in result["tasks"]] == [10, 10]
    assert result["datasets"][0]["shots"] == {"per_class": 5, "seed": 0, "drawn_from": 48}
