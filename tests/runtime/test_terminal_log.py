import io
import logging
import sys

from cl_bench.runtime.terminal_log import TerminalHandler


def test_messages_follow_standard_output_where_it_goes(monkeypatch):
    logger, handler = logging.getLogger("test_terminal_log"), TerminalHandler()
    logger.addHandler(handler)
    logger.propagate = False  # what other tests left on the root logger is none of its business
    for text in ("before", "while a bar is shown"):
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stdout", stream)
        logger.warning(text)
        assert stream.getvalue() == f"{text}\n"
    logger.removeHandler(handler)
