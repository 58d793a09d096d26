"""The head of a scenario, and the classes that it cannot tell apart: refused, warned of, or left out of a number."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from PIL import Image

from cl_bench.backbones import Backbone, TinyClip
from cl_bench.experiment.head import left_out, scenario_head
from cl_bench.experiment.parts import build
from cl_bench.heads import Head
from cl_bench.heads.alike import CLOSE, SAME
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import ClassIncremental, SeveralDatasets
from cl_bench.testing.small import SmallEncoder
from tests.helpers.releases import write_mnist
from tests.scenarios.conftest import make_dataset

REMEDY = re.escape("dataset.class_names={folder: name}")


@pytest.fixture(autouse=True, scope="module")
def _one_model():
    """Loading it takes longer than anything else here."""
    model = TinyClip()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("cl_bench.backbones.TinyClip", lambda **_: model)
        yield


def write_folders(root, names, domains=("",)):
    random = np.random.default_rng(0)
    for domain in domains:
        for name in names:
            for number in range(5):
                path = root / domain / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)


def of_folder(configure, root, *overrides, scenario="folder"):
    tasks = ("scenario.tasks=2",) if scenario == "folder" else ()
    return build(
        configure(
            f"scenario={scenario}",
            "backbone=tiny_clip",
            f"dataset.root={root}",
            f"paths.prepared_dir={root.parent}/prepared",
            *tasks,
            *overrides,
        )
    )


LONG = "the very rare and hardly ever seen star of the north that nobody in the south has"


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (("A", "a", "B", "b"), "'A' and 'a'; 'B' and 'b'"),
        (("black &amp; white", "black & white", "star"), "'black & white' and 'black &amp; white'"),
        (("two  stars", "two stars", "moon"), "'two  stars' and 'two stars'"),
        (("Ａ", "a", "b"), "'a' and 'Ａ'"),
        (("ﬁsh", "fish", "b"), "'fish' and 'ﬁsh'"),
        ((f"{LONG} seen", f"{LONG} not seen", "star"), f"'{LONG} not seen' and '{LONG} seen'"),
    ],
    ids=["letter case", "entities", "spaces", "full width", "ligature", "too long for the model"],
)
def test_words_that_become_the_same_tokens_are_refused(configure, tmp_path, names, named):
    write_folders(tmp_path / "images", names)
    with pytest.raises(UserError, match=f"cannot tell these classes apart.*{re.escape(named)}\\.\n.*{REMEDY}"):
        of_folder(configure, tmp_path / "images")


def test_the_remedy_helps(configure, tmp_path):
    write_folders(tmp_path / "images", ("A", "a", "B", "b"))
    names = "dataset.class_names={A: capital letter a, a: small letter a, B: capital letter b, b: small letter b}"
    assert of_folder(configure, tmp_path / "images", names).left_out == {}


@pytest.mark.parametrize("names", [("ω", "σκύλος", "猫", "🐶"), ("!!!", "???", "+", "--")], ids=["scripts", "signs"])
def test_names_in_any_script_are_taken_and_named_as_unknown(configure, tmp_path, caplog, names):
    write_folders(tmp_path / "images", names)
    parts = of_folder(configure, tmp_path / "images")
    assert parts.left_out == {} and torch.pdist(parts.head.rows).min() > 1
    (line,) = [record.getMessage() for record in caplog.records if "not trained on" in record.getMessage()]
    assert line.startswith("images: tiny_clip was not trained on these words of the class names: ")
    assert names[1] in line and names[3] in line


def test_unknown_words_are_named_also_where_the_head_was_kept(configure, tmp_path, caplog):
    write_folders(tmp_path / "images", [f"word{i}_zebra" for i in range(14)])
    of_folder(configure, tmp_path / "images")
    caplog.clear()
    of_folder(configure, tmp_path / "images")
    assert "word0, zebra, word10, word11, word12, word13, word1, word2, word3, word4, … (5 more)" in caplog.text


def test_domains_have_one_label_space(configure, tmp_path):
    write_folders(tmp_path / "images", ("A", "a", "b"), domains=("one", "two"))
    with pytest.raises(UserError, match=f"'A' and 'a'\\.\n.*{REMEDY}"):
        of_folder(configure, tmp_path / "images", scenario="folder_domains")


def test_a_benchmark_of_avalanche_says_where_its_names_are_set(configure, tmp_path):
    write_mnist(tmp_path)
    names = [*"abcdefghi", "A"]
    common = ("scenario=avalanche", "backbone=tiny_clip", f"paths.data_dir={tmp_path}")
    with pytest.raises(UserError, match=r"'a' and 'A'\.\n.*scenario\.class_names=\[…\]"):
        build(configure(*common, f"scenario.class_names=[{','.join(names)}]"))
    assert build(configure(*common)).left_out == {}


def test_where_the_task_is_not_known_equal_rows_of_two_data_sets_are_refused(configure):
    unknown = ("scenario=mini_eight", "scenario.task_known=false")
    with pytest.raises(UserError, match=r"2 classes named 'digit 0'.*\n.*digits and handwritten.*task_order=\[…\]"):
        build(configure(*unknown, "task_order=[digits,handwritten]"))
    assert build(configure(*unknown, "task_order=[digits,capitals]")).kinds == ("task_agnostic", "task_aware")
    assert build(configure("scenario=mini_eight", "task_order=[digits,handwritten]")).kinds == ("task_aware",)


def test_where_the_task_is_not_known_names_that_two_data_sets_share_are_told(caplog):
    shared = make_dataset(3, name="b", seed=1)
    shared = dataclasses.replace(shared, class_names=("Class_1", "d", "e"), prompts=("another {}",))
    for known in (True, False):
        scenario = SeveralDatasets({"a": make_dataset(3), "b": shared}, task_known=known)
        assert left_out(Head(torch.eye(6)), scenario, {"scenario": {}}) == {}
        assert ("counts as right only for the class of its own data set: class 1 (a, b)" in caplog.text) is not known
    assert "by their prompts alone" in caplog.text and "by their training images alone" not in caplog.text
    assert left_out(Head(torch.eye(6), torch.zeros(6)), scenario, {"scenario": {}}) == {}
    assert "by their training images alone" in caplog.text


def test_two_classes_of_one_of_several_data_sets_are_refused(configure, tmp_path):
    folders = {"others": ("c", "d"), "letters": ("A", "a", "b")}
    for name, classes in folders.items():
        write_folders(tmp_path / name, classes)
    nodes = [
        f"+scenario.datasets.{name}={{_target_: cl_bench.datasets.folder.load, root: {tmp_path / name}, name: {name}}}"
        for name in folders
    ]
    config = configure(
        "scenario=mini_eight", *nodes, "task_order=[others,letters]", f"paths.prepared_dir={tmp_path}/prepared"
    )
    setting = re.escape("++scenario.datasets.letters.class_names={folder: name}")
    with pytest.raises(UserError, match=f"'A' and 'a'\\.\n.*{setting}"):
        build(config)


def test_words_that_data_sets_share_leave_one_number_out(configure):
    parts = build(configure("scenario=mini_eight"))
    assert parts.kinds == ("task_aware",)
    assert "a tie would decide between 2 classes named 'digit 0'; 2 classes" in parts.left_out["task_agnostic"]


@pytest.mark.parametrize("chosen", ["[digits,greek]", "[handwritten,textures]"])
def test_data_sets_with_words_of_their_own_keep_it(configure, chosen):
    parts = build(configure("scenario=mini_eight", f"task_order={chosen}"))
    assert parts.kinds == ("task_agnostic", "task_aware") and parts.left_out == {}


def rows_of(classes, alike=(), distance=0.0):
    rows = torch.eye(classes)
    for i, j in alike:
        rows[j] = rows[i] + distance * rows[j]
    return 100 * rows


def test_what_is_nearly_the_same_is_a_warning(caplog):
    scenario = ClassIncremental(make_dataset(4), tasks=2)
    config = {"scenario": {}}
    for distance in (1.1 * CLOSE, 0.9 * CLOSE, 1.1 * SAME):
        caplog.clear()
        assert left_out(Head(rows_of(4, [(0, 3)], distance)), scenario, config) == {}
        assert ("nearly the same for: 'class 0' and 'class 3'" in caplog.text) == (distance < CLOSE)
    with pytest.raises(
        UserError, match=r"'class 0' and 'class 3'\.\nThese names are the data set's.*backbone=vit_b_16"
    ):
        left_out(Head(rows_of(4, [(0, 3)], 0.9 * SAME)), scenario, config)


def test_at_most_ten_groups_are_named():
    scenario = ClassIncremental(make_dataset(30), tasks=2)
    with pytest.raises(UserError) as caught:
        left_out(Head(rows_of(30, [(i, i + 15) for i in range(15)])), scenario, {"scenario": {}})
    assert str(caught.value).count(" and ") == 10 and "(5 more)" in str(caught.value)


def test_only_rows_of_different_data_sets_are_left_out_of_a_number():
    data = {name: make_dataset(3, name=name) for name in ("one", "two")}
    scenario = SeveralDatasets(data)
    assert left_out(Head(rows_of(6)), scenario, {"scenario": {}}) == {}
    assert left_out(Head(rows_of(6, [(0, 3)])), scenario, {"scenario": {}}).keys() == {"task_agnostic"}
    with pytest.raises(UserError, match="'class 0' and 'class 1'"):
        left_out(Head(rows_of(6, [(0, 1), (2, 5)])), scenario, {"scenario": {}})


class HeadlineAmongAll(SeveralDatasets):
    headline = "accuracy.task_agnostic"


def test_a_headline_is_never_left_out():
    scenario = HeadlineAmongAll({name: make_dataset(3, name=name) for name in ("one", "two")})
    with pytest.raises(UserError, match="2 classes named 'class 0'"):
        left_out(Head(rows_of(6, [(0, 3)])), scenario, {"scenario": {}})


def test_a_backbone_without_words_has_no_zero_shot_head():
    look = {"size": 8, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    alone = Backbone("small", SmallEncoder(), {}, look, 5)
    with pytest.raises(UserError, match="which small does not have; choose head=prototypes or head=linear"):
        scenario_head(alone, ClassIncremental(make_dataset(4, 2), 2), None)
