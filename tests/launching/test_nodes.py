"""Which node this is, from torchrun's variables and from SLURM's."""

import os
import socket
import threading

import pytest

from cl_bench.launching import nodes
from cl_bench.launching.nodes import Node, check_meeting_point, this_node
from cl_bench.runtime.errors import UserError

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


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize("number", [0, 1])
def test_a_name_that_nobody_knows_is_told_at_once_on_every_node(number):
    with pytest.raises(
        UserError, match=rf"^node {number} \(.*nobody\.invalid:29400, but nobody knows.*PET_RDZV_ENDPOINT"
    ):
        check_meeting_point(Node(number, "nobody.invalid:29400"))


def test_a_name_server_that_does_not_answer_is_asked_again(monkeypatch):
    answers = [socket.gaierror(socket.EAI_AGAIN, "try again"), []]

    def ask(host, port):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    monkeypatch.setattr(nodes, "_POLL", 0)
    check_meeting_point(Node(0, "first:1"))
    assert answers == []


def test_a_closed_port_is_told_with_name_and_addresses(monkeypatch):
    monkeypatch.setattr(nodes, "_POLL", 0.05)
    place = f"localhost:{free_port()}"
    with pytest.raises(
        UserError, match=rf"^node 1 \(.*cannot reach node 0 at {place} \(127\.0\.0\.1.*refused.*port open"
    ):
        check_meeting_point(Node(1, place), patience=0.2)


def test_a_node_that_starts_early_waits_for_node_0(monkeypatch, caplog):
    monkeypatch.setattr(nodes, "_POLL", 0.05)
    caplog.set_level("INFO")
    port = free_port()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("localhost", port))
        listening = threading.Timer(0.5, server.listen)
        listening.start()
        check_meeting_point(Node(1, f"localhost:{port}"), patience=3)
        listening.join()
    (waiting,) = caplog.messages
    assert f"waits for node 0 at localhost:{port}" in waiting


def test_an_address_of_ipv6_is_one():
    assert Node(0, "[::1]:29400").place == ("::1", 29400)


@pytest.mark.parametrize("place", ["first", "first:many", ":29400", "first:0x1"])
def test_a_meeting_point_without_host_or_port_is_refused(environment, place):
    environment(PET_NODE_RANK="1", PET_RDZV_ENDPOINT=place)
    with pytest.raises(UserError, match=rf"PET_RDZV_ENDPOINT={place}: .*host of node 0.*29400"):
        this_node(2)


@pytest.mark.parametrize("number", ["2", "-1", "first"])
def test_a_node_of_another_number_is_refused(environment, number):
    environment(PET_NODE_RANK=number, PET_RDZV_ENDPOINT="first:29400")
    with pytest.raises(UserError, match=rf"PET_NODE_RANK={number}: lightning\.nodes=2 .* 0 to 1"):
        this_node(2)


def test_who_did_not_come_and_a_port_in_use_are_told_apart(environment):
    environment(SLURM_STEP_NODELIST="gpu[1-2]")
    node = Node(0, "gpu1:15001")
    told = str(nodes.nobody_came(node, 2, RuntimeError("Timed out: 1/2 clients joined.\nmore")))
    assert "2 nodes of gpu[1-2] at gpu1:15001" in told and "1/2 clients joined." in told and "more" not in told
    used = str(nodes.nobody_came(node, 2, RuntimeError("name: EADDRINUSE, message: address already in use")))
    assert "gpu1:15001 is in use" in used and "waited" not in used
