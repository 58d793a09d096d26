"""The beginning and the end of what a logger is told of a run."""

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
    """Logs the resolved configuration and what is measured, once, and closes the logger at the end, however it comes.

    A logger that is left open would take in the next run of the same process, too; and what a run that was killed has
    logged in the same folder would mix with this one's.
    """
    if distributed.is_main():
        if logger.log_dir is not None:
            _clear(Path(logger.log_dir))
        with explained(logger):
            if isinstance(logger, Named):
                logger.call(scenario)
            logger.log_hyperparams({**config, "measured": scenario})
    try:
        yield
    except BaseException:
        logger.finalize("failed")
        raise
    logger.finalize("success")


@contextmanager
def explained(logger: Logger) -> Iterator[None]:
    """Turns what a logger raises into one message: its settings, its server or its folder are the user's to mend."""
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
