"""Rules that look at test images stand apart in every table, and are compared with none that does not."""

import pytest

from cl_bench.reports import comparison
from cl_bench.reports.runs import RecordedRun
from cl_bench.reports.tables.formats.cells import printed_cells
from cl_bench.reports.tables.formats.latex import latex
from cl_bench.reports.tables.formats.markdown import markdown
from cl_bench.reports.tables.formats.tidy import tidy
from cl_bench.reports.tables.over_orders import table_over_orders
from cl_bench.reports.tables.papers import papers_table
from cl_bench.reports.tables.swept import swept
from cl_bench.runtime.errors import UserError
from tests.reports.made_up import record

HEADING = "With unlabelled test images:"
SEEN = {"sees_test_images": True, "notes": ["merger=adamerging looks at unlabelled test images."]}


def results(scenario="cifar100_10", **more):
    """The best is the one that has seen test images; it was run with one seed, the others with two."""
    return [
        *(record("sequential_magmax", scenario, seed, 60.0 + seed, **more) for seed in (1, 2)),
        record("sequential_adamerging", scenario, 1, 90.0, **SEEN, **more),
        *(record("sequential_ties", scenario, seed, 50.0 + seed, **more) for seed in (1, 2)),
    ]


def tables():
    several = {"kind": "SeveralDatasets"}
    yield swept(results())[0]
    yield papers_table("cil", results())[0]
    yield table_over_orders("opcm", results("eight_datasets", **several))[0]


def test_they_come_last_under_a_heading_without_numbers_and_are_never_the_best():
    for table in tables():
        names = [row.name for row in table.rows]
        assert names.index(HEADING) == len(names) - 2 and "adamerging" in names[-1].lower()
        (column,) = {column for row in table.rows for column in row.cells if column not in table.references}
        ranks = {
            row.name: cells[table.columns.index(column)]
            for row, cells in zip(table.rows, printed_cells(table), strict=True)
        }
        assert ranks[HEADING] is None and ranks[names[-1]].rank == 0 and ranks[names[-1]].mean == "90.00"
        (best,) = [name for name, cell in ranks.items() if cell and cell.rank == 1]
        assert "magmax" in best.lower()
        assert any("looks at unlabelled test images" in note for note in table.notes)


def test_every_format_has_the_heading_but_the_tidy_one_which_has_numbers_alone_and_all_have_footnotes():
    for table in tables():
        assert HEADING in markdown(table) and HEADING in latex(table) and HEADING not in tidy(table)
        for written in (markdown(table), latex(table), tidy(table)):
            assert written.count("learned on unlabelled test images") == 1


def test_where_all_look_at_test_images_all_stand_below_the_heading():
    (table, *_) = swept([record("sequential_adamerging", "cifar100_10", seed, 80.0, **SEEN) for seed in (1, 2)])
    assert table.rows[0].name == HEADING and len(table.rows) == 2


def test_they_make_no_pair_with_rules_that_see_none_and_pairs_among_themselves():
    data_free, seeing, again = (
        [RecordedRun.of(record(method, "cifar100_10", seed, 60.0 + seed, **more)) for seed in (1, 2)]
        for method, more in (("sequential_ties", {}), ("sequential_adamerging", SEEN), ("sequential_adaptive", SEEN))
    )
    with pytest.raises(UserError, match=r"kind of model: one model .* in A, learned on unlabelled .* in B"):
        comparison.compared(data_free, seeing)
    ((one,), unpaired) = comparison.compared(seeing, again)
    assert one.differences == [0.0, 0.0] and unpaired == []


def test_a_model_for_each_task_stands_apart_too_where_the_headline_is_task_aware_anyway():
    each = {"per_task": {}, "notes": ["merger=emr answers each task by a model of its own."]}
    runs = [*results("mini_eight"), *(record("sequential_emr", "mini_eight", seed, 95.0, **each) for seed in (1, 2))]
    (table, *_) = swept(runs)
    names = [row.name for row in table.rows]
    assert names[2] == "With a model for each task:" and "emr" in names[3] and names[4] == HEADING
    assert not any(row.competes for row in table.rows[2:])
    assert "</sup> a model for each task" in markdown(table)
    one, other = ([RecordedRun.of(run) for run in some] for some in (runs[:2], runs[-2:]))
    with pytest.raises(UserError, match="one model for all tasks in A, a model for each task in B"):
        comparison.compared(one, other)
