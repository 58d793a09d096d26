"""Classes and functions from outside this project: what went wrong in them, and where."""

import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cl_bench.runtime.errors import UserError

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def is_from_outside(thing: Any) -> bool:
    """Whether a class, a function or an object's class was written outside this project and PyTorch."""
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return module.partition(".")[0] not in ("cl_bench", "torch", "pytorch_lightning", "builtins")


@contextmanager
def explained(what: str, target: Callable[..., Any], but: type[Exception] = UserError) -> Iterator[None]:
    """Within the block, an error in code from outside the project becomes one message.

    Args:
        what: The setting that names the code.
        target: The class or function.
        but: Errors that pass unchanged, since they explain themselves.

    Raises:
        UserError: Names the setting, the error and the line.
    """
    try:
        yield
    except but:
        raise
    except Exception as error:
        if not is_from_outside(target) and _place(error) is None:
            raise
        raise _one_message(what, error) from error


@contextmanager
def explained_if_raised_outside(what: str, part: object) -> Iterator[None]:
    """Within the block, an error in the code of a class from outside the project becomes one message.

    An error of the project's own passes unchanged, with its traceback.

    Args:
        what: The setting that names the class.
        part: An object of the class.

    Raises:
        UserError: Names the setting, the error and the line.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not is_from_outside(part) or _place(error) is None:
            raise
        raise _one_message(what, error) from error


def _one_message(what: str, error: Exception) -> UserError:
    return UserError(f"{what} fails: {describe(error)}; debug=true shows the traceback.")


def defined(function: Callable[..., Any]) -> str:
    """Where a function is written: ` (my.py, line 7, in penalty)`; empty for one that is not written in Python."""
    code = getattr(function, "__code__", None)
    return f" ({_relative(code.co_filename)}, line {code.co_firstlineno}, in {code.co_name})" if code else ""


def describe(error: BaseException) -> str:
    """The error and the line outside the project that raised it: `ZeroDivisionError: … (my.py, line 7, in fold)`."""
    hint = "; call super().__init__(…) first" if "before Module.__init__()" in str(error) else ""
    if isinstance(error, ModuleNotFoundError) and str(error.name).startswith("cl_bench."):
        hint = "; base classes come from the packages themselves: from cl_bench.mergers import Merger, for example"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({_relative(error.filename)}, line {error.lineno})"
    return f"{type(error).__name__}: {error}{_place(error) or ''}{hint}"


def _place(error: BaseException) -> str | None:
    """The last line of code from outside the project on the way to the error."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_outside_file(frame.filename)]
    return f" ({_relative(frames[-1].filename)}, line {frames[-1].lineno}, in {frames[-1].name})" if frames else None


def _is_outside_file(name: str) -> bool:
    path = Path(name).resolve()
    return not name.startswith("<") and not any(path.is_relative_to(folder) for folder in (_PACKAGE, *_INSTALLED))


def _relative(file: str) -> str:
    path = Path(file)
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
