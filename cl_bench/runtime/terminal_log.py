"""Log messages on the terminal, above the progress bars."""

import logging


class TerminalHandler(logging.Handler):
    """Prints to what standard output is at that moment: while progress is shown, a proxy that keeps bars below."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one message."""
        print(self.format(record), flush=True)
