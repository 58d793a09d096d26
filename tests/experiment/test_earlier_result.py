"""A result that lies where another one is to be written is kept, and that is said."""

import json

from cl_bench.experiment.earlier_result import set_aside


def configuration(**more):
    lightning = {"precision": "32-true", "limit_train_batches": None, "devices": 1}
    return {"seed": 5, "lightning": lightning, "paths": {"store_dir": "a"}, **more}


def test_a_result_of_another_configuration_gets_another_name(tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run/result.json"
    path.parent.mkdir()
    for number, seed in enumerate((1, 2, 3), start=0):
        set_aside(path, configuration(seed=seed))
        assert not path.exists()
        path.write_text(json.dumps({"schema": 1, "config": configuration(seed=seed)}))
        assert len(caplog.messages) == number
    assert caplog.messages[1] == "run/result.json was of another configuration, and is kept as result_2.json"
    kept = [json.loads((path.parent / f"result_{number}.json").read_text())["config"]["seed"] for number in (1, 2)]
    assert kept == [1, 2]


def test_the_same_configuration_in_another_place_replaces_its_result(tmp_path, caplog):
    path = tmp_path / "result.json"
    path.write_text(json.dumps({"config": configuration()}))
    set_aside(path, configuration(paths={"store_dir": "b"}, debug=True))
    assert path.exists() and not caplog.messages


def test_a_result_of_a_version_with_other_settings_is_kept(tmp_path):
    path = tmp_path / "result.json"
    for config in ({"seed": 5}, {"lightning": None}, ["seed"]):
        path.write_text(json.dumps({"config": config}))
        set_aside(path, configuration())
        assert not path.exists()


def test_what_is_no_record_is_replaced(tmp_path):
    path = tmp_path / "result.json"
    for content in ('{"config"', "[]", "{}", "\xff"):
        path.write_text(content, encoding="latin-1")
        set_aside(path, configuration())
        assert path.exists()
