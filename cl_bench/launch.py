"""Starts a run on the devices it asks for.

One device: the run happens in this process. More: PyTorch's elastic launcher (torchrun) starts one process each, on
each node those of its own devices, and all of them read the same resolved configuration.
"""

import atexit
import gc
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.errors import UserError
from cl_bench.quick_exit import quick_exit
from cl_bench.terminal_log import TerminalHandler

if TYPE_CHECKING:
    from cl_bench.devices import Devices

_PATIENCE = timedelta(days=7)  # a run may wait that long for another one that trains the same stream
_OF_A_GROUP = ("RANK", "WORLD_SIZE", "LOCAL_", "GROUP_", "ROLE_", "MASTER_", "TORCHELASTIC_", "PL_")


def launch(config: Mapping[str, Any], folder: Path) -> float | None:
    """Does one run, shows its result, and returns the value that a sweeper may optimize.

    Args:
        config: The resolved configuration, as plain data.
        folder: Where the run's outputs go.

    Returns:
        What `objective` says of it; None on all nodes but the first, where the result is.

    Raises:
        UserError: Something has to be mended by the user.
    """
    from cl_bench import reports
    from cl_bench.devices import Devices
    from cl_bench.instantiate import instantiate
    from cl_bench.store import read_result

    devices: Devices = instantiate(config["lightning"], "lightning")
    if devices.world_size == 1:
        from cl_bench.experiment import run

        _collect_garbage()
        run(config, folder)
    elif not _run_in_processes(config, folder, devices):
        return None
    result = read_result(folder / "result.json")
    reports.heat_maps(result, folder)
    reports.show(result, folder)
    return objective(result)


def objective(result: Mapping[str, Any]) -> float | None:
    """What a sweeper may optimize: the headline on validation images; None where the test images were looked at."""
    return result["headline"]["value"] if result["split"] == "validation" else None


def _run_in_processes(config: Mapping[str, Any], folder: Path, devices: "Devices") -> bool:
    """Does a run in several processes; whether this is the node that has its result."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from cl_bench.nodes import this_node
    from cl_bench.store import atomic

    node = this_node(devices.nodes) if devices.nodes > 1 else None
    settings, message = folder / "resolved.json", folder / f"error_{node.number if node else 0}.txt"
    atomic.write_text(settings, json.dumps(config))
    message.unlink(missing_ok=True)
    group = LaunchConfig(
        min_nodes=devices.nodes,
        max_nodes=devices.nodes,
        nproc_per_node=devices.count,
        max_restarts=0,  # a process that failed would fail again
        monitor_interval=0.5,
        run_id="cl_bench",
        rdzv_backend="static" if node else "c10d",
        rdzv_endpoint=node.meeting_point if node else "localhost:0",
        rdzv_configs={"rank": node.number} if node else {},
    )
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # a failure is told once, below
    with _environment_without_group():
        try:
            elastic_launch(group, sys.executable)("-m", "cl_bench.launch", str(settings), str(folder), str(message))
        except ChildFailedError as error:
            if message.is_file():
                raise UserError(message.read_text()) from None
            raise RuntimeError("A process of the group failed; its traceback is above.") from error
    return node is None or node.number == 0


@contextmanager
def _environment_without_group() -> Iterator[None]:
    """Hides what another launcher, or Lightning, left in the environment, so that the new group has its own."""
    left = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_OF_A_GROUP)}
    try:
        yield
    finally:
        os.environ.update(left)


def _process(settings: Path, folder: Path, message: Path) -> None:
    """What each process of a group does; a mistake of the user's goes to the file `message`."""
    import torch

    from cl_bench.devices import Devices
    from cl_bench.experiment import run
    from cl_bench.instantiate import instantiate

    config = json.loads(settings.read_text())
    devices: Devices = instantiate(config["lightning"], "lightning")
    logging.basicConfig(format="%(message)s", handlers=[TerminalHandler()], level=logging.WARNING)
    logging.getLogger("cl_bench").setLevel(logging.INFO if os.environ["RANK"] == "0" else logging.WARNING)
    if devices.kind == "cuda":
        torch.cuda.set_device(devices.device)
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // devices.count))
    torch.distributed.init_process_group("nccl" if devices.kind == "cuda" else "gloo", timeout=_PATIENCE)
    size = torch.distributed.get_world_size()
    if size != devices.world_size:
        raise RuntimeError(f"{devices.world_size} devices were asked for, but the process group has {size}.")
    _collect_garbage()
    try:
        run(config, folder)
    except UserError as error:
        message.write_text(str(error))
        os._exit(2)  # an orderly exit would wait for the other processes, which wait for this one
    torch.distributed.destroy_process_group()


def _collect_garbage() -> None:
    """From now on, where it was put off until all is imported; what is there now is never looked at again."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
        atexit.register(gc.unfreeze)  # extension modules complain of what is left at the very end


if __name__ == "__main__":
    gc.disable()  # as in run.py
    with quick_exit():
        _process(*map(Path, sys.argv[1:]))
