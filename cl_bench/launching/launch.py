"""Starts a run on the devices it asks for.

One device: the run happens in this process. More: PyTorch's elastic launcher (torchrun) starts one process each, on
each node those of its own devices, and all of them read the same resolved configuration.
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
from typing import TYPE_CHECKING, Any

from cl_bench.launching.sweep import FOLDERS
from cl_bench.runtime import distributed, process, signals
from cl_bench.runtime.cores import available_cores
from cl_bench.runtime.errors import UserError, unwritable
from cl_bench.runtime.terminal_log import TerminalHandler

if TYPE_CHECKING:
    from cl_bench.runtime.devices import Devices

_PATIENCE = timedelta(days=7)  # a run may wait that long for another one that trains the same stream
_PATIENCE_TO_CONNECT = timedelta(seconds=60)
_OF_A_GROUP = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_",
    "GROUP_",
    "ROLE_",
    "MASTER_",
    "TORCHELASTIC_",
    "PL_",
)  # another launcher's
_OF_SLURM = ("SLURM_NTASKS",)  # some numbers of tasks Lightning refuses, though here it starts none of them


def launch(config: Mapping[str, Any], folder: Path, jobs: int = 1) -> float | None:
    """Does one run, shows its result, and returns the value that a sweeper may optimize.

    Args:
        config: The resolved configuration, as plain data.
        folder: Where the run's outputs go.
        jobs: Runs that this machine does at the same time, where a sweep does several.

    Returns:
        What `objective` says of it; None on all nodes but the first, where the result is.

    Raises:
        UserError: Something has to be mended by the user.
    """
    from cl_bench.reports.summary import show

    result = carry_out(config, folder, jobs)
    if result is None:
        return None
    show(result, folder)
    return objective(result)


def carry_out(config: Mapping[str, Any], folder: Path, jobs: int = 1) -> dict[str, Any] | None:
    """Does one run, and draws its accuracy matrices.

    Args:
        config: See `launch`.
        folder: See `launch`.
        jobs: See `launch`.

    Returns:
        The result, as it was written; None on all nodes but the first, where it is.

    Raises:
        UserError: Something has to be mended by the user.
    """
    from cl_bench.reports.figures.heat_maps import heat_maps
    from cl_bench.runtime.devices import Devices
    from cl_bench.runtime.instantiate import instantiate
    from cl_bench.store import read_result, recordable

    recordable.check(config)
    devices: Devices = instantiate(config.get("lightning"), "lightning")
    check_cores(devices, jobs)
    if devices.world_size == 1:
        from cl_bench.experiment.run import run

        process.limit_threads()
        with _environment_without(_OF_SLURM):
            run(config, folder)
    elif not _run_in_processes(config, folder, devices):
        return None
    result = read_result(folder / "result.json")
    heat_maps(result, folder)
    return result


def check_cores(devices: "Devices", jobs: int) -> None:
    """On a CPU, more processes than cores are no faster and take many times the memory: 99 bring a machine down."""
    cores = available_cores()
    if devices.kind != "cpu" or devices.count * jobs <= cores:
        return
    if jobs == 1:
        raise UserError(
            f"lightning.devices={devices.count}: on a CPU each device is a process of its own, and this one may use "
            f"{cores} {'core' if cores == 1 else 'cores'}; lightning.devices={cores} at most."
        )
    raise UserError(
        f"hydra.launcher.n_jobs makes {jobs} runs at a time, with lightning.devices={devices.count} each: "
        f"{jobs * devices.count} processes on a CPU of which {cores} {'core' if cores == 1 else 'cores'} may be used; "
        f"add hydra.launcher.n_jobs={max(1, cores // devices.count)} lightning.devices={min(devices.count, cores)}."
    )


def objective(result: Mapping[str, Any]) -> float | None:
    """What a sweeper may optimize: the headline on validation images; None where the test images were looked at."""
    return result["headline"]["value"] if result["split"] == "validation" else None


def _run_in_processes(config: Mapping[str, Any], folder: Path, devices: "Devices") -> bool:
    """Does a run in several processes; whether this is the node that has its result."""
    from torch.distributed import DistNetworkError, DistStoreError
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from cl_bench.launching import nodes
    from cl_bench.store import atomic

    node = nodes.this_node(devices.nodes) if devices.nodes > 1 else None
    if node:
        nodes.check_meeting_point(node)
    settings, message = folder / "resolved.json", folder / f"error_{node.number if node else 0}.txt"
    atomic.write_text(settings, json.dumps(config))
    for left in (message, _kept(message)):
        left.unlink(missing_ok=True)
    signals.wait_for_group()
    group = LaunchConfig(
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
    for name in ("", ".agent.server.api"):  # a failure is told once, below, and a signal by `signals`
        logging.getLogger(f"torch.distributed.elastic{name}").setLevel(logging.CRITICAL)
    with _environment_without(_OF_A_GROUP, _OF_SLURM):
        try:
            files = map(str, (settings, folder, message))
            elastic_launch(group, sys.executable)("-m", "cl_bench.launching.launch", *files, str(os.getpid()))
        except SignalException as error:  # torchrun has handlers of its own, which end the group
            if _kept(message).is_file():
                signals.tell(_kept(message).read_text)  # when the line is printed
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
    return node is None or node.number == 0


def _kept(message: Path) -> Path:
    """Where the first process of a group that was stopped says what is kept, for the one that has started it."""
    return message.with_name("kept.txt")


@contextmanager
def _environment_without(*kinds: tuple[str, ...]) -> Iterator[None]:
    """Hides what others left in the environment: variables whose names begin as one of the kinds says."""
    left = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(sum(kinds, ()))}
    try:
        yield
    finally:
        os.environ.update(left)


def _process(settings: Path, folder: Path, message: Path) -> None:
    """What each process of a group does; a mistake of the user's goes to the file `message`."""
    import torch

    from cl_bench.experiment.run import run
    from cl_bench.launching import nodes
    from cl_bench.runtime.devices import Devices
    from cl_bench.runtime.instantiate import instantiate

    config = json.loads(settings.read_text())
    devices: Devices = instantiate(config["lightning"], "lightning")
    logging.basicConfig(format="%(message)s", handlers=[TerminalHandler()], level=logging.WARNING)
    logging.getLogger("cl_bench").setLevel(logging.INFO if os.environ["RANK"] == "0" else logging.ERROR)
    if devices.kind == "cuda":
        torch.cuda.set_device(devices.device)
    else:
        torch.set_num_threads(max(1, available_cores() // devices.count))
    try:
        _connect("nccl" if devices.kind == "cuda" else "gloo", devices.nodes)
    except RuntimeError as error:
        if devices.nodes == 1:
            raise
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        _end_group(message, str(nodes.cannot_exchange(nodes.Node(int(os.environ["GROUP_RANK"]), place), error)))
    size = torch.distributed.get_world_size()
    if size != devices.world_size:
        raise RuntimeError(f"{devices.world_size} devices were asked for, but the process group has {size}.")
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # SLURM's for all processes of a job; the one that started these acts
    try:
        run(config, folder)
    except signals.Stopped:
        if distributed.is_main() and (words := signals.kept()):
            _kept(message).write_text(words)
        raise
    except UserError as error:
        _end_group(message, str(error))
    except OSError as error:
        if (reason := unwritable(error, FOLDERS)) is None:
            raise
        _end_group(message, reason)
    except Exception:
        if message.is_file():  # another process has told why it ended, and with it the connection
            os._exit(2)
        raise
    torch.distributed.destroy_process_group()


def _connect(backend: str, nodes: int) -> None:
    """Makes the process group; nodes that met may still be unable to reach each other, and do not wait for long."""
    import torch.distributed as dist

    if nodes == 1:
        dist.init_process_group(backend, timeout=_PATIENCE)
        return
    dist.init_process_group(backend, timeout=_PATIENCE_TO_CONNECT)
    dist.barrier()
    set_timeout = getattr(dist, "set_timeout", None) or dist.distributed_c10d._set_pg_timeout  # before torch 2.15
    set_timeout(_PATIENCE, dist.group.WORLD)


def _end_group(message: Path, reason: str) -> None:
    with contextlib.suppress(OSError):
        message.write_text(reason)
    os._exit(2)  # an orderly exit would wait for the other processes, which wait for this one


if __name__ == "__main__":
    with process.command(parent=int(sys.argv[4]) if len(sys.argv) > 4 else os.getppid()):
        _process(*map(Path, sys.argv[1:4]))
