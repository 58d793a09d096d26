"""The project's commands, and how the user types them, for help and messages.

`cl-bench` is there wherever the package is installed. Whoever starts `run.py` or the modules instead is answered in
the same way.
"""

import sys
from pathlib import Path
from typing import NamedTuple


class Command(NamedTuple):
    """A command of `cl-bench`.

    Attributes:
        module: The module whose function `main` it is.
        purpose: What it is for, in one line.
    """

    module: str
    purpose: str


COMMANDS = {
    "run": Command("cl_bench.cli.run", "one experiment, or with -m one for each combination of settings"),
    "merge": Command("cl_bench.merge.__main__", "merge checkpoint files that anything trained"),
    "export": Command("cl_bench.export.__main__", "write a run's weights as folders of Hugging Face's transformers"),
    "data": Command("cl_bench.datasets.__main__", "list, download, prepare and verify the published data sets"),
    "report": Command("cl_bench.reports.__main__", "tables, figures and a page of finished runs"),
    "analyze": Command("cl_bench.analyses.__main__", "what the task vectors of finished runs look like"),
}


def typed(name: str) -> str:
    """What to type for a command: `cl-bench data`, or `python -m cl_bench.datasets` for who does not use `cl-bench`.

    Args:
        name: One of `COMMANDS`.
    """
    program = Path(sys.argv[0]).name if sys.argv else ""
    if name == "run":
        return "python run.py" if program == "run.py" else "cl-bench run"
    if program == "cl-bench":
        return f"cl-bench {name}"
    return f"python -m {COMMANDS[name].module.removesuffix('.__main__')}"


def install_extra(name: str) -> str:
    """How to install one of the package's extras, whether it came from a wheel or lies in a checkout."""
    return f"pip install 'cl_bench[{name}]'"
