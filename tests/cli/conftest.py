"""The command `cl-bench`, as pip's script starts it."""

from functools import partial

import pytest


@pytest.fixture
def cl_bench(command, tmp_path):
    """Runs `cl-bench …` from a folder of its own, where it leaves store and outputs."""
    script = tmp_path / "bin" / "cl-bench"
    script.parent.mkdir()
    script.write_text("from cl_bench.cli.command import main\n\nif __name__ == '__main__':\n    main()\n")
    return partial(command, str(script), cwd=tmp_path)
