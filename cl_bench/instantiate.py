"""From plain configuration data to objects, with every mistake named before anything runs."""

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import pydantic

from cl_bench.errors import UserError

_MISSING = "???"  # OmegaConf's sign for a value that has to be given


def instantiate(node: Mapping[str, Any], where: str, **given: Any) -> Any:
    """Calls what `node["_target_"]` names with the rest of `node` as arguments.

    Arguments are checked against the target's type annotations by pydantic: unknown and missing names,
    wrong types and values outside an annotated range are refused. Nested mappings that have a `_target_`
    are instantiated first; `_partial_: true` gives a `functools.partial`.

    Args:
        node: Plain data (dicts, lists, strings, numbers) with a `_target_` that is an import path.
        where: The node's place in the configuration, for messages ("merger").
        **given: Arguments that the program supplies and the configuration does not know.

    Raises:
        UserError: The target cannot be imported, or an argument does not fit; names the setting.
    """
    target = _locate(node, where)
    arguments = {
        name: _nested(value, f"{where}.{name}")
        for name, value in node.items()
        if name not in ("_target_", "_partial_") and value != _MISSING
    }
    _check_given(target, arguments, given, where)
    if node.get("_partial_", False):
        return functools.partial(target, **arguments)
    _check_missing(target, arguments | given, where)
    return target(**arguments, **given)


def _nested(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return instantiate(value, where)
        return {name: _nested(item, f"{where}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [_nested(item, f"{where}.{i}") for i, item in enumerate(value)]
    return value


def _locate(node: Mapping[str, Any], where: str) -> Callable[..., Any]:
    path = node.get("_target_")
    if not isinstance(path, str) or "." not in path:
        raise UserError(f"{where}._target_ must be the import path of a class or function, not {path!r}.")
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{where}._target_: {path} cannot be imported ({error}).") from error


def _check_given(target: Callable[..., Any], arguments: dict[str, Any], given: dict[str, Any], where: str) -> None:
    """Replaces each argument by its validated value, or raises a UserError that names it."""
    parameters = inspect.signature(target).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target, include_extras=True)
    for argument, value in arguments.items():
        if argument not in parameters and not open_ended:
            known = ", ".join(p for p in parameters if p not in given) or "none"
            raise UserError(f"{where}.{argument} is not a setting of {_name(target)}; its settings are: {known}.")
        if argument in hints:
            arguments[argument] = validated(value, hints[argument], f"{where}.{argument}")


def _check_missing(target: Callable[..., Any], arguments: Mapping[str, Any], where: str) -> None:
    for parameter in inspect.signature(target).parameters.values():
        can_be_left_out = parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if not can_be_left_out and parameter.name not in arguments:
            raise UserError(f"{where}.{parameter.name} is missing: {_name(target)} needs it.")


def _name(target: Callable[..., Any]) -> str:
    return f"{target.__module__}.{target.__qualname__}"


def validated(value: Any, annotation: Any, where: str) -> Any:
    """The value as the annotated type (a path with its `~` expanded), or a UserError that names the setting `where`."""
    try:
        adapter = pydantic.TypeAdapter(annotation)
    except pydantic.errors.PydanticSchemaGenerationError:
        return value  # a type that only the target itself can check
    try:
        valid = adapter.validate_python(value)
    except pydantic.ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise UserError(f"{where}={value!r} does not fit: {reason[0].lower()}{reason[1:]}.") from error
    return valid.expanduser() if isinstance(valid, Path) else valid
