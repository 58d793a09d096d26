import shutil

import pytest

from cl_bench.datasets.rendered_sst2 import load
from tests.helpers.releases import has_color_of, refusal, write_images
from tests.helpers.releases_of_twenty import write_rendered_sst2


def test_reviews_are_read_with_the_sentiment_of_their_folder(tmp_path):
    write_rendered_sst2(tmp_path)
    data = load(tmp_path)
    assert data.class_names == ("negative", "positive") and data.split == "official"
    assert data.train.pixels.names == tuple(f"{name}/{i:04d}.png" for name in data.class_names for i in (3, 11))
    assert data.train.labels.tolist() == [0, 0, 1, 1] and data.test.labels.tolist() == [0, 1]
    assert has_color_of(data.test.pixels[1], "0002.png")


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_missing_part_is_told(tmp_path, part):
    write_rendered_sst2(tmp_path)
    path = tmp_path / "rendered-sst2" / part
    shutil.rmtree(path)
    assert f"Rendered SST2: {path} is missing.\n" in refusal(load, tmp_path)


def test_other_folders_than_the_two_are_told(tmp_path):
    write_rendered_sst2(tmp_path)
    folder = tmp_path / "rendered-sst2/test"
    write_images(folder, ["neutral/0001.png"])
    assert f"{folder} must have the folders negative and positive, and no others" in refusal(load, tmp_path)
    shutil.rmtree(folder / "neutral")
    shutil.rmtree(folder / "positive")
    assert f"{folder} must have the folders" in refusal(load, tmp_path)
