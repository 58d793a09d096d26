"""Settings that Hydra itself stumbles over."""

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("override", ["merger=null", "evaluation=3"])
def test_a_group_without_a_name_is_one_message(run_py, override):
    refused = run_py(override)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert refused.stderr.startswith("Error: ") and override in refused.stderr
