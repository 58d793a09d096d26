import shutil

import pytest

from cl_bench.datasets.aircraft import load
from tests.helpers.releases import has_color_of, refusal
from tests.helpers.releases_of_twenty import VARIANTS, write_aircraft


def test_variants_are_numbered_as_their_list_and_trainval_is_trained_on(tmp_path):
    write_aircraft(tmp_path)
    data = load(tmp_path)
    assert data.class_names == VARIANTS and data.split == "official"
    assert (len(data.train), len(data.test)) == (200, 100)
    assert data.train.pixels.names[1] == "0034021.jpg" and data.class_names[data.train.labels[1]] == VARIANTS[37]
    assert has_color_of(data.test.pixels[2], "0034056.jpg")


@pytest.mark.parametrize("part", ["variants.txt", "images_variant_trainval.txt", "images_variant_test.txt", "images"])
def test_what_is_missing_is_told(tmp_path, part):
    write_aircraft(tmp_path)
    path = tmp_path / "fgvc-aircraft-2013b/data" / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert f"FGVC-Aircraft: {path} is missing.\n" in refusal(load, tmp_path)


@pytest.mark.parametrize("line", ["0034000 707-32", "0034000", "../34000 707-320", "0034000.jpg 707-320"])
def test_a_damaged_list_is_told(tmp_path, line):
    write_aircraft(tmp_path)
    path = tmp_path / "fgvc-aircraft-2013b/data/images_variant_test.txt"
    path.write_text(path.read_text() + line)
    message = refusal(load, tmp_path)
    assert f"{path} is damaged" in message and line.split()[0] in message


def test_a_lost_variant_is_told(tmp_path):
    write_aircraft(tmp_path)
    path = tmp_path / "fgvc-aircraft-2013b/data/variants.txt"
    path.write_text("\n".join(VARIANTS[:99]))
    assert f"{path} has 99 classes instead of 100" in refusal(load, tmp_path)
