"""Experts' files: here, on the hub, or nowhere."""

import pytest
from huggingface_hub import constants

from cl_bench.experiment.experts.located import Located, locate
from cl_bench.experiment.experts.sources import Source
from cl_bench.runtime.errors import Missing
from cl_bench.store import hub


@pytest.fixture(autouse=True)
def fetched(tmp_path, monkeypatch):
    """What the hub was asked for; it has `them/cars` alone, and is reached until something else is asked for."""
    asked = []

    def fetch(name, offline=False):
        asked.append((name, offline))
        if name != "them/cars":
            raise Missing(f"{name}: ConnectError, no route") from ConnectError()
        return hub.Fetched(tmp_path / "cars", "c0ffee")

    class ConnectError(Exception):
        pass

    monkeypatch.setattr(hub, "fetch", fetch)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "/cache")
    monkeypatch.chdir(tmp_path)
    return asked


def test_an_existing_path_wins_over_the_hub(tmp_path, fetched):
    source = Source("cars", ("them/cars",))
    assert locate([source]) == [Located("cars", tmp_path / "cars", "them/cars", "c0ffee")]
    (tmp_path / "them" / "cars").mkdir(parents=True)
    found = locate([source])[0]
    assert found.path.absolute() == tmp_path / "them" / "cars" and found.commit is None
    assert len(fetched) == 1


def test_the_first_place_that_exists_counts(tmp_path):
    source = Source("cars", ("x/stanford-cars", "x/cars"))
    (tmp_path / "x" / "cars").mkdir(parents=True)
    assert locate([source])[0].source == "x/cars"
    (tmp_path / "x" / "stanford-cars").mkdir()
    assert locate([source])[0].source == "x/stanford-cars"


def test_a_folder_that_is_here_is_no_owner_on_the_hub(tmp_path, fetched):
    (tmp_path / "experts" / "dtd").mkdir(parents=True)
    with pytest.raises(Missing, match="  cars: experts/stanford-cars or experts/cars") as caught:
        locate([Source("dtd", ("experts/dtd",)), Source("cars", ("experts/stanford-cars", "experts/cars"))])
    assert not fetched and "hub" not in str(caught.value)


def test_all_that_are_missing_are_in_one_message_and_a_hub_out_of_reach_is_asked_once(fetched):
    tasks = [f"task{number}" for number in range(20)]
    with pytest.raises(Missing) as caught:
        locate([Source(task, (f"them/{task}",)) for task in tasks])
    text = str(caught.value)
    assert all(f"  {task}: them/{task}\n" in text for task in tasks)
    assert all(f"/cache/models--them--{task}\n" in text for task in tasks)
    assert text.count("ConnectError") == 1 and "trainer.weights=experts/%s" in text
    assert [offline for _, offline in fetched] == [False] + [True] * 19
