"""Makes objects from plain configuration data, and names every mistake before anything runs."""

import difflib
import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pydantic

from cl_bench.runtime import user_code
from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.setting_names import choice
from cl_bench.runtime.spelling import nearest_first

_MISSING = "???"  # OmegaConf's sign for a value that has to be given


def instantiate(node: Mapping[str, Any], where: str, **given: Any) -> Any:
    """Calls what `node["_target_"]` names, with the rest of `node` as arguments.

    pydantic checks the arguments against the target's type annotations: it refuses unknown and missing names, wrong
    types and values outside an annotated range. Nested mappings that have a `_target_` are instantiated first;
    `_partial_: true` gives a `functools.partial`.

    Args:
        node: Plain data (dicts, lists, strings, numbers) with a `_target_` that is an import path.
        where: The node's place in the configuration, for messages ("merger").
        **given: Arguments that the program supplies and the configuration does not know.

    Raises:
        UserError: The target cannot be imported or does not take an argument; names the setting. Or it is from outside
            this project and fails; names the line.
    """
    call = bound(node, where, **given)
    if node.get("_partial_", False):
        return call
    try:
        with user_code.explained(f"{where}._target_={node['_target_']}", call.func):
            return call()
    except (UserError, OSError):
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:  # a constructor refuses its arguments
        raise UserError(f"{where}: {_name(call.func)} does not take these settings: {error}.") from error


def bound(node: Mapping[str, Any], where: str, **given: Any) -> functools.partial[Any]:
    """The call that `instantiate` would make, with all of its arguments checked.

    Raises:
        UserError: As `instantiate` does.
    """
    target = located(node, where)
    arguments = {
        name: _nested(value, f"{where}.{name}")
        for name, value in node.items()
        if name not in ("_target_", "_partial_") and value != _MISSING
    }
    _check_given(target, arguments, given, where)
    _check_takes(target, given, where)
    if not node.get("_partial_", False):
        _check_missing(target, arguments | given, where)
    return functools.partial(target, **arguments, **given)


def _nested(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return instantiate(value, where)
        return {name: _nested(item, f"{where}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [_nested(item, f"{where}.{i}") for i, item in enumerate(value)]
    return value


def located(node: Mapping[str, Any], where: str) -> Callable[..., Any]:
    """The class or function that a node names.

    Raises:
        UserError: It cannot be imported, or cannot be called.
    """
    if not isinstance(node, Mapping):
        raise UserError(f"{where} is no group of settings but {node!r}: choose one by its name, {where}=…")
    path = node.get("_target_")
    if not isinstance(path, str) or not all(part.isidentifier() for part in path.split(".")) or "." not in path:
        raise UserError(f"{where}._target_ must be the import path of a class or function, not {path!r}.")
    module, _, name = path.rpartition(".")
    what = f"{where}._target_: {path} cannot be imported"
    target: Callable[..., Any] | None = getattr(_imported(module, what), name, None)
    if target is None:
        raise UserError(f"{what}: {_without(sys.modules[module], name)}")
    try:
        inspect.signature(target)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}._target_: {path} is nothing that can be called with settings ({error}).") from error
    return target


def _imported(module: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise UserError(f"{what}: {user_code.describe(error)}.") from error
        raise UserError(
            f"{what}: there is no module {error.name!r} in this folder or among the installed packages. Start from "
            f"the folder that has it, or name that one: PYTHONPATH=FOLDER {typed('run')} …"
        ) from error
    except Exception as error:
        raise UserError(f"{what}: {user_code.describe(error)}; debug=true shows the traceback.") from error


def _without(module: ModuleType, name: str) -> str:
    """What a module has instead of a name, and its file: Python may have found another module of that name."""
    defined = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    near = difflib.get_close_matches(name, defined, 1) or defined[:10]
    file = getattr(module, "__file__", None)
    return f"{module.__name__}{f' ({file})' if file else ''} has no {name}; it has: {', '.join(near) or 'no class'}."


def _check_given(target: Callable[..., Any], arguments: dict[str, Any], given: dict[str, Any], where: str) -> None:
    """Replaces each argument by its validated value, or raises a UserError that names it."""
    known_ones, annotations = parameters(target), hints(target)
    for argument, value in arguments.items():
        if argument not in known_ones and not _is_open_ended(known_ones):
            known = nearest_first(argument, (p for p in known_ones if p not in given))
            raise UserError(
                f"{where}.{argument} is not a setting of {choice(where, target)}; "
                f"its settings are: {', '.join(known) or 'none'}."
            )
        if argument in annotations:
            arguments[argument] = validated(value, annotations[argument], f"{where}.{argument}")


def _check_takes(target: Callable[..., Any], given: Mapping[str, Any], where: str) -> None:
    """Refuses a target that does not take what the program supplies."""
    known = parameters(target)
    if not _is_open_ended(known) and (left := [name for name in given if name not in known]):
        raise UserError(
            f"{where}._target_: {_name(target)} is given {', '.join(given)}, but takes no {', '.join(left)}; let it "
            "take that, too."
        )


def _is_open_ended(known: Mapping[str, inspect.Parameter]) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())


def _check_missing(target: Callable[..., Any], arguments: Mapping[str, Any], where: str) -> None:
    for parameter in parameters(target).values():
        can_be_left_out = parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if not can_be_left_out and parameter.name not in arguments:
            raise UserError(f"{where}.{parameter.name} is missing: {choice(where, target)} needs it.")


def _constructors(target: Callable[..., Any]) -> list[Callable[..., Any]]:
    """What is called: a function, or a class's constructor and those that it passes its `**options` on to.

    If no constructor of the base classes says what the options are, they may go anywhere.
    """
    if not inspect.isclass(target):
        return [target]
    constructors: list[Callable[..., Any]] = []
    for base in target.__mro__[:-1]:
        if (constructor := vars(base).get("__init__")) is not None:
            constructors.append(constructor)
            if not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(constructor).parameters.values()):
                return constructors
    return [getattr(target, "__init__")]  # noqa: B009 - `target.__init__` may be that of an object, to a type checker


def owner(target: Callable[..., Any], name: str) -> type | None:
    """The class whose constructor names an argument of a class."""
    bases = [
        base
        for constructor in _constructors(target)
        for base in getattr(target, "__mro__", ())
        if vars(base).get("__init__") is constructor and name in inspect.signature(constructor).parameters
    ]
    return bases[0] if bases else None


def parameters(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The arguments by name; `**options` is one of them only if no base class says what they are."""
    constructors = _constructors(target)
    if len(constructors) < 2:
        return dict(inspect.signature(target).parameters)
    found: dict[str, inspect.Parameter] = {}
    for constructor in reversed(constructors):
        _, *named = inspect.signature(constructor).parameters.values()
        found = {p.name: p for p in named if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)} | {
            name: p for name, p in found.items() if name not in {q.name for q in named}
        }
    return found


def hints(target: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of its arguments by name, as far as they can be resolved."""
    found: dict[str, Any] = {}
    for constructor in _constructors(target):
        try:
            found = get_type_hints(constructor, include_extras=True) | found
        except NameError:  # a type that only type checkers import
            continue
    return found


def arguments_of(path: str) -> list[str]:
    """The names of the arguments of a class or function; empty if it cannot be imported."""
    try:
        return list(parameters(located({"_target_": path}, "")))
    except UserError:
        return []


def _name(target: Callable[..., Any]) -> str:
    return f"{target.__module__}.{getattr(target, '__qualname__', target)}"


def validated(value: Any, annotation: Any, where: str) -> Any:
    """The value as the annotated type, or a UserError that names the setting `where`.

    `~` is expanded in paths, also within lists and dicts, and in text if the annotation allows a path as well.
    """
    try:
        adapter = pydantic.TypeAdapter(annotation)
    except pydantic.errors.PydanticSchemaGenerationError:
        return value  # a type that only the target itself can check
    try:
        valid = adapter.validate_python(value)
    except pydantic.ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise UserError(f"{where}={value!r} does not fit: {reason[0].lower()}{reason[1:]}.") from error
    if isinstance(value, bool) and isinstance(valid, int | float) and not isinstance(valid, bool):
        raise UserError(f"{where}={value} does not fit: input should be a number.")
    try:
        return _expanded(valid, may_be_path=Path in get_args(annotation))
    except RuntimeError as error:  # `~name`, and there is no such user
        raise UserError(f"{where}={value!r} does not fit: {error}") from error


def _expanded(value: Any, may_be_path: bool) -> Any:
    if isinstance(value, Path) or (may_be_path and isinstance(value, str)):
        return type(value)(Path(value).expanduser()) if str(value).startswith("~") else value
    if type(value) in (list, tuple):
        return type(value)(_expanded(item, may_be_path=False) for item in value)
    return {k: _expanded(v, may_be_path=False) for k, v in value.items()} if type(value) is dict else value
