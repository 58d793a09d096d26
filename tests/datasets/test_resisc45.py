import shutil

import numpy as np
import pytest

from cl_bench.datasets.resisc45 import load
from tests.helpers.releases import AERIAL, has_color_of, refusal, write_resisc45


def test_the_published_lists_are_read_without_that_for_validation(tmp_path):
    write_resisc45(tmp_path)
    data = load(tmp_path)
    assert data.class_names[2] == "baseball diamond" and data.split == "official"
    assert data.class_names == tuple(name.replace("_", " ") for name in AERIAL)
    assert (data.train.labels == np.arange(45).repeat(2)).all() and (data.test.labels == np.arange(45)).all()
    assert data.train.pixels.names[5] == "baseball_diamond/baseball_diamond_003.jpg"
    assert has_color_of(data.train.pixels[5], "baseball_diamond_003.jpg")
    assert has_color_of(data.test.pixels[44], "wetland_002.jpg")


@pytest.mark.parametrize("part", ["NWPU-RESISC45", "resisc45-train.txt", "resisc45-test.txt"])
def test_what_is_missing_is_told_with_the_remedy(tmp_path, part):
    write_resisc45(tmp_path)
    path = tmp_path / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    message = refusal(load, tmp_path)
    assert f"NWPU-RESISC45: {path} is missing.\nGet it with: python -m cl_bench.datasets download resisc45 " in message


def test_a_class_without_its_folder_is_told(tmp_path):
    write_resisc45(tmp_path)
    shutil.rmtree(tmp_path / "NWPU-RESISC45/lake")
    assert "NWPU-RESISC45 has 44 classes instead of 45" in refusal(load, tmp_path)


def test_a_damaged_list_is_told(tmp_path):
    write_resisc45(tmp_path)
    path = tmp_path / "resisc45-test.txt"
    for content in (b"", b"airplane_001.jpg\nairp", b"balloon_001.jpg", b"\xff\x00", b".jpg"):
        path.write_bytes(content)
        message = refusal(load, tmp_path)
        assert f"NWPU-RESISC45: {path} is " in message and ("is damaged" in message or "is empty" in message)
