"""Reads result records; writes tables and figures."""

from cl_bench.reports.heat_maps import heat_maps
from cl_bench.reports.terminal import show

__all__ = ["heat_maps", "show"]
