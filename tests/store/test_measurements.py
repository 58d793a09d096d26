"""Measurements that are kept: found again for the very same thing, and for nothing else."""

import threading

import pytest

from cl_bench.store import measurements

OF = {"what": "accuracy", "sizes": (1, 2), "nested": {"a": None}}


def test_what_was_measured_is_found_again_for_the_same_thing_only(tmp_path):
    assert measurements.read(tmp_path, OF) is None
    measurements.write(tmp_path, OF, {"right": 3})
    assert measurements.read(tmp_path, OF) == {"right": 3}
    assert measurements.read(tmp_path, {**OF, "sizes": (2, 1)}) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"of": {}, "found": {"right": 9}}', '{"of"', "[" * 100_000])
def test_a_damaged_file_is_measured_again(tmp_path, content):
    measurements.write(tmp_path, OF, {"right": 3})
    next(tmp_path.glob("*.json")).write_text(content)
    assert measurements.read(tmp_path, OF) is None


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(tmp_path):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "store"
    with measurements.alone(folder, OF, lambda: None):
        measurements.write(folder, OF, {"right": 3})
    assert measurements.read(folder, OF) is None


def test_a_second_one_waits_and_finds_what_the_first_has_measured(tmp_path):
    waited, found, begun = [], [], threading.Event()

    def second():
        with measurements.alone(tmp_path, OF, lambda: (waited.append(1), begun.set())):
            found.append(measurements.read(tmp_path, OF))

    with measurements.alone(tmp_path, OF, lambda: None):
        thread = threading.Thread(target=second)
        thread.start()
        assert begun.wait(20)
        measurements.write(tmp_path, OF, {"right": 3})
    thread.join()
    assert waited and found == [{"right": 3}]
