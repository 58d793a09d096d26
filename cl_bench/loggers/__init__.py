"""Loggers: one entry per run, whatever the number of tasks. CSV and TensorBoard are Lightning's own."""

from cl_bench.loggers.logged import log_metrics, logged

__all__ = ["log_metrics", "logged"]
