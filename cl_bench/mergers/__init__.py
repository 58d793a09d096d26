"""Ways to make one model of many: each file here defines one rule, a merger, and is found by itself.

``MagMax(scaling=0.5).merge(pretrained, finetuned)`` merges all tasks at once;
``RunningMerge(MagMax(scaling=0.5), pretrained)`` does the same task by task.

`merger=NAME` is the class that `NAME.py` defines and `conf/merger/NAME.yaml` configures. How rules are run stands in
`engine/`, one file for each kind: ``Merger`` and ``ModelFold`` fold, ``StackMerger`` sees all tasks together, and
``Around`` changes what another rule has merged. Linear algebra stands in `numerics/`, faster ways to the same bits in
`fast/`.
"""

from typing import TYPE_CHECKING, Any

from cl_bench.mergers.engine.around import Around, Merged, Whole
from cl_bench.mergers.engine.base import BaseMerger
from cl_bench.mergers.engine.blocks import MergeBlock, Stack, State, TaskBlock, TaskVector, Weights
from cl_bench.mergers.engine.folding import Merger
from cl_bench.mergers.engine.model_folding import ModelFold, TaskParameter
from cl_bench.mergers.engine.per_task import PerTaskMerger, TaskPart
from cl_bench.mergers.engine.running_merge import RunningMerge
from cl_bench.mergers.engine.stacking import StackMerger
from cl_bench.runtime.discovery import classes

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # the rules below


MERGERS = classes(__name__, BaseMerger)
"""Every rule by its name, as in `merger=ties`; also here by the class's: `cl_bench.mergers.Ties`."""

globals().update({merger.__name__: merger for merger in MERGERS.values()})

__all__ = [
    "MERGERS",
    "Around",
    "BaseMerger",
    "MergeBlock",
    "Merged",
    "Merger",
    "ModelFold",
    "PerTaskMerger",
    "RunningMerge",
    "Stack",
]
__all__ += ["StackMerger", "State", "TaskBlock", "TaskParameter", "TaskPart", "TaskVector", "Weights", "Whole"]
__all__ += sorted(merger.__name__ for merger in MERGERS.values())
