"""Commands that begin with all their imports done, which would take most of the suite's time."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_PATIENCE = 200  # seconds for a command


class Commands:
    """Runs `python …` as copies of one process, see `tests/helpers/warm.py`; outputs lie in `folder`."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._folder, self._begun = folder, 0
        self._warm = subprocess.Popen(
            [sys.executable, str(root / "tests" / "helpers" / "warm.py"), str(root)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def begin(
        self,
        *arguments: str,
        cwd: Path,
        env: dict[str, str] | None = None,
        umask: int = 0o022,
        powerless: bool = False,
    ) -> "Command":
        """Starts a command and does not wait for it; `powerless` keeps root from reading and writing others' files."""
        self._begun += 1
        out, err = (self._folder / f"{self._begun}_{stream}" for stream in ("out", "err"))
        out.touch()  # may be read before the command writes
        request = {
            "arguments": arguments,
            "cwd": str(cwd),
            "env": env or dict(os.environ),
            "umask": umask,
            "powerless": powerless,
        }
        pid = self._ask({"begin": {**request, "out": str(out), "err": str(err)}})
        return Command(self, arguments, pid, out, err)

    def end(self, pid: int) -> int:
        """Waits for a command; its exit code."""
        return self._ask({"end": pid})

    def _ask(self, request: dict) -> int:
        print(json.dumps(request), file=self._warm.stdin, flush=True)
        ready, _, _ = select.select([self._warm.stdout], [], [], _PATIENCE)
        if not ready:
            raise TimeoutError(f"{request} took over {_PATIENCE} seconds")
        return int(self._warm.stdout.readline())

    def close(self) -> None:
        """Ends the process that copies are made of."""
        self._warm.stdin.close()
        self._warm.wait()


class Command:
    """One that was started, in a group of processes of its own."""

    def __init__(self, commands: Commands, arguments: tuple[str, ...], pid: int, out: Path, err: Path) -> None:
        self._commands, self._arguments, self.pid, self._out, self._err = commands, arguments, pid, out, err

    def kill_when(self, due: Callable[[str], object]) -> None:
        """Kills it, and all that it has started, as soon as that is due, by what it has printed so far."""
        self._wait_until(due)
        os.killpg(self.pid, signal.SIGKILL)
        assert self._commands.end(self.pid) == -signal.SIGKILL

    def signal_when(self, number: int, due: Callable[[str], object]) -> None:
        """Sends it, and it alone, a signal as soon as that is due."""
        self._wait_until(due)
        os.kill(self.pid, number)

    def _wait_until(self, due: Callable[[str], object]) -> None:
        last = time.monotonic() + _PATIENCE
        while not due(self._out.read_text()):
            assert time.monotonic() < last, self._err.read_text()
            time.sleep(0.005)

    def completed(self) -> subprocess.CompletedProcess:
        """Waits until it is done."""
        try:
            code = self._commands.end(self.pid)
        except TimeoutError:
            os.killpg(self.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(self._arguments, code, self._out.read_text(), self._err.read_text())
