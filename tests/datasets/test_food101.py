import json

import pytest

from cl_bench.datasets.food101 import CLASS_NAMES, load
from tests.helpers.releases import has_color_of, refusal
from tests.helpers.releases_of_twenty import write_food101


def test_dishes_are_numbered_by_name(tmp_path):
    write_food101(tmp_path)
    data = load(tmp_path)
    assert (CLASS_NAMES[0], CLASS_NAMES[76], CLASS_NAMES[100]) == ("apple pie", "pizza", "waffles")
    assert (len(data.train), len(data.test), data.split) == (202, 101, "official")
    assert data.train.pixels.names[:2] == ("waffles/1005649.jpg", "waffles/7.jpg") and data.train.labels[0] == 100
    assert has_color_of(data.test.pixels[100], "12.jpg")


def rewrite(path, change):
    listed = json.loads(path.read_text())
    change(listed)
    path.write_text(json.dumps(listed))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda listed: listed.pop("pizza"), "it does not list the 101 dishes"),
        (lambda listed: listed["pizza"].append("steak/1"), "'steak/1' is no image of its dish"),
        (lambda listed: listed.update(pizza=None), "not iterable"),
        (lambda listed: listed.update(pizza=[3]), "no attribute"),
    ],
)
def test_a_damaged_list_is_told(tmp_path, change, problem):
    write_food101(tmp_path)
    path = tmp_path / "food-101/meta/test.json"
    rewrite(path, change)
    message = refusal(load, tmp_path)
    assert f"Food-101: {path} is damaged" in message and problem in message


@pytest.mark.parametrize("content", ["", "[]", "3", '{"pizza"', "\x00"])
def test_no_list_at_all_is_told(tmp_path, content):
    write_food101(tmp_path)
    path = tmp_path / "food-101/meta/train.json"
    path.write_text(content)
    assert f"Food-101: {path} is damaged" in refusal(load, tmp_path)
