"""The command line: composes and resolves the configuration and hands plain data to `cl_bench`."""

from cl_bench.runtime import signals

signals.handle()

import gc
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from cl_bench.launching import slurm
from cl_bench.runtime import terminal
from cl_bench.runtime.quick_exit import quick_exit

gc.disable()  # imports make half a million objects and no garbage; from `cl_bench.launching.launch` on it is collected
os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on, for `main` to print
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # threads that spin for long crawl where others want the cores, too
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # batches of images lie in huge pages: made in half the time
_ROOT = Path(__file__).resolve().parent
os.environ["CL_BENCH_ROOT"] = str(_ROOT)
OmegaConf.register_new_resolver("gpus_per_node", slurm.gpus_per_node, replace=True)
_LOCAL = ("basic", "joblib", "submitit_local")  # launchers whose jobs run on this machine


@hydra.main(version_base="1.3", config_path=str(_ROOT / "conf"), config_name="config")
def job(config: DictConfig) -> float | None:
    """One run, alone or in a sweep, where it may happen in another process."""
    from cl_bench.launching import sweep
    from cl_bench.launching.launch import launch, objective
    from cl_bench.runtime import setting_names
    from cl_bench.runtime.errors import UserError, unwritable

    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    if hydra_config.mode == RunMode.MULTIRUN:
        _check_objective(config)
        with sweep.job(hydra_config.job.num, hydra_config.overrides.task, config.debug), setting_names.as_typed(config):
            jobs = _become_worker(hydra_config.runtime.choices["hydra/launcher"], hydra_config.launcher)
            plain = _plain(config)
            done = sweep.result(plain, folder)
            value = launch(plain, folder, jobs) if done is None else objective(done)
            sweep.note_result(hydra_config.job.num, folder)
            return value
        return None
    try:
        with setting_names.as_typed(config):
            return launch(_plain(config), folder)
    except (UserError, OSError) as error:
        reason = str(error) if isinstance(error, UserError) else unwritable(error, sweep.FOLDERS)
        if config.debug or reason is None:
            raise
        print(f"Error: {reason}", file=sys.stderr)
        sys.exit(2)


def _become_worker(launcher: str, settings: DictConfig) -> int:
    """Makes ready a process that another launcher than `basic` has started; how many of them this machine has."""
    from cl_bench.launching import gpu_claim, sweep

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
    return _at_a_time(launcher, settings)


def _at_a_time(launcher: str, settings: DictConfig) -> int:
    """Runs that a sweep does on this machine at the same time."""
    from cl_bench.runtime.cores import available_cores

    if launcher != "joblib":
        return 1
    if settings.n_jobs == 0:
        raise HydraException("hydra.launcher.n_jobs=0 does no run; 1 does one after the other, -1 one for each core.")
    return settings.n_jobs if settings.n_jobs > 0 else max(1, available_cores() + 1 + settings.n_jobs)


def _look_ahead(sweeper: Sweeper, batch: Sequence[Sequence[str]]) -> None:
    """Takes the place of Hydra's own look at the jobs to come, which composes them and nothing more.

    Raises:
        HydraException: Some cannot be done; names them all.
    """
    from cl_bench.launching import look_ahead

    def compose(number: int, overrides: Sequence[str]) -> tuple[dict[str, Any], Path]:
        config = sweeper.hydra_context.config_loader.load_sweep_config(sweeper.config, list(overrides))
        with open_dict(config):
            config.hydra.job.num = config.hydra.job.id = number
        HydraConfig.instance().set_config(config)
        folder = Path(config.hydra.sweep.dir) / config.hydra.sweep.subdir
        with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
            config.hydra.runtime.output_dir = str(folder.resolve())
        HydraConfig.instance().set_config(config)  # which keeps a copy
        return _plain(OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])), folder

    if sweeper.batch_index > 1:
        return  # hydra.sweeper.max_batch_size: they were looked at with the first
    jobs = [job for batch in sweeper.overrides for job in batch]
    settings = sweeper.config.hydra
    launcher = settings.runtime.choices["hydra/launcher"]
    found = look_ahead.check(jobs, compose, launcher in _LOCAL, _at_a_time(launcher, settings.launcher))
    HydraConfig.instance().cfg = None
    if found.mistakes:
        raise HydraException(look_ahead.told(found.mistakes, len(jobs), "are wrong, so none was started:"))
    if found.absent:
        text = look_ahead.told(found.absent, len(jobs), "will fail where they find no more than is here:")
        print(f"Warning: {text}", file=sys.stderr)


def _plain(config: DictConfig) -> dict[str, Any]:
    from cl_bench.launching.command_line import check_names
    from cl_bench.store.plain import text_keys

    _check_warmup(config)
    plain: dict[str, Any] = text_keys(OmegaConf.to_container(config, resolve=True))
    choices = HydraConfig.get().runtime.choices
    plain["choices"] = {group: choice for group, choice in choices.items() if "/" not in group}
    check_names(plain)
    return plain


def _check_objective(config: DictConfig) -> None:
    """Optuna gets to see validation images only; without them the sweep ends here, before anything is trained."""
    if HydraConfig.get().runtime.choices["hydra/sweeper"] == "optuna" and config.evaluation.split != "validation":
        raise HydraException(
            "hydra/sweeper=optuna would choose settings on test images; "
            "add evaluation.split=validation scenario.validation_share=0.2."
        )


def _check_warmup(config: DictConfig) -> None:
    """A warm-up that was asked for in steps must not lose, without a word, to a ratio that the backbone brings."""
    if "optim.warmup_steps" not in {override.partition("=")[0] for override in HydraConfig.get().overrides.task}:
        return
    if (ratio := OmegaConf.select(config, "optim.warmup_ratio")) is not None:
        raise HydraException(
            f"optim.warmup_steps={config.optim.warmup_steps} does not count beside optim.warmup_ratio={ratio}; "
            "add optim.warmup_ratio=null."
        )


def main() -> None:
    """Runs; mistakes of the user's get one message and exit code 2.

    A sweep ends with a table of its runs, and a list of those that failed.
    """
    from cl_bench.launching import command_line, composition, sweep

    sys.argv[1:] = command_line.completed(sys.argv[1:])
    Sweeper.validate_batch_is_legal = _look_ahead
    sys.path.append(os.getcwd())  # where one's own classes lie; last, so that they hide nothing
    composition.install()
    sweep.begin()
    signals.before_end(sweep.end_workers)
    code, end = 0, None
    try:
        command_line.check(sys.argv[1:])
        job()
    except signals.Stopped:
        sweep.failures()  # each was told when it failed; what the signal stopped is none
        raise
    except Exception as error:
        end = error
    done, failed = sweep.results(), sweep.failures()
    if end is not None:
        if (reason := _reason(end)) is None and not failed:
            raise end
        told = f"Error: {reason}" if reason else f"The sweep was broken off: {type(end).__name__}: {end}"
        print(told, file=sys.stderr)
        code = 2
    if done:
        from cl_bench.reports.printed import print_sweep

        print_sweep(done)
    if failed:
        print(f"\n{len(failed)} failed:", file=sys.stderr)
        for failure in failed:
            print(f"  {failure.overrides}\n    {failure.reason}", file=sys.stderr)
        code = 2 if all(failure.mistake for failure in failed) else 1
    if code:
        sys.exit(code)


def _reason(error: Exception) -> str | None:
    """What people are told of an error that has ended the command; None where it is one of the program's own."""
    from cl_bench.launching import command_line, sweep
    from cl_bench.runtime.errors import is_hydras, unwritable

    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return command_line.message(error)
    if isinstance(error, OSError):  # Hydra makes folders before any job begins
        return unwritable(error, sweep.FOLDERS)
    if (refusal := slurm.refusal(error)) is not None:
        return refusal
    return command_line.message(error) if is_hydras(error) else None


if __name__ == "__main__":
    with quick_exit():
        main()
