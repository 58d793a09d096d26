"""README and docs: examples run, links and anchors lead somewhere, every choice is named or found by itself."""

import ast
import os.path
import re
import textwrap
from pathlib import Path

import pytest
import torch

from docs import hooks
from tests.conftest import ROOT
from tests.test_rooms import LEVELS

README = (ROOT / "README.md").read_text()
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```.*?^```", flags=re.MULTILINE | re.DOTALL)


def _text(path):
    """The page without its blocks of code."""
    return _FENCE.sub("", path.read_text())


def _anchors(path):
    """The anchors of its headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.*)$", _text(path), flags=re.MULTILINE)
    words = [re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()) for heading in headings]
    return {re.sub(r"[\s]+", "-", word.strip()) for word in words}


def test_the_readme_is_short():
    assert len(README.split()) <= 1300


def test_the_readme_counts_choices_truly():
    for number, things in re.findall(r"over (\d+) (merging rules|trainers)", README):
        assert len(list((ROOT / "conf" / {"trainers": "trainer"}.get(things, "merger")).glob("*.yaml"))) > int(number)


def test_the_pages_name_make_targets_that_exist():
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {target for page in PAGES for target in re.findall(r"`make ([a-z0-9-]+)", page.read_text())}
    assert len(named) >= 15 and named <= targets


def test_every_choice_is_named_or_listed_by_itself():
    usage, data = ((ROOT / "docs" / name).read_text() for name in ("usage.md", "data.md"))
    listed = set(re.findall(r"<!-- every choice of (\w+) -->", usage + data))
    assert listed == {"trainer", "merger", "dataset"}
    for path in (ROOT / "conf").glob("*/*.yaml"):
        group, choice = path.parent.name, path.stem
        stem, _, number = choice.rpartition("_")
        family = re.compile(rf"`{stem}_5`[^,|]*`_{number}`")
        rows = hooks.table_of_choices(group).splitlines() if group in listed else usage.splitlines()
        assert any(f"`{choice}`" in line or family.search(line) for line in rows), (group, choice)


def test_choices_that_the_pages_name_exist():
    named = r"\b(merger|trainer|scenario|dataset|backbone|logger|head)=([a-z]\w*)"
    for page in PAGES:
        for group, choice in re.findall(named, _text(page)):
            assert (ROOT / "conf" / group / f"{choice}.yaml").exists(), (page.name, group, choice)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_anchors_to_headings(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", _text(page)):
        path = (page.parent / target) if target else page
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path), (target, anchor)


def test_every_page_has_its_place_on_the_site():
    placed = re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE)
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    pages = {page for page in pages if "/tables/" not in page}  # which the miniature's page shows
    assert sorted(placed) == sorted(pages | set(hooks.PAGES_OF_ROOT.values()))


def test_links_on_the_site_lead_to_pages_and_to_modules_of_the_reference():
    rooms = {path.stem for path in (ROOT / "docs/api").glob("*.md")}
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page.parent.name not in ("api", "tables")]
    uris = {f"docs/{uri}": uri for uri in (page.relative_to(ROOT / "docs").as_posix() for page in pages)}
    del uris["docs/index.md"]  # where the site has the README
    uris |= hooks.PAGES_OF_ROOT
    modules = 0
    for source, uri in uris.items():
        site = hooks.links_for_site(_FENCE.sub("", (ROOT / source).read_text()), source, uri, rooms)
        for target in re.findall(r"(?<!!)\]\((?!https?:|#)([^)#]+)", site):
            place = os.path.normpath(os.path.join(os.path.dirname(uri), target))
            assert place in uris.values() or (ROOT / "docs" / place).exists(), (source, target)
        for name in re.findall(r"\]\[(cl_bench[\w.]*)\]", site):
            path = ROOT / Path(*name.split("."))
            assert path.is_dir() or path.with_suffix(".py").exists(), name
            modules += 1
    assert modules >= 20  # each merger's, at least


def test_nothing_in_a_docstring_is_taken_for_a_reference():
    """`R[i][j]` without backticks would link to a page j, which stops the build of the site."""
    for path in (ROOT / "cl_bench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                text = re.sub(r"(`+).+?\1", "", ast.get_docstring(node) or "", flags=re.DOTALL)
                assert not re.search(r"\]\[", text), (path, node)


def test_links_are_rewritten_for_the_site():
    def rewritten(link, source="docs/usage.md", uri="usage.md"):
        return hooks.links_for_site(link, source, uri, {"mergers"})

    assert rewritten("[a](data.md#own)") == "[a](data.md#own)"
    assert rewritten("[a](../CONTRIBUTING.md)") == "[a](contributing.md)"
    assert rewritten("[a](../../README.md#start)", "docs/miniature/x.md", "miniature/x.md") == "[a](../index.md#start)"
    assert rewritten("[a](docs/data.md) ![b](docs/p.png)", "README.md", "index.md") == "[a](data.md) ![b](p.png)"
    assert rewritten("[a](../cl_bench/mergers/ties.py)") == "[a][cl_bench.mergers.ties]"
    assert rewritten("[a](../cl_bench/cli/run.py), [b](../conf/merger), [c](miniature/tables/)") == "a, b, c"


def test_the_loop_of_the_architecture_is_the_one_in_the_code():
    (loop,) = re.findall(
        r"```python\n(for task in .*?)```", (ROOT / "docs/architecture.md").read_text(), flags=re.DOTALL
    )
    assert textwrap.indent(loop, " " * 8) in (ROOT / "cl_bench/experiment/run.py").read_text()


def test_the_order_of_rooms_is_the_one_that_is_tested():
    (order,) = re.findall(r"```text\n(cli.*?)\n```", (ROOT / "docs/architecture.md").read_text(), flags=re.DOTALL)
    assert tuple(tuple(line.split(", ")) for line in order.splitlines()) == LEVELS


def test_the_avalanche_example_runs(capfd):
    text = (ROOT / "docs/data.md").read_text()
    (example,) = re.findall(r"```python\n(import torch\nfrom avalanche.*?)```", text, flags=re.DOTALL)
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
