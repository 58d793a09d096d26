import time

import numpy as np
import pytest

from cl_bench.datasets.releases.listing import list_images
from cl_bench.runtime.errors import UserError
from tests.helpers.releases_by_folder import write_images


def test_images_class_by_class_in_ascii_order(tmp_path):
    write_images(tmp_path, ["b/2.png", "b/10.JPG", "Z/x.Jpeg", "a_c/1.webp"], b"")
    listing = list_images(tmp_path, UserError)
    assert listing.files == ["Z/x.Jpeg", "a_c/1.webp", "b/10.JPG", "b/2.png"]
    assert listing.classes == ["Z", "a_c", "b"]
    assert listing.labels.tolist() == [0, 1, 2, 2] and listing.labels.dtype == np.int64
    assert listing.parts.tolist() == [0, 0, 0, 0]


def test_hidden_files_and_what_is_no_image_are_left_out(tmp_path):
    write_images(tmp_path, ["a/1.jpg", "a/.2.jpg", "a/notes.txt", "a/jpg", ".b/1.jpg", "loose.jpg", "a/1.jpg.txt"], b"")
    (tmp_path / "a/folder.jpg").mkdir()
    listing = list_images(tmp_path, UserError)
    assert (listing.files, listing.classes) == (["a/1.jpg"], ["a"])


def test_links_to_folders_and_files_count(tmp_path):
    write_images(tmp_path, ["elsewhere/a/1.jpg", "tree/b/1.jpg"], b"")
    (tmp_path / "tree/a").symlink_to(tmp_path / "elsewhere/a")
    (tmp_path / "tree/b/2.jpg").symlink_to(tmp_path / "elsewhere/a/1.jpg")
    assert list_images(tmp_path / "tree", UserError).files == ["a/1.jpg", "b/1.jpg", "b/2.jpg"]


def test_a_class_has_the_same_label_in_every_part_although_one_lacks_it(tmp_path):
    write_images(tmp_path, ["two/a/1.jpg", "two/c/2.jpg", "one/in/b/1.jpg", "one/in/c/1.jpg"], b"")
    listing = list_images(tmp_path, UserError, ["two", "one/in"])
    assert listing.files == ["two/a/1.jpg", "two/c/2.jpg", "one/in/b/1.jpg", "one/in/c/1.jpg"]
    assert listing.classes == ["a", "b", "c"]
    assert listing.labels.tolist() == [0, 2, 1, 2] and listing.parts.tolist() == [0, 0, 1, 1]
    assert listing.names(["x", "y"]) == ["x/a/1.jpg", "x/c/2.jpg", "y/b/1.jpg", "y/c/1.jpg"]


@pytest.mark.parametrize(
    ("files", "parts", "message"),
    [
        (["a/1.jpg"], ["gone"], "gone cannot be read"),
        (["x/a/1.jpg", "y/1.jpg"], ["x", "y"], "y holds no class folders"),
        (["a/1.jpg", "b/1.txt"], [""], "b holds no images"),
        (["a/1.jpg", "b/c/1.jpg"], [""], "b holds no images"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, files, parts, message):
    write_images(tmp_path, files, b"")
    with pytest.raises(UserError, match=f"^{tmp_path}.*{message}"):
        list_images(tmp_path, UserError, parts)


def test_60_000_files_are_listed_in_about_a_second(tmp_path):
    for label in range(10):
        folder = tmp_path / f"class_{label}"
        folder.mkdir()
        first = folder / "0.jpg"
        first.touch()
        for i in range(1, 6_000):
            (folder / f"{i}.jpg").hardlink_to(first)
    start = time.thread_time()
    listing = list_images(tmp_path, UserError)
    assert time.thread_time() - start < 1.5
    assert np.bincount(listing.labels).tolist() == [6_000] * 10
