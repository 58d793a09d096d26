"""What a record may name, and all the ways around that were thought of."""

import sys

import pytest
import yaml

from cl_bench.experiment import trust
from cl_bench.runtime.errors import UserError
from tests.conftest import ROOT


@pytest.fixture
def config(configure):
    return configure()


def put(config, place, node):
    """Sets a setting under its dotted name."""
    *path, last = place.split(".")
    for name in path:
        config = config.setdefault(name, {})
    config[last] = node


FOREIGN = {
    "a function of Python's": ("scenario", "os.system"),
    "what is not even imported": ("merger", "not_there_at_all.Merger"),
    "through a module of ours": ("trainer", "cl_bench.launching.gpu_claim.os.system"),
    "a module of ours, from a package of the kind": (
        "scenario.dataset",
        "cl_bench.datasets.releases.unpack.shutil.rmtree",
    ),
    "what a module of ours imports": ("scenario.dataset", "cl_bench.datasets.cifar100.cache"),
    "a class that a module of ours imports": ("scenario.dataset", "cl_bench.datasets.releases.download.Release"),
    "a function of ours that reads no images": ("scenario.dataset", "cl_bench.datasets.releases.unpack.unpack"),
    "a program of ours": ("scenario.dataset", "cl_bench.datasets.__main__.main"),
    "a private function": ("scenario.dataset", "cl_bench.datasets.folder._files"),
    "a class of ours of another kind": ("merger", "cl_bench.trainers.Sequential"),
    "a class of ours in another place": ("trainer", "cl_bench.mergers.MagMax"),
    "an abstract class": ("merger", "cl_bench.mergers.engine.base.BaseMerger"),
    "a method": ("merger", "cl_bench.mergers.MagMax.merge"),
    "within a merger": ("merger.of", "subprocess.run"),
    "deep within a merger": ("merger.of.of.of", "subprocess.run"),
    "as an optimizer": ("optim.optimizer", "torch.load"),
    "through torch.optim": ("optim.optimizer", "torch.optim.optimizer.warnings.warn"),
    "what torch.optim imports": ("optim.optimizer", "torch.optim.adamw.cast"),
    "where nothing is instantiated": ("trainer.anything", "cl_bench.mergers.MagMax"),
    "in a list": ("scenario.tasks", [1, {"a": {"_target_": "os.system"}}]),
    "in a dictionary of data sets": ("scenario.datasets.mnist", "os.system"),
    "a partial one": ("scenario.dataset", {"_target_": "os.system", "_partial_": True}),
    "in a group of its own": ("dataset", "os.system"),
    "in an unknown group": ("anything", "os.system"),
    "beside a trusted name": ("merger", "my_pkg2.Merger"),
    "no name": ("merger", {"_target_": ["os", "system"]}),
    "what unpickles the files of its data set": ("scenario", "cl_bench.scenarios.Avalanche"),
}


@pytest.mark.parametrize(("place", "node"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_not_the_projects_own_is_refused_and_named(place, node, config, tmp_path):
    target = node if isinstance(node, str) else None
    put(config, place, {"_target_": node, "command": "true"} if target else node)
    before = set(sys.modules)
    with pytest.raises(UserError) as caught:
        trust.check(config, tmp_path / "result.json", ["my_pkg"])
    assert str(tmp_path / "result.json") in str(caught.value)
    if target:
        assert repr(target) in str(caught.value) and place in str(caught.value)
        assert f"--trust {target}" in str(caught.value)
    assert not any(name.partition(".")[0] in ("not_there_at_all", "my_pkg2") for name in set(sys.modules) - before)


@pytest.mark.parametrize("damage", [None, [], "text", {"no": "target"}])
@pytest.mark.parametrize("group", ["scenario", "lightning"])
def test_groups_that_are_no_mapping_or_name_nothing_are_damage(group, damage, config, tmp_path):
    config[group] = damage
    with pytest.raises(UserError, match=f"has no {group} with a _target_"):
        trust.check(config, tmp_path / "result.json")


def test_nothing_is_imported_before_it_is_allowed(config, tmp_path, monkeypatch):
    (tmp_path / "evil_pkg.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    put(config, "scenario", {"_target_": "evil_pkg.Scenario"})
    with pytest.raises(UserError, match="evil_pkg"):
        trust.check(config, tmp_path / "result.json")


@pytest.mark.parametrize("trusted", ["my_pkg", "my_pkg.mergers", "my_pkg.mergers.Median"])
def test_what_the_user_trusts_may_be_named_wherever_it_stands(trusted, config, tmp_path):
    put(config, "merger", {"_target_": "my_pkg.mergers.Median", "of": {"_target_": "cl_bench.mergers.MagMax"}})
    trust.check(config, tmp_path / "result.json", ["other", trusted])
    config["merger"]["of"]["_target_"] = "os.system"  # trust in one name is not trust in what it is given
    with pytest.raises(UserError, match=r"merger\.of"):
        trust.check(config, tmp_path / "result.json", [trusted])


def test_the_logger_of_a_record_does_not_count(config, tmp_path):
    put(config, "logger", {"_target_": "my_pkg.Logger", "of": {"_target_": "os.system"}})
    trust.check(config, tmp_path / "result.json")


GROUPS = ("backbone", "evaluation", "lightning", "merger", "optim", "scenario", "trainer", "dataset")


def test_everything_that_can_be_chosen_may_be_named_in_a_record(config, tmp_path):
    files = [path for group in GROUPS for path in (ROOT / "conf" / group).glob("*.yaml") if path.stem != "avalanche"]
    for path in files:
        content = yaml.safe_load(path.read_text())
        group = path.parent.name
        chosen = content.get(group, content)
        if "_target_" in chosen:
            place = "scenario.dataset" if group == "dataset" else group
            put(config, place, chosen)
            trust.check(config, tmp_path / "result.json")
    for name in ("SGD", "Adam", "AdamW"):
        put(config, "optim.optimizer", {"_target_": f"torch.optim.{name}", "_partial_": True})
        trust.check(config, tmp_path / "result.json")
    assert len(files) > 80
