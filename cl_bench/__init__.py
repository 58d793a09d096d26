"""cl_bench: a benchmark suite for continual learning of CLIP image encoders by model merging."""

import sys
import warnings

# Avalanche imports qpsolvers for a strategy that is not used here; without a solver it would complain at every start.
warnings.filterwarnings("ignore", message="no QP solver found")


def _is_the_command() -> bool:
    """Whether `python -m cl_bench.…` is importing its packages, so that the process is a command's, not a library's."""
    if sys.argv[:1] != ["-m"]:
        return False
    module = sys.orig_argv[sys.orig_argv.index("-m") + 1]
    return module.partition(".")[0] == "cl_bench" and module != "cl_bench.launching.launch"  # which is a worker


if _is_the_command():  # imports take seconds
    from cl_bench.runtime import signals

    signals.handle()
