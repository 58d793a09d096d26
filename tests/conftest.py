"""What many tests need: the composed configuration as plain data, and the command line."""

import re
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from cl_bench.launching import composition
from cl_bench.runtime import process
from tests.helpers.commands import Commands

composition.install()  # as the commands do
process.tune()  # as they do; nothing above imports torch
ROOT = Path(__file__).resolve().parent.parent

_SOMEWHERE = "/somewhere"

FEW_STEPS = ("optim.epochs=1", "lightning.limit_train_batches=3", "lightning=cpu")
FEW_TESTED = "+dataset.test=90"  # of the digits, where the accuracy does not matter

# A run of a few seconds that has everything: two tasks of the digits, some steps each.
SHORT = ("scenario.tasks=2", FEW_TESTED, *FEW_STEPS)

# Little to go through where a trainer, a merger or an analysis goes through all training images.
FEW_IMAGES = "scenario.validation_share=0.9"


def configuration(folder: Path, *overrides: str) -> dict:
    """What `run.py` composes, as plain data, with store and outputs in a folder."""
    return _moved(_composed(overrides), str(folder))


@cache
def _composed(overrides: tuple[str, ...]) -> dict:
    """Many tests want the same one, and to compose it takes 75 ms."""
    own = [f"paths.store_dir={_SOMEWHERE}/store", f"logger.save_dir={_SOMEWHERE}/run"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*own, *overrides])
    return OmegaConf.to_container(config, resolve=True)


def _moved(node, folder: str):
    """A copy, in which the test's own folder stands for the place that all tests share."""
    if isinstance(node, dict):
        return {key: _moved(value, folder) for key, value in node.items()}
    if isinstance(node, list):
        return [_moved(value, folder) for value in node]
    return node.replace(_SOMEWHERE, folder) if isinstance(node, str) else node


@pytest.fixture
def configure(tmp_path):
    """The same in the test's own folder."""
    return partial(configuration, tmp_path)


@pytest.fixture(scope="session")
def commands(tmp_path_factory):
    """Starts commands in processes that have all their imports done."""
    commands = Commands(ROOT, tmp_path_factory.mktemp("outputs"))
    yield commands
    commands.close()


@pytest.fixture(scope="session")
def command(commands):
    """Runs `python …` to its end."""
    return lambda *arguments, **options: commands.begin(*arguments, **options).completed()


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The script `cl-bench` as pip writes it: `[project.scripts]` says what it calls."""
    project = (ROOT / "pyproject.toml").read_text()
    module, function = re.search(r'^cl-bench = "(.+):(.+)"$', project, flags=re.MULTILINE).groups()
    script = tmp_path_factory.mktemp("bin") / "cl-bench"
    script.write_text(f"import sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n")
    return script


@pytest.fixture
def run_py(command, tmp_path):
    """Runs `python run.py …` from a folder of its own, where it leaves store and outputs."""
    return partial(command, str(ROOT / "run.py"), cwd=tmp_path)


@pytest.fixture
def begin_run_py(commands, tmp_path):
    """Starts the same and does not wait for it."""
    return partial(commands.begin, str(ROOT / "run.py"), cwd=tmp_path)


@pytest.fixture
def cold_run_py(tmp_path):
    """The same in a process that begins with nothing, as the user's does."""

    def run_py(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, str(ROOT / "run.py"), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)

    return run_py
