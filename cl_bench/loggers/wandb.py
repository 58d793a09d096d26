"""Weights & Biases, offline unless `logger.mode=online`."""

import importlib.util
from pathlib import Path
from typing import Literal

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from cl_bench.loggers.run_name import run_name
from cl_bench.runtime.commands import install_extra
from cl_bench.runtime.errors import UserError


class Wandb(WandbLogger):
    """One Weights & Biases run for each run, in its folder; `wandb sync` uploads it later.

    Args:
        save_dir: The run's folder, in which a folder `wandb` is created.
        mode: `offline` keeps everything in that folder; `online` needs `wandb login`.
        project: Name of the project in Weights & Biases, which groups runs.

    Raises:
        UserError: `wandb` is not installed.
    """

    def __init__(self, save_dir: Path, mode: Literal["offline", "online"] = "offline", project: str = "cl_bench"):
        if importlib.util.find_spec("wandb") is None:
            raise UserError(f"logger=wandb needs the package wandb: {install_extra('loggers')}")
        super().__init__(
            save_dir=save_dir,
            project=project,
            mode=mode,
            reinit="create_new",  # runs of a sweep share a process, and would share the first run's entry
            settings={"silent": True, "console": "off", "disable_git": True, "x_disable_stats": True},
        )
        self._wandb_init.pop("anonymous", None)  # Lightning sets it, and wandb warns that it has no effect
        self._folder = save_dir

    def call(self, scenario: str) -> None:
        """Names the run; called before anything is logged, which creates wandb's run."""
        self._wandb_init["name"] = run_name(scenario, self._folder)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Writes what is left and closes the run, which Lightning would leave to the end of the process."""
        super().finalize(status)
        self.experiment.finish(exit_code=0 if status == "success" else 1)
