"""What a run tells its logger: its settings at the beginning, metrics on the way, and how it ended."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

from cl_bench.loggers.run_name import Named
from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError

_FILES = ("metrics.csv", "hparams.yaml", "events.out.tfevents.*")


@contextmanager
def logged(logger: Logger, config: Mapping[str, Any], scenario: str) -> Iterator[None]:
    """Logs the resolved configuration and the scenario's name once, and closes the logger at the end of the run.

    The logger is closed however the run ends: one that stays open would also record the next run of the same process.
    Files that an earlier run left in the same folder are removed first, so that the two do not mix.

    Raises:
        UserError: The logger fails.
    """
    if distributed.is_main():
        if logger.log_dir is not None:
            _clear(Path(logger.log_dir))
        with _explained(logger):
            if isinstance(logger, Named):
                logger.call(scenario)
            logger.log_hyperparams({**config, "measured": scenario})
    try:
        yield
    except BaseException:
        logger.finalize("failed")
        raise
    logger.finalize("success")


def log_metrics(logger: Logger, metrics: Mapping[str, float], step: int, save: bool = False) -> None:
    """Logs numbers at a step.

    Args:
        logger: Gets them.
        metrics: The numbers by name.
        step: Steps of all tasks so far.
        save: Whether the logger writes them to disk at once.

    Raises:
        UserError: The logger fails.
    """
    with _explained(logger):
        logger.log_metrics(dict(metrics), step=step)
        if save:
            logger.save()


@contextmanager
def _explained(logger: Logger) -> Iterator[None]:
    """Turns what a logger raises into one message, since its settings, server or folder are the user's to mend."""
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        raise UserError(
            f"{type(logger).__name__} cannot log ({type(error).__name__}: {error}). What was finished is kept; change "
            "the logger's settings, logger.…=…, or choose logger=csv."
        ) from error


def _clear(folder: Path) -> None:
    for pattern in _FILES:
        for file in folder.glob(pattern):
            file.unlink()
