"""What is wrong with a command line, in words that can be typed: Hydra's own speak of lexers and of its own files."""

import difflib
import itertools
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cl_bench.runtime import tilde
from cl_bench.runtime.configurations import CONF
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.spelling import nearest_first

_ADDED = ("sweep", "method")  # groups of multirun_configs/, which the defaults do not have: they want a plus
_OF_THE_EXTRA = ("joblib", "submitit_local", "submitit_slurm", "slurm", "optuna")
_EXTRA = "Launchers and sweepers other than basic come with: pip install -e '.[sweeps]'"
_SHOWN = 3


def completed(arguments: Sequence[str]) -> list[str]:
    """What was typed, with `~` in paths expanded; `--cfg job` shows what settings come to, not where they come from."""
    shown = [tilde.expanded(argument) for argument in arguments]
    of_job = any(argument in ("--cfg=job", "-c=job") for argument in shown) or any(
        pair in (("--cfg", "job"), ("-c", "job")) for pair in itertools.pairwise(shown)
    )
    return [*shown, "--resolve"] if of_job and "--resolve" not in shown else shown


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


def message(error: Exception) -> str:
    """What people are told of an error of Hydra's or OmegaConf's."""
    text = str(error).partition("Config search path:")[0].strip()
    if not isinstance(error, (HydraException, OmegaConfBaseException, UserError)):  # as of merger=null
        return f"Hydra cannot compose {' '.join(sys.argv[1:])} ({type(error).__name__}: {error})."
    if "UserError raised while resolving interpolation: " in text:
        text = text.partition("UserError raised while resolving interpolation: ")[2].partition("\n    full_key")[0]
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        return _no_choice(error.missing_cfg_file, error.options)
    if found := re.match(r"Could not override '(?P<name>[^']+)'\..*use (?P<typed>\+\S.*)", text, flags=re.DOTALL):
        return _no_setting(found["name"], found["typed"].removeprefix("+"), error.__cause__)
    if found := re.match(r"Ambiguous value for argument '(?P<name>[^=]+)=(?P<values>.*)'\n", text):
        return _several(found["name"], found["values"])
    if text.startswith("Error resolving interpolation '${"):  # of conf/config.yaml, whose defaults name three groups
        return "backbone, scenario and trainer cannot be taken away: choose them by their names, trainer=… for example."
    if text.startswith("Error merging override") and error.__cause__ is not None:
        return f"{text.removeprefix('Error merging override ')} does not fit: {str(error.__cause__).splitlines()[0]}"
    if (found := re.match(r"Interpolation key '(\w+)' not found", text)) and found.group(1) in os.environ:
        text += f"\nA variable of the environment is written ${{oc.env:{found.group(1)}}}."
    if "'hydra/launcher" in text or "'hydra/sweeper" in text:
        text += f"\n{_EXTRA}"
    return text


def check_names(config: Mapping[str, Any]) -> None:
    """Refuses what was added to the configuration by a plus and is nearly a setting, such as `+mergers=ties`.

    Args:
        config: The resolved configuration.

    Raises:
        UserError: A name at the top, or one of `paths`, is no setting; names the nearest.
    """
    known = [*_groups(), *_plain_settings(), *_ADDED, "choices"]
    for name in config:
        if name not in known and (near := difflib.get_close_matches(name, known, 1, cutoff=0.75)):
            raise UserError(f"+{name} is no setting, and nothing would read it; did you mean {_plus(near[0])}?")
    paths = yaml.safe_load((CONF / "paths" / "default.yaml").read_text(encoding="utf-8"))
    for name in config.get("paths", {}):
        if name not in paths:
            raise UserError(f"paths.{name} is no setting; those of paths are: {_nearest_first(name, paths)}.")


def _nearest_first(word: str, known: Iterable[str]) -> str:
    return ", ".join(nearest_first(word, known))


def _groups() -> list[str]:
    return sorted(folder.name for folder in CONF.iterdir() if folder.is_dir() and folder.name != "hydra")


def _plain_settings() -> list[str]:
    content = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))
    return [name for name in content if name not in ("defaults", "hydra")]


def _plus(name: str) -> str:
    return f"+{name}" if name in _ADDED else name


def _no_choice(path: str, options: Sequence[str]) -> str:
    group, _, word = path.rpartition("/")
    typed = next((name for name, _, value in (a.partition("=") for a in sys.argv[1:]) if value == word), _plus(group))
    near = difflib.get_close_matches(word, options, 1)
    meant = f"; did you mean {typed}={near[0]}?" if near else "."
    text = f"{typed}={word}: there is no such choice{meant}\nChoices of {group}: {_nearest_first(word, options)}."
    return f"{text}\n{_EXTRA}" if group.startswith("hydra/") and word in _OF_THE_EXTRA else text


def _no_setting(name: str, typed: str, cause: BaseException | None) -> str:
    """Of a name that the configuration does not have.

    Args:
        name: The setting, or the group.
        typed: The same with its value.
        cause: OmegaConf's error, which knows the part of the configuration in which the name was looked for.
    """
    value = typed.partition("=")[2]
    if name in _ADDED:
        return f"{name} is added to a command by a plus: {shlex.quote(f'+{typed}')}"
    node = getattr(cause, "parent_node", None)
    place = node._get_full_key(None) if isinstance(node, DictConfig) else ""
    wrong, _, below = name.removeprefix(f"{place}.").partition(".")
    if place:
        known, begin = _shown_of(node), f"{place}."
    else:
        known, begin = _at_the_top(node), ""
    if not below and place and wrong in _accepted(node):
        return f"{name} is not listed in the configuration, but can be added by a plus: {shlex.quote(f'+{typed}')}"
    near = [f"{begin}{other}{below and f'.{below}'}" for other in difflib.get_close_matches(wrong, known, _SHOWN)]
    if not below and node is not None:
        near = ["task_order"] if wrong.endswith("_order") else [*near, *_elsewhere(node._get_root(), wrong)]
    meant = " or ".join(shlex.quote(f"{_plus(other)}={value}") for other in near[:_SHOWN])
    text = f"There is no setting {name}{f'; did you mean {meant}?' if near else '.'}"
    listed = ", ".join(map(_plus, nearest_first(wrong, known))) or "none"
    text += f"\nThe settings of {place}: {listed}." if place else f"\nGroups and settings: {listed}."
    if others := _choices_that_have(place, wrong):
        text += f" It is a setting of {', '.join(f'{place}={other}' for other in others)}."
    return text


def _at_the_top(node: DictConfig | None) -> list[str]:
    """Groups and settings; the merge command has others than a run."""
    if node is None:
        return [*_groups(), *_plain_settings(), *_ADDED]
    return [*(str(key) for key in node if key != "hydra"), *(_ADDED if "scenario" in node else ())]


def _shown_of(node: DictConfig) -> list[str]:
    """The settings of a part of the configuration; an order of arrival by the name under which it is typed."""
    settings = [str(key) for key in node if not str(key).startswith("_")]
    return ["task_order" if setting.endswith("_order") else setting for setting in settings]


def _elsewhere(node: Any, last: str) -> list[str]:
    """Settings of that very name in other places."""
    content = OmegaConf.to_container(node, resolve=False)
    return [path for path in _paths(content) if path.rpartition(".")[2] == last and not path.startswith("hydra.")]


def _paths(node: Any, where: str = "") -> Iterable[str]:
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{where}{key}"
        yield from _paths(value, f"{where}{key}.")


def _accepted(node: DictConfig) -> list[str]:
    """The arguments of the class that a part of the configuration is made into."""
    from cl_bench.runtime.instantiate import arguments_of

    return arguments_of(str(OmegaConf.to_container(node, resolve=False).get("_target_", "")))


def _choices_that_have(group: str, setting: str) -> list[str]:
    """Choices of the group in which the setting is one of their own, and not filled in from another one."""
    files = sorted((CONF / group).glob("*.yaml")) if group in _groups() else []
    line = re.compile(rf"^{re.escape(setting)}:(?! \$)", flags=re.MULTILINE)
    return [file.stem for file in files if line.search(file.read_text(encoding="utf-8"))]


def _several(name: str, values: str) -> str:
    if name in _groups():
        return f"{name}={values} has several values. One run for each of them: -m {name}={values.replace(', ', ',')}"
    return (
        f"{name}={values} has several values. One run for each of them: -m {name}={values.replace(', ', ',')}\n"
        f"One run with a list: {shlex.quote(f'{name}=[{values}]')}\n"
        f"One run with a text that has a comma: {shlex.quote(f'{name}={_text(values)}')}"
    )


def _unreadable(override: str) -> str:
    name, equals, value = override.partition("=")
    if not equals or not name:
        return f"{override}: a setting is typed as name=value, without blanks around the equals sign."
    if value[:1] in ("[", "{") and value[-1:] != {"[": "]", "{": "}"}[value[0]]:
        return f"{override}: its bracket {value[0]} is not closed."
    why = f"{override} cannot be read: text with letters outside ASCII or with signs that have a meaning wants quotes"
    readable = next((f"{name}={better}" for better in _quoted(value) if _is_readable(f"{name}={better}")), None)
    example = "'dataset.name=\"Käfer (2)\"'"
    return f"{why}: {shlex.quote(readable)}" if readable else f"{why}, as in {example}."


def _quoted(value: str) -> Iterable[str]:
    """The same with quotes around the text, or around each text of a list or a mapping."""
    if value[:1] == "[":
        yield f"[{','.join(map(_text, _split(value)))}]"
    elif value[:1] == "{":
        pairs = [item.partition(":") for item in _split(value)]
        yield f"{{{','.join(f'{_text(key)}: {_text(item)}' for key, _, item in pairs)}}}"
    else:
        yield _text(value)


def _split(value: str) -> list[str]:
    return [item.strip() for item in value[1:-1].split(",")]


def _text(value: str) -> str:
    value = value.strip()
    if re.fullmatch(r"""[-+\w.]+|".*"|'.*'""", value, flags=re.ASCII):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_readable(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    except (HydraException, OmegaConfBaseException):
        return False
    return True
