"""`trainer.weights` in all its forms, spelled out for each task."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.experiment.experts.published import published
from cl_bench.experiment.experts.sources import Source, sources
from cl_bench.runtime.errors import UserError
from tests.conftest import ROOT

NAMES = st.lists(st.text(st.characters(categories=["L", "N", "Zs"]), min_size=1), min_size=1, unique=True)


def places(weights, *tasks, model="ViT-B-32-quickgelu"):
    return [source.places for source in sources(weights, tasks, model)]


def test_a_pattern_tries_the_publishers_name_first_and_then_ours():
    assert places("experts/%s", "mnist", "cars") == [("experts/mnist",), ("experts/stanford-cars", "experts/cars")]
    assert places("a%sb.pt", "oxford_iiit_pet") == [("aoxford-iiit-petb.pt", "aoxford_iiit_petb.pt")]


def test_published_experts_are_the_default_of_their_backbones():
    assert places(None, "mnist") == [("tanganke/clip-vit-base-patch32_mnist",)]
    assert (
        places(None, "flowers102", model="ViT-L-14-quickgelu")[0][0]
        == "tanganke/clip-vit-large-patch14_oxford_flowers102"
    )
    files = [
        yaml.safe_load((ROOT / "conf" / "backbone" / f"vit_{size}.yaml").read_text())
        for size in ("b_16", "b_32", "l_14")
    ]
    assert {file["backbone"]["model"] for file in files} == published().patterns.keys()
    with pytest.raises(UserError, match=r"trainer.weights is missing, since no experts are published for tiny_clip"):
        sources(None, ["mnist"], "tiny_clip")


@given(NAMES)
def test_lists_go_by_position_and_mappings_by_name(tasks):
    listed = [f"file {number}" for number, _ in enumerate(tasks)]
    expected = [Source(task, (place,)) for task, place in zip(tasks, listed, strict=True)]
    assert sources(listed, tasks, "") == expected
    named = dict(zip(tasks, listed, strict=True))
    assert sources({"another": "file", **dict(reversed(named.items()))}, tasks, "") == expected


@given(NAMES)
def test_each_task_is_in_its_places_by_its_own_name(tasks):
    for task, (*_, last) in zip(tasks, places("[%s]", *tasks), strict=True):
        assert last == f"[{task}]"


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ("experts", "has no %s"),
        ("%s/%s", "more than one %s"),
        (["a"], "lists 1 places, but the scenario has 2 tasks: mnist, dtd"),
        ([], "lists 0 places"),
        ({"mnist": "a", "dtt": "b"}, "no place for dtd; it names dtt, mnist"),
        ({}, "no place for mnist, dtd; it names nothing"),
    ],
)
def test_what_does_not_fit_the_tasks_is_refused(weights, text):
    with pytest.raises(UserError, match=text):
        sources(weights, ["mnist", "dtd"], "")


def test_a_single_task_needs_no_pattern():
    assert places("merged.safetensors", "mnist") == [("merged.safetensors",)]
