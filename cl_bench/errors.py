"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """A mistake in what the user asked for or provided, not in the program.

    The message names the thing that is wrong and the remedy. The entry points print it without a
    traceback and exit with code 2.
    """

    def __str__(self) -> str:
        """The message; without the worker's traceback, which PyTorch's loader puts before it."""
        text = super().__str__()
        return text.rpartition(f"{__name__}.UserError: ")[2].rstrip() if text.startswith("Caught UserError") else text
