"""Experts by their names on the hub, as a user types them: said to be missing, or fetched."""

import json

import pytest

from tests.helpers import experts
from tests.helpers.experts import SCENARIO, THREE
from tests.helpers.hub_server import serving

RUN = (*SCENARIO, "trainer=imported", "merger=average", "trainer.weights=them/tiny_%s", "evaluation.finetuned=false")


@pytest.fixture
def cold(cold_run_py, tmp_path, monkeypatch):
    """Runs in a process that reads the environment anew, with a cache of its own."""

    def cold(*overrides, **variables):
        for name, value in {"HF_HOME": str(tmp_path / "hub"), **variables}.items():
            monkeypatch.setenv(name, value)
        return cold_run_py(*RUN, *overrides)

    return cold


def test_experts_are_fetched_or_one_message_says_which_files_belong_where(cold, tmp_path):
    done = cold(HF_HUB_OFFLINE="1")
    assert done.returncode == 2
    for name in THREE:
        assert f"{name}: them/tiny_{name}" in done.stderr
        assert f"{tmp_path}/hub/hub/models--them--tiny_{name}" in done.stderr
    assert "trainer.weights=experts/%s" in done.stderr
    assert "zero-shot" not in done.stdout  # nothing was evaluated

    folder = experts.write(tmp_path / "theirs", *THREE)
    (folder / "greek" / "README.md").write_text("---\nlicense: mit\n---\n")
    with serving() as hub:
        for name in THREE:
            hub.add(f"them/tiny_{name}", folder / name)
        done = cold("hydra.run.dir=first", HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="0")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "first" / "result.json").read_text())
    assert [expert["source"] for expert in found["experts"]] == [f"them/tiny_{name}" for name in THREE]
    assert [expert["commit"] for expert in found["experts"]] == [hub.commit(f"them/tiny_{name}") for name in THREE]
    assert [expert["licence"] for expert in found["experts"]] == [None, None, "mit"]
