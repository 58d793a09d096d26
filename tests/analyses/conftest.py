"""Three short runs, made once, on which analyses are checked against what the runs themselves have measured."""

import pytest

from tests.conftest import FEW_IMAGES, ROOT, SHORT

SUBFOLDER = "hydra.sweep.subdir=${method}"


@pytest.fixture(scope="session")
def runs(tmp_path_factory, command):
    """The folder from which the runs were started; the records lie in `runs/<method>/`."""
    folder = tmp_path_factory.mktemp("analyses")
    sweep = (*SHORT, FEW_IMAGES, "hydra.sweep.dir=runs", SUBFOLDER)
    methods = "+method=sequential_magmax,independent_magmax,cmm"
    command(str(ROOT / "run.py"), "-m", *sweep, methods, cwd=folder).check_returncode()
    return folder


@pytest.fixture
def opened(runs, monkeypatch):
    """Opens one of the runs as the command does."""
    from cl_bench.analyses.opened_run import open_run

    monkeypatch.chdir(runs)
    return lambda method: open_run(runs / "runs" / method / "result.json")
