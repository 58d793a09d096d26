"""Settings that leave a task without images are found before anything is trained, and named."""

import numpy as np
import pytest

from cl_bench.experiment.parts import build
from cl_bench.images.images import ImageDataset, Images
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import images_needed
from cl_bench.scenarios.class_incremental import ClassIncremental
from tests.conftest import SHORT

GRID = "merger.scaling=[0.2,0.6]"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["scenario.validation_share=0.999"],
            r"^Task 1 \(digit 0, .* no training image; scenario.validation_share sets",
        ),
        (
            ["scenario.validation_share=0.001", GRID],
            r"^Task 1 .* no validation image; scenario.validation_share of the",
        ),
        (["scenario.validation_share=0.001", "evaluation.split=validation"], "no validation image"),
        (["scenario=glyphs_domains", "scenario.validation_share=0.99"], r"^Task 1 \(script\) has no training image"),
        (
            ["scenario=mini_eight", "scenario.validation_share=0.02", GRID],
            r"^Task 2 \(capitals\) has no validation image",
        ),
        (["+dataset.train=10", "scenario.validation_share=0.6"], "no training image"),
        (
            ["scenario=data_incremental", "+dataset.train=15", "scenario.validation_share=0.6"],
            "images for 10 classes, .*lower",
        ),
    ],
)
def test_what_leaves_nothing_to_do_is_refused(configure, overrides, message):
    with pytest.raises(UserError, match=message):
        build(configure(*SHORT, *overrides) if "scenario=" not in overrides[0] else configure(*overrides))


def test_what_is_not_needed_may_be_missing(configure):
    build(configure(*SHORT, "scenario.validation_share=0.001"))  # no λ is chosen
    build(configure(*SHORT, "trainer=zero_shot", "scenario.validation_share=0.999"))


def test_a_share_that_leaves_a_class_nothing_to_learn_from_is_refused_with_its_name():
    labels = np.array([0, *[1] * 20], dtype=np.int64)
    images = Images(np.zeros((len(labels), 4, 4, 3), dtype=np.uint8), labels)
    data = ImageDataset("pets", ("axolotl", "cat"), ("a {}",), images, images)
    for share, is_lost in ((0.4, False), (0.6, True)):
        scenario = ClassIncremental(data, tasks=1, validation_share=share)
        images_needed.check(scenario, [], chooses=False)  # nothing is trained
        if is_lost:
            with pytest.raises(UserError, match="validation_share sets aside all training images of axolotl: lower it"):
                images_needed.check(scenario, scenario.train_stream, chooses=False)
        else:
            images_needed.check(scenario, scenario.train_stream, chooses=False)


@pytest.mark.parametrize("scenario", ["digits_5", "glyphs_domains"])
def test_a_seed_of_the_order_below_zero_is_refused(configure, scenario):
    with pytest.raises(UserError, match=r"^task_order=-1: a seed is 0 or more"):
        build(configure(f"scenario={scenario}", "task_order=-1"))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["scenario.tasks=10"], "10 of 10 tasks have a single class (digit 0, digit 1,"),
        (["scenario.tasks=9"], "8 of 9 tasks have a single class"),
        (["scenario=glyphs_domains"], None),
        (["scenario.tasks=5"], None),
        (["scenario.tasks=10", "trainer=joint"], None),
    ],
)
def test_tasks_of_one_class_are_warned_of(configure, caplog, overrides, told):
    build(configure(*overrides, "lightning=cpu"))
    assert told in caplog.text if told else "single class" not in caplog.text
