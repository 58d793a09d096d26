"""The commands `cl-bench data usage` and `cl-bench data clean`: what the disk holds, and what nobody needs."""

import argparse
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from cl_bench.images import prepared
from cl_bench.runtime import tilde
from cl_bench.runtime.errors import UserError
from cl_bench.store import cleaning, permissions
from cl_bench.store.cleaning import Unused
from cl_bench.store.usage import items

COMMANDS = {
    "usage": "how much trained streams, heads, prepared images and caches hold on the disk",
    "clean": "remove what no result refers to and what was left unfinished, after asking",
}
_STORED = ("streams", "heads", "experts", "file_hashes")
_FAILED = 2


def add_options(parser: argparse.ArgumentParser, command: str) -> None:
    """Adds the options of one of the two commands."""
    parser.add_argument("--store-dir", type=tilde.path, default=Path("store"), metavar="DIR", help="of streams (store)")
    if command == "clean":
        parser.add_argument(
            "--runs",
            type=tilde.path,
            nargs="+",
            metavar="DIR",
            help="where all results lie that streams are kept for (multirun outputs)",
        )
        parser.add_argument("--yes", action="store_true", help="remove without asking")


def main(args: argparse.Namespace, console: Console) -> int:
    """Does one of the two commands; returns the exit code."""
    try:
        with permissions.explained("--store-dir …, --prepared-dir …"):
            return _usage(args, console) if args.command == "usage" else _clean(args, console)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return _FAILED


def _usage(args: argparse.Namespace, console: Console) -> int:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("item", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("last used", no_wrap=True)
    everything = 0
    for folder in (*(args.store_dir / name for name in _STORED), args.prepared_dir):
        found = items(folder)
        size = sum(item.bytes for item in found)
        everything += size
        # Streams and prepared data sets are worth a line each; heads and hashes are small and many.
        if folder == args.prepared_dir or folder.name == "streams":
            for item in sorted((item for item in found if item.bytes), key=lambda item: -item.bytes):
                table.add_row(_shown(item.path), decimal(item.bytes), _day(item.used))
        used = max((item.used for item in found), default=None)
        table.add_row(f"[bold]{_shown(folder)}: {len(found)}", decimal(size), _day(used) if used else "")
    table.add_row("[bold]all", decimal(everything), "")
    console.print(table)
    console.print("last used: written or read, as far as the file system notes it.")
    return 0


def _clean(args: argparse.Namespace, console: Console) -> int:
    runs = args.runs or [Path("multirun"), Path("outputs")]
    if args.runs and (lost := [run for run in args.runs if not run.is_dir()]):
        raise UserError(f"There is no folder {', '.join(map(_named, lost))}; nothing was removed.")
    needed = cleaning.fingerprints(runs)
    streams, busy = cleaning.unused_streams(args.store_dir / "streams", needed)
    unused = [*streams, *cleaning.unfinished(_folders(args, streams)), *_useless(args.prepared_dir)]
    places = ", ".join(map(_shown, runs))
    if needed is None and items(args.store_dir / "streams"):
        console.print(f"There is no result below {places}, so all streams are kept. Where are they? --runs DIR …")
    for path in busy:
        console.print(f"kept, since it is in use or was changed within a day: {_shown(path)}", soft_wrap=True)
    if not unused:
        console.print("Nothing to remove.")
        return 0
    for one in unused:
        console.print(
            f"{_shown(one.item.path)}: {decimal(one.item.bytes)}, {one.reason}, last used {_day(one.item.used)}",
            soft_wrap=True,
        )
    total = decimal(sum(one.item.bytes for one in unused))
    if any(one.reason == "no result refers to it" for one in unused):
        console.print(f"Results were looked for below {places} alone.", soft_wrap=True)
    if not args.yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(f"Error: nothing was removed: this is no terminal. To remove these {total}: --yes", file=sys.stderr)
        return _FAILED
    if not args.yes and not _agreed(f"Remove these {total}? [y/N] "):
        console.print("Nothing was removed.")
        return 0
    return _removed(unused)


def _removed(unused: Sequence[Unused]) -> int:
    failed = 0
    for one, problem in cleaning.remove(unused):
        if problem:
            failed += 1
            print(f"Error: {_named(one.item.path)} was kept: {problem}.", file=sys.stderr)
    freed = sum(one.item.bytes for one in unused)
    print(f"{len(unused) - failed} removed." if failed else f"{len(unused)} removed, {decimal(freed)} free again.")
    return _FAILED if failed else 0


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _folders(args: argparse.Namespace, streams: Sequence[Unused]) -> Iterator[Path]:
    """Where files may have been left unfinished; not within what is removed as a whole."""
    yield from (args.store_dir / name for name in _STORED)
    yield args.prepared_dir
    whole = {one.item.path for one in streams}
    for item in items(args.store_dir / "streams"):
        if item.path.is_dir() and item.path not in whole and not cleaning.is_locked(item.path):
            yield item.path


def _useless(folder: Path) -> Iterator[Unused]:
    """Prepared data sets that nothing reads."""
    for item in items(folder):
        is_prepared = re.fullmatch(r".+-\d+-[0-9a-f]{16}", item.path.name) and not item.path.is_symlink()
        if is_prepared and item.path.is_dir() and prepared.is_useless(item.path):
            yield Unused(item, "damaged or of an earlier version")


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


def _shown(path: Path) -> str:
    return escape(_named(path))


def _named(path: Path) -> str:
    """The path, with what terminals obey or cannot show escaped."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in str(path))
