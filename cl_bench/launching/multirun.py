"""What Hydra's multirun lacks: a look at all jobs before the first starts, and workers that end in good order."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from cl_bench.launching import sweep
from cl_bench.launching.resolved import resolved
from cl_bench.runtime import signals, terminal

_LOCAL = ("basic", "joblib", "submitit_local")  # launchers whose jobs run on this machine


def look_ahead(sweeper: Any, batch: Sequence[Sequence[str]]) -> None:
    """Checks all jobs of a sweep; takes the place of `Sweeper.validate_batch_is_legal`, which merely composes them.

    Args:
        sweeper: Hydra's, or a plugin's, with the jobs of its batches.
        batch: The jobs that are started next; all are looked at before the first batch.

    Raises:
        HydraException: Some cannot be done; names them all.
    """
    from cl_bench.launching.look_ahead import check, report

    if sweeper.batch_index > 1:
        return  # hydra.sweeper.max_batch_size: they were looked at with the first
    jobs = [job for batch in sweeper.overrides for job in batch]
    settings = sweeper.config.hydra
    launcher = settings.runtime.choices["hydra/launcher"]

    def compose(number: int, overrides: Sequence[str]) -> tuple[dict[str, Any], Path]:
        return _compose(sweeper, number, overrides)

    found = check(jobs, compose, launcher in _LOCAL, _runs_at_a_time(launcher, settings.launcher))
    HydraConfig.instance().cfg = None
    if found.mistakes:
        raise HydraException(report(found.mistakes, len(jobs), "are wrong, so none was started:"))
    if found.absent:
        text = report(found.absent, len(jobs), "will fail where they find no more than is here:")
        print(f"Warning: {text}", file=sys.stderr)


def _compose(sweeper: Any, number: int, overrides: Sequence[str]) -> tuple[dict[str, Any], Path]:
    """The resolved configuration of a job, and its folder."""
    config = sweeper.hydra_context.config_loader.load_sweep_config(sweeper.config, list(overrides))
    with open_dict(config):
        config.hydra.job.num = config.hydra.job.id = number
    HydraConfig.instance().set_config(config)
    folder = Path(config.hydra.sweep.dir) / config.hydra.sweep.subdir
    with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
        config.hydra.runtime.output_dir = str(folder.resolve())
    HydraConfig.instance().set_config(config)  # which keeps a copy
    return resolved(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])), folder


def become_worker(launcher: str, settings: DictConfig) -> int:
    """Prepares a process that another launcher than `basic` has started for a job.

    Args:
        launcher: The choice of `hydra/launcher`.
        settings: Of that launcher.

    Returns:
        How many such processes this machine runs at a time.
    """
    from cl_bench.launching import gpu_claim

    if launcher == "basic":
        return 1
    terminal.guard()
    if launcher != "joblib":
        signals.handle()
        signals.let_library_wait(signal.SIGUSR2)  # with which SLURM announces that a job has to make room
        return 1
    signals.handle(parent=sweep.main_process())
    sweep.note_worker()
    gpu_claim.claim()
    return _runs_at_a_time(launcher, settings)


def _runs_at_a_time(launcher: str, settings: DictConfig) -> int:
    """Runs that a sweep does on this machine at the same time."""
    from cl_bench.runtime.cores import available_cores

    if launcher != "joblib":
        return 1
    if settings.n_jobs == 0:
        raise HydraException("hydra.launcher.n_jobs=0 does no run; 1 does one after the other, -1 one for each core.")
    jobs = int(settings.n_jobs)
    return jobs if jobs > 0 else max(1, available_cores() + 1 + jobs)
