"""What SLURM is asked for, and what is told where it refuses; on a real one: `make test-slurm`."""

import subprocess

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from cl_bench.launching import slurm, sweep
from tests.conftest import ROOT


def launcher(*overrides):
    OmegaConf.register_new_resolver("gpus_per_node", slurm.gpus_per_node, replace=True)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", ["hydra/launcher=slurm", *overrides], return_hydra_config=True)
    return config.hydra.launcher


@pytest.mark.parametrize(
    ("overrides", "gpus", "nodes"),
    [
        ((), 1, 1),
        (("lightning=cpu",), None, 1),
        (("lightning=cpu", "lightning.devices=4", "lightning.nodes=2"), None, 2),
        (("lightning.accelerator=cpu",), None, 1),
        (("lightning=gpu", "lightning.devices=4", "lightning.nodes=2"), 4, 2),
        (("lightning=ddp", "lightning.devices=8"), 8, 1),
        (("hydra.launcher.gpus_per_node=null",), None, 1),
    ],
)
def test_a_job_asks_for_the_devices_of_its_run(overrides, gpus, nodes):
    asked = launcher(*overrides)
    assert (asked.gpus_per_node, asked.nodes) == (gpus, nodes)


def test_all_gpus_that_there_are_is_nothing_that_slurm_can_be_asked_for():
    with pytest.raises(Exception) as raised:
        launcher("lightning=ddp").gpus_per_node  # noqa: B018
    told = sweep.message(raised.value)
    assert told.startswith("lightning.devices=auto: SLURM has to be told") and told.endswith("for example.")


def test_what_sbatch_says_is_told_with_what_was_asked_for(tmp_path):
    script = tmp_path / "submission_file.sh"
    script.write_text(
        "#!/bin/bash\n#SBATCH --error=x.err\n#SBATCH --gpus-per-node=4\n#SBATCH --partition=nope\n#SBATCH --time=60\n"
        "#SBATCH --array=0-1%2\nsrun --output=x python --partition=mine\n"
    )
    said = "sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: Invalid name"
    error = RuntimeError(said)
    error.__cause__ = subprocess.CalledProcessError(1, ["sbatch", str(script)], stderr=said)
    assert slurm.refusal(error) == (
        "SLURM refuses the jobs: invalid partition specified: nope; Batch job submission failed: Invalid name. They "
        "ask for hydra.launcher.gpus_per_node=4, hydra.launcher.partition=nope, hydra.launcher.timeout_min=60; change "
        "what does not suit the cluster. lightning=cpu asks for no GPU."
    )


def test_other_errors_are_not_slurms():
    error = RuntimeError("odd")
    assert slurm.refusal(error) is None
    error.__cause__ = subprocess.CalledProcessError(1, ["scontrol", "requeue"])
    assert slurm.refusal(error) is None


def test_where_there_is_no_slurm_that_is_one_message(run_py, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = run_py("-m", "seed=1,2", "hydra/launcher=slurm", "hydra.launcher.partition=gpu")
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert refused.stderr.startswith("Error: hydra/launcher=slurm: this machine has no SLURM")
