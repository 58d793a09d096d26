"""The one exception that means: the user can mend this."""

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_IN_THE_WAY = (errno.ENOTDIR, errno.EEXIST)


class UserError(ValueError):
    """A mistake in what the user asked for or provided, not in the program.

    The message names the thing that is wrong and the remedy. The entry points print it without a
    traceback and exit with code 2.
    """

    def __str__(self) -> str:
        """The message; without the worker's traceback, which PyTorch's loader puts before it.

        Bytes of file names that are no UTF-8 are escaped, since a message goes into files, too.
        """
        text = super().__str__().encode(errors="backslashreplace").decode()
        return text.rpartition(f"{__name__}.UserError: ")[2].rstrip() if text.startswith("Caught UserError") else text


class Missing(UserError):
    """Data or weights are not on this machine, or not whole; no mistake of the settings, and jobs may run elsewhere."""


def is_hydras(error: BaseException) -> bool:
    """Whether Hydra itself has raised it, as it does of settings that it does not expect, such as merger=null."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_globals["__name__"].startswith(("hydra.", "omegaconf."))


def unwritable(error: OSError, settings: str = "") -> str | None:
    """What the user can do about a file or folder that cannot be written; None if the error is of another kind.

    Args:
        error: As the system raised it.
        settings: Those that name folders, for the message.
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
