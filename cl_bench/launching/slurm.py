"""What `hydra/launcher=slurm` asks SLURM for, and why SLURM refuses it."""

import re
import subprocess
from pathlib import Path

from cl_bench.runtime.errors import UserError

# Options of sbatch that have another name in the launcher's settings.
_SETTINGS = {"time": "timeout_min", "mem": "mem_gb", "ntasks_per_node": "tasks_per_node", "job_name": "name"}
_NOT_ASKED_FOR = {"error", "output", "open_mode", "signal", "wckey", "array", "name", "tasks_per_node"}


def gpus_per_node(accelerator: str, devices: int | str) -> int | None:
    """The number of GPUs on each node of a job: the run's devices; None on the CPU.

    Args:
        accelerator: The setting `lightning.accelerator`.
        devices: The setting `lightning.devices`.

    Raises:
        UserError: The number is left to the machine (`auto`), but SLURM needs one.
    """
    if accelerator == "cpu":
        return None
    if isinstance(devices, str):
        raise UserError(
            f"lightning.devices={devices}: SLURM has to be told how many GPUs a job needs; "
            "add lightning=gpu lightning.devices=4, for example."
        )
    return devices


def refusal(error: Exception) -> str | None:
    """Why SLURM refused a sweep's jobs, in its own words, and what they asked for; None for any other error.

    Args:
        error: As submitit raised it.
    """
    if isinstance(error, RuntimeError) and 'Could not detect "srun"' in str(error):
        return (
            "hydra/launcher=slurm: this machine has no SLURM (no srun); start the sweep on a login node of the cluster."
        )
    cause = error.__cause__
    if not isinstance(cause, subprocess.CalledProcessError) or cause.cmd[0] != "sbatch":
        return None
    words = "; ".join(line.removeprefix("sbatch: error: ").strip() for line in cause.stderr.splitlines())
    asked = _asked(Path(cause.cmd[-1]).read_text())
    no_gpu = " lightning=cpu asks for no GPU." if "gpus_per_node" in asked else ""
    settings = ", ".join(f"hydra.launcher.{name}={value}" for name, value in asked.items())
    return f"SLURM refuses the jobs: {words}. They ask for {settings}; change what does not suit the cluster.{no_gpu}"


def _asked(script: str) -> dict[str, str]:
    """What a batch script asks for, as settings of the launcher."""
    found = {}
    for name, value in re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", script, flags=re.MULTILINE):
        setting = name.replace("-", "_")
        found[_SETTINGS.get(setting, setting)] = value
    return {name: value for name, value in found.items() if name not in _NOT_ASKED_FOR}
