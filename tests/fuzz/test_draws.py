"""As many draws as CI has time for; `make fuzz` runs more."""

import pytest

from tests.fuzz.__main__ import run, told, write_images
from tests.fuzz.draws import draw

pytestmark = pytest.mark.slow
DRAWS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    write_images(folder)
    return folder


@pytest.mark.parametrize("number", range(DRAWS))
def test_a_run_ends_with_a_result_or_with_one_message(commands, folder, number):
    made = draw(number)
    done, found = run(commands, made, folder)
    assert not found, told(made, done, found)
