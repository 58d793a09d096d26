"""Models on the hub: fetched from a server of our own, found in the cache, or said to be missing."""

import pytest
from huggingface_hub import constants

from cl_bench.runtime.errors import Missing
from cl_bench.store import hub
from tests.helpers.hub_server import serving


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("/{repo_id}")
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.address + template[1] + template[2])
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield server


def offer(server, name, tmp_path, **files):
    folder = tmp_path / name.replace("/", "_")
    folder.mkdir()
    for file, content in files.items():
        (folder / file.replace("_", ".", 1)).write_bytes(content)
    server.add(name, folder)


def test_a_model_is_fetched_once_and_then_lies_in_the_cache(server, tmp_path):
    offer(server, "them/cars", tmp_path, model_safetensors=b"weights", README_md=b"card", model_bin=b"the same")
    fetched = hub.fetch("them/cars")
    assert fetched.commit == server.commit("them/cars") == fetched.folder.name
    assert {file.name for file in fetched.folder.iterdir()} == {"model.safetensors", "README.md"}
    assert fetched.folder.is_relative_to(hub.cache_folder("them/cars"))
    before = [asked for asked in server.asked if "resolve" in asked]
    assert hub.fetch("them/cars") == hub.fetch("them/cars", offline=True) == fetched
    assert [asked for asked in server.asked if "resolve" in asked] == before
    assert hub.fetch(f"them/cars@{fetched.commit}") == fetched


def test_pytorch_files_are_fetched_where_there_are_no_others(server, tmp_path):
    offer(server, "them/dtd", tmp_path, model_bin=b"weights", config_json=b"{}")
    assert "model.bin" in {file.name for file in hub.fetch("them/dtd").folder.iterdir()}


@pytest.mark.parametrize("name", ["them/gone", "them/cars@no_such_branch"])
def test_what_is_not_there_is_missing(server, tmp_path, name):
    offer(server, "them/cars", tmp_path, model_safetensors=b"weights")
    with pytest.raises(Missing, match=name) as caught:
        hub.fetch(name)
    assert "\n" not in str(caught.value) and not hub.is_unreachable(caught.value)


def test_a_hub_that_cannot_be_reached_is_told_apart(server, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Missing) as caught:
        hub.fetch("them/cars")
    assert hub.is_unreachable(caught.value)


@pytest.mark.parametrize("name", ["a/b", "a/b@main", "tanganke/clip-vit-base-patch16_stanford-cars", "a/b@refs/pr/1"])
def test_names_are_told_from_paths(name):
    assert hub.is_name(name)


@pytest.mark.parametrize("path", ["a", "a/b/c", "./a", "/a/b", "~/a", "../a", "a/b.safetensors", "a /b", "ä/b", ""])
def test_paths_are_no_names(path):
    assert not hub.is_name(path)
