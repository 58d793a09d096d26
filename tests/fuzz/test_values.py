"""Values are told apart as the constructors would tell them apart, whatever those are."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from pydantic import Field

from tests.fuzz.draws import draw
from tests.fuzz.values import told_apart, typed


@pytest.mark.parametrize(
    ("annotation", "fits", "does_not"),
    [
        (Annotated[int, Field(ge=1)], 3, 0),
        (Annotated[float, Field(ge=0, lt=1)] | None, None, 1.5),
        (Literal["one", "other"], "other", "word"),
        (Path, "word", 3),
    ],
)
def test_values_are_told_apart_by_the_type(annotation, fits, does_not):
    taken, refused = told_apart("name", annotation)
    assert fits in taken and does_not in refused


@pytest.mark.parametrize("value", [None, True, 0.5, "two words", [1, "word"], {"word": 1}, 1e-9])
def test_what_is_typed_is_read_as_it_was_meant(value):
    override = OverridesParser.create().parse_override(f"name={typed(value)}")
    assert yaml.safe_load(yaml.safe_dump(override.value())) == value


def test_a_number_makes_the_same_draw_again_and_many_are_right():
    draws = [draw(number) for number in range(10)]
    assert draws == [draw(number) for number in range(10)]
    assert sum(not made.refused for made in draws) >= 4
