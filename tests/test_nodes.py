"""Which node this is, from torchrun's variables and from SLURM's."""

import os

import pytest

from cl_bench.errors import UserError
from cl_bench.nodes import Node, this_node

STEP = {"SLURM_STEP_NODELIST": "gpu[07-09]", "SLURM_STEP_NUM_NODES": "3", "SLURM_STEP_NUM_TASKS": "3"}
STEP |= {"SLURM_NODEID": "2", "SLURM_JOB_ID": "123456789"}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("SLURM_", "PET_"))]:
        monkeypatch.delenv(name)

    def environment(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return environment


def test_torchruns_own_variables_come_first(environment):
    environment(**STEP, PET_NODE_RANK="1", PET_RDZV_ENDPOINT="first:29400")
    assert this_node(2) == Node(1, "first:29400")


def test_in_slurm_nodes_meet_at_the_first_one(environment):
    environment(**STEP)
    assert this_node(3) == Node(2, "gpu07:21789")


@pytest.mark.parametrize("other", [{"SLURM_STEP_NUM_NODES": "2"}, {"SLURM_STEP_NUM_TASKS": "24"}])
def test_another_number_of_nodes_or_several_tasks_on_one_are_refused(environment, other):
    environment(**(STEP | other))
    with pytest.raises(UserError, match=r"lightning\.nodes=3: SLURM started .* use srun --nodes=3 --ntasks-per-node=1"):
        this_node(3)


def test_without_either_the_remedy_names_both():
    with pytest.raises(UserError, match=r"(?s)srun --nodes=2.*PET_NODE_RANK.*PET_RDZV_ENDPOINT"):
        this_node(2)
