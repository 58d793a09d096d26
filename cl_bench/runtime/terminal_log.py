"""Log messages on the terminal, above the progress bars."""

import logging


class TerminalHandler(logging.Handler):
    """Prints to the current standard output, which is a proxy that keeps progress bars below while they are shown."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one message."""
        print(self.format(record), flush=True)
