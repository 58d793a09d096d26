"""Where a run is logged: one entry per run, whatever the number of tasks; CSV and TensorBoard are Lightning's own."""

from cl_bench.loggers.logged import explained, logged

__all__ = ["explained", "logged"]
