"""Heads: one matrix of class rows for the whole scenario, never merged."""

from cl_bench.heads.head import Head, HeadSettings
from cl_bench.heads.linear import Linear
from cl_bench.heads.prototypes import Prototypes
from cl_bench.heads.zero_shot import ZeroShot

__all__ = ["Head", "HeadSettings", "Linear", "Prototypes", "ZeroShot"]
