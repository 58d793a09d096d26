"""A file server on the loopback address that can be told to misbehave, and remembers what it was asked for."""

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class LoopbackServer:
    """Serves `files` by path.

    Attributes:
        files: Content by path, such as "/a.zip".
        troubles: What goes wrong with the next answers, by path: an `HTTPStatus`, or the number of bytes after which
            the connection breaks. Each is used up by one answer.
        hangs: Instead of breaking, the connection stays open and nothing comes any more.
        ranges: Whether a request for a part is answered with the part, or with the whole file.
        requests: (path, Range header or None) of each request so far.
        cookies: Cookie headers that came with requests.
        seconds: How long each answer takes to begin.
    """

    files: dict[str, bytes]
    troubles: dict[str, list[int]] = field(default_factory=dict)
    hangs: bool = False
    ranges: bool = True
    seconds: float = 0.0
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)
    url: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)

    def asked_for(self, path):
        return [part for asked, part in self.requests if asked == path]


@contextmanager
def serving(files, **options):
    server = LoopbackServer(files, **options)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            _answer(server, self)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            http.shutdown()
            thread.join()


def _answer(server, handler):
    part = handler.headers["Range"]
    server.requests.append((handler.path, part))
    server.cookies += handler.headers.get_all("Cookie", [])
    time.sleep(server.seconds)
    content = server.files.get(handler.path)
    troubles = server.troubles.get(handler.path)
    trouble = troubles.pop(0) if troubles else None
    start = int(part.removeprefix("bytes=").rstrip("-")) if part and server.ranges else 0
    if content is None:
        handler.send_error(HTTPStatus.NOT_FOUND)
    elif isinstance(trouble, HTTPStatus):
        handler.send_error(trouble)
    elif start >= len(content):
        handler.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    else:
        _send(server, handler, content, start, trouble)


def _send(server, handler, content, start, trouble):
    handler.send_response(HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK)
    handler.send_header("Content-Length", str(len(content) - start))
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.end_headers()
    try:
        handler.wfile.write(content[start:][:trouble])
        handler.wfile.flush()
    except ConnectionError:  # the client has gone, which is its right
        handler.close_connection = True
    if trouble is not None and server.hangs:
        server.stopped.wait(60)
    elif trouble is not None:
        handler.connection.close()
