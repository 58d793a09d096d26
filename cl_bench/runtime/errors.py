"""The exception for what the user can mend, and how several of them become one message."""

import errno
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_IN_THE_WAY = (errno.ENOTDIR, errno.EEXIST)
_SHOWN = 10  # names or messages in full; the rest is a number


class UserError(ValueError):
    """A mistake in what the user asked for or provided, not in the program.

    The message names the thing that is wrong and the remedy. The entry points print it without a
    traceback and exit with code 2.
    """

    def __str__(self) -> str:
        """The message, without the traceback of a worker that PyTorch's loader puts before it.

        Bytes of file names that are not UTF-8 are escaped, since messages are also written to files.
        """
        text = super().__str__().encode(errors="backslashreplace").decode()
        return text.rpartition(f"{__name__}.UserError: ")[2].rstrip() if text.startswith("Caught UserError") else text


class Missing(UserError):
    """Data or weights are missing or damaged here: no mistake in the settings, and jobs may run on another machine."""


def is_hydras(error: BaseException) -> bool:
    """Whether Hydra itself raised the error, as it does for settings that it does not expect, such as merger=null."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_globals["__name__"].startswith(("hydra.", "omegaconf."))


def shortened(names: Iterable[object]) -> str:
    """Up to ten names, and how many more there are."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def each(items: Iterable[_Item], do: Callable[[_Item], _Found]) -> list[_Found]:
    """Calls `do` for every item, even after it has failed for some.

    Raises:
        UserError: It failed for one or more items; names up to ten.
    """
    return complete([attempt(do, item) for item in items])


def attempt(do: Callable[[_Item], _Found], item: _Item) -> _Found | UserError:
    """What `do` returns for an item, or the user's mistake that it raises."""
    try:
        return do(item)
    except UserError as error:
        return error


def complete(found: Sequence[_Found | UserError]) -> list[_Found]:
    """The results of `attempt`, if all succeeded.

    Raises:
        UserError: Some failed; names up to ten.
    """
    if errors := [one for one in found if isinstance(one, UserError)]:
        raise together(errors)
    return [one for one in found if not isinstance(one, UserError)]


def together(errors: Sequence[UserError]) -> UserError:
    """One error for several: the first lines of up to ten, the number of others, and each remedy once.

    Args:
        errors: At least one.
    """
    if len(errors) == 1:
        return errors[0]
    problems = [str(error).partition("\n")[0] for error in errors]
    remedies = dict.fromkeys(str(error).partition("\n")[2] for error in errors)
    more = [f"and {len(problems) - _SHOWN} more."] * (len(problems) > _SHOWN)
    kind = Missing if all(isinstance(error, Missing) for error in errors) else UserError
    return kind("\n".join([*problems[:_SHOWN], *more, *filter(None, remedies)]))


def unwritable(error: OSError, settings: str = "") -> str | None:
    """What the user can do about a file or folder that cannot be written; None for any other error.

    Args:
        error: As the system raised it.
        settings: The settings that name another folder, for the message.
    """
    in_proc = error.errno == errno.ENOENT and str(error.filename).startswith("/proc/")
    if error.errno in _FULL:
        remedy = "Free some space"
    elif error.errno in _REFUSED:
        remedy = (
            "It belongs to somebody else, or its disk is read-only: have its owner share it with your group "
            "(chmod -R g+rwX)"
        )
    elif error.errno in _IN_THE_WAY or in_proc:
        remedy = "No folder can be made there: start from another one"
    else:
        return None
    path = error.filename2 or error.filename
    where = f"{path}: {error.strerror}." if path else f"{error.strerror}."
    return f"{where} What was finished is kept. {remedy}{f', or name one of yours: {settings}' if settings else '.'}"
