"""A server on this machine that webhooks are sent to: it writes down what it gets, and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any

__all__ = ["Receiver", "Request", "receiving"]

WATCHDOG_SECONDS = 20


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """What a test sees of the server.

    Attributes:
        url: of it, without a path.
        status: what it answers from now on.
        headers: of its answers.
        may_answer: it waits for that before each answer.
    """

    url: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    may_answer: threading.Event = field(default_factory=threading.Event)
    requests: SimpleQueue[Request] = field(default_factory=SimpleQueue[Request])

    def take(self) -> Request:
        """The next request, waited for."""
        return self.requests.get(timeout=WATCHDOG_SECONDS)

    def is_empty(self) -> bool:
        return self.requests.empty()


@contextmanager
def receiving() -> Generator[Receiver]:
    """A server until the block is left; it answers at once unless a test clears `may_answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.requests.put(Request(self.command, self.path, dict(self.headers), body))
            receiver.may_answer.wait(WATCHDOG_SECONDS)
            try:
                self.send_response(receiver.status)
                for name, value in {"Content-Length": "2", **receiver.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"ok")
            except ConnectionError:  # who asked has given up
                pass

        do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False  # so that closing waits for them
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        receiver.may_answer.set()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.may_answer.set()
            server.shutdown()
            thread.join()
