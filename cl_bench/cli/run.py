"""The command `cl-bench run`: one experiment, or with `-m` one for each combination of settings."""

import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from cl_bench.launching import command_line, composition, messages, multirun, slurm, sweep
from cl_bench.launching.resolved import check_objective, is_searched, resolved
from cl_bench.runtime import setting_names, signals
from cl_bench.runtime.configurations import CONF
from cl_bench.runtime.errors import UserError, is_hydras, unwritable


def main(arguments: Sequence[str]) -> int:
    """Runs, and turns every mistake of the user's into one message; a sweep ends with a table and a list of failures.

    Args:
        arguments: What was typed after the command. Hydra reads them from `sys.argv`, where they are, too.

    Returns:
        The exit code: 2 where the user has something to mend, 1 where runs of a sweep failed otherwise.
    """
    sys.argv[1:] = command_line.completed(arguments)
    Sweeper.validate_batch_is_legal = multirun.look_ahead  # type: ignore[method-assign, assignment]
    sweep.begin()
    signals.before_end(sweep.end_workers)
    end = None
    try:
        command_line.check(sys.argv[1:])
        composition.install(command_line.config_dir(sys.argv[1:]))
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job)()
    except signals.Stopped:
        sweep.failures()  # each was reported when it failed; what the signal stopped is none
        raise
    except Exception as error:
        end = error
    return _conclude(end)


def job(config: DictConfig) -> float | None:
    """Does one run, alone or in a sweep, where this may be another process than the one that `main` runs in.

    Args:
        config: As Hydra composed it.

    Returns:
        What a sweeper may optimize; see `launch`.
    """
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return _job_of_sweep(config)
    from cl_bench.launching.launch import launch

    try:
        with setting_names.as_typed(config):
            return launch(resolved(config), Path(HydraConfig.get().runtime.output_dir))
    except (UserError, OSError) as error:
        reason = str(error) if isinstance(error, UserError) else unwritable(error, sweep.FOLDERS)
        if config.debug or reason is None:
            raise
        print(f"Error: {reason}", file=sys.stderr)
        sys.exit(2)


def _job_of_sweep(config: DictConfig) -> float | None:
    from cl_bench.launching.launch import launch, objective

    settings = HydraConfig.get()
    number, folder = settings.job.num, Path(settings.runtime.output_dir)
    check_objective(config)
    with sweep.job(number, settings.overrides.task, config.debug), setting_names.as_typed(config):
        jobs = multirun.become_worker(settings.runtime.choices["hydra/launcher"], settings.launcher)
        plain = resolved(config)
        done = sweep.result(plain, folder)
        searched = is_searched()
        value = launch(plain, folder, jobs, searched) if done is None else objective(done, searched)
        sweep.note_result(number, folder)
        return value
    return None


def _conclude(end: Exception | None) -> int:
    """Prints what remains to be said of a command, and returns its exit code.

    Args:
        end: What ended it early.

    Raises:
        Exception: `end`, where it is a fault of the program.
    """
    code, done, failed = 0, sweep.results(), sweep.failures()
    if end is not None:
        reason = _reason(end)
        if reason is None and not failed:
            raise end
        broken_off = f"The sweep was broken off: {type(end).__name__}: {end}"
        print(broken_off if reason is None else f"Error: {reason}", file=sys.stderr)
        code = 2
    if done:
        from cl_bench.reports.commands.table import print_sweep

        print_sweep(done)
    if failed:
        print(f"\n{len(failed)} failed:", file=sys.stderr)
        for failure in failed:
            print(f"  {failure.overrides}\n    {failure.reason}", file=sys.stderr)
        code = 2 if all(failure.mistake for failure in failed) else 1
    return code


def _reason(error: Exception) -> str | None:
    """What the user has to mend about an error that ended the command; None where it is a fault of the program."""
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return messages.message(error)
    if isinstance(error, OSError):  # Hydra makes folders before any job begins
        return unwritable(error, sweep.FOLDERS)
    if (refusal := slurm.refusal(error)) is not None:
        return refusal
    return messages.message(error) if is_hydras(error) else None
