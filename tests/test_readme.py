"""Every command of the README runs, on less data; so does its Python example, and its links lead somewhere."""

import logging
import re
import shlex
import sys

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from tests.conftest import FEW_STEPS, ROOT

README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
]
# The others have tests of their own: test_published_path.py and test_own_images.py (need data), test_run.py,
# test_launch.py, test_sweeps.py and test_launchers.py.
RUNS = [
    command
    for command in COMMANDS
    if command.startswith("python run.py") and not re.search("cifar100|--help|devices=|path/to|sweep=", command)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("readme")


@pytest.mark.slow
@pytest.mark.parametrize("command", RUNS)
def test_commands_run(command, folder, monkeypatch, capfd):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [*shlex.split(command)[1:], *FEW_STEPS, "evaluation.when=final"])
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))  # Hydra puts its own there
    GlobalHydra.instance().clear()
    import run

    run.main()
    printed = capfd.readouterr().out
    assert "written: " in printed and "zero-shot" in printed


def test_the_readme_names_the_make_targets_and_every_choice():
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"make ([a-z0-9-]+)", README)) <= targets
    tables = README[README.index("| group | choices |") : README.index("### Your own images")].splitlines()
    for path in (ROOT / "conf").glob("*/*.yaml"):
        if path.parent.name not in ("hydra",):
            group, choice = path.parent.name, path.stem
            stem, _, number = choice.rpartition("_")
            family = re.compile(rf"`{stem}_5`[^,|]*`_{number}`")
            assert any(f"`{choice}`" in line or family.search(line) for line in tables), (group, choice)


def test_links_lead_to_files():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_avalanche_example_runs(capfd):
    (example,) = re.findall(r"```python\n(import torch\nfrom avalanche.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(example, names)
    (accuracy,) = (
        value for key, value in names["strategy"].evaluator.get_last_metrics().items() if "Acc_Stream" in key
    )
    assert accuracy > 0.8


def test_the_library_example_runs():
    (example,) = re.findall(r"```python\n(from cl_bench.mergers.*?)```", README, flags=re.DOTALL)
    pretrained = {"weight": torch.zeros(4), "bias": torch.zeros(1)}
    finetuned = [{"weight": torch.randn(4), "bias": torch.randn(1)} for _ in range(3)]
    names = {"pretrained": pretrained, "finetuned": iter(finetuned), "weights": finetuned[0]}
    exec(example, names)
    largest = finetuned[0]["weight"]  # the only task of the running merge
    assert torch.allclose(names["merged"]["weight"], 0.5 * largest)
