"""What records say of test images that experts may have been trained on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.experiment.experts.checked import Expert
from cl_bench.experiment.experts.published import published
from cl_bench.experiment.experts.record import on_test_images
from cl_bench.store.references import Reference, ReferredFile
from tests.conftest import ROOT

FILE = ReferredFile(path="/a", bytes=1, sha256="a")


def expert(task, source="", commit=None, ours=False):
    return Expert(task, source, commit, Reference(path="/a", files=(FILE,), layout=""), None, ours, 0.1)


def theirs(task):
    return expert(task, f"tanganke/clip-vit-base-patch32_{published().name(task)}", "c0ffee")


def test_published_experts_are_noted_where_their_split_is_another_or_unknown():
    found = list(on_test_images([theirs(task) for task in ("cars", "mnist", "resisc45", "eurosat", "dtd")]))
    assert [note.partition(" may have")[0] for note in found[:1]] == ["The experts of eurosat"]
    assert "It is not known whether the experts of dtd, resisc45 were" in found[1]
    assert len(found) == 2 and list(on_test_images([theirs("cars"), theirs("svhn")])) == []


def test_experts_of_anybody_else_are_noted_and_our_own_are_not():
    found = list(
        on_test_images([expert("cars", "experts/cars"), expert("mnist", "me/x_mnist", "c0ffee"), theirs("svhn")])
    )
    assert len(found) == 1 and "the weights of cars, mnist were trained" in found[0]
    assert "of all tasks were trained" in next(on_test_images([expert("cars"), expert("mnist")]))
    assert list(on_test_images([expert("eurosat", ours=True)])) == []
    assert list(on_test_images([])) == []


def test_a_folder_of_the_publishers_name_is_not_the_publishers(tmp_path):
    assert "It is not known on which" in next(on_test_images([expert("cars", "tanganke/clip-vit_stanford-cars")]))


@given(st.permutations(["cars", "eurosat", "dtd", "resisc45", "sun397"]))
def test_runs_that_differ_in_the_order_of_tasks_have_the_same_notes(tasks):
    assert list(on_test_images([theirs(task) for task in tasks])) == list(
        on_test_images([theirs(task) for task in sorted(tasks)])
    )


@pytest.mark.parametrize("name", sorted(published().names.keys() | published().test_images.keys()))
def test_the_table_names_data_sets_that_there_are(name):
    assert (ROOT / "conf" / "dataset" / f"{name}.yaml").exists()
