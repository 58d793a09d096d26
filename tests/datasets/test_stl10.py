import numpy as np
import pytest

from cl_bench.datasets.stl10 import CLASS_NAMES, load
from tests.helpers.releases import refusal
from tests.helpers.releases_of_twenty import write_stl10


def test_photographs_are_read_upright_with_their_labels(tmp_path):
    arrays = write_stl10(tmp_path)
    data = load(tmp_path)
    for split, (pixels, labels) in ((data.train, arrays["train"]), (data.test, arrays["test"])):
        assert np.array_equal(split.pixels, pixels) and (split.labels == labels).all()
    assert (CLASS_NAMES[0], CLASS_NAMES[2], CLASS_NAMES[9]) == ("airplane", "car", "truck")


@pytest.mark.parametrize(
    ("file", "change", "problem"),
    [
        ("train_X.bin", lambda content: content[:-1], "bytes for 20 labels"),
        ("test_y.bin", lambda content: b"", "it holds no label"),
        ("test_y.bin", lambda content: b"\x00" + content[1:], "it has the label 0, which is no class"),
        ("train_y.bin", lambda content: content + b"\x01", "bytes for 21 labels"),
    ],
)
def test_a_damaged_file_is_told(tmp_path, file, change, problem):
    write_stl10(tmp_path)
    path = tmp_path / "stl10_binary" / file
    path.write_bytes(change(path.read_bytes()))
    message = refusal(load, tmp_path)
    assert "STL-10: " in message and "is damaged" in message and problem in message
