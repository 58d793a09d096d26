"""What many tests need: the composed configuration as plain data, and the command line."""

import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as run.py does, before torch is imported

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parent.parent
os.environ["CL_BENCH_ROOT"] = str(ROOT)

# A run of a few seconds that has everything: two tasks of the digits, some steps each.
SHORT = ("scenario.tasks=2", "optim.epochs=1", "lightning.limit_train_batches=3", "lightning=cpu")


@pytest.fixture
def configure(tmp_path):
    """Composes the configuration as `run.py` does: plain data, with the store in the test's own folder."""

    def configure(*overrides: str) -> dict:
        own = [f"paths.store_dir={tmp_path / 'store'}", f"logger.save_dir={tmp_path / 'run'}"]
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose("config", [*own, *overrides])
        return OmegaConf.to_container(config, resolve=True)

    return configure


@pytest.fixture
def run_py(tmp_path):
    """Runs `python run.py …` from a folder of its own, where it leaves store and outputs."""

    def run_py(*arguments: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, str(ROOT / "run.py"), *arguments],
            cwd=tmp_path, capture_output=True, text=True, timeout=600, **options,
        )  # fmt: skip

    return run_py
