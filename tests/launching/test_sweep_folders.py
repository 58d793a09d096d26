"""The folders of a sweep's jobs: what is measured is in their names."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from tests.conftest import ROOT

SWEEPS = ("seeds", "lambda", "task_order", "table_cil", "mergers", "first_results")


def folder(sweep, *overrides):
    """Where a job goes, below the sweep's own folder."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        method = () if sweep in ("lambda", "mergers") else ("+method=cmm",)
        told = [f"+sweep={sweep}", *overrides, *method, "logger.save_dir=."]
        config = compose("config", told, return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        return config.hydra.sweep.subdir


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (("scenario=digits_5",), "digits_5"),
        (("scenario=digits_5", "optim.lr=0.1", "paths.data_dir=x"), "digits_5"),
        (("scenario=digits_5", "scenario.tasks=2", "+dataset.test=90"), "digits_5,scenario.tasks=2,dataset.test=90"),
        (("scenario=class_incremental", "dataset=glyphs"), "class_incremental,dataset=glyphs"),
        (("scenario=folder", "dataset.root=a"), "folder,dataset.root=a"),
        (("scenario=folder", "dataset.root=path/to/images"), "folder,dataset.root=path_to_images-5da004"),
    ],
)
def test_a_folder_says_the_scenario_and_what_of_it_was_changed(overrides, name):
    assert folder("seeds", *overrides).split("/") == [name, "cmm", "seed_5"]


@pytest.mark.parametrize("sweep", SWEEPS)
def test_two_data_sets_of_any_sweep_have_two_folders(sweep):
    roots = ("a/b", "a_b", "a/b ", "x" * 300, "x" * 301)
    folders = [folder(sweep, "scenario=folder", f"dataset.root='{root}'") for root in roots]
    assert len(set(folders)) == len(roots)
    assert all(len(name.partition("/")[0]) < 100 for name in folders)
