"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """A mistake in what the user asked for or provided, not in the program.

    The message names the thing that is wrong and the remedy. The entry points print it without a
    traceback and exit with code 2.
    """
