"""A real SLURM of our own: two nodes on this machine, and two more whose names nobody can resolve.

It has its own configuration, key and ports, and leaves those of the machine alone. Each node has one core, so that two
jobs at most run at a time. Needs root and Debian's packages slurmctld, slurmd, slurm-client and munge.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scancel", "scontrol", "sinfo", "squeue")
_NODES = (
    "127.0.0.1",
    "127.0.0.2",
    "nowhere1",
    "nowhere2",
)  # by the first two, nodes find each other without a name server
_CONFIGURATION = """
ClusterName=cl_bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1
MpiDefault=none
ReturnToService=2
{nodes}
PartitionName=main Nodes=127.0.0.[1-2] Default=YES State=UP
PartitionName=lost Nodes=nowhere[1-2] State=UP
"""


def missing() -> str | None:
    """What has to be there and is not."""
    programs = [name for name in _PROGRAMS if shutil.which(name) is None]
    if programs:
        return f"{', '.join(programs)}: apt-get install slurmctld slurmd slurm-client munge"
    return "root, who alone may start SLURM's daemons" if os.geteuid() else None


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Starts the cluster and gives the environment for its commands; ends it, and every job, in any case."""
    for name in ("state", *_NODES):
        (folder / name).mkdir()
    key, configuration = folder / "munge.key", folder / "slurm.conf"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    controller, *ports = _free_ports(1 + len(_NODES))
    host = socket.gethostname()
    nodes = (
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=1000"
        for name, port in zip(_NODES, ports, strict=True)
    )
    configuration.write_text(
        _CONFIGURATION.format(host=host, controller=controller, folder=folder, nodes="\n".join(nodes))
    )
    environment = {**os.environ, "SLURM_CONF": str(configuration)}
    daemons = [
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}",
         f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"],
        ["slurmctld", "-D", "-f", str(configuration)],
        *(["slurmd", "-D", "-f", str(configuration), "-N", name] for name in _NODES),
    ]  # fmt: skip
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in daemons:
            with (folder / "daemons.log").open("ab") as log:
                # In groups of their own: Ctrl-C is for pytest, which ends them here.
                running.append(
                    subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
                )
            if command[0] == "munged":
                _wait_until(lambda: (folder / "munge.socket").exists(), folder)
        _wait_until(lambda: _idle(environment) == len(_NODES), folder)
        yield environment
    finally:
        subprocess.run(["scancel", "--user=root"], env=environment, capture_output=True, timeout=20)
        for daemon in reversed(running):
            daemon.send_signal(signal.SIGTERM)
        for daemon in running:
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(5)
        for process in _processes(folder):  # also those that hang in a job
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _processes(folder: Path) -> Iterator[int]:
    """Those that live in this cluster's environment, but not this one."""
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"SLURM_CONF={folder}/".encode() in environ.read_bytes() and environ.parent.name != str(os.getpid()):
                yield int(environ.parent.name)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _idle(environment: dict[str, str]) -> int:
    answer = subprocess.run(["sinfo", "-h", "-N", "-o", "%T"], env=environment, capture_output=True, text=True)
    return answer.stdout.split().count("idle")


def _wait_until(due: Callable[[], bool], folder: Path) -> None:
    last = time.monotonic() + 30
    while not due():
        assert time.monotonic() < last, (folder / "daemons.log").read_text()[-3000:]
        time.sleep(0.2)
