"""The code that a configuration runs: the user's modules by their content, the project's classes by their version.

A user may edit a class between two runs, so its source is part of what identifies a result. What counts is the module
that defines the class, the modules of its base classes, and whatever these import, even within a function, unless it
is a library: a part of Python, or in `site-packages`. A class that is installed there counts as well, with the
modules of its package, if its module mentions `cl_bench`, since it was made for this project. An `__init__.py` that
only re-exports what other modules define does not count. Comments count; the place of a file does not.

Not seen are modules whose names are made while the program runs, and files other than code.
"""

import ast
import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

_THIS_PACKAGE = __name__.partition(".")[0]
_STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib")).resolve()
_INSTALLED = ("site-packages", "dist-packages")

_first_read: dict[tuple[str, Path], tuple[ModuleSpec | None, bytes]] = {}


def code_of(config: Mapping[str, Any], groups: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Plain data that change whenever the code changes that the classes in a configuration run.

    Args:
        config: Plain data.
        groups: The keys of it that count.

    Returns:
        `versions`: by setting, each class that defines a `version`, from the one that is named to its last base class.
        `outside`: by name, as a path within its package, the SHA-256 (hex) of each file of the user's code.
    """
    versions, objects, through = {}, [], []
    for where, target in targets({group: config[group] for group in groups if group in config}):
        if (found := _located(target)) is None:
            continue  # `instantiate` says what is wrong with it
        objects.append(found)
        through.append(target.rpartition(".")[0])
        if known := _versions(found):
            versions[".".join(where)] = known
    return {"versions": versions, "outside": outside(*objects, through=through)}


def unseen(config: Mapping[str, Any], groups: Iterable[str]) -> list[str]:
    """Settings whose class was typed in a session, so that no file has its source and changes cannot be seen."""
    return [
        f"{'.'.join(where)}._target_={target}"
        for where, target in targets({group: config[group] for group in groups if group in config})
        if any(_is_typed_in(name) for name in _modules(_located(target)))
    ]


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two results of `code_of`, for people: the user's files, and the project's classes."""
    return _differing(*(code.get("outside", {}) for code in (before, now))) + [
        f"{name} (version {old}, now {new})" for name, old, new in _other_versions(before, now)
    ]


def targets(node: Any, where: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every `_target_` in a configuration, with the keys that lead to it."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield where, node["_target_"]
        for name, value in node.items():
            yield from targets(value, (*where, str(name)))
    elif isinstance(node, list | tuple):
        for place, value in enumerate(node):
            yield from targets(value, (*where, str(place)))


def outside(*objects: Any, through: Iterable[str] = ()) -> dict[str, str]:
    """The user's own code that classes and functions run.

    A process runs the code that it has imported, even if the files change afterwards. So each file is read once, and
    again only if its module is imported again.

    Args:
        *objects: Classes and functions; those of this package have no such code.
        through: Names of modules that may only re-export them.

    Returns:
        By name, as a path within its package, the SHA-256 (hex) of each file.
    """
    defining = [name for each in objects for name in _modules(each)]
    made_for_cl_bench = {_top(name) for name in defining if _is_made_for_cl_bench(name)}
    found: dict[str, str] = {}
    counted: set[str] = set()
    due = [(name, True) for name in defining] + [(name, False) for name in through]
    while due:
        name, counts = due.pop()
        file = _file(name)
        if name in counted or file is None or (_is_library(name, file) and _top(name) not in made_for_cl_bench):
            continue
        content = _content(name, file)
        tree = _parsed(file, content)
        if not counts and _only_reexports(tree):
            continue
        counted.add(name)
        found[_place(name, file)] = hashlib.sha256(content).hexdigest()
        due += [(imported, True) for imported in _imports(name, file, tree)]
        due += [(parent, False) for parent in _parents(name)]
    return dict(sorted(found.items()))


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _other_versions(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, int | None, int | None]]:
    old, new = (
        {(where, name): version for where, each in code.get("versions", {}).items() for name, version in each}
        for code in (before, now)
    )
    differing = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return [(key[1], old.get(key), new.get(key)) for key in differing]


def _located(target: Any) -> Any:
    """The object that an import path names; None if it cannot be imported."""
    module, _, name = str(target).rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None)
    except Exception:  # the user's module may raise anything
        return None


def _versions(found: Any) -> list[list[Any]]:
    classes = inspect.getmro(found) if inspect.isclass(found) else ()
    known = ((each.__name__, vars(each).get("version")) for each in classes)
    return [[name, version] for name, version in known if isinstance(version, int)]


def _modules(found: Any) -> list[str]:
    """Names of the modules that define it and its base classes."""
    while isinstance(found, functools.partial):
        found = found.func
    if inspect.isclass(found):
        return [each.__module__ for each in inspect.getmro(found)]
    name = getattr(inspect.unwrap(found), "__module__", None) if callable(found) else None
    return [name or type(found).__module__]


def _is_typed_in(name: str) -> bool:
    return _top(name) not in sys.stdlib_module_names | {_THIS_PACKAGE} and _file(name) is None


def _is_made_for_cl_bench(name: str) -> bool:
    """Whether a module of an installed package mentions this project."""
    file = _file(name)
    return (
        file is not None
        and _is_library(name, file)
        and _top(name) != _THIS_PACKAGE
        and _THIS_PACKAGE.encode() in file.read_bytes()
    )


def _is_library(name: str, file: Path) -> bool:
    installed = any(part in _INSTALLED for part in file.parts)
    return _top(name) == _THIS_PACKAGE or installed or file.resolve().is_relative_to(_STANDARD_LIBRARY)


def _top(name: str) -> str:
    return name.partition(".")[0]


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _place(name: str, file: Path) -> str:
    """Such as `my_pkg/median.py`, wherever the package lies."""
    parents = name.split(".") if _is_package(file) else name.split(".")[:-1]
    return "/".join([*parents, file.name])


def _is_package(file: Path) -> bool:
    return file.stem == "__init__"


def _file(name: str) -> Path | None:
    """The file of a module's code; nothing is imported to find it."""
    if (loaded := sys.modules.get(name)) is not None:
        place = getattr(loaded, "__file__", None)
    else:
        spec = _spec(name)
        place = spec.origin if spec and spec.has_location else None
    return Path(place) if place and Path(place).is_file() else None


def _spec(name: str) -> ModuleSpec | None:
    """As `importlib.util.find_spec`, which would import the packages around the module."""
    parent, _, _ = name.rpartition(".")
    above: list[str] | None = None
    if parent:
        if (loaded := sys.modules.get(parent)) is not None:
            above = getattr(loaded, "__path__", None)
        elif (spec := _spec(parent)) is not None:
            above = spec.submodule_search_locations
        if above is None:
            return None
    found = (finder.find_spec(name, above) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next((spec for spec in found if spec is not None), None)


def _content(name: str, file: Path) -> bytes:
    """What the file contained when the module was imported, or contains now if it was not."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    imported, content = _first_read.get((name, file), (None, None))
    if content is None or (imported is not None and imported is not spec):
        content = file.read_bytes()
    _first_read[name, file] = spec, content
    return content


def _parsed(file: Path, content: bytes) -> ast.Module:
    """The syntax tree; an empty one for files that are not Python, such as extension modules."""
    try:
        return ast.parse(content) if file.suffix == ".py" else ast.Module([], [])
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _only_reexports(tree: ast.Module) -> bool:
    """Whether a module contains only imports, texts, and names such as `__all__`."""
    return all(map(_is_reexport, tree.body))


def _is_reexport(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.ImportFrom) and statement.module is None:
        return False  # it imports a module of the package, which may have effects
    if isinstance(statement, ast.Assign):
        return all(isinstance(name, ast.Name) and name.id.startswith("__") for name in statement.targets)
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_text or isinstance(statement, ast.Import | ast.ImportFrom)


def _imports(name: str, file: Path, tree: ast.Module) -> Iterator[str]:
    """Names of the modules that a module imports anywhere in its text."""
    package = name if _is_package(file) else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _imported_from("." * node.level + (node.module or ""), package, node.names)
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):  # importlib.import_module("name")
            texts = (each.value for each in node.args[:1] if isinstance(each, ast.Constant))
            named = [text for text in texts if isinstance(text, str) and text.replace(".", "_").isidentifier()]
            yield from (importlib.util.resolve_name(text, package) for text in named if package or text[0] != ".")


def _imported_from(relative: str, package: str, names: list[ast.alias]) -> Iterator[str]:
    try:
        module = importlib.util.resolve_name(relative, package)
    except ImportError:  # beyond the top of the package
        return
    for alias in names:
        inner = f"{module}.{alias.name}"
        yield inner if _file(inner) is not None else module
