"""Folders of images as strangers have them.

Over 300 lines: one loader, and the many ways in which folders, lists and annotations are laid out.
"""

import numpy as np
import pytest
import yaml
from PIL import Image

from cl_bench.datasets import folder
from cl_bench.datasets.releases import split
from cl_bench.runtime.errors import Missing, UserError
from cl_bench.runtime.instantiate import instantiate
from tests.conftest import ROOT
from tests.helpers.releases_by_folder import write_images


def tree(*folders, count=10):
    return [f"{place}/{i:02d}.jpg" for place in folders for i in range(count)]


def configured(choice, root, **settings):
    """As from the configuration: plain data, checked against the annotations."""
    node = yaml.safe_load((ROOT / f"conf/dataset/{choice}.yaml").read_text())
    return instantiate(node | {"root": str(root)} | settings, "dataset")


def test_given_splits(tmp_path):
    write_images(tmp_path, [*tree("train/cat", "train/sea_lion", count=3), *tree("test/cat", "test/sea_lion", count=2)])
    write_images(tmp_path, [*tree("val/cat"), "train/notes.txt", "train/cat/.DS_Store"])
    Image.new("RGBA", (5, 4), (1, 2, 3, 255)).save(tmp_path / "train/cat/00.jpg", "PNG")
    data = configured("folder", tmp_path)
    assert (data.name, data.split, data.domain_names) == (tmp_path.name, "official", ())
    assert data.class_names == ("cat", "sea lion") and data.prompts == ("a photo of a {}.",)
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1] and data.test.labels.tolist() == [0, 0, 1, 1]
    assert data.test.pixels.names[0] == "test/cat/00.jpg"
    assert (data.train.pixels[0] == (1, 2, 3)).all() and data.train.pixels[0].shape == (4, 5, 3)


def test_a_link_to_nothing_in_a_class_is_refused(tmp_path):
    write_images(tmp_path, tree("a", "b"))
    (tmp_path / "b/99.jpg").symlink_to("not_fetched_yet.jpg")
    with pytest.raises(UserError, match=r"1 entry of a class folder .*b/99.jpg \(a link to nothing\)"):
        configured("folder", tmp_path)
    (tmp_path / "b/99.jpg").unlink()
    (tmp_path / "b/99.jpg").symlink_to("99.jpg")
    with pytest.raises(UserError, match=r"b/99.jpg cannot be read \(Too many levels"):
        configured("folder", tmp_path)


def test_rubbish_in_class_folders_and_beside_them_goes_without_a_word(tmp_path, caplog):
    write_images(tmp_path, tree("a", "b"))
    rubbish = (".DS_Store", "Thumbs.db", "._00.jpg", "desktop.ini", ".ipynb_checkpoints/00.jpg", ".gitkeep")
    write_images(tmp_path, [f"{place}{name}" for place in ("", "a/") for name in rubbish])
    (tmp_path / "a" / "empty").mkdir()
    data = configured("folder", tmp_path)
    assert len(data.train) + len(data.test) == 20 and not caplog.records


def test_tiny_imagenet_is_read_with_its_folders_of_images(tmp_path):
    ids = ("n01443537", "n01629819")
    for part, count in (("train", 4), ("val", 2)):
        write_images(tmp_path, [f"{part}/{wnid}/images/{wnid}_{i}.JPEG" for wnid in ids for i in range(count)])
    write_images(tmp_path, [f"train/{wnid}/{wnid}_boxes.txt" for wnid in ids], b"0 0 63 63")
    data = configured("folder", tmp_path)
    assert data.class_names == ids and (len(data.train), len(data.test)) == (8, 4)
    assert data.train.pixels.names[0] == "train/n01443537/images/n01443537_0.JPEG" and data.train.pixels[0].any()


ANNOTATED = [f"val/images/val_{i}.JPEG" for i in range(4)]


def tiny_imagenet(root, lines):
    ids = ("n01443537", "n01629819")
    write_images(root, [f"train/{wnid}/images/{wnid}_{i}.JPEG" for wnid in ids for i in range(4)])
    write_images(root, [*ANNOTATED, "test/images/test_0.JPEG"])
    (root / "val" / "val_annotations.txt").write_text("".join(f"{line}\t0\t32\t44\t62\n" for line in lines))
    (root / "wnids.txt").write_text("\n".join(ids))


def test_tiny_imagenet_as_it_is_downloaded_is_tested_on_val_by_its_annotations(tmp_path, caplog):
    caplog.set_level("INFO")
    wnids = ("n01629819", "n01443537", "n01629819", "n01443537")
    tiny_imagenet(tmp_path, [f"val_{i}.JPEG\t{wnid}" for i, wnid in enumerate(wnids)])
    data = configured("folder", tmp_path)
    assert (len(data.train), data.test.labels.tolist()) == (8, [0, 0, 1, 1])
    assert data.test.pixels.names == tuple(f"val/images/val_{i}.JPEG" for i in (1, 3, 0, 2))
    assert [record.getMessage() for record in caplog.records] == [
        "folder: test/ has no class folders, so val/ is the test set",
        f"folder: left out, beside the folders that are read: test/, wnids.txt in {tmp_path}",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["val_0.JPEG\tn01443537"],
            "val_annotations.txt and .*images differ in: val_1.JPEG, val_2.JPEG, val_3.JPEG",
        ),
        ([f"val_{i}.JPEG\tn01443537" for i in range(5)], "differ in: val_4.JPEG"),
        (["val_0.JPEG"] * 4, "line 1 of .*val_annotations.txt"),
        ([f"val_{i}.JPEG\tn01443537" for i in range(4)], "val lacks the class n01629819"),
    ],
)
def test_annotations_that_do_not_fit_their_images_are_refused(tmp_path, lines, message):
    tiny_imagenet(tmp_path, lines)
    if lines == ["val_0.JPEG"] * 4:
        (tmp_path / "val" / "val_annotations.txt").write_text("val_0.JPEG\n")
    with pytest.raises(UserError, match=message):
        configured("folder", tmp_path)


@pytest.mark.parametrize("choice", ["folder", "folder_domains"])
def test_a_link_to_itself_beside_the_classes_is_named(tmp_path, caplog, choice):
    write_images(tmp_path, tree("x/a", "y/a") if choice == "folder_domains" else tree("a", "b"))
    (tmp_path / "loop").symlink_to("loop")
    configured(choice, tmp_path)
    assert f"read: loop in {tmp_path}" in caplog.text


def test_val_is_the_test_set_where_there_is_none_and_left_out_where_there_is(tmp_path, caplog):
    caplog.set_level("INFO")
    write_images(tmp_path, tree("train/a", "train/b", "val/a", "val/b", count=3))
    data = configured("folder", tmp_path)
    assert data.test.pixels.names[0] == "val/a/00.jpg" and data.split == "official"
    assert [record.message for record in caplog.records] == ["folder: there is no test/, so val/ is the test set"]
    caplog.clear()
    write_images(
        tmp_path, [*tree("test/a", "test/b", count=2), "Train/a/1.jpg", "__MACOSX/train/._1.jpg", "readme.txt"]
    )
    write_images(tmp_path, ["train/labels.csv"])
    assert configured("folder", tmp_path).test.pixels.names[0] == "test/a/00.jpg"
    (warning,) = caplog.records
    assert warning.levelname == "WARNING"
    assert f"Train/, __MACOSX/, readme.txt, val/, train/labels.csv in {tmp_path}" in warning.message


def test_what_lies_beside_classes_or_domains_is_named_once(tmp_path, caplog):
    write_images(tmp_path, [*tree("x/a", "y/a"), "x/notes.txt", ".git/1.jpg", "__MACOSX/x/._1.jpg"])
    configured("folder_domains", tmp_path)
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        f"left out, beside the folders that are read: .git/, __MACOSX/, x/notes.txt in {tmp_path}"
    ]


def test_one_tree_is_split_class_by_class(tmp_path):
    write_images(tmp_path, [*tree("b", count=10), *tree("a", count=6), *tree("c", count=2)])
    data = configured("folder", tmp_path)
    assert np.bincount(data.test.labels).tolist() == [1, 2, 1]
    assert np.bincount(data.train.labels).tolist() == [5, 8, 1]
    assert data.split == split.digest(data.test.pixels.names)
    assert sorted(data.train.pixels.names + data.test.pixels.names)[0] == "a/00.jpg"
    halves = configured("folder", tmp_path, test_share=0.5)
    assert np.bincount(halves.test.labels).tolist() == [3, 5, 1]
    assert set(halves.test.pixels.names) > set(data.test.pixels.names)


def test_a_class_keeps_its_split_when_others_come_or_go(tmp_path):
    write_images(tmp_path, tree("b", "c", count=7))
    before = folder.load(tmp_path).test.pixels.names
    write_images(tmp_path, tree("a", count=9))
    after = folder.load(tmp_path).test.pixels.names
    assert before == tuple(name for name in after if not name.startswith("a/"))


def test_domains(tmp_path):
    write_images(tmp_path, [*tree("day/cat", "day/dog", "night/cat", count=10), *tree("night/yak", count=5)])
    data = configured("folder_domains", tmp_path, name="streets")
    assert (data.name, data.domain_names, data.class_names) == ("streets", ("day", "night"), ("cat", "dog", "yak"))
    assert np.bincount(data.test.domains).tolist() == [4, 3]
    for part in (data.train, data.test):
        for name, label, domain in zip(part.pixels.names, part.labels, part.domains, strict=True):
            assert name.startswith(f"{data.domain_names[domain]}/{data.class_names[label]}/")
    assert data.split == split.digest(data.test.pixels.names)


@pytest.mark.parametrize("choice", ["folder", "folder_domains"])
@pytest.mark.parametrize(
    ("class_names", "expected"),
    [
        (None, ("0", "big cat", "x")),
        (["zero", "lion", 7], ("zero", "lion", "7")),
        ({"big_cat": "lion"}, ("0", "lion", "x")),
        ({0: "zero", "x": 8}, ("zero", "big cat", "8")),
        ({}, ("0", "big cat", "x")),
    ],
)
def test_class_names_from_the_configuration(tmp_path, choice, class_names, expected):
    top = "d/" if choice == "folder_domains" else ""
    write_images(tmp_path, tree(f"{top}0", f"{top}big_cat", f"{top}x", count=5))
    data = configured(choice, tmp_path, class_names=class_names, prompts=["{}", "a sketch of {}"])
    assert data.class_names == expected and data.prompts == ("{}", "a sketch of {}")


@pytest.mark.parametrize("choice", ["folder", "folder_domains"])
def test_a_data_set_is_called_as_its_folder_or_as_is_said_and_its_content_is_the_same(choice, tmp_path, monkeypatch):
    root = tmp_path / "sea\x1blions"
    write_images(root, tree("a/x", "b/x", count=5) if choice == "folder_domains" else tree("a", "b", count=5))
    one, two = configured(choice, root), configured(choice, root, name="two")
    assert (one.name, two.name) == ("sea_lions", "two") and one.identity == two.identity
    monkeypatch.chdir(root)
    assert configured(choice, ".").name == "sea_lions"


CLASSES = tree("a", "b", count=5)
SPLITS = tree("train/a", "train/b", "test/a", "test/b", count=2)


@pytest.mark.parametrize(
    ("files", "settings", "message"),
    [
        (None, {}, "ROOT is no folder"),
        ([], {}, "ROOT holds no class folders"),
        (["x/notes.txt"], {}, "ROOT/x holds no images"),
        ([*CLASSES, "loose.PNG"], {}, r"ROOT holds images itself \(loose.PNG\)"),
        ([*CLASSES, "c/deeper/1.jpg"], {}, "ROOT/c holds no images"),
        ([*CLASSES, "c/1.jpg"], {}, "ROOT/c has one image only"),
        ([*CLASSES, "c/1.jpg", "d/1.jpg"], {}, "ROOT/c, ROOT/d have one image only each"),
        (["x/notes.txt", "y/notes.txt"], {}, "ROOT/x, ROOT/y hold no images"),
        (tree("train/a", "train/b"), {}, "ROOT holds train only: a split is made of folders called train and test"),
        (tree("Train/a", "Test/a"), {}, "ROOT holds Train and Test only"),
        ([*CLASSES, "a/1.avif", "b/1"], {}, "2 entries of class folders would not be read: a/1.avif, b/1. Convert"),
        ([*CLASSES, "a/more/1.jpg"], {}, r"1 entry of a class folder would not be read: a/more/ \(a folder below"),
        ([*CLASSES, "a/.1.jpg"], {}, r"1 entry .*a/.1.jpg \(hidden\)"),
        (
            [*SPLITS, *tree("test/a/x", count=1), *(f"train/a/{i:02d}.heic" for i in range(12))],
            {},
            r"12 entries .*09.heic and 2 more",
        ),
        ([*tree("a/images", "b/images", count=3), "a/images/1.avif"], {}, "1 entry of .*a/images/1.avif"),
        ([*SPLITS, "train/c/1.jpg"], {}, "ROOT/test lacks the class c"),
        ([*SPLITS, "test/c/1.jpg"], {}, "ROOT/train lacks the class c"),
        ([*SPLITS, *(f"test/{i}/1.jpg" for i in range(12))], {}, "ROOT/train lacks the classes 0, 1, 10, .*and 2 more"),
        ([*SPLITS, "test/c/notes.txt"], {}, "ROOT/test/c holds no images"),
        (["train/a/1.jpg", "test/1.jpg"], {}, "ROOT/test holds no class folders"),
    ],
)
def test_layouts_that_do_not_fit_are_told_with_those_that_do(tmp_path, files, settings, message):
    root = tmp_path / "photos"
    if files is not None:
        root.mkdir()
        write_images(root, files)
    with pytest.raises(UserError, match=f"^pets: {message.replace('ROOT', str(root))}") as caught:
        configured("folder", root, name="pets", **settings)
    for word in ("ROOT/train/CLASS/image", "ROOT/CLASS/image", "ROOT/DOMAIN/CLASS/image", ".jpg, .jpeg"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "ROOT is no folder"),
        ([], "ROOT holds no folders of domains"),
        (tree("a", "b"), "ROOT/a holds no class folders"),
        (SPLITS, "ROOT holds the folders train and test, which are no domains"),
        (tree("train/a", "val/a"), "ROOT holds the folders train and val, which are no domains"),
        (tree("x/a", "Test/a"), "ROOT holds the folder Test, which is no domain"),
        (tree("Training/a", "Test/a"), "ROOT holds the folders Training and Test, which are no domains"),
        (tree("train_images/a", "valid/a"), "ROOT holds the folders train_images and valid, which are no domains"),
        (tree("x/a", "val2017/a", "dev-set/a"), "ROOT holds the folders dev-set and val2017, which are no domains"),
        (tree("x/train", "x/test", "y/train"), "the domains of ROOT hold train and test, which are no classes"),
        (
            [*tree("x/a", "y/a"), "y/a/more/1.jpg", "x/a/1.heif"],
            "2 entries of class folders would not be read: x/a/1.heif, y/a/more/",
        ),
        ([*tree("x/a"), "y/b/notes.txt"], "ROOT/y/b holds no images"),
        (["w/a/1.jpg", *tree("x/a")], "ROOT/w has too few images for dataset.test_share=0.2"),
        ([*tree("x/a"), "y/a/1.jpg"], "ROOT/y has too few images for dataset.test_share=0.2"),
        ([*tree("x/a", "y/a"), "y/b/1.jpg"], "ROOT has too few images of the class b for dataset.test_share=0.2"),
        ([*tree("x/a", "y/a"), "x/b/1.jpg", "y/c/1.jpg"], "ROOT has too few images of the classes b, c for dataset."),
        ([*tree("x/a"), "1.jpg"], "ROOT holds images itself"),
    ],
)
def test_domains_that_do_not_fit_are_told(tmp_path, files, message):
    root = tmp_path / "photos"
    if files is not None:
        root.mkdir()
        write_images(root, files)
    with pytest.raises(
        UserError, match=f"(?s)^folder_domains: {message.replace('ROOT', str(root))}.*ROOT/DOMAIN/CLASS"
    ):
        configured("folder_domains", root)


@pytest.mark.parametrize("choice", ["folder", "folder_domains"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_names": ["one"]}, "1 class names for 2 class folders"),
        ({"class_names": {"c": "one"}}, "class_names has c, which is none of the folders a, b"),
        ({"class_names": ["one", "one"]}, "two classes have the name 'one'"),
        ({"class_names": {"a": "b"}}, "two classes have the name 'b'"),
        ({"class_names": "one"}, "dataset.class_names='one' does not fit"),
        ({"prompts": ["a photo of {}", "a photo"]}, "the prompt 'a photo' has no '{}'"),
        ({"prompts": []}, "at least one prompt"),
        ({"test_share": 0}, "dataset.test_share=0 does not fit"),
        ({"test_share": 1.0}, "dataset.test_share=1.0 does not fit"),
        ({"layout": "tree"}, "dataset.layout is not a setting"),
    ],
)
def test_settings_that_do_not_fit_are_told(tmp_path, choice, settings, message):
    top = "d/" if choice == "folder_domains" else ""
    write_images(tmp_path, tree(f"{top}a", f"{top}b", count=5))
    with pytest.raises(UserError, match=message):
        configured(choice, tmp_path, **settings)


@pytest.mark.parametrize("choice", ["folder", "folder_domains"])
def test_the_folder_has_to_be_named(choice):
    with pytest.raises(UserError, match=r"^dataset\.root is missing"):
        configured(choice, "???")


def test_one_domain_alone_is_said_to_be_one_task(tmp_path, caplog):
    write_images(tmp_path, tree("images/a", "images/b"))
    configured("folder_domains", tmp_path)
    assert f"{tmp_path} holds one domain only, images: there will be one task" in caplog.text


def test_domains_may_be_called_nearly_as_splits(tmp_path, caplog):
    write_images(tmp_path, tree("training wheels/a", "testament/a", "te/train", "tr/a"))
    data = configured("folder_domains", tmp_path)
    assert data.domain_names == ("te", "testament", "tr", "training wheels") and not caplog.records


def test_a_damaged_image_is_told(tmp_path):
    write_images(tmp_path, tree("a", "b"), b"no image")
    with pytest.raises(UserError, match=r"(?s)/a/0\d\.jpg is missing or damaged.*the data set pets: repair or remove"):
        folder.load(tmp_path, name="pets").train.pixels[0]


def test_a_folder_that_is_not_here_may_be_elsewhere(tmp_path):
    """A sweep's jobs may run on machines that have it."""
    with pytest.raises(Missing, match="is no folder"):
        configured("folder", tmp_path / "nowhere")
