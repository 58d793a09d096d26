"""Checks one's own mergers, trainers and data sets against what this project's own have to keep."""

from cl_bench.testing.dataset import check_dataset
from cl_bench.testing.merger import check_merger
from cl_bench.testing.trainer import check_trainer

__all__ = ["check_dataset", "check_merger", "check_trainer"]
