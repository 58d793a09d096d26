"""Every figure from made-up records: what is drawn is what was recorded."""

import json
import statistics

import numpy as np
import pytest

from cl_bench.analyses.source import SCHEMA, describe
from cl_bench.reports.figures import (
    accuracy_over_scaling,
    accuracy_over_time,
    cosine_similarity,
    feature_mismatch,
    grid,
    interpolation,
    merge_cost,
    pruning,
    sign_conflicts,
    task_shares,
    tsne,
)
from cl_bench.reports.figures import all as figures
from cl_bench.reports.figures.records import Records
from cl_bench.reports.figures.style import looks
from cl_bench.reports.names import in_order, method_label
from cl_bench.runtime.errors import UserError
from cl_bench.store import write_result
from tests.reports.small_records import record

RANDOM = np.random.default_rng(0)
SCALINGS = (0.2, 0.4, 0.6)


def result(trainer="sequential", merger="magmax", tasks=3, seed=5, scaling=0.5, value=61.25, **more):
    """A record as `record` makes it, with the configuration that figures look at."""
    config = {
        "trainer": {"_target_": trainer, "starts_from": "merged" if trainer == "cmm" else "previous"},
        "merger": {"_target_": merger, "scaling": scaling},
    }
    choices = {"scenario": "made_up", "trainer": trainer, "merger": merger}
    headline = {"name": "accuracy.task_agnostic", "value": value}
    named = [{"name": f"task {i}"} for i in range(tasks)]
    own = {"choices": choices, "config": config, "seed": seed, "tasks": named, "headline": headline}
    return {**record(tasks), **own, **more}


def with_list(values, **more):
    scalings = [
        {"scaling": scaling, "accuracy": {"task_agnostic": value}}
        for scaling, value in zip(SCALINGS, values, strict=True)
    ]
    return result(scalings=scalings, **more)


def analysis(name, trainer="sequential", merger="magmax", tangent=None, **numbers):
    own = {"_target_": trainer, "starts_from": "merged" if trainer == "cmm" else "previous"}
    source = {
        "choices": {"trainer": trainer, "merger": merger},
        "scenario": {"name": "made_up", "kind": "class-incremental"},
        "images": ["0" * 64],
        "tasks": [],
        "trainer": own if tangent is None else {**own, "tangent": tangent},
        "merger": {"_target_": merger},
    }
    return {"schema": SCHEMA, "analysis": name, "source": source, **numbers}


def drawn(module, results=(), analyses=()):
    """The only figure of a module: its axes, and its caption."""
    (drawing,) = module.drawings(Records(results, analyses))
    drawing.figure.canvas.draw()
    assert drawing.scenario == "made_up" and drawing.caption.startswith("made_up: ") and drawing.caption.endswith(".")
    return [axis for axis in drawing.figure.axes if axis.axison], drawing.caption


def lines(axis):
    return {line.get_label(): np.array(line.get_xydata()) for line in axis.lines}


def made_conflicts(trainer, tasks):
    return analysis(
        "sign_conflicts",
        trainer,
        trimmed=[0, 50, 95],
        conflicts_by_trimming=RANDOM.uniform(0, 100, 3).tolist(),
        tasks=list(range(2, tasks + 1)),
        conflicts_by_tasks=RANDOM.uniform(0, 100, tasks - 1).tolist(),
    )


@pytest.mark.parametrize("tasks", [2, 20, 50])
def test_accuracy_over_time_shows_the_matrices_and_which_tasks_were_learned(tasks):
    other, later = (dict.fromkeys(("task_agnostic", "task_aware"), np.eye(tasks + 1, tasks) * i) for i in (10, 20))
    results = [result("independent", tasks=tasks, matrix=other), result(tasks=tasks)]
    axes, caption = drawn(accuracy_over_time, [result(tasks=tasks, seed=6, matrix=later), *results])
    assert [axis.get_title() for axis in axes[:2]] == ["independent + MagMax", "sequential + MagMax"]
    for axis, expected in zip(axes[:2], results, strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), expected["matrix"]["task_agnostic"])
        (step,) = lines(axis).values()
        for row in range(1, tasks):  # the line passes between what was learned by then and what was not
            assert [row - 0.5, row - 0.5] in step.tolist() and [row - 0.5, row + 0.5] in step.tolist()
    assert "among all classes" in caption
    texts = [text.get_text() for text in axes[0].texts]
    assert texts == (["10", "0", "0", "10", "0", "0"] if tasks == 2 else [])


def test_accuracy_over_time_leaves_out_what_was_not_evaluated_after_every_task():
    unevaluated = {kind: [[1.0, 2.0], [None, None], [1.0, 2.0]] for kind in ("task_agnostic", "task_aware")}
    results = [result(tasks=2, matrix=unevaluated), {**result("joint"), **record(joint=True)}]
    assert list(accuracy_over_time.drawings(Records(results, ()))) == []


def test_accuracy_over_scaling_has_means_and_deviations_over_seeds():
    values = {1: (50.0, 60.0, 40.0), 2: (54.0, 61.0, 30.0), 3: (52.0, 65.0, 50.0)}
    results = [with_list(own, seed=seed) for seed, own in values.items()]
    results += [result("independent", seed=1, scaling=scaling, value=100 * scaling) for scaling in SCALINGS]
    (independent, sequential), caption = drawn(
        accuracy_over_scaling, [*results, result(seed=9, scaling=0.9, value=0.0)]
    )
    means = [statistics.mean(column) for column in zip(*values.values(), strict=True)]
    np.testing.assert_allclose(lines(sequential)["MagMax"], list(zip(SCALINGS, means, strict=True)))
    np.testing.assert_allclose(lines(independent)["MagMax"], [(scaling, 100 * scaling) for scaling in SCALINGS])
    band = sequential.collections[0].get_paths()[0].vertices
    expected = means[2] + statistics.stdev(own[2] for own in values.values())
    assert band[np.isclose(band[:, 0], 0.6), 1].max() == pytest.approx(expected)
    assert sequential.lines[-1].get_ydata() == [12.5, 12.5]
    assert "(n = 1 to 3)" in caption


@pytest.mark.parametrize("tasks", [2, 50])
def test_sign_conflicts_has_a_line_per_trainer_against_trimming_and_tasks(tasks):
    made = [made_conflicts("sequential", tasks), made_conflicts("independent", tasks)]
    (trimming, count), _ = drawn(sign_conflicts, analyses=made)
    assert list(lines(trimming)) == ["independent", "sequential"]
    for numbers, name in zip(made, ("sequential", "independent"), strict=True):
        expected = np.transpose([numbers["trimmed"], numbers["conflicts_by_trimming"]])
        np.testing.assert_array_equal(lines(trimming)[name], expected)
        expected = np.transpose([numbers["tasks"], numbers["conflicts_by_tasks"]])
        np.testing.assert_array_equal(lines(count)[name], expected)


def test_trainers_are_name_scenarios_by_color_marker_and_dashes():
    made = [made_conflicts(trainer, 3) for trainer in ("sequential", "independent", "ewc", "lwf")]
    (axis, _), _ = drawn(sign_conflicts, analyses=made)
    for look in ("get_color", "get_marker", "get_linestyle"):
        assert len({getattr(line, look)() for line in axis.lines}) == 4


def test_a_new_trainer_looks_like_no_other_in_a_figure_with_all_fixed_looks():
    found = looks(["independent", "sequential", "EWC", "LwF", "tangent", "CMM", "SI", "another"])
    assert len({tuple(one.items()) for one in found.values()}) == len(found)
    assert found["CMM"] == looks(["CMM"])["CMM"] and found["EWC"] == looks(["SI", "EWC"])["EWC"]


def test_new_methods_have_panels_beside_the_six_that_are_known():
    known = [("sequential", "last"), ("sequential", "magmax"), ("independent", "magmax"), ("ewc", "last")]
    known += [("lwf", "last"), ("cmm", "cmm"), ("replay", "magmax")]
    new = [("si", "magmax"), ("sequential", "slerp")]
    axes, _ = drawn(accuracy_over_time, [result(*method) for method in (*known, *new)])
    titles = [axis.get_title() for axis in axes if axis.get_title()]
    assert titles == [
        *("independent + MagMax", "sequential", "sequential + MagMax", "sequential + slerp"),
        *("EWC", "LwF", "CMM", "si + MagMax"),
    ]


def test_what_learned_on_test_images_says_so_above_its_panel():
    axes, _ = drawn(accuracy_over_time, [result(), result("sequential", "adamerging", sees_test_images=True)])
    titles = [axis.get_title() for axis in axes if axis.get_title()]
    assert "sequential + adamerging\n(learned on unlabelled test\nimages)" in titles and len(titles) == 2


def test_pruning_has_the_mean_over_tasks():
    kept, removed = RANDOM.uniform(0, 100, (2, 4, 3))
    made = analysis("pruning", task=[1, 2, 3, 4], share=[0, 20, 100], kept=kept.tolist(), removed=removed.tolist())
    axes, caption = drawn(pruning, analyses=[made])
    for axis, values in zip(axes, (kept, removed), strict=True):
        np.testing.assert_allclose(lines(axis)["sequential"], np.transpose([[0, 20, 100], values.mean(axis=0)]))
    assert "mean over 4 tasks" in caption


def test_task_shares_has_a_point_per_task_and_the_equal_share():
    share = RANDOM.dirichlet(np.ones(50)) * 100
    made = analysis("task_shares", task=list(range(1, 51)), share=share.tolist())
    (axis,), _ = drawn(task_shares, analyses=[made])
    np.testing.assert_allclose(lines(axis)["sequential"], np.transpose([range(1, 51), share]))
    assert lines(axis)["equal shares"][0, 1] == 2.0


@pytest.mark.parametrize("tasks", [2, 50])
def test_cosine_similarity_has_a_matrix_per_trainer(tasks):
    cosines = {trainer: RANDOM.uniform(-0.5, 1, (tasks, tasks)) for trainer in ("sequential", "independent")}
    made = [analysis("cosine_similarity", trainer, cosine=values.tolist()) for trainer, values in cosines.items()]
    axes, _ = drawn(cosine_similarity, analyses=made)
    for axis, trainer in zip(axes[:2], ("independent", "sequential"), strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), cosines[trainer])
        assert axis.get_title() == trainer


def test_merge_cost_has_both_ways_and_a_gap_where_nothing_was_measured():
    running = {"memory": [4.0, 4.0, 4.0], "seconds": [0.1, 0.2, 0.3]}
    kept = {"memory": [4.0, 9.0, None], "seconds": [0.1, 0.3, None]}
    made = analysis("merge_cost", tasks=[1, 25, 50], weights=2.0, running=running, kept=kept)
    (memory, seconds), _ = drawn(merge_cost, analyses=[made])
    assert lines(memory)["task by task"].tolist() == [[1, 4], [25, 4], [50, 4]]
    assert lines(seconds)["all weights kept"][:2].tolist() == [[1, 0.1], [25, 0.3]]
    assert np.isnan(lines(seconds)["all weights kept"][2, 1])
    assert lines(memory)["one model's weights"][:, 1].tolist() == [2.0, 2.0]


def test_interpolation_has_a_row_per_trainer_and_a_line_per_path():
    def made(trainer, paths, **more):
        numbers = {path: RANDOM.uniform(0, 100, (3, 2)).tolist() for path in paths}
        parts = {"accuracy": numbers, "loss": numbers}
        return analysis("interpolation", trainer, "cmm", task=[1, 9], share=[0, 0.5, 1], **parts, **more)

    cmm, plain = made("cmm", ("linear", "fisher"), tangent=True), made("sequential", ("linear",))
    axes, _ = drawn(interpolation, analyses=[cmm, plain])
    assert [axis.get_title() for axis in axes[::2]] == ["sequential (plain)", "CMM (in the tangent space)"]
    assert lines(axes[0]).keys() == {"linear"} and lines(axes[2]).keys() == {"linear", "Fisher-weighted"}
    expected = np.mean(cmm["loss"]["fisher"], axis=1)
    np.testing.assert_allclose(lines(axes[3])["Fisher-weighted"], np.transpose([[0, 0.5, 1], expected]))


def test_feature_mismatch_has_three_models_and_what_refinement_changes():
    models = {"own": [3.0, 2.0], "merged": [1.0, 0.5], "refined": [0.9, 0.6]}
    (above, below), _ = drawn(
        feature_mismatch, analyses=[analysis("feature_mismatch", "cmm", "cmm", task=[2, 3], **models)]
    )
    assert lines(above)["merged and refined"].tolist() == [[2, 0.9], [3, 0.6]]
    np.testing.assert_allclose(below.lines[0].get_ydata(), [-10, 20])


def test_tsne_has_a_panel_per_method_and_a_point_per_image():
    points = {name: RANDOM.normal(size=(7, 2)) for name in ("pre-trained", "task 1", "task 9", "merged")}
    numbers = {"points": {name: own.tolist() for name, own in points.items()}, "class": "digit 0", "images": 7}
    made = [analysis("tsne", **numbers), analysis("tsne", "cmm", "cmm", tangent=False, **numbers)]
    axes, caption = drawn(tsne, analyses=made)
    assert [axis.get_title() for axis in axes] == ["sequential + MagMax", "CMM without tangent space"]
    np.testing.assert_array_equal(lines(axes[0])["merged"], points["merged"])
    assert "7 test images of one class of the first task (digit 0)" in caption


def test_cells_are_readable_on_every_color():
    from matplotlib.figure import Figure

    axis = Figure().subplots()
    grid.draw_grid(axis, np.array([[-0.001, 1.0], [np.nan, 0.5]]), (0.0, 1.0), digits=2, rows_from=1)
    assert [(text.get_text(), text.get_color()) for text in axis.texts] == [
        ("0.00", "white"), ("1.00", "black"), ("0.50", "white"),
    ]  # fmt: skip


def test_names_say_what_was_left_out_and_stand_in_the_papers_order():
    source = analysis("", "cmm", "cmm", tangent=False)["source"]
    source["merger"]["second_moments"] = False
    assert method_label(source) == "CMM without tangent space and second moments"
    assert method_label(analysis("", "sequential", "last")["source"]) == "sequential"
    ordered = ["independent + MagMax", "sequential", "sequential + TIES", "EWC + MagMax", "CMM", "own trainer"]
    assert in_order(reversed(ordered)) == ordered


def test_the_same_records_give_the_same_bytes_in_all_formats(tmp_path, capsys):
    write_result(tmp_path / "runs/a/result.json", result())
    path = tmp_path / "runs/a/analyses/sign_conflicts.json"
    path.parent.mkdir()
    path.write_text(json.dumps({**made_conflicts("sequential", 3), "source": describe(result())}))
    files = []
    for out in ("first", "second"):
        assert figures.write(tmp_path / "runs", tmp_path / out) == [
            "accuracy_over_time_made_up",
            "sign_conflicts_made_up",
        ]
        files.append({path.name: path.read_bytes() for path in (tmp_path / out).iterdir()})
    assert files[0] == files[1] and len(files[0]) == 8
    assert b"<title>sign_conflicts_made_up</title>" in files[0]["sign_conflicts_made_up.svg"]
    printed = capsys.readouterr().out
    assert "accuracy_over_time: made_up\n" in printed
    needed = f"the analysis pruning: python -m cl_bench.analyses {tmp_path / 'runs'}"
    assert f"pruning: not for made_up, which needs {needed}\n" in printed


def test_an_analysis_of_an_earlier_run_does_not_pass_for_one_of_the_record_beside_it(tmp_path):
    path = tmp_path / "a/analyses/sign_conflicts.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**made_conflicts("sequential", 3), "source": describe(result())}))
    write_result(tmp_path / "a/result.json", result())
    assert len(Records.below(tmp_path).analyses) == 1
    write_result(tmp_path / "a/result.json", result(fingerprint="of other images"))
    with pytest.raises(UserError, match=r"sign_conflicts.json is of another run .* run python -m cl_bench.analyses"):
        Records.below(tmp_path)


def test_a_damaged_analysis_is_named(tmp_path):
    write_result(tmp_path / "a/result.json", result())
    (tmp_path / "a/analyses").mkdir()
    (tmp_path / "a/analyses/pruning.json").write_text("{")
    with pytest.raises(UserError, match=rf"pruning.json is damaged .* run python -m cl_bench.analyses {tmp_path}"):
        Records.below(tmp_path)
