"""The one HTTP client of the connectors: known hosts only, no redirects, bounded in size, time, pace and attempts."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from daybook.core.errors import StorageError
from daybook.market.http_errors import (
    AddressRefusedError,
    AnswerError,
    HostStoppedError,
    NotFoundError,
    StatusError,
    UnreachableError,
)
from daybook.market.http_pace import Clock, HostPace

if TYPE_CHECKING:
    import httpx2

EXCHANGE_HOSTS = frozenset({
    "data.binance.vision", "api.binance.com", "data-api.binance.vision", "fapi.binance.com", "openapi.blofin.com",
})
"""The only hosts that are ever asked, over HTTPS at its usual port; a test server may stand in on a loopback host."""
LOOPBACK = frozenset({"127.0.0.1", "localhost"})
Params = Mapping[str, str | int]

_T = TypeVar("_T")
_USED_WEIGHT = "x-mbx-used-weight-1m"
_RANGE_START = re.compile(r"bytes (\d+)-", re.ASCII)


@dataclass(frozen=True)
class HttpLimits:
    """Bounds of every request: seconds, attempts, bytes and weight a minute.

    first_wait_s doubles with every attempt up to longest_backoff_s, and a random share of it is waited.
    longest_wait_s: the longest Retry-After or budget pause that is waited for. answer_s: for one whole answer.
    """

    connect_s: float = 10.0
    read_s: float = 30.0
    answer_s: float = 300.0
    attempts: int = 5
    first_wait_s: float = 1.0
    longest_backoff_s: float = 30.0
    longest_wait_s: float = 120.0
    json_bytes: int = 8 * 2**20
    weight_per_minute: int = 1200


class _AgainError(Exception):
    """A fault that may pass: asked again while attempts are left."""


class ExchangeClient:
    """GET requests to a fixed set of servers; safe to share between threads.

    servers: base URLs; each must be an https address of EXCHANGE_HOSTS or a loopback address, exactly as named.
    weights: request weight a minute by base URL where it differs from the limits'. Proxies and credentials of the
    environment are not used. Raises AddressRefusedError for any other address.
    """

    def __init__(self, servers: Iterable[str], *, limits: HttpLimits | None = None, clock: Clock | None = None,
                 weights: Mapping[str, int] | None = None) -> None:
        import httpx2

        self.limits = limits or HttpLimits()
        self.clock = clock or Clock()
        self._paces = {
            _origin(require_server(server)): HostPace(
                urlsplit(server).netloc, self.clock, (weights or {}).get(server, self.limits.weight_per_minute),
                self.limits.longest_wait_s)
            for server in servers
        }
        for chatty in ("httpx2", "httpcore2"):  # they log whole addresses
            logging.getLogger(chatty).setLevel(logging.WARNING)
        self._client = httpx2.Client(
            follow_redirects=False, trust_env=False,
            timeout=httpx2.Timeout(self.limits.read_s, connect=self.limits.connect_s),
            # Compressed answers could unpack to any size.
            headers={"Accept-Encoding": "identity", "User-Agent": "daybook"},
        )
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def __enter__(self) -> ExchangeClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def json(self, url: str, params: Params | None = None, *, weight: int = 1) -> Any:
        """The JSON value at an address. Raises the errors of `text`, and AnswerError for anything else than JSON."""
        body = self.text(url, params, weight=weight, max_bytes=self.limits.json_bytes)
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise AnswerError(f"{shown(url)}: the answer is not JSON ({error}). Run again later.") from None

    def text(self, url: str, params: Params | None = None, *, weight: int = 1, max_bytes: int = 65_536) -> bytes:
        """The body at an address.

        Raises NotFoundError (404), StatusError (another refusal), HostStoppedError (418), AnswerError (larger than
        max_bytes), AddressRefusedError (a redirect), UnreachableError when no attempt gave a whole answer.
        """
        def attempt() -> bytes:
            with self._answer(url, params, {}, weight) as response:
                return b"".join(self._chunks(response, max_bytes, whole=True))

        return self._retried(url, attempt)

    def download(self, url: str, part: Path, *, max_bytes: int, weight: int = 1) -> None:
        """Write a file to `part`, going on where an earlier attempt of any process left off.

        What was joined that way is not known to be right: check its hash. Raises the errors of `text`, and
        StorageError when the disk does not take it.
        """
        def attempt() -> None:
            held = part.stat().st_size if part.exists() else 0
            headers = {"Range": f"bytes={held}-"} if held else {}
            try:
                with self._answer(url, None, headers, weight) as response:
                    self._save(response, part, held, max_bytes)
            except StatusError as error:
                if error.status != 416:
                    raise
                part.unlink()
                raise _AgainError("the partial file is longer than the file") from None

        try:
            self._retried(url, attempt)
        except OSError as error:
            raise StorageError(
                f"{part}: can not be written ({error.strerror or error}). Free space or permit writing, run again."
            ) from error

    def _save(self, response: httpx2.Response, part: Path, held: int, max_bytes: int) -> None:
        resumed = response.status_code == 206
        start = _RANGE_START.match(response.headers.get("content-range", ""))
        if resumed and (start is None or int(start[1]) != held):
            part.unlink()
            raise _AgainError("another part of the file came than was asked for")
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab" if resumed else "wb") as stream:
            for chunk in self._chunks(response, max_bytes - (held if resumed else 0), whole=not resumed):
                stream.write(chunk)

    def _retried(self, url: str, attempt: Callable[[], _T]) -> _T:
        import tenacity

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.limits.attempts),
            wait=self._backoff, sleep=self.clock.sleep,
            retry=tenacity.retry_if_exception_type(_AgainError), reraise=True,
        )
        pace = self._pace(url)
        try:
            found = retrying(attempt)
            pace.answered()
            return found
        except _AgainError as error:
            pace.failed()
            raise UnreachableError(
                f"{shown(url)}: no usable answer in {self.limits.attempts} attempts (last: {error}). Check the "
                "network, then run again."
            ) from None

    def _backoff(self, state: Any) -> float:
        doubled: float = self.limits.first_wait_s * 2.0 ** (state.attempt_number - 1)
        ceiling = min(self.limits.longest_backoff_s, doubled)
        share: float = 0.5 + 0.5 * self.clock.random()
        return ceiling * share

    @contextmanager
    def _answer(self, url: str, params: Params | None, headers: dict[str, str],
                weight: int) -> Iterator[httpx2.Response]:
        """One answer whose status is 200 or 206, with its body still to come."""
        import httpx2

        pace = self._pace(url)
        pace.take(weight)
        try:
            with self._client.stream("GET", url, params=dict(params or {}), headers=headers) as response:
                self._judge(url, response, pace)
                yield response
        except httpx2.HTTPError as error:  # no connection, a time-out, or a body that ended early
            raise _AgainError(f"{type(error).__name__}: {error}") from None

    def _judge(self, url: str, response: httpx2.Response, pace: HostPace) -> None:
        status = response.status_code
        used = response.headers.get(_USED_WEIGHT, "")
        if used.isascii() and used.isdigit():
            pace.observe(int(used))
        if status in (200, 206):
            return
        if 300 <= status < 400:
            raise AddressRefusedError(
                f"{shown(url)}: found a redirect ({status}), allowed is an answer from that host itself. Nothing was "
                "followed; check the address in the settings."
            )
        if status == 404:
            pace.answered()
            raise NotFoundError(f"{shown(url)}: not there (404).")
        if status == 418:
            reason = f"{pace.host}: has banned this address for asking too much (418). Nothing more is asked of it " \
                     f"in this run; wait {_retry_after(response) or 120:.0f} s or more before the next."
            pace.stop(reason)
            raise HostStoppedError(reason)
        if status == 429:
            pace.pause(_retry_after(response) or self.limits.first_wait_s)
            raise _AgainError("429, too many requests")
        if status >= 500:
            raise _AgainError(f"status {status}")
        raise StatusError(f"{shown(url)}: refused with status {status}{_reason(response)}.", status)

    def _chunks(self, response: httpx2.Response, max_bytes: int, *, whole: bool) -> Iterator[bytes]:
        """The body piece by piece, held to its size and time; `whole` says that it begins at its first byte."""
        name = shown(str(response.url))
        if response.headers.get("content-encoding", "identity") != "identity":
            raise AnswerError(f"{name}: found a compressed answer, allowed is a plain one.")
        if response.headers.get("content-type", "").startswith("text/html"):
            raise _AgainError("a web page instead of data")
        declared = response.headers.get("content-length", "")
        size = int(declared) if declared.isascii() and declared.isdigit() else 0
        deadline = self.clock.now() + self.limits.answer_s
        received = 0
        for chunk in response.iter_raw() if size <= max_bytes else ():
            if whole and not received and chunk.lstrip()[:1] == b"<":
                raise _AgainError("a web page instead of data")
            received += len(chunk)
            if self.clock.now() > deadline:
                raise _AgainError(f"the answer took longer than {self.limits.answer_s:.0f} s")
            if received > max_bytes:
                break
            yield chunk
        if max(received, size) > max_bytes:
            raise AnswerError(f"{name}: {max(received, size):,} bytes or more, allowed are {max_bytes:,}.")

    def _pace(self, url: str) -> HostPace:
        pace = self._paces.get(_origin(urlsplit(url)))
        if pace is None:
            raise AddressRefusedError(f"{shown(url)}: not a server of this client. Nothing was sent.")
        return pace


def require_server(url: str) -> SplitResult:
    """The parts of a base URL. Raises AddressRefusedError unless it is an exchange over HTTPS or a loopback server."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefusedError("address: found a text that is no URL. Mend it in the settings.") from None
    exchange = parts.scheme == "https" and parts.hostname in EXCHANGE_HOSTS and port in (None, 443)
    loopback = parts.scheme in ("http", "https") and parts.hostname in LOOPBACK and port is not None
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    if not (plain and (exchange or loopback)):
        raise AddressRefusedError(
            f"address: found {shown(url)}, allowed are https addresses of {', '.join(sorted(EXCHANGE_HOSTS))} without "
            "credentials, port or query, and servers on 127.0.0.1 with a port. Mend it in the settings."
        )
    return parts


def shown(url: str) -> str:
    """Host and path of an address, for messages: credentials and queries may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds the answer asks to wait, given as a number or as a date against the answer's own date."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until, now = parsedate_to_datetime(text), parsedate_to_datetime(response.headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return None


def _reason(response: httpx2.Response) -> str:
    """The exchange's own words, shortened to printable ASCII."""
    text = b""
    for chunk in response.iter_raw():
        text += chunk
        if len(text) >= 300:
            break
    words = re.sub(rb"[^ -~]+", b" ", text[:300]).decode("ascii").strip()
    return f" ({words})" if words else ""
