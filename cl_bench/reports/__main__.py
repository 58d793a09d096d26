"""What is made of result records: `python -m cl_bench.reports COMMAND …`; each command has its own `--help`."""

import importlib
import sys

from cl_bench.runtime.errors import UserError
from cl_bench.runtime.quick_exit import quick_exit
from cl_bench.store import permissions

_COMMANDS = {
    "table": "a table of any runs; one of the papers' as Markdown, LaTeX and CSV",
    "figures": "all figures that the records allow, as SVG, PDF and PNG",
    "page": "one self-contained page with tables, figures and every run",
    "compare": "two sets of runs, with a paired test over seeds",
}


def main(arguments: list[str]) -> int:
    """Runs a command; the exit code is 2 where the user has to mend something."""
    if not arguments or arguments[0] not in _COMMANDS:
        print("usage: python -m cl_bench.reports COMMAND …", file=sys.stderr)
        for name, meaning in _COMMANDS.items():
            print(f"  {name:<8} {meaning}", file=sys.stderr)
        return 2
    command = importlib.import_module(f"cl_bench.reports.{arguments[0]}")
    try:
        with permissions.explained("OUT"):
            command.main(arguments[1:])
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    with quick_exit():
        sys.exit(main(sys.argv[1:]))
