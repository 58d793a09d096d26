"""Settings that leave a task without images are found before anything is trained, and named."""

import pytest

from cl_bench.errors import UserError
from cl_bench.parts import build
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
