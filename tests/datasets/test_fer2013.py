import numpy as np
import pytest
from torchvision.datasets import FER2013

from cl_bench.datasets.fer2013 import CLASS_NAMES, load
from tests.helpers.releases import refusal
from tests.helpers.releases_of_twenty import write_fer2013

# As Kaggle's page of the competition says it.
EXPRESSIONS = ["angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral"]


@pytest.mark.parametrize("file", ["fer2013.csv", "icml_face_data.csv"])
def test_faces_are_those_of_torchvision_and_each_has_its_expression(tmp_path, monkeypatch, file):
    monkeypatch.setattr("torchvision.datasets.fer2013.check_integrity", lambda *_, **__: True)
    write_fer2013(tmp_path, file)
    data = load(tmp_path)
    for images, split in ((data.train, "train"), (data.test, "test")):
        theirs = list(FER2013(tmp_path, split))
        assert len(images) == len(theirs) == {"train": 14, "test": 7}[split]
        for pixels, label, (image, number) in zip(images.pixels, images.labels, theirs, strict=True):
            assert np.array_equal(pixels, np.asarray(image.convert("RGB")))
            assert CLASS_NAMES[label] == EXPRESSIONS[number]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("emotion", "feeling"),
        ("\n3,", "\n7,"),
        ("\n3,", "\nx,"),
        (",Training,", ",Trying,"),
        (" 20 20", " 20 256"),
        (" 20 20", " 20"),
        (" 20 20", " 20 x"),
    ],
)
def test_a_damaged_file_is_told(tmp_path, old, new):
    write_fer2013(tmp_path)
    path = tmp_path / "fer2013/fer2013.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    message = refusal(load, tmp_path)
    assert f"FER2013: {path} is damaged" in message and "download fer2013 " in message
    path.write_text(text[: len(text) // 2])
    assert f"FER2013: {path} is damaged" in refusal(load, tmp_path)
