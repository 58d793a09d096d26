"""cl_bench: a benchmark suite for continual learning of CLIP image encoders by model merging.

`cl_bench.run(["scenario=digits_5", "merger=ties"])` does one run and returns its result; it raises
`cl_bench.UserError` where you have something to mend.
"""

import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cl_bench.cli.from_python import run
    from cl_bench.runtime.errors import UserError

__all__ = ["UserError", "run"]

# Avalanche imports qpsolvers for a strategy that is not used here; without a solver it would complain at every start.
warnings.filterwarnings("ignore", message="no QP solver found")


def __getattr__(name: str) -> Any:
    """Imports `run` and `UserError` when they are asked for, since what `run` needs takes seconds to import."""
    if name == "run":
        from cl_bench.cli.from_python import run

        return run
    if name == "UserError":
        from cl_bench.runtime.errors import UserError

        return UserError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _is_the_command() -> bool:
    """Whether `python -m cl_bench.…` is importing its packages, so that the process is a command's, not a library's."""
    if sys.argv[:1] != ["-m"]:
        return False
    module = sys.orig_argv[sys.orig_argv.index("-m") + 1]
    return module.partition(".")[0] == "cl_bench" and module != "cl_bench.launching.worker"  # which is a worker


if _is_the_command():  # imports take seconds
    from cl_bench.runtime import signals

    signals.handle()
