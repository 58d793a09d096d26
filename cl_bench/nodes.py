"""Several machines for one run: which of them this is, and where they meet.

The same command is started once on every node, by SLURM (`srun --ntasks-per-node=1`, or `hydra/launcher=slurm`, which
does that) or by hand. Each starts the processes of its own devices; node 0 has rank 0, which writes and prints.
"""

import os
from dataclasses import dataclass

from cl_bench.errors import UserError

_FIRST_PORT, _PORTS = 15000, 10000  # jobs that share a node must not meet at the same place


@dataclass(frozen=True)
class Node:
    """One machine of a run.

    Args:
        number: From 0.
        meeting_point: `host:port` on node 0.
    """

    number: int
    meeting_point: str


def this_node(nodes: int) -> Node:
    """From torchrun's own variables PET_NODE_RANK and PET_RDZV_ENDPOINT, or else from those of a SLURM job step.

    Args:
        nodes: How many machines the run was asked to take.

    Raises:
        UserError: The environment names neither, or another number of machines.
    """
    if "PET_NODE_RANK" in os.environ and "PET_RDZV_ENDPOINT" in os.environ:
        return Node(int(os.environ["PET_NODE_RANK"]), os.environ["PET_RDZV_ENDPOINT"])
    if "SLURM_STEP_NODELIST" not in os.environ:
        raise UserError(
            f"lightning.nodes={nodes}: start the same command on each node with srun --nodes={nodes} "
            "--ntasks-per-node=1, or with PET_NODE_RANK=0, 1, … and PET_RDZV_ENDPOINT=<host of node 0>:29400."
        )
    there = os.environ["SLURM_STEP_NUM_NODES"], os.environ["SLURM_STEP_NUM_TASKS"]
    if there != (str(nodes), str(nodes)):
        raise UserError(
            f"lightning.nodes={nodes}: SLURM started {there[1]} tasks on {there[0]} nodes; "
            f"use srun --nodes={nodes} --ntasks-per-node=1."
        )
    return Node(int(os.environ["SLURM_NODEID"]), _of_slurm())


def _of_slurm() -> str:
    from pytorch_lightning.plugins.environments import SLURMEnvironment

    host = SLURMEnvironment.resolve_root_node_address(os.environ["SLURM_STEP_NODELIST"])
    return f"{host}:{_FIRST_PORT + int(os.environ['SLURM_JOB_ID']) % _PORTS}"
