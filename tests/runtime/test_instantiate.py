import functools
import re
from pathlib import Path

import pytest

from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import instantiate, validated

MAGMAX = "cl_bench.mergers.MagMax"


def test_arguments_are_given_and_converted_to_their_types():
    merger = instantiate({"_target_": MAGMAX, "scaling": 1}, "merger")
    assert type(merger).__name__ == "MagMax" and merger.scaling == 1.0


def test_nested_and_partial_targets():
    node = {
        "_target_": "cl_bench.trainers.Optimization",
        "optimizer": {"_target_": "torch.optim.AdamW", "_partial_": True, "weight_decay": 0.1},
        "lr": 1e-3,
        "epochs": 2,
        "batch_size": 4,
    }
    optimization = instantiate(node, "optim")
    assert isinstance(optimization.optimizer, functools.partial)
    assert optimization.optimizer.keywords == {"weight_decay": 0.1}
    assert optimization.warmup_steps == 500


@pytest.mark.parametrize(
    ("node", "named"),
    [
        ({"_target_": MAGMAX, "scalling": 1}, "merger.scalling"),
        ({"_target_": MAGMAX, "scaling": "much"}, "merger.scaling='much'"),
        ({"_target_": "cl_bench.mergers.Ties", "density": 1.5}, "merger.density=1.5"),
        ({"_target_": "cl_bench.mergers.TaskArithmetic"}, "merger.scaling is missing"),
        ({"_target_": "cl_bench.mergers.NoSuch"}, "cl_bench.mergers.NoSuch"),
        ({"_target_": "no_such_package.Merger"}, "no_such_package"),
        ({"scaling": 1}, "merger._target_"),
    ],
)
def test_mistakes_are_named(node, named):
    with pytest.raises(UserError, match=re.escape(named)):
        instantiate(node, "merger")


def test_a_tilde_is_the_home_folder_in_all_that_means_a_path(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert validated("~/a", Path, "x") == Path("/home/me/a")
    assert validated(["~/a", "b"], list[Path], "x") == [Path("/home/me/a"), Path("b")]
    assert validated([{"m": "~/a"}], list[dict[str, Path]], "x") == [{"m": Path("/home/me/a")}]
    assert validated("~/a", str | Path, "x") == "/home/me/a"
    assert validated("~/a", Path | None, "x") == Path("/home/me/a") and validated(None, Path | None, "x") is None
    assert validated(["~"], list[str], "x") == ["~"] and validated("~ {}", str, "x") == "~ {}"
    assert validated(["./a/../b"], list[Path], "x") == [Path("./a/../b")]
    with pytest.raises(UserError, match="x='~nobody_of_that_name/a' does not fit"):
        validated("~nobody_of_that_name/a", Path, "x")


def test_a_logger_writes_into_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    node = {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "~/runs"}
    assert instantiate(node, "logger").save_dir == "/home/me/runs"


def test_what_the_program_gives_is_not_asked_of_the_configuration():
    def target(a: int, b: int) -> int:
        return a + b

    globals()["given_target"] = target
    assert instantiate({"_target_": f"{__name__}.given_target", "a": 1}, "x", b=2) == 3


class Base:
    def __init__(self, first: int, second: float = 2.0) -> None:
        self.values = first, second


class Handing(Base):
    def __init__(self, *arguments, third: int = 3, **options):
        super().__init__(*arguments, **options)
        self.third = third


class Collecting:
    def __init__(self, **options):
        self.options = options


def test_options_that_are_handed_on_are_checked_against_the_class_above():
    target = f"{__name__}.Handing"
    made = instantiate({"_target_": target, "second": 4, "third": 5}, "trainer", first=1)
    assert made.values == (1, 4.0) and isinstance(made.values[1], float) and made.third == 5
    with pytest.raises(UserError, match=r"trainer\.fourth is not a setting of .*; its settings are: third, second"):
        instantiate({"_target_": target, "fourth": 4}, "trainer", first=1)
    with pytest.raises(UserError, match=r"trainer\.second='many' does not fit"):
        instantiate({"_target_": target, "second": "many"}, "trainer", first=1)
    with pytest.raises(UserError, match=r"trainer\.first is missing"):
        instantiate({"_target_": target}, "trainer")


def test_options_that_nobody_names_may_be_anything():
    assert instantiate({"_target_": f"{__name__}.Collecting", "x": 1}, "x").options == {"x": 1}


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        (None, "own_a.Median", "there is no module 'own_a' in this folder or among the installed packages."),
        ("import no_such_package", "own_b.Median", "No module named 'no_such_package' (own_b.py, line 1"),
        ("1 / 0", "own_c.Median", "ZeroDivisionError: division by zero (own_c.py, line 1, in <module>); debug=true"),
        ("class Median(:", "own_d.Median", "SyntaxError: invalid syntax (own_d.py, line 1)"),
        ("class Median: pass", "own_e.Medain", "own_e.py) has no Medain; it has: Median."),
        ("Median = 5", "own_f.Median", "is nothing that can be called"),
        ("", "statistics.Median", "statistics.py) has no Median"),
        ("", "own_h", "must be the import path of a class or function, not 'own_h'"),
        ("", "own_i..Median", "must be the import path of a class or function, not 'own_i..Median'"),
    ],
)
def test_what_cannot_be_imported_is_told(monkeypatch, tmp_path, text, target, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    if text is not None:
        (tmp_path / f"{target.partition('.')[0]}.py").write_text(text)
    with pytest.raises(UserError, match=f"^merger._target_.*{re.escape(message)}"):
        instantiate({"_target_": target}, "merger")


def test_a_type_that_is_only_imported_for_type_checkers_is_not_checked():
    def target(a: "Nowhere", b: int = 2):  # noqa: F821
        return a, b

    globals()["lazy_target"] = target
    assert instantiate({"_target_": f"{__name__}.lazy_target", "a": 1}, "x") == (1, 2)
