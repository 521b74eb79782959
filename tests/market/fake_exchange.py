"""A local server that replays recorded answers and injects network faults, and a clock that never sleeps."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from daybook.market.http import ExchangeClient, HttpLimits
from daybook.market.http_pace import Clock

Query = dict[str, str]


@dataclass(frozen=True)
class Reply:
    """One answer. cut: close the connection after so many bytes of the body. ranges: honour a Range header."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    ranges: bool = True


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(json.dumps(value).encode(), status, {"Content-Type": "application/json", **headers})


HTML = Reply(b"<!doctype html><html>maintenance</html>", 200, {"Content-Type": "text/html"})


@dataclass
class FakeClock:
    """Time that passes only when somebody sleeps; waits are kept."""

    moment: float = 0.0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.moment += seconds

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.moment, sleep=self.sleep, random=lambda: 0.5)


@dataclass
class FakeExchange:
    """Paths and their answers; `faults` of a path are served first, one a request. asked: (path, query, range)."""

    url: str = ""
    routes: dict[str, Reply | Callable[[Query], Reply]] = field(default_factory=dict)
    faults: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[tuple[str, Query, str | None]] = field(default_factory=list)

    def reply(self, path: str, query: Query, span: str | None) -> Reply:
        self.asked.append((path, query, span))
        if self.faults.get(path):
            return self.faults[path].pop(0)
        route = self.routes.get(path, Reply(b"not found", 404))
        return route(query) if callable(route) else route

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]

    def serve_archive(self, file: Path, market: str = "data/spot/daily/klines", *, name: str | None = None,
                      checksum: bool = True) -> str:
        """Serve a zip in the archive's layout with a CHECKSUM made from it; returns its path."""
        name = name or file.name
        symbol, interval = name.split("-")[:2]
        path = f"/{market}/{symbol}/{interval}/{name}"
        body = file.read_bytes()
        self.routes[path] = Reply(body)
        if checksum:
            self.routes[f"{path}.CHECKSUM"] = Reply(f"{hashlib.sha256(body).hexdigest()}  {name}\n".encode())
        return path


def _handler(exchange: FakeExchange) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            span = self.headers.get("Range")
            reply = exchange.reply(parts.path, query, span)
            body, status, headers = reply.body, reply.status, dict(reply.headers)
            if span and reply.ranges and status == 200:
                start = int(span.removeprefix("bytes=").rstrip("-"))
                status = 206 if start < len(body) else 416
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                body = body[start:]
            self.send_response_only(status)  # no Date but the reply's own
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[:reply.cut])
            if reply.cut is not None:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Say nothing on the terminal."""

    return Handler


@contextmanager
def fake_exchange() -> Iterator[FakeExchange]:
    """A running server on a free port of 127.0.0.1."""
    exchange = FakeExchange()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(exchange))
    server.daemon_threads = True
    exchange.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield exchange
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def exchange_client(exchange: FakeExchange, clock: FakeClock | None = None,
                    **limits: Any) -> Iterator[ExchangeClient]:
    """A client that may ask the local server only, on a clock that does not sleep."""
    with ExchangeClient([exchange.url], limits=HttpLimits(**limits), clock=(clock or FakeClock()).clock) as client:
        yield client


def documented(path: Path) -> Any:
    """The JSON answer in a file of documented endpoints (method, path, signed, answer)."""
    return json.loads(path.read_text(encoding="utf-8").split("\n", 3)[3])
