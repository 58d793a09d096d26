"""Ways of learning a task: each file here defines one, a `TaskTrainer`, and is found by itself.

`trainer=NAME` is the class that `NAME.py` defines and `conf/trainer/NAME.yaml` configures. What all share is in
`base/`, what training leaves behind for mergers in `statistics/`, and what single ones are made of in `parts/`.
"""

from typing import TYPE_CHECKING, Any

from cl_bench.runtime.discovery import classes
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.optimization import Optimization
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer, Weights
from cl_bench.trainers.base.unfinished import UnfinishedTask

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # the trainers below


TRAINERS = classes(__name__, TaskTrainer)
"""Every trainer by its name, as in `trainer=ewc`; also here by the class's: `cl_bench.trainers.EWC`."""

globals().update({trainer.__name__: trainer for trainer in TRAINERS.values()})

__all__ = ["TRAINERS", "Given", "Optimization", "StartsFrom", "TaskTrainer", "UnfinishedTask", "Weights"]
__all__ += sorted(trainer.__name__ for trainer in TRAINERS.values())
