"""Ways of learning a task."""

from cl_bench.trainers.cmm import CMM
from cl_bench.trainers.ewc import EWC
from cl_bench.trainers.head_only import HeadOnly
from cl_bench.trainers.independent import Independent
from cl_bench.trainers.joint import Joint
from cl_bench.trainers.l2sp import L2SP
from cl_bench.trainers.lora import LoRA
from cl_bench.trainers.lwf import LwF
from cl_bench.trainers.optimization import Optimization
from cl_bench.trainers.replay import Replay
from cl_bench.trainers.sequential import Sequential
from cl_bench.trainers.tangent import Tangent
from cl_bench.trainers.task_trainer import StartsFrom, TaskTrainer, Weights
from cl_bench.trainers.zero_shot import ZeroShot

__all__ = [
    "CMM",
    "EWC",
    "L2SP",
    "HeadOnly",
    "Independent",
    "Joint",
    "LoRA",
    "LwF",
    "Optimization",
    "Replay",
    "Sequential",
    "StartsFrom",
    "Tangent",
    "TaskTrainer",
    "Weights",
    "ZeroShot",
]
