"""Which of the user's files count for a class of theirs, and when they count as changed."""

import importlib
import sys
import types
from typing import ClassVar

import pytest

from cl_bench import mergers, trainers
from cl_bench.datasets import digits
from cl_bench.runtime.source_code import changes, code_of, outside, unseen

MODULES = {
    "mine.py": "from cl_bench.mergers import Last\nimport helper, torch\n\n\nclass Mine(Last):\n    pass\n",
    "helper.py": "import mine\nFACTOR = 1\n",
    "beside.py": "FACTOR = 1\n",
    "based.py": "from elsewhere.bases import Base\n\n\nclass Mine(Base):\n    pass\n",
    "elsewhere/bases.py": "class Base:\n    pass\n",
    "lazy.py": "class Mine:\n    def fold(self):\n        from beside import FACTOR\n",
    "pkg/__init__.py": '"""Hands on."""\n\nfrom pkg.median import Median\nfrom pkg.other import Other\n__all__ = []\n',
    "pkg/median.py": "from . import shared\nfrom .deep import numbers as many\n\n\nclass Median:\n    pass\n",
    "pkg/other.py": "class Other:\n    pass\n",
    "pkg/shared.py": "FACTOR = 1\n",
    "pkg/deep/__init__.py": "",
    "pkg/deep/numbers.py": "from ..shared import FACTOR\n",
    "busy/__init__.py": "from busy.inner import Mine\nMine.factor = 2\n",
    "busy/inner.py": "class Mine:\n    pass\n",
    "handed.py": "from functools import partial\nfrom beside import FACTOR\nload = partial(dict, FACTOR)\n",
    "by_name.py": "import importlib as important\nclass Mine:\n    beside = important.import_module('beside').FACTOR\n"
    "    important.import_module('os'), important.__dict__.get(3)\n",
    "side/__init__.py": "from side.inner import Mine\nfrom . import patches\n",
    "side/inner.py": "import importlib\nclass Mine:\n    deep = importlib.import_module('.deep', __package__)\n",
    "side/patches.py": "from side.inner import Mine\nMine.factor = 2\n",
    "side/deep.py": "FACTOR = 1\n",
    "broken.py": "raise RuntimeError\n",
}  # fmt: skip


def write(folder, modules=MODULES):
    for name, text in modules.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of modules on the import path, that are forgotten afterwards."""
    write(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def code(target, **more):
    return code_of({"merger": {"_target_": target, **more}}, ["merger"])


def files(target, **more):
    return set(code(target, **more)["outside"])


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("mine.Mine", {"mine.py", "helper.py"}),
        ("based.Mine", {"based.py", "elsewhere/bases.py"}),
        ("lazy.Mine", {"lazy.py", "beside.py"}),
        ("pkg.Median", {"pkg/median.py", "pkg/shared.py", "pkg/deep/numbers.py"}),
        ("pkg.other.Other", {"pkg/other.py"}),
        ("busy.inner.Mine", {"busy/__init__.py", "busy/inner.py"}),
        ("handed.load", {"handed.py", "beside.py"}),
        ("by_name.Mine", {"by_name.py", "beside.py"}),
        ("side.Mine", {"side/__init__.py", "side/inner.py", "side/patches.py", "side/deep.py"}),
        ("cl_bench.mergers.MagMax", set()),
        ("torch.optim.AdamW", set()),
        ("collections.OrderedDict", set()),
        ("broken.Mine", set()),
        ("nowhere.Mine", set()),
        ("pkg", set()),
    ],
)
def test_the_defining_modules_count_and_what_they_import_that_is_nobodys_library(folder, target, expected):
    assert files(target) == expected
    assert not {"beside", "pkg.shared"} & set(sys.modules) or target != "lazy.Mine"  # which only training imports


def test_classes_within_others_count_and_groups_that_shape_nothing_do_not(folder):
    assert files("cl_bench.mergers.Lines", of={"_target_": "pkg.other.Other"}) == {"pkg/other.py"}
    assert files("cl_bench.mergers.Lines", several=[{"_target_": "pkg.other.Other"}]) == {"pkg/other.py"}
    assert not code_of({"logger": {"_target_": "mine.Mine"}}, ["merger", "trainer"])["outside"]


def test_every_byte_counts_and_the_place_does_not(folder, tmp_path_factory, monkeypatch):
    before = code("mine.Mine")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere)
    monkeypatch.syspath_prepend(elsewhere)
    forget("mine", "helper")
    assert code("mine.Mine") == before
    with (elsewhere / "helper.py").open("a") as file:
        file.write("# a comment\n")
    forget("mine", "helper")
    after = code("mine.Mine")
    assert after["outside"]["mine.py"] == before["outside"]["mine.py"]
    assert changes(before, after) == ["helper.py"]


def forget(*names):
    for name in names:
        del sys.modules[name]


def test_what_is_edited_while_the_process_runs_counts_when_it_is_imported_anew(folder):
    """A sweep's later jobs run the code that its first one has imported."""
    before = code("mine.Mine"), code("lazy.Mine")
    for name in ("mine.py", "helper.py", "lazy.py"):
        with (folder / name).open("a") as file:
            file.write("\n")
    assert (code("mine.Mine"), code("lazy.Mine")) == before
    importlib.reload(sys.modules["helper"])
    assert changes(before[0], code("mine.Mine")) == ["helper.py"]


def test_an_installed_package_counts_where_it_was_made_for_this_one(folder, monkeypatch):
    modules = {
        "theirs/__init__.py": "",
        "theirs/method.py": "from cl_bench.mergers import Last\nfrom theirs import tools\nclass Mine(Last): pass\n",
        "theirs/tools.py": "",
        "library.py": "class Optimizer: pass\n",
    }
    write(folder / "site-packages", modules)
    monkeypatch.syspath_prepend(folder / "site-packages")
    assert files("theirs.method.Mine") == {"theirs/method.py", "theirs/tools.py"}
    assert files("library.Optimizer") == set()


def test_what_is_no_python_counts_by_its_bytes_and_what_was_typed_in_is_warned_of(folder, monkeypatch):
    compiled = types.ModuleType("compiled")
    compiled.__file__ = str(folder / "compiled.so")
    (folder / "compiled.so").write_bytes(b"\x7fELF\x00")
    compiled.Mine = type("Mine", (), {"__module__": "compiled"})
    monkeypatch.setitem(sys.modules, "compiled", compiled)
    assert files("compiled.Mine") == {"compiled.so"}
    typed = types.ModuleType("typed")
    typed.Mine = type("Mine", (), {"__module__": "typed"})
    monkeypatch.setitem(sys.modules, "typed", typed)
    assert files("typed.Mine") == set()
    config = {"merger": {"_target_": "typed.Mine"}, "trainer": {"_target_": "compiled.Mine"}, "logger": {"_target_": 0}}
    assert unseen(config, ["merger", "trainer"]) == ["merger._target_=typed.Mine"]


class Twice(trainers.EWC):
    version: ClassVar[int] = 2


def test_versions_are_those_of_a_class_and_its_bases_also_within_others():
    assert code("cl_bench.mergers.Last")["versions"] == {"merger": [["Merger", mergers.Merger.version]]}
    config = {"trainer": {"_target_": f"{__name__}.Twice"}}
    assert code_of(config, ["trainer"])["versions"]["trainer"][0] == ["Twice", 2]
    inner = {"_target_": "cl_bench.mergers.Rescale", "of": {"_target_": "cl_bench.mergers.Last"}}
    assert list(code("cl_bench.mergers.Lines", of=inner)["versions"]) == ["merger", "merger.of", "merger.of.of"]
    assert "tests/runtime/test_source_code.py" in code_of(config, ["trainer"])["outside"]


def test_changes_are_told_by_file_and_by_class():
    one = {"outside": {"a.py": "1", "b.py": "1"}, "versions": {"trainer": [["EWC", 1], ["TaskTrainer", 1]]}}
    other = {"outside": {"a.py": "1", "b.py": "2", "c.py": "1"}, "versions": {"trainer": [["TaskTrainer", 2]]}}
    assert changes(one, other) == ["b.py", "c.py", "EWC (version 1, now None)", "TaskTrainer (version 1, now 2)"]
    assert changes(one, one) == changes({}, {}) == []


def test_a_package_that_is_found_by_a_hook_counts_as_editable_installs_have_it(folder, monkeypatch):
    hidden = folder / "src"
    write(hidden, {"hooked/__init__.py": "", "hooked/mine.py": "from hooked import more\nclass Mine: pass\n",
                   "hooked/more.py": ""})  # fmt: skip

    class Hook:
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            if name != "hooked":
                return None
            place = hidden / "hooked" / "__init__.py"
            return importlib.util.spec_from_file_location(name, place, submodule_search_locations=[str(place.parent)])

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Hook])
    assert files("hooked.mine.Mine") == {"hooked/mine.py", "hooked/more.py"}


def test_the_projects_own_classes_have_no_outside_code():
    assert outside(*(getattr(trainers, name) for name in trainers.__all__ if name[0].isupper())) == {}
    assert outside(mergers.Last, digits.load) == {}
