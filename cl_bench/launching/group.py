"""A run on several devices: PyTorch's elastic launcher (torchrun) starts one process for each.

On several nodes, each node starts the processes of its own devices. All of them read the same resolved configuration;
see `worker` for what each does. What a worker has to say to the process that started it lies in files of the run's
folder.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.launching import nodes
from cl_bench.runtime import process, signals
from cl_bench.runtime.errors import UserError

if TYPE_CHECKING:
    from torch.distributed.launcher.api import LaunchConfig

    from cl_bench.runtime.devices import Devices


def run_in_group(config: Mapping[str, Any], folder: Path, devices: "Devices") -> bool:
    """Does a run in several processes.

    Args:
        config: The resolved configuration, as plain data.
        folder: Where the run's outputs go.
        devices: More than one.

    Returns:
        Whether this is the first node, which has the result.

    Raises:
        UserError: A worker reports a mistake of the user's, or the nodes did not meet.
    """
    from torch.distributed.launcher.api import elastic_launch

    from cl_bench.store import atomic

    node = nodes.this_node(devices.nodes) if devices.nodes > 1 else None
    if node:
        nodes.check_meeting_point(node)
    settings, message = folder / "resolved.json", folder / f"error_{node.number if node else 0}.txt"
    atomic.write_text(settings, json.dumps(config))
    for left in (message, kept_file(message)):
        left.unlink(missing_ok=True)
    _silence_elastic()
    signals.wait_for_group()
    launch: Callable[..., object] = elastic_launch(_settings(devices, node), sys.executable)
    with process.without_variables(process.OF_A_GROUP, process.OF_SLURM), _failures_explained(message, devices, node):
        files = map(str, (settings, folder, message))
        launch("-m", "cl_bench.launching.worker", *files, str(os.getpid()))
    return node is None or node.number == 0


def kept_file(message: Path) -> Path:
    """The file in which the first worker of a group that was stopped says what is kept of the run."""
    return message.with_name("kept.txt")


def _settings(devices: "Devices", node: nodes.Node | None) -> "LaunchConfig":
    from torch.distributed.launcher.api import LaunchConfig

    return LaunchConfig(
        min_nodes=devices.nodes,
        max_nodes=devices.nodes,
        nproc_per_node=devices.count,
        max_restarts=0,  # a process that failed would fail again
        monitor_interval=0.5,
        run_id="cl_bench",
        rdzv_backend="static" if node else "c10d",
        rdzv_endpoint=node.meeting_point if node else "localhost:0",
        rdzv_configs={"rank": node.number, "timeout": nodes.PATIENCE} if node else {},
    )


def _silence_elastic() -> None:
    """Failures are reported once, by `_failures_explained`, and signals by `signals`."""
    for name in ("", ".agent.server.api"):
        logging.getLogger(f"torch.distributed.elastic{name}").setLevel(logging.CRITICAL)


@contextmanager
def _failures_explained(message: Path, devices: "Devices", node: nodes.Node | None) -> Iterator[None]:
    """Turns what the elastic launcher raises into one message, or into the end by a signal.

    Args:
        message: The file of a worker's message.
        devices: Of the run.
        node: This node, if there are several.

    Raises:
        UserError: A worker has left a message, or the nodes did not meet.
        RuntimeError: A worker failed with a traceback.
    """
    from torch.distributed import DistNetworkError, DistStoreError
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        yield
    except SignalException as error:  # torchrun has its own signal handlers, which end the group
        kept = kept_file(message)
        if kept.is_file():
            signals.tell(kept.read_text)  # read when the line is printed
        signals.stop(error.sigval)
    except (DistNetworkError, DistStoreError) as error:
        if node is None:
            raise
        raise nodes.nobody_came(node, devices.nodes, error) from error
    except ChildFailedError as error:
        if message.is_file():
            raise UserError(message.read_text()) from None
        raise RuntimeError("A process of the group failed; its traceback is above.") from error
    finally:
        signals.keep()
