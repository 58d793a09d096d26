"""The figure of data sets that are never trained on, from made-up records."""

from cl_bench.reports.figures import retention
from cl_bench.reports.figures.records import Records
from tests.reports.small_records import record


def with_encoder(name, zero_shot, last):
    kept = {"datasets": ["unseen"], "matrix": [[zero_shot], [zero_shot], [zero_shot], [last]]}
    made = record(retention=kept)
    made["choices"]["backbone"] = name
    made["config"] |= {part: {"_target_": part} for part in ("trainer", "merger")} | {"backbone": {"_target_": name}}
    return made


def lines(runs):
    (drawing,) = retention.drawings(Records(runs, ()))
    (axis,) = drawing.figure.axes
    return {line.get_label(): line.get_ydata() for line in axis.lines}


def test_each_encoder_has_a_line_and_its_own_zero_shot_one():
    runs = [with_encoder("small", 50.0, 40.0), with_encoder("large", 70.0, 60.0)]
    names = [f"sequential + MagMax, backbone={name}" for name in ("large", "small")]
    found = lines(runs)
    assert {*found} == {*names, *(f"zero-shot ({name})" for name in names)}
    assert found[names[0]][-1] == 60.0 and found[f"zero-shot ({names[0]})"][0] == 70.0


def test_one_encoder_is_not_named():
    assert {*lines([with_encoder("small", 50.0, 40.0)])} == {"sequential + MagMax", "zero-shot"}
