import importlib
import pkgutil
import subprocess
import sys

import pytest

from cl_bench import datasets
from cl_bench.datasets.releases import catalog
from cl_bench.datasets.releases.release import Release
from cl_bench.runtime.errors import UserError
from tests.helpers.made_up_release import write_images, write_module


@pytest.fixture
def with_birds(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(write_module(tmp_path / "modules"))])
    yield
    sys.modules.pop("cl_bench.datasets.birds", None)


def test_every_module_with_a_release_is_found_under_its_own_name():
    modules = {name for _, name, _ in pkgutil.iter_modules(datasets.__path__) if name != "__main__"}
    with_release = {
        name for name in modules if hasattr(importlib.import_module(f"cl_bench.datasets.{name}"), "RELEASE")
    }
    releases = catalog.releases()
    assert set(releases) == with_release and "cifar100" in releases
    for name, release in releases.items():
        assert isinstance(release, Release) and release.name == name


@pytest.mark.parametrize("release", catalog.releases().values(), ids=lambda release: release.name)
def test_published_numbers_fit_together(release):
    totals = (release.train, release.test)
    if release.per_class:
        assert [len(numbers) for numbers in release.per_class] == [release.classes] * 2
        assert tuple(map(sum, release.per_class)) == totals
    if release.per_domain:
        assert tuple(map(sum, zip(*release.per_domain.values(), strict=True))) == totals
    for archive in release.archives:
        kind, _, value = archive.checksum.partition(":")
        assert (kind, len(value)) in {("", 0), ("md5", 32), ("sha256", 64)}
        assert archive.urls and all(url.startswith(("https://", "http://")) for url in archive.urls)


def test_a_new_data_set_is_one_file(tmp_path, with_birds):
    assert catalog.release("birds").title == "Birds of the Loopback"
    write_images(tmp_path / "data" / "birds")
    data = catalog.load("birds", tmp_path / "data")
    assert (data.name, len(data.train), len(data.test)) == ("birds", 3, 2)


def test_files_that_are_missing_are_told_by_the_data_set(tmp_path, with_birds):
    with pytest.raises(UserError, match=r"python -m cl_bench\.datasets download birds"):
        catalog.load("birds", tmp_path)


@pytest.mark.parametrize("look_up", [catalog.release, lambda name: catalog.load(name, "data")])
def test_unknown_names(look_up):
    with pytest.raises(UserError, match=r"no data set 'cifar_100'\. Did you mean cifar100\? There are: .*cifar100"):
        look_up("cifar_100")
    with pytest.raises(UserError, match=r"no data set 'xyz'\. There are: "):
        look_up("xyz")
    with pytest.raises(UserError, match="no data set 'glyphs'"):  # drawn, and so no release
        look_up("glyphs")


def test_what_is_known_is_known_without_heavy_imports():
    code = "import sys; from cl_bench.datasets.releases import catalog; catalog.releases(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "torchvision", "scipy", "open_clip", "gdown"} & set(loaded)
