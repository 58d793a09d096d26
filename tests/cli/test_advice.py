"""Settings and commands that messages name are ones that there are, under the names by which they are typed."""

import ast
import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from cl_bench.datasets.__main__ import main as datasets
from cl_bench.datasets.releases.catalog import release
from cl_bench.experiment import scenario
from cl_bench.runtime.commands import COMMANDS, install_extra
from cl_bench.runtime.instantiate import arguments_of
from tests.conftest import ROOT

CONF = ROOT / "conf"
GROUPS = sorted(folder.name for folder in CONF.iterdir() if folder.is_dir() and folder.name != "hydra")
_SETTING = re.compile(rf"(?<![\w./-])(?:{'|'.join(GROUPS)})(?:\.[a-z_]+)+(?![\w.]*\()")
_CHOICE = re.compile(rf"(?<![\w./@-])({'|'.join(GROUPS)})=([a-z]\w*)")
_COMMAND = re.compile(r"python -m ([\w.]+)")


def _messages() -> Iterator[tuple[str, str]]:
    """Every text of the code that is no docstring, with where it stands; values that are filled in are `{}`."""
    for path in sorted((ROOT / "cl_bench").rglob("*.py")):
        tree = ast.parse(path.read_text())
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            if node.body and isinstance(node.body[0], ast.Expr)
        }
        within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.JoinedStr):
                yield where, "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
            elif (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in {*docstrings, *within}
            ):
                yield where, node.value


@pytest.fixture(scope="module")
def messages():
    return [(where, text) for where, text in _messages() if " " in text]


def _settings_of_files() -> set[str]:
    """Every setting of every choice, and every argument of the classes that they name."""
    found: set[str] = set()

    def take(node, where):
        if isinstance(node, dict):
            found.update(f"{where}.{name}" for name in arguments_of(node.get("_target_", "")))
            for key, value in node.items():
                found.add(f"{where}.{key}")
                take(value, f"{where}.{key}")

    for path in CONF.rglob("*.yaml"):
        group, text = path.parent.relative_to(CONF).as_posix(), path.read_text()
        content = yaml.safe_load(text) or {}
        if text.startswith("# @package _global_") or path == CONF / "config.yaml":
            for key, value in content.items():
                take(value, key)
        elif group in GROUPS:
            take(content, group)
    return found


def test_settings_that_messages_name_are_there(messages):
    known, named = _settings_of_files(), 0
    for where, text in messages:
        for setting in _SETTING.findall(text):
            named += 1
            assert setting.rstrip(".") in known, (where, text)
    assert named > 50


def test_no_message_names_an_order_by_where_it_is_filled_in(messages):
    written = {"cl_bench/scenarios/order.py"}  # whose names `setting_names.told` replaces
    for where, text in messages:
        inside = re.search(r"scenario\.\w+_order|dataset_order|domain_order|class_order", text)
        assert not inside or where.partition(":")[0] in written or " " not in text.strip(), (where, text)


def test_settings_of_hydra_that_messages_name_are_there(messages):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", ["hydra/launcher=joblib"], return_hydra_config=True)
    named = {setting for _, text in messages for setting in re.findall(r"hydra\.[a-z_]+(?:\.[a-z_]+)+(?=[= ])", text)}
    assert {"hydra.run.dir", "hydra.sweep.dir", "hydra.launcher.n_jobs"} <= named
    for setting in named:
        parent, _, last = setting.rpartition(".")
        assert last in OmegaConf.select(config, parent), setting


def test_choices_that_messages_name_are_there(messages):
    named = [(where, *found) for where, text in messages for found in _CHOICE.findall(text)]
    assert len(named) >= 8
    for where, group, choice in named:
        assert (CONF / group / f"{choice}.yaml").exists(), (where, group, choice)


def test_modules_that_messages_name_can_be_started(messages):
    modules = {module for _, text in messages for module in _COMMAND.findall(text)}
    modules |= {command.module.removesuffix(".__main__") for name, command in COMMANDS.items() if name != "run"}
    assert {"cl_bench.datasets", "cl_bench.merge", "cl_bench.analyses", "cl_bench.reports"} <= modules
    for module in modules:
        spec = find_spec(module)
        assert spec.submodule_search_locations is None or find_spec(f"{module}.__main__"), module


def test_extras_that_are_advised_are_there_quoted_for_every_shell_and_need_no_checkout(messages):
    extras = re.search(r"\[project\.optional-dependencies\](.*?)\n\[", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    call = re.compile(r"install_extra\(.(\w+).\)")
    advised = [(path, name) for path, text in _sources() for name in call.findall(text)]
    assert {name for _, name in advised} == {"sweeps", "lora", "loggers", "report", "pcam", "photos"}
    for path, name in advised:
        assert re.search(rf"^{name} = ", extras.group(1), re.MULTILINE), path
    assert install_extra("lora") == "pip install 'cl_bench[lora]'"
    assert [(where, text) for where, text in messages if "pip install" in text] == [
        (where, text) for where, text in messages if text == "pip install 'cl_bench[{}]'"
    ]


def _sources() -> Iterator[tuple[Path, str]]:
    return ((path, path.read_text()) for path in sorted((ROOT / "cl_bench").rglob("*.py")))


def test_what_messages_advise_has_no_brackets_that_a_shell_takes_for_redirections(messages):
    advice = re.compile(r"(python -m|run\.py|[\w.]=)\S*<[a-z]")
    assert not [(where, text) for where, text in messages if advice.search(text) and "reports/page" not in where]


# Commands carry the folder in use.


@pytest.mark.parametrize(
    ("folder", "typed"), [("data", ""), ("my data", " --data-dir 'my data'"), ("/a", " --data-dir /a")]
)
def test_the_warning_of_other_sizes_has_a_command_with_the_folder_in_use(caplog, monkeypatch, folder, typed):
    class Scenario:
        datasets = (type("Data", (), {"name": "gtsrb"}),)

    monkeypatch.setattr(scenario, "sizes", lambda release, data: ["1 class"])
    scenario.warn_of_other_sizes(Scenario, folder)
    assert caplog.text.endswith(f": python -m cl_bench.datasets verify gtsrb{typed}\n")


def test_what_is_advised_for_missing_data_can_be_pasted(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert datasets(["--data-dir", "my data", "verify", "cifar100"]) == 2
    told = capsys.readouterr().err
    command = re.search(r"Get it with: python -m cl_bench\.datasets (.*)", told).group(1)
    assert shlex.split(command) == ["download", "cifar100", "--data-dir", "my data"]
    assert "name the folder that holds cifar-100-python: --data-dir …" in told and "paths." not in told
    assert "paths.data_dir=…" in release("cifar100").remedy(tmp_path)  # where a run says it
