"""The README's Python examples run, its links lead somewhere, its tables name every choice."""

import re

import torch

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


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
