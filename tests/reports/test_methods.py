"""Names of methods, and their order."""

import pytest

from cl_bench.reports.methods import method_of, position, readable


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
    ("method", "name"),
    [
        ("independent_magmax", "MaxAbs"),
        ("cmm_without_refinement", "CMM without refinement"),
        ("cmm_with_second_moments", "CMM with second moments"),
        ("head_only_magmax", "Linear probe + magmax"),
        ("sequential_model_stock", "Sequential + model stock"),
        ("replay", "Replay"),
        ("my_own", "my own"),
        ("sequential+my_pkg.Median", "Sequential + my_pkg.Median"),
        ("my_pkg.Mine+model_stock", "my_pkg.Mine + model stock"),
        ("sequential_rescale_of_task_arithmetic", "Sequential + rescale of task arithmetic"),
        ("lwf+rescale_of_my_pkg.Median", "LwF + rescale of my_pkg.Median"),
    ],
)
def test_readable_names(method, name):
    assert readable(method) == name


def test_methods_that_are_not_the_papers_stand_before_cmm():
    papers = ["zero_shot", "joint", "lwf", "ewc", "independent_ties", "sequential_magmax", "tangent_magmax"]
    ordered = [*papers, "aaa", "lora_magmax", "cmm", "cmm_without_tangent", "cmm_a"]
    assert sorted(reversed(ordered), key=position) == ordered


def test_a_merger_around_another_is_called_by_both():
    choices = {"trainer": "lwf", "merger": "rescale", "merger@merger.of": "svc", "merger@merger.of.of": "my_pkg.Median"}
    assert readable(method_of({"choices": choices, "config": {}})) == "LwF + rescale of svc of my_pkg.Median"
