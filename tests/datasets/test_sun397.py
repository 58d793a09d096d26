import numpy as np
import pytest

from cl_bench.datasets.sun397 import load
from tests.helpers.releases import SCENES, has_color_of, refusal, write_lines, write_sun397


def test_the_first_split_is_read(tmp_path):
    write_sun397(tmp_path)
    data = load(tmp_path)
    assert data.class_names[:4] == ("abbey", "apse indoor", "bazaar outdoor", "thing 000") and data.split == "official"
    assert (data.train.labels == np.arange(397).repeat(2)).all() and (data.test.labels == np.arange(397)).all()
    assert data.train.pixels.names[2] == "a/apse/indoor/sun_aaaaaaaaaaaaaaaa.jpg"
    assert has_color_of(data.train.pixels[3], "sun_bbbbbbbbbbbbbbbb.jpg")
    assert has_color_of(data.test.pixels[0], "sun_cccccccccccccccc.jpg")


def test_class_ids_are_positions_in_the_sorted_paths(tmp_path):
    write_sun397(tmp_path, images=False)
    write_lines(tmp_path / "SUN397/ClassName.txt", SCENES[::-1])
    assert load(tmp_path).class_names[:2] == ("abbey", "apse indoor")


@pytest.mark.parametrize("file", ["ClassName.txt", "Training_01.txt", "Testing_01.txt"])
def test_a_missing_list_is_told_with_the_remedy(tmp_path, file):
    write_sun397(tmp_path, images=False)
    path = tmp_path / "SUN397" / file
    path.unlink()
    message = refusal(load, tmp_path)
    assert f"SUN397: {path} is missing.\nGet it with: python -m cl_bench.datasets download sun397 " in message


@pytest.mark.parametrize("file", ["ClassName.txt", "Training_01.txt", "Testing_01.txt"])
def test_a_damaged_list_is_told(tmp_path, file):
    write_sun397(tmp_path, images=False)
    path = tmp_path / "SUN397" / file
    for content in (b"", b"/a/abbey/sun_aaaaaaaaaaaaaaaa.jpg\n/a/ab", b"/z/zoo/sun_a.jpg", b"\xff\x00"):
        path.write_bytes(content)
        message = refusal(load, tmp_path)
        assert f"SUN397: {path} " in message
        assert any(problem in message for problem in ("is damaged", "is empty", "classes instead of 397"))
