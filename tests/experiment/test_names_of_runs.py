"""What strangers' images are called: on the terminal, in records, folders, tables, figures and comparisons."""

import json
import re
from functools import partial

import numpy as np
import pytest
from PIL import Image

from cl_bench.datasets import digits
from tests.conftest import FEW_STEPS

pytestmark = pytest.mark.slow
COMMON = ("backbone=tiny_clip", *FEW_STEPS)


def write(root, first, domains=("",)):
    """Four classes of ten real digits each, of which `first` is the first: `root/<domain>/<class>/<number>.png`."""
    data = digits.load().train
    for label, name in enumerate(("one", "two", "three", "four")):
        for number, row in enumerate(np.flatnonzero(data.labels == first + label)[:10]):
            for domain in domains:
                path = root / domain / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(data.pixels[row]).save(path)


def test_two_folders_called_images_are_two_data_sets_in_every_place(run_py, command, tmp_path):
    write(tmp_path / "mine/images", 0)
    write(tmp_path / "yours/images", 5)
    folders = ("dataset.root=mine/images,yours/images", "scenario.tasks=2", "seed=1", "+method=sequential_magmax")
    swept = run_py("+sweep=seeds", "scenario=folder", *folders, *COMMON)
    assert swept.returncode == 0, swept.stderr
    assert swept.stdout.count("images (class-incremental, 2 tasks): accuracy on test images") == 2
    mine, yours = sorted((tmp_path / "multirun/seeds").glob("folder*"))
    assert mine.name.startswith("folder,dataset.root=mine_images-") and yours.name.startswith(
        "folder,dataset.root=yours"
    )
    one, other = (json.loads((place / "sequential_magmax/seed_1/result.json").read_text()) for place in (mine, yours))
    name = "images (class-incremental, 2 tasks)"
    measured = {"name": name, "datasets": ["images"], "kind": "class-incremental", "tasks": 2}
    assert one["scenario"] == other["scenario"] == measured and one["schema"] == 3
    assert [(task["training_images"], task["images"]) for task in one["tasks"]] == [(16, 4)] * 2
    assert [task["class_names"] for task in one["tasks"]] == [["four", "one"], ["three", "two"]]
    digests = [record["datasets"][0]["images"][:8] for record in (one, other)]
    reports = partial(command, "-m", "cl_bench.reports", cwd=tmp_path)
    table = reports("table", "cil", "multirun", "out")
    assert table.returncode == 0, table.stderr
    header = (tmp_path / "out/cil.md").read_text().splitlines()[2]
    assert header == "| method | " + " | ".join(f"{name} [{digest}]" for digest in sorted(digests)) + " |"
    compared = reports("compare", str(mine), str(yours))
    assert compared.returncode == 2 and "Traceback" not in compared.stderr
    assert f"scenario: {name} [{digests[0]}] in A, {name} [{digests[1]}] in B" in compared.stderr


def test_domains_and_data_sets_of_any_name_are_called_by_it(run_py, command, tmp_path):
    write(tmp_path / "rooms", 0, domains=("Küche", "$a$ \\frac", "狗"))
    name = "[red] $x_$ <b> Büro"
    run = run_py(
        "scenario=folder_domains", "dataset.root=rooms", f"dataset.name='{name}'", "hydra.run.dir=run", *COMMON
    )
    assert run.returncode == 0, run.stderr
    assert f"{name} (domain-incremental, 3 tasks): accuracy" in run.stdout and run.stderr == ""
    record = json.loads((tmp_path / "run/result.json").read_text())
    assert [task["name"] for task in record["tasks"]] == ["$a$ \\frac", "Küche", "狗"]
    assert [task["class_names"] for task in record["tasks"]] == [None] * 3
    assert record["datasets"][0]["class_names"] == ["four", "one", "three", "two"]
    page = command("-m", "cl_bench.reports", "page", "run", "page.html", cwd=tmp_path)
    assert page.returncode == 0, page.stderr
    figures = command("-m", "cl_bench.reports", "figures", "run", "figures", cwd=tmp_path)
    assert figures.returncode == 0 and figures.stderr == ""
    assert re.search(
        r"^accuracy_over_time: \[red\] \$x_\$ <b> Büro \(domain-incremental, 3 tasks\)$", figures.stdout, re.M
    )
