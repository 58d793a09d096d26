"""Names of methods, trainers and mergers, and their order."""

import pytest

from cl_bench.reports.names import (
    in_order,
    merger_label,
    method_label,
    method_of,
    method_position,
    papers_name,
    row_name,
    trainer_position,
)
from cl_bench.reports.tables.published import references


def record(trainer, merger, method=None, trainer_class="", merger_class=""):
    """The part of a record that says its method; classes are those of choices."""
    parts = {"trainer": {"_target_": trainer_class}, "merger": {"_target_": merger_class}}
    return {"choices": {"trainer": trainer, "merger": merger}, "config": {"method": method, **parts}, **parts}


@pytest.mark.parametrize(
    ("choices", "method"),
    [
        (("sequential", "last"), "sequential_last"),
        (("sequential", "magmax"), "sequential_magmax"),
        (("ewc", "last"), "ewc"),
        (("ewc", "magmax"), "ewc_magmax"),
        (("joint", "last"), "joint"),
        (("cmm", "cmm"), "cmm"),
        (("sequential", "my_pkg.Median"), "sequential+my_pkg.Median"),
        (("my_pkg.Mine", "last"), "my_pkg.Mine+last"),
    ],
)
def test_a_record_without_a_method_is_named_by_its_choices(choices, method):
    trainer, merger = choices
    result = {"choices": {"trainer": trainer, "merger": merger}, "config": {}}
    assert method_of(result) == method
    assert method_of({**result, "config": {"method": "my_own"}}) == "my_own"


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (record("independent", "magmax"), "MaxAbs"),
        (record("cmm", "cmm", "cmm_without_refinement"), "CMM without refinement"),
        (record("cmm", "cmm", "cmm_with_second_moments"), "CMM with second moments"),
        (record("head_only", "magmax"), "Linear probe + MagMax"),
        (record("sequential", "model_stock", merger_class="cl_bench.mergers.ModelStock"), "Sequential + model stock"),
        (record("replay", "last"), "Replay + last"),
        (record("ewc", "last", "ewc_last"), "EWC + last"),
        (record("ewc", "ties", "my_own"), "my own"),
        (record("sequential", "my_pkg.Median"), "Sequential + my_pkg.Median"),
        (record("my_pkg.Mine", "model_stock"), "my_pkg.Mine + model stock"),
        (record("si", "magmax", "si_magmax", trainer_class="cl_bench.trainers.SI"), "SI + MagMax"),
        (record("sequential", "slerp", merger_class="cl_bench.mergers.Slerp"), "Sequential + slerp"),
        (record("sequential", "opcm", merger_class="cl_bench.mergers.OPCM"), "Sequential + OPCM"),
        (record("my_trainer", "regmean", merger_class="my_pkg.RegMean"), "My trainer + RegMean"),
    ],
)
def test_the_name_of_a_row(made, name):
    assert row_name(made) == name


def test_every_published_method_has_a_name_of_its_own():
    assert all(papers_name(one.method) != one.method.replace("_", " ") for one in references())


def test_methods_that_are_not_the_papers_stand_before_cmm():
    papers = ["zero_shot", "joint", "lwf", "ewc", "independent_ties", "sequential_magmax", "tangent_magmax"]
    ordered = [*papers, "aaa", "lora_magmax", "cmm", "cmm_without_tangent", "cmm_a"]
    assert sorted(reversed(ordered), key=method_position) == ordered


def test_new_trainers_stand_after_the_known_ones():
    ordered = ["zero_shot", "sequential", "ewc", "lwf", "cmm", "lora", "a_new_one", "si"]
    assert sorted(reversed(ordered), key=trainer_position) == ordered


def test_a_merger_around_another_is_called_by_both():
    choices = {"trainer": "lwf", "merger": "rescale", "merger@merger.of": "svc", "merger@merger.of.of": "my_pkg.Median"}
    inner = {"_target_": "cl_bench.mergers.SVC", "of": {"_target_": "my_pkg.Median"}}
    merger = {"_target_": "cl_bench.mergers.Rescale", "of": inner}
    assert row_name({"choices": choices, "config": {"merger": merger}}) == "LwF + rescale of SVC of my_pkg.Median"
    for damaged in ({}, {"merger": {"of": "text"}}):
        assert row_name({"choices": choices, "config": damaged}) == "LwF + rescale of svc of my_pkg.Median"


def test_figures_call_a_new_trainer_and_merger_as_tables_do_and_show_them_last():
    new = record("si", "opcm", trainer_class="cl_bench.trainers.SI", merger_class="cl_bench.mergers.OPCM")
    assert (method_label(new), merger_label(new)) == ("SI + OPCM", "OPCM")
    assert in_order(["SI + OPCM", "CMM", "sequential + OPCM"]) == ["sequential + OPCM", "CMM", "SI + OPCM"]
    assert in_order(["SVC", "rescale", "breadcrumbs", "OPCM"]) == ["breadcrumbs", "OPCM", "rescale", "SVC"]
