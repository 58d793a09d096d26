"""The one exception that means: the user can mend this."""

import errno

_UNWRITABLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EFBIG
}  # fmt: skip
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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


def unwritable(error: OSError, settings: str = "") -> str | None:
    """What the user can do about a file or folder that cannot be written; None if the error is of another kind.

    Args:
        error: As the system raised it.
        settings: Those that name folders, for the message.
    """
    in_proc = error.errno == errno.ENOENT and str(error.filename).startswith("/proc/")
    if error.errno not in _UNWRITABLE and not in_proc:
        return None
    where = f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    remedy = "Free some space" if error.errno in _FULL else "Start from a folder that you may write to"
    return f"{where} {remedy}{', or name another one with ' * bool(settings)}{settings}. What was finished is kept."
