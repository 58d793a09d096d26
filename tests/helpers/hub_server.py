"""A server on this machine that speaks as much of the Hugging Face hub's API as fetching a model takes."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Hub:
    """Repositories by name, each with its files by name.

    Attributes:
        repositories: `owner/name` → file → content.
        asked: Methods and paths that were asked for.
        address: For `HF_ENDPOINT`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []

    def add(self, name: str, folder: Path) -> None:
        """Offers the files of a folder."""
        self.repositories[name] = {file.name: file.read_bytes() for file in folder.iterdir()}

    def commit(self, name: str) -> str:
        """The commit of a repository, which changes with its files."""
        return hashlib.sha1(json.dumps(sorted(_sha1s(self.repositories[name]).items())).encode()).hexdigest()


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    """Within, the server answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    server.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub: Hub = self.server.hub  # type: ignore[attr-defined]
        hub.asked.append(f"{self.command} {self.path}")
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._facts(hub, "/".join(parts[2:4]), parts[4:])
        elif "resolve" in parts:
            self._file(hub, "/".join(parts[:2]), parts[4])
        else:
            self._send(404, b"")

    def _facts(self, hub: Hub, name: str, rest: list[str]) -> None:
        if name not in hub.repositories:
            return self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
        files = hub.repositories[name]
        if rest[:1] == ["revision"] and rest[1] not in ("main", hub.commit(name)):
            return self._send(404, b'{"error": "no such revision"}', {"X-Error-Code": "RevisionNotFound"})
        if rest[:1] == ["tree"]:
            tree = [
                {"type": "file", "path": file, "size": len(content), "oid": _sha1s(files)[file]}
                for file, content in files.items()
            ]
            return self._send(200, json.dumps(tree).encode())
        siblings = [{"rfilename": file} for file in files]
        facts = {"_id": "0", "id": name, "modelId": name, "sha": hub.commit(name), "siblings": siblings}
        return self._send(200, json.dumps({**facts, "private": False, "tags": [], "downloads": 0}).encode())

    def _file(self, hub: Hub, name: str, file: str) -> None:
        files = hub.repositories.get(name, {})
        if file not in files:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        headers = {"ETag": f'"{_sha1s(files)[file]}"', "X-Repo-Commit": hub.commit(name)}
        return self._send(200, files[file], headers)

    def _send(self, code: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for key, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


def _sha1s(files: dict[str, bytes]) -> dict[str, str]:
    return {file: hashlib.sha1(content).hexdigest() for file, content in files.items()}
