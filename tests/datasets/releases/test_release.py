import numpy as np
import pytest

from cl_bench.datasets.releases.release import Release
from cl_bench.runtime.errors import UserError

TOYS = Release("toys", "The Toys", "toys-1.0", classes=3, train=6, test=3, size=9)


def test_the_first_of_several_places_that_is_there(tmp_path):
    (tmp_path / "toys-1.0/b").mkdir(parents=True)
    assert TOYS.find(tmp_path, "toys-1.0/a", "toys-1.0/b") == tmp_path / "toys-1.0/b"
    (tmp_path / "toys-1.0/a").touch()
    assert TOYS.find(tmp_path, "toys-1.0/a", "toys-1.0/b") == tmp_path / "toys-1.0/a"


def test_a_message_names_the_data_set_the_paths_and_the_commands_that_mend_it(tmp_path):
    with pytest.raises(UserError) as caught:
        TOYS.find(tmp_path, "toys-1.0/a", "toys-1.0/b")
    message = str(caught.value)
    assert message.startswith(f"The Toys: {tmp_path}/toys-1.0/a or {tmp_path}/toys-1.0/b is missing.\n")
    assert f"python -m cl_bench.datasets download toys --data-dir {tmp_path}\n" in message
    assert "name the folder that holds toys-1.0: paths.data_dir=" in message


def test_images_know_the_remedy(tmp_path):
    images = TOYS.images(tmp_path, tmp_path / "toys-1.0", ["a/1.jpg"])
    with pytest.raises(UserError, match=r"(?s)toys-1\.0/a/1\.jpg is missing.*cl_bench\.datasets download toys"):
        images[np.int64(0)]


def test_classes_must_be_complete(tmp_path):
    TOYS.check_classes(tmp_path, tmp_path, ["a", "b", "c"])
    for found in (["a", "b"], {"a", "b", "c", "d"}):
        with pytest.raises(UserError, match=rf"has {len(found)} classes instead of 3.*\n.*download toys"):
            TOYS.check_classes(tmp_path, tmp_path, found)
