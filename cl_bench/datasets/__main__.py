"""Lists, fetches, prepares and counts the published data sets, and cleans up: `python -m cl_bench.datasets --help`."""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from cl_bench.datasets import disk
from cl_bench.datasets.releases import catalog
from cl_bench.datasets.releases.download import download, state
from cl_bench.datasets.releases.release import Release
from cl_bench.datasets.releases.verify import show, verify
from cl_bench.images import prepared
from cl_bench.runtime import process, tilde
from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError

_WIDTH = 120  # where the output is no terminal
_FAILED, _INTERRUPTED = 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Does what the command line asks for.

    Args:
        arguments: Instead of those that the process was started with.

    Returns:
        The exit code: 0 if all is well, 2 if a data set is missing, damaged or not as published, 130 after Ctrl-C.
    """
    args = _parse(arguments)
    args.prepared_dir = args.prepared_dir or args.data_dir / "prepared"
    try:
        if args.command == "list":
            return _list(args)
        if args.command in disk.COMMANDS:
            return disk.main(args, _console())
        return _each(args, {"download": _download, "prepare": _prepare, "verify": _verify}[args.command])
    except KeyboardInterrupt:
        print("Interrupted. What was finished is kept; run the same again to go on.", file=sys.stderr)
        return _INTERRUPTED


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(typed("data"), description=__doc__.partition(":")[0] + ".")
    _add_folders(parser, Path("data"), None)
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    parser.set_defaults(command="list")
    for command, does in {
        "list": "all data sets, and which of them are there (without a command: the same)",
        "download": "fetch and unpack; goes on where it was stopped",
        "prepare": "decode and shrink the images once, so that training reads them fast",
        "verify": "compare the number of images with the published sizes",
        **disk.COMMANDS,
    }.items():
        options = commands.add_parser(command, help=does, description=does)
        _add_folders(options, argparse.SUPPRESS, argparse.SUPPRESS)
        if command in disk.COMMANDS:
            disk.add_options(options, command)
        elif command != "list":
            which = "all of them" if command == "download" else "those that are there"
            options.add_argument("names", nargs="+", metavar="NAME", help=f"of a data set; all: {which}")
        if command == "prepare":
            options.add_argument("--size", type=pixels, default=224, help="of the backbone's input, in pixels (224)")
    return parser.parse_args(arguments)


def _add_folders(parser: argparse.ArgumentParser, data_dir: Path | str, prepared_dir: str | None) -> None:
    """The same options before and after the command; after it, they have no default that would win."""
    parser.add_argument("--data-dir", type=tilde.path, default=data_dir, metavar="DIR", help="of all data sets (data)")
    parser.add_argument(
        "--prepared-dir",
        type=tilde.path,
        default=prepared_dir,
        metavar="DIR",
        help="of what `prepare` makes (DATA_DIR/prepared)",
    )


def pixels(text: str) -> int:
    """A number of pixels; argparse's message names this function."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def _list(args: argparse.Namespace) -> int:
    title = f"Data sets in {args.data_dir}, with numbers of images"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("name", "classes", "train / test", "to fetch", "folder", "there", "prepared"):
        is_number = name in ("classes", "train / test", "to fetch")
        table.add_column(name, justify="right" if is_number else "left", no_wrap=name != "folder", overflow="fold")
    for name, release in catalog.releases().items():
        table.add_row(
            name,
            f"{release.classes}",
            f"{release.train:,} / {release.test:,}",
            _to_fetch(release),
            release.folder,
            state(release, args.data_dir),
            ", ".join(map(str, prepared.sizes(name, args.prepared_dir))),
        )
    console = _console()
    console.print(table)
    console.print(
        "*: to be fetched by hand, `download NAME` says where. there: as far as a glance tells, `verify NAME` counts.\n"
        "prepared: for these sizes, in pixels."
    )
    return 0


def _to_fetch(release: Release) -> str:
    size = decimal(release.size) if release.size else ""
    return f"{size} *" if release.by_hand or not release.archives else f"{size}  "


def _each(args: argparse.Namespace, do: Callable[[Release, argparse.Namespace], bool]) -> int:
    """Calls `do` for each data set that was named, even if it fails for one of them."""
    ok = True
    try:
        releases = _named(args)
    except UserError as error:
        return _print_error(error)
    for release in releases:
        try:
            ok &= do(release, args)
        except UserError as error:
            ok = not _print_error(error)
    return 0 if ok else _FAILED


def _print_error(error: UserError) -> int:
    """Prints the error with this command's options, and returns the exit code."""
    text = re.sub(r"paths\.(data|prepared)_dir=…", r"--\1-dir …", str(error))  # the message names the settings of a run
    print(f"Error: {text}", file=sys.stderr, flush=True)
    return _FAILED


def _named(args: argparse.Namespace) -> list[Release]:
    if args.names != ["all"]:
        return [catalog.release(name) for name in args.names]
    releases = catalog.releases().values()
    if args.command == "download":
        return list(releases)
    there = [release for release in releases if state(release, args.data_dir) != "no"]
    if not there:
        raise UserError(
            f"There is no data set in {args.data_dir}. Get one with: {typed('data')} download NAME "
            f"--data-dir {shlex.quote(str(args.data_dir))}\nor name the folder that holds them: --data-dir …"
        )
    return there


def _download(release: Release, args: argparse.Namespace) -> bool:
    folder = args.data_dir / release.folder
    problem = _problem(release, args.data_dir) if state(release, args.data_dir) == "yes" else "it is not there"
    if not problem:
        print(f"{release.name}: is there already, in {folder}, as published.")
    elif not download(release, args.data_dir):
        raise UserError(
            f"{release.title} was unpacked in {folder}, but: {problem}\nTo fetch it anew, remove that folder."
        )
    return True


def _problem(release: Release, root: Path) -> str:
    """What is wrong with the files of a data set, in one line; empty if nothing is."""
    try:
        return "; ".join(verify(release, catalog.load(release.name, root)))
    except UserError as error:
        return str(error).splitlines()[0]


def _prepare(release: Release, args: argparse.Namespace) -> bool:
    from cl_bench.store import permissions

    dataset = catalog.load(release.name, args.data_dir)
    with permissions.explained("--prepared-dir …"):
        ready = prepared.prepare(dataset, args.size, args.prepared_dir)
    if ready is dataset:
        print(f"{release.name}: needs no preparing, its images are read as one array.")
    else:
        print(f"{release.name}: prepared at {args.size} pixels in {args.prepared_dir}.")
    return True


def _verify(release: Release, args: argparse.Namespace) -> bool:
    dataset = catalog.load(release.name, args.data_dir)
    findings = verify(release, dataset)
    show(release, dataset, findings, _console())
    return not findings


def _console() -> Console:
    return Console(width=None if os.isatty(1) else _WIDTH, highlight=False)


if __name__ == "__main__":
    with process.command():
        sys.exit(main())
