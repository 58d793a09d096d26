"""Starts a run on the devices it asks for: one in this process, several in a group of processes."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.reports.headline import headline_at, is_null
from cl_bench.reports.names import method_of
from cl_bench.runtime import process
from cl_bench.runtime.cores import available_cores
from cl_bench.runtime.errors import UserError

if TYPE_CHECKING:
    from cl_bench.runtime.devices import Devices


def launch(config: Mapping[str, Any], folder: Path, jobs: int = 1, searched: bool = False) -> float | None:
    """Does one run, shows its result, and returns the value that a sweeper may optimize.

    Args:
        config: The resolved configuration, as plain data.
        folder: Where the run's outputs go.
        jobs: How many runs of a sweep this machine does at the same time.
        searched: Whether a sweeper looks for the best settings by what is returned.

    Returns:
        See `objective`; None on every node but the first, which alone has the result.

    Raises:
        UserError: The user has something to mend.
    """
    from cl_bench.reports.summary import show

    result = carry_out(config, folder, jobs)
    if result is None:
        return None
    show(result, folder)
    return objective(result, searched)


def carry_out(config: Mapping[str, Any], folder: Path, jobs: int = 1) -> dict[str, Any] | None:
    """Does one run, and draws its accuracy matrices.

    Args:
        config: The resolved configuration, as plain data.
        folder: Where the run's outputs go.
        jobs: How many runs of a sweep this machine does at the same time.

    Returns:
        What `result.json` holds; None on every node but the first, which alone has the result.

    Raises:
        UserError: The user has something to mend.
    """
    from cl_bench.launching.group import run_in_group
    from cl_bench.reports.figures.heat_maps import heat_maps
    from cl_bench.runtime.devices import Devices
    from cl_bench.runtime.instantiate import instantiate
    from cl_bench.store import read_result, recordable

    recordable.check(config)
    settings: Any = config.get("lightning")
    devices: Devices = instantiate(settings, "lightning")
    check_cores(devices, jobs)
    if devices.world_size == 1:
        _run_here(config, folder)
    elif not run_in_group(config, folder, devices):
        return None
    result = read_result(folder / "result.json")
    heat_maps(result, folder)
    return result


def _run_here(config: Mapping[str, Any], folder: Path) -> None:
    from cl_bench.experiment.run import run

    process.spare_imports()
    process.limit_threads()
    with process.without_variables(process.OF_SLURM):
        run(config, folder)


def check_cores(devices: "Devices", jobs: int) -> None:
    """Refuses more processes on a CPU than cores: they are no faster, take much more memory, and 99 stop a machine.

    Args:
        devices: Of one run.
        jobs: How many runs this machine does at the same time.

    Raises:
        UserError: There are more; says which settings fit.
    """
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


def objective(result: Mapping[str, Any], searched: bool = False) -> float | None:
    """What a sweeper may optimize: the headline on validation images, or what stands for it where that is null.

    None for a result on test images.

    Args:
        result: What `result.json` holds.
        searched: Whether a sweeper looks for the best settings by it.

    Raises:
        UserError: A search would compare what stands for the headline with other runs' headlines.
    """
    if searched:
        _check_comparable(result)
    return headline_at(result, result) if result["split"] == "validation" else None


def _check_comparable(result: Mapping[str, Any]) -> None:
    """Refuses a result without a headline, and warns of one that competes with no other merger's."""
    if is_null(result):
        raise UserError(
            f"{result['left_out']['task_agnostic']}: it has no {result['headline']['name']}, which a search compares; "
            "leave it out of the search."
        )
    if result.get("sees_test_images"):
        print(
            f"Warning: {method_of(result)} learns on the images that it is evaluated on, though not on their labels: "
            "what this search finds for it competes with no rule that sees none.",
            file=sys.stderr,
        )
