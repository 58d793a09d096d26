"""The command `cl-bench`, which starts all others."""

import importlib
import os
import sys
from difflib import get_close_matches

from cl_bench.runtime import process
from cl_bench.runtime.commands import COMMANDS


def main(command: str | None = None) -> None:
    """Runs a command and ends the process with its exit code: 2 where the user has something to mend.

    Args:
        command: The name of one; None: it stands first on the command line.
    """
    with process.command():  # first of all, since what a command imports takes seconds
        sys.exit(_start(sys.argv[1:] if command is None else [command, *sys.argv[1:]]))


def _start(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else 2
    name, *others = arguments
    if name not in COMMANDS:
        print(f"Error: {_unknown(name)}\n{_usage()}", file=sys.stderr)
        return 2
    sys.argv[1:] = others
    sys.path.append(os.getcwd())  # where the user's own classes lie; last, so that they hide nothing
    code: int = importlib.import_module(COMMANDS[name].module).main(others)
    return code


def _usage() -> str:
    lines = [f"  {name:<8} {command.purpose}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: cl-bench COMMAND …", *lines, "Each command has its own --help."])


def _unknown(name: str) -> str:
    if "=" in name or name in ("-m", "--multirun"):
        return f"settings come after a command: cl-bench run {name}"
    near = get_close_matches(name, COMMANDS, 1)
    return f"cl-bench {name}: there is no such command{f'; did you mean cl-bench {near[0]}?' if near else '.'}"
