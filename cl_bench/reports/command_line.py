"""The commands that read result records; each has its own `--help`."""

import importlib
import sys
from collections.abc import Sequence

from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError
from cl_bench.store import permissions

_COMMANDS = {
    "table": "a table of any runs; one of the papers' as Markdown, LaTeX and CSV",
    "figures": "all figures that the records allow, as SVG, PDF and PNG",
    "page": "one self-contained page with tables, figures and every run",
    "compare": "two sets of runs, with a paired test over seeds",
}
_HELP = ("-h", "--help")


def main(arguments: Sequence[str]) -> int:
    """Runs one command.

    Args:
        arguments: What was typed: the command's name, then its own arguments.

    Returns:
        The exit code: 0, or 2 where the user has to mend something.
    """
    if not arguments or arguments[0] not in _COMMANDS:
        wants_help = bool(arguments) and arguments[0] in _HELP
        print(_usage(), file=sys.stdout if wants_help else sys.stderr)
        return 0 if wants_help else 2
    name, *its_arguments = arguments
    command = importlib.import_module(f"cl_bench.reports.commands.{name}")  # loads what this command needs, no more
    try:
        with permissions.explained("OUT"):
            command.main(its_arguments, f"{typed('report')} {name}")
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


def _usage() -> str:
    program = typed("report")
    commands = (f"  {name:<8} {meaning}" for name, meaning in _COMMANDS.items())
    return "\n".join([f"usage: {program} COMMAND …", *commands, f"More on each: {program} COMMAND --help"])
