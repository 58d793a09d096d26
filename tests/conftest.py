"""What many tests need: the composed configuration as plain data, and the command line."""

import atexit
import gc
import json
import os
import select
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as run.py does, before torch is imported

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

gc.disable()  # as run.py does, until all is imported
ROOT = Path(__file__).resolve().parent.parent
os.environ["CL_BENCH_ROOT"] = str(ROOT)

# A run of a few seconds that has everything: two tasks of the digits, some steps each.
SHORT = ("scenario.tasks=2", "optim.epochs=1", "lightning.limit_train_batches=3", "lightning=cpu")


def pytest_collection_finish():
    """A million objects of imports and tests are there to stay; each run's own collections would go through them."""
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)


@pytest.fixture
def configure(tmp_path):
    """Composes the configuration as `run.py` does: plain data, with the store in the test's own folder."""

    def configure(*overrides: str) -> dict:
        own = [f"paths.store_dir={tmp_path / 'store'}", f"logger.save_dir={tmp_path / 'run'}"]
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose("config", [*own, *overrides])
        return OmegaConf.to_container(config, resolve=True)

    return configure


@pytest.fixture(scope="session")
def command(tmp_path_factory):
    """Runs `python …` in a process that begins with all its imports done, which would take most of the suite's time."""
    outputs = [tmp_path_factory.mktemp("outputs") / name for name in ("out", "err")]
    warm = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "warm.py"), str(ROOT)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip

    def command(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        request = {"arguments": arguments, "cwd": str(cwd), "env": env or dict(os.environ)}
        request |= dict(zip(("out", "err"), map(str, outputs), strict=True))
        print(json.dumps(request), file=warm.stdin, flush=True)
        ready, _, _ = select.select([warm.stdout], [], [], 600)
        if not ready:
            os.killpg(warm.pid, signal.SIGKILL)
            raise TimeoutError(f"{arguments} took over 600 seconds")
        code = int(warm.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, *(path.read_text() for path in outputs))

    yield command
    warm.stdin.close()
    warm.wait()


@pytest.fixture
def run_py(command, tmp_path):
    """Runs `python run.py …` from a folder of its own, where it leaves store and outputs."""
    return partial(command, str(ROOT / "run.py"), cwd=tmp_path)


@pytest.fixture
def cold_run_py(tmp_path):
    """The same in a process that begins with nothing, as the user's does."""

    def run_py(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, str(ROOT / "run.py"), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)

    return run_py
