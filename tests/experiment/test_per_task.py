"""Mergers that make a model for each task: what a run measures, what it leaves out and what it refuses."""

import pytest

from cl_bench.experiment.parts import build
from cl_bench.experiment.run import run
from cl_bench.mergers import TallMasks
from tests.conftest import FEW_IMAGES, FEW_STEPS, SHORT

DIGITS = (*SHORT, "+dataset.train=300")


def models_by_hand(parts, scaling, threshold, task, tasks):
    """θ₀ + Σ τ where |τ_t| ≥ threshold · |λ Σ τ - τ_t|."""
    stream, start = parts.stream(), parts.pretrained
    learned = [stream.read(number)[0] for number in range(tasks)]
    model = {}
    for name, weights in start.items():
        vectors = [each[name] - weights for each in learned]
        total = scaling * sum(vectors)
        model[name] = weights + total * (vectors[task].abs() >= threshold * (total - vectors[task]).abs())
    return model


def test_each_task_is_answered_by_its_model_with_the_threshold_that_validation_images_chose(configure, tmp_path):
    config = configure(
        *DIGITS,
        "merger=tall_masks",
        "merger.scaling=2.5",
        "scenario.validation_share=0.3",
        "optim.lr=1e-3",
        "trainer=independent",
        "lightning.limit_train_batches=6",
    )
    result = run(config, tmp_path)
    parts = build(config)
    tests, validation = parts.evaluator("test"), parts.evaluator("validation")
    rows = [tests(parts.pretrained).matrix_row("task_aware")]
    for tasks in (1, 2):
        row, chosen = rows[0].clone(), []
        for task in range(tasks):

            def on(evaluator, threshold, task=task, tasks=tasks):
                model = models_by_hand(parts, 2.5, threshold, task, tasks)
                return float(evaluator(model).matrix_row("task_aware")[task])

            chosen.append(max((0.2, 0.3, 0.4, 0.5, 0.6), key=lambda threshold: on(validation, threshold)))
            row[task] = on(tests, chosen[-1])
        rows.append(row)
    assert result["matrix"]["task_aware"] == [row.tolist() for row in rows]
    assert result["per_task"] == {"chosen": chosen} and len(set(chosen)) > 1
    assert result["headline"] == {"name": "accuracy.task_agnostic", "value": None}
    for key in ("accuracy", "accuracy_after_task", "metrics", "matrix"):
        assert result[key]["task_agnostic"] is None and result[key]["task_aware"] is not None
    assert result["left_out"]["task_agnostic"].startswith("merger=tall_masks makes a model for each task")
    assert any("answers each task by a model of its own" in note for note in result["notes"])


def test_without_validation_images_the_default_counts_and_of_a_list_of_scalings_task_aware_accuracy_decides(
    configure, tmp_path
):
    short = (*DIGITS, "evaluation=final", "merger=tall_masks")
    by_default = run(configure(*short), tmp_path / "default")
    assert by_default["per_task"] == {"chosen": [None] * 2}
    fixed = run(configure(*short, f"merger.threshold={TallMasks().threshold}"), tmp_path / "fixed")
    assert fixed["matrix"]["task_aware"][-1] == by_default["matrix"]["task_aware"][-1]

    grid = run(configure(*short, "merger=emr", "merger.scaling=[0.0,1.0]", "scenario.validation_share=0.3"), tmp_path)
    zero, one = grid["scalings"]
    assert (
        zero["accuracy"]["task_aware"] == grid["accuracy_after_task"]["task_aware"][0] != one["accuracy"]["task_aware"]
    )
    assert zero["accuracy"]["task_agnostic"] is None and zero["validation"] < one["validation"] and one["chosen"]


@pytest.mark.slow
def test_where_the_headline_is_task_aware_it_is_a_number(configure, tmp_path):
    few = ("scenario=mini_eight", "task_order=[textures,digits]", "evaluation=final", "trainer=independent")
    result = run(configure(*FEW_STEPS, *few, "merger=emr"), tmp_path)
    assert result["headline"]["name"] == "metrics.task_aware.average_accuracy" and result["headline"]["value"] > 0


def test_tables_give_it_a_column_of_its_own_and_other_reports_leave_it_out(run_py, command, tmp_path):
    done = run_py("-m", *SHORT, FEW_IMAGES, "evaluation=final", "merger=emr,magmax", "hydra.sweep.dir=runs",
                  "hydra.sweep.subdir=${hydra:runtime.choices.merger}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "task-agnostic is left out: merger=emr makes a model for each task, which answers only where" in words

    table = command("-m", "cl_bench.reports", "table", "runs", "--out", "out", cwd=tmp_path)
    assert table.returncode == 0, table.stderr
    written = (tmp_path / "out/sweep.md").read_text()
    header, _, *rows = [line for line in written.splitlines() if line.startswith("|")]
    assert "accuracy.task_aware" in header and "accuracy.task_agnostic" in header
    cells = {row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:-1]] for row in rows}
    aware = ["task_aware" in name for name in header.split("|")[2:-1]]
    emr, magmax = (next(cells[name] for name in cells if merger in name) for merger in ("emr", "magmax"))
    assert [any(map(str.isdigit, cell)) for cell in emr] == aware
    assert [any(map(str.isdigit, cell)) for cell in magmax] == [not each for each in aware]
    assert "merger=emr answers each task by a model of its own" in written

    compared = command("-m", "cl_bench.reports", "compare", "runs/emr", "runs/magmax", cwd=tmp_path)
    assert compared.returncode == 2 and "accuracy: task_aware in A, task_agnostic in B" in compared.stderr
    figures = command("-m", "cl_bench.reports", "figures", "runs", "figures", cwd=tmp_path)
    assert figures.returncode == 0, figures.stderr
    page = command("-m", "cl_bench.reports", "page", "runs", "page.html", cwd=tmp_path)
    assert page.returncode == 0 and "answers only where the task is known" in (tmp_path / "page.html").read_text()
    papers = command("-m", "cl_bench.reports", "table", "cil_mini", "runs/emr", "out", cwd=tmp_path)
    assert papers.returncode == 2 and "Left out: 1 run without a task-agnostic accuracy (merger=emr" in papers.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("save_merged=true",), "so save_merged=true has no merged model to write"),
        (("evaluation.retention=[glyphs]",), "leave evaluation.retention=[glyphs] out"),
        (("trainer.starts_from=merged",), "so there is no merged model for trainer=sequential to start from"),
        (("trainer=joint",), "but trainer=joint learns 1 for 5 tasks"),
        (("merger=lines", "merger@merger.of=emr", "merger.beta=0.5"), "of must merge one model for all tasks; EMR"),
    ],
)
def test_what_needs_one_model_is_refused_before_anything_is_trained(run_py, tmp_path, arguments, message):
    merger = () if arguments[0].startswith("merger=") else ("merger=emr",)
    done = run_py("lightning=cpu", *merger, *arguments)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("store/streams/*"))


def test_the_command_that_merges_files_refuses_it(command, tmp_path):
    files = ("pretrained=base.safetensors", "finetuned=[a.safetensors]", "out=merged.safetensors")
    done = command("-m", "cl_bench.merge", "merger=tall_masks", *files, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("Error: merger=tall_masks makes a model for each task, and")


@pytest.mark.parametrize("merger", ["emr", "adamerging"])
def test_where_nothing_is_merged_nothing_is_left_out_or_seen(configure, tmp_path, merger):
    result = run(configure(*SHORT, "trainer=zero_shot", f"merger={merger}"), tmp_path)
    assert result["headline"]["value"] > 0 and result["left_out"] == {} and result["per_task"] is None
    assert result["sees_test_images"] is False and result["notes"] == []
