"""Notes that records carry stand below every table of them."""

from cl_bench.reports.runs import RecordedRun
from cl_bench.reports.tables.papers import papers_table
from cl_bench.reports.tables.recorded_notes import recorded_notes
from cl_bench.reports.tables.swept import swept
from tests.reports.made_up import record

NOTE = "The experts of eurosat may have been trained on some of the test images."


def test_each_note_stands_once_with_the_scenarios_that_it_is_about():
    runs = [RecordedRun.of(record("ewc", name, seed, 50.0, notes=notes)) for name, seed, notes in (
        ("cifar100_10", 1, [NOTE]), ("cifar100_10", 2, [NOTE, "another"]), ("cifar100_20", 1, [NOTE]),
    )]  # fmt: skip
    found = list(recorded_notes(runs))
    assert found == [f"cifar100_10, cifar100_20: {NOTE}", "cifar100_10: another"]
    assert list(recorded_notes([RecordedRun.of(record("ewc", "cifar100_10", 1, 50.0))])) == []


def test_both_kinds_of_tables_print_them():
    results = [record(method, "cifar100_10", 1, 50.0, notes=[NOTE]) for method in ("ewc", "sequential_magmax")]
    for table in (*papers_table("cil", results), *swept(results)):
        assert f"cifar100_10: {NOTE}" in table.notes
