"""Stores what training on a stream of tasks produced: the weights of each task, found by the configuration."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError
from torch import Tensor

from cl_bench.store import atomic, permissions
from cl_bench.store.file_hashes import sha256
from cl_bench.store.fingerprint import fingerprint
from cl_bench.store.layouts.reader import read_like
from cl_bench.store.plain import to_plain
from cl_bench.store.references import Reference, damage

log = logging.getLogger(__name__)

_REMEDY = "paths.store_dir=…"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: Annotated[str, Field(pattern=r"^[^/\\]+$")]  # in the stream's own folder
    sha256: str
    bytes: NonNegativeInt


class _Task(_File):
    record: dict[str, Any]
    extra: dict[str, _File] = {}


class _ReferredTask(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reference: Reference
    record: dict[str, Any]
    extra: dict[str, _File] = {}


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = Field(default=1, alias="schema")
    tasks: dict[NonNegativeInt, _Task | _ReferredTask] = {}


class Stream:
    """The folder ``<folder>/<fingerprint of config>/`` with the files of one stream.

    ``config.json`` is the configuration, ``task_000.safetensors`` holds the weights of task 0,
    ``task_000.<name>.safetensors`` other results of its training, and ``manifest.json`` the size, SHA-256 and record of
    each. A file counts only if the manifest lists it and its size and hash agree. Nothing is ever unpickled.

    Weights that others trained are not copied: the manifest refers to their files, wherever these are.

    Args:
        folder: The folder of all streams.
        config: Exactly what shapes the weights, as plain data.
        warn: Called with a text about each file that is missing or damaged.
        pretrained: θ₀, by whose names files of others are read.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        warn: Callable[[str], None] = log.warning,
        pretrained: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._hashes_in, self._pretrained = Path(folder).parent, pretrained or {}
        self.fingerprint = fingerprint(config)
        self.path = Path(folder) / self.fingerprint
        self._config = config
        self._warn = warn

    @contextmanager
    def lock(self, task: int, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Keep other processes from working on a task; wait while another one does.

        The operating system releases the lock when the process ends, however that happens.

        Args:
            task: Index of the task, from 0.
            on_wait: Called once if another process has the lock.

        Raises:
            UserError: The folder, or a file in it, cannot be written.
        """
        with permissions.explained(_REMEDY):
            self.path.mkdir(parents=True, exist_ok=True)
            permissions.check_writable(self.path)
            lock = FileLock(self.path / f"{_name(task)}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if on_wait is not None:
                    on_wait()
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def earlier(self, key: str) -> tuple[Path, Mapping[str, Any]] | None:
        """If nothing is stored yet, the newest stream beside this one whose configuration differs in one key alone.

        Args:
            key: The key.

        Returns:
            Its folder, and its value of the key.
        """
        if (self.path / "manifest.json").exists():
            return None
        wanted = to_plain({**self._config, key: None}, "config", "refuse")
        paths = [path for path in self.path.parent.glob("*/config.json") if (path.parent / "manifest.json").exists()]
        for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
            try:
                config = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue  # this is for a message only
            if isinstance(config, dict) and {**config, key: None} == wanted:
                return path.parent, config.get(key) or {}
        return None

    def read(self, task: int) -> tuple[Mapping[str, Tensor], dict[str, Any]] | None:
        """Weights (mapped into memory) and record of a task; None if they are missing or damaged.

        Raises:
            UserError: They exist, but must not be read; every method that reads raises it.
        """
        entry = self._manifest().tasks.get(task)
        if entry is None:
            return None
        weights = self._read_file(entry) if isinstance(entry, _Task) else self._read_reference(entry.reference)
        return None if weights is None else (weights, entry.record)

    def read_extra(self, task: int, name: str) -> dict[str, Tensor] | None:
        """Tensors that ``write`` was given as ``extra``; None if they are missing or damaged."""
        entry = self._manifest().tasks.get(task)
        file = None if entry is None else entry.extra.get(name)
        return None if file is None else self._read_file(file)

    @permissions.explained(_REMEDY)
    def write(
        self,
        task: int,
        weights: Mapping[str, Tensor],
        record: Mapping[str, Any],
        extra: Mapping[str, Mapping[str, Tensor]] | None = None,
    ) -> None:
        """Store a task, replacing what was stored before.

        Args:
            task: Index of the task, from 0.
            weights: θ_t.
            record: Plain data about its training, such as its seconds.
            extra: Other tensors by name, such as ``second_moments``.

        Raises:
            ValueError: ``record`` is not plain data; names the place.
            UserError: The disk is full.
        """
        plain_record = to_plain(record, "record", nonfinite="null")
        if not (self.path / "config.json").exists():
            atomic.write_json(self.path / "config.json", self._config)
        file = self._write_file(_name(task), weights)
        self._enter(task, _Task(**file.model_dump(), record=plain_record), extra or {})
        self._partial(task).unlink(missing_ok=True)

    @permissions.explained(_REMEDY)
    def refer(self, task: int, reference: Reference, record: Mapping[str, Any]) -> None:
        """Have a task's weights read from files of others from now on; otherwise like ``write``."""
        if not (self.path / "config.json").exists():
            atomic.write_json(self.path / "config.json", self._config)
        plain_record = to_plain(record, "record", nonfinite="null")
        self._enter(task, _ReferredTask(reference=reference, record=plain_record), {})

    @permissions.explained(_REMEDY)
    def add(self, task: int, record: Mapping[str, Any], extra: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Store more tensors beside the weights of a stored task; the record replaces the one before. See ``write``."""
        plain_record = to_plain(record, "record", nonfinite="null")
        self._enter(task, self._manifest().tasks[task].model_copy(update={"record": plain_record}), extra)

    def _enter(self, task: int, entry: _Task | _ReferredTask, extra: Mapping[str, Mapping[str, Tensor]]) -> None:
        files = {name: self._write_file(f"{_name(task)}.{name}", tensors) for name, tensors in extra.items()}
        # Another process may write another task at the same time.
        with FileLock(self.path / "manifest.lock"):
            manifest = self._manifest()
            manifest.tasks[task] = entry.model_copy(update={"extra": {**entry.extra, **files}})
            atomic.write_json(self.path / "manifest.json", manifest.model_dump(mode="json", by_alias=True))

    @permissions.explained(_REMEDY)
    def write_partial(self, task: int, tensors: Mapping[str, Tensor]) -> None:
        """Store the progress within a task; replaces the last one, and is removed when the task itself is written."""
        atomic.write_safetensors(self._partial(task), tensors)

    @permissions.explained(_REMEDY)
    def read_partial(self, task: int) -> dict[str, Tensor] | None:
        """What ``write_partial`` stored last; None if it is missing or damaged."""
        tensors = atomic.read_safetensors(self._partial(task))
        return None if tensors is None else {name: tensor.clone() for name, tensor in tensors.items()}

    def _partial(self, task: int) -> Path:
        return self.path / f"{_name(task)}.partial.safetensors"

    @permissions.explained(_REMEDY)
    def _manifest(self) -> _Manifest:
        path = self.path / "manifest.json"
        try:
            return _Manifest.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return _Manifest()
        except ValidationError as error:
            self._warn(f"{path} is damaged ({error.errors()[0]['msg']}): its tasks will be done again.")
            return _Manifest()

    def _write_file(self, name: str, tensors: Mapping[str, Tensor]) -> _File:
        path = self.path / f"{name}.safetensors"
        atomic.write_safetensors(path, tensors)
        return _File(file=path.name, sha256=sha256(path), bytes=path.stat().st_size)

    @permissions.explained(_REMEDY)
    def _read_file(self, file: _File) -> dict[str, Tensor] | None:
        path = self.path / file.file
        if not path.is_file():
            damage = "is missing"
        elif path.stat().st_size != file.bytes:
            damage = f"has {path.stat().st_size} bytes instead of {file.bytes}"
        elif sha256(path) != file.sha256:
            damage = "has another SHA-256 than the manifest says"
        else:
            return atomic.read_safetensors(path)
        self._warn(f"{path} {damage}: this task will be done again.")
        return None

    @permissions.explained(_REMEDY)
    def _read_reference(self, reference: Reference) -> Mapping[str, Tensor] | None:
        if problem := damage(reference, self._hashes_in):
            self._warn(f"{problem}: this task will be done again.")
            return None
        return read_like(Path(reference.path), self._pretrained).weights


def _name(task: int) -> str:
    return f"task_{task:03d}"
