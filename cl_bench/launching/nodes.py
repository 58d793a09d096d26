"""A run on several machines: which of them this one is, and where they meet.

SLURM (`srun --ntasks-per-node=1`, or `hydra/launcher=slurm`) or the user starts the same command once on every node.
Each node starts the processes of its own devices; node 0 has rank 0, which writes and prints.
"""

import logging
import os
import socket
import time
from dataclasses import dataclass

from cl_bench.runtime.errors import UserError

log = logging.getLogger(__name__)

PATIENCE = 60  # seconds within which all nodes must arrive
_PATIENCE_WITH_NAMES = 10  # seconds within which a name server must answer
_POLL = 1.0  # seconds between two tries
_REMEDY = "PET_NODE_RANK and PET_RDZV_ENDPOINT=NODE:PORT say another place to meet, see docs/sweeps.md"
_FIRST_PORT, _PORTS = 15000, 10000  # jobs that share a node must not meet at the same port


@dataclass(frozen=True)
class Node:
    """One machine of a run.

    Args:
        number: From 0.
        meeting_point: `host:port` on node 0.
    """

    number: int
    meeting_point: str

    @property
    def place(self) -> tuple[str, int]:
        """Host and port of the meeting point."""
        host, _, port = self.meeting_point.rpartition(":")
        return host.strip("[]"), int(port)

    def __str__(self) -> str:
        return f"node {self.number} ({socket.gethostname()})"


def this_node(nodes: int) -> Node:
    """This machine, from torchrun's variables PET_NODE_RANK and PET_RDZV_ENDPOINT or from those of a SLURM job step.

    Args:
        nodes: The setting `lightning.nodes`.

    Raises:
        UserError: The environment has neither, or says another number of machines.
    """
    if "PET_NODE_RANK" in os.environ and "PET_RDZV_ENDPOINT" in os.environ:
        return _from_variables(nodes, os.environ["PET_NODE_RANK"], os.environ["PET_RDZV_ENDPOINT"])
    if "SLURM_STEP_NODELIST" not in os.environ:
        raise UserError(
            f"lightning.nodes={nodes}: start the same command on each node with srun --nodes={nodes} "
            "--ntasks-per-node=1, or with PET_NODE_RANK=0, 1, … and PET_RDZV_ENDPOINT=HOST:29400, the host of node 0."
        )
    there = os.environ["SLURM_STEP_NUM_NODES"], os.environ["SLURM_STEP_NUM_TASKS"]
    if there != (str(nodes), str(nodes)):
        raise UserError(
            f"lightning.nodes={nodes}: SLURM started {there[1]} tasks on {there[0]} nodes; "
            f"use srun --nodes={nodes} --ntasks-per-node=1."
        )
    return Node(int(os.environ["SLURM_NODEID"]), _meeting_point_of_slurm())


def _from_variables(nodes: int, number: str, meeting_point: str) -> Node:
    if not number.isdecimal() or int(number) >= nodes:
        raise UserError(f"PET_NODE_RANK={number}: lightning.nodes={nodes} have the numbers 0 to {nodes - 1}.")
    host, _, port = meeting_point.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(
            f"PET_RDZV_ENDPOINT={meeting_point}: give it as HOST:PORT, the host of node 0 and 29400 for example."
        )
    return Node(int(number), meeting_point)


def _meeting_point_of_slurm() -> str:
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

    host = SLURMEnvironment.resolve_root_node_address(os.environ["SLURM_STEP_NODELIST"])
    return f"{host}:{_FIRST_PORT + int(os.environ['SLURM_JOB_ID']) % _PORTS}"


def check_meeting_point(node: Node, patience: float = PATIENCE) -> None:
    """Waits until this node can reach node 0; on node 0 itself, until its name has an address.

    Args:
        node: This node.
        patience: Seconds to wait for node 0.

    Raises:
        UserError: Nobody knows the name of node 0, or nobody answers there.
    """
    host, port = node.place
    _check_name(node, host)
    if node.number == 0:
        return
    begin, announced = time.monotonic(), False
    while True:
        try:
            socket.create_connection((host, port), timeout=5).close()
            return
        except OSError as error:
            waited = time.monotonic() - begin
            if waited > patience:
                raise UserError(
                    f"{node} cannot reach node 0 at {node.meeting_point} ({_addresses(host)}), for {waited:.0f} s: "
                    f"{error}. Is node 0 running, and the port open? {_REMEDY}."
                ) from error
            if waited > patience / 8 and not announced:
                announced = True
                log.info("%s waits for node 0 at %s (%s)", node, node.meeting_point, error)
        time.sleep(_POLL)


def _check_name(node: Node, host: str) -> None:
    end = time.monotonic() + _PATIENCE_WITH_NAMES
    while True:
        try:
            socket.getaddrinfo(host, None)
            return
        except OSError as error:
            if error.errno != socket.EAI_AGAIN or time.monotonic() > end:
                raise UserError(
                    f"{node} is to meet the others at node 0, {node.meeting_point}, but nobody knows the name {host!r} "
                    f"here: {error}. {_REMEDY}."
                ) from error
        time.sleep(_POLL)


def _addresses(host: str) -> str:
    return ", ".join(sorted({str(info[4][0]) for info in socket.getaddrinfo(host, None)}))


def nobody_came(node: Node, nodes: int, error: Exception) -> UserError:
    """The error on a node that waited in vain for the others, or could not wait.

    Args:
        node: This node.
        nodes: How many there should be.
        error: As torch raised it.
    """
    names = os.environ.get("SLURM_STEP_NODELIST")
    among = f" of {names}" if names else ""
    reason = str(error).splitlines()[0].rstrip(".")
    if "EADDRINUSE" in reason:
        return UserError(f"{node}: the port of {node.meeting_point} is in use. {_REMEDY}.")
    return UserError(
        f"{node} waited for all {nodes} nodes{among} at {node.meeting_point}, for {PATIENCE} s, and not all came: "
        f"{reason}. Was the same command started on each, and can they reach that port? {_REMEDY}."
    )


def cannot_exchange(node: Node, error: Exception) -> UserError:
    """The error on a node that met the others, but cannot send data to one of them or receive some.

    Args:
        node: This node.
        error: As torch raised it.
    """
    reason = str(error).splitlines()[0].rstrip(".")
    return UserError(
        f"{node} met the others at {node.meeting_point}, but cannot exchange data with them: {reason}. Each node's own "
        "name has to lead the others to an address that they reach, on any port; GLOO_SOCKET_IFNAME=INTERFACE, on "
        "GPUs NCCL_SOCKET_IFNAME, names another network."
    )
