"""MLflow with its store in a file: all runs of a store in one, and no server."""

import importlib.util
import os
from pathlib import Path

from filelock import FileLock
from pytorch_lightning.loggers import MLFlowLogger

from cl_bench.loggers.run_name import run_name
from cl_bench.runtime.errors import UserError
from cl_bench.store import permissions


class Mlflow(MLFlowLogger):
    """One MLflow run for each run; `mlflow ui --backend-store-uri sqlite:///store/mlflow.db` shows them.

    Args:
        save_dir: The run's folder, a part of the run's name.
        database: The SQLite file of MLflow's local store, which runs share; made where there is none. (Its store of
            plain files, `mlruns`, is no longer offered by MLflow.)
        experiment: Under which runs are kept together.

    Raises:
        UserError: `mlflow` is not installed, or the database is not ours to write.
    """

    def __init__(self, save_dir: Path, database: Path, experiment: str = "cl_bench"):
        if importlib.util.find_spec("mlflow") is None:
            raise UserError("logger=mlflow needs the package mlflow: pip install -e '.[loggers]'")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # how it makes its tables is of no interest
        _make(database.resolve(), experiment)
        super().__init__(experiment, tracking_uri=_uri(database.resolve()))
        self._folder = save_dir

    def call(self, scenario: str) -> None:
        """Names the run, which MLflow gets to know with the first thing that is logged."""
        self._run_name = run_name(scenario, self._folder)


def _make(database: Path, experiment: str) -> None:
    """Makes the tables and the experiment; of processes that begin at the same time, all but one would fail at it."""
    from mlflow import MlflowClient

    with permissions.explained("logger.database=…"):
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{database}.lock"):
            database.open("ab").close()
            client = MlflowClient(_uri(database))
            if client.get_experiment_by_name(experiment) is None:
                client.create_experiment(experiment)


def _uri(database: Path) -> str:
    return f"sqlite:///{database}"
