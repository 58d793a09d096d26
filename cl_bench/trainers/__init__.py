"""Ways of learning a task."""

from cl_bench.trainers.independent import Independent
from cl_bench.trainers.joint import Joint
from cl_bench.trainers.optimization import Optimization
from cl_bench.trainers.sequential import Sequential
from cl_bench.trainers.task_trainer import TaskTrainer
from cl_bench.trainers.zero_shot import ZeroShot

__all__ = ["Independent", "Joint", "Optimization", "Sequential", "TaskTrainer", "ZeroShot"]
