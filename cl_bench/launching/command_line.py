"""What the user types: checked before Hydra reads it, and the names that it adds checked after Hydra has read it."""

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException

from cl_bench.runtime import configurations, tilde
from cl_bench.runtime.configurations import CONF
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.spelling import nearest_first

ADDED = ("sweep", "method")
"""Groups that no default chooses; they are added to a command by a plus."""


def completed(arguments: Sequence[str]) -> list[str]:
    """Expands `~` in paths, and adds `--resolve` to `--cfg job`, so that it shows what settings come to.

    Args:
        arguments: As they were typed.
    """
    expanded = [tilde.expanded(argument) for argument in arguments]
    shows_job = any(argument in ("--cfg=job", "-c=job") for argument in expanded) or any(
        pair in (("--cfg", "job"), ("-c", "job")) for pair in itertools.pairwise(expanded)
    )
    return [*expanded, "--resolve"] if shows_job and "--resolve" not in expanded else expanded


def check(arguments: Sequence[str]) -> None:
    """Refuses what Hydra would answer with a traceback, or with words about options that nobody meant.

    Raises:
        HydraException: A setting is typed with dashes, or a sweep is to be shown.
    """
    options = get_args_parser()._option_string_actions
    for argument in arguments:
        name = argument.partition("=")[0]
        if re.match(r"--?[a-z]{2}", name) and not any(option.startswith(name) for option in options):
            typed = argument.lstrip("-") if "=" in argument else "merger=ties, for example; --help lists them"
            raise HydraException(f"{argument} is no option; settings are typed without dashes: {typed}")
    if {"-m", "--multirun"} & set(arguments) and {"-c", "--cfg"} & {a.partition("=")[0] for a in arguments}:
        raise HydraException("--cfg shows the configuration of one run: leave -m and lists of values (a,b) away.")


def config_dir(arguments: Sequence[str]) -> Path | None:
    """The folder of the user's own configurations that `--config-dir` names.

    Args:
        arguments: As they were typed; `check` has seen them.

    Raises:
        HydraException: There is no such folder.
    """
    named = get_args_parser().parse_args(arguments).config_dir
    if named is None:
        return None
    if not Path(named).is_dir():
        raise HydraException(
            f"--config-dir {named}: there is no such folder; it holds choices of your own, such as merger/my.yaml."
        )
    return Path(named)


def check_names(config: Mapping[str, Any]) -> None:
    """Refuses what was added to the configuration by a plus and is nearly a setting, such as `+mergers=ties`.

    Args:
        config: The resolved configuration.

    Raises:
        UserError: A name at the top, or one of `paths`, is no setting; names the nearest.
    """
    known = [*configurations.groups(), *plain_settings(), *ADDED, "choices"]
    for name in config:
        if name not in known and (near := difflib.get_close_matches(name, known, 1, cutoff=0.75)):
            raise UserError(f"+{name} is no setting, and nothing would read it; did you mean {with_plus(near[0])}?")
    paths = yaml.safe_load((CONF / "paths" / "default.yaml").read_text(encoding="utf-8"))
    for name in config.get("paths", {}):
        if name not in paths:
            listed = ", ".join(nearest_first(name, paths))
            raise UserError(f"paths.{name} is no setting; those of paths are: {listed}.")


def plain_settings() -> list[str]:
    """The settings that belong to no group, such as `seed`."""
    content = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))
    return [name for name in content if name not in ("defaults", "hydra", *configurations.groups())]


def with_plus(name: str) -> str:
    """A group or setting with the plus that it may need on the command line."""
    return f"+{name}" if name in ADDED else name
