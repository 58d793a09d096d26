"""MLflow with a local database that all runs share, without a server."""

import importlib.util
import os
from pathlib import Path

from filelock import FileLock
from pytorch_lightning.loggers import MLFlowLogger

from cl_bench.loggers.run_name import run_name
from cl_bench.runtime.commands import install_extra
from cl_bench.runtime.errors import UserError
from cl_bench.store import permissions


class Mlflow(MLFlowLogger):
    """One MLflow run for each run; `mlflow ui --backend-store-uri sqlite:///store/mlflow.db` shows them.

    Args:
        save_dir: The run's folder, which is part of the run's name.
        database: The SQLite file of MLflow's local store, which runs share; created where there is none. (MLflow no
            longer offers its store of plain files, `mlruns`.)
        experiment: Name of MLflow's experiment, which groups runs.

    Raises:
        UserError: `mlflow` is not installed, or the database cannot be written.
    """

    def __init__(self, save_dir: Path, database: Path, experiment: str = "cl_bench"):
        if importlib.util.find_spec("mlflow") is None:
            raise UserError(f"logger=mlflow needs the package mlflow: {install_extra('loggers')}")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # without messages about the creation of its tables
        _make(database.resolve(), experiment)
        super().__init__(experiment, tracking_uri=_uri(database.resolve()))
        self._folder = save_dir

    def call(self, scenario: str) -> None:
        """Names the run; called before anything is logged, which creates MLflow's run."""
        self._run_name = run_name(scenario, self._folder)


def _make(database: Path, experiment: str) -> None:
    """Creates tables and experiment under a lock, since processes that start together would fail at it."""
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
