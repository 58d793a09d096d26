"""Starts a run on the devices it asks for.

One device: the run happens in this process. More: PyTorch's elastic launcher (torchrun) starts one process each, and
all of them read the same resolved configuration.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from cl_bench.errors import UserError
from cl_bench.terminal_log import TerminalHandler

_PATIENCE = timedelta(days=7)  # a run may wait that long for another one that trains the same stream
_OF_A_GROUP = ("RANK", "WORLD_SIZE", "LOCAL_", "GROUP_", "ROLE_", "MASTER_", "TORCHELASTIC_", "PL_")


def launch(config: Mapping[str, Any], folder: Path) -> float | None:
    """Does one run, shows its result, and returns the value that a sweeper may optimize.

    Args:
        config: The resolved configuration, as plain data.
        folder: Where the run's outputs go.

    Returns:
        The headline accuracy on the validation share; None where the test images were looked at.

    Raises:
        UserError: Something has to be mended by the user.
    """
    from cl_bench import reports
    from cl_bench.devices import Devices
    from cl_bench.instantiate import instantiate
    from cl_bench.store import read_result

    devices: Devices = instantiate(config["lightning"], "lightning")
    if devices.count == 1:
        from cl_bench.experiment import run

        run(config, folder)
    else:
        _run_in_processes(config, folder, devices.count)
    result = read_result(folder / "result.json")
    reports.heat_maps(result, folder)
    reports.show(result, folder)
    return result["headline"]["value"] if result["split"] == "validation" else None


def _run_in_processes(config: Mapping[str, Any], folder: Path, count: int) -> None:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    settings = folder / "resolved.json"
    settings.write_text(json.dumps(config))
    (folder / "error.txt").unlink(missing_ok=True)
    group = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        max_restarts=0,  # a process that failed would fail again
        monitor_interval=0.5,
        run_id=str(os.getpid()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
    )
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # a failure is told once, below
    with _environment_without_group():
        try:
            elastic_launch(group, sys.executable)("-m", "cl_bench.launch", str(settings), str(folder))
        except ChildFailedError as error:
            if (folder / "error.txt").is_file():
                raise UserError((folder / "error.txt").read_text()) from None
            raise RuntimeError("A process of the group failed; its traceback is above.") from error


@contextmanager
def _environment_without_group() -> Iterator[None]:
    """Hides what another launcher, or Lightning, left in the environment, so that the new group has its own."""
    left = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_OF_A_GROUP)}
    try:
        yield
    finally:
        os.environ.update(left)


def _process(settings: Path, folder: Path) -> None:
    """What each process of a group does."""
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
    if size != devices.count:
        raise RuntimeError(f"{devices.count} devices were asked for, but the process group has {size}.")
    try:
        run(config, folder)
    except UserError as error:
        (folder / "error.txt").write_text(str(error))
        os._exit(2)  # an orderly exit would wait for the other processes, which wait for this one
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    _process(Path(sys.argv[1]), Path(sys.argv[2]))
