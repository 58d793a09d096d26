"""Settings that Hydra itself stumbles over."""

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("override", ["merger=null", "evaluation=3", "-m hydra.sweeper.max_batch_size=0 seed=1,2"])
def test_what_hydra_does_not_expect_is_one_message(run_py, override):
    refused = run_py(*override.split())
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert refused.stderr.startswith("Error: ") and override in refused.stderr


def test_a_sweep_of_no_run_at_a_time_is_refused(run_py):
    refused = run_py("-m", "seed=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0")
    assert refused.returncode == 2 and refused.stderr.startswith("Error: hydra.launcher.n_jobs=0 does no run")
