"""What is flagged, and what is not, in a table of two scenarios and three methods."""

import pytest

from cl_bench.reports.runs import RecordedRun
from cl_bench.reports.tables.flags import flags
from tests.reports.made_up import record

RATES = {"digits_5": 4e-4, "glyphs_10": 6e-4}
METHODS = ("sequential_last", "sequential_magmax", "tangent_magmax", "cmm")


def sweep(changes=None, **more):
    """Every method on both scenarios with three seeds; `changes` and `more` by (method, scenario, seed)."""
    found = []
    for method in METHODS:
        for scenario, rate in RATES.items():
            for seed in (1, 2, 3):
                place = (method, scenario, seed)
                usual = {"optim.lr": rate if method.startswith("sequential") else 2e-4, "scenario.class_order": seed}
                own = {**usual, **(changes or {}).get(place, {})}
                found.append(RecordedRun.of(record(*place, 50.0, own, **more.get("records", {}).get(place, {}))))
    return found


def flagged(runs):
    return {(run.method, run.scenario, run.seed): texts for run, texts in flags(runs).items()}


def test_rates_of_scenarios_and_methods_and_orders_of_seeds_are_not_flagged():
    assert flagged(sweep()) == {}


@pytest.mark.parametrize(
    ("setting", "value", "flag"),
    [
        ("optim.batch_size", 64, "batch_size 64"),
        ("lightning.precision", "bf16-mixed", "precision bf16-mixed"),
        ("lightning.matmul_precision", "high", "matmul_precision high"),
        ("lightning.limit_train_batches", 3, "limit_train_batches 3"),
        ("backbone.model", "ViT-B-32", "backbone.model ViT-B-32"),
        ("head._target_", "cl_bench.heads.Prototypes", "head._target_ cl_bench.heads.Prototypes"),
        ("optim.epochs", 1, "epochs 1"),
        ("optim.lr", 1e-3, "lr 0.001"),
        ("optim.optimizer.weight_decay", 0.0, "optimizer.weight_decay 0.0"),
        ("scenario.validation_share", 0.2, "validation_share 0.2"),
        ("scenario.class_order", 7, "class_order 7"),
        ("merger.scaling", 0.3, "merger.scaling 0.3"),
        ("trainer.starts_from", "merged", "trainer.starts_from merged"),
    ],
)
def test_a_setting_of_one_run_is_flagged(setting, value, flag):
    place = ("sequential_magmax", "digits_5", 2)
    everywhere = {
        (m, s, seed): {"trainer.starts_from": "previous"} for m in METHODS for s in RATES for seed in (1, 2, 3)
    }
    changes = {**everywhere, place: {**everywhere[place], setting: value}}
    assert flagged(sweep(changes)) == {place: (flag,)}


def test_a_whole_row_with_another_batch_size_is_flagged():
    changes = {("cmm", s, seed): {"optim.batch_size": 32} for s in RATES for seed in (1, 2, 3)}
    assert flagged(sweep(changes)) == {place: ("batch_size 32",) for place in changes}


def test_other_devices_versions_and_images_are_flagged():
    place = ("cmm", "glyphs_10", 1)
    more = {
        "devices": {"kind": "A100", "count": 1},
        "versions": {"cl_bench": "0.1.0", "torch": "2.6.0", "open_clip_torch": "3.3.0"},
        "datasets": [{"name": "glyphs", "images": "f" * 64}],
    }
    texts = ("device A100", "torch 2.6.0", "images glyphs ffffffff")
    assert flagged(sweep(records={place: more})) == {place: texts}


def test_other_words_for_the_same_images_are_flagged():
    data = {"name": "glyphs", "images": "glyphs", "class_names": ["a", "b"]}
    every = {(m, s, seed): {"datasets": [data]} for m in METHODS for s in RATES for seed in (1, 2, 3)}
    place = ("cmm", "glyphs_10", 1)
    records = {**every, place: {"datasets": [{**data, "class_names": [f"n{i}" for i in range(3000)]}]}}
    changes = {place: {"dataset.prompts": ["the {}."]} for place in every} | {place: {"dataset.prompts": ["a {}."]}}
    (texts,) = flagged(sweep(changes, records=records)).values()
    assert texts[0] == 'prompts ["a {}."]' and texts[1].startswith("class_names.glyphs ") and len(texts[1]) < 30
    assert flagged(sweep(records=every)) == {}


def test_where_no_setting_is_usual_all_are_named():
    runs = [RecordedRun.of(record("cmm", "digits_5", seed, 50.0, {"optim.batch_size": 2**seed})) for seed in (5, 6)]
    assert flagged(runs) == {("cmm", "digits_5", 5): ("batch_size 32",), ("cmm", "digits_5", 6): ("batch_size 64",)}


def test_settings_of_training_do_not_count_where_nothing_was_trained():
    changes = {"optim.batch_size": 7, "optim.epochs": 3, "optim.lr": 1.0, "scenario.class_order": 1}
    untrained = RecordedRun.of(record("zero_shot", "digits_5", 1, 50.0, changes))
    assert flagged([untrained, *sweep()]) == {}
    trained = RecordedRun.of(record("joint_last", "digits_5", 1, 50.0, changes))
    assert flagged([trained, *sweep()]) == {("joint_last", "digits_5", 1): ("batch_size 7", "epochs 3")}
