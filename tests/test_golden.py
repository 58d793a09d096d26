"""A formula does not change while its version stays: results of the earlier one would be found again."""

import json

import pytest

from tests.helpers import golden

KEPT = json.loads(golden.FILE.read_text(encoding="utf-8"))


def test_every_trainer_and_merger_has_golden_numbers():
    assert list(KEPT) == golden.names(), "python -m tests.helpers.golden writes those that are missing"


@pytest.mark.parametrize("name", KEPT)
def test_the_numbers_of_a_version_stay(name):
    kept = KEPT[name]
    now = golden.computed(name, kept)
    versions = ", ".join(f"{each} {version}" for each, version in now.versions)
    if now.versions != kept["versions"]:
        pytest.fail(f"{name} has another version ({versions}): write them down by python -m tests.helpers.golden")
    if golden.differs(name, now.numbers, kept["numbers"]):
        pytest.fail(
            f"{name} computes other numbers than before, but its version is the same ({versions}). If that is meant, "
            "raise the version of the class whose formula has changed, so that nothing that the earlier one has "
            "trained or merged is used again; then: python -m tests.helpers.golden"
        )
