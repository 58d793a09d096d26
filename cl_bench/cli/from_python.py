"""`cl_bench.run`: one experiment from Python, a notebook for example, which finds everything as it was afterwards."""

import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.errors import HydraException
from hydra.version import VersionBase, setbase
from omegaconf import DictConfig
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import OmegaConfBaseException

from cl_bench.launching import composition, messages
from cl_bench.launching.launch import carry_out
from cl_bench.launching.resolved import resolved
from cl_bench.launching.sweep import FOLDERS
from cl_bench.reports.summary import show as print_summary
from cl_bench.runtime import setting_names, signals, tilde
from cl_bench.runtime.configurations import CONF
from cl_bench.runtime.errors import UserError, is_hydras, unwritable
from cl_bench.runtime.terminal_log import TerminalHandler

_SINGLETONS = (GlobalHydra, HydraConfig, JobRuntime, VersionBase)  # Hydra keeps one of each in a process


def run(settings: Sequence[str] = (), *, config_dir: str | Path | None = None, show: bool = False) -> dict[str, Any]:
    """Does one run, as `cl-bench run` does it: in the current folder, with `store/` shared and `outputs/…` written.

    Args:
        settings: As they are typed on the command line: `["scenario=digits_5", "merger=ties"]`.
        config_dir: A folder with choices of your own, such as `merger/my.yaml`; `--config-dir` of the command line.
        show: Print what the command prints: messages, and the table of the result.

    Returns:
        What `result.json` holds. Matrices, of shape (tasks + 1, tasks), and accuracies after each task are NumPy
        arrays; what was not measured is NaN. With `save_merged=true`, `result["merged_model"]["path"]` is the model's
        file.

    Raises:
        UserError: You have to mend something; says what.
    """
    if isinstance(settings, str):
        raise UserError(f"settings are a list: cl_bench.run([{settings!r}])")
    typed = [tilde.expanded(str(setting)) for setting in settings]
    if options := [setting for setting in typed if setting.startswith("-")]:
        raise UserError(f"{options[0]} is an option of the command line; cl_bench.run does one run, of settings.")
    if config_dir is not None and not Path(config_dir).is_dir():
        raise UserError(f"config_dir={str(config_dir)!r}: there is no such folder.")
    with ExitStack() as stack:
        stack.enter_context(_signal_handlers_kept())
        stack.enter_context(_another_hydra(None if config_dir is None else Path(config_dir)))
        stack.enter_context(_mistakes_explained(typed))
        result: dict[str, Any] = _with_arrays(_run(typed, config_dir, show))
        return result


def _run(typed: list[str], config_dir: str | Path | None, show: bool) -> dict[str, Any]:
    """Composes the configuration and launches the run."""

    def job(config: DictConfig) -> dict[str, Any] | Exception | None:
        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            with _messages(folder / "run.log", show), setting_names.as_typed(config):
                result = carry_out(resolved(config), folder)
                if show and result is not None:
                    print_summary(result, folder)
                return result and _with_path(result, folder)
        except Exception as error:  # Hydra would print that there was one
            return error

    search_path = create_config_search_path(f"file://{CONF}")
    if config_dir is not None:
        own_folder = f"file://{Path(config_dir).resolve()}"
        search_path.prepend("command-line", own_folder, SearchPathQuery(provider="schema"))
    _wait_for_a_free_folder(typed)
    hydra = Hydra.create_main_hydra2("run", search_path)
    result = hydra.run("config", job, typed, with_log_configuration=False).return_value
    if isinstance(result, Exception):
        raise result
    if result is None:
        raise UserError("The result of a run on several nodes is on the first one.")
    return dict(result)


def _with_path(result: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same with the path of the merged model, where the record beside it has only the file's name."""
    model = result.get("merged_model")
    return {**result, "merged_model": model and {**model, "path": str(folder.absolute() / model["file"])}}


def _wait_for_a_free_folder(typed: Sequence[str]) -> None:
    """Waits for the next second, after which Hydra names the run's folder, where another run has that of this one."""
    if not any(setting.startswith("hydra.run.dir=") for setting in typed):
        while Path(time.strftime("outputs/%Y-%m-%d/%H-%M-%S")).exists():
            time.sleep(0.02)


def _with_arrays(node: Any, name: str = "") -> Any:
    """The same with arrays for matrices and for accuracies after each task."""
    if name in ("matrix", "accuracy_after_task") and node is not None:
        return {kind: None if values is None else np.array(values, dtype=float) for kind, values in node.items()}
    if name == "retention" and node is not None:
        return {**node, "matrix": np.array(node["matrix"], dtype=float)}
    if isinstance(node, dict) and name != "config":
        return {key: _with_arrays(value, key) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_arrays(value) for value in node]
    return node


@contextmanager
def _another_hydra(config_dir: Path | None) -> Iterator[None]:
    """Within, Hydra is this project's; afterwards, it is what it was, perhaps that of a program that is running."""
    instances, resolvers = dict(Singleton._instances), dict(BaseContainer._resolvers)
    for kind in _SINGLETONS:
        Singleton._instances.pop(kind, None)
    try:
        setbase("1.3")
        with composition.installed(config_dir):
            yield
    finally:
        for kind in _SINGLETONS:
            Singleton._instances.pop(kind, None)
            if kind in instances:
                Singleton._instances[kind] = instances[kind]
        BaseContainer._resolvers.clear()
        BaseContainer._resolvers.update(resolvers)


@contextmanager
def _mistakes_explained(typed: Sequence[str]) -> Iterator[None]:
    """Within, every mistake of the user's becomes a `UserError` with the message that the command line would print.

    Hydra's traceback, which would hide the message, is shown with debug=true.
    """
    debug = any(setting.lower() == "debug=true" for setting in typed)
    try:
        yield
    except UserError:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(messages.message(error, typed, from_python=True)) from (error if debug else None)
    except Exception as error:
        if isinstance(error, OSError) and (reason := unwritable(error, FOLDERS)):
            raise UserError(reason) from (error if debug else None)
        if not is_hydras(error):
            raise
        raise UserError(messages.message(error, typed, from_python=True)) from (error if debug else None)


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Puts back the handlers that libraries replace; Ctrl-C, which Lightning turns into an exit, is what it was."""
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()} if is_main else {}
    try:
        yield
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            raise end.__context__ from None
        raise
    finally:
        signals.tell(None)
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


@contextmanager
def _messages(file: Path, show: bool) -> Iterator[None]:
    """Writes the project's messages to a file and shows them where that is wanted; afterwards, logging is as before.

    Warnings go where the program that called sends them, to standard error where it has not set up any logging.
    """
    to_file, to_terminal, root = logging.FileHandler(file), TerminalHandler(), logging.getLogger()
    to_file.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    to_terminal.addFilter(lambda record: record.levelno < logging.WARNING)
    added = [(logging.getLogger("cl_bench"), handler) for handler in (to_file, *([to_terminal] if show else []))]
    if not root.handlers and logging.lastResort:  # else a library's `logging.info` would set up logging for good
        added.append((root, logging.lastResort))
    level = logging.getLogger("cl_bench").level
    logging.getLogger("cl_bench").setLevel(logging.INFO)
    for logger, handler in added:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, handler in added:
            logger.removeHandler(handler)
        logging.getLogger("cl_bench").setLevel(level)
        to_file.close()
