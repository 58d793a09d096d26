"""Messages for errors of Hydra's and OmegaConf's, in words that can be typed.

Hydra's own messages speak of lexers, and of files that the user has never seen.
"""

import difflib
import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cl_bench.launching.command_line import ADDED, plain_settings, with_plus
from cl_bench.runtime import configurations
from cl_bench.runtime.commands import install_extra
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.keys import typed_key
from cl_bench.runtime.spelling import nearest_first

_OF_THE_EXTRA = ("joblib", "submitit_local", "submitit_slurm", "slurm", "optuna")
_EXTRA = f"Launchers and sweepers other than basic come with: {install_extra('sweeps')}"
_NAMED = 3  # settings that may have been meant


def message(error: Exception, typed: Sequence[str] | None = None, *, from_python: bool = False) -> str:
    """Says what is wrong, and what to type instead.

    Args:
        error: One of the user's mistakes, as Hydra, OmegaConf or this project raised it.
        typed: The settings that were asked for; None: those of the command line.
        from_python: Whether they were handed to `cl_bench.run`, which does one run.
    """
    typed = sys.argv[1:] if typed is None else typed
    text = str(error).partition("Config search path:")[0].strip()
    if not isinstance(error, (HydraException, OmegaConfBaseException, UserError)):  # as of merger=null
        return f"Hydra cannot compose {' '.join(typed)} ({type(error).__name__}: {error})."
    if "UserError raised while resolving interpolation: " in text:
        text = text.partition("UserError raised while resolving interpolation: ")[2].partition("\n    full_key")[0]
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        return _no_choice(error.missing_cfg_file, error.options, typed)
    if found := re.match(r"Could not override '(?P<name>[^']+)'\..*use (?P<typed>\+\S.*)", text, flags=re.DOTALL):
        return _no_setting(found["name"], found["typed"].removeprefix("+"), error.__cause__)
    if found := re.match(r"Ambiguous value for argument '(?P<name>[^=]+)=(?P<values>.*)'\n", text):
        return _several(found["name"], found["values"], from_python)
    if text.startswith("Error resolving interpolation '${"):  # of conf/config.yaml, whose defaults name three groups
        return "backbone, scenario and trainer cannot be taken away: choose them by their names, trainer=… for example."
    if text.startswith("Error merging override") and error.__cause__ is not None:
        return f"{text.removeprefix('Error merging override ')} does not fit: {str(error.__cause__).splitlines()[0]}"
    if (found := re.match(r"Interpolation key '(\w+)' not found", text)) and found.group(1) in os.environ:
        text += f"\nA variable of the environment is written ${{oc.env:{found.group(1)}}}."
    if "'hydra/launcher" in text or "'hydra/sweeper" in text:
        text += f"\n{_EXTRA}"
    return text


def _no_choice(path: str, options: Sequence[str], arguments: Sequence[str]) -> str:
    """For a choice that its group does not have.

    Args:
        path: Of the file that would be it, such as `merger/tiess`.
        options: The choices that there are.
        arguments: What was typed; knows whether the group stands there as `merger` or as `merger@merger.of`.
    """
    group, _, word = path.rpartition("/")
    pairs = (argument.partition("=") for argument in arguments)
    typed = next((name for name, _, value in pairs if value == word), with_plus(group))
    near = difflib.get_close_matches(word, options, 1)
    meant = f"; did you mean {typed}={near[0]}?" if near else "."
    listed = ", ".join(nearest_first(word, options))
    text = f"{typed}={word}: there is no such choice{meant}\nChoices of {group}: {listed}."
    return f"{text}\n{_EXTRA}" if group.startswith("hydra/") and word in _OF_THE_EXTRA else text


def _no_setting(name: str, typed: str, cause: BaseException | None) -> str:
    """For a name that the configuration does not have.

    Args:
        name: The setting, or the group.
        typed: The same with its value.
        cause: OmegaConf's error, which knows the part of the configuration in which the name was looked for.
    """
    value = typed.partition("=")[2]
    if name in ADDED:
        return f"{name} is added to a command by a plus: {shlex.quote(f'+{typed}')}"
    found = getattr(cause, "parent_node", None)
    node = found if isinstance(found, DictConfig) else None
    place = "" if node is None else node._get_full_key(None)
    wrong, _, below = name.removeprefix(f"{place}.").partition(".")
    if node is not None and place:
        known, begin = _listed_settings(node), f"{place}."
    else:
        known, begin = _at_the_top(node), ""
    if node is not None and place and not below and wrong in _accepted(node):
        return f"{name} is not listed in the configuration, but can be added by a plus: {shlex.quote(f'+{typed}')}"
    near = [f"{begin}{other}{below and f'.{below}'}" for other in difflib.get_close_matches(wrong, known, _NAMED)]
    if not below and node is not None:
        near = ["task_order"] if wrong.endswith("_order") else [*near, *_elsewhere(node._get_root(), wrong)]
    meant = " or ".join(shlex.quote(f"{with_plus(other)}={value}") for other in near[:_NAMED])
    text = f"There is no setting {name}{f'; did you mean {meant}?' if near else '.'}"
    listed = ", ".join(map(with_plus, nearest_first(wrong, known))) or "none"
    text += f"\nThe settings of {place}: {listed}." if place else f"\nGroups and settings: {listed}."
    if others := _choices_that_have(place, wrong):
        text += f" It is a setting of {', '.join(f'{place}={other}' for other in others)}."
    return text


def _at_the_top(node: DictConfig | None) -> list[str]:
    """Groups and settings; the merge command has others than a run."""
    if node is None:
        return [*configurations.groups(), *plain_settings(), *ADDED]
    return [*(str(key) for key in node if key != "hydra"), *(ADDED if "scenario" in node else ())]


def _listed_settings(node: DictConfig) -> list[str]:
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

    content: Any = OmegaConf.to_container(node, resolve=False)
    return arguments_of(str(content.get("_target_", "")))


def _choices_that_have(group: str, setting: str) -> list[str]:
    """The choices of the group whose file sets the setting, and does not fill it in from another one."""
    if group not in configurations.groups():
        return []
    line = re.compile(rf"^{re.escape(setting)}:(?! \$)", flags=re.MULTILINE)
    files = configurations.files(group)
    return [file.stem for file in files if line.search(file.read_text(encoding="utf-8"))]


def _several(name: str, values: str, from_python: bool) -> str:
    each = "call cl_bench.run once for each" if from_python else f"-m {name}={values.replace(', ', ',')}"
    text = f"{name}={values} has several values. One run for each of them: {each}"
    if name in configurations.groups():
        return text
    return (
        f"{text}\n"
        f"One run with a list: {shlex.quote(f'{name}=[{values}]')}\n"
        f"One run with a text that has a comma: {shlex.quote(f'{name}={_text(values)}')}"
    )


def _unreadable(override: str) -> str:
    name, equals, value = override.partition("=")
    if not equals or not name:
        return f"{override}: a setting is typed as name=value, without blanks around the equals sign."
    if value[:1] in ("[", "{") and value[-1:] != {"[": "]", "{": "}"}[value[0]]:
        return f"{override}: its bracket {value[0]} is not closed."
    why, example = _IN_A_MAPPING if value[:1] == "{" else _IN_A_TEXT
    why = f"{override} cannot be read: {why}"
    readable = next((f"{name}={better}" for better in _quoted(value) if _is_readable(f"{name}={better}")), None)
    return f"{why}: {shlex.quote(readable)}" if readable else f"{why}, as in {example}."


_WANTS_QUOTES = "text with letters outside ASCII or with signs that have a meaning wants quotes"
_IN_A_TEXT = _WANTS_QUOTES, "'dataset.name=\"Käfer (2)\"'"
_IN_A_MAPPING = (
    f"{_WANTS_QUOTES}; in a mapping, names have no quotes, but a backslash before signs that have a meaning",
    r"""'trainer.weights={digit 0\, digit 1: "them/(2)"}'; names with letters outside ASCII cannot be typed there""",
)


def _quoted(value: str) -> Iterable[str]:
    """The same with quotes around the text, or around each text of a list or a mapping."""
    if value[:1] == "[":
        yield f"[{','.join(map(_text, _split(value)))}]"
    elif value[:1] == "{":
        yield from _repaired(value[1:-1])
    else:
        yield _text(value)


_PAIR = re.compile(r"""((?:"[^"]*"|'[^']*'|\\.|[^:"'\\])+):((?:"[^"]*"|'[^']*'|[^,"'])*)(?:,|$)""")
"""A name and its text. A comma before the colon belongs to the name, as in `digit 0, digit 1: 3`."""


def _repaired(pairs: str) -> Iterable[str]:
    """The mapping with backslashes in its names and quotes around its texts, if it has nothing but texts."""
    matches = list(_PAIR.finditer(pairs))
    found = [(_key(match[1]), _text(match[2])) for match in matches]
    whole = "".join(match[0] for match in matches) == pairs and not re.search(r"[\[{]", pairs)
    if found and whole and all(key for key, _ in found):
        yield f"{{{','.join(f'{key}: {text}' for key, text in found)}}}"


def _key(name: str) -> str | None:
    bare = re.sub(r"""^(["'])(.*)\1$""", r"\2", name.strip())
    return typed_key(re.sub(r"\\(.)", r"\1", bare))


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
