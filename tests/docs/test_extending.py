"""A stranger follows docs/extending.md, word for word, in an empty folder outside the project."""

import os
import shlex

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import ROOT
from tests.helpers import page

# What the page's commands print, in their order.
PRINTED = (
    "0 of 2 tasks reused",  # merger=agreement
    "2 of 2 tasks reused",  # merger.share=0.9
    "2 of 2 tasks reused",  # merger=median
    "2 models merged",
    "2 of 2 tasks reused",  # merger=equal_length
    "0 of 2 tasks reused",  # trainer=tether
    "0 of 2 tasks reused",  # backbone=two_layers
    "0 of 3 tasks reused",  # dataset=stripes
    "merger=median merger.scaling=1.0",  # the sweep's table
    "merger=agreement merger.scaling=0.5",  # the same table again
    "3 passed",
    "0 of 2 tasks reused",  # from the folder above, with a store of its own
)


@pytest.mark.slow
def test_the_page_does_what_it_says(command, installed, tmp_path):
    folder, typed = tmp_path, []
    for step in page.steps(ROOT / "docs" / "extending.md"):
        if isinstance(step, page.File):
            path = folder / step.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, encoding="utf-8")
        elif step.line.startswith("mkdir "):
            (folder / step.line.removeprefix("mkdir ")).mkdir()
        elif step.line.startswith("cd "):
            folder = folder / step.line.removeprefix("cd ")
        else:
            if "merge " in step.line:
                _write_models(folder)
            done = command(*_arguments(step.line, installed), cwd=folder, env=_environment(step.line))
            assert done.returncode == 0, (step.line, done.stdout, done.stderr)
            typed.append((step.line, done.stdout))
    for (line, output), printed in zip(typed, PRINTED, strict=True):
        assert printed in output, (line, output)
    models = [load_file(tmp_path / f"mine/{name}.safetensors")["w"] for name in ("base", "a", "b", "merged")]
    assert torch.equal(models[3], models[0] + sum(model - models[0] for model in models[1:3]) / 2)


def _arguments(line, installed):
    """What follows `python`; the script `cl-bench` is one that Python runs."""
    program, *arguments = (word for word in shlex.split(line) if not word.startswith("PYTHONPATH="))
    assert program in ("cl-bench", "python"), line
    return [str(installed), *arguments] if program == "cl-bench" else arguments


def _environment(line):
    variables = [word.split("=", 1) for word in shlex.split(line) if word.startswith("PYTHONPATH=")]
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, **dict(variables)}


def _write_models(folder):
    for seed, name in enumerate(("base", "a", "b")):
        weights = torch.randint(-9, 10, (4, 3), generator=torch.Generator().manual_seed(seed)).float()
        save_file({"w": weights}, folder / f"{name}.safetensors")
