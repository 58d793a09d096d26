"""Published numbers: the file as it was handed down, and what is refused."""

import csv
from pathlib import Path

import pytest

from cl_bench.reports.tables import published

HEADER = "source,kind,backbone,scenario,trainer,merger,scaling,metric,value,note\n"
LINE = "a paper,re-run,ViT-B-16,cifar100_5,sequential,magmax,0.5,last_accuracy,83.23,as said"


def test_every_line_of_the_file_is_a_reference():
    with Path(published.__file__).with_name("published_results.csv").open() as file:
        lines = list(csv.DictReader(file))
    references = published.references()
    assert [r.value for r in references] == [float(line["value"]) for line in lines] and len(lines) == 47
    assert [r.scenario for r in references] == [line["scenario"] for line in lines]


def test_methods_are_named_as_in_records():
    of = {(r.source[:3], r.scenario, r.method, r.metric): r for r in published.references()}
    assert of["SSE", "cifar100_10", "sequential_magmax", "accuracy"].value == 80.35
    assert of["SSE", "cifar100_10", "sequential_magmax", "forgetting"].value == 4.30
    assert of["SSE", "imagenet_r_5", "zero_shot", "accuracy"].value == 73.40
    assert of["SSE", "cifar100_5", "ewc", "accuracy"].value == 78.06
    assert of["SSE", "imagenet_r_10", "independent_ties", "accuracy"].value == 80.92
    assert of["CMM", "cars_10", "cmm", "accuracy"].value == 69.70
    assert of["Fus", "eight_datasets", "sequential_magmax", "accuracy"].note == "ViT-B-32; 2500 steps per task"


def test_each_source_has_a_letter():
    assert [*published.sources().values()] == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace("kind,", "") + LINE, "must have the columns source, kind"),
        (HEADER + LINE.replace("last_accuracy", "speed"), "line 2: the metric 'speed' is none of"),
        (HEADER + LINE + "\n" + LINE.replace("83.23", "n/a"), "line 3: the value 'n/a' is no percentage"),
        (HEADER + LINE.replace("83.23", "nan"), "line 2: the value 'nan' is no percentage"),
        (HEADER + LINE.replace("83.23", "832.3"), "line 2: the value '832.3' is no percentage"),
        (HEADER + LINE.replace("a paper", ""), "line 2: a field is empty"),
        (HEADER + LINE + ",more", "line 2: a field is empty, or there are too many"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, text, message):
    (tmp_path / "file.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        published.read(tmp_path / "file.csv")
