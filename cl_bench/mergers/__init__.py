"""Ways to make one model of many: each merger folds task vectors into one, a tensor at a time.

``MagMax(scaling=0.5).merge(pretrained, finetuned)`` merges all tasks at once;
``RunningMerge(MagMax(scaling=0.5), pretrained)`` does the same task by task.
"""

from cl_bench.mergers.average import Average
from cl_bench.mergers.base import Merger, RunningMerge
from cl_bench.mergers.cmm import CMM
from cl_bench.mergers.cofima import CoFiMA
from cl_bench.mergers.fisher import Fisher
from cl_bench.mergers.last import Last
from cl_bench.mergers.magmax import MagMax
from cl_bench.mergers.rand_mix import RandMix
from cl_bench.mergers.regmean import RegMean
from cl_bench.mergers.task_arithmetic import TaskArithmetic
from cl_bench.mergers.ties import Ties

__all__ = [
    "CMM",
    "Average",
    "CoFiMA",
    "Fisher",
    "Last",
    "MagMax",
    "Merger",
    "RandMix",
    "RegMean",
    "RunningMerge",
    "TaskArithmetic",
    "Ties",
]
