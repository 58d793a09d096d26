"""Ways to make one model of many: each merger folds task vectors into one, a tensor at a time.

``MagMax(scaling=0.5).merge(pretrained, finetuned)`` merges all tasks at once;
``RunningMerge(MagMax(scaling=0.5), pretrained)`` does the same task by task.
"""

from cl_bench.mergers.average import Average
from cl_bench.mergers.breadcrumbs import Breadcrumbs
from cl_bench.mergers.cmm import CMM
from cl_bench.mergers.cofima import CoFiMA
from cl_bench.mergers.consensus import Consensus
from cl_bench.mergers.dare import Dare
from cl_bench.mergers.della import Della
from cl_bench.mergers.dop import DOP
from cl_bench.mergers.ema import EMA
from cl_bench.mergers.engine.base import Merger
from cl_bench.mergers.engine.running import RunningMerge
from cl_bench.mergers.fisher import Fisher
from cl_bench.mergers.iso_c import IsoC
from cl_bench.mergers.iso_cts import IsoCTS
from cl_bench.mergers.last import Last
from cl_bench.mergers.lines import Lines
from cl_bench.mergers.magmax import MagMax
from cl_bench.mergers.model_stock import ModelStock
from cl_bench.mergers.opcm import OPCM
from cl_bench.mergers.pcb import PCB
from cl_bench.mergers.rand_mix import RandMix
from cl_bench.mergers.regmean import RegMean
from cl_bench.mergers.rescale import Rescale
from cl_bench.mergers.svc import SVC
from cl_bench.mergers.task_arithmetic import TaskArithmetic
from cl_bench.mergers.ties import Ties
from cl_bench.mergers.tsv import TSV
from cl_bench.mergers.wudi import Wudi

__all__ = [
    "CMM",
    "DOP",
    "EMA",
    "OPCM",
    "PCB",
    "SVC",
    "TSV",
    "Average",
    "Breadcrumbs",
    "CoFiMA",
    "Consensus",
    "Dare",
    "Della",
    "Fisher",
    "IsoC",
    "IsoCTS",
    "Last",
    "Lines",
    "MagMax",
    "Merger",
    "ModelStock",
    "RandMix",
    "RegMean",
    "Rescale",
    "RunningMerge",
    "TaskArithmetic",
    "Ties",
    "Wudi",
]
