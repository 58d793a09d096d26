"""The memory of every method that promises it does not grow with the number of tasks."""

import json
import os
import subprocess
import sys

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from cl_bench.mergers import RunningMerge
from cl_bench.runtime.instantiate import instantiate
from tests.conftest import ROOT
from tests.mergers.conftest import FREED_AT_ONCE

MEASURE = """
import json, sys
from pathlib import Path
import torch
from cl_bench.runtime.instantiate import instantiate
from cl_bench.mergers import RunningMerge

def mib(what):
    return int(Path("/proc/self/status").read_text().split(what)[1].split()[0]) / 1024

def model(task):
    return {"mlp.c_fc.weight": pretrained["mlp.c_fc.weight"].roll(task)}

def merge(merger, tasks):
    running = RunningMerge(merger, pretrained)
    for task in range(tasks):
        weights = model(task)
        running.add(weights, dict.fromkeys(merger.requires, pretrained))
    running.merged()

def peaks(merger):
    start, found = mib("VmRSS:"), []
    for tasks in (4, 32):
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
        merge(merger, tasks)
        found.append(mib("VmHWM:") - start)
    return found

ELEMENTS = 3_000_000
torch.set_num_threads(1)
pretrained = {"mlp.c_fc.weight": torch.arange(ELEMENTS, dtype=torch.float32).remainder_(101).view(-1, 40)}
measured = {}
for name, node in json.loads(sys.argv[1]).items():
    merger = instantiate(node, "merger")
    merge(merger, 2)  # what is allocated once
    for _ in range(3):  # what else happens in a process adds to one peak or the other, now and then
        measured[name] = peaks(merger)
        if measured[name][1] < 1.05 * measured[name][0]:
            break
print(json.dumps(measured))
"""


def _constant() -> dict[str, dict]:
    """The configurations of all methods that do not keep the models, with some number where one must be given."""
    nodes = {}
    for path in sorted((ROOT / "conf" / "merger").glob("*.yaml")):
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose("merge", [f"merger={path.stem}"])
        for missing in OmegaConf.missing_keys(config):
            OmegaConf.update(config, missing, [{"match": "*", "scaling": 0.5}] if missing == "merger.rules" else 0.5)
        node = OmegaConf.to_container(config.merger, resolve=True)
        if not RunningMerge(instantiate(node, "merger"), {"mlp.c_fc.weight": torch.zeros(1, 1)}).keeps_models:
            nodes[path.stem] = node
    return nodes


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_four_and_thirty_two_tasks_take_the_same_memory() -> None:
    nodes = _constant()
    nodes["lines"]["beta"] = 0.0  # the model has no blocks
    nodes["dop"]["steps"] = nodes["nufilt"]["steps"] = 1
    folds = {"magmax", "ties", "dare", "della", "model_stock", "fisher", "cmm", "lines", "opcm", "dop", "nufilt"}
    assert folds <= nodes.keys()
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps(nodes)],
        check=True, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **FREED_AT_ONCE},
    )  # fmt: skip
    peaks = json.loads(measured.stdout)
    assert {name: pair for name, pair in peaks.items() if not pair[1] < 1.05 * pair[0]} == {}
