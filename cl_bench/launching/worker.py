"""One process of a group: `python -m cl_bench.launching.worker SETTINGS FOLDER MESSAGE [PARENT]`.

`SETTINGS` is the file of the resolved configuration, `FOLDER` takes the run's outputs, a mistake of the user's goes to
the file `MESSAGE`, and the process ends when the process number `PARENT` does.
"""

import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cl_bench.launching import nodes
from cl_bench.launching.group import kept_file
from cl_bench.launching.sweep import FOLDERS
from cl_bench.runtime import distributed, process, signals
from cl_bench.runtime.cores import available_cores
from cl_bench.runtime.errors import UserError, unwritable
from cl_bench.runtime.terminal_log import TerminalHandler

if TYPE_CHECKING:
    from cl_bench.runtime.devices import Devices

_PATIENCE = timedelta(days=7)  # a run may wait that long for another one that trains the same stream
_PATIENCE_TO_CONNECT = timedelta(seconds=60)


def work(settings: Path, folder: Path, message: Path) -> None:
    """Joins the group and does its part of the run.

    Args:
        settings: The file of the resolved configuration.
        folder: Where the run's outputs go.
        message: The file for a mistake of the user's.
    """
    import torch.distributed as dist

    from cl_bench.experiment.run import run
    from cl_bench.runtime.devices import Devices
    from cl_bench.runtime.instantiate import instantiate

    config: Mapping[str, Any] = json.loads(settings.read_text())
    devices: Devices = instantiate(config["lightning"], "lightning")
    _log_from_first_rank()
    _take_device(devices)
    _join(devices, message)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # SLURM sends it to every process; the one that started these acts
    process.spare_imports()
    with _failures_reported(message):
        run(config, folder)
    dist.destroy_process_group()


def _log_from_first_rank() -> None:
    logging.basicConfig(format="%(message)s", handlers=[TerminalHandler()], level=logging.WARNING)
    logging.getLogger("cl_bench").setLevel(logging.INFO if os.environ["RANK"] == "0" else logging.ERROR)


def _take_device(devices: "Devices") -> None:
    """Takes one GPU, or an equal share of the CPU's cores."""
    import torch

    if devices.kind == "cuda":
        torch.cuda.set_device(devices.device)
    else:
        torch.set_num_threads(max(1, available_cores() // devices.count))


def _join(devices: "Devices", message: Path) -> None:
    """Makes the process group; a group of several nodes ends with a message if they cannot exchange data."""
    try:
        _connect("nccl" if devices.kind == "cuda" else "gloo", devices.nodes)
    except RuntimeError as error:
        if devices.nodes == 1:
            raise
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        _end_group(message, str(nodes.cannot_exchange(nodes.Node(int(os.environ["GROUP_RANK"]), place), error)))
    if distributed.world_size() != devices.world_size:
        raise RuntimeError(
            f"{devices.world_size} devices were asked for, but the process group has {distributed.world_size()}."
        )


def _connect(backend: str, node_count: int) -> None:
    """Connects to the other processes; nodes that met may still not reach each other, so they do not wait for long."""
    import torch.distributed as dist

    if node_count == 1:
        dist.init_process_group(backend, timeout=_PATIENCE)
        return
    dist.init_process_group(backend, timeout=_PATIENCE_TO_CONNECT)
    dist.barrier()
    set_timeout = getattr(dist, "set_timeout", None) or dist.distributed_c10d._set_pg_timeout  # before torch 2.15
    set_timeout(_PATIENCE, dist.group.WORLD)


@contextmanager
def _failures_reported(message: Path) -> Iterator[None]:
    """Leaves a message to the process that started this one, if the run ends too early for a reason to tell."""
    try:
        yield
    except signals.Stopped:
        if distributed.is_main() and (words := signals.kept()):
            kept_file(message).write_text(words)
        raise
    except UserError as error:
        _end_group(message, str(error))
    except OSError as error:
        if (reason := unwritable(error, FOLDERS)) is None:
            raise
        _end_group(message, reason)
    except Exception:
        if message.is_file():  # another process has reported why it ended, which broke the connection
            os._exit(2)
        raise


def _end_group(message: Path, reason: str) -> NoReturn:
    with contextlib.suppress(OSError):
        message.write_text(reason)
    os._exit(2)  # an orderly exit would wait for the other processes, which wait for this one


if __name__ == "__main__":
    with process.command(parent=int(sys.argv[4]) if len(sys.argv) > 4 else os.getppid()):
        work(*map(Path, sys.argv[1:4]))
